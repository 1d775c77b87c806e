"""The sandbox with its emulators, and the surroundings of connectors that talk to it, on a clock that tests set.

A folder of tests takes the fixtures by `from tests.support.hub import around, clock, files, platforms, sandbox` in its
conftest.
"""

import base64
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.content import Media
from hongyan.hub.rates import Rates
from hongyan.hub.surroundings import Bytes, Surroundings
from hongyan.outbound import Outbound
from hongyan.sandbox import emulators
from hongyan.sandbox.server import Sandbox

LOOPBACK = ("127.0.0.0/8", "::1")
#: The time of day at which a clock begins (ms).
START = 1_795_639_511_852
#: A picture of one pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


class Clock:
    """`skew` is by how many seconds our time of day is ahead of the platforms'."""

    def __init__(self) -> None:
        self._ms = START
        self.skew = 0.0

    def advance(self, seconds: float) -> None:
        self._ms += round(seconds * 1000)

    def wall(self) -> int:
        """Our time of day (ms)."""
        return self._ms + round(self.skew * 1000)

    def steady(self) -> float:
        return (self._ms - START) / 1000

    def platforms(self) -> float:
        """The platforms' time of day (s)."""
        return self._ms / 1000


class Files:
    """Media by the id of the file, or by the address."""

    def __init__(self) -> None:
        self._files: dict[str, Bytes] = {}

    def add(self, name: str = "picture.png", type: str = "image/png", content: bytes = PNG) -> Media:
        """A file that was uploaded here."""
        self._files[name] = Bytes(name, type, content)
        return Media(file=name, name=name, type=type)

    def add_url(self, name: str = "picture.png", type: str = "image/png", content: bytes = PNG) -> Media:
        """A file elsewhere."""
        url = f"https://pictures.example/{name}"
        self._files[url] = Bytes(name, type, content)
        return Media(url=url, name=name, type=type)

    async def read(self, media: Media, most: int) -> Bytes:
        found = self._find(media)
        if len(found.content) > most:
            raise Problem(Outcome.BAD_CONTENT, f"the file has more than {most:,} bytes")
        return found

    async def link(self, media: Media) -> str:
        return media.url or f"https://files.example/{self._find(media).name}"

    def _find(self, media: Media) -> Bytes:
        found = self._files.get(media.file or media.url)
        if found is None:
            raise Problem(Outcome.BAD_CONTENT, "there is no such file")
        return found


@dataclass(frozen=True, slots=True)
class Around:
    """Makes surroundings, which share clock and files; each has rates of its own.

    `pages`: whether there are pages on which buttons are pressed.
    """

    clock: Clock
    files: Files
    outbound: Outbound

    def __call__(self, *, pages: bool = True) -> Surroundings:
        act_url: Callable[[str, str], str | None] = (
            (lambda key, id: f"https://hongyan.example/act/{key}/{id}") if pages else (lambda key, id: None)
        )
        rates = Rates(self.clock.steady)
        return Surroundings(self.outbound, self.files, rates, self.clock.wall, self.clock.steady, act_url)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
async def around(clock: Clock, files: Files, certificates: ssl.SSLContext) -> AsyncIterator[Around]:
    outbound = Outbound(LOOPBACK, context=certificates)
    yield Around(clock, files, outbound)
    await outbound.close()


@pytest.fixture
def platforms() -> list[str]:
    """Those that the sandbox has, none for all: a folder whose tests need but one starts no others."""
    return []


@pytest.fixture
async def sandbox(clock: Clock, platforms: list[str]) -> AsyncIterator[Sandbox]:
    """Running; `sandbox.origin` is where."""
    wanted = [each for each in emulators() if not platforms or each.platform in platforms]
    made = Sandbox(wanted, now=clock.platforms)
    await made.start()
    yield made
    await made.stop()
