"""The one writer: a thread that owns the only connection that writes, and commits what has gathered as one group.

While a commit is on its way to the disk, further units gather and form the next batch. Nothing is told to anybody
before the commit.
"""

import asyncio
import contextlib
import logging
import math
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Set
from typing import Any, NamedTuple

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import Stored
from hongyan.engine.work import Following
from hongyan.errors import Refused
from hongyan.store.failures import is_fatal, refusal_of_all
from hongyan.store.plan import Append, Author, Call, Head, Plan, Spread, Unit

log = logging.getLogger(__name__)

BATCH_MAX = 512
#: How often refused batches are logged (s).
LOG_EVERY = 1.0


class Batch(NamedTuple):
    """The figures of a commit, for metrics and tests."""

    units: int
    messages: int


class _Bulk:
    """Says in the queue that bulk work waits beside it."""


_BULK = _Bulk()


class Writer:
    def __init__(self, connection: sa.Connection, clock: Clock, on_fatal: Callable[[BaseException], None]) -> None:
        self._bound = connection
        self._driver: Any = connection.connection.driver_connection
        self._clock = clock
        self._on_fatal = on_fatal
        self._queue: queue.SimpleQueue[Unit | _Bulk | None] = queue.SimpleQueue()
        self._bulk: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._heads: OrderedDict[int, Head] = OrderedDict()
        self._authors: OrderedDict[Author, None] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._planned_at: int | None = None
        self._unlogged = 0
        self._logged_at = -math.inf
        self.on_batch: Callable[[Batch], None] = lambda batch: None
        self.on_jobs: Callable[[Set[str]], None] = lambda lanes: None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, unit: Unit) -> None:
        self._queue.put(unit)

    def call(self, change: Callable[[sa.Connection], Any], *touches: int) -> asyncio.Future[Any]:
        """Run `change` and return its result, or raise what it was refused with."""
        return self.call_then(change, lambda result: None, *touches)

    def call_then(
        self,
        change: Callable[[sa.Connection], Any],
        committed: Callable[[Any], None],
        *touches: int,
        touches_all: bool = False,
        following: Following[Any] | None = None,
    ) -> asyncio.Future[Any]:
        """`call`, with `committed(result)` run in commit order before the awaiting task goes on.

        The jobs that are `following(result)` are written with it.
        """
        future, done = promise(committed)
        self.submit(Call(change, done, touches, touches_all, following))
        return future

    def call_in_bulk(
        self,
        change: Callable[[sa.Connection], Any],
        committed: Callable[[Any], None] = lambda result: None,
        *touches: int,
        touches_all: bool = False,
    ) -> asyncio.Future[Any]:
        """`call_then` for work that can wait: the last of a batch after which nothing else waits, one in each.

        It takes a few milliseconds at most: what comes meanwhile waits for it.
        """
        future, done = promise(committed)
        self._bulk.put(Call(change, done, touches, touches_all))
        self._queue.put(_BULK)
        return future

    def told(self) -> asyncio.Future[Any]:
        """Done when what a reader has seen is told: it sees a commit a moment before the event loop hears of it."""
        return self.call(lambda bound: None)

    def horizon(self) -> int:
        """A time before which everything that was ever given that time is visible to readers (ms)."""
        now = self._clock.now()  # first: a batch planned after this has a later time
        planned_at = self._planned_at
        return (now if planned_at is None else min(now, planned_at)) - 1

    async def close(self) -> None:
        """Write what is waiting, then end."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    # in the thread

    def _run(self) -> None:
        try:
            while (batch := self._take()) is not None:
                if batch:
                    self._commit(batch)
        except BaseException as error:
            self._on_fatal(error)

    def _take(self) -> list[Unit] | None:
        """Everything that has gathered, then one of bulk work if that is all; None at the end."""
        batch = self._gather()
        if batch is not None and len(batch) < BATCH_MAX:
            with contextlib.suppress(queue.Empty):
                batch.append(self._bulk.get_nowait())
        if not self._bulk.empty():
            self._queue.put(_BULK)
        return batch

    def _gather(self) -> list[Unit] | None:
        """What waits, at most a batch; empty if that is bulk work only."""
        batch: list[Unit] = []
        unit = self._queue.get()
        with contextlib.suppress(queue.Empty):
            while unit is not None:
                if not isinstance(unit, _Bulk):
                    batch.append(unit)
                if len(batch) == BATCH_MAX:
                    return batch
                unit = self._queue.get_nowait()
            if not batch and self._bulk.empty():
                return None
            self._queue.put(None)
        return batch

    def _commit(self, batch: list[Unit]) -> None:
        """Write a batch. If it fails as a whole it is split, until the bad unit alone is refused."""
        self._planned_at = self._clock.now()
        committed = False
        lanes: Set[str] = frozenset()
        try:
            outcomes, lanes = self._write(batch)
            committed = True
        except Exception as error:
            self._roll_back()
            if is_fatal(error):
                raise
            refusal = refusal_of_all(error)
            if refusal is not None:
                self._log_refusal(refusal, len(batch))
                outcomes = [refusal] * len(batch)
            elif len(batch) > 1:
                middle = len(batch) // 2
                self._commit(batch[:middle])
                self._commit(batch[middle:])
                return
            else:
                log.exception("a write failed")
                outcomes = [Refused(errors.INTERNAL_ERROR, "the write failed")]
        finally:
            self._planned_at = None
        self._tell(batch, outcomes, committed, lanes)

    def _log_refusal(self, refusal: Refused, count: int) -> None:
        """A full disk must not be filled further by saying so."""
        self._unlogged += count
        now = time.monotonic()
        if now - self._logged_at >= LOG_EVERY:
            log.error("%d writes refused: %s", self._unlogged, refusal.detail)
            self._unlogged, self._logged_at = 0, now

    def _tell(self, batch: list[Unit], outcomes: list[Any], committed: bool, lanes: Set[str]) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(self._deliver, batch, outcomes, committed, lanes)

    def _deliver(self, batch: list[Unit], outcomes: list[Any], committed: bool, lanes: Set[str]) -> None:
        if committed:
            self.on_batch(Batch(len(batch), sum(type(o) is Stored and not o.repeated for o in outcomes)))
        for unit, outcome in zip(batch, outcomes, strict=True):
            try:
                unit.done(outcome)
            except Exception:
                log.exception("telling a committed write failed")
        if lanes:
            self.on_jobs(lanes)

    def _roll_back(self) -> None:
        if self._driver.in_transaction:
            self._driver.execute("ROLLBACK")

    def _write(self, batch: list[Unit]) -> tuple[list[Any], Set[str]]:
        """The outcomes of a batch, committed, and the lanes in which it has left jobs."""
        plan = Plan(self._driver, self._bound, self._heads, self._authors, self._clock.now())
        self._driver.execute("BEGIN IMMEDIATE")
        for unit in batch:
            if isinstance(unit, Append):
                plan.add(unit)
            elif isinstance(unit, Spread):
                plan.spread(unit)
            elif isinstance(unit, Call):
                plan.call(unit)
            else:
                plan.received.append(unit)
        plan.flush()
        plan.write_received()
        plan.write_jobs()
        self._driver.execute("COMMIT")
        plan.keep()
        return [plan.outcomes[id(unit)] for unit in batch], {job.lane for job in plan.jobs}


def promise(committed: Callable[[Any], None]) -> tuple[asyncio.Future[Any], Callable[[Any], None]]:
    """A future, and what fulfils it with the outcome of a unit, `committed` first."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def done(outcome: Any) -> None:
        if isinstance(outcome, BaseException):
            if not future.done():
                future.set_exception(outcome)
            return
        try:
            committed(outcome)
        finally:
            if not future.done():
                future.set_result(outcome)

    return future, done
