"""The engine over a real store and bus."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hongyan.bus.local import LocalBus
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event
from hongyan.engine.values import App
from hongyan.store import Store
from tests.store.steps import Wall

SECRET = bytes(range(32))


@pytest.fixture
def wall() -> Wall:
    """The wall clock of the test."""
    return Wall()


@pytest.fixture
async def store(tmp_path: Path, empty_database: Path, wall: Wall) -> AsyncIterator[Store]:
    path = shutil.copy(empty_database, tmp_path / "hongyan.db")
    store = Store(path, SECRET, Clock(wall, lambda: 0))  # whose schema is up to date
    store.start(asyncio.get_running_loop())
    yield store
    await store.close()


@pytest.fixture
def bus() -> LocalBus:
    return LocalBus()


@pytest.fixture
def make_engine(store: Store, bus: LocalBus, wall: Wall) -> Callable[[], Engine]:
    """Engines over the one store, as before and after a restart; `start` them."""
    return lambda: Engine(store, bus, Clock(wall, lambda: 0), SECRET)


@pytest.fixture
async def engine(make_engine: Callable[[], Engine]) -> Engine:
    made = make_engine()
    await made.start()
    return made


@pytest.fixture
def events(bus: LocalBus) -> list[Event]:
    """What has been published."""
    published: list[Event] = []
    bus.subscribe(published.append)
    return published


@pytest.fixture
async def app(engine: Engine) -> App:
    return await engine.apps.create("test", id="test")
