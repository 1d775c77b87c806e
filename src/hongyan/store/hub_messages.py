"""Messages of channels in the database, and what became of them for each target."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from hongyan.engine.clock import Clock
from hongyan.engine.work import NewJob
from hongyan.hub.connector import Target
from hongyan.hub.records import Delivery, Posted, State
from hongyan.store import schema
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_message, _delivery = schema.hub_message, schema.hub_delivery
#: Those that were posted before a time and of which nothing waits.
_OLD = (
    "SELECT key FROM hub_message m WHERE created_at < ? AND NOT EXISTS (SELECT 1 FROM hub_delivery d"
    " WHERE d.message = m.key AND d.state = 'waiting') ORDER BY created_at LIMIT ?"
)


class HubMessages:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def insert(self, posted: Posted, job: NewJob) -> Posted:
        def change(bound: sa.Connection) -> Posted:
            if posted.request_key is not None:
                same = _read(bound, _of_channel(posted.channel_id), _message.c.request_key == posted.request_key)
                if same:
                    return same[0]
            key = bound.execute(sa.insert(_message).values(**_columns(posted))).inserted_primary_key
            assert key is not None
            rows = [_row(key[0], number, each) for number, each in enumerate(posted.deliveries)]
            bound.execute(sa.insert(_delivery), rows)
            return replace(posted, key=key[0])

        kept: Posted = await self._writer.call_then(
            change, lambda _: None, following=lambda answer: [job] if answer.id == posted.id else []
        )
        return kept

    async def get(self, channel_id: str, message_id: str) -> Posted | None:
        return await self._first(_of_channel(channel_id), _message.c.id == message_id)

    async def find(self, message_id: str) -> Posted | None:
        return await self._first(_message.c.id == message_id)

    async def of_request(self, channel_id: str, prefix: str) -> list[Posted]:
        begins = _message.c.request_key.between(prefix, prefix + "\U0010ffff")
        return await self._reader.run_bound(lambda bound: _read(bound, _of_channel(channel_id), begins))

    async def page(self, channel_id: str, before: int, limit: int) -> list[Posted]:
        older = (_message.c.key < before,) if before else ()
        return await self._reader.run_bound(
            lambda bound: _read(bound, _of_channel(channel_id), *older, order=_message.c.key.desc(), limit=limit)
        )

    async def keep(
        self,
        posted: Posted,
        deliveries: Sequence[tuple[int, Delivery]],
        notes: Sequence[tuple[str, str]] | None = None,
        body: bytes | None = None,
    ) -> None:
        values: dict[str, Any] = {"updated_at": self._clock.now()}
        if notes is not None:
            values["notes"] = [list(each) for each in notes]
        if body is not None:
            values["body"] = body

        def change(bound: sa.Connection) -> None:
            bound.execute(sa.update(_message).where(_message.c.key == posted.key).values(**values))
            for number, delivery in deliveries:
                row = _row(posted.key, number, delivery)
                where = (_delivery.c.message == row.pop("message"), _delivery.c.number == row.pop("number"))
                bound.execute(sa.update(_delivery).where(*where).values(**row))

        await self._writer.call(change)

    async def sweep(self, before: int, limit: int) -> int:
        def change(bound: sa.Connection) -> int:
            keys = [key for (key,) in bound.exec_driver_sql(_OLD, (before, limit))]
            if keys:
                bound.execute(sa.delete(_delivery).where(_delivery.c.message.in_(keys)))
                bound.execute(sa.delete(_message).where(_message.c.key.in_(keys)))
            return len(keys)

        gone: int = await self._writer.call_in_bulk(change)
        return gone

    async def _first(self, *conditions: sa.ColumnElement[bool]) -> Posted | None:
        found = await self._reader.run_bound(lambda bound: _read(bound, *conditions))
        return found[0] if found else None


def _of_channel(channel_id: str) -> sa.ColumnElement[bool]:
    return _message.c.channel == channel_id


def _read(
    bound: sa.Connection,
    *conditions: sa.ColumnElement[bool],
    order: sa.ColumnElement[Any] = _message.c.key,
    limit: int | None = None,
) -> list[Posted]:
    rows = bound.execute(sa.select(_message).where(*conditions).order_by(order).limit(limit)).all()
    keys = [row.key for row in rows]
    of_these = sa.select(_delivery).where(_delivery.c.message.in_(keys))
    deliveries: dict[int, list[Delivery]] = {key: [] for key in keys}
    for each in bound.execute(of_these.order_by(_delivery.c.message, _delivery.c.number)).all() if keys else ():
        deliveries[each.message].append(_told(each))
    return [_posted(row, tuple(deliveries[row.key])) for row in rows]


def _columns(posted: Posted) -> dict[str, Any]:
    return {
        "id": posted.id,
        "app": posted.app_key,
        "channel": posted.channel_id,
        "body": posted.body,
        "request_key": posted.request_key,
        "notes": [list(each) for each in posted.notes],
        "created_at": posted.created_at,
        "updated_at": posted.updated_at,
    }


def _posted(row: Any, deliveries: tuple[Delivery, ...]) -> Posted:
    times = (row.created_at, row.updated_at)
    notes = tuple((rule, detail) for rule, detail in row.notes)
    return Posted(row.key, row.id, row.app, row.channel, row.body, row.request_key, *times, deliveries, notes)


def _row(message: int, number: int, delivery: Delivery) -> dict[str, Any]:
    return {
        "message": message,
        "number": number,
        "target_kind": delivery.target.kind,
        "target_id": delivery.target.id,
        "state": delivery.state.value,
        "outcome": delivery.outcome,
        "receipt": None if delivery.receipt is None else dict(delivery.receipt),
        "reason": delivery.reason,
        "code": delivery.code,
        "advice": delivery.advice,
        "tries": delivery.tries,
        "unknown": delivery.unknown,
        "updated_at": delivery.updated_at,
        "parts": [dict(each) for each in delivery.parts] or None,
    }


def _told(row: Any) -> Delivery:
    return Delivery(
        Target(row.target_kind, row.target_id),
        State(row.state),
        row.outcome,
        row.receipt,
        row.reason,
        row.code,
        row.advice,
        row.tries,
        row.unknown,
        row.updated_at,
        tuple(row.parts or ()),
    )
