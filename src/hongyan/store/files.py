"""What is known of files, in the database."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.values import Arrival, File, FileQuery
from hongyan.errors import Refused
from hongyan.store import schema
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_table = schema.file
_IS_WHOLE = sa.or_(_table.c.size.is_not(None), _table.c.url.is_not(None))


class Files:
    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def insert(self, file: File) -> None:
        row = sa.insert(_table).values(**_row(file))
        await self._writer.call(lambda bound: bound.execute(row).rowcount)

    async def get(self, app_key: int, file_id: str) -> File | None:
        return await self._one(_table.c.app == app_key, _table.c.id == file_id)

    async def by_key(self, key: str) -> File | None:
        return await self._one(_table.c.key == key)

    async def finish(self, file: File, arrival: Arrival, at: int) -> File:
        this = sa.and_(_table.c.app == file.app_key, _table.c.id == file.id)
        change = sa.update(_table).where(this, _table.c.size.is_(None))
        meta = {**file.meta, "size": arrival.size}
        change = change.values(**arrival._asdict(), meta=meta, updated_at=at)

        def write(bound: sa.Connection) -> File:
            changed = bound.execute(change).rowcount
            row = bound.execute(sa.select(_table).where(this)).first()
            if row is None:
                raise Refused(errors.FILE_NOT_FOUND, "the upload took too long")
            if not changed:
                raise Refused(errors.FILE_EXISTS, "this file has been uploaded already")
            return _file(row)

        finished: File = await self._writer.call(write)
        return finished

    async def delete(self, file: File) -> None:
        gone = sa.delete(_table).where(_table.c.app == file.app_key, _table.c.id == file.id)
        await self._writer.call(lambda bound: bound.execute(gone).rowcount)

    async def find(self, app_key: int, query: FileQuery) -> list[File]:
        order = (_table.c.created_at, _table.c.id)
        found = sa.select(_table).where(*_condition(app_key, query))
        found = found.order_by(*(column.desc() for column in order) if query.newest_first else order)
        rows = await self._rows(found.limit(query.limit).offset(query.skip))
        return [_file(row) for row in rows]

    async def count(self, app_key: int, query: FileQuery) -> int:
        counted = sa.select(sa.func.count()).select_from(_table).where(*_condition(app_key, query))
        found: int = await self._reader.run_bound(lambda bound: bound.execute(counted).scalar_one())
        return found

    async def unfinished(self, before: int, limit: int) -> list[File]:
        begun = (_table.c.created_at < before, _table.c.size.is_(None), _table.c.url.is_(None))
        rows = await self._rows(sa.select(_table).where(*begun).order_by(_table.c.created_at).limit(limit))
        return [_file(row) for row in rows]

    async def _one(self, *conditions: sa.ColumnElement[bool]) -> File | None:
        rows = await self._rows(sa.select(_table).where(*conditions))
        return _file(rows[0]) if rows else None

    async def _rows(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        return await self._reader.run_bound(lambda bound: bound.execute(statement).all())


def _condition(app_key: int, query: FileQuery) -> list[sa.ColumnElement[bool]]:
    among = [_table.c[name].in_(values) for name, values in query.among.items()]
    return [_table.c.app == app_key, _IS_WHOLE, *among]


def _row(file: File) -> dict[str, Any]:
    return {"app" if name == "app_key" else name: getattr(file, name) for name in File.__slots__}


def _file(row: sa.Row[Any]) -> File:
    values = dict(row._mapping)
    return File(app_key=values.pop("app"), **values)
