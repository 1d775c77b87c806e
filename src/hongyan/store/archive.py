"""What was said in many conversations at once: in a whole app, or by one client. In the order of (time, id)."""

import heapq
import itertools
from collections.abc import Iterator
from typing import Any

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import Archived, ConversationKind, HistoryRange, stream_id
from hongyan.store import hot
from hongyan.store.reading import Reader

_COLUMNS = ", ".join(f"m.{name.strip()}" for name in hot.MESSAGE_COLUMNS.split(","))
#: A stream has the id of its service conversation, and its own beside it; one of a deleted conversation is gone.
_WHERE = "coalesce(s.id, c.id), CASE WHEN c.parent IS NULL THEN '' ELSE c.id END"
_CONVERSATION = (
    " CROSS JOIN conversation c ON c.key = m.conversation LEFT JOIN conversation s ON s.key = c.parent"
    " WHERE (c.parent IS NULL OR s.key IS NOT NULL) AND (c.expires_at IS NULL OR c.expires_at > ?)"
)
OF_APP = (
    f"SELECT {_WHERE}, {_COLUMNS} FROM message m INDEXED BY message_by_time{_CONVERSATION}"
    f" AND m.app = ? AND m.{hot.KEPT}"
)
#: Messages with one id and time of which a page has all or none, so that the next page may begin after them: what is
#: said to some clients of a service conversation is a message to each.
ALIKE_MAX = 64
_GROUPS = ", ".join(str(int(kind)) for kind in ConversationKind if kind is not ConversationKind.SERVICE)
WHERE_WROTE = (
    "SELECT c.key FROM author a JOIN conversation c ON c.key = a.conversation WHERE a.app = ? AND a.client = ?"
    f" AND c.kind IN ({_GROUPS}) AND (c.expires_at IS NULL OR c.expires_at > ?)"
)
OF_AUTHOR = (
    f"SELECT m.timestamp, m.id, m.rowid FROM message m WHERE m.conversation = ? AND m.sender = ? AND m.{hot.KEPT}"
)
READ = (
    f"SELECT {_WHERE}, {_COLUMNS} FROM message m CROSS JOIN conversation c ON c.key = m.conversation"
    " LEFT JOIN conversation s ON s.key = c.parent WHERE m.rowid = ?"
)
FIND_STREAM = (
    "SELECT c.key, c.version, s.id, m.client FROM conversation c JOIN conversation s ON s.key = c.parent"
    " JOIN member m ON m.conversation = c.key WHERE c.app = ? AND c.id = ?"
)
#: Who has subscribed and was never told anything alone has no stream.
SUBSCRIBERS = (
    "SELECT c.id, m.client FROM conversation c JOIN member m ON m.conversation = c.key"
    f" WHERE c.app = ? AND c.kind = {int(ConversationKind.SERVICE)} AND c.parent IS NULL"
)


class Archive:
    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock

    async def of_app(self, app_key: int, wanted: HistoryRange) -> list[Archived]:
        now = self._clock.now()

        def read(driver: Any) -> list[Archived]:
            where, values = hot.bounds_by_id(wanted, "m")
            statement = " AND ".join([OF_APP, *where]) + f" ORDER BY {hot.order_by_id(wanted, 'm')} LIMIT ?"
            rows = driver.execute(statement, (now, app_key, *values, wanted.limit + ALIKE_MAX)).fetchall()
            return whole_groups([_archived(row) for row in rows], wanted.limit)

        return await self._reader.run(read, errors.CONVERSATION_LOG_FAILED) if wanted.limit else []

    async def of_author(self, app_key: int, client: str, wanted: HistoryRange) -> list[Archived]:
        now = self._clock.now()

        def read(driver: Any) -> list[Archived]:
            keys = [key for (key,) in driver.execute(WHERE_WROTE, (app_key, client, now))]
            where, values = hot.bounds_by_id(wanted, "m")
            statement = " AND ".join([OF_AUTHOR, *where]) + f" ORDER BY {hot.order_by_id(wanted, 'm')}"
            walks: list[Iterator[tuple[int, str, int]]] = [
                driver.execute(statement, (key, client, *values)) for key in keys
            ]
            merged = heapq.merge(*walks, reverse=not wanted.newer)
            places = list(itertools.islice(merged, wanted.limit))
            return [_archived(driver.execute(READ, (rowid,)).fetchone()) for _, _, rowid in places]

        return await self._reader.run(read, errors.CONVERSATION_LOG_FAILED) if wanted.limit else []

    async def stream_of(self, app_key: int, own_id: str, client: str | None = None) -> tuple[str, str] | None:
        def read(driver: Any) -> tuple[str, str] | None:
            row = driver.execute(FIND_STREAM, (app_key, own_id)).fetchone()
            if row is not None:
                return row[2], row[3]
            subscribers = f"{SUBSCRIBERS} AND m.client = ?" if client is not None else SUBSCRIBERS
            values = (app_key,) if client is None else (app_key, client)
            for service_id, subscriber in driver.execute(subscribers, values):
                if stream_id(service_id, subscriber) == own_id:
                    return service_id, subscriber
            return None

        return await self._reader.run(read, errors.CONVERSATION_LOG_FAILED)


def whole_groups(found: list[Archived], limit: int) -> list[Archived]:
    """About `limit` of them, without parting those of one id and time."""
    if len(found) <= limit:
        return found
    end = limit
    while end and _place(found[end - 1]) == _place(found[limit]):
        end -= 1
    if not end:  # all of them are alike
        end = limit
        while end < len(found) and _place(found[end]) == _place(found[0]):
            end += 1
    return found[:end]


def _place(archived: Archived) -> tuple[int, str]:
    return archived.message.timestamp, archived.message.id


def _archived(row: tuple[Any, ...]) -> Archived:
    conversation_id, stream, *message = row
    return Archived(conversation_id, stream, hot.decode_message(tuple(message)))
