"""Templates in the database: a row for each version, the highest of which is in use."""

from typing import Any

import sqlalchemy as sa

from hongyan.hub.records import KeptTemplate
from hongyan.store import schema
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_table = schema.hub_template
_newest = (
    sa.select(_table.c.app, _table.c.name, sa.func.max(_table.c.version).label("version"))
    .group_by(_table.c.app, _table.c.name)
    .subquery()
)


class HubTemplates:
    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def all(self, app_key: int) -> list[KeptTemplate]:
        found = (
            sa.select(_table)
            .join(
                _newest,
                (_table.c.app == _newest.c.app)
                & (_table.c.name == _newest.c.name)
                & (_table.c.version == _newest.c.version),
            )
            .where(_table.c.app == app_key)
            .order_by(_table.c.name)
        )
        return await self._read(found)

    async def versions(self, app_key: int, name: str) -> list[KeptTemplate]:
        return await self._read(_of(app_key, name).order_by(_table.c.version.desc()))

    async def get(self, app_key: int, name: str, version: int | None = None) -> KeptTemplate | None:
        found = _of(app_key, name).order_by(_table.c.version.desc()).limit(1)
        rows = await self._read(found if version is None else found.where(_table.c.version == version))
        return rows[0] if rows else None

    async def add(self, app_key: int, name: str, body: bytes, now: int, keep: int, names_max: int) -> int | None:
        def change(bound: sa.Connection) -> int | None:
            mine = (_table.c.app == app_key) & (_table.c.name == name)
            last: int = bound.execute(sa.select(sa.func.max(_table.c.version)).where(mine)).scalar() or 0
            names = sa.select(sa.func.count(sa.distinct(_table.c.name))).where(_table.c.app == app_key)
            if not last and bound.execute(names).scalar_one() >= names_max:
                return None
            version = last + 1
            bound.execute(sa.insert(_table).values(app=app_key, name=name, version=version, body=body, created_at=now))
            bound.execute(sa.delete(_table).where(mine & (_table.c.version <= version - keep)))
            return version

        made: int | None = await self._writer.call(change)
        return made

    async def delete(self, app_key: int, name: str) -> bool:
        gone = sa.delete(_table).where(_table.c.app == app_key, _table.c.name == name)
        count: int = await self._writer.call(lambda bound: bound.execute(gone).rowcount)
        return count > 0

    async def _read(self, found: "sa.Select[Any]") -> list[KeptTemplate]:
        rows = await self._reader.run_bound(lambda bound: bound.execute(found).all())
        return [KeptTemplate(row.name, row.version, row.body, row.created_at) for row in rows]


def _of(app_key: int, name: str) -> "sa.Select[Any]":
    return sa.select(_table).where(_table.c.app == app_key, _table.c.name == name)
