"""The chat page, as it was built into the package."""

import re
from pathlib import Path

from litestar import MediaType, Response, Router, get
from litestar.params import FromPath
from litestar.response import File

import hongyan
from hongyan.api.errors import HttpError
from hongyan.api.site import CurrentSite

WEB_DIST = Path(hongyan.__file__).parent / "web_dist"

POLICY = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; style-src 'self'; "
        "script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}

_ALWAYS_ASK = "no-cache"
_NEVER_ASK = "public, max-age=31536000, immutable"
# The build puts a digest of the content into the names of what it makes.
_HAS_DIGEST = re.compile(r"-[A-Za-z0-9_-]{8}\.\w+$")

_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Hongyan</title>
<h1>Hongyan is running</h1>
<p>Its chat page is not built: <code>make web</code> builds it.</p>
<p lang="zh">鸿雁已在运行。聊天页面尚未构建：请运行 <code>make web</code>。</p>
</html>
"""


@get("/", media_type=MediaType.HTML)
async def index() -> Response[str]:
    """The chat page."""
    page = WEB_DIST / "index.html"
    text = page.read_text("utf-8") if page.exists() else _NOT_BUILT
    return Response(text, headers={**POLICY, "Cache-Control": _ALWAYS_ASK})


@get("/chat/config.json")
async def chat_config(site: CurrentSite) -> Response[dict[str, str]]:
    """What the chat page signs in with: the id and key of the home app, which is the oldest."""
    apps = site.apps.list()
    if not apps:
        raise HttpError(503, "The server has no app yet.")
    content = {"appId": apps[0].id, "appKey": apps[0].app_key, "serverUrl": ""}
    return Response(content, headers={"Cache-Control": "no-store"})


@get("/assets/{name:str}")
async def asset(name: FromPath[str]) -> File:
    """A script, style or picture of the page."""
    folder = WEB_DIST / "assets"
    found = [file for file in folder.glob("*") if file.name == name and file.is_file()]
    if not found:
        raise HttpError(404, "This page has no such file.")
    cache = _NEVER_ASK if _HAS_DIGEST.search(name) else _ALWAYS_ASK
    return File(found[0], filename=name, content_disposition_type="inline", headers={"Cache-Control": cache})


router = Router("/", route_handlers=[index, chat_config, asset])
