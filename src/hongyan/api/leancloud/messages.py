"""The messages of a conversation (REST reference 3.4)."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, Router, get
from litestar.params import FromPath, QueryParameter

from hongyan.api.errors import HttpError
from hongyan.api.leancloud.credentials import app_of, client_of, has_master_key, require_key
from hongyan.api.leancloud.message_record import message_record
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.limits import Operation, rate
from hongyan.engine.signatures import Signature
from hongyan.engine.values import App, HistoryRange, Message
from hongyan.errors import CONVERSATION_API_QUOTA_EXCEEDED, Refused

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000
#: A page with more bytes or characters of content is put together in a thread.
LARGE = 262_144
_DIGITS = 15
_BOOLEANS = {None: False, "false": False, "true": True}

AnyRequest = Request[Any, Any, Any]
Text = Annotated[str | None, QueryParameter()]


@get("/1.2/rtm/conversations/{conversation_id:str}/messages")
async def messages(
    request: AnyRequest,
    site: CurrentSite,
    conversation_id: FromPath[str],
    client_id: Text = None,
    nonce: Text = None,
    signature_ts: Text = None,
    signature: Text = None,
) -> Response[bytes]:
    """Messages in the order they are read in, the newest first unless `reversed`."""
    if not site.ready:
        raise HttpError(503, "The server is starting or stopping.")
    app = app_of(request, site)
    wanted = history_range(request)
    member = None
    if not has_master_key(request):
        require_key(request)
        given = Signature(signature or "", signature_ts or "", nonce or "")
        member = await _member(request, site, app, conversation_id, client_id or "", given)
    found = await site.engine.history.long_page(app, conversation_id, wanted, member=member)
    large = sum(len(message.content) for message in found) > LARGE
    body = await asyncio.to_thread(_encode, conversation_id, found) if large else _encode(conversation_id, found)
    return Response(body, media_type=MediaType.JSON, headers={"Cache-Control": "no-store"})


router = Router("/", route_handlers=[messages])


def history_range(request: AnyRequest) -> HistoryRange:
    """What a history call asks for. Raises HttpError."""
    start, start_id = _anchor(request, "timestamp", "msgid")
    end, end_id = _anchor(request, "till_timestamp", "till_msgid")
    return HistoryRange(
        limit=min(_number(request, "limit", LIMIT_DEFAULT), LIMIT_MAX),
        newer=_boolean(request, "reversed"),
        start=start,
        start_id=start_id,
        start_included=_boolean(request, "include_start"),
        end=end,
        end_id=end_id,
        end_included=_boolean(request, "include_stop"),
    )


async def _member(
    request: AnyRequest, site: Site, app: App, conversation_id: str, client: str, given: Signature
) -> str:
    """The client in whose name the history is read. Raises HttpError and Refused."""
    has_session = "X-LC-IM-Session-Token" in request.headers
    if has_session:
        client_of(request, site, app, client)
    await site.engine.signatures.check_history(app, client, conversation_id, given, has_session=has_session)
    if not client:
        raise HttpError(400, "The parameter `client_id` is missing.")
    if not site.engine.limits.allow(app, client, Operation.READ):
        raise Refused(CONVERSATION_API_QUOTA_EXCEEDED, f"at most {rate(app, Operation.READ)} such calls per minute")
    return client


def _encode(conversation_id: str, found: list[Message]) -> bytes:
    return msgspec.json.encode([message_record(conversation_id, message) for message in found])


def _anchor(request: AnyRequest, time: str, message_id: str) -> tuple[int | None, str]:
    given = request.query_params.get(time) is not None
    if message_id in request.query_params and not given:
        raise HttpError(400, f"The parameter `{message_id}` needs `{time}` beside it.")
    return (_number(request, time, 0) if given else None), request.query_params.get(message_id, "")


def _number(request: AnyRequest, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise HttpError(400, f"The parameter `{name}` must be a whole number.")
    return int(text)


def _boolean(request: AnyRequest, name: str) -> bool:
    text = request.query_params.get(name)
    if text not in _BOOLEANS:
        raise HttpError(400, f"The parameter `{name}` is `true` or `false`.")
    return _BOOLEANS[text]
