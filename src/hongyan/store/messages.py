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
from hongyan.store import hot, members, receipts, service_views
from hongyan.store.ack_state import unpack
from hongyan.store.plan import Append, Call
from hongyan.store.read_marks import Counted, Passed, move_read_mark, write_counting
from hongyan.store.reading import Reader
from hongyan.store.unread import Asked, UnreadReads
from hongyan.store.writer import Writer


class Messages:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._unread = UnreadReads(reader, writer)

    def append(
        self,
        conversation: Conversation,
        sender: str,
        draft: Draft,
        done: Callable[[Stored | Refused], None],
        *,
        checked: bool = True,
    ) -> None:
        self._writer.submit(Append(conversation, sender, draft, done, conversation.version if checked else None))

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
        def change(bound: sa.Connection, counted: Counted) -> tuple[Unread, int, Receipts] | Passed:
            driver: Any = bound.connection.driver_connection
            if conversation.has_ended(self._clock.now()):
                raise Refused(errors.CONVERSATION_NOT_FOUND, "the conversation has ended")
            members.check_exists(bound, conversation.key)
            given = move_read_mark(driver, conversation.key, client, upto, self._clock.now(), counted)
            if given is None:
                raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "not a member")
            if isinstance(given, Passed):
                return given
            unread = _unread(driver.execute(hot.UNREAD_ONE, (conversation.key, client)).fetchone())
            return unread, self._writer.horizon(), given

        return write_counting(self._writer, self._reader, change, lambda result: committed(*result), conversation.key)

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
        await self._writer.told()
        return missed

    async def unread_in(self, conversation: Conversation, client: str) -> int:
        key = conversation.key

        def read(driver: Any) -> int:
            if conversation.kind is ConversationKind.SERVICE:
                found = service_views.find_stream(driver, conversation.app_key, key, conversation.id, client)
                rows = driver.execute(service_views.UNREAD_ONE, (key, found[0] if found else None, client)).fetchall()
                return max(0, rows[0][2]) if rows else 0
            row = driver.execute(hot.UNREAD_ONE, (key, client)).fetchone()
            return max(0, row[3]) if row else 0

        return await self._reader.run(read)

    async def unread(
        self,
        app_key: int,
        client: str,
        since: int | None,
        limit: int,
        *,
        services: bool = False,
        temporary: bool = True,
    ) -> tuple[list[Unread], int]:
        at = self._writer.horizon()
        living = hot.living_at(self._clock.now(), temporary=temporary)
        return await self._unread.of(Asked(app_key, client, living, since, limit, services)), at


def _missed(driver: Any, whose: tuple[int, str, int], conversations: int, messages: int, tracked: int) -> list[Missed]:
    """Conversations in which only own messages are new are passed over, some of them at least.

    What a client has of a service conversation stands in two, which are put together.
    """
    found: dict[str, tuple[int, list[tuple[Message, str]]]] = {}
    rows = driver.execute(hot.MISSED_CONVERSATIONS, (*whose, 4 * conversations))
    for key, conversation_id, place, kind, *acks in rows:
        if len(found) == conversations and conversation_id not in found:
            continue
        state = unpack(*acks)
        upto = (key, state.upto.timestamp, state.upto.seq, tracked)
        newest_first = map(hot.decode_message, driver.execute(hot.MISSED_MESSAGES, upto))
        missed = [(m, place) for m in newest_first if m.sender != whose[1] and not state.covers(m.seq)][::-1]
        if missed:
            found.setdefault(conversation_id, (kind, []))[1].extend(missed)
    return [_missed_of(conversation_id, *parts, messages) for conversation_id, parts in found.items()]


def _missed_of(conversation_id: str, kind: int, missed: list[tuple[Message, str]], limit: int) -> Missed:
    if kind == ConversationKind.SERVICE:
        missed.sort(key=lambda item: (item[0].timestamp, item[0].id))
    told = missed[:limit]
    return Missed(
        conversation_id,
        ConversationKind(kind),
        tuple(message for message, _ in told),
        len(missed) > limit,
        frozenset((place, message.seq) for message, place in told),
    )


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
