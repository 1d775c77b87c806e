"""Sending: what a job says is brought to its devices, by their services, at the rate that the app wants."""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hongyan.engine import push_content, pushing
from hongyan.engine.apps import Apps
from hongyan.engine.clock import Clock
from hongyan.engine.limits import Bucket
from hongyan.engine.ports import InstallationStore, PushStore
from hongyan.engine.push_devices import device_of
from hongyan.engine.push_plans import SEND, encode, lane
from hongyan.engine.push_services import PushServices
from hongyan.engine.pushing import Device, InvalidToken, Outcome, Push, RetryLater, Sent
from hongyan.engine.values import App, Pushed
from hongyan.engine.work import Job, NewJob
from hongyan.errors import Refused

log = logging.getLogger(__name__)

#: How often it is logged that a service refuses the pushes of an app (s).
LOG_EVERY = 60.0
#: How long after a failure a device of several is tried again, if its service does not say (s).
FIRST_WAIT = 5.0


class Later(Exception):
    """A job that may work later: after so many seconds, if its service says so."""

    def __init__(self, reason: str, after: float | None) -> None:
        super().__init__(reason)
        self.after = after


class PushSending:
    def __init__(
        self,
        store: PushStore,
        installations: InstallationStore,
        services: PushServices,
        apps: Apps,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._installations = installations
        self._services = services
        self._apps = apps
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._buckets: dict[int, Bucket] = {}
        self._logged_at: dict[tuple[int, str], float] = {}
        self.totals: dict[str, Pushed] = {}
        """Of all apps since the start, by service."""

    async def send(self, job: Job) -> list[NewJob]:
        """Try each device once; those that failed for now are jobs of their own. Raises Later if it was only one.

        What is over is not sent any more: its time, what it tells of, or the device.
        """
        body = json.loads(job.body)
        app, devices = self._apps.of_key(job.app_key), body["devices"]
        content = None if app is None or body["until"] <= self._clock.now() else await self._content(app, body)
        if app is None or content is None:
            await self._count(job.app_key, body, [None] * len(devices))
            return []
        outcomes = await asyncio.gather(*(self._one(app, body, content, each) for each in devices))
        later = [(each, o) for each, o in zip(devices, outcomes, strict=True) if isinstance(o, RetryLater)]
        await self._count(job.app_key, body, [outcome for outcome in outcomes if not isinstance(outcome, RetryLater)])
        if later and len(devices) == 1:
            raise Later(later[0][1].reason or "the service takes nothing for now", later[0][1].after)
        return [
            NewJob(
                job.app_key,
                lane(job.app_key, body["service"]),
                SEND,
                encode({**body, "devices": [each]}),
                round(1000 * max(FIRST_WAIT, outcome.after or 0.0)),
            )
            for each, outcome in later
        ]

    async def _content(self, app: App, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """None if it is not to be pushed any more."""
        if "message" in body and not await self._store.is_said(*body["message"]):
            return None
        if "asked" not in body:
            found: Mapping[str, Any] = body["content"]
            return found
        asked = await self._store.get(app.key, body["asked"])
        if asked is None:
            return None
        return push_content.parse(asked.request["data"]).for_platform(body["platform"])

    async def _one(
        self, app: App, body: Mapping[str, Any], content: Mapping[str, Any], each: Mapping[str, Any]
    ) -> Outcome | None:
        """None if there is no such device any more."""
        try:
            device = await self._device(app, body, each)
        except Refused as refusal:
            return RetryLater(None, str(refusal))
        if device is None:
            return None
        await self._pace(app)
        push = Push(f"{body['id']}-{each.get('id') or _digest(device.token)}", content, body["until"])
        outcome = await self._services.send(app.key, body["service"], push, device)
        if isinstance(outcome, InvalidToken) and "id" in each:
            with suppress(Refused):  # the others of its job are not sent to again for that
                await self._installations.void(app.key, each["id"], device.token)
        elif isinstance(outcome, pushing.Refused):
            self._log(app, body["service"], outcome)
        return outcome

    async def _device(self, app: App, body: Mapping[str, Any], each: Mapping[str, Any]) -> Device | None:
        """As it is now: it may have another address since."""
        topic, team, platform = body.get("topic", ""), body.get("team", ""), body["platform"]
        if "token" in each:
            return Device(platform, each["token"], app=topic, team=team, environment=body["environment"])
        row = await self._installations.get(app.key, each["id"])
        if row is None or row.values.get("valid") is not True:
            return None
        if "for" in each and not set(each["for"]) & set(row.values.get("channels") or ()):
            return None  # nobody for whom it was planned is logged in there any more
        return device_of(row.values, platform, body["environment"], badge=each.get("badge"), topic=topic, team=team)

    async def _pace(self, app: App) -> None:
        """Wait for the app's turn."""
        while (per_minute := app.settings.push_rate) and app.settings.limits:
            now = self._monotonic()
            bucket = self._buckets.get(app.key)
            if bucket is None or bucket.per_minute != per_minute:
                bucket = self._buckets[app.key] = Bucket(per_minute, now)
            if bucket.take(now):
                return
            await self._sleep(60.0 / per_minute)

    async def _count(self, app_key: int, body: Mapping[str, Any], outcomes: Sequence[Outcome | None]) -> None:
        """Of those that are over."""
        invalid = sum(isinstance(outcome, InvalidToken) for outcome in outcomes)
        sent = sum(isinstance(outcome, Sent) for outcome in outcomes)
        pushed = Pushed(sent, len(outcomes) - sent - invalid, invalid)
        total = self.totals.get(body["service"], Pushed())
        self.totals[body["service"]] = Pushed(*(before + more for before, more in zip(total, pushed, strict=True)))
        if "asked" in body and outcomes:
            with suppress(Refused):
                await self._store.count(app_key, body["asked"], pushed)

    def _log(self, app: App, service: str, refused: pushing.Refused) -> None:
        now = self._monotonic()
        if now - self._logged_at.get((app.key, service), -LOG_EVERY) >= LOG_EVERY:
            self._logged_at[app.key, service] = now
            log.warning("%s refuses pushes of the app %s: %s %s", service, app.id, refused.code, refused.text)


def _digest(token: str) -> str:
    """Tells a device by its address without showing it."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()[:24]
