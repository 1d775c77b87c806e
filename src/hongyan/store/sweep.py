"""Deleting what is kept no longer, in steps of a few milliseconds that let all other writes go first.

What has expired is looked for by the readers, conversation by conversation; each step looks again inside its write, so
that a message that came meanwhile keeps its conversation.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from hongyan.engine.clock import Clock
from hongyan.engine.values import ConversationKind, Cutoffs, Expired, Swept
from hongyan.store import deletion, hot, sweep_gate
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

#: Conversations looked at in one read.
WINDOW = 1_000
#: Rows deleted in one step, and how many before the time is looked at.
ROWS_MAX, CHUNK = 50, 25
#: After so long a step ends, whatever is left (s).
STEP_TIME = 0.002
#: Pages given back in one step, and those kept for what will be written (10 MiB).
PAGES, FREE_PAGES = 50, 2_560

_STREAMS_ACTIVE = "(SELECT max(s.last_message_at) FROM conversation s WHERE s.parent = c.key)"
_USED_AT = (
    f"max(c.updated_at, coalesce(c.last_message_at, 0), coalesce(c.imported_at, 0), coalesce({_STREAMS_ACTIVE}, 0))"
)
LOOK = (
    "SELECT c.key, c.app, c.kind, CASE WHEN c.parent IS NULL AND c.expires_at IS NULL"
    f" THEN {_USED_AT} END,"
    " (SELECT m.timestamp FROM message m WHERE m.conversation = c.key ORDER BY m.timestamp LIMIT 1)"
    " FROM conversation c WHERE c.key > ? ORDER BY c.key LIMIT ?"
)
ENDED = "SELECT key, app FROM conversation WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
COUNT_BEFORE = "SELECT count(*) FROM message WHERE conversation = ? AND timestamp < ?"
COUNT_ALL = (
    "SELECT count(*) FROM message WHERE conversation IN"
    " (SELECT ?1 UNION ALL SELECT key FROM conversation WHERE parent = ?1)"
)

OLDEST = (
    f"SELECT timestamp, seq, CASE WHEN flags & {hot.IMPORTED} THEN NULL ELSE sender END FROM message"
    " WHERE conversation = ? AND timestamp < ?"
    " ORDER BY timestamp, seq LIMIT ?"
)
DELETE_OLDEST = "DELETE FROM message WHERE conversation = ? AND (timestamp, seq) <= (?, ?)"
#: `own_since_read` counts own messages that are neither read nor swept.
UNCOUNT_OWN = "UPDATE member SET own_since_read = own_since_read - ? WHERE conversation = ? AND client = ?"
#: The same of what was brought in, which nobody needs to read.
UNCOUNT_IMPORTED = (
    "UPDATE member SET own_since_read = own_since_read"
    " - (SELECT count(*) FROM json_each(?1) WHERE value > member.read_seq)"
    " WHERE conversation = ?2 AND read_seq < ?3"
)
READ_SEQ = "SELECT read_seq FROM member WHERE conversation = ? AND client = ?"
MOVE_SWEPT = "UPDATE conversation SET swept_seq = max(swept_seq, ?), swept_at = ? WHERE key = ?"

#: There are few: an app makes some tens a day at most.
DELETE_BROADCASTS = "DELETE FROM broadcast WHERE app = ? AND timestamp < ? AND valid_till < ?"

FIND_UNUSED = f"SELECT c.app, c.id FROM conversation c WHERE c.key = ? AND c.parent IS NULL AND {_USED_AT} < ?"
FIND_ENDED = "SELECT c.app, c.id FROM conversation c WHERE c.key = ? AND c.expires_at <= ?"


class _Step:
    """How much of a step is left: rows and time."""

    def __init__(self) -> None:
        self.rows = ROWS_MAX
        self._ends = time.perf_counter() + STEP_TIME

    @property
    def chunk(self) -> int:
        """Rows that may be deleted before the time is looked at again; 0: the step is over."""
        return max(min(CHUNK, self.rows), 0) if time.perf_counter() < self._ends else 0


class Sweep:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def look(self, after: int, cutoffs: Mapping[int, Cutoffs]) -> tuple[list[Expired], int | None]:
        rows = await self._reader.run(lambda driver: driver.execute(LOOK, (after, WINDOW)).fetchall())
        found = [_expired(row, cutoffs[row[1]]) for row in rows if row[1] in cutoffs]
        return [each for each in found if each is not None], rows[-1][0] if len(rows) == WINDOW else None

    async def ended(self, limit: int) -> list[Expired]:
        now = self._clock.now()
        rows = await self._reader.run(lambda driver: driver.execute(ENDED, (now, limit)).fetchall())
        return [Expired(key, app_key, ConversationKind.TEMPORARY) for key, app_key in rows]

    async def count(self, expired: Expired) -> Swept:
        def read(driver: Any) -> Swept:
            if expired.messages_before is not None:
                return Swept(driver.execute(COUNT_BEFORE, (expired.key, expired.messages_before)).fetchone()[0])
            return Swept(driver.execute(COUNT_ALL, (expired.key,)).fetchone()[0], 1)

        return await self._reader.run(read)

    def delete_messages(self, expired: Sequence[Expired]) -> Awaitable[tuple[int, list[Expired]]]:
        def change(bound: sa.Connection) -> tuple[int, list[Expired]]:
            step, left = _Step(), _allowed(bound, expired)
            while left and (chunk := step.chunk):
                rows = self._delete_oldest(bound.connection.driver_connection, chunk, left[0])
                step.rows -= rows
                if rows < chunk:
                    left.pop(0)
            return ROWS_MAX - step.rows, left

        return self._writer.call_in_bulk(change, lambda result: None, *(each.key for each in expired))

    def delete_conversations(
        self, expired: Sequence[Expired], committed: Callable[[Sequence[tuple[int, str]]], None]
    ) -> Awaitable[Sequence[tuple[int, str]]]:
        def change(bound: sa.Connection) -> list[tuple[int, str]]:
            driver: Any = bound.connection.driver_connection
            now = self._clock.now()
            deleted = [_delete(driver, each, now) for each in _allowed(bound, expired)]
            return [each for each in deleted if each is not None]

        return self._writer.call_in_bulk(
            change,
            committed,
            *(each.key for each in expired),
            touches_all=any(each.kind == ConversationKind.SERVICE for each in expired),
        )

    def clean(self) -> Awaitable[bool]:
        def change(bound: sa.Connection) -> bool:
            driver: Any = bound.connection.driver_connection
            step = _Step()
            while chunk := step.chunk:
                rows = deletion.clean(driver, chunk)
                if rows is None:
                    return False
                step.rows -= rows + 1
            return True

        return self._writer.call_in_bulk(change)

    def delete_broadcasts(self, app_key: int, before: int) -> Awaitable[int]:
        def change(bound: sa.Connection) -> int:
            if app_key in sweep_gate.asking(bound):
                return 0
            return bound.exec_driver_sql(DELETE_BROADCASTS, (app_key, before, self._clock.now())).rowcount

        return self._writer.call_in_bulk(change)

    def shrink(self) -> Awaitable[bool]:
        def change(bound: sa.Connection) -> bool:
            driver: Any = bound.connection.driver_connection
            free: int = driver.execute("PRAGMA freelist_count").fetchone()[0] - FREE_PAGES
            if free > 0:
                driver.execute(f"PRAGMA incremental_vacuum({min(free, PAGES)})").fetchall()
            return free > PAGES

        return self._writer.call_in_bulk(change)

    async def asking(self) -> dict[int, str]:
        return await self._reader.run_bound(sweep_gate.asking)

    async def agree(self, app_key: int, asked: str) -> None:
        await self._writer.call(lambda bound: sweep_gate.agree(bound, app_key, asked))

    async def wait(self, app_key: int, waiting: Swept) -> None:
        await self._writer.call(lambda bound: sweep_gate.wait(bound, app_key, *waiting))

    def _delete_oldest(self, driver: Any, chunk: int, expired: Expired) -> int:
        """So many of the expired messages of a conversation, if there are as many; how many there were."""
        rows = driver.execute(OLDEST, (expired.key, expired.messages_before, chunk)).fetchall()
        if not rows:
            return 0
        timestamp, seq, _ = rows[-1]
        driver.execute(DELETE_OLDEST, (expired.key, timestamp, seq))
        own: dict[str | None, list[int]] = {}
        for _, each, sender in rows:
            own.setdefault(sender, []).append(each)
        if imported := own.pop(None, None):
            driver.execute(UNCOUNT_IMPORTED, (json.dumps(imported), expired.key, max(imported)))
        for sender, seqs in own.items():
            member = driver.execute(READ_SEQ, (expired.key, sender)).fetchone()
            uncounted = sum(each > member[0] for each in seqs) if member else 0
            if uncounted:
                driver.execute(UNCOUNT_OWN, (uncounted, expired.key, sender))
        now = self._clock.now()
        driver.execute(MOVE_SWEPT, (max(each for _, each, _ in rows), now, expired.key))
        deletion.note_time(driver, now)
        return len(rows)


def _expired(row: tuple[Any, ...], cutoffs: Cutoffs) -> Expired | None:
    key, app_key, kind, used_at, oldest = row
    if cutoffs.conversations is not None and used_at is not None and used_at < cutoffs.conversations:
        return Expired(key, app_key, ConversationKind(kind), unused_since=cutoffs.conversations)
    if cutoffs.messages is not None and oldest is not None and oldest < cutoffs.messages:
        return Expired(key, app_key, ConversationKind(kind), messages_before=cutoffs.messages)
    return None


def _allowed(bound: sa.Connection, expired: Sequence[Expired]) -> list[Expired]:
    """Without those of apps that ask; temporary conversations that have ended need no yes."""
    asking = sweep_gate.asking(bound)
    return [
        each
        for each in expired
        if each.app_key not in asking or (each.messages_before is None and each.unused_since is None)
    ]


def _delete(driver: Any, expired: Expired, now: int) -> tuple[int, str] | None:
    """(app key, id) of a conversation that is gone now; None if it is used again."""
    if expired.unused_since is None:
        row = driver.execute(FIND_ENDED, (expired.key, now)).fetchone()
    else:
        row = driver.execute(FIND_UNUSED, (expired.key, expired.unused_since)).fetchone()
    if row is None:
        return None
    deletion.delete(driver, expired.key, now)
    return row[0], row[1]
