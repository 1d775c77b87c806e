"""Who is silenced in a conversation, for an app's own server (REST reference 3.8, P1 and P2)."""

from typing import Any

from litestar import Request, delete, get, post

from hongyan.api.leancloud import rest
from hongyan.api.leancloud.credentials import app_of_master
from hongyan.api.leancloud.parameters import body_of, body_or_query, number, size, text, texts
from hongyan.api.leancloud.rest import ConversationId, call_on, paths
from hongyan.api.site import CurrentSite

PAGE, PAGE_MAX = 10, 100
_TEMPORARY = paths("temporary-silenceds")
_PERMANENT = paths("permanent-silenceds")
#: The silence for a time by its older name, which says something else.
_LEGACY = "/1.1/rtm/conversation/blacklist"

AnyRequest = Request[Any, Any, Any]


@post(_TEMPORARY, status_code=200)
async def silence_for_a_time(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    """A client's messages are refused for `ttl` seconds."""
    app, given = await call_on(request, site, conversation_id)
    clients, seconds = [text(given, "client_id")], number(given, "ttl")
    await site.engine.silence.impose(app, None, conversation_id, clients, _done, seconds)
    return {}


@delete(_TEMPORARY, status_code=200)
async def lift_early(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    app, given = await call_on(request, site, conversation_id)
    clients = [text(given, "client_id")]
    await site.engine.silence.lift(app, None, conversation_id, clients, _done, for_ever=False)
    return {}


@post(_PERMANENT, status_code=200)
async def silence(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    app, given = await call_on(request, site, conversation_id)
    clients = texts(given, "client_ids")
    await site.engine.silence.impose(app, None, conversation_id, clients, _done)
    return {}


@delete(_PERMANENT, status_code=200)
async def lift(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    app, given = await call_on(request, site, conversation_id)
    clients = texts(given, "client_ids")
    await site.engine.silence.lift(app, None, conversation_id, clients, _done, for_ever=True)
    return {}


@get(_PERMANENT)
async def silenced(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    """`next` comes with a page when there is another, and is given back to get it."""
    app, given = await call_on(request, site, conversation_id)
    limit, skip = size(given, PAGE, PAGE_MAX), number(given, "next", 0)
    found, more = await site.engine.silence.page(app, None, conversation_id, limit, skip, for_ever=True)
    return {"client_ids": found} if more is None else {"client_ids": found, "next": str(more)}


@post(_LEGACY, status_code=200)
async def silence_of_old(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """A client's messages are refused for `ttl` seconds, in any kind of conversation."""
    app, given = app_of_master(request, site), await body_of(request)
    conversation, clients, seconds = text(given, "conv_id"), [text(given, "client_id")], number(given, "ttl")
    await site.engine.silence.impose(app, None, conversation, clients, _done, seconds)
    return {}


@delete(_LEGACY, status_code=200)
async def lift_of_old(request: AnyRequest, site: CurrentSite) -> dict[str, Any]:
    """Lift such a silence early."""
    app, given = app_of_master(request, site), await body_or_query(request)
    conversation, clients = text(given, "conv_id"), [text(given, "client_id")]
    await site.engine.silence.lift(app, None, conversation, clients, _done, for_ever=False)
    return {}


def _done(_: str, __: tuple[str, ...]) -> None:
    """The answer names nobody."""


router = rest.router(silence_for_a_time, lift_early, silence, lift, silenced, silence_of_old, lift_of_old)
