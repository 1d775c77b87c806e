"""Reading requests and answering them as WeCom does: with HTTP 200, and errors by `errcode` (全局错误码)."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(Exception):
    """An answer with an error. `text` is what stands in `errmsg` before the hint."""

    def __init__(self, code: int, text: str, **fields: Any) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.fields = fields


def answering(call: Callable[[web.Request], Awaitable[Any]]) -> Handler:
    """Answers with the fields that a call returns, or as it refuses."""

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            answer = await call(request)
        except Refusal as refusal:
            return error(request, refusal.code, refusal.text, **refusal.fields)
        except (AttributeError, TypeError, ValueError):  # a value of another type than it should be
            return error(request, 40058, "invalid Request Parameter")
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.json_response({"errcode": 0, "errmsg": "ok", **answer})

    return handler


def error(request: web.Request, code: int, text: str, **fields: Any) -> web.Response:
    """With the hint, the caller's address and the link that WeCom adds."""
    hint = f"{secrets.randbelow(10**19)}_{secrets.randbelow(1000)}_{secrets.token_hex(16)}"
    message = (
        f"{text}, hint: [{hint}], from ip: {request.remote},"
        f" more info at https://open.work.weixin.qq.com/devtool/query?e={code}"
    )
    return web.json_response({"errcode": code, "errmsg": message, **fields})


async def body_of(request: web.Request) -> dict[str, Any]:
    """JSON, whatever type it says it has. Raises Refusal."""
    try:
        value = msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(40058, "invalid Request Parameter, wrong json format") from None
    if not isinstance(value, dict):
        raise Refusal(40058, "invalid Request Parameter, wrong json format")
    return value


async def file_of(request: web.Request) -> tuple[str, bytes]:
    """The name and content of the part `media` of a form. Raises Refusal."""
    if not request.content_type.startswith("multipart/"):
        raise Refusal(41033, "media data missing")
    form = await request.post()
    media = form.get("media")
    if not isinstance(media, web.FileField):
        raise Refusal(41033, "media data missing")
    return media.filename, media.file.read()
