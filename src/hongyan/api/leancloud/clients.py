"""Clients, for the app's own server: who is online, what is unread, logging out, figures (U1 to U3, G1).

REST reference 3.9 to 3.11. With the master key, except unread counts, which need the app's key.
"""

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath

from hongyan.api.leancloud import parameters, rest
from hongyan.api.leancloud.credentials import app_of, app_of_master, require_key
from hongyan.api.leancloud.parameters import named
from hongyan.api.leancloud.sending import CLIENTS_MAX
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.values import App

REASON_MAX = 20
OLD = "/1.1/rtm"

AnyRequest = Request[Any, Any, Any]
Id = FromPath[str]


@post(
    ["/1.2/rtm/clients/check-online", "/1.2/rtm/clients/online-check", f"{OLD}/online"],
    status_code=200,
    summary="Who of these clients is online",
)
async def online(request: AnyRequest, site: CurrentSite) -> dict[str, list[str]]:
    """U1: unknown clients are offline."""
    app = app_of_master(request, site)
    values = await parameters.body_of(request)
    asked = parameters.clients(values, named(values, "client_ids", "peers"), CLIENTS_MAX)
    return {"results": site.engine.presence.online(app, asked)}


@get("/1.2/rtm/clients/{client:str}/unread-count", summary="How many messages a client has not read")
async def unread(request: AnyRequest, site: CurrentSite, client: Id) -> dict[str, int]:
    """U2: in the conversation `conv_id`, or in all."""
    asked = parameters.query_of(request)
    conversation_id = parameters.text(asked, "conv_id") if "conv_id" in asked else None
    return await _unread(request, site, client, conversation_id)


@get(f"{OLD}/messages/unread/{{client:str}}", summary="How many messages a client has not read")
async def unread_in_all(request: AnyRequest, site: CurrentSite, client: Id) -> dict[str, int]:
    return await _unread(request, site, client, None)


@get(
    f"{OLD}/messages/unread/{{client:str}}/{{conversation_id:str}}",
    summary="How many messages a client has not read in a conversation",
)
async def unread_in_one(request: AnyRequest, site: CurrentSite, client: Id, conversation_id: Id) -> dict[str, int]:
    return await _unread(request, site, client, conversation_id)


@post("/1.2/rtm/clients/{client:str}/kick", status_code=200, summary="Log a client out everywhere")
async def kick(request: AnyRequest, site: CurrentSite, client: Id) -> dict[str, Any]:
    """U3: what it logged in with is void from now on."""
    app = app_of_master(request, site)
    return await _kick(site, app, parameters.identity({"client": client}, "client"), await parameters.body_of(request))


@post(f"{OLD}/client/kick", status_code=200, summary="Log a client out everywhere")
async def old_kick(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    app = app_of_master(request, site)
    values = await parameters.body_of(request)
    return await _kick(site, app, parameters.identity(values, "client_id"), values)


@get(["/1.2/rtm/stats", f"{OLD}/stats"], summary="Figures of the app")
async def stats(request: AnyRequest, site: CurrentSite) -> dict[str, dict[str, int]]:
    """G1: clients online now, and all that have been today (UTC)."""
    app = app_of_master(request, site)
    today = await site.engine.visitors.today(app)
    return {"result": {"online_user_count": len(site.engine.presence.all(app)), "user_count_today": today}}


router = rest.router(online, unread, unread_in_all, unread_in_one, kick, old_kick, stats)


async def _unread(request: AnyRequest, site: Site, client: str, conversation_id: str | None) -> dict[str, int]:
    app = app_of(request, site)
    require_key(request, app)
    parameters.identity({"client": client}, "client")
    return {"count": await site.engine.unread.count(app, client, conversation_id)}


async def _kick(site: Site, app: App, client: str, values: parameters.Values) -> dict[str, Any]:
    reason = "" if values.get("reason") in (None, "") else parameters.text(values, "reason")
    if len(reason) > REASON_MAX:
        raise parameters.wrong("reason", f"a string of at most {REASON_MAX} characters")
    await site.engine.kicks.kick(app, client, reason)
    return {}
