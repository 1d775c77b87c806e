"""The messages of conversations and chat rooms (REST reference 3.3 to 3.5: C11 to C15, R7 to R11)."""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, delete, get, post, put
from litestar.params import FromPath, QueryParameter

from hongyan.api.leancloud import parameters, rest, sending
from hongyan.api.leancloud.credentials import app_of, app_of_master, client_of, has_master_key, require_key
from hongyan.api.leancloud.message_record import message_record
from hongyan.api.leancloud.parameters import history_range, query_of, wrong
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.budgets import Budget
from hongyan.engine.history import check_reader
from hongyan.engine.limits import Operation, rate
from hongyan.engine.signatures import Signature
from hongyan.engine.values import App, Draft, Edit, Message
from hongyan.errors import CONVERSATION_API_QUOTA_EXCEEDED, Refused

#: Messages of a page.
PAGE, PAGE_MAX = 100, 1_000
#: A page with more bytes or characters of content is put together in a thread.
LARGE = 262_144
PATHS = rest.paths("messages", ("conversations", "chatrooms"))
ONE = rest.paths("messages/{message_id:str}", ("conversations", "chatrooms"))
RECALL = rest.paths("messages/{message_id:str}/recall", ("conversations", "chatrooms"))

AnyRequest = Request[Any, Any, Any]
Id = FromPath[str]
Text = Annotated[str | None, QueryParameter()]


@post(PATHS, status_code=200, summary="Send a message to a conversation or chat room")
async def send(request: AnyRequest, site: CurrentSite, conversation_id: Id) -> dict[str, Any]:
    """C11, R7: nothing is asked of the sender. It is on disk when this answers, unless it is transient."""
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_of(request)
    sender, draft = sending.sender_of(values), sending.draft_of(values, sending.source_of(request, site))
    sync = not parameters.flag(values, "no_sync")
    conversation = rest.check_kind(request, await engine.app_messages.target(app, conversation_id))
    sending.spend(site, app, Budget.SEND)
    return sending.sent(await engine.app_messages.send(app, conversation, sender, draft, sync=sync))


@get(PATHS, summary="History of a conversation or chat room")
async def messages(
    request: AnyRequest,
    site: CurrentSite,
    conversation_id: Id,
    client_id: Text = None,
    nonce: Text = None,
    signature_ts: Text = None,
    signature: Text = None,
) -> Response[bytes]:
    """C12, R8: messages in the order they are read in, the newest first unless `reversed`."""
    app = app_of(request, site)
    wanted = history_range(query_of(request), PAGE, PAGE_MAX)
    member = None
    if not has_master_key(request):
        given = Signature(signature or "", signature_ts or "", nonce or "")
        member = await reader(request, site, app, conversation_id, client_id or "", given)
    conversation = rest.check_kind(request, await site.engine.access.conversation(app, conversation_id))
    if member is not None:
        check_reader(conversation, member)
    found = await site.engine.history.long_page(app, conversation, wanted)
    return await page([(message, conversation_id, "") for message in found])


@put(ONE, summary="Edit a message")
async def modify(request: AnyRequest, site: CurrentSite, conversation_id: Id, message_id: Id) -> dict[str, Any]:
    """C13, R9: who is online is told, others when they come back."""
    app = app_of_master(request, site)
    values = await parameters.body_of(request)
    sender, timestamp = sending.target_of(values)
    edit = Edit(conversation_id, message_id, timestamp, Draft(parameters.content(values)))
    return await _change(request, site, app, sender, edit)


@put(RECALL, summary="Recall a message")
async def recall(request: AnyRequest, site: CurrentSite, conversation_id: Id, message_id: Id) -> dict[str, Any]:
    """C14, R10."""
    app = app_of_master(request, site)
    sender, timestamp = sending.target_of(await parameters.body_of(request))
    return await _change(request, site, app, sender, Edit(conversation_id, message_id, timestamp, None))


@delete(ONE, status_code=200, summary="Delete a message from the history")
async def remove(request: AnyRequest, site: CurrentSite, conversation_id: Id, message_id: Id) -> dict[str, Any]:
    """C15, R11: who has the message keeps it, and nobody is told."""
    app, engine = app_of_master(request, site), site.engine
    sender, timestamp = sending.target_of(await parameters.body_or_query(request))
    conversation = rest.check_kind(request, await engine.access.conversation(app, conversation_id))
    await engine.app_messages.delete(conversation, sender, message_id, timestamp)
    return {}


router = rest.router(send, messages, modify, recall, remove)


async def page(found: list[tuple[Message, str, str]]) -> Response[bytes]:
    """Messages as an answer, each with its conversation and, in a client's own stream, the id of that."""

    def encode() -> bytes:
        return msgspec.json.encode([message_record(where, message, stream=stream) for message, where, stream in found])

    large = sum(len(message.content) for message, _, _ in found) > LARGE
    body = await asyncio.to_thread(encode) if large else encode()
    return Response(body, media_type=MediaType.JSON, headers={"Cache-Control": "no-store"})


async def reader(
    request: AnyRequest,
    site: Site,
    app: App,
    conversation_id: str,
    client: str,
    given: Signature,
    name: str = "client_id",
) -> str:
    """The client in whose name the history is read without the master key, said by the parameter `name`.

    Raises HttpError and Refused.
    """
    require_key(request, app)
    has_session = "X-LC-IM-Session-Token" in request.headers
    if has_session:
        client_of(request, site, app, client)
    await site.engine.signatures.check_history(app, client, conversation_id, given, has_session=has_session)
    if not client:
        raise wrong(name, "a string")
    if not site.engine.limits.allow(app, client, Operation.READ):
        raise Refused(CONVERSATION_API_QUOTA_EXCEEDED, f"at most {rate(app, Operation.READ)} such calls per minute")
    return client


async def _change(request: AnyRequest, site: Site, app: App, sender: str, edit: Edit) -> dict[str, Any]:
    conversation = rest.check_kind(request, await site.engine.access.conversation(app, edit.conversation_id))
    sending.spend(site, app, Budget.SEND)
    await site.engine.app_messages.edit(app, conversation, sender, edit, sending.source_of(request, site))
    return sending.CHANGED
