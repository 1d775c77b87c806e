"""Messages to the application exactly once and in order, whatever happens to the connection.

Each conversation has a timeline: the place up to which the application was told. What is pushed from before that place
is a repetition. What was missed is read from history, while pushes of that conversation wait: after a reconnect, when
the server counted messages that it did not push, and when the application was too slow to take them.
"""

import asyncio
import itertools
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from hongyan_client.backoff import Backoff
from hongyan_client.errors import ClientClosed, HongyanError
from hongyan_client.events import Event, MessageReceived
from hongyan_client.inbox import Inbox
from hongyan_client.message import Message

log = logging.getLogger(__name__)

#: Messages read from history at once.
PAGE = 100
#: Pushes of one conversation that wait while it catches up; later messages are read from history instead.
HELD_MAX = 200
#: Conversations caught up at the same time; the server answers as many reads of a connection at once.
AT_ONCE = 2
#: Own messages of one conversation remembered, to tell them from those of this client's other devices.
OWN_MAX = 1000
#: Conversations asked for at once when looking for missed messages.
RECENT = 50
#: Errors that stay: the conversation is gone, or this client is not in it; or the server does not know such queries.
FINAL = frozenset({4303, 4310, 4312, 4313, 4314, 4317, 4323})
#: Messages of conversations not seen before are looked for from this long (ms) before the connection was lost.
MARGIN = 60_000

_Result = TypeVar("_Result")


@dataclass(slots=True)
class Timeline:
    """The state of one conversation.

    `floor` is the time before which nothing is missed, `at` and `last_id` the message last told. `held` are the
    events that wait; None when none have to. `behind` means that history has to be read, `again` that it has to be read
    once more, `listed` that the conversation is found among this client's conversations. `unread` counts on from the
    server's count, which covered everything up to `unread_at`.
    """

    conversation_id: str
    floor: int
    at: int = 0
    last_id: str = ""
    held: list[Event] | None = None
    behind: bool = False
    again: bool = False
    own: OrderedDict[str, int] = field(default_factory=OrderedDict)
    task: asyncio.Task[None] | None = None
    listed: bool = True
    unread: int = 0
    unread_at: int = 0
    unread_id: str = ""

    def knows(self, message: Message) -> bool:
        """Whether the application was told of this message or has sent it."""
        return message.timestamp <= self.at or message.id in self.own

    def move(self, message: Message) -> None:
        """The application has been told of everything up to this message."""
        if message.timestamp <= self.at:
            return
        self.at, self.last_id = message.timestamp, message.id
        while self.own and next(iter(self.own.values())) <= self.at:
            self.own.popitem(last=False)


class Source(Protocol):
    """Where timelines read what was missed."""

    client_id: str

    async def newer(self, conversation_id: str, at: int, message_id: str, limit: int) -> list[Message]:
        """The messages after a place, ascending."""

    async def recent(self, skip: int, limit: int) -> list[tuple[str, int]]:
        """This client's conversations and the times of their last messages, latest first."""

    async def sends_settled(self, conversation_id: str) -> None:
        """Waits until every message on its way to the conversation is acknowledged or given up."""

    def received(self, message: Message) -> MessageReceived:
        """The event of a message."""


class Timelines:
    """All conversations that this client has heard of."""

    def __init__(self, source: Source, inbox: Inbox, *, catch_up: bool) -> None:
        self._source = source
        self._inbox = inbox
        self._catches_up = catch_up
        self._lines: dict[str, Timeline] = {}
        self._floor = 0
        self._settling = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._patience = Backoff()
        self._slots = asyncio.Semaphore(AT_ONCE)

    def start(self, now: int) -> None:
        """The first login, at the server's time `now`: what is older is not missed."""
        self._floor = now

    def disconnected(self, now: int) -> None:
        """The connection is gone: what waits is read from history later. `now` is the last time the server told."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        if not self._settling:
            self._floor = max(self._floor, now - MARGIN)
        for line in self._lines.values():
            held, line.held = line.held, None
            for event in held or ():
                if not _is_stored(event):
                    self._inbox.offer(event)
        self._settling = self._catches_up

    def reconnected(self) -> None:
        """Looks for what was missed; until it is found, pushes wait."""
        if self._settling:
            self._spawn(self._settle())

    def message(self, message: Message, *, more: bool = False, listed: bool = True) -> None:
        """A message was pushed; `more` says that the server keeps later ones back."""
        line = self.line(message.conversation_id)
        line.listed = listed
        self._take(line, message)
        if more:
            line.floor = min(line.floor, message.timestamp)  # also what was said before the first login
            self.missed(message.conversation_id, message.timestamp + 1)

    def _take(self, line: Timeline, message: Message) -> None:
        if message.transient:
            self._tell(line, self._source.received(message))
        elif line.knows(message):
            return
        elif line.held is not None or self._settling:
            self._hold(line, self._source.received(message))
        elif self._inbox.full and self._catches_up:
            self._fall_behind(line)
        else:
            self._deliver(line, self._source.received(message))

    def event(self, conversation_id: str, event: Event) -> None:
        """Something else happened in a conversation: it is told in its place among the messages."""
        line = self._lines.get(conversation_id)
        if line is None:
            self._inbox.offer(event)
        else:
            self._tell(line, event)

    def missed(self, conversation_id: str, at: int) -> None:
        """The server speaks of a message at that time: if it was not pushed, it is read from history."""
        line = self.line(conversation_id)
        if not self._catches_up or at <= max(line.at, line.floor):
            return
        if line.behind:
            line.again = True
        elif self._settling:
            line.behind = True
        else:
            self._fall_behind(line)

    def sent(self, conversation_id: str, message_id: str, at: int) -> None:
        """This client sent a message: it is not told of it again."""
        line = self.line(conversation_id)
        if at <= line.at:
            return
        line.own[message_id] = at
        if len(line.own) > OWN_MAX and line.held is None and not self._settling:
            line.last_id, line.at = line.own.popitem(last=False)

    def joined(self, conversation_id: str, at: int, *, listed: bool = True) -> None:
        """What was said before this client joined is not missed."""
        line = self._lines.get(conversation_id)
        if line is None:
            self._lines[conversation_id] = Timeline(conversation_id, max(at, self._floor), listed=listed)
        elif listed:
            line.listed = True

    def left(self, conversation_id: str) -> None:
        """Nothing of this conversation is missed any more."""
        line = self._lines.pop(conversation_id, None)
        if line is None:
            return
        if line.task is not None:
            line.task.cancel()
        for event in line.held or ():
            self._inbox.offer(event)

    def line(self, conversation_id: str) -> Timeline:
        """The timeline of a conversation, a new one if it is not known."""
        line = self._lines.get(conversation_id)
        if line is None:
            line = self._lines[conversation_id] = Timeline(conversation_id, self._floor)
        return line

    def last_told(self, conversation_id: str) -> tuple[str, int] | None:
        """Id and time of the newest message that the application was told of, as a message or in a count."""
        line = self.line(conversation_id)
        told = [(line.at, line.last_id), (line.unread_at, line.unread_id)]
        at, message_id = max(told)
        return (message_id, at) if at else None

    async def stop(self) -> None:
        """Ends all reading."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _tell(self, line: Timeline, event: Event) -> None:
        """An event that history does not hold."""
        if line.held is None and not self._settling:
            self._inbox.offer(event)
        else:
            self._hold(line, event)

    def _hold(self, line: Timeline, event: Event) -> None:
        if line.held is None:
            line.held = []
        line.held.append(event)
        if len(line.held) > HELD_MAX:
            line.behind = line.again = True
            kept = [other for other in line.held if not _is_stored(other)]
            line.held = kept[:HELD_MAX]
            self._inbox.drop(len(kept) - len(line.held))

    def _deliver(self, line: Timeline, event: MessageReceived) -> None:
        message = event.message
        line.move(message)
        if message.sender != self._source.client_id and message.timestamp > line.unread_at:
            line.unread += 1
        self._inbox.offer(event)

    def _fall_behind(self, line: Timeline) -> None:
        line.behind = True
        if line.held is None:
            line.held = []
        line.task = self._spawn(self._catch_up(line))

    async def _settle(self) -> None:
        """After a reconnect: finds the conversations with missed messages and lets the others go on."""
        found = await self._persist(self._changed)
        for conversation_id in found if found is not None else list(self._lines):
            self.line(conversation_id).behind = True
        self._settling = False
        for line in list(self._lines.values()):
            if line.behind or line.held or not line.listed:
                self._fall_behind(line)

    async def _changed(self) -> set[str]:
        """The conversations with a message that the application was not told of."""
        changed: set[str] = set()
        skip = 0
        while True:
            page = await self._source.recent(skip, RECENT)
            for conversation_id, last in page:
                line = self._lines.get(conversation_id)
                if last > max(self._floor, line.at if line else 0):
                    changed.add(conversation_id)
            skip += len(page)
            if len(page) < RECENT or any(0 < last <= self._floor for _, last in page):
                return changed

    async def _catch_up(self, line: Timeline) -> None:
        async with self._slots:
            line.again = True
            while line.again:
                line.again = False
                await self._persist(lambda: self._read_gap(line))
        line.behind = False
        self._release(line)

    async def _persist(self, read: Callable[[], Awaitable[_Result]]) -> _Result | None:
        """Repeats a read that fails for reasons that pass; None if the server will never answer it.

        When the connection ends this is cancelled, and begins anew on the next one.
        """
        for attempt in itertools.count():
            try:
                return await read()
            except HongyanError as error:
                if error.code in FINAL or isinstance(error, ClientClosed):
                    log.info("what was missed can't be read: %s", error)
                    return None
                log.info("what was missed is read again: %s", error)
            await asyncio.sleep(self._patience.delay(attempt))
        return None

    async def _read_gap(self, line: Timeline) -> None:
        while True:
            await self._inbox.room()
            after = line.at or line.floor
            page = await self._source.newer(line.conversation_id, after, line.last_id, PAGE)
            for message in page:
                if message.sender == self._source.client_id and message.id not in line.own:
                    await self._source.sends_settled(line.conversation_id)
                await self._inbox.room()
                if line.knows(message):
                    line.move(message)
                else:
                    self._deliver(line, self._source.received(message))
            if len(page) < PAGE:
                return

    def _release(self, line: Timeline) -> None:
        """Tells what waited, without what history has told already."""
        held, line.held = line.held or [], None
        for event in held:
            if not isinstance(event, MessageReceived) or event.message.transient:
                self._tell(line, event)
            elif not line.knows(event.message):
                self._take(line, event.message)


def _is_stored(event: Event) -> bool:
    return isinstance(event, MessageReceived) and not event.message.transient
