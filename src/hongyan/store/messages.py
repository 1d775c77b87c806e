"""Messages, read marks and unread counts in the database."""

from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import (
    Arrived,
    Conversation,
    ConversationKind,
    Draft,
    HistoryRange,
    Marks,
    Message,
    Missed,
    Receipts,
    Stored,
    Unread,
)
from hongyan.errors import Refused
from hongyan.store import hot, members, receipts
from hongyan.store.ack_state import Place, unpack
from hongyan.store.plan import Append, Call
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer


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

    def mark_received(
        self, conversation: Conversation, client: str, arrived: Arrived, done: Callable[[Receipts | Refused], None]
    ) -> None:
        self._writer.submit(receipts.Received(conversation, client, arrived, done))

    def mark_read(
        self,
        conversation: Conversation,
        client: str,
        upto: int | None,
        committed: Callable[[Unread, int, Receipts], None],
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> tuple[Unread, int, Receipts]:
            driver: Any = bound.connection.driver_connection
            if conversation.has_ended(self._clock.now()):
                raise Refused(errors.CONVERSATION_NOT_FOUND, "the conversation has ended")
            members.check_exists(bound, conversation.key)
            unread, given = self._mark_read(driver, conversation.key, client, upto)
            return unread, self._writer.horizon(), given

        return self._writer.call_then(change, lambda result: committed(*result), conversation.key)

    async def marks(self, conversation: Conversation, besides: str) -> list[Marks]:
        rows = await self._reader.run(
            lambda driver: driver.execute(hot.MARKS, (conversation.key, besides)).fetchall(),
            errors.CONVERSATION_API_FAILED,
        )
        return [Marks(*row) for row in rows]

    async def missed(
        self, app_key: int, client: str, conversations: int, messages: int, tracked: int, *, temporary: bool = True
    ) -> list[Missed]:
        whose = (app_key, client, hot.living_at(self._clock.now(), temporary=temporary))
        missed = await self._reader.run(lambda driver: _missed(driver, whose, conversations, messages, tracked))
        await self._told()
        return missed

    async def unread(
        self, app_key: int, client: str, since: int | None, limit: int, *, temporary: bool = True
    ) -> tuple[list[Unread], int]:
        at = self._writer.horizon()
        whose = (app_key, client, hot.living_at(self._clock.now(), temporary=temporary))

        def read(driver: Any) -> list[Unread]:
            if since is None:
                rows = driver.execute(hot.UNREAD_ALL, (*whose, limit))
            else:
                rows = driver.execute(hot.UNREAD_SINCE, (*whose, since, since, since, limit))
            return [_unread(row) for row in rows.fetchall()]

        unread = await self._reader.run(read)
        await self._told()
        return unread, at

    async def _told(self) -> None:
        """Wait until what a reader has seen is told: it sees a commit a moment before the event loop hears of it."""
        await self._writer.call(lambda bound: None)

    def _mark_read(self, driver: Any, key: int, client: str, upto: int | None) -> tuple[Unread, Receipts]:
        mark = driver.execute(hot.READ_MARK, (key, client)).fetchone()
        if mark is None:
            raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "not a member")
        read_seq, own_since_read, last_seq, last_message_at = mark
        target, target_at, own = last_seq, last_message_at, 0
        if upto is not None and last_message_at is not None and upto < last_message_at:
            target, target_at = driver.execute(hot.LAST_UPTO, (key, upto)).fetchone() or (read_seq, 0)
            if last_seq - target < target - read_seq:
                own = driver.execute(hot.COUNT_OWN_AFTER, (key, upto, target, client)).fetchone()[0]
            elif target > read_seq:  # never more rows than are marked: reading in small steps costs no more in all
                passed = (key, upto, target - read_seq, read_seq, client)
                own = own_since_read - driver.execute(hot.COUNT_OWN_UPTO, passed).fetchone()[0]
        now = self._clock.now()
        given = Receipts((), now)
        if target > read_seq:
            driver.execute(hot.MOVE_READ_MARK, (target, target_at, own, now, key, client))
            given = receipts.write_read(driver, key, client, Place(target, target_at), target - read_seq, now)
        return _unread(driver.execute(hot.UNREAD_ONE, (key, client)).fetchone()), given


def _missed(driver: Any, whose: tuple[int, str, int], conversations: int, messages: int, tracked: int) -> list[Missed]:
    """Conversations in which only own messages are new are passed over, some of them at least."""
    answer: list[Missed] = []
    for key, conversation_id, kind, *acks in driver.execute(hot.MISSED_CONVERSATIONS, (*whose, 4 * conversations)):
        state = unpack(*acks)
        upto = (key, state.upto.timestamp, state.upto.seq, tracked)
        newest_first = map(hot.decode_message, driver.execute(hot.MISSED_MESSAGES, upto))
        missed = [m for m in newest_first if m.sender != whose[1] and not state.covers(m.seq)][::-1]
        if missed:
            more = len(missed) > messages
            answer.append(Missed(conversation_id, ConversationKind(kind), tuple(missed[:messages]), more))
        if len(answer) == conversations:
            break
    return answer


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
