"""Events that came in by channels, and bridges, in the database."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from hongyan.engine.clock import Clock
from hongyan.engine.work import NewJob
from hongyan.hub.connector import Target
from hongyan.hub.records import Bridge, Heard, Linked
from hongyan.store import schema
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

#: How long events and links are remembered (ms): platforms tell an event again for some hours.
EVENT_WINDOW, LINK_WINDOW = 7 * 24 * 60 * 60 * 1000, 30 * 24 * 60 * 60 * 1000
PRUNE_EVENTS = (
    "DELETE FROM hub_event WHERE (channel, id) IN (SELECT channel, id FROM hub_event WHERE at < ? ORDER BY at LIMIT ?)"
)
PRUNE_LINKS = (
    "DELETE FROM hub_link WHERE key IN (SELECT key FROM hub_link WHERE timestamp < ? ORDER BY timestamp LIMIT ?)"
)
_HEAR = "INSERT OR IGNORE INTO hub_event (channel, id, at, receipt) VALUES (?, ?, ?, ?)"
_LINK = (
    "INSERT OR IGNORE INTO hub_link (bridge, channel, receipt, conversation, client, message, timestamp)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
#: Narrowed by one part of the receipt, of which the platform may tell less than when the message came.
_LINKED = (
    "SELECT bridge, channel, receipt, conversation, client, message, timestamp FROM hub_link"
    " WHERE channel = ? AND instr(receipt, ?) ORDER BY key"
)
_bridge = schema.hub_bridge


class HubEvents:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def add(
        self, app_key: int, channel_id: str, heard: Sequence[Heard], following: Callable[[Heard], Sequence[NewJob]]
    ) -> int:
        now = self._clock.now()  # the sender's own time may be far off

        def change(bound: sa.Connection) -> list[Heard]:
            driver: Any = bound.connection.driver_connection
            return [each for each in heard if driver.execute(_HEAR, (channel_id, each.id, now, each.receipt)).rowcount]

        new: list[Heard] = await self._writer.call_then(
            change, lambda _: None, following=lambda new: [job for each in new for job in following(each)]
        )
        return len(new)

    async def receipt(self, channel_id: str, event_id: str) -> str | None:
        query = "SELECT receipt FROM hub_event WHERE channel = ? AND id = ?"
        found = await self._reader.run(lambda driver: driver.execute(query, (channel_id, event_id)).fetchone())
        return found[0] if found else None


class HubBridges:
    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def all(self) -> list[Bridge]:
        found = sa.select(_bridge).order_by(_bridge.c.key)
        rows = await self._reader.run_bound(lambda bound: bound.execute(found).all())
        return [
            Bridge(
                row.id,
                row.app,
                row.conversation,
                row.channel,
                Target(row.target_kind, row.target_id),
                row.enabled,
                row.created_at,
                row.updated_at,
            )
            for row in rows
        ]

    async def insert(self, bridge: Bridge) -> None:
        made = sa.insert(_bridge).values(
            app=bridge.app_key,
            id=bridge.id,
            conversation=bridge.conversation_id,
            channel=bridge.channel_id,
            target_kind=bridge.target.kind,
            target_id=bridge.target.id,
            enabled=bridge.enabled,
            created_at=bridge.created_at,
            updated_at=bridge.updated_at,
        )
        await self._write(made)

    async def update(self, bridge: Bridge) -> None:
        change = sa.update(_bridge).where(_bridge.c.id == bridge.id)
        await self._write(change.values(enabled=bridge.enabled, updated_at=bridge.updated_at))

    async def delete(self, bridge_id: str) -> None:
        await self._write(sa.delete(_bridge).where(_bridge.c.id == bridge_id))

    async def link(self, linked: Linked) -> None:
        def change(bound: sa.Connection) -> None:
            bound.exec_driver_sql(_LINK, tuple(linked))

        await self._writer.call(change)

    async def linked(self, channel_id: str, receipt: str) -> list[Linked]:
        wanted = receipt.split("\n")
        values = (channel_id, max(wanted, key=len))
        rows = await self._reader.run(lambda driver: driver.execute(_LINKED, values).fetchall())
        return [each for each in map(Linked._make, rows) if set(wanted) <= set(each.receipt.split("\n"))]

    async def _write(self, change: sa.Executable) -> None:
        def write(bound: sa.Connection) -> None:
            bound.execute(change)

        await self._writer.call(write)
