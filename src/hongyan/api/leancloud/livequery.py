"""Subscribing to changes of conversations (reference 8.5). What happens is told on the websocket, to the id."""

import json
from typing import Any

from litestar import Request, Router, post

from hongyan.api.errors import HttpError
from hongyan.api.leancloud.credentials import AnyRequest, app_of, client_of, has_key, has_master_key
from hongyan.api.site import CurrentSite, Site
from hongyan.engine import conditions, json_text
from hongyan.engine.limits import Operation, rate
from hongyan.engine.live_subscriptions import Authority, Reader, Wish
from hongyan.engine.values import App
from hongyan.errors import CONVERSATION_API_QUOTA_EXCEEDED, CONVERSATION_QUERY_FAILED, Refused

CLASS = "_Conversation"
#: REST reference 1.7.
UNKNOWN_CLASS = 101
BODY_MAX = 65_536
WHERE_MAX = 8_192
KEYS_MAX = 100
KEYS_LENGTH_MAX = 4_096


@post("/1.1/LiveQuery/subscribe", status_code=200)
async def subscribe(request: Request[Any, Any, Any], site: CurrentSite) -> dict[str, str]:
    """`{query: {className, where, keys}, id}` → `{id, query_id}`. Without an id it is given one."""
    app, reader = _caller(request, site)
    body = await _body(request)
    wish, id = _wish(body), _text(body, "id")
    _check_rate(site, app, reader, id)
    told, query_id = await site.engine.live_queries.subscribe(app, reader, id, wish)
    return {"id": told, "query_id": query_id}


@post("/1.1/LiveQuery/unsubscribe", status_code=200)
async def unsubscribe(request: Request[Any, Any, Any], site: CurrentSite) -> dict[str, str]:
    """`{id, query_id}` → `{}`, also if there is no such subscription."""
    app, reader = _caller(request, site)
    body = await _body(request)
    id, query_id = _text(body, "id"), _text(body, "query_id")
    if id is None or query_id is None:
        raise HttpError(400, "`id` and `query_id` are needed.")
    site.engine.live_queries.unsubscribe(app, reader, id, query_id)
    return {}


router = Router("/", route_handlers=[subscribe, unsubscribe])


def _caller(request: AnyRequest, site: Site) -> tuple[App, Reader]:
    """The app, and by what right it reads conversations (REST reference 2.1). Raises HttpError and Refused."""
    app = app_of(request, site)
    if has_master_key(request):
        return app, Reader(Authority.MASTER)
    if "X-LC-IM-Session-Token" in request.headers:
        client_id = request.query_params.get("client_id")
        if not client_id:
            raise HttpError(400, "The parameter `client_id` is missing.")
        return app, Reader(Authority.CLIENT, client_of(request, site, app, client_id))
    if not has_key(request, app):
        raise HttpError(401, "The header `X-LC-Key` is missing.")
    if not app.settings.conversation_read:
        raise HttpError(
            403,
            f"The class {CLASS} is closed: use the master key, or the session token of a client, which sees its own. "
            "The operator can open it with the app setting `conversation_read`.",
        )
    return app, Reader(Authority.KEY)


def _check_rate(site: Site, app: App, reader: Reader, id: str | None) -> None:
    """Whoever has the master key may do as much as it likes."""
    if reader.authority is Authority.MASTER:
        return
    who = reader.client or f"LiveQuery id {id}"
    if not site.engine.limits.allow(app, who, Operation.OTHER):
        raise Refused(CONVERSATION_API_QUOTA_EXCEEDED, f"at most {rate(app, Operation.OTHER)} such calls per minute")


async def _body(request: AnyRequest) -> dict[str, Any]:
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > BODY_MAX:
            raise HttpError(413, f"The body has at most {BODY_MAX} bytes.")
    try:
        body = json_text.parse(raw.decode("utf-8"))
    except ValueError:
        raise HttpError(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise HttpError(400, "The body is not a JSON object.")
    return body


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if not isinstance(value, str | None):
        raise HttpError(400, f"`{name}` is not a string.")
    return value


def _wish(body: dict[str, Any]) -> Wish:
    query = body.get("query")
    if not isinstance(query, dict):
        raise HttpError(400, "`query` is not an object.")
    if query.get("className") != CLASS:
        raise HttpError(404, f"Only the class {CLASS} can be subscribed to.", code=UNKNOWN_CLASS)
    where = _where(query.get("where"))
    return Wish(where, conditions.parse(where), _keys(query.get("keys")))


def _where(given: Any) -> str:
    """The condition as text with its keys in order, so that the same one is known again; Java sends text."""
    if isinstance(given, str):
        try:
            given = json_text.parse(given) if given else None
        except ValueError:
            raise Refused(CONVERSATION_QUERY_FAILED, "where is not JSON") from None
    text = json.dumps({} if given is None else given, ensure_ascii=False, sort_keys=True)
    if len(text) > WHERE_MAX:
        raise Refused(CONVERSATION_QUERY_FAILED, f"where has at most {WHERE_MAX} characters")
    return text


def _keys(given: Any) -> tuple[str, ...]:
    """A list, or its items in one text, with commas between."""
    items = given.split(",") if isinstance(given, str) else [] if given is None else given
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise HttpError(400, "`keys` is not a list of strings.")
    keys = tuple(dict.fromkeys(stripped for item in items if (stripped := item.strip())))
    if len(keys) > KEYS_MAX or sum(map(len, keys)) > KEYS_LENGTH_MAX:
        raise HttpError(400, f"`keys` has at most {KEYS_MAX} keys of {KEYS_LENGTH_MAX} characters together.")
    return keys
