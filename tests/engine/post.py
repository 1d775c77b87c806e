"""Push services of a test that note what they are given, and jobs that are done when a test says so."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hongyan.engine.engine import Engine
from hongyan.engine.pushing import Device, Outcome, Push, Sent
from hongyan.engine.values import App
from hongyan.engine.work import Job, NewJob, Postponed
from hongyan.jobs import Failed
from hongyan.push_jobs import kinds
from hongyan.store import Store
from tests.store.steps import Wall

PLATFORMS = {"apns": "ios", "fcm": "fcm", "xiaomi": "mi", "web_push": "web", "webhook": "webhook"}
TOKEN = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"


@dataclass(frozen=True)
class Brought:
    """What one service was given."""

    service: str
    push: Push
    device: Device
    credentials: Mapping[str, Any]


@dataclass
class Post:
    """`answers` are of the next pushes; otherwise all are taken. `closed` counts pushers.

    `opened` are the threads in which services were opened, by which `on_open` is called.
    """

    brought: list[Brought] = field(default_factory=list)
    answers: list[Outcome] = field(default_factory=list)
    closed: int = 0
    opened: list[threading.Thread] = field(default_factory=list)
    on_open: Callable[[Mapping[str, Any]], None] = lambda given: None

    @property
    def services(self) -> dict[str, "_Service"]:
        return {name: _Service(self, name, platform) for name, platform in PLATFORMS.items()}

    @property
    def tokens(self) -> list[str]:
        return sorted(each.device.token for each in self.brought)


@dataclass(frozen=True)
class _Service:
    post: Post
    name: str
    platform: str

    def open(self, given: Mapping[str, Any]) -> "_Pusher":
        if "key" not in given:
            raise ValueError("`key` is missing")
        self.post.opened.append(threading.current_thread())
        self.post.on_open(given)
        return _Pusher(self, given)

    def public_key(self, given: Mapping[str, Any]) -> str | None:
        return f"public {given['key']}" if self.platform == "web" else None


@dataclass(frozen=True)
class _Pusher:
    service: _Service
    given: Mapping[str, Any]

    async def send(self, push: Push, device: Device) -> Outcome:
        post = self.service.post
        post.brought.append(Brought(self.service.name, push, device, self.given))
        return post.answers.pop(0) if post.answers else Sent()

    async def close(self) -> None:
        self.service.post.closed += 1


class Work:
    """Does jobs as `hongyan.jobs` does, one after another, of what is due at the test's time."""

    def __init__(self, engine: Engine, store: Store, wall: Wall) -> None:
        self._store = store
        self._wall = wall
        self._kinds = kinds(engine)

    async def jobs(self) -> list[Job]:
        """All that wait."""
        lanes = await self._store.jobs.lanes()
        return [job for lane in lanes for job in await self._store.jobs.next(lane, 10_000)]

    async def do(self, *, once: bool = False) -> int:
        """Do what is due, and what follows from it; or only the former. How many jobs that were."""
        done = 0
        while due := [job for job in await self.jobs() if job.due_at <= self._wall()]:
            for job in due:
                await self._do(job)
            done += len(due)
            if once:
                break
        return done

    async def _do(self, job: Job) -> None:
        kind = self._kinds[job.kind]
        try:
            new: Sequence[NewJob] = list(await kind.do(job) or ())
        except Failed as failed:
            waits = max(kind.waits[job.attempts], failed.after or 0)
            later = Postponed(job.key, self._wall() + round(1000 * waits), job.attempts + 1, str(failed))
            await self._store.jobs.settle([], [later])
            return
        await self._store.jobs.settle([job.key], [], new)


async def register(engine: Engine, app: App, client: str, number: int = 0, **values: Any) -> str:
    """A device of a client, an iPhone if nothing else is said; the id of its installation."""
    token = f"{TOKEN}{client.encode().hex()}{number:02}"
    device = {"deviceType": "ios", "deviceToken": token, "channels": [client], **values}
    row, _ = await engine.installations.register(app, {k: v for k, v in device.items() if v is not None})
    return row.id


def token_of(client: str, number: int = 0) -> str:
    return f"{TOKEN}{client.encode().hex()}{number:02}"
