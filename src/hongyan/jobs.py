"""Doing the work that follows from writes (`engine.work`): at least once each, also after a restart.

Each lane has a task of its own while jobs wait in it, so that one whose receiver hangs or fails delays no other. What
fails is due again later; what has failed too often is kept as dead, to be looked at and revived by an operator. Who is
done is forgotten with the next write, so a crash between the two does a job twice, with the same id. Meanwhile the next
jobs of the lane begin, unless they are done one at a time.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass

import structlog

from hongyan.engine.clock import Clock
from hongyan.engine.ports import JobStore
from hongyan.engine.work import Job, NewJob, Postponed
from hongyan.errors import Refused

logger = structlog.get_logger(__name__)

#: What is kept of the reason of a failure (characters).
ERROR_MAX = 500
#: A wait is longer by up to this part of it, so that those who failed together do not come back together.
JITTER = 0.1
#: How long a lane rests after the database could not be read or written (s).
TROUBLE = 1.0
#: How often the same lane's failures are logged (s).
LOG_EVERY = 60.0
#: Jobs of a lane that are read at once, beside those under way.
PAGE = 64
#: Jobs of a lane that are done, but not on disk as that: a crash does so many twice, beside those under way.
UNWRITTEN_MAX = 32
#: How long a lane that was read is left alone, and outcomes gather, so that what comes one by one goes together (s).
PACE = 0.005


class Failed(Exception):
    """A job that could not be done: again later, after so many seconds if that is known.

    `everybody`: the receiver takes nothing for now, so the others of its lane wait as long. `pause`: they wait for so
    many seconds, however long this one does.
    """

    def __init__(self, reason: str, after: float | None = None, *, everybody: bool = False, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after
        self.everybody = everybody
        self.pause = pause


class NotYet(Failed):
    """A job that can't be done for now, and says itself when it is tried again: no wait of its kind is used up.

    `at` is a time (ms) that is meant exactly: jobs that say the same keep their order. `in_place`: with `everybody`,
    it stays before the others of its lane, which is paused.
    """

    def __init__(
        self,
        reason: str,
        after: float | None = None,
        *,
        everybody: bool = False,
        at: int | None = None,
        in_place: bool = False,
    ) -> None:
        super().__init__(reason, after, everybody=everybody)
        self.at = at
        self.in_place = in_place


class Hopeless(Exception):
    """A job that will never succeed: kept as dead."""


#: What does a job, and the jobs that follow from that.
Doing = Callable[[Job], Awaitable[Iterable[NewJob] | None]]
#: What does several together: if it fails, it has failed for each of them.
DoingMany = Callable[[Sequence[Job]], Awaitable[Iterable[NewJob] | None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """How jobs of one kind are done: `at_once` of a lane, again after each of `waits` (s), then no more."""

    do: Doing
    waits: Sequence[float]
    at_once: int = 8

    def takes(self, together: Sequence[Job], job: Job) -> bool:
        """Whether one more is done together with these."""
        return not together

    async def run(self, together: Sequence[Job]) -> Iterable[NewJob] | None:
        (job,) = together
        return await self.do(job)


@dataclass(frozen=True, slots=True)
class ManyKind:
    """As `Kind`; those that are due are done together, at most so many with so many bytes of bodies."""

    do: DoingMany
    waits: Sequence[float]
    most: int
    bytes_max: int
    at_once: int = 1

    def takes(self, together: Sequence[Job], job: Job) -> bool:
        """Whether one more is done together with these; a large one is done alone."""
        size = len(job.body) + sum(len(each.body) for each in together)
        return not together or (len(together) < self.most and size <= self.bytes_max)

    async def run(self, together: Sequence[Job]) -> Iterable[NewJob] | None:
        return await self.do(together)


AnyKind = Kind | ManyKind


class Jobs:
    def __init__(self, store: JobStore, clock: Clock, kinds: Mapping[str, AnyKind]) -> None:
        self._store = store
        self._clock = clock
        self._kinds = kinds
        self._lanes: dict[str, _Lane] = {}
        self._settling = _Settling(store)
        self._stopping = False

    async def start(self) -> None:
        """Begin with what was left over. The store must have been started."""
        self._store.on_new(self.look)
        self.look(set(await self._store.lanes()))

    def look(self, lanes: Set[str]) -> None:
        """There are new jobs in these lanes."""
        for name in lanes:
            lane = self._lanes.get(name)
            if lane is None and not self._stopping:
                lane = self._lanes[name] = _Lane(name, self._store, self._clock, self._kinds, self._settling)
                lane.task = asyncio.create_task(self._run(lane))
            if lane is not None:
                lane.news.set()

    def resume(self, name: str) -> None:
        """Whatever a lane was paused for is over."""
        lane = self._lanes.get(name)
        if lane is not None:
            lane.resume()

    async def stop(self, patience: float) -> None:
        """Begin nothing more, and wait so long for what is under way; what is not done then is done after a start."""
        self._stopping = True
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.stop()
        running = [task for lane in lanes for task in lane.running.values()]
        if running:
            _, late = await asyncio.wait(running, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._settling.finish(patience)
        for lane in lanes:
            if lane.task is not None:
                lane.task.cancel()
        await asyncio.gather(*(lane.task for lane in lanes if lane.task is not None), return_exceptions=True)

    async def _run(self, lane: "_Lane") -> None:
        try:
            await lane.work()
        finally:
            del self._lanes[lane.name]


class _Lane:
    """The jobs of one receiver."""

    def __init__(
        self, name: str, store: JobStore, clock: Clock, kinds: Mapping[str, AnyKind], settling: "_Settling"
    ) -> None:
        self.name = name
        self.news = asyncio.Event()
        self.running: dict[int, asyncio.Task[None]] = {}
        self.task: asyncio.Task[None] | None = None
        self._store = store
        self._clock = clock
        self._kinds = kinds
        self._settling = settling
        self._unwritten: set[int] = set()
        self._read_at = -PACE
        self._room = asyncio.Event()
        self._paused_until = 0
        self._stopped = False
        self._logged_at = -LOG_EVERY

    def stop(self) -> None:
        self._stopped = True
        self.news.set()

    def resume(self) -> None:
        self._paused_until = 0
        self.news.set()

    async def work(self) -> None:
        """Until no job is left."""
        while not self._stopped:
            await self._pace()
            self.news.clear()
            try:
                wait = await self._begin_due()
            except Exception as error:  # whatever it is, jobs wait here, and some may be under way
                logger.warning("jobs can't be read for now", lane=self.name, reason=str(error))
                wait = TROUBLE
            if wait is None and not self.running and not self._unwritten:
                if not self.news.is_set():
                    return
            elif wait is None or wait > 0:
                await self._rest(wait)

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        if (wait := self._read_at + PACE - loop.time()) > 0:
            await asyncio.sleep(wait)
        self._read_at = loop.time()

    async def _begin_due(self) -> float | None:
        """Begin what is due; how long until the next is (s), None if there is none that is not under way."""
        if self._clock.now() < self._paused_until:
            return self._until(self._paused_until)
        begun = {*self.running, *self._unwritten}  # of these the answer may tell what is no longer so
        found = await self._store.next(self.name, wanted := PAGE + len(begun))
        for place, job in enumerate(found):
            if job.key in begun:
                continue
            kind = self._kinds.get(job.kind)
            if kind is None:
                self.running[job.key] = asyncio.create_task(self._bury(job))
                continue
            if job.due_at > self._clock.now():
                return self._until(job.due_at)
            while not self._has_room(kind):
                self._room.clear()
                await self._room.wait()
                if isinstance(kind, ManyKind):
                    return 0  # with what has come meanwhile
            if self._stopped or self._clock.now() < self._paused_until:
                return 0
            together = self._together(kind, [each for each in found[place:] if each.key not in begun])
            task = asyncio.create_task(self._do(together, kind))
            for each in together:
                begun.add(each.key)
                self.running[each.key] = task
        return 0 if len(found) == wanted else None

    def _has_room(self, kind: AnyKind) -> bool:
        return len(set(self.running.values())) < kind.at_once and len(self._unwritten) < UNWRITTEN_MAX

    def _together(self, kind: AnyKind, found: Sequence[Job]) -> list[Job]:
        """The first of these, and what is done with it."""
        now, together = self._clock.now(), list[Job]()
        for job in found:
            if job.due_at > now or self._kinds.get(job.kind) is not kind or not kind.takes(together, job):
                break
            together.append(job)
        return together

    def _until(self, due_at: int) -> float:
        return max(0.0, (due_at - self._clock.now()) / 1000)

    async def _rest(self, seconds: float | None) -> None:
        """Until then, or until there is something new."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.news.wait(), seconds)

    async def _do(self, together: Sequence[Job], kind: AnyKind) -> None:
        job, next_may_begin = together[0], False
        try:
            following = await kind.run(together)
            new = tuple(following or ())
            outcomes = [_Outcome(each.key, new=new if each is job else ()) for each in together]
            next_may_begin = not new and kind.at_once > 1  # one at a time are in order, also across a crash
        except asyncio.CancelledError:
            self._forget(together)
            raise
        except Hopeless as error:
            outcomes = [self._dead(each, str(error)) for each in together]
        except Failed as error:
            outcomes = [self._failed(each, kind, error) for each in together]
        except Exception as error:
            logger.exception("a job failed", lane=self.name, kind=job.kind, id=job.id)
            failed = Failed(f"{type(error).__name__}: {error}")
            outcomes = [self._failed(each, kind, failed) for each in together]
        if next_may_begin:
            self._settle_later(together, outcomes)
        else:
            await self._settle(together, outcomes)

    async def _bury(self, job: Job) -> None:
        await self._settle([job], [self._dead(job, f"this version does not know jobs of the kind {job.kind}")])

    async def _settle(self, together: Sequence[Job], outcomes: "Sequence[_Outcome]") -> None:
        try:
            await self._settling.add(outcomes)
        finally:
            self._forget(together)
            self._room.set()
            self.news.set()

    def _settle_later(self, together: Sequence[Job], outcomes: "Sequence[_Outcome]") -> None:
        """The next may begin before it is on disk."""

        def written(_: object) -> None:
            self._unwritten.difference_update(keys)
            self._room.set()
            if not self._unwritten and not self.running:
                self.news.set()

        keys = [job.key for job in together]
        self._unwritten.update(keys)
        self._forget(together)
        self._room.set()
        self._settling.add(outcomes).add_done_callback(written)

    def _forget(self, together: Sequence[Job]) -> None:
        for job in together:
            del self.running[job.key]

    def _failed(self, job: Job, kind: AnyKind, error: Failed) -> "_Outcome":
        if error.pause:
            self._paused_until = max(self._paused_until, self._clock.now() + round(error.pause * 1000))
        attempts, wait = job.attempts, error.after or 0.0
        if not isinstance(error, NotYet):
            attempts += 1
            if attempts > len(kind.waits):
                return self._dead(job, str(error))
            wait = max(kind.waits[attempts - 1], wait)
        due_at = self._clock.now() + round(wait * 1000 * (1 + JITTER * random.random()))
        if isinstance(error, NotYet) and error.at is not None:
            due_at = error.at
        if error.everybody:
            self._paused_until = max(self._paused_until, due_at)
            if isinstance(error, NotYet) and error.in_place:
                due_at = job.due_at
        self._log("a job failed and is tried again", job, error)
        return _Outcome(job.key, Postponed(job.key, due_at, attempts, str(error)[:ERROR_MAX]))

    def _dead(self, job: Job, reason: str) -> "_Outcome":
        self._log("a job is given up", job, reason)
        return _Outcome(job.key, Postponed(job.key, None, job.attempts + 1, reason[:ERROR_MAX]))

    def _log(self, what: str, job: Job, reason: object) -> None:
        now = time.monotonic()
        if now - self._logged_at >= LOG_EVERY:
            self._logged_at = now
            logger.warning(what, lane=self.name, kind=job.kind, id=job.id, reason=str(reason)[:ERROR_MAX])


@dataclass(frozen=True, slots=True)
class _Outcome:
    key: int
    postponed: Postponed | None = None
    new: tuple[NewJob, ...] = ()


class _Settling:
    """Writes outcomes, many in one go."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._waiting: list[tuple[Sequence[_Outcome], asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, outcomes: Sequence[_Outcome]) -> asyncio.Future[None]:
        """Done when it is on disk."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((outcomes, future))
        if self._task is None:
            self._task = asyncio.create_task(self._write())
        return future

    async def finish(self, patience: float) -> None:
        """What can't be written in time is done again after the next start."""
        task, self._task = self._task, None
        if task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(task, patience)

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(PACE)  # with those that end within moments: each write is a commit, or a part of one
            waiting, self._waiting = self._waiting, []
            outcomes = [outcome for several, _ in waiting for outcome in several]
            done = [outcome.key for outcome in outcomes if outcome.postponed is None]
            postponed = [outcome.postponed for outcome in outcomes if outcome.postponed is not None]
            new = [job for outcome in outcomes for job in outcome.new]
            try:
                await self._store.settle(done, postponed, new)
            except Refused as refusal:  # a full disk passes; what has been done meanwhile is done again after a crash
                logger.warning("what became of jobs can't be written for now", reason=str(refusal))
                self._waiting = waiting + self._waiting
                await asyncio.sleep(TROUBLE)
                continue
            for _, future in waiting:
                if not future.done():
                    future.set_result(None)
        self._task = None
