"""Rates as Feishu counts them: what is refused counts, too."""

from collections import deque
from collections.abc import Callable

from hongyan.sandbox.feishu.answers import Refusal


class Rates:
    """Windows that slide; `now` is the time of day (s)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._calls: dict[str, deque[float]] = {}

    def within(self, key: str, most: int, seconds: float) -> bool:
        """Count a call, and say whether it is one of at most so many in these seconds."""
        now = self._now()
        calls = self._calls.setdefault(f"{key}/{seconds:g}", deque())
        while calls and calls[0] <= now - seconds:
            calls.popleft()
        calls.append(now)
        return len(calls) <= most

    def pace(self, method: str, to: str = "") -> None:
        """Count a call of a method, and one `to` a message or chat. Raises Refusal."""
        if not (self.within(method, 50, 1) and self.within(method, 1000, 60)):
            limits = {"x-ogw-ratelimit-limit": "50", "x-ogw-ratelimit-reset": "1"}
            raise Refusal(99991400, "request trigger frequency limit", 429, limits)
        if to and not self.within(to, 5, 1):
            raise Refusal(230020, "This operation triggers the frequency limit.")
