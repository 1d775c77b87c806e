"""Each service of `hongyan.push`, as an emulator on loopback with an adapter that is pointed at it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hongyan.engine.pushing import Pusher
from hongyan.push import ADAPTERS
from tests.push.services import SERVICES
from tests.support.push.emulator import Emulator


@pytest.fixture
async def start() -> AsyncIterator[Callable[[type[Emulator]], Any]]:
    """Starts emulators, and ends them after the test."""
    started: list[Emulator] = []

    async def begin(kind: type[Emulator]) -> Emulator:
        emulator = kind()
        await emulator.start()
        started.append(emulator)
        return emulator

    yield begin
    for emulator in started:
        await emulator.stop()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Pusher]]:
    """Makes adapters for emulators, and closes them after the test."""
    made: list[Pusher] = []

    def open_one(emulator: Emulator, **fields: Any) -> Pusher:
        pusher = ADAPTERS[emulator.adapter].open({**emulator.credentials, **fields})
        made.append(pusher)
        return pusher

    yield open_one
    for pusher in made:
        await pusher.close()


@pytest.fixture(params=SERVICES, ids=lambda kind: kind.adapter)
async def service(request: pytest.FixtureRequest, start: Callable[[type[Emulator]], Any]) -> Emulator:
    """Each service in turn."""
    emulator: Emulator = await start(request.param)
    return emulator


@pytest.fixture
def pusher(service: Emulator, connect: Callable[..., Pusher]) -> Pusher:
    """The adapter of `service`."""
    return connect(service)
