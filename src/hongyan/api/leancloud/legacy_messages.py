"""Messages by the older calls, which LeanCloud's server SDKs still make (REST reference 3.11)."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post, put
from litestar.params import QueryParameter

from hongyan import errors
from hongyan.api.leancloud import parameters, rest, sending, service_messages
from hongyan.api.leancloud.archive import archived_page
from hongyan.api.leancloud.credentials import app_of, app_of_master, has_master_key
from hongyan.api.leancloud.message_record import PADDING
from hongyan.api.leancloud.messages import PAGE, PAGE_MAX, page, reader
from hongyan.api.leancloud.parameters import identity, named, number, text, wrong
from hongyan.api.leancloud.sending import CLIENTS_MAX
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.budgets import Budget
from hongyan.engine.history import check_reader
from hongyan.engine.signatures import Signature
from hongyan.engine.values import App, Conversation, ConversationKind, Draft, Edit, HistoryRange, Priority
from hongyan.errors import Refused

AnyRequest = Request[Any, Any, Any]
Text = Annotated[str | None, QueryParameter()]
Answer = Response[bytes] | list[dict[str, Any]]
#: Characters of the id of what a service conversation is to one client.
STREAM_ID = 32

_SERVICE = ConversationKind.SERVICE


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation; `client`: what it is to this one alone, of a service conversation."""

    conversation: Conversation
    client: str | None


@post("/1.1/rtm/messages", status_code=200, summary="Send a message")
async def send(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """To a conversation of any kind, in a service conversation to `to_peers`. Transient unless it says so."""
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_of(request)
    sender = sending.sender_of(values, "from_peer", "from_client")
    conversation_id = text(values, "conv_id")
    draft = sending.draft_of(values, sending.source_of(request, site), transient=True, default=Priority.HIGH)
    sync = not parameters.flag(values, "no_sync")
    conversation = await engine.app_messages.target(app, conversation_id)
    if conversation.kind is not _SERVICE:
        sending.spend(site, app, Budget.SEND)
        return sending.sent(await engine.app_messages.send(app, conversation, sender, draft, sync=sync))
    clients = parameters.clients(values, named(values, "to_peers", "to_clients"), CLIENTS_MAX)
    sending.spend(site, app, Budget.SEND)
    return sending.sent(await engine.service_messages.send_alone(app, conversation, sender, clients, draft, sync=sync))


@get("/1.1/rtm/messages/history", summary="History of a conversation, of a sender or of the app")
async def history(
    request: AnyRequest,
    site: CurrentSite,
    nonce: Text = None,
    signature_ts: Text = None,
    signature: Text = None,
) -> Answer:
    """Without the master key of one conversation only, in the name of `peerid`."""
    app, asked = app_of(request, site), parameters.query_of(request)
    if has_master_key(request):
        return await _history(site, app, asked)
    given = Signature(signature or "", signature_ts or "", nonce or "")
    conversation_id, name = text(asked, "convid"), named(asked, "peerid", "client_id")
    client = await reader(request, site, app, conversation_id, asked.get(name, ""), given, name)
    return await _history(site, app, asked, client)


@get("/1.1/rtm/messages/logs", summary="History of a conversation, of a sender or of the app")
async def logs(request: AnyRequest, site: CurrentSite) -> Answer:
    return await _history(site, app_of_master(request, site), parameters.query_of(request))


@delete("/1.1/rtm/messages/logs", status_code=200, summary="Delete a message from the history")
async def remove(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """Who has the message keeps it."""
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_or_query(request)
    message_id, timestamp = identity(values, "msgid"), number(values, "timestamp")
    sender = sending.sender_of(values, "from", "from_peer", "from_client")
    place = await _place(site, app, text(values, "convid"))
    if place.client is None:
        await engine.app_messages.delete(place.conversation, sender, message_id, timestamp)
    else:
        await engine.service_messages.delete(place.conversation, place.client, sender, message_id, timestamp)
    return {}


@put("/1.1/rtm/messages/logs", summary="Put other content into the history")
async def rewrite(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """The body is a record as history has it. `data` takes the place of what is kept; nobody is told."""
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_of(request)
    message_id, timestamp = identity(values, "msg-id"), number(values, "timestamp")
    sender, content = sending.sender_of(values, "from"), _content(values)
    place = await _place(site, app, text(values, named(values, "conv-id", "to", "convid")))
    conversation = place.conversation
    if place.client is not None:
        (conversation,) = await engine.streams.of_clients(place.conversation, [place.client])
    await engine.app_messages.rewrite(app, conversation, sender, message_id, timestamp, content)
    return {}


@post("/1.1/rtm/patch/message", status_code=200, summary="Edit or recall a message")
async def patch(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_of(request)
    sender = sending.sender_of(values, "from_peer", "from_client")
    message_id, timestamp = identity(values, "msg_id"), number(values, "timestamp")
    is_recall = parameters.flag(values, "recall")
    draft = None if is_recall else Draft(parameters.content(values))
    clients = _some_clients(values)
    conversation = await engine.access.conversation(app, text(values, "conv_id"))
    edit = Edit(conversation.id, message_id, timestamp, draft)
    if conversation.kind is _SERVICE:
        return await service_messages.change(request, site, app, conversation, sender, edit, clients)
    sending.spend(site, app, Budget.SEND)
    await engine.app_messages.edit(app, conversation, sender, edit, sending.source_of(request, site))
    return sending.CHANGED


@post("/1.1/rtm/broadcast/subscriber", status_code=200, summary="Send a message to all subscribers")
async def tell_subscribers(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    app = app_of_master(request, site)
    values = await parameters.body_of(request)
    return await service_messages.tell_subscribers(request, site, app, text(values, "conv_id"), values)


router = rest.router(send, history, logs, remove, rewrite, patch, tell_subscribers)


async def _history(site: Site, app: App, asked: Mapping[str, Any], client: str | None = None) -> Answer:
    """Of a conversation (`convid`), of a sender (`from`) or of the whole app; `client`: in whose name, None: anybody's.

    Raises HttpError and Refused.
    """
    engine, wanted = site.engine, parameters.history_range(asked, PAGE, PAGE_MAX)
    if "convid" in asked:
        return await _of_conversation(site, app, await _place(site, app, text(asked, "convid"), client), client, wanted)
    if "from" in asked:
        return await archived_page(await engine.archive.of_author(app, identity(asked, "from"), wanted))
    return await archived_page(await engine.archive.of_app(app, wanted))


async def _of_conversation(site: Site, app: App, place: Place, client: str | None, wanted: HistoryRange) -> Answer:
    engine, conversation = site.engine, place.conversation
    if client is not None:
        check_reader(conversation, client)
        if place.client not in (None, client):
            raise Refused(errors.CONVERSATION_LOG_REJECTED, "what is another client's")
    whose = place.client or client
    if conversation.kind is _SERVICE and whose is not None:
        found = await engine.history.of_client(app, conversation, whose, wanted)
        return await service_messages.records(found, conversation.id, whose, wanted)
    messages = await engine.history.long_page(app, conversation, wanted)
    return await page([(message, conversation.id, "") for message in messages])


async def _place(site: Site, app: App, given: str, client: str | None = None) -> Place:
    """A conversation by its id, or by what records call it: `conv-id` (REST reference 2.5). `client`: who asks.

    Raises Refused(CONVERSATION_NOT_FOUND).
    """
    engine = site.engine
    if len(given) != STREAM_ID:
        return Place(await engine.access.conversation(app, given), None)
    if given.endswith(PADDING):
        return Place(await engine.access.conversation(app, given.removesuffix(PADDING)), None)
    found = await engine.archive.stream_of(app, given, client)
    if found is None:
        raise Refused(errors.CONVERSATION_NOT_FOUND, "unknown conversation")
    return Place(await engine.services.find(app, found[0]), found[1])


def _content(values: parameters.Values) -> str | bytes:
    """What a record has in `data`. Raises HttpError."""
    data = parameters.content(values, "data")
    if not parameters.flag(values, "bin"):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error):
        raise wrong("data", "base64, as `bin` is true") from None


def _some_clients(values: parameters.Values) -> list[str] | None:
    """`to_peers`, an array or a text with commas, of which what is too many is left out. Raises HttpError."""
    name = named(values, "to_peers", "to_clients")
    given = values.get(name)
    if given is None:
        return None
    split = [part.strip() for part in given.split(",")] if isinstance(given, str) else given
    kept = split[:CLIENTS_MAX] if isinstance(split, list) else split
    return parameters.clients({name: kept}, name, CLIENTS_MAX)
