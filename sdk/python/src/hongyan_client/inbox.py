"""Events that wait for the application, in order and bounded."""

import asyncio
from collections import deque

from hongyan_client.events import Event, EventsDropped

#: Events about the connection itself may pass the bound by this many.
RESERVE = 64


class Inbox:
    """A queue with one consumer. What does not fit is counted, and the count is told in its place."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._events: deque[Event] = deque()
        self._dropped = 0
        self._closed = False
        self.taken = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def full(self) -> bool:
        return len(self._events) >= self._size

    def offer(self, event: Event) -> None:
        """Adds the event, or counts it as dropped."""
        self._add(event, self._size)

    def offer_state(self, event: Event) -> None:
        """Adds an event about the connection, for which some places are kept free."""
        self._add(event, self._size + RESERVE)

    def drop(self, count: int) -> None:
        """Counts events that were left out elsewhere."""
        self._dropped += count

    async def room(self) -> None:
        """Waits until an event fits."""
        while self.full:
            self._room.clear()
            await self._room.wait()

    async def take(self) -> Event | None:
        """The oldest event, waited for; None after the last one of a closed client."""
        if self.taken:
            raise RuntimeError("another task waits for the events of this client")
        self.taken = True
        try:
            while not self._events:
                if self._closed:
                    return None
                self._news.clear()
                await self._news.wait()
        finally:
            self.taken = False
        event = self._events.popleft()
        if self._dropped:
            self._events.append(EventsDropped(self._dropped))
            self._dropped = 0
        if not self.full:
            self._room.set()
        return event

    def close(self) -> None:
        """Lets the consumer end after what waits."""
        self._closed = True
        self._news.set()

    def _add(self, event: Event, bound: int) -> None:
        if len(self._events) >= bound:
            self._dropped += 1
            return
        self._events.append(event)
        self._news.set()
