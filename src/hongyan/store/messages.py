"""Messages, read marks and unread counts in the database."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

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
from hongyan.store import hot, receipts
from hongyan.store.ack_state import Place, unpack
from hongyan.store.plan import Append, Call
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

#: Messages that the writer looks at for one read mark.
COUNTED_MAX = 10_000


class _Passed(NamedTuple):
    """The messages that a read mark of the client passes: so many up to the time `upto`, of later seqs than `after`.

    Whose they are never changes, so they may be counted at any time.
    """

    conversation: int
    upto: int
    messages: int
    after: int
    client: str


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
        """Own messages among very many that are passed are counted by a reader: the writer would keep all waiting."""
        counted: dict[_Passed, int] = {}

        def change(bound: sa.Connection) -> tuple[Unread, int, Receipts] | _Passed:
            driver: Any = bound.connection.driver_connection
            marked = self._mark_read(driver, conversation.key, client, upto, counted)
            return marked if isinstance(marked, _Passed) else (marked[0], self._writer.horizon(), marked[1])

        def told(result: tuple[Unread, int, Receipts] | _Passed) -> None:
            if not isinstance(result, _Passed):
                committed(*result)

        async def finish(outcome: Awaitable[tuple[Unread, int, Receipts] | _Passed]) -> None:
            while isinstance(passed := await outcome, _Passed):
                counted[passed] = await self._reader.run(functools.partial(_count_own, passed=passed))
                outcome = self._writer.call_then(change, told, conversation.key)

        return finish(self._writer.call_then(change, told, conversation.key))  # it has its place in the queue now

    async def marks(self, conversation: Conversation, besides: str) -> list[Marks]:
        rows = await self._reader.run(
            lambda driver: driver.execute(hot.MARKS, (conversation.key, besides)).fetchall(),
            errors.CONVERSATION_API_FAILED,
        )
        return [Marks(*row) for row in rows]

    async def missed(self, app_key: int, client: str, conversations: int, messages: int, tracked: int) -> list[Missed]:
        missed = await self._reader.run(
            lambda driver: _missed(driver, (app_key, client), conversations, messages, tracked)
        )
        await self._told()
        return missed

    async def unread(self, app_key: int, client: str, since: int | None, limit: int) -> tuple[list[Unread], int]:
        at = self._writer.horizon()

        def read(driver: Any) -> list[Unread]:
            if since is None:
                rows = driver.execute(hot.UNREAD_ALL, (app_key, client, limit))
            else:
                rows = driver.execute(hot.UNREAD_SINCE, (app_key, client, since, since, limit))
            return [_unread(row) for row in rows.fetchall()]

        unread = await self._reader.run(read)
        await self._told()
        return unread, at

    async def _told(self) -> None:
        """Wait until what a reader has seen is told: it sees a commit a moment before the event loop hears of it."""
        await self._writer.call(lambda bound: None)

    def _mark_read(
        self, driver: Any, key: int, client: str, upto: int | None, counted: Mapping["_Passed", int]
    ) -> "tuple[Unread, Receipts] | _Passed":
        """What came of it; or what must be counted before, since that is much. Nothing is changed then."""
        mark = driver.execute(hot.READ_MARK, (key, client)).fetchone()
        if mark is None:
            raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "not a member")
        read_seq, own_since_read, last_seq, last_message_at = mark
        target, target_at, own = last_seq, last_message_at, 0
        if upto is not None and last_message_at is not None and upto < last_message_at:
            target, target_at = driver.execute(hot.LAST_UPTO, (key, upto)).fetchone() or (read_seq, 0)
            passed = _Passed(key, target_at, target - read_seq, read_seq, client)
            if min(last_seq - target, passed.messages) > COUNTED_MAX:
                if passed not in counted:
                    return passed
                own = own_since_read - counted[passed]
            elif last_seq - target < passed.messages:
                own = driver.execute(hot.COUNT_OWN_AFTER, (key, upto, target, client)).fetchone()[0]
            elif target > read_seq:  # never more rows than are marked: reading in small steps costs no more in all
                own = own_since_read - _count_own(driver, passed)
        now = self._clock.now()
        given = Receipts((), now)
        if target > read_seq:
            driver.execute(hot.MOVE_READ_MARK, (target, target_at, own, now, key, client))
            given = receipts.write_read(driver, key, client, Place(target, target_at), target - read_seq, now)
        return _unread(driver.execute(hot.UNREAD_ONE, (key, client)).fetchone()), given


def _count_own(driver: Any, passed: _Passed) -> int:
    """How many of the passed messages are the client's own."""
    return int(driver.execute(hot.COUNT_OWN_UPTO, passed).fetchone()[0])


def _missed(driver: Any, who: tuple[int, str], conversations: int, messages: int, tracked: int) -> list[Missed]:
    """Conversations in which only own messages are new are passed over, some of them at least."""
    answer: list[Missed] = []
    for key, conversation_id, kind, *acks in driver.execute(hot.MISSED_CONVERSATIONS, (*who, 4 * conversations)):
        state = unpack(*acks)
        upto = (key, state.upto.timestamp, state.upto.seq, tracked)
        newest_first = map(hot.decode_message, driver.execute(hot.MISSED_MESSAGES, upto))
        missed = [m for m in newest_first if m.sender != who[1] and not state.covers(m.seq)][::-1]
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
