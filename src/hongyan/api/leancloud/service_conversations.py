"""Who has subscribed to service conversations (REST reference 3.7: S5 to S8, U4, and their older names of 3.11).

All with the master key.
"""

from collections.abc import Sequence
from typing import Any

from litestar import MediaType, Request, Response, delete, get, post
from litestar.params import FromPath

from hongyan.api.leancloud import parameters, rest
from hongyan.api.leancloud.credentials import app_of_master
from hongyan.api.leancloud.parameters import Values
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.conversations import Members
from hongyan.engine.values import App, Conversation, Subscription

PATH = "/1.2/rtm/service-conversations"
#: Subscribers of one answer.
SUBSCRIBERS_MAX = 50
#: Subscriptions of one answer, unless asked otherwise.
SUBSCRIPTIONS, SUBSCRIPTIONS_MAX = 50, 1_000
#: A text that no id comes after.
LAST_ID = "\U0010ffff"
#: In which direction subscriptions are walked.
DIRECTIONS = frozenset({"new", "old"})
LEGACY, LEGACY_SUBSCRIBERS = "/1.1/rtm/conversation/subscription", "/1.1/rtm/conversation/subscribers"

AnyRequest = Request[Any, Any, Any]
Id = FromPath[str]


@post(f"{PATH}/{{conversation_id:str}}/subscribers", status_code=200)
async def subscribe(request: AnyRequest, site: CurrentSite, conversation_id: Id) -> dict[str, Any]:
    """S5: nothing happens to who has subscribed already."""
    app, services = app_of_master(request, site), site.engine.services
    client = parameters.identity(await parameters.body_of(request), "client_id")
    await services.subscribe(app, await services.find(app, conversation_id), client, "", _ignore)
    return {}


@delete(f"{PATH}/{{conversation_id:str}}/subscribers/{{client:str}}", status_code=200)
async def unsubscribe(request: AnyRequest, site: CurrentSite, conversation_id: Id, client: Id) -> dict[str, Any]:
    """S6: nothing happens to who has not subscribed."""
    app, services = app_of_master(request, site), site.engine.services
    parameters.identity({"client": client}, "client")
    await services.unsubscribe(await services.find(app, conversation_id), client, "", _ignore)
    return {}


@get(f"{PATH}/{{conversation_id:str}}/subscribers")
async def subscribers(request: AnyRequest, site: CurrentSite, conversation_id: Id) -> list[dict[str, Any]]:
    """S7: a page of those after `client_id`, by client id."""
    app = app_of_master(request, site)
    return await _subscribers(site, app, conversation_id, parameters.query_of(request))


@get(f"{PATH}/{{conversation_id:str}}/subscribers/count")
async def count(request: AnyRequest, site: CurrentSite, conversation_id: Id) -> dict[str, int]:
    """S8: how many have subscribed."""
    app, services = app_of_master(request, site), site.engine.services
    return {"count": await services.count(await services.find(app, conversation_id))}


@get("/1.2/rtm/clients/{client:str}/service-conversations")
async def subscribed_by(request: AnyRequest, site: CurrentSite, client: Id) -> list[dict[str, Any]]:
    """U4: to what a client has subscribed, by the time of that."""
    app = app_of_master(request, site)
    return await _subscriptions(site, app, client, parameters.query_of(request))


# by their older names


@post(LEGACY, status_code=200)
async def subscribe_of_old(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """S5."""
    app, values = app_of_master(request, site), await parameters.body_of(request)
    service = await _service(site, app, values)
    await site.engine.services.subscribe(app, service, parameters.identity(values, "client_id"), "", _ignore)
    return {}


@delete(LEGACY, status_code=200)
async def unsubscribe_of_old(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """S6."""
    app, values = app_of_master(request, site), await parameters.body_or_query(request)
    service = await _service(site, app, values)
    await site.engine.services.unsubscribe(service, parameters.identity(values, "client_id"), "", _ignore)
    return {}


@get(LEGACY)
async def subscriptions_of_old(request: AnyRequest, site: CurrentSite) -> list[dict[str, Any]]:
    """U4."""
    app, asked = app_of_master(request, site), parameters.query_of(request)
    return await _subscriptions(site, app, parameters.identity(asked, "client_id"), asked)


@get(LEGACY_SUBSCRIBERS)
async def subscribers_of_old(request: AnyRequest, site: CurrentSite) -> list[dict[str, Any]]:
    """S7."""
    app, asked = app_of_master(request, site), parameters.query_of(request)
    return await _subscribers(site, app, parameters.text(asked, "conv_id"), asked)


@get(f"{LEGACY_SUBSCRIBERS}/count")
async def count_of_old(request: AnyRequest, site: CurrentSite) -> dict[str, int]:
    """S8."""
    app = app_of_master(request, site)
    return {"count": await site.engine.services.count(await _service(site, app, parameters.query_of(request)))}


@get("/1.1/rtm/conversation/subscribed")
async def is_subscribed(request: AnyRequest, site: CurrentSite) -> Response[bytes]:
    """Whether a client has subscribed: a bare `true` or `false`."""
    app, asked = app_of_master(request, site), parameters.query_of(request)
    service = await _service(site, app, asked)
    found = await site.engine.services.is_subscribed(service, parameters.identity(asked, "client_id"))
    return Response(b"true" if found else b"false", media_type=MediaType.JSON)


router = rest.router(
    subscribe,
    unsubscribe,
    subscribers,
    count,
    subscribed_by,
    subscribe_of_old,
    unsubscribe_of_old,
    subscriptions_of_old,
    subscribers_of_old,
    count_of_old,
    is_subscribed,
)


async def _service(site: Site, app: App, values: Values) -> Conversation:
    """The service conversation that a call names. Raises HttpError and Refused."""
    return await site.engine.services.find(app, parameters.text(values, "conv_id"))


async def _subscribers(site: Site, app: App, conversation_id: str, asked: Values) -> list[dict[str, Any]]:
    services = site.engine.services
    limit = min(parameters.number(asked, "limit", SUBSCRIBERS_MAX), SUBSCRIBERS_MAX)
    after = asked.get("client_id", "")
    found = await services.subscribers(await services.find(app, conversation_id), after, limit)
    return [
        {"timestamp": subscriber.since, "subscriber": subscriber.client, "conv_id": conversation_id}
        for subscriber in found
    ]


async def _subscriptions(site: Site, app: App, client: str, asked: Values) -> list[dict[str, Any]]:
    """A page of what comes after the one that is named by its id and time. Raises HttpError."""
    direction = asked.get("direction", "new")
    if direction not in DIRECTIONS:
        raise parameters.wrong("direction", "new or old")
    limit = parameters.size(asked, SUBSCRIPTIONS, SUBSCRIPTIONS_MAX)
    after = None
    if "conv_id" in asked or "timestamp" in asked:
        # of a time alone: what comes after all of that time
        last = "" if direction == "old" else LAST_ID
        after = Subscription(parameters.number(asked, "timestamp"), asked.get("conv_id") or last)
    found: Sequence[Subscription] = await site.engine.services.subscribed(
        app, client, after, limit, newest_first=direction == "old"
    )
    return [{"timestamp": each.since, "subscriber": client, "conv_id": each.conversation_id} for each in found]


def _ignore(_: Members) -> None:
    """The answer says nothing of it."""
