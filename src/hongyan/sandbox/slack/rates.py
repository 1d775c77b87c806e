"""Messages to one channel, or by one webhook: one a second, and bursts."""

from collections import deque
from collections.abc import Callable

from hongyan.sandbox.slack.answers import Limited

#: So many in so many seconds.
BURST, BURST_TIME = 15, 10.0


class Bursts:
    """Of each channel and webhook; `now` is the time of day (s)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._sent: dict[str, deque[float]] = {}

    def count(self, bucket: str) -> None:
        """Raises Limited."""
        times = self._sent.setdefault(bucket, deque())
        now = self._now()
        while times and times[0] <= now - BURST_TIME:
            times.popleft()
        if len(times) >= BURST:
            raise Limited(max(1, round(times[0] + BURST_TIME - now)))
        times.append(now)
