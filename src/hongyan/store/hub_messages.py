"""Messages of channels in the database, and what became of them for each target."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import sqlalchemy as sa

from hongyan.engine.clock import Clock
from hongyan.engine.work import NewJob
from hongyan.hub.connector import Target
from hongyan.hub.records import Delivery, Posted, State
from hongyan.store.database import Bulk
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_COLUMNS = "key, id, app, channel, body, request_key, notes, created_at, updated_at"
_SELECT = f"SELECT {_COLUMNS} FROM hub_message WHERE"
GET = f"{_SELECT} channel = ? AND id = ?"
FIND = f"{_SELECT} id = ?"
OF_REQUEST = f"{_SELECT} channel = ? AND request_key = ?"
OF_REQUESTS = f"{_SELECT} channel = ? AND request_key BETWEEN ? AND ? ORDER BY key"
PAGE = f"{_SELECT} channel = ? AND key < ? ORDER BY key DESC LIMIT ?"
INSERT = f"INSERT INTO hub_message ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
CHANGE = "UPDATE hub_message SET updated_at = ?, notes = coalesce(?, notes), body = coalesce(?, body) WHERE key = ?"
_OF_DELIVERY = (
    "target_kind, target_id, state, outcome, receipt, reason, code, advice, tries, unknown, updated_at, parts"
)
_VALUES = "VALUES {rows: (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}"
DELIVERIES = f"SELECT {_OF_DELIVERY} FROM hub_delivery WHERE message = ? ORDER BY number"
INSERT_DELIVERIES = Bulk(
    f"INSERT INTO hub_delivery (message, number, {_OF_DELIVERY}) SELECT * FROM ({_VALUES}) WHERE column1 IS NOT NULL"
)
CHANGE_DELIVERIES = Bulk(
    f"WITH new(message, number, {_OF_DELIVERY}) AS ({_VALUES}) UPDATE hub_delivery"
    f" SET ({_OF_DELIVERY}) = ({', '.join(f'new.{name}' for name in _OF_DELIVERY.split(', '))})"
    " FROM new WHERE hub_delivery.message = new.message AND hub_delivery.number = new.number"
)
#: Those that were posted before a time and of which nothing waits.
OLD = (
    "SELECT key FROM hub_message m WHERE created_at < ? AND NOT EXISTS (SELECT 1 FROM hub_delivery d"
    " WHERE d.message = m.key AND d.state = 'waiting') ORDER BY created_at LIMIT ?"
)
FORGET = (
    Bulk("DELETE FROM hub_delivery WHERE message IN (VALUES {rows: (?)})"),
    Bulk("DELETE FROM hub_message WHERE key IN (VALUES {rows: (?)})"),
)
#: Above all keys.
LAST = 2**63 - 1


class HubMessages:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def insert(self, posted: Posted, job: NewJob) -> Posted:
        def change(bound: sa.Connection) -> Posted:
            driver = _driver(bound)
            if posted.request_key is not None:
                same = _read(driver, OF_REQUEST, posted.channel_id, posted.request_key)
                if same:
                    return same[0]
            key = driver.execute(INSERT, _row(posted)).lastrowid
            INSERT_DELIVERIES.run(driver, [_part(key, number, each) for number, each in enumerate(posted.deliveries)])
            return replace(posted, key=key)

        kept: Posted = await self._writer.call_then(
            change, lambda _: None, following=lambda answer: [job] if answer.id == posted.id else []
        )
        return kept

    async def get(self, channel_id: str, message_id: str) -> Posted | None:
        return next(iter(await self._found(GET, channel_id, message_id)), None)

    async def find(self, message_id: str) -> Posted | None:
        return next(iter(await self._found(FIND, message_id)), None)

    async def of_request(self, channel_id: str, prefix: str) -> list[Posted]:
        return await self._found(OF_REQUESTS, channel_id, prefix, prefix + "\U0010ffff")

    async def page(self, channel_id: str, before: int, limit: int) -> list[Posted]:
        return await self._found(PAGE, channel_id, before or LAST, limit)

    async def keep(
        self,
        posted: Posted,
        deliveries: Sequence[tuple[int, Delivery]],
        notes: Sequence[tuple[str, str]] | None = None,
        body: bytes | None = None,
    ) -> None:
        values = (self._clock.now(), None if notes is None else _text(notes), body, posted.key)

        def change(bound: sa.Connection) -> None:
            driver = _driver(bound)
            driver.execute(CHANGE, values)
            CHANGE_DELIVERIES.run(driver, [_part(posted.key, number, each) for number, each in deliveries])

        await self._writer.call(change)

    async def sweep(self, before: int, limit: int) -> int:
        def change(bound: sa.Connection) -> int:
            driver = _driver(bound)
            keys: list[tuple[Any, ...]] = driver.execute(OLD, (before, limit)).fetchall()
            for each in FORGET:
                each.run(driver, keys)
            return len(keys)

        gone: int = await self._writer.call_in_bulk(change)
        return gone

    async def _found(self, query: str, *values: object) -> list[Posted]:
        return await self._reader.run(lambda driver: _read(driver, query, *values))


def _driver(bound: sa.Connection) -> Any:
    return bound.connection.driver_connection


def _read(driver: Any, query: str, *values: object) -> list[Posted]:
    return [
        _posted(row, tuple(map(_told, driver.execute(DELIVERIES, row[:1])))) for row in driver.execute(query, values)
    ]


def _row(posted: Posted) -> tuple[object, ...]:
    return (
        posted.id,
        posted.app_key,
        posted.channel_id,
        posted.body,
        posted.request_key,
        _text(posted.notes),
        posted.created_at,
        posted.updated_at,
    )


def _posted(row: Any, deliveries: tuple[Delivery, ...]) -> Posted:
    key, id_, app, channel, body, request_key, notes, created_at, updated_at = row
    pairs = tuple(msgspec.json.decode(notes, type=list[tuple[str, str]]))
    return Posted(key, id_, app, channel, body, request_key, created_at, updated_at, deliveries, pairs)


def _part(message: int, number: int, delivery: Delivery) -> tuple[object, ...]:
    return (
        message,
        number,
        delivery.target.kind,
        delivery.target.id,
        delivery.state.value,
        delivery.outcome,
        None if delivery.receipt is None else _text(dict(delivery.receipt)),
        delivery.reason,
        delivery.code,
        delivery.advice,
        delivery.tries,
        delivery.unknown,
        delivery.updated_at,
        _text([dict(each) for each in delivery.parts]) if delivery.parts else None,
    )


def _told(row: Any) -> Delivery:
    kind, id_, state, outcome, receipt, reason, code, advice, tries, unknown, updated_at, parts = row
    return Delivery(
        Target(kind, id_),
        State(state),
        outcome,
        None if receipt is None else msgspec.json.decode(receipt),
        reason,
        code,
        advice,
        tries,
        unknown,
        updated_at,
        () if parts is None else tuple(msgspec.json.decode(parts)),
    )


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
