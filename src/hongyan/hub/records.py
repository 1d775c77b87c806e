"""What is kept of channels, of the messages they carry, and of bridges. Times are in ms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from hongyan.hub.connector import Target

#: Lanes of jobs: the messages of a channel, and either direction of a bridge.
_CHANNEL, _OUT, _IN = "channel:", "bridge-out:", "bridge-in:"


#: What the `request_key` of a message begins with that comes from a conversation, over a bridge.
BRIDGED = "b:"


def lane(channel_id: str) -> str:
    """Where the messages of a channel wait."""
    return _CHANNEL + channel_id


def channel_of(lane: str) -> str:
    """The id of the channel whose messages wait in a lane."""
    return lane.removeprefix(_CHANNEL)


def lane_out(bridge_id: str) -> str:
    """Where what was said in a conversation waits to be told elsewhere."""
    return _OUT + bridge_id


def lane_in(bridge_id: str) -> str:
    """Where what was said elsewhere waits to be told in a conversation."""
    return _IN + bridge_id


@dataclass(frozen=True, slots=True)
class Channel:
    """A kind of address on a platform, with the credentials of an account there; `name` is its own within the app.

    `token` is all that is needed to speak to its inbound door. It fails since `failing_since` for the reason
    `failure`, and `advice` says what to do.
    """

    id: str
    app_key: int
    name: str
    kind: str
    credentials: Mapping[str, Any] = field(repr=False)
    description: str
    enabled: bool
    token: str = field(repr=False)
    created_at: int
    updated_at: int
    failing_since: int | None = None
    failure: str = ""
    advice: str = ""
    succeeded_at: int | None = None


class State(StrEnum):
    """What became of a message for one target."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    RECALLED = "recalled"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message for one target. `outcome` is that of the last try, empty before it; `tries` are those that failed.

    `unknown` of them ended so that nobody knows whether the message arrived. `parts` are what the platform answered to
    those that have arrived of a message that takes several calls, while it waits.
    """

    target: Target
    state: State = State.WAITING
    outcome: str = ""
    receipt: Mapping[str, str] | None = None
    reason: str = ""
    code: str = ""
    advice: str = ""
    tries: int = 0
    unknown: int = 0
    updated_at: int = 0
    parts: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Posted:
    """A message of a channel: `body` as JSON, `notes` on what was rewritten (rule and detail).

    `request_key` is the caller's, by which the same message is not posted twice.
    """

    key: int
    id: str
    app_key: int
    channel_id: str
    body: bytes
    request_key: str | None
    created_at: int
    updated_at: int
    deliveries: tuple[Delivery, ...]
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def waits(self) -> bool:
        """Whether there is a target for which nothing is final."""
        return any(each.state is State.WAITING for each in self.deliveries)


@dataclass(frozen=True, slots=True)
class Bridge:
    """A conversation, and the group on another platform that mirrors it."""

    id: str
    app_key: int
    conversation_id: str
    channel_id: str
    target: Target
    enabled: bool
    created_at: int
    updated_at: int


class KeptTemplate(NamedTuple):
    """A version of a template of an app: `body` as JSON."""

    name: str
    version: int
    body: bytes
    created_at: int


class Heard(NamedTuple):
    """An event that came in by a channel: `receipt` is that of the message it tells of, as canonical JSON."""

    id: str
    at: int
    receipt: str = ""


class Linked(NamedTuple):
    """A message of a conversation that was said elsewhere first, with the receipt it has there."""

    bridge_id: str
    channel_id: str
    receipt: str
    conversation_id: str
    client: str
    message_id: str
    timestamp: int


def canonical(receipt: Mapping[str, str]) -> str:
    """A receipt as text, by which it is found again; empty if there is none."""
    # an id with the end of a line would make two of one; none has one
    return "\n".join(f"{name}={receipt[name]}".replace("\n", " ") for name in sorted(receipt))
