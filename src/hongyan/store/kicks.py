"""When clients were expelled, in the database."""

from collections.abc import Awaitable, Callable

import sqlalchemy as sa

from hongyan.store import schema
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_table = schema.kick
KICK = (
    "INSERT INTO kick (app, client, at, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
    " SET at = max(at, excluded.at), expires_at = max(expires_at, excluded.expires_at)"
)
PRUNE = (
    "DELETE FROM kick WHERE (app, client) IN"
    " (SELECT app, client FROM kick WHERE expires_at < ? ORDER BY expires_at LIMIT ?)"
)


class Kicks:
    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    def kick(
        self, app_key: int, client: str, at: int, expires_at: int, committed: Callable[[], None]
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> None:
            bound.exec_driver_sql(KICK, (app_key, client, at, expires_at))

        return self._writer.call_then(change, lambda _: committed())

    async def all(self) -> list[tuple[int, str, int, int]]:
        found = sa.select(_table.c.app, _table.c.client, _table.c.at, _table.c.expires_at)
        found = found.order_by(_table.c.expires_at)
        rows = await self._reader.run_bound(lambda bound: bound.execute(found).all())
        return [(row.app, row.client, row.at, row.expires_at) for row in rows]
