"""Blacklists of conversations and of clients, for the app's own server (REST reference 3.8: P5, P6)."""

from typing import Any

from litestar import Response, delete, get, post
from litestar.params import FromPath

from hongyan.api.leancloud import rest
from hongyan.api.leancloud.credentials import AnyRequest, app_of_master
from hongyan.api.leancloud.parameters import Values, body_or_query, number, query_of, size, text, texts
from hongyan.api.leancloud.rest import ConversationId, call_on, paths
from hongyan.api.site import CurrentSite
from hongyan.engine.blacklist import Page

OF_CONVERSATIONS = paths("blacklists")
OF_CLIENTS = "/1.2/rtm/clients/{client_id:str}/blacklists"
#: Items of a page.
PAGE, PAGE_MAX = 10, 1_000

ClientId = FromPath[str]


# of conversations


@post(OF_CONVERSATIONS, status_code=200)
async def block(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    app, given = await call_on(request, site, conversation_id)
    await site.engine.blacklists.block(app, None, conversation_id, texts(given, "client_ids"), _ignore)
    return {}


@delete(OF_CONVERSATIONS, status_code=200)
async def unblock(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> dict[str, Any]:
    app, given = await call_on(request, site, conversation_id)
    await site.engine.blacklists.unblock(app, None, conversation_id, texts(given, "client_ids"), _ignore)
    return {}


@get(OF_CONVERSATIONS)
async def blocked(request: AnyRequest, site: CurrentSite, conversation_id: ConversationId) -> Response[dict[str, Any]]:
    app, given = await call_on(request, site, conversation_id)
    return _page("client_ids", await site.engine.blacklists.blocked(app, None, conversation_id, *_place(given)))


# of clients


@post(OF_CLIENTS, status_code=200)
async def refuse(request: AnyRequest, site: CurrentSite, client_id: ClientId) -> dict[str, Any]:
    app = app_of_master(request, site)
    conversation = text(await body_or_query(request), "conv_id")
    await site.engine.blacklists.refuse(app, client_id, [conversation], _done, by_system=True)
    return {}


@delete(OF_CLIENTS, status_code=200)
async def accept(request: AnyRequest, site: CurrentSite, client_id: ClientId) -> dict[str, Any]:
    app = app_of_master(request, site)
    conversation = text(await body_or_query(request), "conv_id")
    await site.engine.blacklists.accept(app, client_id, [conversation], _done, by_system=True)
    return {}


@get(OF_CLIENTS)
async def refused(request: AnyRequest, site: CurrentSite, client_id: ClientId) -> Response[dict[str, Any]]:
    app = app_of_master(request, site)
    place = _place(query_of(request))
    return _page("conv_ids", await site.engine.blacklists.refused(app, client_id, *place, by_system=True))


router = rest.router(block, unblock, blocked, refuse, accept, refused)


def _place(given: Values) -> tuple[int, int]:
    """Where a page begins, and its size."""
    return number(given, "next", 0), size(given, PAGE, PAGE_MAX)


def _page(name: str, page: Page) -> Response[dict[str, Any]]:
    """`next` is there only if there is more (inferred)."""
    more = {} if page.next is None else {"next": str(page.next)}
    return Response({name: list(page.items), **more}, headers={"Cache-Control": "no-store"})


def _ignore(_: object) -> None:
    """These calls answer nothing."""


def _done() -> None:
    """These calls answer nothing."""
