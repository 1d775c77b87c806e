"""Unread counts of many clients by one read: after a restart thousands ask in the same second."""

import functools
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from hongyan.engine.values import ConversationKind, Message, Unread
from hongyan.store import hot, service_views
from hongyan.store.database import Bulk
from hongyan.store.gathered_reads import GatheredReads
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

#: Last messages of more bytes are read one by one, so that an answer for many clients takes no more memory.
LONG = 1_024
_SERVICE = int(ConversationKind.SERVICE)


class Asked(NamedTuple):
    """Whose counts, of conversations that end after `living`; `since`, `limit`, `services` as in `MessageStore`."""

    app_key: int
    client: str
    living: int
    since: int | None
    limit: int
    services: bool


class _Row(msgspec.Struct, array_like=True, frozen=True):
    """A conversation's state, then its last message without the place that the state tells; a long one is left out."""

    key: int
    conversation_id: str
    kind: int
    last_seq: int
    last_message_at: int | None
    unread: int
    mentioned: int
    message_id: str | None
    sender: str | None
    body: str | None
    flags: int | None
    mentions: str | None
    patched_at: int | None
    acked_at: int | None
    read_at: int | None


_decode = msgspec.json.Decoder(list[tuple[int | None, list[_Row]]]).decode


def _of_many(row: str, changed: str, limit: int) -> Bulk:
    """The states of the clients in rows of (number, app, client, living, …), as one text of JSON.

    One text, because the driver gives up the interpreter lock with every row, and beside a busy event loop waits half a
    millisecond until it has it again. A body is in hexadecimal, as JSON has no bytes.
    """
    states = (
        f"{hot.UNREAD_STATES} WHERE m.app = v.column2 AND m.client = v.column3"
        f" AND (c.expires_at IS NULL OR c.expires_at > v.column4) AND {changed} AND c.kind <> {_SERVICE}"
        f" ORDER BY c.last_message_at DESC LIMIT {limit}"
    )
    # Messages are fetched for the few conversations that are told, not for all that are sorted.
    rows = (
        "SELECT json_group_array(json_array(u.key, u.id, u.kind, u.last_seq, u.last_message_at, u.unread, u.mentioned,"
        " l.id, l.sender, hex(l.body), l.flags, l.mentions, l.patched_at, l.acked_at, l.read_at)"
        f" ORDER BY u.last_message_at DESC) FROM ({states}) u"
        " LEFT JOIN message l ON l.conversation = u.key AND l.timestamp = u.last_message_at AND l.seq = u.last_seq"
        f" AND l.{hot.KEPT} AND length(l.body) + coalesce(length(l.mentions), 0) <= {LONG}"
    )
    return Bulk(f"SELECT json_group_array(json_array(v.column1, ({rows}))) FROM (VALUES {{rows: {row}}}) v")


@functools.cache
def all_of(limit: int) -> Bulk:
    """Conversations with unread messages. Without service conversations: of one that is gone, streams may be left."""
    return _of_many("(?, ?, ?, ?)", f"{hot.UNREAD} > 0", limit)


@functools.cache
def since(limit: int) -> Bulk:
    """Conversations whose state changed after the fifth value of a client's row."""
    changed = (
        "(c.last_message_at > v.column5 OR m.read_at > v.column5"
        " OR (c.swept_at > v.column5 AND c.swept_seq > m.read_seq)) AND c.last_seq > 0"
    )
    return _of_many("(?, ?, ?, ?, ?)", changed, limit)


class UnreadReads:
    """The states, all of which have been told."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer
        self._reads = GatheredReads(self._read)

    def of(self, asked: Asked) -> Awaitable[list[Unread]]:
        """One client's. Raises Refused."""
        return self._reads.of(asked)

    async def _read(self, wanted: Sequence[Asked]) -> list[list[Unread]]:
        found = await self._reader.run(functools.partial(read, wanted=wanted))
        await self._writer.told()
        return found


def read(driver: Any, wanted: Sequence[Asked]) -> list[list[Unread]]:
    """The states of each, latest first."""
    found: list[list[Unread]] = [[] for _ in wanted]
    for statement, rows in _statements(wanted):
        for (text,) in statement.run(driver, rows):
            for number, states in _decode(text):
                if number is not None:  # a row of `Bulk` that fills up
                    found[number] = [_unread(driver, row) for row in states]
    for number, asked in enumerate(wanted):
        if asked.services:
            of_services = service_views.unread(driver, asked.app_key, asked.client, asked.since, asked.limit)
            found[number] = service_views.merged(found[number], of_services, asked.limit)
    return found


def _statements(wanted: Sequence[Asked]) -> Iterable[tuple[Bulk, list[tuple[Any, ...]]]]:
    """Each statement that is needed, with its rows: mostly one."""
    statements: dict[Bulk, list[tuple[Any, ...]]] = {}
    for number, (app_key, client, living, after, limit, _) in enumerate(wanted):
        row: tuple[Any, ...] = (number, app_key, client, living)
        if after is None:
            statements.setdefault(all_of(limit), []).append(row)
        else:
            statements.setdefault(since(limit), []).append((*row, after))
    return statements.items()


def _unread(driver: Any, row: _Row) -> Unread:
    return Unread(
        row.conversation_id,
        ConversationKind(row.kind),
        row.last_seq,
        row.unread,
        bool(row.mentioned) and row.unread > 0,
        _last_message(driver, row),
    )


def _last_message(driver: Any, row: _Row) -> Message | None:
    if row.message_id is None:  # it is long, or gone
        found = driver.execute(hot.MESSAGE_AT, (row.key, row.last_message_at, row.last_seq)).fetchone()
        return None if found is None else hot.decode_message(found)
    body = bytes.fromhex(row.body or "")
    marks = (row.patched_at, row.acked_at, row.read_at)
    return hot.decode_message(
        (row.message_id, row.last_seq, row.last_message_at, row.sender, body, row.flags, row.mentions, *marks)
    )
