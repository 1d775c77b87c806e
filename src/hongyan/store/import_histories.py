"""Messages of another server, merged into what is there, inside a step of an import (docs/decisions/0013).

All messages of a conversation stand in the order of (time, id), and their seqs ascend in it:

* what is newer than all goes behind it, with the next seqs;
* what is older than all goes before it, with the seqs before the first, which may be zero or negative;
* for what comes between, the seqs on that side which has fewer messages are moved out of the way.

No message that was brought in is unread, wherever it stands: who has read all keeps having read all, and for others it
is counted with what they need not read (`own_since_read`, and the flag `hot.IMPORTED` where that is counted again).
"""

import bisect
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from hongyan.engine.imported import Imported, ImportedHistory, ImportedMessage
from hongyan.engine.values import ConversationKind, stream_id
from hongyan.store import hot, service_views
from hongyan.store.ack_state import Place, Span, unpack
from hongyan.store.database import Bulk
from hongyan.store.import_step import UNKNOWN, Found, Step

INSERT = Bulk(
    "INSERT INTO message"
    " (conversation, app, timestamp, seq, id, sender, body, flags, mentions, patched_at, acked_at, read_at)"
    " SELECT * FROM (VALUES {rows: (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}) WHERE column1 IS NOT NULL"
)
AT_TIMES = Bulk(
    "SELECT m.timestamp, m.id, m.seq, m.body, m.flags, m.mentions, m.patched_at, m.acked_at, m.read_at FROM message m"
    " JOIN (SELECT column1, column2 FROM (VALUES {rows: (?, ?)})) v"
    " ON m.conversation = v.column1 AND m.timestamp = v.column2"
)
REPLACE = (
    "UPDATE message SET body = ?, flags = ?, mentions = ?, patched_at = ?, acked_at = ?, read_at = ?"
    " WHERE conversation = ? AND timestamp = ? AND seq = ?"
)
_PLACES = "SELECT timestamp, id, seq FROM message WHERE conversation = ?"
NEWEST = f"{_PLACES} ORDER BY timestamp DESC, seq DESC LIMIT 1"
OLDEST = f"{_PLACES} ORDER BY timestamp, seq LIMIT 1"
UPTO = f"{_PLACES} AND timestamp <= ? ORDER BY timestamp DESC, seq DESC"
SINCE = f"{_PLACES} AND timestamp >= ? ORDER BY timestamp, seq"
#: The ends of conversations, in one row: with each row the driver gives up the interpreter lock.
ENDS = Bulk(
    "SELECT json_group_array(json_array(c.key, c.last_seq, c.swept_seq, m.timestamp, m.id))"
    " FROM (SELECT column1 FROM (VALUES {rows: (?)})) v JOIN conversation c ON c.key = v.column1"
    " LEFT JOIN message m ON m.rowid ="
    " (SELECT rowid FROM message WHERE conversation = c.key ORDER BY timestamp DESC, seq DESC LIMIT 1)"
)
MOVE = "UPDATE message SET seq = ? WHERE conversation = ? AND timestamp = ? AND seq = ?"
MOVE_HIDDEN = "UPDATE hidden_message SET seq = ? WHERE conversation = ? AND timestamp = ? AND seq = ?"
HAS_HIDDEN = "SELECT 1 FROM hidden_message WHERE conversation = ? LIMIT 1"
_ALL_READ = "max(read_seq, new.swept) + own_since_read >= new.last"
_ALL_RECEIVED = "ack_seq >= new.last AND ack_extra IS NULL"
MARK_APPENDED = Bulk(
    "WITH new(key, swept, last, seq, at) AS (VALUES {rows: (?, ?, ?, ?, ?)})"
    " UPDATE member SET"
    f" read_seq = CASE WHEN {_ALL_READ} THEN new.seq ELSE read_seq END,"
    f" read_to = CASE WHEN {_ALL_READ} THEN new.at ELSE read_to END,"
    f" own_since_read = CASE WHEN {_ALL_READ} THEN 0 ELSE own_since_read + new.seq - new.last END,"
    f" ack_seq = CASE WHEN {_ALL_RECEIVED} THEN new.seq ELSE ack_seq END,"
    f" ack_to = CASE WHEN {_ALL_RECEIVED} THEN new.at ELSE ack_to END"
    " FROM new WHERE member.conversation = new.key"
)
#: How a seq moves, with the seqs after each of which one comes, for those above (up) or up to them (down).
_UP = "{0} + (SELECT count(*) FROM json_each(:after) WHERE value < {0})"
_DOWN = "{0} - (SELECT count(*) FROM json_each(:after) WHERE value >= {0})"
SPANS = "SELECT client, ack_seq, ack_to, ack_extra FROM member WHERE conversation = ? AND ack_extra IS NOT NULL"
SET_SPANS = "UPDATE member SET ack_extra = ? WHERE conversation = ? AND client = ?"
INSERT_UNKNOWN = (
    "INSERT INTO conversation (app, id, kind, creator, created_at, updated_at, imported_at)"
    " VALUES (?, ?, ?, '', ?, ?, ?)"
)
NOTE_UNKNOWN = "INSERT INTO imported_column (conversation, name, value) VALUES (?, ?, 'true')"
OWN_PARENT = "UPDATE conversation SET parent = key WHERE key = ?"


def _marks_moved(how: str, *more: str) -> tuple[str, ...]:
    def moved(*columns: str) -> str:
        return ", ".join(f"{column} = {how.format(column)}" for column in columns)

    of_conversation = ", ".join([moved("mention_all_seq", "mention_all_before", "swept_seq"), *more])
    return (
        "UPDATE member SET"
        " own_since_read = own_since_read + (SELECT count(*) FROM json_each(:after) WHERE value >= read_seq),"
        f" {moved('read_seq', 'mention_seq', 'ack_seq')} WHERE conversation = :key",
        f"UPDATE conversation SET {of_conversation} WHERE key = :key",
        f"UPDATE sent_token SET {moved('seq')} WHERE conversation = :key",
    )


MOVE_UP, MOVE_DOWN = _marks_moved(_UP, "last_seq = last_seq + :count"), _marks_moved(_DOWN)


class There(NamedTuple):
    """A message in its conversation."""

    timestamp: int
    id: str
    seq: int


class End(NamedTuple):
    """Where a conversation ends; `timestamp` and `id` are those of its last message, if it has any."""

    key: int
    last_seq: int
    swept_seq: int
    timestamp: int | None
    id: str | None

    def is_before(self, message: ImportedMessage) -> bool:
        return self.timestamp is None or (self.timestamp, self.id or "") < _order(message)


class Append(NamedTuple):
    """Messages that go behind the end of a conversation."""

    end: End
    messages: Sequence[ImportedMessage]


class Merged(NamedTuple):
    """What became of messages."""

    new: int
    changed: int
    same: int


def write(step: Step, rows: Sequence[ImportedHistory]) -> Imported:
    """What goes behind all there is, as most does, gathers and is written by few statements for all conversations.

    Each statement costs a wait for the interpreter lock beside a busy server.
    """
    found = step.find(each for row in rows for each in _ids(row))
    keys = {ours.key for row in rows if row.client is None and (ours := found.get(row.conversation_id)) is not None}
    ends = _ends(step.driver, keys)
    appends: list[Append] = []
    touched: set[int] = set()
    total = Merged(0, 0, 0)
    for row in rows:
        ours = found.get(row.conversation_id)
        end = ends.pop(ours.key, None) if row.client is None and ours is not None else None
        if end is not None and end.is_before(row.messages[0]):
            appends.append(Append(end, row.messages))
            done, key = Merged(len(row.messages), 0, 0), end.key
        else:
            _append(step.driver, step.app_key, appends)  # they may be looked for now
            appends = []
            done, key = _write(step, row, found)
            ends.pop(key, None)
        if done.new or done.changed:
            touched.add(key)
        total = Merged(*map(sum, zip(total, done, strict=True)))
    _append(step.driver, step.app_key, appends)
    step.touch(touched)
    step.edited_at = max((m.patched_at or 0 for row in rows for m in row.messages), default=0)
    return Imported(*total)


def _ends(driver: Any, keys: Iterable[int]) -> dict[int, End]:
    rows = ENDS.run(driver, [(key,) for key in keys])
    return {end.key: end for (text,) in rows for end in map(End._make, json.loads(text))}


def _ids(row: ImportedHistory) -> list[str]:
    if row.client is None:
        return [row.conversation_id]
    return [row.conversation_id, stream_id(row.conversation_id, row.client)]


def _write(step: Step, row: ImportedHistory, found: dict[str, Found]) -> tuple[Merged, int]:
    """The messages in their place; and its key."""
    messages, ours = row.messages, found.get(row.conversation_id)
    if row.client is None:
        key = ours.key if ours is not None else _make_unknown(step, row, found)
        return merge(step.driver, step.app_key, key, messages), key
    if ours is None:
        known = row._replace(conversation_id=stream_id(row.conversation_id, row.client), client=None, stream=True)
        return _write(step, known, found)
    if ours.kind != ConversationKind.SERVICE:
        return merge(step.driver, step.app_key, ours.key, messages), ours.key
    told = {(timestamp, message_id) for timestamp, message_id, *_ in _at_times(step.driver, ours.key, messages)}
    own = [message for message in messages if (message.timestamp, message.id) not in told]
    if not own:
        return Merged(0, 0, len(messages)), ours.key
    key = _stream(step, ours, row.client)
    done = merge(step.driver, step.app_key, key, own)
    return done._replace(same=done.same + len(messages) - len(own)), key


def _stream(step: Step, service: Found, client: str) -> int:
    """The stream of a client, made if there is none."""
    there = service_views.find_stream(step.driver, step.app_key, service.key, service.id, client)
    if there is not None:
        return there[0]
    return service_views.make_stream(step.driver, step.app_key, service.key, service.id, client, step.now)[0]


def _make_unknown(step: Step, row: ImportedHistory, found: dict[str, Found]) -> int:
    """A place for messages of a conversation that no longer exists, found by its bare id.

    A stream of which nobody knows whose it is can't be asked for; it becomes part of its service conversation when
    that client has a stream there.
    """
    at = row.messages[0].timestamp
    kind = ConversationKind.SERVICE if row.stream else ConversationKind.NORMAL
    values = (step.app_key, row.conversation_id, int(kind), at, at, step.now)
    key: int = step.driver.execute(INSERT_UNKNOWN, values).lastrowid
    step.driver.execute(NOTE_UNKNOWN, (key, UNKNOWN))
    if row.stream:
        step.driver.execute(OWN_PARENT, (key,))
    step.keys.add(key)
    found.update(step.find([row.conversation_id]))
    return key


# merging


def merge(driver: Any, app_key: int, key: int, messages: Sequence[ImportedMessage]) -> Merged:
    """Bring messages, ascending and each once, into a conversation."""
    end = _ends(driver, [key])[key]
    if end.is_before(messages[0]):
        _append(driver, app_key, [Append(end, messages)])
        return Merged(len(messages), 0, 0)
    fresh, changed = _update(driver, key, messages)
    if fresh:
        oldest, newest = _first(driver, OLDEST, key), _first(driver, NEWEST, key)
        assert oldest is not None
        assert newest is not None
        before = bisect.bisect_left(fresh, oldest[:2], key=_order)
        behind = bisect.bisect_left(fresh, newest[:2], key=_order)
        if fresh[before:behind]:
            _put_between(driver, app_key, key, fresh[before:behind], oldest, newest)
        if fresh[:before]:
            _put_before(driver, app_key, key, fresh[:before])
        if fresh[behind:]:
            end = _ends(driver, [key])[key]  # what was put between may have moved it
            _append(driver, app_key, [Append(end, fresh[behind:])])
    return Merged(len(fresh), changed, len(messages) - len(fresh) - changed)


def _update(driver: Any, key: int, messages: Sequence[ImportedMessage]) -> tuple[list[ImportedMessage], int]:
    """The messages that are not there; and how many that are there have changed since they were brought in."""
    there = {row[:2]: row[2:] for row in _at_times(driver, key, messages)}
    fresh, changes = [], []
    for message in messages:
        found = there.get((message.timestamp, message.id))
        if found is None:
            fresh.append(message)
        elif (values := _newer(message, *found[1:])) is not None:
            changes.append((*values, key, message.timestamp, found[0]))
    driver.executemany(REPLACE, changes)
    return fresh, len(changes)


def _newer(message: ImportedMessage, *there: Any) -> tuple[Any, ...] | None:
    """What is set of a message that was brought in before; None if that changes nothing.

    What was edited or recalled here stays, unless it was edited there later. What was sent here is nobody else's.
    """
    body, flags, mentions, patched_at, acked_at, read_at = there
    if not flags & hot.IMPORTED:
        return None
    content = (body, flags, mentions, patched_at)
    if patched_at is None or (message.patched_at or 0) > patched_at:
        content = _content(message)
    values = (*content, acked_at or message.acked_at, read_at or message.read_at)
    return values if values != (bytes(body), *there[1:]) else None


def _content(message: ImportedMessage) -> tuple[Any, ...]:
    """The columns `body`, `flags`, `mentions` and `patched_at`."""
    flags = hot.IMPORTED
    for flag, is_set in (
        (hot.BINARY, message.binary),
        (hot.MENTION_ALL, message.mention_all),
        (hot.RECEIPT, message.receipt),
        (hot.RECALLED, message.recalled),
    ):
        flags |= flag if is_set else 0
    mentions = json.dumps(message.mentions) if message.mentions else None
    return b"\x00" + message.content, flags, mentions, message.patched_at


def _insert(driver: Any, app_key: int, key: int, messages: Sequence[ImportedMessage], seqs: Sequence[int]) -> None:
    _insert_rows(driver, app_key, [(key, message, seq) for message, seq in zip(messages, seqs, strict=True)])


def _insert_rows(driver: Any, app_key: int, places: Sequence[tuple[int, ImportedMessage, int]]) -> None:
    """Messages, each with the key of its conversation and its seq."""
    rows = [
        (key, app_key, m.timestamp, seq, m.id, m.sender, *_content(m), m.acked_at, m.read_at) for key, m, seq in places
    ]
    INSERT.run(driver, rows)
    hot.NOTE_AUTHORS.run(driver, [(app_key, *author) for author in {(m.sender, key) for key, m, _ in places}])


def _append(driver: Any, app_key: int, appends: Sequence[Append]) -> None:
    """Each conversation once."""
    if not appends:
        return
    places, heads, marks = [], [], []
    for end, messages in appends:
        seq, at = end.last_seq + len(messages), messages[-1].timestamp
        places += [(end.key, message, end.last_seq + number) for number, message in enumerate(messages, 1)]
        heads.append((end.key, seq, at))
        marks.append((end.key, end.swept_seq, end.last_seq, seq, at))
    _insert_rows(driver, app_key, places)
    hot.MOVE_HEADS.run(driver, heads)
    MARK_APPENDED.run(driver, marks)


def _put_before(driver: Any, app_key: int, key: int, messages: Sequence[ImportedMessage]) -> None:
    oldest = _first(driver, OLDEST, key)
    assert oldest is not None
    _insert(driver, app_key, key, messages, range(oldest.seq - len(messages), oldest.seq))


def _put_between(
    driver: Any, app_key: int, key: int, messages: Sequence[ImportedMessage], oldest: There, newest: There
) -> None:
    """Each message behind the one there that it follows; seqs above them grow or seqs below them shrink."""
    first, last = _before(driver, key, messages[0]), _before(driver, key, messages[-1])
    up = newest.seq - first.seq <= last.seq - oldest.seq
    since = SINCE if up else UPTO
    edge = messages[0].timestamp if up else messages[-1].timestamp
    there = [There(*row) for row in driver.execute(since, (key, edge)).fetchall()]
    there.sort(key=lambda row: row[:2])
    known = [row[:2] for row in there]
    after = []
    for message in messages:
        place = bisect.bisect_left(known, _order(message))
        after.append(there[place - 1].seq if place else first.seq)
    moved = _moved_up(after) if up else _moved_down(after)
    moves = [(moved(row.seq), key, row.timestamp, row.seq) for row in there if moved(row.seq) != row.seq]
    _move(driver, key, moves[::-1] if up else moves)
    _move_marks(driver, key, after, moved, up)
    count = len(messages)
    seqs = [seq + i + 1 if up else seq - count + i + 1 for i, seq in enumerate(after)]
    _insert(driver, app_key, key, messages, seqs)


def _moved_up(after: Sequence[int]) -> Callable[[int], int]:
    return lambda seq: seq + bisect.bisect_left(after, seq)


def _moved_down(after: Sequence[int]) -> Callable[[int], int]:
    return lambda seq: seq - len(after) + bisect.bisect_left(after, seq)


def _move(driver: Any, key: int, moves: Sequence[tuple[int, int, int, int]]) -> None:
    """In this order, none comes to a place that is still taken."""
    driver.executemany(MOVE, moves)
    if driver.execute(HAS_HIDDEN, (key,)).fetchone() is not None:
        driver.executemany(MOVE_HIDDEN, moves)


def _move_marks(driver: Any, key: int, after: Sequence[int], moved: Callable[[int], int], up: bool) -> None:
    for client, *acks in driver.execute(SPANS, (key,)).fetchall():
        state = unpack(*acks)
        state.spans = [Span(*(Place(moved(end.seq), end.timestamp) for end in span)) for span in state.spans]
        driver.execute(SET_SPANS, (state.pack(), key, client))
    values = {"key": key, "after": json.dumps(after), "count": len(after)}
    for statement in MOVE_UP if up else MOVE_DOWN:
        driver.execute(statement, values)


def _before(driver: Any, key: int, message: ImportedMessage) -> There:
    """The last message that comes before this one; there is one."""
    for row in driver.execute(UPTO, (key, message.timestamp)):
        if row[:2] < _order(message):
            return There(*row)
    raise AssertionError("a message between others comes after one")


def _first(driver: Any, statement: str, key: int) -> There | None:
    row = driver.execute(statement, (key,)).fetchone()
    return None if row is None else There(*row)


def _at_times(driver: Any, key: int, messages: Sequence[ImportedMessage]) -> list[tuple[Any, ...]]:
    return AT_TIMES.run(driver, [(key, timestamp) for timestamp in {m.timestamp for m in messages}])


def _order(message: ImportedMessage) -> tuple[int, str]:
    return message.timestamp, message.id
