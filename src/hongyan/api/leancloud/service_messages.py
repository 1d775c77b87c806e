"""Messages of service conversations over HTTP (REST reference 3.7, S9 to S16). All with the master key."""

import asyncio
from typing import Any

from litestar import Request, delete, get, post, put
from litestar.params import FromPath

from hongyan.api.leancloud import parameters, rest
from hongyan.api.leancloud.credentials import app_of_master
from hongyan.api.leancloud.message_record import message_record
from hongyan.api.leancloud.service_conversations import PATH
from hongyan.api.site import CurrentSite
from hongyan.engine.values import Draft, Edit, Message, Stored

ONE = f"{PATH}/{{conversation_id:str}}"
CLIENTS_MAX = 20
#: Messages of a page.
PAGE, PAGE_MAX = 100, 1_000
#: Records made in the event loop; more are made in a thread.
LARGE = 100
PRIORITIES = frozenset({"high", "normal", "low"})
#: What a change of a message answers: older callers look for `result`.
CHANGED: dict[str, Any] = {"result": {}}

AnyRequest = Request[Any, Any, Any]
Id = FromPath[str]


@post(f"{ONE}/broadcasts", status_code=200)
async def broadcast(request: AnyRequest, site: CurrentSite, conversation_id: Id) -> dict[str, Any]:
    """S9: to all subscribers."""
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_of(request)
    sender = parameters.identity(values, "from_client")
    draft = Draft(parameters.content(values), push_data=parameters.text_or_object(values, "push"))
    service = await engine.services.target(app, conversation_id)
    return _sent(await engine.service_messages.broadcast(app, service, sender, draft))


@post(f"{ONE}/messages", status_code=200)
async def send(request: AnyRequest, site: CurrentSite, conversation_id: Id) -> dict[str, Any]:
    """S12: to some clients, subscribers or not."""
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_of(request)
    sender = parameters.identity(values, "from_client")
    clients = parameters.clients(values, "to_clients", CLIENTS_MAX)
    parameters.one_of(values, "priority", lambda word: word.lower() in PRIORITIES, "high, normal or low")
    draft = Draft(
        parameters.content(values),
        transient=parameters.flag(values, "transient"),
        push_data=parameters.text_or_object(values, "push_data"),
    )
    sync = not parameters.flag(values, "no_sync")
    service = await engine.services.target(app, conversation_id)
    return _sent(await engine.service_messages.send_alone(app, service, sender, clients, draft, sync=sync))


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
    sender, timestamp = parameters.identity(values, "from_client"), parameters.number(values, "timestamp")
    service = await engine.services.find(app, conversation_id)
    await engine.service_messages.delete(service, client, sender, message_id, timestamp)
    return {}


@get(f"{ONE}/subscribers/{{client:str}}/messages")
async def history(request: AnyRequest, site: CurrentSite, conversation_id: Id, client: Id) -> list[dict[str, Any]]:
    """S16: what one client has, its own words too, in the order in which it is walked."""
    app, engine = app_of_master(request, site), site.engine
    wanted = parameters.history_range(parameters.query_of(request), PAGE, PAGE_MAX)
    service = await engine.services.find(app, conversation_id)
    found = await engine.service_messages.page(service, client, wanted)

    def records() -> list[dict[str, Any]]:
        walked: list[Message] = found if wanted.newer else found[::-1]
        return [message_record(conversation_id, message, client) for message in walked]

    return await asyncio.to_thread(records) if len(found) > LARGE else records()


router = rest.router(broadcast, send, modify, recall, remove, history)


async def _change(
    request: AnyRequest, site: CurrentSite, conversation_id: str, message_id: str, *, recall: bool
) -> dict[str, Any]:
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_of(request)
    sender, timestamp = parameters.identity(values, "from_client"), parameters.number(values, "timestamp")
    draft = None if recall else Draft(parameters.content(values))
    clients = parameters.clients(values, "to_clients", CLIENTS_MAX) if "to_clients" in values else None
    service = await engine.services.find(app, conversation_id)
    edit = Edit(service.id, message_id, timestamp, draft)
    await engine.service_messages.edit(app, service, sender, edit, clients)
    return CHANGED


def _sent(place: Stored) -> dict[str, Any]:
    """Callers look for both forms (REST reference 3.3)."""
    answer = {"msg-id": place.id, "timestamp": place.timestamp}
    return {**answer, "result": answer}
