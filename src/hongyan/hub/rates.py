"""Keeping to the rates of platforms: a little below them, so that theirs are not what stops us."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import NamedTuple

from hongyan.hub.connector import Outcome, Problem

#: Addresses whose last calls are remembered; those unused for the longest time are forgotten first.
KEPT = 20_000


class Limit(NamedTuple):
    """At most `most` calls in any `seconds` for `key`."""

    key: Hashable
    most: int
    seconds: float


class Rates:
    """Of all connectors together: channels that share a robot share its rate."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._calls: OrderedDict[Limit, deque[float]] = OrderedDict()
        self._closed: dict[Hashable, float] = {}

    def take(self, *limits: Limit, everybody: bool = False) -> None:
        """Count one call against each, as often as it is given.

        Raises Problem(THROTTLED), and counts nothing, if one of them has not so many left.
        """
        now = self._now()
        wait = max((self._wait(limit, wanted, now) for limit, wanted in Counter(limits).items()), default=0.0)
        if wait > 0:
            raise Problem(Outcome.THROTTLED, "paced to stay below the platform's rate", after=wait, everybody=everybody)
        for limit in limits:
            self._calls[limit].append(now)

    def close(self, key: Hashable, seconds: float) -> None:
        """The platform takes nothing for this key for so long."""
        now = self._now()
        if len(self._closed) >= KEPT:
            self._closed = {each: until for each, until in self._closed.items() if until > now}
        self._closed[key] = max(self._closed.get(key, 0.0), now + seconds)

    def _wait(self, limit: Limit, wanted: int, now: float) -> float:
        calls = self._calls.get(limit)
        if calls is None:
            calls = self._calls[limit] = deque()
            while len(self._calls) > KEPT:
                self._calls.popitem(last=False)
        self._calls.move_to_end(limit)
        while calls and calls[0] + limit.seconds <= now:
            calls.popleft()
        spare = max(limit.most - wanted, 0)  # more at once than a limit has are for when nothing is counted
        wait = calls[len(calls) - spare - 1] + limit.seconds - now if len(calls) > spare else 0.0
        closed = self._closed.get(limit.key, 0.0) - now
        if closed <= 0:
            self._closed.pop(limit.key, None)
        return max(wait, closed, 0.0)
