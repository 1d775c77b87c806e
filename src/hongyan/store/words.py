"""Word lists in the database."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hongyan.store import schema
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_table = schema.word_list
#: On the driver, for which a long list is made JSON outside the writer's thread.
REPLACE = "INSERT OR REPLACE INTO word_list (app, words, updated_at) VALUES (?, ?, ?)"
DELETE = "DELETE FROM word_list WHERE app = ?"


class Words:
    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def replace(self, app_key: int, words: Sequence[str], at: int) -> None:
        """Keep these words instead, in their order; none: the app has no list."""
        text = await asyncio.to_thread(json.dumps, words, ensure_ascii=False)

        def change(bound: sa.Connection) -> None:
            driver: Any = bound.connection.driver_connection
            if words:
                driver.execute(REPLACE, (app_key, text, at))
            else:
                driver.execute(DELETE, (app_key,))

        await self._writer.call(change)

    async def of(self, app_key: int) -> list[str]:
        found = sa.select(_table.c.words).where(_table.c.app == app_key)
        words: list[str] | None = await self._reader.run_bound(lambda bound: bound.scalar(found))
        return words or []

    async def all(self) -> dict[int, list[str]]:
        found = sa.select(_table.c.app, _table.c.words).order_by(_table.c.app)
        rows = await self._reader.run_bound(lambda bound: bound.execute(found).all())
        return {row.app: row.words for row in rows}
