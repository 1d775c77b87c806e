"""`conv/query` in SQL."""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.conditions import Condition
from hongyan.engine.query import Query, TemporaryQuery
from hongyan.engine.values import OF_MEMBERS, ConversationKind, ConversationRow, Message
from hongyan.errors import Refused
from hongyan.store import conversation_condition, hot, schema, service_views

#: So many conversations are always answered: SDKs look up all that one notification of unread messages names.
ROWS_ALWAYS = 50
#: More than those have at most so many members in one answer.
MEMBERS_MAX = 25_000
#: Likewise bytes of names, attributes and last messages.
BYTES_MAX = 4_194_304
#: The application, which is trusted with more, has that much at once.
MEMBERS_MAX_OF_APPLICATION, BYTES_MAX_OF_APPLICATION = 250_000, 16_777_216

_conversation, _member, _message = schema.conversation, schema.member, schema.message


def run(bound: sa.Connection, app_key: int, caller: str | None, query: Query) -> list[ConversationRow]:
    if query.limit == 0:
        return []
    keys = bound.scalars(keys_of(app_key, caller, query)).all()
    return read(bound, keys, caller, query)


def count(bound: sa.Connection, app_key: int, caller: str | None, condition: Condition) -> int:
    """How many conversations match."""
    found = sa.select(sa.func.count()).select_from(_conversation)
    return int(bound.scalar(found.where(*_matching(app_key, caller, Query(condition, ())))) or 0)


def read(
    bound: sa.Connection, keys: Sequence[int], caller: str | None, query: Query | TemporaryQuery
) -> list[ConversationRow]:
    """The rows of these keys, in their order and as the query wants them."""
    if len(keys) > ROWS_ALWAYS:
        bytes_max = BYTES_MAX_OF_APPLICATION if caller is None else BYTES_MAX
        _check_bytes(bound, keys, bytes_max, with_last_message=query.with_last_message)
    by_key = {row.key: row for row in bound.execute(sa.select(_conversation).where(_conversation.c.key.in_(keys)))}
    rows = [by_key[key] for key in keys if key in by_key]
    if not query.compact:
        _check_size(rows, MEMBERS_MAX_OF_APPLICATION if caller is None else MEMBERS_MAX)
    with_members = [row.key for row in rows if row.kind in OF_MEMBERS]
    members = {} if query.compact else members_of(bound, with_members)
    muted = muted_by(bound, with_members) if caller is None else {}
    own = {} if caller is None else _own_memberships(bound, keys, caller)
    last: dict[int, Message] = {}
    if query.with_last_message:
        services = [row for row in rows if row.kind == ConversationKind.SERVICE]
        readable = [row for row in rows if (row.key in own or _is_open(row)) and row not in services]
        last = _last_messages(bound, readable)
        last |= service_views.last_messages(bound.connection.driver_connection, caller or "", services)
    return [
        to_row(
            row,
            members.get(row.key, ()),
            muted=own[row.key].muted if row.key in own else False,
            last_message=last.get(row.key),
            joined_at=own[row.key].joined_at if row.key in own and row.kind == ConversationKind.SERVICE else None,
            muted_by=muted.get(row.key, ()),
        )
        for row in rows
    ]


def keys_of(app_key: int, caller: str | None, query: Query) -> sa.Select[Any]:
    """The keys of the rows in their order. No more of each row than that, since all matches are sorted in memory."""
    order = [term for key, descending in query.sort for term in conversation_condition.order(key, descending)]
    made = _conversation.c.key.desc() if order else _conversation.c.key
    return (
        sa.select(_conversation.c.key)
        .where(*_matching(app_key, caller, query))
        .order_by(*order, made)
        .limit(query.limit)
        .offset(query.skip)
    )


def _matching(app_key: int, caller: str | None, query: Query) -> list[sa.ColumnElement[bool]]:
    # SQLite would rather look at all conversations of the app than begin with the members; + takes the index away.
    is_by_members = query.names("m", "mu") and not query.names("objectId", "uniqueId")
    app = sa.literal_column("+conversation.app") if is_by_members else _conversation.c.app
    return [
        app == app_key,
        _conversation.c.parent.is_(None),
        _conversation.c.kind != int(ConversationKind.TEMPORARY),
        conversation_condition.where(query.condition, app_key, caller),
    ]


def _is_open(row: Any) -> bool:
    """Whether anybody may read the conversation."""
    return bool(row.kind == ConversationKind.CHATROOM)


def _check_bytes(bound: sa.Connection, keys: Sequence[int], bytes_max: int, *, with_last_message: bool) -> None:
    """Raises Refused before any row is read, which would take much memory."""
    columns = [_conversation.c.name, _conversation.c.attr, _conversation.c.columns]
    source: sa.FromClause = _conversation
    if with_last_message:
        columns.append(_message.c.body)
        source = source.outerjoin(
            _message,
            (_message.c.conversation == _conversation.c.key)
            & (_message.c.timestamp == _conversation.c.last_message_at)
            & (_message.c.seq == _conversation.c.last_seq),
        )
    sums = [sa.func.coalesce(sa.func.sum(sa.func.octet_length(column)), 0) for column in columns]
    found = sa.select(*sums).select_from(source).where(_conversation.c.key.in_(keys))
    if sum(bound.execute(found).one()) > bytes_max:
        raise Refused(
            errors.CONVERSATION_QUERY_FAILED,
            f"more than {bytes_max} bytes in one answer: ask for {ROWS_ALWAYS} conversations at a time",
        )


def _check_size(rows: Sequence[Any], members_max: int) -> None:
    """Raises Refused before any members are read. An answer without some of them would be taken for the whole."""
    if len(rows) > ROWS_ALWAYS and sum(row.member_count for row in rows if row.kind in OF_MEMBERS) > members_max:
        raise Refused(
            errors.CONVERSATION_QUERY_FAILED,
            f"more than {members_max} members in one answer: ask for {ROWS_ALWAYS} conversations at a time, or compact",
        )


def to_row(
    row: Any,
    members: Sequence[str],
    *,
    muted: bool,
    last_message: Message | None = None,
    joined_at: int | None = None,
    muted_by: Sequence[str] = (),
) -> ConversationRow:
    return ConversationRow(
        id=row.id,
        kind=ConversationKind(row.kind),
        creator=row.creator,
        members=tuple(members),
        muted=muted,
        name=row.name,
        attr=row.attr,
        columns=row.columns or {},
        unique_id=None if row.kind == ConversationKind.TEMPORARY else row.unique_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_message_at=row.last_message_at,
        last_message=last_message,
        joined_at=joined_at,
        expires_at=row.expires_at,
        muted_by=tuple(muted_by),
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


def muted_by(bound: sa.Connection, keys: Sequence[int]) -> dict[int, list[str]]:
    """Who has muted each conversation, in order of joining; those that nobody has are left out."""
    found = (
        sa.select(_member.c.conversation, _member.c.client)
        .where(_member.c.conversation.in_(keys), _member.c.muted)
        .order_by(_member.c.joined_at, _member.c.client)
    )
    muted: dict[int, list[str]] = {}
    for key, client in bound.execute(found):
        muted.setdefault(key, []).append(client)
    return muted


def _own_memberships(bound: sa.Connection, keys: Sequence[int], caller: str) -> dict[int, Any]:
    """The conversations of which the caller is a member, whether muted and since when."""
    found = sa.select(_member.c.conversation, _member.c.muted, _member.c.joined_at)
    found = found.where(_member.c.conversation.in_(keys), _member.c.client == caller)
    return {row.conversation: row for row in bound.execute(found)}


def _last_messages(bound: sa.Connection, rows: Sequence[Any]) -> dict[int, Message]:
    columns = [_message.c[name.strip()] for name in hot.MESSAGE_COLUMNS.split(",")]
    ends = [(row.key, row.last_message_at, row.last_seq) for row in rows if row.last_seq]
    if not ends:
        return {}
    found = sa.select(_message.c.conversation, *columns).where(
        sa.tuple_(_message.c.conversation, _message.c.timestamp, _message.c.seq).in_(ends),
        _message.c.flags.bitwise_and(hot.DELETED) == 0,
    )
    return {row[0]: hot.decode_message(_raw(row[1:])) for row in bound.execute(found)}


def _raw(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """SQLAlchemy has already parsed `mentions`; the driver's rows carry its text."""
    *head, mentions, patched_at, acked_at, read_at = row
    return (*head, json.dumps(mentions) if mentions else None, patched_at, acked_at, read_at)
