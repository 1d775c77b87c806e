"""Channels to other platforms in the database. What opens them is sealed."""

import json
from typing import Any

import sqlalchemy as sa

from hongyan.hub.records import Channel
from hongyan.store import schema, secrets
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_table = schema.hub_channel
#: What goes with a channel, before itself.
_OF_CHANNEL = (
    "DELETE FROM hub_delivery WHERE message IN (SELECT key FROM hub_message WHERE channel = ?)",
    "DELETE FROM hub_message WHERE channel = ?",
    "DELETE FROM hub_event WHERE channel = ?",
    "DELETE FROM hub_link WHERE channel = ?",
    "DELETE FROM hub_bridge WHERE channel = ?",
    "DELETE FROM hub_channel WHERE id = ?",
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
            for statement in _OF_CHANNEL:
                bound.exec_driver_sql(statement, (channel_id,))

        await self._writer.call(change)

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
