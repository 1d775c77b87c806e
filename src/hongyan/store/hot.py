"""The hot statements: plain SQL, run on the driver.

SQLAlchemy costs about 100 µs per statement, the driver about 6: what runs per message stands here.
"""

import json
from typing import Any, NamedTuple

from hongyan.engine.values import FOREVER, Conversation, ConversationKind, Draft, HistoryRange, Message, Stored
from hongyan.store.database import Bulk

BINARY = 1
MENTION_ALL = 2
RECEIPT = 4
RECALLED = 8
#: What is left of a deleted message: its place and its sender, who would else have an unread message of his own.
DELETED = 16
#: Brought in from another server: nobody needs to read or to acknowledge it.
IMPORTED = 32

_PLAIN = b"\x00"
_SERVICE = int(ConversationKind.SERVICE)

FIND_TOKENS = Bulk(
    "SELECT s.conversation, s.client, s.token, s.message_id, s.seq, s.timestamp FROM sent_token s"
    " JOIN (SELECT column1, column2, column3 FROM (VALUES {rows: (?, ?, ?)})) v"
    " ON s.conversation = v.column1 AND s.client = v.column2 AND s.token = v.column3"
)
PARENT_LIVES = "EXISTS (SELECT 1 FROM conversation WHERE key = c.parent)"
#: A stream is gone with its service conversation, though its row may be there for a moment more; one that was erased is
#: its own parent.
FIND_HEADS = Bulk(
    "SELECT key, version, last_seq, last_message_at FROM conversation c"
    " WHERE key IN (SELECT column1 FROM (VALUES {rows: (?)}))"
    f" AND (parent IS NULL OR {PARENT_LIVES})"
)
INSERT_MESSAGES = Bulk(
    "INSERT INTO message (conversation, app, timestamp, seq, id, sender, body, flags, mentions)"
    " SELECT * FROM (VALUES {rows: (?, ?, ?, ?, ?, ?, ?, ?, ?)}) WHERE column1 IS NOT NULL"
)
NOTE_AUTHORS = Bulk(
    "INSERT OR IGNORE INTO author (app, client, conversation)"
    " SELECT * FROM (VALUES {rows: (?, ?, ?)}) WHERE column1 IS NOT NULL"
)
INSERT_TOKENS = Bulk(
    "INSERT INTO sent_token (conversation, client, token, message_id, seq, timestamp)"
    " SELECT * FROM (VALUES {rows: (?, ?, ?, ?, ?, ?)}) WHERE column1 IS NOT NULL"
)
MOVE_HEADS = Bulk(
    "WITH new(key, seq, at) AS (VALUES {rows: (?, ?, ?)})"
    " UPDATE conversation SET last_seq = new.seq, last_message_at = new.at FROM new WHERE conversation.key = new.key"
)
MENTION_ALL_BY = (
    "UPDATE conversation SET mention_all_seq = ?1, mention_all_by = ?2,"
    " mention_all_before = CASE WHEN mention_all_by = ?2 THEN mention_all_before ELSE mention_all_seq END"
    " WHERE key = ?3"
)
#: Own messages need no acknowledgement: who has received all before them has received them too.
COUNT_OWN = Bulk(
    "WITH new(conversation, client, sent, first, last, at) AS (VALUES {rows: (?, ?, ?, ?, ?, ?)})"
    " UPDATE member SET own_since_read = own_since_read + new.sent,"
    " ack_seq = CASE WHEN ack_seq = new.first - 1 AND ack_extra IS NULL THEN new.last ELSE ack_seq END,"
    " ack_to = CASE WHEN ack_seq = new.first - 1 AND ack_extra IS NULL THEN new.at ELSE ack_to END FROM new"
    " WHERE member.conversation = new.conversation AND member.client = new.client"
)
MARK_MENTIONS = Bulk(
    "WITH new(conversation, client, seq) AS (VALUES {rows: (?, ?, ?)})"
    " UPDATE member SET mention_seq = new.seq FROM new"
    " WHERE member.conversation = new.conversation AND member.client = new.client"
)
JOBS_DONE = Bulk("DELETE FROM job WHERE key IN (VALUES {rows: (?)})")
INSERT_JOBS = Bulk(
    "INSERT INTO job (id, app, lane, kind, body, due_at, created_at, error)"
    " SELECT *, '' FROM (VALUES {rows: (?, ?, ?, ?, ?, ?, ?)}) WHERE column1 IS NOT NULL"
)
#: Rows stand in order of arrival, so this is nearly the latest time of all, without an index on times.
LAST_ARRIVAL = "SELECT timestamp FROM message ORDER BY rowid DESC LIMIT 1"
NOTE_OPENED = (
    "INSERT INTO meta (name, value) VALUES ('opened_at', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
STANDING = "SELECT silenced_until, blocked_at FROM standing WHERE conversation = ? AND client = ?"
#: Of who writes into a stream of a service conversation, where all standings are set; no row: that is gone.
STANDING_OF_STREAM = (
    "SELECT t.silenced_until, t.blocked_at FROM conversation c JOIN conversation s ON s.key = c.parent"
    " AND s.parent IS NULL LEFT JOIN standing t ON t.conversation = s.key AND t.client = ?2 WHERE c.key = ?1"
)
IS_MEMBER = (
    "SELECT 1 FROM member m JOIN conversation c ON c.key = m.conversation WHERE m.conversation = ? AND m.client = ?"
)
PRUNE_TOKENS = (
    "DELETE FROM sent_token WHERE (conversation, client, token) IN"
    " (SELECT conversation, client, token FROM sent_token WHERE timestamp < ? ORDER BY timestamp LIMIT ?)"
)

MESSAGE_COLUMNS = "id, seq, timestamp, sender, body, flags, mentions, patched_at, acked_at, read_at"
#: The same of a broadcast to all clients.
BROADCAST_COLUMNS = "id, 0, timestamp, sender, body, flags, NULL, patched_at, NULL, NULL"
KEPT = f"flags & {DELETED} = 0"
_SEQ_MIN, _SEQ_MAX = -(1 << 62), 1 << 62
_SEQ_OF_ID = "coalesce((SELECT seq FROM message WHERE conversation = ? AND timestamp = ? AND id = ? LIMIT 1), ?)"
_NOT_HIDDEN = (
    "NOT EXISTS (SELECT 1 FROM hidden_message h WHERE h.conversation = message.conversation AND h.client = ?"
    " AND h.timestamp = message.timestamp AND h.seq = message.seq)"
)
_TEXT = "CAST(substr(body, 2) AS TEXT)"
_LCTYPE = f"CASE WHEN flags & {BINARY} = 0 AND json_valid({_TEXT}) THEN json_extract({_TEXT}, '$._lctype') END"


def living_at(now: int, *, temporary: bool) -> int:
    """The value of `_LIVING` for those that have not ended, or for none that is temporary."""
    return now if temporary else FOREVER


def encode_body(content: str | bytes) -> bytes:
    """Scheme byte and content; scheme 0 is plain. Text that is not valid Unicode is kept with replacements."""
    return _PLAIN + (content if isinstance(content, bytes) else content.encode("utf-8", "replace"))


def encode_flags(draft: Draft) -> int:
    flags = BINARY if isinstance(draft.content, bytes) else 0
    if draft.mention_all:
        flags |= MENTION_ALL
    return flags | RECEIPT if draft.receipt else flags


def message_row(conversation: Conversation, sender: str, draft: Draft, stored: Stored) -> tuple[Any, ...]:
    """The values of INSERT_MESSAGES."""
    return (
        conversation.key,
        conversation.app_key,
        stored.timestamp,
        stored.seq,
        stored.id,
        sender,
        encode_body(draft.content),
        encode_flags(draft),
        json.dumps(draft.mentions) if draft.mentions else None,
    )


def decode_message(row: tuple[Any, ...]) -> Message:
    """A message of the columns `MESSAGE_COLUMNS`."""
    message_id, seq, timestamp, sender, body, flags, mentions, patched_at, acked_at, read_at = row
    content = body[1:]
    return Message(
        id=message_id,
        seq=seq,
        timestamp=timestamp,
        sender=sender,
        content=content if flags & BINARY else content.decode("utf-8"),
        receipt=bool(flags & RECEIPT),
        mention_all=bool(flags & MENTION_ALL),
        mentions=tuple(json.loads(mentions)) if mentions else (),
        patched_at=patched_at,
        recalled=bool(flags & RECALLED),
        acked_at=acked_at,
        read_at=read_at,
    )


def page(connection: Any, conversation: int, wanted: HistoryRange) -> list[Message]:
    """Messages of a conversation, ascending. See `HistoryRange` for the bounds."""
    where = ["conversation = ?", KEPT]
    values: list[Any] = [conversation]

    def bound(time: int | None, message_id: str, sign: str, included: bool) -> None:
        if time is None:
            return
        equal = "=" if included else ""
        if not message_id:
            where.append(f"timestamp {sign}{equal} ?")
            values.append(time)
            return
        # Messages of one millisecond are told apart by seq; an id that isn't there stands for its time alone.
        where.append(f"(timestamp, seq) {sign}{equal} (?, {_SEQ_OF_ID})")
        fallback = _SEQ_MAX if included == (sign == "<") else _SEQ_MIN
        values.extend((time, conversation, time, message_id, fallback))

    bound(wanted.start, wanted.start_id, ">" if wanted.newer else "<", wanted.start_included)
    bound(wanted.end, wanted.end_id, "<" if wanted.newer else ">", wanted.end_included)
    if wanted.lctype is not None:
        where.append(f"{_LCTYPE} = ?")
        values.append(wanted.lctype)
    order = "timestamp, seq" if wanted.newer else "timestamp DESC, seq DESC"
    rows = connection.execute(
        f"SELECT {MESSAGE_COLUMNS} FROM message WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?",
        (*values, wanted.limit),
    ).fetchall()
    messages = [decode_message(row) for row in rows]
    return messages if wanted.newer else messages[::-1]


def bounds_by_id(wanted: HistoryRange, table: str) -> tuple[list[str], list[Any]]:
    """Conditions, and their values, for pages in the order of (time, id) that are put together of several."""
    where: list[str] = []
    values: list[Any] = []

    def bound(time: int | None, message_id: str, sign: str, included: bool) -> None:
        if time is None:
            return
        equal = "=" if included else ""
        where.append(f"{table}.timestamp {sign}{equal if not message_id else '='} ?")
        values.append(time)
        if message_id:
            where.append(f"({table}.timestamp, {table}.id) {sign}{equal} (?, ?)")
            values.extend((time, message_id))

    bound(wanted.start, wanted.start_id, ">" if wanted.newer else "<", wanted.start_included)
    bound(wanted.end, wanted.end_id, "<" if wanted.newer else ">", wanted.end_included)
    return where, values


def order_by_id(wanted: HistoryRange, table: str) -> str:
    """The order in which such a page is walked."""
    direction = "" if wanted.newer else " DESC"
    return f"{table}.timestamp{direction}, {table}.id{direction}"


def page_by_id(
    connection: Any, conversation: int, wanted: HistoryRange, *, hidden_from: str = "", table: str = "message"
) -> list[Message]:
    """`page` for what is merged with other pages: what is of one moment is told apart by id, in either conversation.

    `table`: `message`, or `broadcast`, whose columns are those of messages as far as it has them.
    """
    bounds, bounded = bounds_by_id(wanted, table)
    where, values = ["conversation = ?", KEPT, *bounds], [conversation, *bounded]
    if wanted.lctype is not None:
        where.append(f"{_LCTYPE} = ?")
        values.append(wanted.lctype)
    if hidden_from:
        where.append(_NOT_HIDDEN)
        values.append(hidden_from)
    columns = MESSAGE_COLUMNS if table == "message" else BROADCAST_COLUMNS
    rows = connection.execute(
        f"SELECT {columns} FROM {table} WHERE {' AND '.join(where)} ORDER BY {order_by_id(wanted, table)} LIMIT ?",
        (*values, wanted.limit),
    ).fetchall()
    return [decode_message(row) for row in rows]


# unread, read marks

#: What was swept counts as read.
READ_TO = "max(m.read_seq, c.swept_seq)"
UNREAD = f"c.last_seq - {READ_TO} - m.own_since_read"
MENTIONED = (
    "(max(m.mention_seq, CASE WHEN c.mention_all_by = m.client THEN c.mention_all_before ELSE c.mention_all_seq END)"
    f" > {READ_TO})"
)
UNREAD_STATES = (
    f"SELECT c.key, c.id, c.kind, c.last_seq, c.last_message_at, {UNREAD} AS unread, {MENTIONED} AS mentioned"
    " FROM member m JOIN conversation c ON c.key = m.conversation"
)
#: Conversations that end after a time, or never: for FOREVER, those that are not temporary.
_LIVING = "(c.expires_at IS NULL OR c.expires_at > ?)"
_LAST_MESSAGE = ", ".join(f"l.{name.strip()}" for name in MESSAGE_COLUMNS.split(","))
UNREAD_ONE = (
    f"SELECT u.id, u.kind, u.last_seq, u.unread, u.mentioned, {_LAST_MESSAGE}"
    f" FROM ({UNREAD_STATES} WHERE m.conversation = ? AND m.client = ?) u"
    " LEFT JOIN message l ON l.conversation = u.key AND l.timestamp = u.last_message_at AND l.seq = u.last_seq"
    f" AND l.{KEPT}"
)
READ_MARK = (
    f"SELECT {READ_TO}, m.own_since_read, c.last_seq, c.last_message_at"
    " FROM member m JOIN conversation c ON c.key = m.conversation WHERE m.conversation = ? AND m.client = ?"
)
LAST_UPTO = (
    "SELECT seq, timestamp FROM message WHERE conversation = ? AND timestamp <= ?"
    " ORDER BY timestamp DESC, seq DESC LIMIT 1"
)
#: Own messages, and those that nobody needs to read.
COUNT_OWN_AFTER = (
    "SELECT count(*) FROM message WHERE conversation = ? AND timestamp > ? AND seq > ?"
    f" AND (sender = ? OR flags & {IMPORTED})"
)
COUNT_OWN_UPTO = (
    "SELECT count(*) FROM (SELECT seq, sender, flags FROM message WHERE conversation = ? AND timestamp <= ?"
    f" ORDER BY timestamp DESC, seq DESC LIMIT ?) WHERE seq > ? AND (sender = ? OR flags & {IMPORTED})"
)
MOVE_READ_MARK = (
    "UPDATE member SET read_seq = ?, read_to = ?, own_since_read = ?, read_at = ? WHERE conversation = ? AND client = ?"
)

# receipts


class MarkRow(NamedTuple):
    """A message as the marks of its receivers see it; `marked_at` is when the first of them set that mark."""

    id: str
    seq: int
    timestamp: int
    sender: str
    flags: int
    marked_at: int | None


_ACKED, _READ = "id, seq, timestamp, sender, flags, acked_at", "id, seq, timestamp, sender, flags, read_at"
FIND_ACKS = Bulk(
    "SELECT m.conversation, m.client, m.ack_seq, m.ack_to, m.ack_extra FROM member m"
    " JOIN (SELECT column1, column2 FROM (VALUES {rows: (?, ?)})) v"
    " ON m.conversation = v.column1 AND m.client = v.column2"
)
#: A range costs a statement of its own, three times what a single message costs here.
POINT_ROWS = Bulk(
    "SELECT m.conversation, m.id, m.seq, m.timestamp, m.sender, m.flags, m.acked_at FROM message m"
    " JOIN (SELECT column1, column2 FROM (VALUES {rows: (?, ?)})) v"
    " ON m.conversation = v.column1 AND m.timestamp = v.column2"
)
#: Own messages are looked at, too: to pass over them here would take as long as there are many.
ACK_ROWS = (
    f"SELECT {_ACKED} FROM message WHERE conversation = ? AND timestamp >= ? AND timestamp <= ?"
    " ORDER BY timestamp DESC, seq DESC LIMIT ?"
)
FIRST_ACK_ROW = (
    f"SELECT {_ACKED} FROM message WHERE conversation = ? AND timestamp >= ? ORDER BY timestamp, seq LIMIT 1"
)
OTHERS_BETWEEN = (
    f"SELECT coalesce(sum(sender <> ? AND NOT flags & {IMPORTED}), 0), count(*)"
    " FROM (SELECT sender, flags FROM message WHERE conversation = ?"
    " AND timestamp >= ? AND timestamp <= ? AND seq > ? AND seq < ? LIMIT ?)"
)
READ_ROWS = (
    f"SELECT {_READ} FROM message WHERE conversation = ? AND (timestamp, seq) <= (?, ?)"
    " ORDER BY timestamp DESC, seq DESC LIMIT ?"
)
MOVE_ACKS = Bulk(
    "WITH new(conversation, client, seq, newest_at, extra, now) AS (VALUES {rows: (?, ?, ?, ?, ?, ?)})"
    " UPDATE member SET ack_seq = new.seq, ack_to = new.newest_at, ack_extra = new.extra, ack_at = new.now FROM new"
    " WHERE member.conversation = new.conversation AND member.client = new.client"
)
_NEW_TIMES = "WITH new(conversation, timestamp, seq, now) AS (VALUES {rows: (?, ?, ?, ?)}) UPDATE message SET"
_OF_NEW = (
    "FROM new WHERE message.conversation = new.conversation AND message.timestamp = new.timestamp"
    " AND message.seq = new.seq"
)
MARK_ACKED = Bulk(f"{_NEW_TIMES} acked_at = new.now {_OF_NEW}")
MARK_READ = Bulk(f"{_NEW_TIMES} read_at = new.now {_OF_NEW}")
#: `read_to` is 0 for who has read only before it was kept.
MARKS = (
    "SELECT client, CASE WHEN ack_at > 0 THEN ack_to END, CASE WHEN read_to > 0 THEN read_to END FROM member"
    " WHERE conversation = ? AND client <> ? AND (ack_at > 0 OR read_to > 0)"
)
#: The last message of a conversation may be the client's own: then nothing of it may be missed. A stream has the id of
#: its service conversation, and then its own.
MISSED_CONVERSATIONS = (
    "SELECT c.key, coalesce(s.id, c.id), c.id, c.kind, m.ack_seq, m.ack_to, m.ack_extra FROM member m"
    " JOIN conversation c ON c.key = m.conversation LEFT JOIN conversation s ON s.key = c.parent"
    f" WHERE m.app = ? AND m.client = ? AND {_LIVING} AND c.last_seq > max(m.ack_seq, c.swept_seq)"
    " AND (c.parent IS NULL OR s.key IS NOT NULL)"
    " ORDER BY c.last_message_at DESC LIMIT ?"
)
MISSED_MESSAGES = (
    f"SELECT {MESSAGE_COLUMNS} FROM message WHERE conversation = ? AND timestamp >= ? AND seq > ? AND {KEPT}"
    f" AND NOT flags & {IMPORTED} ORDER BY timestamp DESC, seq DESC LIMIT ?"
)
MESSAGE_AT = f"SELECT {MESSAGE_COLUMNS} FROM message WHERE conversation = ? AND timestamp = ? AND seq = ? AND {KEPT}"
FIND_STREAMS = Bulk(
    "SELECT c.app, c.id, c.key FROM conversation c"
    " JOIN (SELECT column1, column2 FROM (VALUES {rows: (?, ?)})) v ON c.app = v.column1 AND c.id = v.column2"
    f" WHERE {PARENT_LIVES}"
)


# signatures

USE_SIGNATURE = "INSERT OR IGNORE INTO used_signature (digest, expires_at) VALUES (?, ?)"
PRUNE_SIGNATURES = (
    "DELETE FROM used_signature WHERE digest IN"
    " (SELECT digest FROM used_signature WHERE expires_at < ? ORDER BY expires_at LIMIT ?)"
)


# notifications

INSERT_NOTIFICATIONS = Bulk(
    'INSERT INTO notification (app, client, at, conversation, joined, "by")'
    " SELECT * FROM (VALUES {rows: (?, ?, ?, ?, ?, ?)}) WHERE column1 IS NOT NULL"
)
NOTIFICATIONS_AFTER = (
    'SELECT n.joined, c.id, n."by", n.at, c.expires_at'
    " FROM notification n JOIN conversation c ON c.key = n.conversation"
    f" WHERE n.app = ? AND n.client = ? AND n.at > ? AND {_LIVING} ORDER BY n.at, n.conversation LIMIT ?"
)
MEMBERSHIPS = (
    "SELECT m.conversation, m.joined_at FROM member m JOIN conversation c ON c.key = m.conversation"
    " WHERE m.app = ? AND m.client = ? LIMIT ?"
)
PRUNE_NOTIFICATIONS = (
    "DELETE FROM notification WHERE (app, client, at, conversation) IN"
    " (SELECT app, client, at, conversation FROM notification WHERE at < ? ORDER BY at LIMIT ?)"
)

# seats in chat rooms

TAKE_SEAT = (
    "INSERT INTO seat (app, client, device, conversation) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET conversation = excluded.conversation, lost_at = NULL"
)
_THE_SEAT = "app = ? AND client = ? AND device = ? AND conversation = ?"
DROP_SEAT = f"DELETE FROM seat WHERE {_THE_SEAT}"
LOSE_SEAT = f"UPDATE seat SET lost_at = ? WHERE {_THE_SEAT}"
UPDATED_AT = "SELECT updated_at FROM conversation WHERE key = ?"
PRUNE_SEATS = (
    "DELETE FROM seat WHERE (app, client, device) IN"
    " (SELECT app, client, device FROM seat WHERE lost_at < ? ORDER BY lost_at LIMIT ?)"
)
