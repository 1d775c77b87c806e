"""What every emulator of a platform is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from msgspec import Struct

from hongyan.sandbox.board import Board
from hongyan.sandbox.faults import Faults, What, common


class Inbound(Struct, omit_defaults=True):
    """Something a person does there, of which the platform tells an app. The page sends it.

    `kind`: text, action (a button or form of the message `on`), read, recalled, added. `user` and `chat` are ids.
    """

    kind: str
    user: str
    chat: str = ""
    text: str = ""
    on: str = ""
    action: str = ""
    value: str = ""
    inputs: dict[str, Any] = {}


class Unheard(ValueError):
    """The app can't be told: no address is given, and it has no connection open."""


class Told(Struct):
    """What the app has answered."""

    status: int
    body: str


@dataclass(frozen=True)
class Robot:
    """Of a group, as DingTalk and Feishu have them. `networks`: from where it may be called."""

    name: str
    group: str
    secret: str = ""
    keywords: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


class Emulator(ABC):
    """`origin` is where the sandbox is, without a final slash; `now` is the time of day (s).

    Handlers are written by the platform's documentation: what it would refuse is refused in its own words.
    """

    platform = ""
    #: What the paths of this platform begin with.
    prefixes: Sequence[str] = ()

    def __init__(self, board: Board, faults: Faults, now: Callable[[], float]) -> None:
        self.board = board
        self.faults = faults
        self.now = now
        self.origin = ""

    @abstractmethod
    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """The paths of the platform, as its documentation spells them."""

    @abstractmethod
    def failure(self, what: What, request: web.Request) -> web.Response:
        """How this platform says that it is throttled, refuses, or that a token has expired."""

    @abstractmethod
    def world(self) -> Mapping[str, Any]:
        """The credentials, people and groups that there are, as the page shows them."""

    @abstractmethod
    async def tell(self, inbound: Inbound, url: str) -> Told:
        """Tell the app's address of something, signed as the platform does it; without one, by the connection that
        the app has opened. Raises ValueError with a sentence.
        """

    async def fail(self, request: web.Request) -> web.StreamResponse | None:
        """The answer if this request is to fail."""
        what = self.faults.take(self.platform, request.path)
        if what is None:
            return None
        return await common(what, request) or self.failure(what, request)
