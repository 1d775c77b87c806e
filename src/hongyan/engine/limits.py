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


class Limits:
    """Token buckets: a full minute's worth at once, refilled evenly."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._buckets: OrderedDict[tuple[int, str, Operation], tuple[float, float]] = OrderedDict()

    def allow(self, app: App, client: str, operation: Operation) -> bool:
        """Take one; False if none is left."""
        if not app.settings.limits:
            return True
        now = self._monotonic()
        key = (app.key, client, operation)
        left, since = self._buckets.get(key, (float(operation.value), now))
        left = min(operation.value, left + (now - since) * operation.value / _WINDOW)
        allowed = left >= 1
        self._buckets[key] = (left - 1 if allowed else left, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > CLIENTS_MAX:
            self._buckets.popitem(last=False)
        return allowed
