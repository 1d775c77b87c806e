"""Writing gathered: whatever a connection is told within one tick of the loop leaves in one system call."""

import asyncio
import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


class Flusher:
    """Calls `flush` of every connection that has something to say, once per tick.

    The kernel's send call is most of the cost of a delivery; gathering is what makes a busy room cheap. `before` is
    called first and may have something for more connections.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, before: Callable[[], None]) -> None:
        self._loop = loop
        self._before = before
        self._waiting: list[Callable[[], None]] = []
        self._is_due = False

    def wake(self) -> None:
        """Flush at the end of this tick."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._flush)

    def add(self, flush: Callable[[], None]) -> None:
        if not self._is_due:
            self.wake()
        self._waiting.append(flush)

    def _flush(self) -> None:
        self._before()
        waiting, self._waiting, self._is_due = self._waiting, [], False
        for flush in waiting:
            try:
                flush()
            except Exception:  # one connection's trouble is not its neighbours'
                log.exception("an outbox could not be written")
