"""Objects of the storage service in the database: users and installations (`schema.py`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.conditions import Condition, Key, Type
from hongyan.engine.query import Query
from hongyan.engine.values import ObjectRow
from hongyan.errors import Kind, Refused
from hongyan.store import schema
from hongyan.store.conversation_condition import Column, Source, holds
from hongyan.store.reading import Reader
from hongyan.store.sqlite_json import Expression, JsonValue, Test
from hongyan.store.writer import Writer

#: Objects from which the types of custom keys are taken, the newest.
SAMPLE = 1_000
#: Bytes of all custom keys together that one answer has.
BYTES_MAX = 4_194_304


@dataclass(frozen=True, slots=True)
class Shape:
    """A class: its table, which keys have columns of their own, and what a value that is taken is refused with."""

    table: sa.Table
    keys: Mapping[str, str]
    taken: Mapping[str, Kind]

    def column(self, key: str) -> sa.Column[Any]:
        return self.table.c[self.keys[key]]


USERS = Shape(
    schema.user,
    {"username": "username", "email": "email", "mobilePhoneNumber": "mobile"},
    {"username": errors.USERNAME_TAKEN, "email": errors.EMAIL_TAKEN, "mobilePhoneNumber": errors.MOBILE_TAKEN},
)
INSTALLATIONS = Shape(
    schema.installation,
    {"installationId": "installation_id", "deviceToken": "device_token", "deviceType": "device_type"},
    {"installationId": errors.INVALID_VALUE},
)


class Objects:
    """The objects of one class."""

    def __init__(self, reader: Reader, writer: Writer, clock: Clock, shape: Shape) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._shape = shape
        self._table = shape.table

    async def get(self, app_key: int, object_id: str) -> ObjectRow | None:
        return await self._one(self._table.c.app == app_key, self._table.c.id == object_id)

    async def by(self, app_key: int, key: str, value: str) -> ObjectRow | None:
        """The object with this value of a key that has a column; of several the one that changed last."""
        return await self._one(self._table.c.app == app_key, self._shape.column(key) == value)

    async def find(self, app_key: int, query: Query) -> list[ObjectRow]:
        """Raises Refused(INVALID_QUERY) if the condition can't be answered."""
        if query.limit == 0:
            return []
        order = [term for key, descending in query.sort for term in self._order(key, descending)]
        keys = self._select(self._table.c.key, app_key, query.condition)
        keys = keys.order_by(*order, self._table.c.key.desc()).limit(query.limit).offset(query.skip)

        def read(bound: sa.Connection) -> list[ObjectRow]:
            found = bound.scalars(keys).all()
            size = sa.select(sa.func.coalesce(sa.func.sum(sa.func.octet_length(self._table.c.columns)), 0))
            if (bound.scalar(size.where(self._table.c.key.in_(found))) or 0) > BYTES_MAX:
                raise Refused(errors.INVALID_QUERY, f"more than {BYTES_MAX} bytes in one answer: ask for fewer")
            rows = bound.execute(sa.select(self._table).where(self._table.c.key.in_(found)))
            by_key = {row.key: self.row(row) for row in rows}
            return [by_key[key] for key in found if key in by_key]

        return await self._reader.run_bound(read, errors.INVALID_QUERY)

    async def count(self, app_key: int, condition: Condition) -> int:
        """Raises Refused(INVALID_QUERY) if the condition can't be answered."""
        count = self._select(sa.func.count(), app_key, condition)
        return await self._reader.run_bound(lambda bound: int(bound.scalar(count) or 0), errors.INVALID_QUERY)

    async def insert(self, app_key: int, object_id: str, values: Mapping[str, Any]) -> ObjectRow:
        """Keep a new object. Raises Refused if a value is taken."""
        made: ObjectRow = await self._writer.call(lambda bound: self.insert_in(bound, app_key, object_id, values))
        return made

    async def update(
        self,
        app_key: int,
        object_id: str,
        change: Callable[[dict[str, Any]], Mapping[str, Any]],
        condition: Condition | None = None,
    ) -> ObjectRow:
        """Change the values, inside the write; `change` may raise Refused.

        Raises Refused: OBJECT_NOT_FOUND, CONDITION_NOT_MET, or for a value that is taken.
        """
        work: Callable[[sa.Connection], ObjectRow] = lambda bound: self.update_in(  # noqa: E731
            bound, app_key, object_id, change, condition
        )
        changed: ObjectRow = await self._writer.call(work)
        return changed

    async def delete(self, app_key: int, object_id: str) -> bool:
        """Whether there was one."""
        return await self._writer.call(lambda bound: self.delete_in(bound, app_key, object_id)) is not None

    async def types(self, app_key: int) -> dict[str, str]:
        """SQLite's names of the types of custom keys, from some of the objects; a Date is `date`."""
        recent = sa.select(self._table.c.columns).where(self._table.c.app == app_key)
        recent_rows = recent.order_by(self._table.c.key.desc()).limit(SAMPLE).subquery()
        each = sa.func.json_each(recent_rows.c.columns).table_valued("key", "type", "value")
        kind = sa.case(
            (each.c.type == "object", sa.func.coalesce(sa.func.json_extract(each.c.value, "$.__type"), "object")),
            else_=each.c.type,
        )
        found = sa.select(each.c.key, sa.func.max(kind)).select_from(recent_rows.join(each, sa.true()))
        found = found.where(each.c.type != "null").group_by(each.c.key)
        return await self._reader.run_bound(lambda bound: {key: kind for key, kind in bound.execute(found)})

    # inside a write

    def insert_in(
        self, bound: sa.Connection, app_key: int, object_id: str, values: Mapping[str, Any], **more: Any
    ) -> ObjectRow:
        self._check_free(bound, app_key, None, values)
        now = self._clock.now()
        own = {"app": app_key, "id": object_id, "created_at": now, "updated_at": now}
        result = bound.execute(sa.insert(self._table).values(**own, **self._split(values), **more))
        assert result.inserted_primary_key is not None
        return ObjectRow(int(result.inserted_primary_key[0]), object_id, values, now, now)

    def update_in(
        self,
        bound: sa.Connection,
        app_key: int,
        object_id: str,
        change: Callable[[dict[str, Any]], Mapping[str, Any]],
        condition: Condition | None = None,
    ) -> ObjectRow:
        before = self._read(bound, self._table.c.app == app_key, self._table.c.id == object_id)
        if before is None:
            raise Refused(errors.OBJECT_NOT_FOUND, "no object has this id")
        if condition is not None:
            test = sa.select(sa.literal(1)).where(self._table.c.key == before.key, holds(condition, self._source))
            if bound.scalar(test) is None:
                raise Refused(errors.CONDITION_NOT_MET, "the object does not meet the condition")
        values = change(dict(before.values))
        self._check_free(bound, app_key, before.key, values)
        now = max(self._clock.now(), before.updated_at + 1)
        changed = sa.update(self._table).where(self._table.c.key == before.key)
        bound.execute(changed.values(updated_at=now, **self._split(values)))
        return ObjectRow(before.key, object_id, values, before.created_at, now)

    def delete_in(self, bound: sa.Connection, app_key: int, object_id: str) -> int | None:
        """The key that it had."""
        gone = sa.delete(self._table).where(self._table.c.app == app_key, self._table.c.id == object_id)
        key: int | None = bound.scalar(gone.returning(self._table.c.key))
        return key

    def row(self, row: Any) -> ObjectRow:
        own = {key: getattr(row, name) for key, name in self._shape.keys.items()}
        values = {**row.columns, **{key: value for key, value in own.items() if value is not None}}
        return ObjectRow(row.key, row.id, values, row.created_at, row.updated_at)

    def _check_free(self, bound: sa.Connection, app_key: int, own: int | None, values: Mapping[str, Any]) -> None:
        for key, taken in self._shape.taken.items():
            if values.get(key) is None:
                continue
            found = sa.select(self._table.c.key).where(
                self._table.c.app == app_key, self._shape.column(key) == values[key]
            )
            if bound.scalar(found) not in (None, own):
                raise Refused(taken, f"another object has this {key}")

    def _split(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What stands in columns of its own, and all the rest."""
        keys = self._shape.keys
        own = {name: values.get(key) for key, name in keys.items()}
        return {**own, "columns": {key: value for key, value in values.items() if key not in keys}}

    # reading

    async def _one(self, *tests: Test) -> ObjectRow | None:
        return await self._reader.run_bound(lambda bound: self._read(bound, *tests))

    def _read(self, bound: sa.Connection, *tests: Test) -> ObjectRow | None:
        found = sa.select(self._table).where(*tests).order_by(self._table.c.updated_at.desc()).limit(1)
        row = bound.execute(found).first()
        return None if row is None else self.row(row)

    def _select(self, what: Any, app_key: int, condition: Condition) -> sa.Select[Any]:
        found = sa.select(what).select_from(self._table)
        return found.where(self._table.c.app == app_key, holds(condition, self._source))

    def _source(self, key: Key) -> Source:
        return self._scalar(key)

    def _scalar(self, key: Key) -> Column | JsonValue:
        name, columns = key[0], self._table.c
        if name == "objectId":
            return Column(columns.id, Type.TEXT)
        if name in ("createdAt", "updatedAt"):
            return Column(columns.created_at if name == "createdAt" else columns.updated_at, Type.DATE)
        if name in self._shape.keys and len(key) == 1:
            return Column(self._shape.column(name), Type.TEXT)
        return JsonValue(columns.columns, key)

    def _order(self, key: Key, descending: bool) -> Sequence[Expression]:
        terms = self._scalar(key).order()
        return [(term.desc() if descending else term.asc()).nulls_last() for term in terms]
