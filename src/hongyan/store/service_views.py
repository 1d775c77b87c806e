"""What a client has of service conversations: its stream and the broadcasts, taken together. On the driver."""

from collections.abc import Iterator, Sequence
from typing import Any

from hongyan.engine.values import ConversationKind, HistoryRange, Message, Unread, stream_id
from hongyan.store import hot
from hongyan.store.database import Bulk

_SERVICE = int(ConversationKind.SERVICE)
_STREAM = "c.parent IS NOT NULL"
#: A row for each service conversation: both counts, then the ends of the broadcasts and of the stream.
_MEMBERSHIPS = (
    f"SELECT s.key, s.id, sum({hot.UNREAD}) AS unread, max({hot.MENTIONED}) AS mentioned,"
    f" max(CASE WHEN {_STREAM} THEN 0 ELSE c.last_seq END),"
    f" max(CASE WHEN {_STREAM} THEN NULL ELSE c.last_message_at END),"
    f" max(CASE WHEN {_STREAM} THEN c.key END), max(CASE WHEN {_STREAM} THEN c.last_seq ELSE 0 END),"
    f" max(CASE WHEN {_STREAM} THEN c.last_message_at END), max(c.last_message_at) AS latest"
    " FROM member m JOIN conversation c ON c.key = m.conversation"
    " JOIN conversation s ON s.key = coalesce(c.parent, c.key)"
)
_OF_CLIENT = f"{_MEMBERSHIPS} WHERE m.app = ? AND m.client = ? AND c.kind = {_SERVICE} GROUP BY s.key"
UNREAD_ALL = f"{_OF_CLIENT} HAVING unread > 0 ORDER BY latest DESC LIMIT ?"
UNREAD_SINCE = (
    f"{_OF_CLIENT} HAVING"
    " (latest > ? OR max(m.read_at) > ? OR max(CASE WHEN c.swept_seq > m.read_seq THEN c.swept_at END) > ?)"
    " AND max(c.last_seq) > 0 ORDER BY latest DESC LIMIT ?"
)
UNREAD_ONE = f"{_MEMBERSHIPS} WHERE m.conversation IN (?, ?) AND m.client = ? GROUP BY s.key"
FIND_STREAM = f"SELECT key, version FROM conversation c WHERE app = ? AND id = ? AND parent = ? AND {hot.PARENT_LIVES}"
#: The same for rows of the table that a query has read.
_LAST_OF_STREAMS = Bulk(
    "SELECT c.parent, c.key, c.last_message_at, c.last_seq FROM conversation c"
    " JOIN (SELECT column1, column2 FROM (VALUES {rows: (?, ?)})) v ON c.app = v.column1 AND c.id = v.column2"
    " WHERE c.last_seq > 0 AND c.parent IS NOT NULL"
)

#: A stream that was brought in without anybody knowing whose it is, its own parent, is taken over.
INSERT_STREAM = (
    "INSERT INTO conversation (app, id, kind, creator, created_at, updated_at, member_count, parent)"
    f" VALUES (?, ?, {_SERVICE}, '', ?, ?, 1, ?)"
    " ON CONFLICT (app, id) DO UPDATE SET parent = excluded.parent, member_count = 1 WHERE parent = key"
    " RETURNING key, version"
)
INSERT_MEMBER = (
    "INSERT INTO member (conversation, client, app, joined_at, read_seq, ack_seq, ack_to)"
    " SELECT key, ?2, app, ?3, last_seq, last_seq, coalesce(last_message_at, 0) FROM conversation WHERE key = ?1"
)

End = tuple[int | None, int | None, int]


def unread(driver: Any, app_key: int, client: str, since: int | None, limit: int) -> list[Unread]:
    """The latest ones, as `MessageStore.unread` has them."""
    if since is None:
        rows = driver.execute(UNREAD_ALL, (app_key, client, limit)).fetchall()
    else:
        rows = driver.execute(UNREAD_SINCE, (app_key, client, since, since, since, limit)).fetchall()
    return [_unread(driver, client, row) for row in rows]


def unread_one(driver: Any, client: str, service: int, stream: int | None) -> Unread:
    """For who has subscribed or has a stream."""
    return _unread(driver, client, driver.execute(UNREAD_ONE, (service, stream, client)).fetchone())


def merged(ours: Sequence[Unread], others: Sequence[Unread], limit: int) -> list[Unread]:
    """The latest of both, latest first."""
    return sorted([*ours, *others], key=_latest, reverse=True)[:limit]


def find_stream(driver: Any, app_key: int, service: int, service_id: str, client: str) -> tuple[int, int] | None:
    """Key and version of a client's stream, if it has one."""
    row: tuple[int, int] | None = driver.execute(
        FIND_STREAM, (app_key, stream_id(service_id, client), service)
    ).fetchone()
    return row


def make_stream(driver: Any, app_key: int, service: int, service_id: str, client: str, now: int) -> tuple[int, int]:
    """Key and version of a new stream. Inside a write."""
    row: tuple[int, int]
    (row,) = driver.execute(INSERT_STREAM, (app_key, stream_id(service_id, client), now, now, service)).fetchall()
    driver.execute(INSERT_MEMBER, (row[0], client, now))
    return row


def page(driver: Any, service: int, stream: int | None, client: str, wanted: HistoryRange) -> list[Message]:
    """In ascending order of (time, id), and never more rows of each than the page has.

    Broadcasts to all clients of the app belong to it, whether this one has received them or not.
    """
    found = hot.page_by_id(driver, service, wanted, hidden_from=client)
    found += hot.page_by_id(driver, service, wanted, table="broadcast")
    if stream is not None:
        found += hot.page_by_id(driver, stream, wanted)
    found.sort(key=_order)
    return found[: wanted.limit] if wanted.newer else found[-wanted.limit :]


def last_messages(driver: Any, client: str, services: Sequence[Any]) -> dict[int, Message]:
    """The last message of each of these rows of `conversation`, as this client sees it."""
    ends: dict[int, list[End]] = {row.key: [(row.key, row.last_message_at, row.last_seq)] for row in services}
    wanted = [(row.app, stream_id(row.id, client)) for row in services]
    for parent, *end in _LAST_OF_STREAMS.run(driver, wanted) if wanted else ():
        if parent in ends:
            ends[parent].append((end[0], end[1], end[2]))
    last = {key: _last(driver, places) for key, places in ends.items()}
    return {key: message for key, message in last.items() if message is not None}


def _unread(driver: Any, client: str, row: tuple[Any, ...]) -> Unread:
    key, service_id, count, mentioned, seq, at, stream_key, stream_seq, stream_at, _ = row
    return Unread(
        service_id,
        ConversationKind.SERVICE,
        seq,
        count,
        bool(mentioned) and count > 0,
        _last(driver, [(key, at, seq), (stream_key, stream_at, stream_seq)]),
        (stream_id(service_id, client), stream_seq),
    )


def _last(driver: Any, ends: Sequence[End]) -> Message | None:
    return max(_at(driver, ends), key=_order, default=None)


def _at(driver: Any, ends: Sequence[End]) -> Iterator[Message]:
    for end in ends:
        row = driver.execute(hot.MESSAGE_AT, end).fetchone() if end[1] is not None else None
        if row is not None:
            yield hot.decode_message(row)


def _order(message: Message) -> tuple[int, str]:
    return message.timestamp, message.id


def _latest(unread: Unread) -> int:
    return unread.last_message.timestamp if unread.last_message else 0
