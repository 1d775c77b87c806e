"""Messages, read marks and unread counts in the database."""

from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import Conversation, ConversationKind, Draft, HistoryRange, Message, Stored, Unread
from hongyan.errors import Refused
from hongyan.store import hot
from hongyan.store.reading import Reader
from hongyan.store.writer import Append, Call, Writer


class Messages:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    def append(
        self, conversation: Conversation, sender: str, draft: Draft, done: Callable[[Stored | Refused], None]
    ) -> None:
        self._writer.submit(Append(conversation, sender, draft, done, conversation.version))

    def after_appends(self, then: Callable[[], None]) -> None:
        self._writer.submit(Call(lambda bound: None, lambda outcome: then()))

    async def page(self, conversation: Conversation, wanted: HistoryRange) -> list[Message]:
        if wanted.limit == 0:
            return []
        return await self._reader.run(
            lambda driver: hot.page(driver, conversation.key, wanted), errors.CONVERSATION_LOG_FAILED
        )

    def mark_read(
        self, conversation: Conversation, client: str, upto: int | None, committed: Callable[[Unread, int], None]
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> tuple[Unread, int]:
            driver: Any = bound.connection.driver_connection
            return self._mark_read(driver, conversation.key, client, upto), self._writer.horizon()

        return self._writer.call_then(change, lambda result: committed(*result), conversation.key)

    async def unread(self, app_key: int, client: str, since: int | None, limit: int) -> tuple[list[Unread], int]:
        at = self._writer.horizon()

        def read(driver: Any) -> list[Unread]:
            if since is None:
                rows = driver.execute(hot.UNREAD_ALL, (app_key, client, limit))
            else:
                rows = driver.execute(hot.UNREAD_SINCE, (app_key, client, since, since, limit))
            return [_unread(row) for row in rows.fetchall()]

        unread = await self._reader.run(read)
        # A reader sees a commit a moment before the event loop is told of it.
        await self._writer.call(lambda bound: None)
        return unread, at

    def _mark_read(self, driver: Any, key: int, client: str, upto: int | None) -> Unread:
        mark = driver.execute(hot.READ_MARK, (key, client)).fetchone()
        if mark is None:
            raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "not a member")
        read_seq, own_since_read, last_seq, last_message_at = mark
        target, own = last_seq, 0
        if upto is not None and last_message_at is not None and upto < last_message_at:
            found = driver.execute(hot.LAST_SEQ_UPTO, (key, upto)).fetchone()
            target = found[0] if found else read_seq
            if last_seq - target < target - read_seq:
                own = driver.execute(hot.COUNT_OWN_AFTER, (key, upto, target, client)).fetchone()[0]
            elif target > read_seq:  # never more rows than are marked: reading in small steps costs no more in all
                passed = (key, upto, target - read_seq, read_seq, client)
                own = own_since_read - driver.execute(hot.COUNT_OWN_UPTO, passed).fetchone()[0]
        if target > read_seq:
            driver.execute(hot.MOVE_READ_MARK, (target, own, self._clock.now(), key, client))
        return _unread(driver.execute(hot.UNREAD_ONE, (key, client)).fetchone())


def _unread(row: tuple[Any, ...]) -> Unread:
    conversation_id, kind, last_seq, count, mentioned, *message = row
    return Unread(
        conversation_id,
        ConversationKind(kind),
        last_seq,
        count,
        bool(mentioned) and count > 0,
        hot.decode_message(tuple(message)) if message[0] is not None else None,
    )
