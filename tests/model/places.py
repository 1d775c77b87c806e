"""What conversations of all kinds must be, in plain Python: who has what of them, and who is in which chat room.

A conversation is one list of messages or more: a service conversation has a list of broadcasts and one for each client
alone. Old messages are swept; they stay in their list so that its places stay.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hongyan.engine.values import ConversationKind

DAY = 86_400_000
MESSAGE_DAYS, CONVERSATION_DAYS = 2, 5

State = tuple[int, bool, str]
"""Unread: how many, whether one mentions the client, the id of the last message, which may be swept."""


@dataclass(eq=False)
class Said:
    id: str
    at: int
    sender: str
    text: str
    mentions: frozenset[str] = frozenset()
    is_swept: bool = False


@dataclass(eq=False)
class Track:
    """A list of messages, and how many of them each client that counts them has read."""

    read: dict[str, int] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)

    def add(self, said: Said) -> None:
        assert not self.said or said.at > self.said[-1].at
        self.said.append(said)

    def mark(self, client: str, upto: int | None) -> None:
        """Up to this time."""
        seen = sum(upto is None or said.at <= upto for said in self.said)
        self.read[client] = max(self.read[client], seen)

    def unread(self, client: str) -> list[Said]:
        later = self.said[self.read[client] :]
        return [said for said in later if said.sender != client and not said.is_swept]


@dataclass(eq=False)
class Place:
    """A conversation. Without messages and changes for long it goes; a temporary one when it has ended."""

    id: str
    kind: ConversationKind
    used_at: int
    track: Track
    ends_at: int | None = None
    alone: dict[str, Track] = field(default_factory=dict)
    """What a service conversation is to each client."""
    blocked: set[str] = field(default_factory=set)

    def __repr__(self) -> str:
        return f"<{self.kind.name} {self.id[-4:]}>"

    @property
    def tracks(self) -> list[Track]:
        return [self.track, *self.alone.values()]

    def alone_with(self, client: str) -> Track:
        return self.alone.setdefault(client, Track({client: 0}))

    def of(self, client: str) -> list[Track]:
        """What the client counts."""
        return [track for track in (self.track, self.alone.get(client)) if track and client in track.read]

    def history(self, client: str) -> list[tuple[str, str, str]]:
        """Everybody has the broadcasts."""
        tracks = [self.track, *([self.alone[client]] if client in self.alone else [])]
        said = [said for track in tracks for said in track.said if not said.is_swept]
        return [(each.id, each.sender, each.text) for each in sorted(said, key=_order)]

    def state(self, client: str) -> State | None:
        """None if nothing is unread."""
        tracks = self.of(client)
        unread = [said for track in tracks for said in track.unread(client)]
        ends = [track.said[-1] for track in tracks if track.said and not track.said[-1].is_swept]
        last = max(ends, key=_order).id if ends else ""
        return (len(unread), any(client in said.mentions for said in unread), last) if unread else None


@dataclass(eq=False)
class Device:
    """It is in a chat room, or has lost its connection while it was."""

    client: str
    name: str
    online: bool = False
    room: Place | None = None
    lost_at: int | None = None


class Places:
    """All of them."""

    def __init__(self) -> None:
        self.here: list[Place] = []

    def living(self, now: int) -> Iterator[Place]:
        return (place for place in self.here if place.ends_at is None or place.ends_at > now)

    def drop_ended(self, now: int) -> None:
        self.here = list(self.living(now))

    def sweep(self, now: int) -> None:
        for place in self.here:
            for track in place.tracks:
                for said in track.said:
                    said.is_swept |= said.at < now - MESSAGE_DAYS * DAY
        unused = now - CONVERSATION_DAYS * DAY
        self.here = [place for place in self.here if place.ends_at is not None or place.used_at >= unused]
        self.drop_ended(now)


def _order(said: Said) -> tuple[int, str]:
    return said.at, said.id
