"""A real store and engine, and a receiver that says what a test wants."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from hongyan.bus.local import LocalBus
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.values import App, Webhook
from hongyan.engine.webhooks import lane
from hongyan.engine.work import Job
from hongyan.jobs import Jobs
from hongyan.outbound import Answer, OutboundError
from hongyan.store import Store
from hongyan.webhooks.callback import Callback
from hongyan.webhooks.delivery import Delivery
from hongyan.webhooks.follower import WEBHOOK, WebhookFollower
from tests.store.conftest import OpenStore, open_store, path, store, wall
from tests.store.steps import Wall

__all__ = ["open_store", "path", "store", "wall"]


@dataclass
class Call:
    url: str
    body: bytes
    headers: Mapping[str, str]
    seconds: float


@dataclass
class Receiver:
    """Answers what stands first in `answers`, otherwise 204; `hang` keeps it from answering."""

    answers: list[Answer | OutboundError] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    hang: asyncio.Event | None = None

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout: float
    ) -> Answer:
        assert method == "POST"
        self.calls.append(Call(url, body, headers, timeout))
        if self.hang is not None:
            await self.hang.wait()
        answer = self.answers.pop(0) if self.answers else said(204)
        if isinstance(answer, OutboundError):
            raise answer
        return answer


def said(status: int, **headers: str) -> Answer:
    """An answer with these headers."""
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


@dataclass
class Place:
    """All that a delivery passes through."""

    store: Store
    engine: Engine
    app: App
    wall: Wall
    receiver: Receiver
    follower: WebhookFollower
    delivery: Delivery
    callback: Callback

    async def webhook(self, url: str = "https://shop.example/hook", *types: str, **more: Any) -> Webhook:
        values = {"enabled": True, "description": "", **more}
        return await self.engine.webhooks.create(self.app, url, types, **values)

    def current(self, webhook: Webhook) -> Webhook:
        return self.engine.webhooks.get(self.app, webhook.id)

    async def waiting(self, webhook: Webhook) -> list[Job]:
        return await self.store.jobs.next(lane(webhook.id), 1_000)

    async def jobs(self) -> Jobs:
        """What does the jobs, started."""
        made = Jobs(self.store.jobs, self.engine.clock, {WEBHOOK: self.delivery.kind, "callback": self.callback.kind})
        await made.start()
        return made


Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Return when it is so."""
    async with asyncio.timeout(30):
        while not await is_so():
            await asyncio.sleep(0.001)


async def make_place(store: Store, wall: Wall) -> Place:
    engine = Engine(store, LocalBus(), Clock(wall, lambda: 0), bytes(32))
    await engine.start()
    app = engine.apps.get("home") or await engine.apps.create("home", id="home")
    receiver = Receiver()
    delivery = Delivery(engine.webhooks, receiver, engine.clock)
    engine.webhooks.courier = delivery
    follower = WebhookFollower(engine.webhooks, engine.clock)
    callback = Callback(engine.apps, receiver, engine.clock)
    return Place(store, engine, app, wall, receiver, follower, delivery, callback)


@pytest.fixture
async def place(store: Store, wall: Wall) -> Place:
    return await make_place(store, wall)


@pytest.fixture
def again(open_store: OpenStore, wall: Wall) -> Callable[[Place], Awaitable[Place]]:
    """The place after a restart of the server."""

    async def restart(before: Place) -> Place:
        await before.store.close()
        return await make_place(open_store(), wall)

    return restart
