"""Messages to all clients of an app (REST reference 3.10, 3.11: G3 to G5). All with the master key."""

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath

from hongyan.api.leancloud import parameters, rest, sending
from hongyan.api.leancloud.credentials import app_of_master
from hongyan.api.leancloud.message_record import message_record
from hongyan.api.leancloud.parameters import named
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.budgets import Budget
from hongyan.engine.values import Draft

#: Broadcasts of a page.
PAGE, PAGE_MAX = 100, 1_000
OLD = ["/1.1/rtm/broadcast", "/1.1/rtm/broadcasts"]
PATHS = ["/1.2/rtm/broadcasts", *OLD]

AnyRequest = Request[Any, Any, Any]
Id = FromPath[str]


@post(PATHS, status_code=200, summary="Send a message to all clients of the app")
async def send(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """G3: in the name of a service conversation, to who is online at once, to others when they log in."""
    app, engine = app_of_master(request, site), site.engine
    values = await parameters.body_of(request)
    sender, conversation_id = sending.sender_of(values), parameters.text(values, "conv_id")
    draft = Draft(
        parameters.content(values),
        transient=parameters.flag(values, "transient"),
        push_data=sending.push_of(values),
    )
    valid_till = _end(site, values)
    service = await engine.services.target(app, conversation_id)
    sending.spend(site, app, Budget.BROADCAST)
    return sending.sent(await engine.broadcasts.send(app, service, sender, draft, valid_till))


@get(PATHS, summary="Broadcasts that are still told")
async def valid(request: AnyRequest, site: CurrentSite) -> Response[list[dict[str, Any]]]:
    """G5: those of a service conversation, the newest first (inferred)."""
    app, engine = app_of_master(request, site), site.engine
    asked = parameters.query_of(request)
    conversation_id = parameters.text(asked, "conv_id")
    limit, skip = parameters.size(asked, PAGE, PAGE_MAX), parameters.number(asked, "skip", 0)
    service = await engine.services.find(app, conversation_id)
    found = [each for each in engine.broadcasts.valid(app.key) if each.conversation_id == service.id][::-1]
    records = [
        {**message_record(service.id, each.message), "valid_till": each.valid_till}
        for each in found[skip : skip + limit]
    ]
    return Response(records, headers={"Cache-Control": "no-store"})


@delete([f"{path}/{{message_id:str}}" for path in PATHS], status_code=200, summary="Delete a broadcast")
async def remove(request: AnyRequest, site: CurrentSite, message_id: Id) -> dict[str, Any]:
    """G4: who has not heard it never will."""
    await site.engine.broadcasts.delete(app_of_master(request, site), message_id)
    return {}


@delete(OLD, status_code=200, summary="Delete a broadcast")
async def old_remove(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    app = app_of_master(request, site)
    values = await parameters.body_or_query(request)
    await site.engine.broadcasts.delete(app, parameters.identity(values, named(values, "mid", "msg_id")))
    return {}


router = rest.router(send, valid, remove, old_remove)


def _end(site: Site, values: parameters.Values) -> int | None:
    """Until when it is told; a time that is over is a mistake. Raises HttpError."""
    if values.get("valid_till") is None:
        return None
    end = parameters.number(values, "valid_till")
    if end <= site.engine.clock.now():
        raise parameters.wrong("valid_till", "a time to come, in milliseconds")
    return end
