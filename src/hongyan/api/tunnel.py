"""What browsers and old SDKs say in other ways: verbs and headers in a text body, and `1` for `1.1` (1.1, 1.4)."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from litestar.types import ASGIApp, Receive, Scope, Send

from hongyan.engine import json_text

#: Bytes of any request (REST reference 1.1).
REQUEST_MAX = 20 * 1_048_576
#: A text body is looked into up to here: it is what SDKs send as JSON otherwise.
TEXT_MAX = 1_048_576
#: Bytes of a body that is taken apart in a thread.
LARGE = 4_096
#: Bytes of the query that a text stands for, as many as the head of a call by itself has.
QUERY_MAX = 65_536
METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
#: Keys of the body that stand for headers; the master key has a mark behind it.
HEADERS = {
    "_ApplicationId": "x-lc-id",
    "_ApplicationKey": "x-lc-key",
    "_MasterKey": "x-lc-key",
    "_SessionToken": "x-lc-session",
    "_ApplicationProduction": "x-lc-prod",
}
#: What SDKs say besides, of themselves.
_SAID_BESIDES = frozenset({"_method", "_ClientVersion", "_InstallationId"})
_OLD, _NOW = "/1/", "/1.1/"
_ROUTER = "/1/route"
_TUNNELLED = ("/1/", "/1.1/", "/1.2/")
#: Where a text is a part of a file, and where it may be a whole one.
_PARTS, _FILES = "/1.1/fileUploads/", "/1.1/files/"
_APP_ID = frozenset({b"x-lc-id", b"x-avoscloud-application-id", b"x-uluru-application-id"})


class _Wrong(Exception):
    def __init__(self, status: int, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code


def tunnelled(app: ASGIApp) -> ASGIApp:
    """The application with what is said in other ways put right before it."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        scope = _of_today(scope)
        if not _is_tunnel(scope):
            await app(scope, receive, send)
            return
        try:
            given = await _read(receive)
            large = len(given) > LARGE
            scope, body = await asyncio.to_thread(_unfold, scope, given) if large else _unfold(scope, given)
        except _Wrong as wrong:
            await _refuse(send, wrong)
            return

        async def receive_body() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await app(scope, receive_body, send)

    return call


def _of_today(scope: Any) -> Any:
    path = scope["path"]
    if not path.startswith(_OLD) or path == _ROUTER:
        return scope
    return {**scope, "path": _NOW + path[len(_OLD) :], "raw_path": _NOW.encode() + scope["raw_path"][len(_OLD) :]}


def _is_tunnel(scope: Any) -> bool:
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    is_text = kind.partition(b";")[0].strip().lower() == b"text/plain"
    return bool(
        scope["method"] == "POST" and is_text and scope["path"].startswith(_TUNNELLED) and not _is_upload(scope)
    )


def _is_upload(scope: Any) -> bool:
    """Who says in a header which app it is needs no tunnel, and sends a file."""
    path = scope["path"]
    says_app = any(name in _APP_ID for name, _ in scope["headers"])
    return path.startswith(_PARTS) or (path.startswith(_FILES) and says_app)


async def _read(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message: Any = await receive()
        if message["type"] != "http.request":
            return b""  # the caller went away: nobody hears the answer
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > TEXT_MAX:
            raise _Wrong(413, 413, f"The body has more than {TEXT_MAX:,} bytes.")
        if not message.get("more_body"):
            return b"".join(parts)


def _unfold(scope: Any, body: bytes) -> tuple[Any, bytes]:
    """The call that the body describes, and its own body."""
    try:
        given = json_text.parse(body.decode()) if body.strip() else {}
    except ValueError:
        raise _Wrong(400, 107, "The body is not JSON, or nested too deeply.") from None
    if not isinstance(given, dict):
        raise _Wrong(400, 107, "The body must be a JSON object.")
    method = given.get("_method", "POST")
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise _Wrong(400, 1, "The parameter `_method` must be GET, POST, PUT or DELETE.")
    own = {key: value for key, value in given.items() if key not in HEADERS and key not in _SAID_BESIDES}
    is_read = method.upper() == "GET"
    content = b"" if is_read else json.dumps(own).encode()
    query = scope["query_string"]
    if is_read and own:
        more = urlencode({key: value if isinstance(value, str) else json.dumps(value) for key, value in own.items()})
        query = query + (b"&" if query else b"") + more.encode()
        if len(query) > QUERY_MAX:
            raise _Wrong(414, 414, f"The query has more than {QUERY_MAX:,} bytes.")
    said = {**_headers(given), b"content-type": b"application/json", b"content-length": str(len(content)).encode()}
    headers = [field for field in scope["headers"] if field[0] not in said] + list(said.items())
    return {**scope, "method": method.upper(), "query_string": query, "headers": headers}, content


def _headers(given: Mapping[str, Any]) -> dict[bytes, bytes]:
    said: dict[bytes, bytes] = {}
    for key, name in HEADERS.items():
        value = given.get(key)
        if value is None:
            continue
        text = str(value)
        if not isinstance(value, str | int) or not text.isprintable() or not text.isascii():
            raise _Wrong(400, 1, f"The parameter `{key}` must be a string.")
        said[name.encode()] = (f"{text},master" if key == "_MasterKey" else text).encode()
    return said


async def _refuse(send: Send, wrong: _Wrong) -> None:
    body = json.dumps({"code": wrong.code, "error": str(wrong)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"access-control-allow-origin", b"*"),
    ]
    await send({"type": "http.response.start", "status": wrong.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
