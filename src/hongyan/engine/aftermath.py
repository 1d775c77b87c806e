"""What follows from what happens: jobs for whoever wants to hear of it afterwards.

An event is asked about inside the write it tells of, so that its jobs are kept with it or not at all; those of events
that write nothing are kept on their own, gathered.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from hongyan.engine.events import Event
from hongyan.engine.ports import JobStore
from hongyan.engine.values import Conversation, Draft, Stored
from hongyan.engine.work import Following, NewJob
from hongyan.errors import Refused

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Jobs of events that write nothing: how many may wait to be kept, and how many are kept in one write.
WAITING_MAX, BATCH = 20_000, 500
#: How often it is logged that some were left out (s).
LOG_EVERY = 60.0


class Follower(Protocol):
    """Somebody for whom jobs are made: hooks, webhooks, push."""

    def wants(self, app_key: int, kind: type[Event]) -> bool:
        """Whether it makes jobs of such events of an app; asked on the event loop for each of them."""

    def jobs(self, app_key: int, event: Event, draft: Draft | None) -> Iterable[NewJob]:
        """The jobs that follow, in the writer's thread: quick, of what is at hand. `draft` is that of a message."""


class Aftermath:
    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._followers: tuple[Follower, ...] = ()
        self._waiting: list[NewJob] = []
        self._keeping: asyncio.Task[None] | None = None
        self._left_out = 0
        self._logged_at = -LOG_EVERY

    def add(self, follower: Follower) -> None:
        self._followers += (follower,)

    def wants(self, app_key: int, kind: type[Event]) -> bool:
        """Whether anything follows from such events of an app. Asked for every message."""
        wanted = False
        for follower in self._followers:  # `any` takes three times as long
            wanted = wanted or follower.wants(app_key, kind)
        return wanted

    def jobs(self, app_key: int, event: Event, draft: Draft | None = None) -> Sequence[NewJob]:
        """The jobs that follow from an event that somebody `wants`."""
        kind = type(event)
        found: list[NewJob] = []
        for follower in self._followers:
            if follower.wants(app_key, kind):
                found += follower.jobs(app_key, event, draft)
        return found

    def after(
        self, app_key: int, told: Callable[[T], Iterable[Event]], *kinds: type[Event], draft: Draft | None = None
    ) -> Following[T] | None:
        """The `following` of a write whose outcome is `told` by events of these kinds; None if nobody wants them."""
        if not any(self.wants(app_key, kind) for kind in kinds):
            return None
        return lambda outcome: [job for event in told(outcome) for job in self.jobs(app_key, event, draft)]

    def follow(
        self, app_key: int, draft: Draft, kind: type[Event], told: Callable[[Conversation, Stored], Event]
    ) -> None:
        """Have what follows from a message be kept with it; it is `told` by an event of this kind."""
        if self.wants(app_key, kind):
            draft.following = lambda conversation, place: self.jobs(app_key, told(conversation, place), draft)

    def tell(self, app_key: int, event: Event, draft: Draft | None = None) -> None:
        """Keep what follows from an event that writes nothing, some time soon.

        Those that can't be kept in time are left out: what nothing was written of nobody may rely on.
        """
        if not self.wants(app_key, type(event)):
            return
        found = self.jobs(app_key, event, draft)
        if len(self._waiting) + len(found) > WAITING_MAX:
            self._leave_out(len(found), "too many wait")
            return
        self._waiting += found
        if self._waiting and self._keeping is None:
            self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def flush(self) -> None:
        """Return when nothing waits to be kept any more."""
        if self._keeping is not None:
            await self._keeping

    async def _keep(self) -> None:
        try:
            await asyncio.sleep(0)  # with those that come in the same turn
            while self._waiting:
                taken, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                try:
                    await self._jobs.add(taken)
                except Refused as refusal:
                    self._leave_out(len(taken), str(refusal))
        finally:
            self._keeping = None

    def _leave_out(self, count: int, why: str) -> None:
        self._left_out += count
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= LOG_EVERY:
            log.warning("%d jobs could not be kept: %s", self._left_out, why)
            self._left_out, self._logged_at = 0, now
