"""The messages of a conversation (REST reference 3.4)."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.params import FromPath, QueryParameter

from hongyan.api.leancloud import rest
from hongyan.api.leancloud.credentials import app_of, client_of, has_master_key, require_key
from hongyan.api.leancloud.message_record import message_record
from hongyan.api.leancloud.parameters import history_range, query_of, wrong
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.limits import Operation, rate
from hongyan.engine.signatures import Signature
from hongyan.engine.values import App, Message
from hongyan.errors import CONVERSATION_API_QUOTA_EXCEEDED, Refused

#: Messages of a page.
PAGE, PAGE_MAX = 100, 1_000
#: A page with more bytes or characters of content is put together in a thread.
LARGE = 262_144

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
    app = app_of(request, site)
    wanted = history_range(query_of(request), PAGE, PAGE_MAX)
    member = None
    if not has_master_key(request):
        require_key(request)
        given = Signature(signature or "", signature_ts or "", nonce or "")
        member = await _member(request, site, app, conversation_id, client_id or "", given)
    found = await site.engine.history.long_page(app, conversation_id, wanted, member=member)
    large = sum(len(message.content) for message in found) > LARGE
    body = await asyncio.to_thread(_encode, conversation_id, found) if large else _encode(conversation_id, found)
    return Response(body, media_type=MediaType.JSON, headers={"Cache-Control": "no-store"})


router = rest.router(messages)


async def _member(
    request: AnyRequest, site: Site, app: App, conversation_id: str, client: str, given: Signature
) -> str:
    """The client in whose name the history is read. Raises HttpError and Refused."""
    has_session = "X-LC-IM-Session-Token" in request.headers
    if has_session:
        client_of(request, site, app, client)
    await site.engine.signatures.check_history(app, client, conversation_id, given, has_session=has_session)
    if not client:
        raise wrong("client_id", "a string")
    if not site.engine.limits.allow(app, client, Operation.READ):
        raise Refused(CONVERSATION_API_QUOTA_EXCEEDED, f"at most {rate(app, Operation.READ)} such calls per minute")
    return client


def _encode(conversation_id: str, found: list[Message]) -> bytes:
    return msgspec.json.encode([message_record(conversation_id, message) for message in found])
