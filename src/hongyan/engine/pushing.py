"""Pushes to devices that are not connected: what one device is sent, and what the outside service says of it.

What is pushed to whom is decided elsewhere; a `Pusher` only brings one push to one device, once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Environment = Literal["prod", "dev"]


@dataclass(frozen=True, slots=True)
class Device:
    """Where a push goes. `token` is an address: whoever has it can send to it, so it is not shown."""

    platform: str
    """The service behind it: `ios`, `fcm`, `hms`, `mi`, `mz`, `oppo`, `vivo`, `honor`, `web` or `webhook`."""
    token: str = field(repr=False)
    """A browser's is the URL of its push service."""
    app: str = ""
    """Apple's topic (the bundle id), elsewhere the package, if the credentials don't say it."""
    team: str = ""
    """The Apple team that the device's app is signed by, if it is known."""
    environment: Environment = "prod"
    badge: int | None = None
    """What `Increment` comes to."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of a browser: `p256dh` and `auth`, to encrypt for it."""


@dataclass(frozen=True, slots=True)
class Push:
    """What a device is sent."""

    id: str
    """Equal in all attempts: services that can tell repeats apart are given it."""
    content: Mapping[str, Any]
    """The keys of the reference (6.2), already merged for the platform of the device."""
    expires_at: int
    """Nobody is to see it later (ms)."""
    collapse: str | None = None
    """A newer push with the same text takes the place of an older one."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The service took it over."""

    id: str = ""
    """What the service calls it."""


@dataclass(frozen=True, slots=True)
class InvalidToken:
    """The device is not there any more, and will not be back with this token."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """It may work later; `after` so many seconds at the earliest, if the service says so."""

    after: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Trying again would not help: the credentials or the content are wrong. `code` is the service's or our own."""

    code: str
    text: str = ""


Outcome = Sent | InvalidToken | RetryLater | Refused


class Pusher(Protocol):
    """One service with the credentials of one app."""

    async def send(self, push: Push, device: Device) -> Outcome:
        """Try once, a bounded time. Whatever goes wrong outside is an outcome; nothing is raised."""

    async def close(self) -> None:
        """Give up what is under way."""
