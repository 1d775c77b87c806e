"""Pushes that an app asks for over HTTP: to devices that meet a condition, or that it names (REST reference 6.2).

And those that go with broadcasts to all clients, to all devices.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hongyan import errors
from hongyan.engine import objects, push_content, push_plans
from hongyan.engine.clock import Clock
from hongyan.engine.events import BroadcastSent, Event
from hongyan.engine.ports import InstallationStore, PushStore
from hongyan.engine.push_devices import ANDROID, IOS
from hongyan.engine.push_plans import CALL, LIFETIME, SEEN_WITHIN, Direct, Sending, encode, lane
from hongyan.engine.push_services import PushServices
from hongyan.engine.pushing import Environment
from hongyan.engine.values import App, Draft, ObjectRow, PushFound, PushRow, new_object_id
from hongyan.engine.work import Job, NewJob
from hongyan.errors import Refused

#: Devices that are looked for together.
PAGE = 250
#: How long the same `req_id` stands for the same push (ms), and how many pushes wait for their time.
SAME_FOR, WAITING_MAX = 300_000, 1_000
#: Devices that one call may name, and channels.
NAMED_MAX, CHANNELS_MAX = 500, 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `push_at` is 0 for at once. `lifetime` in ms; None: as long as pushes live.

    `where` is JSON. `devices` are named by the addresses of their platform instead. `rate` is of devices a second.
    """

    data: Mapping[str, Any]
    where: str = ""
    channels: Sequence[str] | None = None
    devices: Sequence[str] | None = None
    platform: str = IOS
    push_at: int = 0
    expires_at: int | None = None
    lifetime: int | None = None
    environment: Environment = "prod"
    topic: str = ""
    team: str = ""
    rate: int = 0
    req_id: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    """What is kept with it for whoever looks at it."""


class PushCalls:
    def __init__(
        self, store: PushStore, installations: InstallationStore, services: PushServices, clock: Clock
    ) -> None:
        self._store = store
        self._installations = installations
        self._services = services
        self._clock = clock

    async def ask(self, app: App, wanted: Wanted) -> tuple[str, int]:
        """Push, soon or when it is time; the id of the push and when it was asked for. It is on disk then.

        Raises Refused: INVALID_VALUE, INVALID_QUERY.
        """
        _check(wanted)
        now = self._clock.now()
        push_at = max(wanted.push_at, now)
        expires_at = wanted.expires_at if wanted.expires_at is not None else push_at + (wanted.lifetime or LIFETIME)
        if expires_at <= push_at:
            raise Refused(errors.INVALID_VALUE, "the push would be over before it was sent")
        push_id = new_object_id()
        row = PushRow(0, app.key, push_id, _kept(wanted), now, push_at, min(expires_at, push_at + LIFETIME))
        job = _next(app.key, {"asked": push_id}, 0, 0, push_at - now)
        return await self._store.insert(row, wanted.req_id, now - SAME_FOR, WAITING_MAX, job)

    async def get(self, app: App, push_id: str) -> PushRow:
        """Raises Refused(OBJECT_NOT_FOUND)."""
        found = await self._store.get(app.key, push_id)
        if found is None:
            raise Refused(errors.OBJECT_NOT_FOUND, "no push has this id, or it was long ago")
        return found

    async def page(self, app: App, limit: int, skip: int) -> list[PushRow]:
        """The newest first."""
        return await self._store.page(app.key, limit, skip)

    async def waiting(self, app: App, limit: int, skip: int) -> list[PushRow]:
        """Those that wait for their time, in its order."""
        return await self._store.page(app.key, limit, skip, waiting=True)

    async def cancel(self, app: App, push_id: str) -> None:
        """Take back one that waits for its time. Raises Refused(OBJECT_NOT_FOUND)."""
        if not await self._store.cancel(app.key, push_id):
            raise Refused(errors.OBJECT_NOT_FOUND, "no push that waits has this id")

    # the follower

    def wants(self, app_key: int, kind: type[Event]) -> bool:
        return kind is BroadcastSent and self._services.any(app_key)

    def jobs(self, app_key: int, event: Event, draft: Draft | None) -> Iterable[NewJob]:
        """A job for a broadcast that says what is pushed with it (REST reference 3.10); it is not listed."""
        if draft is None or not draft.push_data or draft.transient or not isinstance(event, BroadcastSent):
            return ()
        message = event.message
        body = {"id": message.id, "data": draft.push_data, "until": message.timestamp + LIFETIME}
        return (_next(app_key, body, 0, 0),)

    # its jobs

    async def plan(self, job: Job) -> list[NewJob]:
        """Find the next devices; the rest is another job."""
        body = json.loads(job.body)
        row = await self._store.begin(job.app_key, body["asked"]) if "asked" in body else _unlisted(job.app_key, body)
        if row is None or row.planned:
            return []
        rows: Sequence[ObjectRow] = ()
        direct: Sequence[Direct] = ()
        after: int | None = None
        if row.expires_at > self._clock.now():
            if "devices" in row.request:
                rows, direct = await self._named(row)
            else:
                rows, after = await self._page(row, body["after"])
        plan = push_plans.plan(self._services, row.app_key, _sending(row, body["found"]), rows, direct)
        found = PushFound(row.key, plan.devices, after is None) if row.key else None
        more = [] if after is None else [_next(row.app_key, body, after, body["found"] + plan.devices)]
        await self._store.end_plan(job.key, plan.badges, lambda numbers: [*more, *plan.jobs(numbers)], found)
        return []

    async def _page(self, row: PushRow, after: int) -> tuple[Sequence[ObjectRow], int | None]:
        """The next devices that meet the condition; on through those that don't, up to some that do."""
        condition = objects.parse_query(row.request.get("where", ""), "", None, None).condition
        channels, since = row.request.get("channels"), self._clock.now() - SEEN_WITHIN
        cursor: int | None = after
        rows: Sequence[ObjectRow] = ()
        while cursor is not None and not rows:
            rows, cursor = await self._installations.pushable(row.app_key, condition, channels, since, cursor, PAGE)
        return rows, cursor

    async def _named(self, row: PushRow) -> tuple[Sequence[ObjectRow], Sequence[Direct]]:
        """Devices that are known, by what is known of them; of others the address alone must do."""
        named, platform = row.request["devices"], row.request["platform"]
        rows = await self._installations.addressed(row.app_key, named)
        known = {row.values.get(name) for row in rows for name in ("deviceToken", "installationId", "registrationId")}
        if platform == ANDROID:  # its address is its maker's, which only an installation tells
            return rows, ()
        return rows, [Direct(platform, token) for token in dict.fromkeys(named) if token not in known]


def _check(wanted: Wanted) -> None:
    """Raises Refused."""
    try:
        push_content.parse(wanted.data)
    except ValueError as mistake:
        raise Refused(errors.INVALID_VALUE, str(mistake)) from None
    objects.parse_query(wanted.where, "", None, None)


def _kept(wanted: Wanted) -> dict[str, Any]:
    given = {
        "data": wanted.data,
        "where": wanted.where,
        "channels": wanted.channels,
        "environment": wanted.environment,
        "topic": wanted.topic,
        "team": wanted.team,
        "rate": wanted.rate,
        "more": wanted.more,
    }
    if wanted.devices is not None:
        given |= {"devices": wanted.devices, "platform": wanted.platform}
    return {name: value for name, value in given.items() if value not in (None, "", 0, {})}


def _sending(row: PushRow, before: int) -> Sending:
    """`before`: devices that were found earlier, whose turn comes first."""
    asked = row.request
    content = push_content.parse(asked["data"])
    rate = asked.get("rate", 0)
    return Sending(
        row.id,
        content,
        row.expires_at,
        asked.get("environment") or content.environment,
        asked=row.id if row.key else None,
        team=asked.get("team", "") or content.team,
        topic=asked.get("topic", ""),
        delay=lambda place: (before + place) * 1000 // rate if rate else 0,
    )


def _unlisted(app_key: int, body: Mapping[str, Any]) -> PushRow | None:
    """What goes with a broadcast, as if it had been asked for; None if it is no content."""
    try:
        push_content.parse(body["data"])
    except ValueError:
        return None
    return PushRow(0, app_key, body["id"], {"data": body["data"]}, 0, 0, body["until"])


def _next(app_key: int, body: Mapping[str, Any], after: int, found: int, wait: int = 0) -> NewJob:
    """The job for the devices after a key, `found` of which there were before it."""
    return NewJob(app_key, lane(app_key), CALL, encode({**body, "after": after, "found": found}), wait)
