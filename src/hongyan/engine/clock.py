"""The server's clock: every time a client sees comes from here."""

import time
from collections.abc import Callable


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Clock:
    """Milliseconds since the Unix epoch that never step back.

    When the wall clock is set back, the clock stands still until the wall has caught up: cursors that clients
    keep (last unread notification, last patch) would otherwise hide what comes after them.
    """

    def __init__(self, wall: Callable[[], int] = wall_ms) -> None:
        self._wall = wall
        self._latest = 0

    def not_before(self, time: int) -> None:
        """Tell no earlier time from now on: this one was told before a restart."""
        self._latest = max(self._latest, time)

    def now(self) -> int:
        self._latest = max(self._latest, self._wall())
        return self._latest
