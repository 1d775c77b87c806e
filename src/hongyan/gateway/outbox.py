"""Writing gathered: whatever a connection is told within one tick of the loop leaves in one system call."""

import asyncio
import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


class Flusher:
    """Calls `flush` of every connection that has something to say, once per tick.

    The kernel's send call is most of the cost of a delivery; gathering is what makes a busy room cheap.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Callable[[], None]] = []

    def add(self, flush: Callable[[], None]) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(flush)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for flush in waiting:
            try:
                flush()
            except Exception:  # one connection's trouble is not its neighbours'
                log.exception("an outbox could not be written")
