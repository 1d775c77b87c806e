"""A real store on a file of its own."""

import asyncio
import math
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hongyan.engine.clock import Clock
from hongyan.store import Store
from tests.store.steps import Wall

OpenStore = Callable[[], Store]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the test's database is."""
    return tmp_path / "hongyan.db"


@pytest.fixture
def wall() -> Wall:
    """The wall clock of every store of the test."""
    return Wall()


@pytest.fixture
async def open_store(
    path: Path, empty_database: Path, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OpenStore]:
    """Opens the file; again, too, when the store before it is closed. Only tests prune."""
    monkeypatch.setattr("hongyan.store.store.PRUNE_EVERY", math.inf)
    opened: list[Store] = []

    def open_() -> Store:
        if not path.exists():
            shutil.copy(empty_database, path)
        store = Store.open(path, bytes(32), Clock(wall, lambda: 0))
        store.start(asyncio.get_running_loop())
        opened.append(store)
        return store

    yield open_
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    """A running store."""
    return open_store()
