"""Messages of service conversations over HTTP (REST reference 3.7, S9 to S16). All with the master key."""

import asyncio
from typing import Any

from litestar import Request, delete, get, post, put
from litestar.params import FromPath

from hongyan.api.leancloud import parameters, rest, sending
from hongyan.api.leancloud.credentials import app_of_master
from hongyan.api.leancloud.message_record import message_record
from hongyan.api.leancloud.parameters import named
from hongyan.api.leancloud.sending import CLIENTS_MAX
from hongyan.api.leancloud.service_conversations import PATH
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.budgets import Budget
from hongyan.engine.values import App, Conversation, Draft, Edit, HistoryRange, Message

ONE = f"{PATH}/{{conversation_id:str}}"
#: Messages of a page.
PAGE, PAGE_MAX = 100, 1_000
#: Records made in the event loop; more are made in a thread.
LARGE = 100

AnyRequest = Request[Any, Any, Any]
Id = FromPath[str]


@post(f"{ONE}/broadcasts", status_code=200)
async def broadcast(request: AnyRequest, site: CurrentSite, conversation_id: Id) -> dict[str, Any]:
    """S9: to all subscribers."""
    app = app_of_master(request, site)
    return await tell_subscribers(request, site, app, conversation_id, await parameters.body_of(request))


@post(f"{ONE}/messages", status_code=200)
async def send(request: AnyRequest, site: CurrentSite, conversation_id: Id) -> dict[str, Any]:
    """S12: to some clients, subscribers or not."""
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_of(request)
    sender, draft = sending.sender_of(values), sending.draft_of(values, sending.source_of(request, site))
    clients = parameters.clients(values, named(values, "to_clients", "to_peers"), CLIENTS_MAX)
    sync = not parameters.flag(values, "no_sync")
    service = await engine.services.target(app, conversation_id)
    sending.spend(site, app, Budget.SEND)
    return sending.sent(await engine.service_messages.send_alone(app, service, sender, clients, draft, sync=sync))


@put(f"{ONE}/messages/{{message_id:str}}")
async def modify(request: AnyRequest, site: CurrentSite, conversation_id: Id, message_id: Id) -> dict[str, Any]:
    """S10: for all subscribers; S13: for the clients that were sent it."""
    return await _change(request, site, conversation_id, message_id, recall=False)


@put(f"{ONE}/messages/{{message_id:str}}/recall")
async def recall(request: AnyRequest, site: CurrentSite, conversation_id: Id, message_id: Id) -> dict[str, Any]:
    """S11, S14."""
    return await _change(request, site, conversation_id, message_id, recall=True)


@delete(f"{ONE}/subscribers/{{client:str}}/messages/{{message_id:str}}", status_code=200)
async def remove(
    request: AnyRequest, site: CurrentSite, conversation_id: Id, client: Id, message_id: Id
) -> dict[str, Any]:
    """S15: from one client's history; others keep a broadcast."""
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_or_query(request)
    sender, timestamp = sending.target_of(values)
    service = await engine.services.find(app, conversation_id)
    await engine.service_messages.delete(service, client, sender, message_id, timestamp)
    return {}


@get(f"{ONE}/subscribers/{{client:str}}/messages")
async def history(request: AnyRequest, site: CurrentSite, conversation_id: Id, client: Id) -> list[dict[str, Any]]:
    """S16: what one client has, its own words too, in the order in which it is walked."""
    app, engine = app_of_master(request, site), site.engine
    wanted = parameters.history_range(parameters.query_of(request), PAGE, PAGE_MAX)
    service = await engine.services.find(app, conversation_id)
    return await records(await engine.history.of_client(app, service, client, wanted), service.id, client, wanted)


router = rest.router(broadcast, send, modify, recall, remove, history)


async def records(
    found: list[Message], conversation_id: str, client: str, wanted: HistoryRange
) -> list[dict[str, Any]]:
    """What a client has of a service conversation, as an answer."""

    def made() -> list[dict[str, Any]]:
        walked = found if wanted.newer else found[::-1]
        return [message_record(conversation_id, message, client) for message in walked]

    return await asyncio.to_thread(made) if len(found) > LARGE else made()


async def tell_subscribers(
    request: AnyRequest, site: Site, app: App, conversation_id: str, values: parameters.Values
) -> dict[str, Any]:
    """A message to all subscribers. Raises HttpError and Refused."""
    sender = sending.sender_of(values)
    source = sending.source_of(request, site)
    draft = Draft(parameters.content(values), push_data=sending.push_of(values), source=source)
    service = await site.engine.services.target(app, conversation_id)
    sending.spend(site, app, Budget.SUBSCRIPTION)
    return sending.sent(await site.engine.service_messages.broadcast(app, service, sender, draft))


async def _change(
    request: AnyRequest, site: CurrentSite, conversation_id: str, message_id: str, *, recall: bool
) -> dict[str, Any]:
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_of(request)
    sender, timestamp = sending.target_of(values)
    draft = None if recall else Draft(parameters.content(values))
    name = named(values, "to_clients", "to_peers")
    clients = parameters.clients(values, name, CLIENTS_MAX) if name in values else None
    service = await engine.services.find(app, conversation_id)
    return await change(request, site, app, service, sender, Edit(service.id, message_id, timestamp, draft), clients)


async def change(
    request: AnyRequest, site: Site, app: App, service: Conversation, sender: str, edit: Edit, clients: list[str] | None
) -> dict[str, Any]:
    """Edit or recall what was said to all subscribers, to these clients, or edit a broadcast to all of the app."""
    engine = site.engine
    to_all = engine.broadcasts.find(app, service.id, edit.message_id) if clients is None and edit.draft else None
    if to_all is not None and edit.draft is not None:
        sending.spend(site, app, Budget.BROADCAST)
        await engine.broadcasts.edit(app, service, to_all, sender, edit.timestamp, edit.draft)
    else:
        sending.spend(site, app, Budget.SUBSCRIPTION if clients is None else Budget.SEND)
        await engine.service_messages.edit(app, service, sender, edit, clients, sending.source_of(request, site))
    return sending.CHANGED
