"""`conv/query` in SQL."""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.query import Predicate, Query
from hongyan.engine.values import ConversationKind, ConversationRow, Message
from hongyan.errors import Refused
from hongyan.store import hot, schema

#: So many conversations are always answered: SDKs look up all that one notification of unread messages names.
ROWS_ALWAYS = 50
#: More than those have at most so many members in one answer.
MEMBERS_MAX = 25_000

_conversation, _member, _message = schema.conversation, schema.member, schema.message

_COLUMNS: dict[str, sa.Column[Any]] = {
    "objectId": _conversation.c.id,
    "c": _conversation.c.creator,
    "name": _conversation.c.name,
    "lm": _conversation.c.last_message_at,
    "createdAt": _conversation.c.created_at,
    "updatedAt": _conversation.c.updated_at,
}
_KINDS = {"tr": ConversationKind.CHATROOM, "sys": ConversationKind.SERVICE}


def run(bound: sa.Connection, app_key: int, caller: str, query: Query) -> list[ConversationRow]:
    if query.limit == 0:
        return []
    found = sa.select(_conversation).where(
        _conversation.c.app == app_key, *(_condition(predicate, app_key) for predicate in query.predicates)
    )
    found = found.order_by(*_order(query)).limit(query.limit).offset(query.skip)
    rows = bound.execute(found).all()
    if not query.compact:
        _check_size(rows)
    keys = [row.key for row in rows]
    members = {} if query.compact else members_of(bound, keys)
    own = _own_memberships(bound, keys, caller)
    readable = [row for row in rows if row.key in own] if query.with_last_message else []
    last = _last_messages(bound, readable)
    return [
        to_row(row, members.get(row.key, ()), muted=own.get(row.key, False), last_message=last.get(row.key))
        for row in rows
    ]


def _check_size(rows: Sequence[Any]) -> None:
    """Raises Refused before any members are read. An answer without some of them would be taken for the whole."""
    if len(rows) > ROWS_ALWAYS and sum(row.member_count for row in rows) > MEMBERS_MAX:
        raise Refused(
            errors.CONVERSATION_QUERY_FAILED,
            f"more than {MEMBERS_MAX} members in one answer: ask for {ROWS_ALWAYS} conversations at a time, or compact",
        )


def to_row(row: Any, members: Sequence[str], *, muted: bool, last_message: Message | None = None) -> ConversationRow:
    return ConversationRow(
        id=row.id,
        kind=ConversationKind(row.kind),
        creator=row.creator,
        members=tuple(members),
        muted=muted,
        name=row.name,
        attr=row.attr,
        columns=row.columns or {},
        unique_id=row.unique_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_message_at=row.last_message_at,
        last_message=last_message,
    )


def members_of(bound: sa.Connection, keys: Sequence[int]) -> dict[int, list[str]]:
    """Members of each conversation, in order of joining."""
    members: dict[int, list[str]] = {key: [] for key in keys}
    found = (
        sa.select(_member.c.conversation, _member.c.client)
        .where(_member.c.conversation.in_(keys))
        .order_by(_member.c.joined_at, _member.c.client)
    )
    for key, client in bound.execute(found):
        members[key].append(client)
    return members


def _condition(predicate: Predicate, app_key: int) -> sa.ColumnElement[bool]:
    if predicate.field == "m":
        return _member_condition(predicate, app_key)
    if predicate.field in _KINDS:
        is_kind = _conversation.c.kind == int(_KINDS[predicate.field])
        return is_kind if predicate.value else ~is_kind
    if predicate.field == "unique":
        is_unique = _conversation.c.unique_id.is_not(None)
        return is_unique if predicate.value else ~is_unique
    column = _COLUMNS[predicate.field]
    wanted = predicate.value if predicate.operator == "$in" else [predicate.value]
    return column.in_(wanted)


def _member_condition(predicate: Predicate, app_key: int) -> sa.ColumnElement[bool]:
    if predicate.operator == "$size":
        return _conversation.c.member_count == int(predicate.value)
    clients = [predicate.value] if predicate.operator == "$eq" else list(dict.fromkeys(predicate.value))
    found = sa.select(_member.c.conversation).where(_member.c.app == app_key, _member.c.client.in_(clients))
    if predicate.operator == "$all":
        found = found.group_by(_member.c.conversation).having(sa.func.count() == len(clients))
    return _conversation.c.key.in_(found)


def _order(query: Query) -> list[sa.ColumnElement[Any]]:
    order = [
        (_COLUMNS[field].desc() if descending else _COLUMNS[field].asc()).nulls_last()
        for field, descending in query.sort
    ]
    return [*order, _conversation.c.key.desc()]


def _own_memberships(bound: sa.Connection, keys: Sequence[int], caller: str) -> dict[int, bool]:
    """The conversations of which the caller is a member, and whether muted."""
    found = sa.select(_member.c.conversation, _member.c.muted)
    found = found.where(_member.c.conversation.in_(keys), _member.c.client == caller)
    return {key: muted for key, muted in bound.execute(found)}


def _last_messages(bound: sa.Connection, rows: Sequence[Any]) -> dict[int, Message]:
    columns = [_message.c[name.strip()] for name in hot.MESSAGE_COLUMNS.split(",")]
    ends = [(row.key, row.last_message_at, row.last_seq) for row in rows if row.last_seq]
    if not ends:
        return {}
    found = sa.select(_message.c.conversation, *columns).where(
        sa.tuple_(_message.c.conversation, _message.c.timestamp, _message.c.seq).in_(ends)
    )
    return {row[0]: hot.decode_message(_raw(row[1:])) for row in bound.execute(found)}


def _raw(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """SQLAlchemy has already parsed `mentions`; the driver's rows carry its text."""
    *head, mentions, patched_at, acked_at, read_at = row
    return (*head, json.dumps(mentions) if mentions else None, patched_at, acked_at, read_at)
