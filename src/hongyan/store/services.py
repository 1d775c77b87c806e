"""Service conversations in the database: subscribers, streams of single clients, what is said to some of them."""

from collections.abc import Awaitable, Callable, Sequence, Set
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import (
    FOREVER,
    Conversation,
    ConversationKind,
    Draft,
    HistoryRange,
    MembersChanged,
    Message,
    Stored,
    Subscriber,
    Subscription,
    Unread,
    stream_id,
)
from hongyan.engine.work import Following
from hongyan.errors import Refused
from hongyan.store import blacklists, deletion, edits, hot, members, service_views
from hongyan.store.plan import Entry, Spread
from hongyan.store.read_marks import Counted, Passed, move_read_mark, write_counting
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer, promise

_SERVICE = int(ConversationKind.SERVICE)

KEYS = f"SELECT app, key FROM conversation WHERE kind = {_SERVICE} AND parent IS NULL"
#: Only the index is read: this is asked at each login to an app that has service conversations.
MEMBERSHIPS = "SELECT conversation FROM member WHERE app = ? AND client = ?"
SUBSCRIBERS = "SELECT client, joined_at FROM member WHERE conversation = ? AND client > ? ORDER BY client LIMIT ?"
#: What a client has subscribed to, by whether the newest come first: a stream has a parent.
SUBSCRIBED = {
    newest_first: (
        "SELECT m.joined_at, c.id FROM member m JOIN conversation c ON c.key = m.conversation"
        f" WHERE m.app = ? AND m.client = ? AND c.kind = {_SERVICE} AND c.parent IS NULL"
        f" AND (m.joined_at, c.id) {'<' if newest_first else '>'} (?, ?)"
        f" ORDER BY m.joined_at {order}, c.id {order} LIMIT ?"
    )
    for newest_first, order in ((False, "ASC"), (True, "DESC"))
}
#: Places before the first and after the last of them.
_BEFORE_ALL = {False: Subscription(-1, ""), True: Subscription(FOREVER, "")}
COUNT = "SELECT member_count FROM conversation WHERE key = ?"
IS_ALIVE = "SELECT 1 FROM conversation WHERE key = ?"
HIDE = "INSERT OR IGNORE INTO hidden_message (conversation, client, timestamp, seq) VALUES (?, ?, ?, ?)"


class Services:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def keys(self) -> list[tuple[int, int]]:
        statement = f"{KEYS} UNION {deletion.WITH_STREAMS}"
        return await self._reader.run(lambda driver: driver.execute(statement).fetchall())

    # subscribers

    def subscribe(
        self,
        conversation: Conversation,
        client: str,
        by: str,
        committed: Callable[[MembersChanged], None],
        following: Following[MembersChanged] | None = None,
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> MembersChanged:
            key = conversation.key
            if blacklists.barred(bound, conversation, [client], by):
                raise Refused(errors.BLOCKED_BY_CONV, "the client can't subscribe")
            row = members.head(bound, key)
            if members.present(bound, key, [client]):
                return MembersChanged((), row.version, row.updated_at)
            at = members.next_update(row, self._clock.now())
            members.insert(bound, key, conversation.app_key, [client], by, at)
            return members.changed(bound, row, (client,), 1, at)

        return self._writer.call_then(change, committed, conversation.key, following=following)

    def unsubscribe(
        self,
        conversation: Conversation,
        client: str,
        by: str,
        committed: Callable[[MembersChanged], None],
        following: Following[MembersChanged] | None = None,
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> MembersChanged:
            key = conversation.key
            row = members.head(bound, key)
            if not members.present(bound, key, [client]):
                return MembersChanged((), row.version, row.updated_at)
            at = members.next_update(row, self._clock.now())
            members.remove(bound, conversation, [client], by, at)
            return members.changed(bound, row, (client,), -1, at)

        return self._writer.call_then(change, committed, conversation.key, following=following)

    async def subscriptions(self, app_key: int, client: str, among: Set[int]) -> list[int]:
        def read(driver: Any) -> list[int]:
            return [key for (key,) in driver.execute(MEMBERSHIPS, (app_key, client)) if key in among]

        return await self._reader.run(read)

    async def subscribers(self, conversation: Conversation, after: str, limit: int) -> list[Subscriber]:
        values = (conversation.key, after, limit)
        rows = await self._reader.run(lambda driver: driver.execute(SUBSCRIBERS, values).fetchall())
        return [Subscriber(*row) for row in rows]

    async def is_subscribed(self, conversation: Conversation, client: str) -> bool:
        values = (conversation.key, client)
        return await self._reader.run(lambda driver: driver.execute(hot.IS_MEMBER, values).fetchone()) is not None

    async def subscribed(
        self, app_key: int, client: str, after: Subscription | None, limit: int, *, newest_first: bool
    ) -> list[Subscription]:
        statement = SUBSCRIBED[newest_first]
        values = (app_key, client, *(after or _BEFORE_ALL[newest_first]), limit)
        rows = await self._reader.run(lambda driver: driver.execute(statement, values).fetchall())
        return [Subscription(*row) for row in rows]

    async def count(self, conversation: Conversation) -> int:
        found = await self._reader.run(lambda driver: driver.execute(COUNT, (conversation.key,)).fetchone())
        if found is None:
            raise members.deleted()
        return int(found[0])

    # streams

    async def stream(self, service: Conversation, client: str) -> Conversation:
        def find_or_make(bound: sa.Connection) -> Conversation:
            driver = _driver(bound)
            if driver.execute(IS_ALIVE, (service.key,)).fetchone() is None:
                raise Refused(errors.INVALID_MESSAGING_TARGET, "the conversation is gone")
            found = _find_stream(driver, service, client)
            return found or self._make_stream(driver, service, client)

        made: Conversation = await self._writer.call(find_or_make)
        return made

    async def streams(self, service: Conversation, clients: Sequence[str]) -> list[Conversation]:
        def find(driver: Any) -> list[Conversation]:
            found = (_find_stream(driver, service, client) for client in clients)
            return [stream for stream in found if stream is not None]

        return await self._reader.run(find)

    def _make_stream(self, driver: Any, service: Conversation, client: str) -> Conversation:
        made = service_views.make_stream(driver, service.app_key, service.key, service.id, client, self._clock.now())
        return _stream(service, client, *made)

    def send(
        self,
        streams: Sequence[Conversation],
        sender: str,
        draft: Draft,
        committed: Callable[[Sequence[Stored]], None],
    ) -> Awaitable[Sequence[Stored]]:
        future, done = promise(committed)
        self._writer.submit(Spread([Entry(stream, sender, draft) for stream in streams], done))
        return future

    # what a client has of a service conversation

    async def page(self, service: Conversation, client: str, wanted: HistoryRange) -> list[Message]:
        if wanted.limit == 0:
            return []

        def read(driver: Any) -> list[Message]:
            stream = _find_stream(driver, service, client)
            return service_views.page(driver, service.key, stream.key if stream else None, client, wanted)

        return await self._reader.run(read, errors.CONVERSATION_LOG_FAILED)

    async def delete(self, service: Conversation, client: str, sender: str, message_id: str, timestamp: int) -> None:
        def change(bound: sa.Connection) -> None:
            driver = _driver(bound)
            stream = _find_stream(driver, service, client)
            place = (timestamp, message_id, sender)
            if stream is not None and (found := edits.find_of(driver, stream.key, *place)):
                edits.erase(driver, stream.key, found)
            elif found := edits.find_of(driver, service.key, *place):
                driver.execute(HIDE, (service.key, client, timestamp, found.seq))
            else:
                raise Refused(errors.MESSAGE_NOT_FOUND, "the client has no such message of this sender")

        await self._writer.call(change)

    def mark_read(
        self,
        service: Conversation,
        client: str,
        upto: int | None,
        committed: Callable[[Unread, int], None],
        stream: Conversation | None,
    ) -> Awaitable[object]:
        def change(bound: sa.Connection, counted: Counted) -> tuple[Unread, int] | Passed:
            members.check_exists(bound, service.key)
            driver, now = _driver(bound), self._clock.now()
            own = _find_stream(driver, service, client)
            keys = [service.key, *([own.key] if own else [])]
            moved = [move_read_mark(driver, key, client, upto, now, counted) for key in keys]
            if not any(given is not None for given in moved):
                raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "not subscribed")
            for given in moved:
                if isinstance(given, Passed):
                    return given  # one mark may have moved already: the next time it stands
            unread = service_views.unread_one(driver, client, service.key, own.key if own else None)
            return unread, self._writer.horizon()

        touched = (service.key, *([stream.key] if stream else []))
        return write_counting(self._writer, self._reader, change, lambda result: committed(*result), *touched)


def _driver(bound: sa.Connection) -> Any:
    return bound.connection.driver_connection


def _find_stream(driver: Any, service: Conversation, client: str) -> Conversation | None:
    found = service_views.find_stream(driver, service.app_key, service.key, service.id, client)
    return _stream(service, client, *found) if found else None


def _stream(service: Conversation, client: str, key: int, version: int) -> Conversation:
    return Conversation(
        key,
        service.app_key,
        service.id,
        ConversationKind.SERVICE,
        version,
        {client},
        stream=stream_id(service.id, client),
    )
