"""Blacklists of conversations and of clients, for the app's own server (REST reference 3.8: P5, P6)."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.params import FromPath, QueryParameter

from hongyan.api.errors import HttpError
from hongyan.api.leancloud.credentials import app_of_master
from hongyan.api.site import CurrentSite, Site
from hongyan.engine.blacklist import Page
from hongyan.engine.values import App, ConversationKind

KINDS = {
    "conversations": ConversationKind.NORMAL,
    "chatrooms": ConversationKind.CHATROOM,
    "service-conversations": ConversationKind.SERVICE,
}
OF_CONVERSATIONS = [f"/1.2/rtm/{name}/{{conversation_id:str}}/blacklists" for name in KINDS]
OF_CLIENTS = "/1.2/rtm/clients/{client_id:str}/blacklists"
#: Items of a page, and the digits of a place in a list.
LIMIT_DEFAULT, LIMIT_MAX, PLACE_DIGITS = 10, 1_000, 9

AnyRequest = Request[Any, Any, Any]
Text = str | None
Limit = Annotated[Text, QueryParameter(name="limit")]
Next = Annotated[Text, QueryParameter(name="next")]
ConversationId = Annotated[Text, QueryParameter(name="conv_id")]


# of conversations


@post(OF_CONVERSATIONS, status_code=200)
async def block(request: AnyRequest, site: CurrentSite, conversation_id: FromPath[str]) -> dict[str, Any]:
    app = _app(request, site)
    clients = _texts(await _body(request), "client_ids")
    await site.engine.blacklists.block(app, None, conversation_id, clients, _ignore, _kind(request))
    return {}


@delete(OF_CONVERSATIONS, status_code=200)
async def unblock(request: AnyRequest, site: CurrentSite, conversation_id: FromPath[str]) -> dict[str, Any]:
    app = _app(request, site)
    clients = _texts(await _body(request), "client_ids")
    await site.engine.blacklists.unblock(app, None, conversation_id, clients, _ignore, _kind(request))
    return {}


@get(OF_CONVERSATIONS)
async def blocked(
    request: AnyRequest, site: CurrentSite, conversation_id: FromPath[str], limit: Limit = None, next: Next = None
) -> Response[dict[str, Any]]:
    app = _app(request, site)
    start, size = _start(next), _limit(limit)
    found = await site.engine.blacklists.blocked(app, None, conversation_id, start, size, _kind(request))
    return _page("client_ids", found)


# of clients


@post(OF_CLIENTS, status_code=200)
async def refuse(request: AnyRequest, site: CurrentSite, client_id: FromPath[str]) -> dict[str, Any]:
    app = _app(request, site)
    conversation = _text(await _body(request), "conv_id")
    await site.engine.blacklists.refuse(app, client_id, [conversation], _done, by_system=True)
    return {}


@delete(OF_CLIENTS, status_code=200)
async def accept(
    request: AnyRequest, site: CurrentSite, client_id: FromPath[str], conv_id: ConversationId = None
) -> dict[str, Any]:
    app = _app(request, site)
    conversation = conv_id or _text(await _body(request), "conv_id")
    await site.engine.blacklists.accept(app, client_id, [conversation], _done, by_system=True)
    return {}


@get(OF_CLIENTS)
async def refused(
    request: AnyRequest, site: CurrentSite, client_id: FromPath[str], limit: Limit = None, next: Next = None
) -> Response[dict[str, Any]]:
    app = _app(request, site)
    start, size = _start(next), _limit(limit)
    return _page("conv_ids", await site.engine.blacklists.refused(app, client_id, start, size, by_system=True))


router = Router("/", route_handlers=[block, unblock, blocked, refuse, accept, refused])


def _app(request: AnyRequest, site: Site) -> App:
    if not site.ready:
        raise HttpError(503, "The server is starting or stopping.")
    return app_of_master(request, site)


def _kind(request: AnyRequest) -> ConversationKind:
    return KINDS[request.scope["path"].split("/")[3]]


async def _body(request: AnyRequest) -> dict[str, Any]:
    """The JSON object sent, also with `DELETE`."""
    try:
        body = msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise HttpError(400, "The body must be a JSON object.")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise HttpError(400, f"The parameter `{name}` must be a text.")
    return value


def _texts(body: dict[str, Any], name: str) -> list[str]:
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise HttpError(400, f"The parameter `{name}` must be a list of texts.")
    return value


def _limit(text: str | None) -> int:
    limit = LIMIT_DEFAULT if text is None else _number(text)
    if limit is None or not 1 <= limit <= LIMIT_MAX:
        raise HttpError(400, f"The parameter `limit` must be a number from 1 to {LIMIT_MAX}.")
    return limit


def _start(text: str | None) -> int:
    start = 0 if text is None else _number(text)
    if start is None:
        raise HttpError(400, "The parameter `next` must be what the page before it told.")
    return start


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= PLACE_DIGITS else None


def _page(name: str, page: Page) -> Response[dict[str, Any]]:
    """`next` is there only if there is more (inferred)."""
    more = {} if page.next is None else {"next": str(page.next)}
    return Response({name: list(page.items), **more}, headers={"Cache-Control": "no-store"})


def _ignore(_: object) -> None:
    """These calls answer nothing."""


def _done() -> None:
    """These calls answer nothing."""
