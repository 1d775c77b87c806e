"""Rows of the class `_Conversation`: asking for them, and how answers show them (REST reference 2.1, 3.13)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import MediaType, Response

from hongyan.api.errors import HttpError
from hongyan.api.leancloud import parameters
from hongyan.api.leancloud.parameters import Values
from hongyan.api.site import Site
from hongyan.engine import conditions, query
from hongyan.engine.conditions import Condition, Predicate
from hongyan.engine.drafts import PERMISSIONS
from hongyan.engine.query import Query
from hongyan.engine.values import App, ConversationKind, ConversationRow, iso_time

#: What asks for a count.
COUNTING = frozenset({"1", "true"})
#: Columns of every row, whatever `keys` says.
ALWAYS = ("objectId", "createdAt", "updatedAt")
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


class Keys:
    """Which columns are shown: those that `keys` names, or all but those it names with a `-` before."""

    def __init__(self, given: str) -> None:
        names = [name.strip() for name in given.split(",") if name.strip()]
        self._shown = [tuple(name.split(".")) for name in names if not name.startswith("-")]
        self._hidden = [tuple(name[1:].split(".")) for name in names if name.startswith("-")]

    def shows(self, name: str) -> bool:
        """Whether anything of a column is shown."""
        if (name,) in self._hidden:
            return False
        return not self._shown or any(path[0] == name for path in self._shown)

    def show(self, row: dict[str, Any]) -> dict[str, Any]:
        if self._shown:
            shown: dict[str, Any] = {key: row[key] for key in ALWAYS}
            for path in self._shown:
                _copy(row, shown, path)
        else:
            shown = row
        for path in self._hidden:
            if path[0] not in ALWAYS:
                shown = _without(shown, path)
        return shown


def _copy(source: Mapping[str, Any], target: dict[str, Any], path: Sequence[str]) -> None:
    first, *rest = path
    if first not in source:
        return
    value = source[first]
    if not rest:
        target[first] = value
    elif isinstance(value, dict):
        inner = target.get(first)
        inner = {} if not isinstance(inner, dict) else inner
        if inner is not value:  # the whole of it may be there already
            target[first] = inner
            _copy(value, inner, rest)


def _without(row: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    first, *rest = path
    if first not in row:
        return row
    if not rest:
        return {key: value for key, value in row.items() if key != first}
    return {**row, first: _without(row[first], rest)} if isinstance(row[first], dict) else row


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
