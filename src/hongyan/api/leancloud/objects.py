"""What the calls on classes share: rows as they are answered, and what a query asks (REST reference 3.13)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from litestar import Response, Router
from litestar.handlers import HTTPRouteHandler

from hongyan.api.leancloud import scans
from hongyan.api.leancloud.keys import Keys
from hongyan.api.leancloud.parameters import DIGITS
from hongyan.engine import objects
from hongyan.engine.conditions import Condition, Every
from hongyan.engine.query import Query
from hongyan.engine.values import ObjectRow, iso_time

#: Bytes of a call's body: twice what an object may have, as what is longer would only hold others up.
BODY_MAX = 2 * objects.SIZE_MAX
#: Rows made in the event loop; more are made in a thread.
LARGE = 100


def router(*handlers: HTTPRouteHandler) -> Router:
    return Router("/", route_handlers=handlers, request_max_body_size=BODY_MAX)


def row_of(row: ObjectRow, values: Mapping[str, Any]) -> dict[str, Any]:
    """An object as it is answered, with those values that the caller may see."""
    return {
        **values,
        "objectId": row.id,
        "createdAt": iso_time(row.created_at),
        "updatedAt": iso_time(row.updated_at),
    }


def created(path: str, row: ObjectRow, values: Mapping[str, Any]) -> Response[dict[str, Any]]:
    """201, with where the object is."""
    body = {"objectId": row.id, "createdAt": iso_time(row.created_at), **values}
    return Response(body, status_code=201, headers={"Location": f"{path}/{row.id}"})


def updated(row: ObjectRow) -> dict[str, Any]:
    return {"objectId": row.id, "updatedAt": iso_time(row.updated_at)}


def wants_row(asked: Mapping[str, Any]) -> bool:
    """Whether a write is to answer the whole object."""
    return "true" in (asked.get("new"), asked.get("fetchWhenSave"))


async def found(
    asked: Mapping[str, Any],
    find: Callable[[Query], Awaitable[list[ObjectRow]]],
    count: Callable[[Condition], Awaitable[int]],
    shown: Callable[[ObjectRow], Mapping[str, Any]],
) -> dict[str, Any]:
    """The answer to a query: `{results}`, and `count` if it was asked for."""
    limit, skip = _whole(asked.get("limit")), _whole(asked.get("skip"))
    where, order = str(asked.get("where", "")), str(asked.get("order", ""))
    wanted = await asyncio.to_thread(objects.parse_query, where, order, limit, skip)
    answer: dict[str, Any] = {"results": await _results(asked, await find(wanted), shown)}
    if asked.get("count") in ("1", "true"):
        answer["count"] = await count(wanted.condition)
    return answer


async def scanned(
    asked: Mapping[str, Any],
    now: int,
    find: Callable[[Query], Awaitable[list[ObjectRow]]],
    shown: Callable[[ObjectRow], Mapping[str, Any]],
) -> dict[str, Any]:
    """A page of all objects in the order of one key; `cursor` is null with the last page."""
    place = scans.place(asked, now, objects.READ_ONLY.__contains__)
    limit, where = _whole(asked.get("limit")) or None, str(asked.get("where", ""))
    wanted = await asyncio.to_thread(objects.parse_query, where, place.order, limit, None)
    rows = await find(replace(wanted, condition=Every((wanted.condition, place.beyond))))
    is_last = len(rows) < wanted.limit
    cursor = None if is_last else place.cursor(row_of(rows[-1], {})[place.key], now)
    return {"results": await _results(asked, rows, shown), "cursor": cursor}


async def _results(
    asked: Mapping[str, Any], rows: list[ObjectRow], shown: Callable[[ObjectRow], Mapping[str, Any]]
) -> list[dict[str, Any]]:
    keys = Keys(str(asked.get("keys", "")))

    def results() -> list[dict[str, Any]]:
        return [keys.show(row_of(row, shown(row))) for row in rows]

    return await asyncio.to_thread(results) if len(rows) > LARGE else results()


def _whole(given: Any) -> int | None:
    """A whole number, as text or not; what is none counts as not given (REST reference 3.2)."""
    text = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else None
