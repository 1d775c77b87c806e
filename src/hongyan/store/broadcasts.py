"""Broadcasts to all clients of an app, in the database."""

from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import Broadcast, Conversation, Draft, Stored, new_message_id
from hongyan.engine.work import Following
from hongyan.errors import Refused
from hongyan.store import hot
from hongyan.store.plan import AHEAD_MAX
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_COLUMNS = (
    "b.key, b.app, c.id, b.valid_till, b.id, 0, b.timestamp, b.sender, b.body, b.flags, NULL, b.patched_at, NULL, NULL"
)
_VALID = f"SELECT {_COLUMNS} FROM broadcast b JOIN conversation c ON c.key = b.conversation WHERE b.valid_till > ?"
VALID = f"{_VALID} ORDER BY b.key"
IS_ALIVE = "SELECT 1 FROM conversation WHERE key = ? AND parent IS NULL"
LAST = "SELECT max(timestamp) FROM broadcast WHERE app = ?"
LAST_KEY = "SELECT seq FROM sqlite_sequence WHERE name = 'broadcast'"
INSERT = (
    "INSERT INTO broadcast (app, conversation, timestamp, id, sender, body, flags, valid_till)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
REPLACE = "UPDATE broadcast SET body = ?, patched_at = ? WHERE key = ?"
DELETE = "DELETE FROM broadcast WHERE key = ?"
FIND = "SELECT key FROM broadcast WHERE app = ? AND timestamp = ? AND id = ?"
MADE_SINCE = "SELECT app, count(*) FROM broadcast WHERE timestamp >= ? GROUP BY app"


class Broadcasts:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def valid(self) -> tuple[list[Broadcast], int]:
        now = self._clock.now()

        def read(driver: Any) -> tuple[list[Broadcast], int]:
            rows = driver.execute(VALID, (now,)).fetchall()
            last = driver.execute(LAST_KEY).fetchone()
            return [_broadcast(row) for row in rows], last[0] if last else 0

        return await self._reader.run(read)

    async def made_since(self, since: int) -> dict[int, int]:
        return dict(await self._reader.run(lambda driver: driver.execute(MADE_SINCE, (since,)).fetchall()))

    def insert(
        self,
        service: Conversation,
        sender: str,
        draft: Draft,
        valid_till: int,
        committed: Callable[[int, Stored], None],
        following: Following[tuple[int, Stored]] | None = None,
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> tuple[int, Stored]:
            driver: Any = bound.connection.driver_connection
            if driver.execute(IS_ALIVE, (service.key,)).fetchone() is None:
                raise Refused(errors.INVALID_MESSAGING_TARGET, "the conversation is gone")
            now = self._clock.now()
            at = max(now, (driver.execute(LAST, (service.app_key,)).fetchone()[0] or 0) + 1)
            if at - now > AHEAD_MAX:
                raise Refused(errors.MESSAGE_SENT_QUOTA_EXCEEDED, "too many broadcasts")
            place = Stored(new_message_id(at), 0, at)
            body, flags = hot.encode_body(draft.content), hot.encode_flags(draft)
            values = (service.app_key, service.key, at, place.id, sender, body, flags, valid_till)
            return driver.execute(INSERT, values).lastrowid, place

        return self._writer.call_then(change, lambda made: committed(*made), following=following)

    def replace(
        self, key: int, content: str | bytes, patched_at: int, committed: Callable[[], None]
    ) -> Awaitable[object]:
        values = (hot.encode_body(content), patched_at, key)

        def change(bound: sa.Connection) -> None:
            if not bound.exec_driver_sql(REPLACE, values).rowcount:
                raise _unknown()

        return self._writer.call_then(change, lambda _: committed())

    def delete(
        self, app_key: int, message_id: str, timestamp: int, committed: Callable[[int], None]
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> int:
            key = bound.exec_driver_sql(FIND, (app_key, timestamp, message_id)).scalar()
            if key is None:
                raise _unknown()
            bound.exec_driver_sql(DELETE, (key,))
            return int(key)

        return self._writer.call_then(change, committed)


def _unknown() -> Refused:
    return Refused(errors.MESSAGE_NOT_FOUND, "no such broadcast")


def _broadcast(row: tuple[Any, ...]) -> Broadcast:
    key, app_key, conversation_id, valid_till, *message = row
    return Broadcast(key, app_key, conversation_id, valid_till, hot.decode_message(tuple(message)))
