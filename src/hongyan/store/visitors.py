"""Clients that have logged in: on which day last, and which broadcasts to all they were told."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hongyan.store.database import Bulk
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

SAW = Bulk(
    "INSERT INTO client (app, client, seen_day, told)"
    " SELECT * FROM (VALUES {rows: (?, ?, ?, ?)}) WHERE column1 IS NOT NULL"
    " ON CONFLICT DO UPDATE SET seen_day = max(seen_day, excluded.seen_day)"
)
TOLD = Bulk(
    "INSERT INTO client (app, client, seen_day, told)"
    " SELECT * FROM (VALUES {rows: (?, ?, ?, ?)}) WHERE column1 IS NOT NULL"
    " ON CONFLICT DO UPDATE SET seen_day = max(seen_day, excluded.seen_day), told = max(told, excluded.told)"
)
FIND_TOLD = "SELECT told FROM client WHERE app = ? AND client = ?"
COUNT = "SELECT count(*) FROM client WHERE app = ? AND seen_day = ?"
#: Rows of a step.
STEP = 500


class Visitors:
    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def saw(self, visits: Sequence[tuple[int, str, int, int]]) -> None:
        await self._write(SAW, visits)

    async def told(self, visits: Sequence[tuple[int, str, int, int]]) -> None:
        await self._write(TOLD, visits)

    async def told_until(self, app_key: int, client: str) -> int | None:
        row = await self._reader.run(lambda driver: driver.execute(FIND_TOLD, (app_key, client)).fetchone())
        return None if row is None else int(row[0])

    async def count(self, app_key: int, day: int) -> int:
        row = await self._reader.run(lambda driver: driver.execute(COUNT, (app_key, day)).fetchone())
        return int(row[0])

    async def _write(self, statement: Bulk, visits: Sequence[tuple[int, str, int, int]]) -> None:
        """In small steps: each is one write among others."""

        def step(bound: sa.Connection, rows: list[tuple[Any, ...]]) -> None:
            statement.run(bound.connection.driver_connection, rows)

        for start in range(0, len(visits), STEP):
            rows: list[tuple[Any, ...]] = list(visits[start : start + STEP])
            await self._writer.call(lambda bound, rows=rows: step(bound, rows))  # type: ignore[misc]
