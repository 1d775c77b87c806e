"""The fixtures for emulators."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession

from hongyan.sandbox.server import Sandbox
from tests.sandbox.plain import Plain
from tests.support.hub import around, clock, files, platforms, sandbox

__all__ = ["around", "clock", "files", "platforms", "sandbox"]


@pytest.fixture
async def plain() -> AsyncIterator[Sandbox]:
    """A sandbox of the platform that there is not."""
    made = Sandbox([Plain])
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def web(plain: Sandbox) -> AsyncIterator[ClientSession]:
    async with ClientSession(plain.origin) as session:
        yield session
