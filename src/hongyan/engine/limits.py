"""Rate limits per client, as the original's (reference 3.23): operations per minute by kind of command.

And per app, what it may deliver per second.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum

from hongyan.engine.values import App

CLIENTS_MAX = 200_000
_WINDOW = 60.0


class Operation(Enum):
    """A kind of command, and the setting that says how many a client may send per minute.

    READ is history pages and read marks: a busy chat would use up the 30 of OTHER with marks alone. FILE is counted by
    address, since whoever uploads says no client id.
    """

    SEND = "send_rate"
    READ = "read_rate"
    OTHER = "other_rate"
    FILE = "file_rate"

    def __hash__(self) -> int:  # the default walks through str(name); this is asked per message
        return id(self)


class Bucket:
    """A token bucket: a full minute's worth at once, refilled evenly."""

    __slots__ = ("_left", "_since", "per_minute")

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._left = float(per_minute)
        self._since = now

    def take(self, now: float) -> bool:
        """Take one at the time `now` (s); False if none is left."""
        self._left = min(self.per_minute, self._left + (now - self._since) * self.per_minute / _WINDOW)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def rate(app: App, operation: Operation) -> int:
    """How many of these a client of the app may send per minute."""
    per_minute: int = getattr(app.settings, operation.value)
    return per_minute


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
        per_minute = rate(app, operation)
        bucket = self._buckets.get(key)
        if bucket is None or bucket.per_minute != per_minute:
            bucket = self._buckets[key] = Bucket(per_minute, now)
            if len(self._buckets) > CLIENTS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket.take(now)


class DeliveryBudget:
    """What each app may deliver per second. Deliveries are charged when they are made, which may leave a debt.

    So a message that was acknowledged is always delivered; those after it are refused until the debt is worked off.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # by app: deliveries not worked off yet, and when that was reckoned
        self._spent: dict[int, float] = {}
        self._since: dict[int, float] = {}

    def charge(self, app_key: int, deliveries: int) -> None:
        self._spent[app_key] = self._spent.get(app_key, 0.0) + deliveries

    def allow(self, app: App) -> bool:
        """Whether the app has worked off enough to deliver more."""
        key, now = app.key, self._monotonic()
        per_second = app.settings.delivery_rate
        worked_off = (now - self._since.get(key, now)) * per_second
        spent = max(0.0, self._spent.get(key, 0.0) - worked_off) if app.settings.limits else 0.0
        self._spent[key], self._since[key] = spent, now
        return spent < per_second
