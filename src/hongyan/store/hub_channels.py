"""Channels to other platforms in the database. What opens them is sealed."""

import json
from typing import Any

import sqlalchemy as sa

from hongyan.hub.records import Channel
from hongyan.store import schema, secrets
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_table = schema.hub_channel
#: What goes at once; a channel has few bridges.
_AT_ONCE = ("DELETE FROM hub_bridge WHERE channel = ?", "DELETE FROM hub_channel WHERE id = ?")
#: Rows that go in one step.
STEP = 200
#: A step over what may be much. A message goes after its last target, of which it may have more than a step takes.
_HISTORY = (
    "DELETE FROM hub_delivery WHERE (message, number) IN (SELECT message, number FROM hub_delivery WHERE message IN"
    " (SELECT key FROM hub_message WHERE channel = ?1 ORDER BY key LIMIT ?2) LIMIT ?2)",
    "DELETE FROM hub_message WHERE key IN (SELECT key FROM hub_message WHERE channel = ?1 ORDER BY key LIMIT ?2)"
    " AND NOT EXISTS (SELECT 1 FROM hub_delivery WHERE message = key)",
    "DELETE FROM hub_event WHERE (channel, id) IN (SELECT channel, id FROM hub_event WHERE channel = ?1 LIMIT ?2)",
    "DELETE FROM hub_link WHERE key IN (SELECT key FROM hub_link WHERE channel = ?1 LIMIT ?2)",
)
#: Channels of which there is nothing else: from one to the next in the index, however many rows each has.
_ORPHANS = (
    "WITH RECURSIVE found(channel) AS (SELECT min(channel) FROM {table} UNION ALL"
    " SELECT (SELECT min(t.channel) FROM {table} t WHERE t.channel > found.channel) FROM found"
    " WHERE found.channel IS NOT NULL) SELECT channel FROM found"
    " WHERE channel IS NOT NULL AND channel NOT IN (SELECT id FROM hub_channel)"
)


class HubChannels:
    def __init__(self, reader: Reader, writer: Writer, secret: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._secret = secret

    async def all(self) -> list[Channel]:
        found = sa.select(_table).order_by(_table.c.key)
        rows = await self._reader.run_bound(lambda bound: bound.execute(found).all())
        return [self._channel(row) for row in rows]

    async def insert(self, channel: Channel) -> None:
        made = sa.insert(_table).values(
            id=channel.id, app=channel.app_key, created_at=channel.created_at, **self._values(channel)
        )
        await self._write(made)

    async def update(self, channel: Channel) -> None:
        await self._write(sa.update(_table).where(_table.c.id == channel.id).values(**self._values(channel)))

    async def delete(self, channel_id: str) -> None:
        def change(bound: sa.Connection) -> None:
            for statement in _AT_ONCE:
                bound.exec_driver_sql(statement, (channel_id,))

        await self._writer.call(change)

    async def forget(self, channel_id: str) -> None:
        def step(bound: sa.Connection) -> int:
            return sum(bound.exec_driver_sql(each, (channel_id, STEP)).rowcount for each in _HISTORY)

        while await self._writer.call_in_bulk(step):
            pass

    async def orphans(self) -> list[str]:
        def read(driver: Any) -> set[str]:
            tables = ("hub_message", "hub_event", "hub_link")
            return {row[0] for table in tables for row in driver.execute(_ORPHANS.format(table=table))}

        return sorted(await self._reader.run(read))

    async def _write(self, change: sa.Executable) -> None:
        def write(bound: sa.Connection) -> None:
            bound.execute(change)

        await self._writer.call(write)

    def _values(self, channel: Channel) -> dict[str, Any]:
        kept = {"credentials": json.dumps(dict(channel.credentials)), "token": channel.token}
        return {
            "name": channel.name,
            "kind": channel.kind,
            "sealed": secrets.seal(self._secret, _sealed_as(channel.id), kept),
            "description": channel.description,
            "enabled": channel.enabled,
            "updated_at": channel.updated_at,
            "failing_since": channel.failing_since,
            "failure": channel.failure,
            "advice": channel.advice,
            "succeeded_at": channel.succeeded_at,
        }

    def _channel(self, row: sa.Row[Any]) -> Channel:
        kept = secrets.unseal(self._secret, _sealed_as(row.id), row.sealed)
        return Channel(
            row.id,
            row.app,
            row.name,
            row.kind,
            json.loads(kept["credentials"]),
            row.description,
            row.enabled,
            kept["token"],
            row.created_at,
            row.updated_at,
            row.failing_since,
            row.failure,
            row.advice,
            row.succeeded_at,
        )


def _sealed_as(channel_id: str) -> str:
    """What the seal is bound to, so that credentials can't be moved to another channel."""
    return f"channel {channel_id}"
