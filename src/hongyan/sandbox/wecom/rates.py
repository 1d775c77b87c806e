"""Rates as WeCom counts them: in windows of the clock; what is over is refused until the window ends."""

from collections.abc import Callable, Hashable


class Windows:
    """By any key; `now` is the time of day (s)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: dict[tuple[Hashable, float], tuple[int, int]] = {}

    def take(self, key: Hashable, most: int, seconds: float) -> bool:
        """Whether there is room for one more, which then is taken."""
        window = int(self._now() // seconds)
        at, count = self._counts.get((key, seconds), (window, 0))
        if at != window:
            count = 0
        if count >= most:
            return False
        self._counts[key, seconds] = (window, count + 1)
        return True
