"""Reading requests and answering them as Slack does."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

#: Of a method.
Arguments = Mapping[str, Any]
#: All is on one page.
PAGED = {"response_metadata": {"next_cursor": ""}}
#: Arguments that are objects; in forms they are written as JSON.
_NESTED = {"blocks", "attachments", "metadata", "files", "view"}
#: Methods that take forms only: what comes as JSON is not seen.
_FORM_ONLY = frozenset(
    {
        "chat.getPermalink",
        "conversations.info",
        "conversations.list",
        "conversations.members",
        "files.getUploadURLExternal",
        "oauth.v2.access",
        "users.info",
        "users.list",
        "users.lookupByEmail",
    }
)


class Refusal(Exception):
    """An error by its word; `more` stands beside it in the answer."""

    def __init__(self, word: str, **more: Any) -> None:
        self.word = word
        self.more = more


class Limited(Exception):
    """Too much: after how many seconds there is room."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds


async def arguments(request: web.Request, method: str) -> dict[str, Any]:
    """From the query, a form or JSON. Raises Refusal."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json" and method not in _FORM_ONLY:
        try:
            value = json.loads(await request.read() or b"{}")
        except (ValueError, RecursionError):
            raise Refusal("invalid_json") from None
        if not isinstance(value, dict):
            raise Refusal("json_not_object")
        return given | value
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        given |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    for name in _NESTED & given.keys():
        try:
            given[name] = json.loads(given[name])
        except ValueError:
            raise Refusal("invalid_blocks_format" if name == "blocks" else "invalid_arguments") from None
    return given


async def hook_body(request: web.Request) -> dict[str, Any] | None:
    """JSON, or a form with `payload`; None for anything else."""
    try:
        if request.content_type == "application/x-www-form-urlencoded":
            text = str((await request.post()).get("payload", ""))
        else:
            text = (await request.read()).decode()
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def too_many(hook: bool, seconds: int) -> web.Response:
    """As the Web API, or a `hook`, says it."""
    headers = {"Retry-After": str(seconds)}
    if hook:
        return web.Response(status=429, text="rate_limited", headers=headers)
    return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
