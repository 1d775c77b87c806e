"""The order of messages to one target: those that were posted later wait while an earlier one is stopped.

It is kept in memory: after a start `tries` reads from the jobs which were stopped.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from hongyan.hub.connector import Target
from hongyan.hub.records import Posted

#: For how long a message that is due and goes first is waited for (ms).
HELD_MAX = 15_000


class Stopped(NamedTuple):
    """A message that waits before others to the same target: until when (ms), and whether the whole channel does."""

    until: int
    everybody: bool


class Order:
    """What is stopped, by channel and target. Jobs are named by their keys, which grow."""

    def __init__(self) -> None:
        self._held: defaultdict[tuple[str, Target], _Held] = defaultdict(_Held)

    def before(self, channel_id: str, target: Target, job: int, now: int) -> Stopped | None:
        """What goes before this job, if there is anything; `now` in ms."""
        place = channel_id, target
        return self._held[place].before(job, now) if place in self._held else None

    def stop(self, channel_id: str, job: int, stopped: Mapping[Target, Stopped]) -> None:
        """Others to these targets wait for this job until it is released."""
        for target, each in stopped.items():
            self._held[channel_id, target].add(job, each)

    def release(self, job: int, posted: Posted) -> None:
        """Others need not wait for it any more, unless it is stopped again."""
        for each in posted.deliveries:
            place = posted.channel_id, each.target
            if place in self._held:
                self._held[place].release(job)
                if not self._held[place]:
                    del self._held[place]


class _Held:
    """The messages to one target that a rate has stopped, and those behind them, by their jobs."""

    def __init__(self) -> None:
        # a heap of jobs; None stands for one that waits no more, until it is the first
        self._jobs: list[int] = []
        self._stopped: dict[int, Stopped | None] = {}

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def add(self, job: int, stopped: Stopped) -> None:
        if job not in self._stopped:
            heapq.heappush(self._jobs, job)
        self._stopped[job] = stopped

    def release(self, job: int) -> None:
        if job in self._stopped:
            self._stopped[job] = None
        while self._jobs and self._stopped[self._jobs[0]] is None:
            self._pop()

    def before(self, job: int, now: int) -> Stopped | None:
        """What goes first, if there is anything; what does not come to its turn is forgotten after a while."""
        while self._jobs:
            first = self._stopped[self._jobs[0]]
            if first is not None and now < first.until + HELD_MAX:
                return first if self._jobs[0] < job else None
            self._pop()
        return None

    def _pop(self) -> None:
        del self._stopped[heapq.heappop(self._jobs)]
