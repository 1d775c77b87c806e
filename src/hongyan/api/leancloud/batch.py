"""Several calls in one (REST reference 3.13): each goes through the same application, with the caller's credentials."""

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import msgspec
import structlog
from litestar import Request, Router, post
from litestar.types import ASGIApp, Message

from hongyan.api.errors import HttpError
from hongyan.api.leancloud.credentials import app_of, require_key
from hongyan.api.leancloud.parameters import LARGE, NOT_JSON, WRONG
from hongyan.api.site import CurrentSite
from hongyan.errors import INTERNAL_ERROR

REQUESTS_MAX = 100
#: Bytes of a whole batch (REST reference 1.1).
BODY_MAX = 20 * 1_048_576
#: Characters of a call's path and parameters, as many as the head of a call by itself has: both hold others up.
TARGET_MAX = 65_536
#: Bytes of all answers: the calls after them are not done. With files and histories few calls would fill the memory.
ANSWERS_MAX = 20 * 1_048_576
METHODS = ("GET", "POST", "PUT", "DELETE")
_PREFIXES = ("/1/", "/1.1/", "/1.2/")
#: Of the batch alone, not of the calls in it.
_NOT_PASSED_ON = {b"content-length", b"content-type", b"content-encoding", b"transfer-encoding", b"accept-encoding"}
_NOT_PASSED_ON |= {b"expect", b"origin"}  # that was looked at already

log = structlog.get_logger(__name__)


class Call(msgspec.Struct):
    """One of the calls; its body is passed on as it is, and its parameters are looked at when their length was."""

    path: str
    method: str = "GET"
    body: msgspec.Raw = msgspec.Raw(b"")
    params: msgspec.Raw = msgspec.Raw(b"")


#: A list that is read up to its last call and no further: millions of small calls would fill the memory.
_List: Any = msgspec.defstruct(
    "_List",
    [(f"call_{number}", Call | msgspec.UnsetType, msgspec.UNSET) for number in range(REQUESTS_MAX)],
    array_like=True,
    forbid_unknown_fields=True,
)


class Calls(msgspec.Struct):
    requests: _List


@post("/1.1/batch", status_code=200)
async def batch(request: Request[Any, Any, Any], site: CurrentSite) -> list[dict[str, Any]]:
    """Do up to 100 calls one after another: for each `{"success": answer}` or `{"error": {code, error}}`."""
    app = app_of(request, site)
    require_key(request, app)
    calls = await _calls(request)
    answers, size = [], 0
    for call in calls:
        answer, length = await _do(request, call) if size <= ANSWERS_MAX else (_TOO_MUCH, 0)
        answers.append(answer)
        size += length
    return answers


router = Router("/", route_handlers=[batch], request_max_body_size=BODY_MAX)


async def _calls(request: Request[Any, Any, Any]) -> list[Call]:
    body = await request.body()
    decode = msgspec.json.Decoder(Calls).decode
    try:
        given = await asyncio.to_thread(decode, body) if len(body) > LARGE else decode(body)
    except msgspec.ValidationError as error:
        raise HttpError(400, f"The body is no batch: {error}.", WRONG) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HttpError(400, "The body is not JSON.", NOT_JSON) from None
    calls = [call for call in msgspec.structs.astuple(given.requests) if call is not msgspec.UNSET]
    if not calls:
        raise HttpError(400, f"A batch has 1 to {REQUESTS_MAX} requests.", WRONG)
    return calls


async def _do(request: Request[Any, Any, Any], call: Call) -> tuple[dict[str, Any], int]:
    """One call's answer, wrapped, and its bytes."""
    try:
        scope = _scope(request, call)
        status, body = await _dispatch(request.app, scope, bytes(call.body))
        answer = msgspec.json.decode(body or b"{}", type=msgspec.Raw)  # that it is JSON; it is passed on as it is
    except HttpError as error:
        return _failed(error.code, str(error)), 0
    except Exception as error:
        log.error("a call of a batch failed", path=call.path, exc_info=error)
        return _failed(INTERNAL_ERROR.code, "The server failed at this call; its log says why."), 0
    return {"error" if status >= HTTPStatus.BAD_REQUEST else "success": answer}, len(body)


def _failed(code: int, sentence: str) -> dict[str, Any]:
    return {"error": {"code": code, "error": sentence}}


_TOO_MUCH = _failed(WRONG, f"Not done: the answers before have more than {ANSWERS_MAX:,} bytes together.")


def _scope(request: Request[Any, Any, Any], call: Call) -> Any:
    """As if the call had come by itself. Raises HttpError."""
    method, (path, query) = call.method.upper(), _target(call)
    if method not in METHODS:
        raise HttpError(400, f"The method of a request is one of {', '.join(METHODS)}.", WRONG)
    if path.rstrip("/").endswith("/batch"):
        raise HttpError(400, "A batch can't be in a batch.", WRONG)
    outer = request.scope
    headers = [field for field in outer["headers"] if field[0].lower() not in _NOT_PASSED_ON]
    body = [(b"content-type", b"application/json"), (b"content-length", str(len(bytes(call.body))).encode())]
    # What the framework keeps in a scope belongs to the call that it was made for.
    kept = ("type", "asgi", "http_version", "scheme", "client", "server", "root_path", "extensions")
    return {
        **{name: outer[name] for name in kept if name in outer},  # type: ignore[literal-required]
        "method": method,
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": query.encode(),
        "headers": headers + body,
        "state": {},
    }


def _target(call: Call) -> tuple[str, str]:
    """Path and query; a path without a version is of 1.1. Raises HttpError."""
    if len(call.path) + len(bytes(call.params)) > TARGET_MAX:
        raise HttpError(414, f"Path and parameters of a request have at most {TARGET_MAX:,} characters.", WRONG)
    try:
        parts = urlsplit(call.path)
    except ValueError:
        raise HttpError(400, "The path of a request is no path.", WRONG) from None
    path = unquote(parts.path)
    if parts.scheme or parts.netloc or not path.startswith("/"):
        raise HttpError(400, "The path of a request begins with a slash, such as /1.1/users.", WRONG)
    if not path.startswith(_PREFIXES):
        path = f"/1.1{path}"
    if path.startswith("/1/"):
        path = f"/1.1{path[2:]}"
    more = urlencode({name: _text(value) for name, value in _params(call).items()})
    return path, "&".join(part for part in (parts.query, more) if part)


def _params(call: Call) -> dict[str, Any]:
    try:
        return msgspec.json.decode(bytes(call.params) or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise HttpError(400, "The `params` of a request are no JSON object.", WRONG) from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


async def _dispatch(app: ASGIApp, scope: Mapping[str, Any], body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer of the application."""
    status, parts = 500, []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)  # type: ignore[arg-type]
    return status, b"".join(parts)
