"""Large answers, compressed for who asks so (REST reference 1.1)."""

import asyncio
import gzip
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes from which it is worth it, and from which it takes longer than a thread costs.
SMALLEST, LARGE = 1_024, 32_768
LEVEL = 4
#: Files are given out as they are: what is part of one, or has a tag, must not change on its way.
_PATHS = ("/1/", "/1.1/", "/1.2/")


def compressed(app: ASGIApp) -> ASGIApp:
    """The application, whose JSON that comes in one piece are sent as gzip to callers that take it."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if not (scope["path"].startswith(_PATHS) and _takes_gzip(scope)):
            await app(scope, receive, send)
            return
        start: Any = None

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_json(message):
                start = message
                return
            if start is not None:
                begun, start = start, None
                begun, message = await _compress(begun, message)
                await send(begun)
            await send(message)

        await app(scope, receive, send_compressed)

    return call


def _takes_gzip(scope: Any) -> bool:
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            for part in value.lower().split(b","):
                coding, _, weight = part.partition(b";")
                if coding.strip() == b"gzip" and weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00"):
                    return True
    return False


def _is_json(message: Any) -> bool:
    headers = dict(message["headers"])
    kind = next((value for name, value in headers.items() if name.lower() == b"content-type"), b"")
    return bool(kind.startswith(b"application/json")) and not any(
        name.lower() == b"content-encoding" for name in headers
    )


async def _compress(start: Any, message: Any) -> tuple[Any, Any]:
    """Both as they are sent; what comes in several pieces stays as it is."""
    vary = [(name, value) for name, value in start["headers"]] + [(b"vary", b"Accept-Encoding")]
    body = message.get("body", b"")
    if message.get("more_body") or len(body) < SMALLEST:
        return {**start, "headers": vary}, message
    small = await asyncio.to_thread(_gzip, body) if len(body) > LARGE else _gzip(body)
    headers = [field for field in vary if field[0].lower() != b"content-length"]
    headers += [(b"content-encoding", b"gzip"), (b"content-length", str(len(small)).encode())]
    return {**start, "headers": headers}, {**message, "body": small}


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)
