"""Work that follows from writes, in the database."""

from collections.abc import Awaitable, Callable, Sequence, Set
from typing import Any

import sqlalchemy as sa

from hongyan.engine.clock import Clock
from hongyan.engine.work import Job, NewJob, Postponed
from hongyan.store import hot
from hongyan.store.database import Bulk
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

POSTPONE = Bulk(
    "WITH new(key, due_at, attempts, error, dead_at) AS (VALUES {rows: (?, ?, ?, ?, ?)})"
    " UPDATE job SET due_at = coalesce(new.due_at, job.due_at), attempts = new.attempts, error = new.error,"
    " dead_at = new.dead_at FROM new WHERE job.key = new.key"
)
_COLUMNS = "key, id, app, lane, kind, body, due_at, attempts, error, created_at, dead_at"
#: From one lane to the next in the index: as many steps as there are lanes, however many jobs wait.
LANES = (
    "WITH RECURSIVE lanes(lane) AS (SELECT min(lane) FROM job WHERE dead_at IS NULL UNION ALL"
    " SELECT (SELECT min(j.lane) FROM job j WHERE j.dead_at IS NULL AND j.lane > lanes.lane) FROM lanes"
    " WHERE lanes.lane IS NOT NULL) SELECT lane FROM lanes WHERE lane IS NOT NULL"
)
NEXT = f"SELECT {_COLUMNS} FROM job WHERE dead_at IS NULL AND lane = ? ORDER BY due_at, key LIMIT ?"
DEAD = f"SELECT {_COLUMNS} FROM job WHERE dead_at IS NOT NULL AND app = ?{{which}} AND key > ? ORDER BY key LIMIT ?"
WAITING = (
    f"SELECT {_COLUMNS} FROM job WHERE dead_at IS NULL AND lane = ? AND (due_at, key) > (?, ?)"
    " ORDER BY due_at, key LIMIT ?"
)
#: Counted up to a limit, since to count all takes long where many wait.
COUNTS = (
    "SELECT (SELECT count(*) FROM (SELECT 1 FROM job WHERE dead_at IS NULL AND lane = ?1 LIMIT ?2)),"
    " (SELECT count(*) FROM (SELECT 1 FROM job WHERE dead_at IS NOT NULL AND lane = ?1 LIMIT ?2))"
)
REVIVE = (
    "UPDATE job SET dead_at = NULL, attempts = 0, due_at = ? WHERE key IN (SELECT key FROM job"
    " WHERE dead_at IS NOT NULL AND app = ?{which} ORDER BY key LIMIT ?) RETURNING lane"
)
#: A step over those that wait in a lane: forget them, or keep them as dead.
DROP = "DELETE FROM job WHERE key IN (SELECT key FROM job WHERE dead_at IS NULL AND lane = ? LIMIT ?)"
BURY = (
    "UPDATE job SET dead_at = ?, error = ? WHERE key IN"
    " (SELECT key FROM job WHERE dead_at IS NULL AND lane = ? AND key <= ? LIMIT ?)"
)
HASTEN = "UPDATE job SET due_at = min(due_at, ?) WHERE dead_at IS NULL AND lane = ?"
LAST = "SELECT coalesce(max(key), 0) FROM job"
STEP = 200
PRUNE_DEAD = (
    "DELETE FROM job WHERE key IN (SELECT key FROM job WHERE dead_at IS NOT NULL AND dead_at < ?"
    " ORDER BY dead_at LIMIT ?)"
)


class Jobs:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    def on_new(self, tell: Callable[[Set[str]], None]) -> None:
        self._writer.on_jobs = tell

    def add(self, jobs: Sequence[NewJob]) -> Awaitable[object]:
        return self._writer.call_then(lambda bound: None, lambda _: None, following=lambda _: jobs)

    async def lanes(self) -> list[str]:
        return await self._reader.run(lambda driver: [row[0] for row in driver.execute(LANES)])

    async def next(self, lane: str, limit: int) -> list[Job]:
        return await self._reader.run(lambda driver: [Job(*row) for row in driver.execute(NEXT, (lane, limit))])

    async def settle(
        self, done: Sequence[int], postponed: Sequence[Postponed] = (), new: Sequence[NewJob] = ()
    ) -> None:
        def change(bound: sa.Connection) -> None:
            driver: Any = bound.connection.driver_connection
            if done:
                hot.JOBS_DONE.run(driver, [(key,) for key in done])
            if postponed:
                now = self._clock.now()
                POSTPONE.run(
                    driver,
                    [(key, due, tries, error, None if due else now) for key, due, tries, error in postponed],
                )

        await self._writer.call_then(change, lambda _: None, following=lambda _: new)

    async def dead(self, app_key: int, after: int, limit: int, lane: str | None = None) -> list[Job]:
        which, values = _of_lane(lane)
        query, given = DEAD.format(which=which), (app_key, *values, after, limit)
        return await self._reader.run(lambda driver: [Job(*row) for row in driver.execute(query, given)])

    async def revive(self, app_key: int, ids: Sequence[str] | None, limit: int, lane: str | None = None) -> int:
        which, of_lane = _of_lane(lane)
        if ids is not None:
            which += f" AND id IN ({', '.join('?' * len(ids))})"

        def change(bound: sa.Connection) -> set[str]:
            values = (self._clock.now(), app_key, *of_lane, *(ids or ()), limit)
            rows = bound.exec_driver_sql(REVIVE.format(which=which), values).fetchall()
            found.append(len(rows))
            return {lane for (lane,) in rows}

        found: list[int] = []
        await self._writer.call_then(change, self._writer.on_jobs)
        return found[-1]

    async def drop(self, lane: str) -> None:
        await self._in_steps(DROP, lambda: (lane, STEP))

    async def bury(self, lane: str, reason: str) -> None:
        """Those that come after it has begun stay: the lane may be wanted again."""
        last = await self._writer.call(lambda bound: bound.exec_driver_sql(LAST).scalar_one())
        await self._in_steps(BURY, lambda: (self._clock.now(), reason, lane, last, STEP))

    async def hasten(self, lane: str) -> None:
        def change(bound: sa.Connection) -> set[str]:
            bound.exec_driver_sql(HASTEN, (self._clock.now(), lane))
            return {lane}

        await self._writer.call_then(change, self._writer.on_jobs)

    async def _in_steps(self, statement: str, values: Callable[[], tuple[object, ...]]) -> None:
        def step(bound: sa.Connection) -> int:
            return bound.exec_driver_sql(statement, values()).rowcount

        while await self._writer.call_in_bulk(step) == STEP:
            pass

    async def waiting(self, lane: str, after: tuple[int, int], limit: int) -> list[Job]:
        values = (lane, *after, limit)
        return await self._reader.run(lambda driver: [Job(*row) for row in driver.execute(WAITING, values)])

    async def counts(self, lanes: Sequence[str], most: int) -> dict[str, tuple[int, int]]:
        def read(driver: Any) -> dict[str, tuple[int, int]]:
            return {lane: tuple(driver.execute(COUNTS, (lane, most)).fetchone()) for lane in lanes}

        return await self._reader.run(read)


def _of_lane(lane: str | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if lane is None else (" AND lane = ?", (lane,))
