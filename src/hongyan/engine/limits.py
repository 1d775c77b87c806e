"""Rate limits per client, as the original's (reference 3.23): operations per minute by kind of command."""

import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum

from hongyan.engine.values import App

CLIENTS_MAX = 200_000
_WINDOW = 60.0


class Operation(Enum):
    """A kind of command and how many a client may send per minute. READ is history pages and read marks: a busy
    chat would use up the 30 of OTHER with marks alone."""

    SEND = 60
    READ = 120
    OTHER = 30

    def __hash__(self) -> int:  # the default walks through str(name); this is asked per message
        return id(self)


class Bucket:
    """A token bucket: a full minute's worth at once, refilled evenly."""

    __slots__ = ("_left", "_per_minute", "_since")

    def __init__(self, per_minute: int, now: float) -> None:
        self._per_minute = per_minute
        self._left = float(per_minute)
        self._since = now

    def take(self, now: float) -> bool:
        """Take one at the time `now` (s); False if none is left."""
        self._left = min(self._per_minute, self._left + (now - self._since) * self._per_minute / _WINDOW)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Limits:
    """A bucket for each client and kind of command."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._buckets: OrderedDict[tuple[int, str, Operation], Bucket] = OrderedDict()

    def allow(self, app: App, client: str, operation: Operation) -> bool:
        """Take one; False if none is left."""
        if not app.settings.limits:
            return True
        now = self._monotonic()
        key = (app.key, client, operation)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(operation.value, now)
            if len(self._buckets) > CLIENTS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket.take(now)
