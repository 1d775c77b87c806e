"""What pushes need of the database: who is to hear of a message, credentials of services, and pushes asked for."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import App, Badges, KeptService, Pushed, PushFound, PushRow
from hongyan.engine.work import NewJob
from hongyan.errors import Refused
from hongyan.store import hot, schema, secrets
from hongyan.store.ack_state import unpack
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

#: How long after its time a push can be looked at (ms).
PUSH_WINDOW = 7 * 24 * 60 * 60 * 1000
_BADGE_MAX = 2**31 - 1

_service, _push = schema.push_service, schema.push
_GONE = hot.RECALLED | hot.DELETED
IS_SAID = f"SELECT 1 FROM message WHERE conversation = ? AND timestamp = ? AND seq = ? AND NOT flags & {_GONE}"
MUTING = (
    "SELECT m.client FROM json_each(?) wanted CROSS JOIN member m ON m.conversation = ? AND m.client = wanted.value"
    " WHERE m.muted"
)
RECEIVED = (
    "SELECT m.client, m.read_seq, m.ack_seq, m.ack_to, m.ack_extra FROM json_each(?) wanted"
    " CROSS JOIN member m ON m.conversation = ? AND m.client = wanted.value"
)
HAVE_RECEIVED = (
    "SELECT value FROM json_each(?) wanted WHERE EXISTS"
    " (SELECT 1 FROM member m WHERE m.app = ? AND m.client = wanted.value AND m.ack_at > 0)"
)
END_PLAN = "DELETE FROM job WHERE key = ?"
#: Their devices have not changed: that an installation is used is told by nobody else.
INCREMENT = (
    "UPDATE installation SET columns = json_set(columns, '$.badge', min(?, 1 + max(0,"
    " CASE json_type(columns, '$.badge') WHEN 'integer' THEN json_extract(columns, '$.badge') ELSE 0 END)))"
    " WHERE key IN (SELECT value FROM json_each(?)) RETURNING key, json_extract(columns, '$.badge')"
)
SET_BADGE = "UPDATE installation SET columns = json_set(columns, '$.badge', ?) WHERE key = ?"
FOUND = "UPDATE push SET devices = devices + ?, planned = planned OR ? WHERE key = ?"
COUNT = (
    "UPDATE push SET successes = successes + ?, failures = failures + ?, invalid_tokens = invalid_tokens + ?"
    " WHERE app = ? AND id = ?"
)
SAME = "SELECT id, created_at FROM push WHERE app = ? AND req_id = ? AND created_at > ? ORDER BY key DESC LIMIT 1"
WAITING = "SELECT count(*) FROM (SELECT 1 FROM push WHERE app = ? AND NOT begun AND push_at > ? LIMIT ?)"
PRUNE = "DELETE FROM push WHERE key IN (SELECT key FROM push WHERE push_at < ? ORDER BY push_at LIMIT ?)"


class Pushes:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock, secret: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._secret = secret

    # services

    async def services(self) -> list[KeptService]:
        found = sa.select(_service, schema.app.c.id).join(schema.app, schema.app.c.key == _service.c.app)
        rows = await self._reader.run_bound(lambda bound: bound.execute(found).all())
        return [
            KeptService(row.app, row.service, self._unsealed(row.id, row.service, row.sealed), row.updated_at)
            for row in rows
        ]

    async def keep_service(self, app: App, kept: KeptService) -> None:
        """In place of what was there."""
        text = {"credentials": json.dumps(dict(kept.credentials), ensure_ascii=False)}
        sealed = secrets.seal(self._secret, _label(app.id, kept.service), text)
        row = {"app": app.key, "service": kept.service, "sealed": sealed, "updated_at": kept.updated_at}

        def change(bound: sa.Connection) -> None:
            bound.execute(_of(app.key, kept.service))
            bound.execute(sa.insert(_service).values(**row))

        await self._writer.call(change)

    async def drop_service(self, app_key: int, service: str) -> None:
        await self._writer.call(lambda bound: bound.execute(_of(app_key, service)))

    def _unsealed(self, app_id: str, service: str, sealed: bytes) -> Mapping[str, Any]:
        text = secrets.unseal(self._secret, _label(app_id, service), sealed)["credentials"]
        credentials: Mapping[str, Any] = json.loads(text)
        return credentials

    # messages

    async def is_said(self, conversation: int, timestamp: int, seq: int) -> bool:
        values = (conversation, timestamp, seq)
        return await self._reader.run(lambda driver: driver.execute(IS_SAID, values).fetchone()) is not None

    async def muting(self, conversation: int, clients: Sequence[str]) -> set[str]:
        values = (json.dumps(list(clients)), conversation)
        return await self._reader.run(lambda driver: {client for (client,) in driver.execute(MUTING, values)})

    async def unheard(self, conversation: int, seq: int, clients: Sequence[str]) -> set[str]:
        values = (json.dumps(list(clients)), conversation)

        def read(driver: Any) -> set[str]:
            return {
                client
                for client, read_seq, *acks in driver.execute(RECEIVED, values)
                if read_seq < seq and not unpack(*acks).covers(seq)
            }

        return await self._reader.run(read)

    async def acknowledging(self, app_key: int, clients: Sequence[str]) -> set[str]:
        values = (json.dumps(list(clients)), app_key)
        return await self._reader.run(lambda driver: {client for (client,) in driver.execute(HAVE_RECEIVED, values)})

    # the end of a plan

    async def end_plan(
        self,
        job: int,
        badges: Badges,
        new: Callable[[Mapping[int, int]], Sequence[NewJob]],
        found: PushFound | None = None,
    ) -> None:
        def change(bound: sa.Connection) -> Mapping[int, int] | None:
            driver: Any = bound.connection.driver_connection
            if not driver.execute(END_PLAN, (job,)).rowcount:
                return None
            if found is not None:
                driver.execute(FOUND, (found.devices, found.last, found.key))
            driver.executemany(SET_BADGE, [(number, key) for key, number in badges.set.items()])
            if not badges.incremented:
                return {}
            return dict(driver.execute(INCREMENT, (_BADGE_MAX, json.dumps(list(badges.incremented)))).fetchall())

        await self._writer.call_then(
            change, lambda _: None, following=lambda numbers: () if numbers is None else new(numbers)
        )

    # what was asked for

    async def insert(
        self, asked: PushRow, req_id: str | None, same_since: int, waiting_max: int, job: NewJob
    ) -> tuple[str, int]:
        columns = {
            "app": asked.app_key,
            "id": asked.id,
            "request": dict(asked.request),
            "req_id": req_id,
            "created_at": asked.created_at,
            "push_at": asked.push_at,
            "expires_at": asked.expires_at,
        }

        def change(bound: sa.Connection) -> tuple[str, int]:
            driver: Any = bound.connection.driver_connection
            same = driver.execute(SAME, (asked.app_key, req_id, same_since)).fetchone() if req_id else None
            if same is not None:
                return same[0], same[1]
            if asked.push_at > asked.created_at:
                waiting = driver.execute(WAITING, (asked.app_key, asked.created_at, waiting_max)).fetchone()[0]
                if waiting == waiting_max:
                    raise Refused(errors.INVALID_VALUE, f"{waiting_max:,} pushes wait for their time already")
            bound.execute(sa.insert(_push).values(**columns))
            return asked.id, asked.created_at

        made: tuple[str, int] = await self._writer.call_then(
            change, lambda _: None, following=lambda answer: [job] if answer[0] == asked.id else []
        )
        return made

    async def begin(self, app_key: int, push_id: str) -> PushRow | None:
        begun = sa.update(_push).where(_push.c.app == app_key, _push.c.id == push_id).values(begun=True)
        found = begun.returning(_push)
        row = await self._writer.call(lambda bound: bound.execute(found).first())
        return None if row is None else _row(row)

    async def count(self, app_key: int, push_id: str, pushed: Pushed) -> None:
        values = (*pushed, app_key, push_id)
        await self._writer.call(lambda bound: bound.exec_driver_sql(COUNT, values))

    async def get(self, app_key: int, push_id: str) -> PushRow | None:
        found = sa.select(_push).where(_push.c.app == app_key, _push.c.id == push_id)
        row = await self._reader.run_bound(lambda bound: bound.execute(found).first())
        return None if row is None else _row(row)

    async def page(self, app_key: int, limit: int, skip: int, *, waiting: bool = False) -> list[PushRow]:
        found = sa.select(_push).where(_push.c.app == app_key)
        if waiting:
            found = found.where(sa.not_(_push.c.begun), _push.c.push_at > self._clock.now()).order_by(_push.c.push_at)
        else:
            found = found.order_by(_push.c.key.desc())
        page = found.limit(limit).offset(skip)
        return [_row(row) for row in await self._reader.run_bound(lambda bound: bound.execute(page).all())]

    async def cancel(self, app_key: int, push_id: str) -> bool:
        gone = sa.delete(_push).where(
            _push.c.app == app_key, _push.c.id == push_id, sa.not_(_push.c.begun), _push.c.push_at > self._clock.now()
        )
        return bool(await self._writer.call(lambda bound: bound.execute(gone).rowcount))


def _label(app_id: str, service: str) -> str:
    """What the credentials are bound to, so that those of a service can't be moved to another one or another app."""
    return f"{app_id} {service}"


def _of(app_key: int, service: str) -> sa.Delete:
    return sa.delete(_service).where(_service.c.app == app_key, _service.c.service == service)


def _row(row: Any) -> PushRow:
    counts = (row.devices, row.successes, row.failures, row.invalid_tokens)
    times = (row.created_at, row.push_at, row.expires_at)
    return PushRow(row.key, row.app, row.id, row.request, *times, row.begun, row.planned, *counts)
