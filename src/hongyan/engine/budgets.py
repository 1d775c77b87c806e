"""How often an app's own server may send over HTTP: kinds of calls that share a budget (REST reference 3.15)."""

import time
from collections.abc import Callable, Mapping
from enum import Enum

from hongyan.engine.clock import Clock
from hongyan.engine.limits import Bucket
from hongyan.engine.values import App, day_of

#: Over the rate of a minute nothing is taken for so long (s).
PAUSE = 60.0


class Budget(Enum):
    """Kinds of calls, each with the settings that say how many a minute and a day has; 0: any number."""

    SEND = ("rest_send_rate", None)
    SUBSCRIPTION = ("rest_subscription_rate", "rest_subscriptions_daily")
    BROADCAST = ("rest_broadcast_rate", "rest_broadcasts_daily")
    PUSH = ("rest_push_rate", None)

    def __init__(self, per_minute: str, per_day: str | None) -> None:
        self.per_minute = per_minute
        self.per_day = per_day


Key = tuple[int, Budget]


class Budgets:
    """In memory: only the broadcasts to all clients that were made today are known after a restart."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._buckets: dict[Key, Bucket] = {}
        self._paused_until: dict[Key, float] = {}
        self._made: dict[Key, tuple[int, int]] = {}

    def begin(self, budget: Budget, made_today: Mapping[int, int]) -> None:
        """So many each app (key) has made today."""
        today = day_of(self._clock.now())
        self._made |= {(app_key, budget): (today, count) for app_key, count in made_today.items()}

    def refusal(self, app: App, budget: Budget) -> str | None:
        """Take one of the budget; a sentence if nothing is left of it."""
        if not app.settings.limits:
            return None
        key, now = (app.key, budget), self._monotonic()
        day, made = self._made.get(key, (0, 0))
        today = day_of(self._clock.now())
        made = made if day == today else 0
        per_day = int(getattr(app.settings, budget.per_day)) if budget.per_day else 0
        if per_day and made >= per_day:
            return f"The app may make {per_day} such calls a day (`{budget.per_day}`)."
        per_minute = int(getattr(app.settings, budget.per_minute))
        if per_minute and not self._take(key, per_minute, now):
            return f"The app may make {per_minute} such calls a minute (`{budget.per_minute}`): wait for one."
        self._made[key] = today, made + 1
        return None

    def _take(self, key: Key, per_minute: int, now: float) -> bool:
        if now < self._paused_until.get(key, 0.0):
            return False
        bucket = self._buckets.get(key)
        if bucket is None or bucket.per_minute != per_minute:
            bucket = self._buckets[key] = Bucket(per_minute, now)
        if bucket.take(now):
            return True
        self._paused_until[key] = now + PAUSE
        return False
