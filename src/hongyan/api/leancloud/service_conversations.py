"""Service conversations over HTTP: rows and subscribers (REST reference 3.7, S1 to S8). All with the master key."""

import asyncio
import json
from typing import Any

from litestar import Request, delete, get, post, put
from litestar.params import FromPath

from hongyan.api.errors import HttpError
from hongyan.api.leancloud import parameters, rest
from hongyan.api.leancloud.credentials import app_of_master
from hongyan.api.site import CurrentSite
from hongyan.engine import conditions, query
from hongyan.engine.conditions import Every, Predicate
from hongyan.engine.conversations import Members
from hongyan.engine.query import LIMIT_MAX, Query
from hongyan.engine.values import ConversationRow, iso_time

PATH = "/1.2/rtm/service-conversations"
#: Rows of one answer unless asked otherwise, and subscribers.
ROWS_DEFAULT, SUBSCRIBERS_MAX = 100, 50
#: May not be written here (REST reference 1.7).
READ_ONLY_KEY = 117

AnyRequest = Request[Any, Any, Any]
Id = FromPath[str]


@post(PATH, status_code=200)
async def create(request: AnyRequest, site: CurrentSite) -> dict[str, str]:
    """S1: `{objectId, createdAt}`."""
    app = app_of_master(request, site)
    values = await parameters.body_of(request)
    row = await site.engine.services.create(app, values)
    return {"objectId": row.id, "createdAt": iso_time(row.created_at)}


@get(PATH)
async def find(request: AnyRequest, site: CurrentSite) -> dict[str, list[dict[str, Any]]]:
    """S2: rows of service conversations only."""
    app = app_of_master(request, site)
    wanted = await asyncio.to_thread(_query, parameters.query_of(request))
    rows = await site.engine.conversations.query(app, "", wanted)
    return {"results": await asyncio.to_thread(lambda: [_row(row) for row in rows])}


@put(f"{PATH}/{{conversation_id:str}}")
async def update(request: AnyRequest, site: CurrentSite, conversation_id: Id) -> dict[str, str]:
    """S3: `{updatedAt, objectId}`."""
    app = app_of_master(request, site)
    values = await parameters.body_of(request)
    if "m" in values:
        raise HttpError(400, "The key `m` can't be written: clients subscribe.", READ_ONLY_KEY)
    updated_at = await site.engine.services.update(app, conversation_id, json.dumps(values))
    return {"updatedAt": iso_time(updated_at), "objectId": conversation_id}


@delete(f"{PATH}/{{conversation_id:str}}", status_code=200)
async def erase(request: AnyRequest, site: CurrentSite, conversation_id: Id) -> dict[str, Any]:
    """S4."""
    await site.engine.services.erase(app_of_master(request, site), conversation_id)
    return {}


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
    app, services = app_of_master(request, site), site.engine.services
    asked = parameters.query_of(request)
    limit = min(parameters.number(asked, "limit", SUBSCRIBERS_MAX), SUBSCRIBERS_MAX)
    after = asked.get("client_id", "")
    found = await services.subscribers(await services.find(app, conversation_id), after, limit)
    return [
        {"timestamp": subscriber.since, "subscriber": subscriber.client, "conv_id": conversation_id}
        for subscriber in found
    ]


@get(f"{PATH}/{{conversation_id:str}}/subscribers/count")
async def count(request: AnyRequest, site: CurrentSite, conversation_id: Id) -> dict[str, int]:
    """S8."""
    app, services = app_of_master(request, site), site.engine.services
    return {"count": await services.count(await services.find(app, conversation_id))}


router = rest.router(create, find, update, erase, subscribe, unsubscribe, subscribers, count)


def _ignore(_: Members) -> None:
    """The answer says nothing of it."""


def _query(asked: dict[str, Any]) -> Query:
    limit = _whole(asked.get("limit"))
    skip = _whole(asked.get("skip"))
    wanted = query.parse(
        "",
        asked.get("where", ""),
        sort=asked.get("order", ""),
        limit=limit if limit is not None and 1 <= limit <= LIMIT_MAX else ROWS_DEFAULT,
        skip=skip or 0,
        flag=query.COMPACT,
    )
    given = conditions.parse(asked.get("where", ""))
    only = Predicate(("sys",), "$eq", True)
    condition = only if given is None else Every((given, only))
    return Query(condition, wanted.sort, wanted.limit, wanted.skip, wanted.compact)


def _whole(given: str | None) -> int | None:
    return int(given) if given and given.isascii() and given.isdigit() and len(given) <= parameters.DIGITS else None


def _row(row: ConversationRow) -> dict[str, Any]:
    """As the class has it: without what depends on who asks."""
    answer: dict[str, Any] = {
        **row.columns,
        "objectId": row.id,
        "sys": True,
        "createdAt": iso_time(row.created_at),
        "updatedAt": iso_time(max(row.updated_at, row.last_message_at or 0)),
    }
    optional = {"c": row.creator or None, "name": row.name, "attr": row.attr}
    return answer | {key: value for key, value in optional.items() if value is not None}
