"""Waiting for the events of a client."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from hongyan_client import Client, Event, Message, MessageReceived

_Event = TypeVar("_Event", bound=Event)
TIMEOUT = 60.0


class Events:
    """A client's events, taken one by one."""

    def __init__(self, client: Client) -> None:
        self._events: AsyncIterator[Event] = client.events()

    async def next(self, kind: type[_Event]) -> _Event:
        """The next event of this type; others before it are left out."""
        async with asyncio.timeout(TIMEOUT):
            async for event in self._events:
                if isinstance(event, kind):
                    return event
        raise AssertionError(f"the client was closed before {kind.__name__}")

    async def message(self) -> Message:
        """The next message."""
        return (await self.next(MessageReceived)).message

    async def messages(self, count: int) -> list[Message]:
        """The next messages."""
        return [await self.message() for _ in range(count)]
