"""Rows of the class `_Conversation`: asking for them, and how answers show them (REST reference 2.1, 3.13)."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from litestar import MediaType, Response

from hongyan.api.errors import HttpError
from hongyan.api.leancloud import parameters
from hongyan.api.leancloud.keys import Keys
from hongyan.api.leancloud.parameters import Values
from hongyan.api.site import Site
from hongyan.engine import conditions, query
from hongyan.engine.conditions import Condition, Predicate
from hongyan.engine.drafts import PERMISSIONS
from hongyan.engine.query import Query
from hongyan.engine.values import App, ConversationKind, ConversationRow, iso_time

#: What asks for a count.
COUNTING = frozenset({"1", "true"})
#: May not be written (REST reference 1.7), and those that the server alone writes.
READ_ONLY_KEY = 117
READ_ONLY = frozenset({"objectId", "createdAt", "updatedAt", "lm", "tr", "sys", "uniqueId", "c", "conv_type"})

Show = Callable[[dict[str, Any]], dict[str, Any]]


async def page(
    site: Site, app: App, caller: str | None, asked: Values, kind: ConversationKind | None
) -> Response[bytes]:
    """`{results}` of a query, with `count` if that is asked for; only rows of a kind, if one is given."""
    wanted, show = await asyncio.to_thread(parse, asked, kind)
    answer: dict[str, Any] = {"results": []}
    if asked.get("count") in COUNTING:
        answer["count"] = await site.engine.conversations.count(app, caller, wanted.condition)
    if "count" not in answer or asked.get("limit") != "0":
        answer["results"] = await site.engine.conversations.query(app, caller, wanted)
    return await rows_of(answer, show)


async def one(site: Site, app: App, caller: str | None, conversation_id: str) -> ConversationRow | None:
    """The row of an id."""
    found = await site.engine.conversations.query(app, caller, _by_id(conversation_id))
    return found[0] if found else None


def parse(asked: Values, kind: ConversationKind | None = None, only: Condition | None = None) -> tuple[Query, Show]:
    """The query, and what of each row is shown. Raises Refused(CONVERSATION_QUERY_FAILED)."""
    if kind is not None:
        only = Predicate(("conv_type",), "$eq", int(kind))
    keys = Keys(asked.get("keys", ""))
    wanted = query.of_rows(
        asked.get("where", ""),
        only=only,
        sort=asked.get("order", ""),
        limit=_whole(asked.get("limit")),
        skip=_whole(asked.get("skip")) or 0,
        compact=not keys.shows("m"),
    )
    return wanted, keys.show


def row_json(row: ConversationRow) -> dict[str, Any]:
    """A row as the class has it: without what depends on who asks; what is not set is left out."""
    answer: dict[str, Any] = {
        **row.columns,
        "objectId": row.id,
        "createdAt": iso_time(row.created_at),
        "updatedAt": iso_time(row.updated_at),
    }
    optional: dict[str, Any] = {
        "c": row.creator or None,
        "name": row.name,
        "attr": row.attr,
        "mu": list(row.muted_by) or None,
        "uniqueId": row.unique_id,
        "unique": True if row.unique_id else None,
    }
    if row.kind is ConversationKind.NORMAL:
        answer["m"] = list(row.members)
    elif row.kind is ConversationKind.CHATROOM:
        answer["tr"] = True
    else:  # what its last message is to `lm` elsewhere is to `updatedAt` here
        answer["sys"] = True
        answer["updatedAt"] = iso_time(max(row.updated_at, row.last_message_at or 0))
    if row.last_message_at is not None and row.kind is not ConversationKind.SERVICE:
        answer["lm"] = {"__type": "Date", "iso": iso_time(row.last_message_at)}
    return answer | {key: value for key, value in optional.items() if value is not None}


def writable(values: Mapping[str, Any], *more: str) -> dict[str, Any]:
    """What is to be written; permissions of single rows are not kept.

    Raises HttpError for a column that the server alone writes, or one of these.
    """
    for key in values:
        if key in READ_ONLY or key in more:
            raise HttpError(400, f"The key `{key}` can't be written.", READ_ONLY_KEY)
    return {key: value for key, value in values.items() if key != PERMISSIONS}


def condition_of(asked: Values) -> Condition | None:
    """The condition under which something is written. Raises Refused(CONVERSATION_QUERY_FAILED)."""
    return conditions.parse(asked.get("where", ""), several=True)


def _by_id(conversation_id: str) -> Query:
    return Query(Predicate(("objectId",), "$eq", conversation_id), (), limit=1)


def encoded(content: Any) -> Response[bytes]:
    body = msgspec.json.encode(content)
    return Response(body, media_type=MediaType.JSON, headers={"Cache-Control": "no-store"})


async def rows_of(answer: dict[str, Any], show: Show) -> Response[bytes]:
    """An answer whose `results` are rows, made in a thread: a thousand with their members take 20 ms and more."""

    def encode() -> Response[bytes]:
        return encoded({**answer, "results": [show(row_json(row)) for row in answer["results"]]})

    return await asyncio.to_thread(encode)


def _whole(given: Any) -> int | None:
    """A number in a query; what is none falls back to the default (REST reference 3.2)."""
    text = str(given)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= parameters.DIGITS else None
