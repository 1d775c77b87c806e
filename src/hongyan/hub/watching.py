"""Who waits for messages to come to their end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Watching:
    """By the ids of messages; what has ended is told once, to those who wait then."""

    def __init__(self) -> None:
        self._futures: dict[str, list[asyncio.Future[None]]] = {}

    @contextmanager
    def of(self, message_id: str) -> "Iterator[Watch]":
        """Hears of the end from here on, also before it is waited for."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._futures.setdefault(message_id, []).append(future)
        try:
            yield Watch(future)
        finally:
            self._futures[message_id].remove(future)
            if not self._futures[message_id]:
                del self._futures[message_id]

    def tell(self, message_id: str) -> None:
        """Nothing of the message waits any more."""
        for future in self._futures.get(message_id, ()):
            if not future.done():
                future.set_result(None)


class Watch:
    """Of one message."""

    def __init__(self, future: "asyncio.Future[None]") -> None:
        self._future = future

    async def ended(self, wait: float) -> None:
        """Return at the end, or after so many seconds."""
        if wait > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._future), wait)
