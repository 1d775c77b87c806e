"""What connectors are given of the world around them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from hongyan.hub.connector import Target
from hongyan.hub.content import Media
from hongyan.hub.progress import Progress
from hongyan.hub.rates import Rates
from hongyan.outbound import Outbound


@dataclass(frozen=True, slots=True)
class Bytes:
    """A file as it is uploaded elsewhere; `type` is a MIME type."""

    name: str
    type: str
    content: bytes


class Mentions(NamedTuple):
    """Clients who are mentioned, or everyone."""

    clients: tuple[str, ...] = ()
    everyone: bool = False


class MediaSource(Protocol):
    async def read(self, media: Media, most: int) -> Bytes:
        """The bytes, at most so many. Raises Problem(BAD_CONTENT) if it is too large, or not there."""

    async def link(self, media: Media) -> str:
        """An address that anybody may read for some days. Raises Problem(BAD_CONTENT) if there is none."""


class Home(Protocol):
    """The app of a channel itself, for the connector that sends within it. Raises Problem."""

    async def send(self, sender: str, to: Target, content: str, token: str, mentions: Mentions) -> dict[str, str]:
        """Say it to a client, or in a conversation (`group`); the receipt. The same `token` says it once."""

    async def edit(self, receipt: Mapping[str, str], content: str | None) -> None:
        """Say it differently, or take it back."""

    async def link(self, media: Media) -> str:
        """An address by which the app's clients read it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`wall` is the time of day in ms, by which signatures are made; `steady` seconds that only grow.

    `act_url` makes of a message's key and the id of a button or form of it the address of a page that does what
    pressing it does, for platforms whose buttons only open addresses; None where there is none. `renewed` keeps
    fields of the channel's credentials that the platform has replaced by new ones, which are good once. `home` is
    None where no server runs. `progress` is which parts have arrived of messages that take several calls.
    """

    outbound: Outbound
    media: MediaSource
    rates: Rates
    wall: Callable[[], int]
    steady: Callable[[], float]
    act_url: Callable[[str, str], str | None]
    renewed: Callable[[Mapping[str, str]], Awaitable[None]] | None = None
    home: Home | None = None
    progress: Progress = field(default_factory=Progress)
