"""The server's clock: every time a client sees comes from here."""

import time
from collections.abc import Callable


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Clock:
    """Milliseconds since the Unix epoch that never step back.

    When the wall clock is set back, the clock runs at half speed until the wall has caught up. Stepping back would
    make the cursors that clients keep (last unread notification, last patch) hide what comes after them; standing
    still would leave no times for new messages.
    """

    def __init__(self, wall: Callable[[], int] = wall_ms, steady: Callable[[], int] = steady_ms) -> None:
        self._wall = wall
        self._steady = steady
        # the last time the wall was ahead: what was told, and what `steady` showed
        self._mark = (0, steady())

    def not_before(self, time: int) -> None:
        """Tell no earlier time from now on: this one was told before a restart."""
        steady = self._steady()
        self._mark = (max(self._without_wall(steady), time), steady)

    def now(self) -> int:
        steady, wall = self._steady(), self._wall()
        behind = self._without_wall(steady)
        if wall < behind:
            return behind
        self._mark = (wall, steady)
        return wall

    def _without_wall(self, steady: int) -> int:
        told, at = self._mark
        return told + (steady - at) // 2
