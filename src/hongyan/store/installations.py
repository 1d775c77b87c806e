"""Installations in the database: devices by the channels that they listen to, beside what all objects have."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.conditions import Condition
from hongyan.engine.values import ObjectRow
from hongyan.store import channels, schema
from hongyan.store.conversation_condition import holds
from hongyan.store.objects import INSTALLATIONS, Objects
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_table, _channel = schema.installation, schema.installation_channel
#: Installations that are looked at by one read for devices that meet a condition: some 50 ms.
WINDOW = 20_000

#: Of each channel those that began last, so that nobody makes a message expensive by registering many. Devices that are
#: not pushed to take no place of others.
_LISTENING = (
    "SELECT wanted.value, i.key FROM json_each(?) wanted CROSS JOIN installation i ON i.key IN"
    " (SELECT c.installation FROM installation_channel c JOIN installation own ON own.key = c.installation"
    " WHERE c.app = ? AND c.channel = wanted.value AND own.updated_at >= ?"
    " AND json_extract(own.columns, '$.valid') = 1 ORDER BY c.installation DESC LIMIT ?) ORDER BY i.key"
)
#: Each once, however many of the channels it listens to.
_ROWS = (
    "SELECT key, id, installation_id, device_token, device_type, columns, created_at, updated_at FROM installation"
    " WHERE key IN (SELECT value FROM json_each(?))"
)
_VOID = (
    "UPDATE installation SET columns = json_set(columns, '$.valid', json('false')),"
    " updated_at = max(updated_at + 1, ?1)"
    " WHERE app = ?2 AND id = ?3 AND json_extract(columns, '$.valid') = 1"
    " AND ?4 IN (device_token, installation_id, json_extract(columns, '$.registrationId')) RETURNING key"
)


class Installations(Objects):
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        super().__init__(reader, writer, clock, INSTALLATIONS)

    async def listening(
        self, app_key: int, clients: Sequence[str], since: int, limit: int
    ) -> dict[str, list[ObjectRow]]:
        values = (json.dumps(list(clients)), app_key, since, limit)

        def read(driver: Any) -> dict[str, list[ObjectRow]]:
            pairs = driver.execute(_LISTENING, values).fetchall()
            keys = json.dumps(list({key for _, key in pairs}))
            rows = {row[0]: _row(row) for row in driver.execute(_ROWS, (keys,))}
            found: dict[str, list[ObjectRow]] = {}
            for client, key in pairs:
                if key in rows:
                    found.setdefault(client, []).append(rows[key])
            return found

        return await self._reader.run(read)

    async def pushable(
        self,
        app_key: int,
        condition: Condition,
        listens_to: Sequence[str] | None,
        since: int,
        after: int,
        limit: int,
    ) -> tuple[list[ObjectRow], int | None]:
        wanted = [
            _table.c.app == app_key,
            _table.c.updated_at >= since,
            sa.func.json_extract(_table.c.columns, "$.valid") == 1,
            holds(condition, self._source),
        ]
        if listens_to is not None:
            those = sa.select(_channel.c.installation)
            wanted.append(_table.c.key.in_(those.where(_channel.c.app == app_key, _channel.c.channel.in_(listens_to))))

        def read(bound: sa.Connection) -> tuple[list[ObjectRow], int | None]:
            last = bound.scalar(sa.select(sa.func.max(_table.c.key))) or 0
            until = after + WINDOW
            window = sa.select(_table).where(_table.c.key > after, _table.c.key <= until, *wanted)
            rows = [self.row(row) for row in bound.execute(window.order_by(_table.c.key).limit(limit))]
            if len(rows) == limit:
                return rows, rows[-1].key
            return rows, until if until < last else None

        return await self._reader.run_bound(read, errors.INVALID_QUERY)

    async def addressed(self, app_key: int, addresses: Sequence[str]) -> list[ObjectRow]:
        found = sa.select(_table).where(
            _table.c.app == app_key,
            sa.or_(_table.c.device_token.in_(addresses), _table.c.installation_id.in_(addresses)),
        )
        return await self._reader.run_bound(lambda bound: [self.row(row) for row in bound.execute(found)])

    async def void(self, app_key: int, object_id: str, token: str) -> None:
        def change(bound: sa.Connection) -> None:
            values = (self._clock.now(), app_key, object_id, token)
            for key in bound.exec_driver_sql(_VOID, values).scalars().all():
                channels.keep(bound.connection.driver_connection, app_key, key, {})

        await self._writer.call(change)

    # inside a write

    def insert_in(
        self, bound: sa.Connection, app_key: int, object_id: str, values: Mapping[str, Any], **more: Any
    ) -> ObjectRow:
        made = super().insert_in(bound, app_key, object_id, values, **more)
        channels.keep(bound.connection.driver_connection, app_key, made.key, values)
        return made

    def update_in(
        self,
        bound: sa.Connection,
        app_key: int,
        object_id: str,
        change: Callable[[dict[str, Any]], Mapping[str, Any]],
        condition: Condition | None = None,
    ) -> ObjectRow:
        changed = super().update_in(bound, app_key, object_id, change, condition)
        channels.keep(bound.connection.driver_connection, app_key, changed.key, changed.values)
        return changed

    def delete_in(self, bound: sa.Connection, app_key: int, object_id: str) -> int | None:
        gone = super().delete_in(bound, app_key, object_id)
        if gone is not None:
            channels.keep(bound.connection.driver_connection, app_key, gone, {})
        return gone


def _row(row: Sequence[Any]) -> ObjectRow:
    key, object_id, installation_id, token, kind, columns, created_at, updated_at = row
    own = {"installationId": installation_id, "deviceToken": token, "deviceType": kind}
    values = {**json.loads(columns), **{name: value for name, value in own.items() if value is not None}}
    return ObjectRow(key, object_id, values, created_at, updated_at)
