"""The bytes of files, for whoever has the link: whole, in parts, or as a thumbnail.

What strangers have uploaded is given to browsers so that it can do nothing: types that could hold a script are saved
and never shown, no type is guessed, and whatever is shown after all may run nothing and belongs to no site.
"""

import unicodedata
from collections.abc import AsyncGenerator
from contextlib import aclosing
from email.utils import formatdate
from typing import Any
from urllib.parse import quote, unquote

from litestar import Request, Response, Router, get
from litestar.background_tasks import BackgroundTask
from litestar.params import FromPath
from litestar.response import Stream

from hongyan.api import ranges
from hongyan.api.caller import caller_of
from hongyan.api.leancloud.route import http_host
from hongyan.api.site import CurrentSite, Site
from hongyan.engine import file_types, thumbnails
from hongyan.engine.files import clean_name
from hongyan.engine.values import App, File

PATH = "/files"
SAFETY = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
}
#: The bytes behind a link never change.
FOR_EVER = 31_536_000
#: Set by `application.traced` where the caller wants the head of an answer only.
HEAD = "hongyan.head"

AnyRequest = Request[Any, Any, Any]
Headers = dict[str, str]


@get(f"{PATH}/{{link:path}}")
async def read(request: AnyRequest, site: CurrentSite, link: FromPath[str]) -> Response[Any]:
    """A file, a part of it, a thumbnail (`?imageView…`, `?imageMogr2…`) or what there is to know of it."""
    file, app = await _find(site, link.removeprefix("/"))
    query = unquote(request.scope["query_string"].decode("ascii", "replace"))
    if query in ("imageInfo", "avinfo"):
        return await _told(site, file, query)
    wish = thumbnails.parse(query)
    lifetime = app.settings.file_link_ttl or FOR_EVER
    headers = {**SAFETY, "Cache-Control": f"private, max-age={lifetime}"}
    if wish is not None:
        return await _thumbnail(request, site, file, wish, headers)
    return await _answer(request, site, file, headers)


router = Router("/", route_handlers=[read])


def url_of(request: AnyRequest, site: Site, app: App, file: File) -> str:
    """Where a file is to be had; that of an uploaded one is under the name by which the caller reached us."""
    if file.url is not None:
        return file.url
    assert file.key is not None
    base = site.settings.files.url or address(request, site)
    return f"{base.rstrip('/')}{PATH}/{quote(site.files.link(app, file.key), safe='/~')}"


def address(request: AnyRequest, site: Site) -> str:
    """Our own address for this caller."""
    if site.settings.public_url is not None:
        return site.settings.public_url.rstrip("/")
    secure = caller_of(request, site.settings).secure or site.settings.tls_cert is not None
    return f"{'https' if secure else 'http'}://{http_host(request, site.settings)}"


async def _find(site: Site, link: str) -> tuple[File, App]:
    signature = None
    if link.startswith("~"):
        signature, _, link = link[1:].partition("/")
    apps = {app.key: app for app in site.apps.list()}
    file = await site.files.of_key(link, signature, apps.get)
    return file, apps[file.app_key]


async def _answer(request: AnyRequest, site: Site, file: File, headers: Headers) -> Response[Any]:
    assert file.size is not None
    assert file.md5 is not None
    mime_type, is_shown = file_types.served(file.mime_type, file.detected)
    etag, modified = f'"{file.md5}"', formatdate(file.updated_at // 1000, usegmt=True)
    headers |= {
        "ETag": etag,
        "Last-Modified": modified,
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(file.name, is_shown=is_shown),
    }
    if _knows(request, etag):
        return Response(b"", status_code=304, headers=headers)
    asked = request.headers
    try:
        part = ranges.wanted(asked.get("range"), asked.get("if-range"), file.size, etag, modified)
    except ranges.NotSatisfiable:
        return Response(b"", status_code=416, headers={**headers, "Content-Range": f"bytes */{file.size}"})
    start, end = part or (0, file.size)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    headers["Content-Length"] = str(end - start)
    is_empty = HEAD in request.scope or start == end
    content = _nothing() if is_empty else await _begun(site.files.read(file, start, end))
    return Stream(
        content,
        status_code=200 if part is None else 206,
        headers=headers,
        media_type=mime_type,
        background=BackgroundTask(_end, content),
    )


async def _thumbnail(
    request: AnyRequest, site: Site, file: File, wish: thumbnails.Wish, headers: Headers
) -> Response[Any]:
    headers |= {"ETag": f'"{file.md5}-{wish.name}"', "Content-Disposition": "inline"}
    if _knows(request, headers["ETag"]):
        return Response(b"", status_code=304, headers=headers)
    picture = await site.files.thumbnail(file, wish)
    return Response(picture.content, headers=headers, media_type=picture.mime_type)


async def _told(site: Site, file: File, query: str) -> Response[Any]:
    """What the Android SDK asks before it sends a message with a file.

    Of sound and film we know no more than the type and the size. Any other answer would keep it from sending.
    """
    if query == "avinfo":
        known = {"format_name": file.mime_type.partition("/")[2], "size": str(file.size)}
        return Response({"format": known, "streams": []}, headers=SAFETY)
    facts = await site.files.facts(file)
    told = {"size": file.size, "format": facts.format, "width": facts.width, "height": facts.height}
    return Response({**told, "colorModel": facts.mode.lower()}, headers=SAFETY)


def _knows(request: AnyRequest, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in known.split(",")]


def disposition(name: str, *, is_shown: bool) -> str:
    """`Content-Disposition` (RFC 6266): the name in UTF-8, and for old programs what ASCII has of it."""
    name = clean_name(name)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = "".join("_" if each in '"%' else each for each in clean_name(plain))  # again: of "／" ASCII has "/"
    kind = "inline" if is_shown else "attachment"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def _begun(content: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Wait for the first piece: only before the answer begins can be told that there is none."""
    pieces = [await anext(content)]

    async def whole() -> AsyncGenerator[bytes]:
        async with aclosing(content):
            yield pieces.pop()
            async for piece in content:
                yield piece

    return whole()


async def _end(content: AsyncGenerator[bytes]) -> None:
    """Of a reader that goes away nobody else ends it: the file would be open until the garbage is collected."""
    await content.aclose()


async def _nothing() -> AsyncGenerator[bytes]:
    for _ in ():
        yield b""
