"""What connectors are given of the world around them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hongyan.hub.content import Media
from hongyan.hub.rates import Rates
from hongyan.outbound import Outbound


@dataclass(frozen=True, slots=True)
class Bytes:
    """A file as it is uploaded elsewhere; `type` is a MIME type."""

    name: str
    type: str
    content: bytes


class MediaSource(Protocol):
    async def read(self, media: Media, most: int) -> Bytes:
        """The bytes, at most so many. Raises Problem(BAD_CONTENT) if it is too large, or not there."""

    async def link(self, media: Media) -> str:
        """An address that anybody may read for some days. Raises Problem(BAD_CONTENT) if there is none."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`wall` is the time of day in ms, by which signatures are made; `steady` seconds that only grow.

    `act_url` makes of a message's key and the id of a button or form of it the address of a page that does what
    pressing it does, for platforms whose buttons only open addresses; None where there is none. `renewed` keeps
    fields of the channel's credentials that the platform has replaced by new ones, which are good once.
    """

    outbound: Outbound
    media: MediaSource
    rates: Rates
    wall: Callable[[], int]
    steady: Callable[[], float]
    act_url: Callable[[str, str], str | None]
    renewed: Callable[[Mapping[str, str]], Awaitable[None]] | None = None
