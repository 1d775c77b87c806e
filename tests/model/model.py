"""What a server of these few conversations must know and tell, in plain Python.

`Model` changes with each operation that had its effect, and writes down for every device that is online what it has
to be told. It knows no socket; messages and their places come from the answers of the server.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

COUNT_MAX = 100
"""Unread counts are told up to here (reference 4.2)."""
MISSED_MAX = 20
"""Messages of a conversation that a login of protocol version 1 is told."""
TRACKED = 100
"""The last messages of a conversation among which a login of protocol version 1 is told what it missed."""

RECALLED = '{"_lctype":-127}'
"""What is left of a recalled message."""

Content = str | bytes
Event = tuple[Any, ...]
"""Something a device is told of a conversation: its name, then what it says."""


@dataclass(eq=False)
class Message:
    """A message as it was sent; its place is known when it is acknowledged, or found afterwards."""

    sender: str
    source: str
    content: Content
    token: str = ""
    receipt: bool = False
    transient: bool = False
    mentions: tuple[str, ...] = ()
    to_all: bool = False
    id: str = ""
    timestamp: int = 0
    acked: bool = False
    """Whether another member has received it."""
    read: bool = False
    patched_at: int = 0
    recalled: bool = False

    def __repr__(self) -> str:
        return f"<{self.content!r}>"

    def mentions_client(self, client: str) -> bool:
        """Also by what was recalled since."""
        return self.to_all or client in self.mentions

    def told(self) -> Event:
        mentions, to_all = ((), False) if self.recalled else (self.mentions, self.to_all)
        return ("direct", self.id, self.timestamp, self.sender, self.content, frozenset(mentions), to_all)

    def modified(self) -> Event:
        return ("modified", self.patched_at, *self.told()[1:], self.recalled)


@dataclass
class Member:
    """How far a member has come; `joined` and `read` count messages of the conversation."""

    joined: int
    read: int
    has_read: bool = False
    acked: list[Message] = field(default_factory=list)


@dataclass(eq=False)
class Standings:
    """What is set about clients, be they members or not."""

    managers: set[str] = field(default_factory=set)
    has_roles: bool = False
    """Whether a role was ever given: from then on not every member removes others, and the owner stays."""
    silenced: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)


@dataclass(eq=False)
class Conversation:
    id: str
    members: dict[str, Member]
    unique_for: frozenset[str] | None = None
    creator: str = ""
    standings: Standings = field(default_factory=Standings)
    color: str = ""
    """An attribute."""
    messages: list[Message] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{self.id[-4:]}>"

    @property
    def is_unique(self) -> bool:
        """Whether it is found by its members: by those it was made for, while they are its members."""
        return self.unique_for is not None and self.unique_for == self.members.keys()


class Unread(NamedTuple):
    number: int
    mentioned: bool
    last_id: str


class Missed(NamedTuple):
    conversation: Conversation
    messages: list[Message]
    more: bool


class Audience(Protocol):
    """A device as the model sees it."""

    name: str
    client: str
    online: bool
    counts_unread: bool
    wants_group_receipts: bool

    def must_hear(self, conversation_id: str, event: Event) -> None: ...
    def must_get_receipt(self, event: Event) -> None: ...
    def must_get(self, conversation_id: str, message: Message) -> None: ...
    def forget(self, conversation_id: str) -> None: ...


class Model:
    def __init__(self, devices: Sequence[Audience]) -> None:
        self._devices = devices
        self.conversations: dict[str, Conversation] = {}
        self.patched_at = 0

    # operations

    def start(self, id: str, by: str, members: Iterable[str], unique: bool) -> None:
        everyone = frozenset(members)
        conversation = Conversation(id, {}, everyone if unique else None, by)
        self.conversations[id] = conversation
        self.join(conversation, by, everyone)

    def unique(self, members: frozenset[str]) -> set[str]:
        """The conversations that a unique start with these members may find."""
        return {c.id for c in self.conversations.values() if c.is_unique and c.members.keys() == members}

    def join(self, conversation: Conversation, by: str, clients: Iterable[str]) -> None:
        joined = sorted(set(clients) - conversation.members.keys())
        place = len(conversation.messages)
        conversation.members |= {client: Member(place, place) for client in joined}
        if joined:
            self._tell(conversation, joined, ("joined", by))
            self._tell(conversation, conversation.members, ("members_joined", by, *joined))

    def leave(self, conversation: Conversation, by: str, clients: Iterable[str]) -> None:
        left = sorted(conversation.members.keys() & set(clients))
        for client in left:
            del conversation.members[client]
        conversation.standings.managers -= set(left)
        if left:
            self._tell(conversation, left, ("left", by))
            self._tell(conversation, conversation.members, ("members_left", by, *left))
        for device in self._devices:
            if device.client in left:
                device.forget(conversation.id)

    def silence(self, conversation: Conversation, by: str, clients: Iterable[str], on: bool) -> None:
        silenced = conversation.standings.silenced
        changed = sorted(set(clients) - silenced if on else set(clients) & silenced)
        silenced ^= set(changed)
        if changed:
            done = "shutuped" if on else "unshutuped"
            self._tell(conversation, conversation.members.keys() & set(changed), (done, by))
            self._tell(conversation, conversation.members, (f"members_{done}", by, *changed))

    def block(self, conversation: Conversation, by: str, clients: Iterable[str], on: bool) -> None:
        """Who is blocked is a member no more; all of the client's devices hear of it, members or not."""
        blocked = conversation.standings.blocked
        changed = sorted(set(clients) - blocked if on else set(clients) & blocked)
        blocked ^= set(changed)
        if changed:
            done = "blocked" if on else "unblocked"
            others = conversation.members.keys() - (set(changed) if on else set())
            self._tell(conversation, changed, (done, by))
            self._tell(conversation, others, (f"members_{done}", by, *changed))
        if on:
            self.leave(conversation, by, changed)

    def give_role(self, conversation: Conversation, by: str, client: str, manager: bool) -> None:
        standings = conversation.standings
        standings.has_roles = True
        if manager != (client in standings.managers):
            standings.managers ^= {client}
            role = "Manager" if manager else "Member"
            self._tell(conversation, conversation.members, ("member_info_changed", by, client, role))

    def commit(self, conversation: Conversation, message: Message) -> None:
        """The message has its place: after all others."""
        if not message.transient:
            last = conversation.messages[-1].timestamp if conversation.messages else 0
            assert message.timestamp > last, f"{message.content!r} has a time before an earlier message"
            assert all(message.id != other.id for other in conversation.messages), "an id was given twice"
            conversation.messages.append(message)
        for device in self._online(conversation.members):
            if device.name != message.source:
                device.must_get(conversation.id, message)

    def edit(self, conversation: Conversation, message: Message, by: str, content: Content | None, at: int) -> None:
        """None recalls it; `by` is a device."""
        assert at > max(message.timestamp, self.patched_at), "an edit has a time before an earlier one"
        self.patched_at = message.patched_at = at
        message.recalled = content is None
        message.content = RECALLED if content is None else content
        self._tell(conversation, conversation.members, message.modified(), besides=by)

    def update(self, conversation: Conversation, by: str, client: str, color: str) -> None:
        """`by` is a device of the client."""
        conversation.color = color
        self._tell(conversation, conversation.members, ("updated", client, color), besides=by)

    def read(self, conversation: Conversation, client: str, upto: int | None) -> None:
        """`upto` is a number of messages; None: all."""
        member = conversation.members.get(client)
        if member is None:
            return
        passed = conversation.messages[member.read : upto]
        if passed:
            member.read += len(passed)
            member.has_read = True
        self._tell_unread(conversation, client)
        newest: dict[str, Message] = {}
        for message in passed:
            if message.sender != client:
                message.read = True
                if message.receipt:
                    newest[message.sender] = message
        self._give_receipts(conversation, client, newest.values(), "read")

    def acknowledge(self, conversation: Conversation, client: str, messages: Iterable[Message]) -> None:
        member = conversation.members.get(client)
        if member is None:
            return
        fresh = [message for message in messages if message in self._missed(conversation, client)]
        member.acked += fresh
        for message in fresh:
            message.acked = True
        self._give_receipts(conversation, client, (m for m in fresh if m.receipt), "delivered")

    # questions

    def of(self, client: str) -> list[Conversation]:
        return [c for c in self.conversations.values() if client in c.members]

    def unread(self, client: str) -> dict[str, Unread]:
        """The conversations with something unread."""
        told = {c.id: self._unread(c, client) for c in self.of(client)}
        return {id: unread for id, unread in told.items() if unread.number}

    def missed(self, client: str) -> list[Missed]:
        """What a login of protocol version 1 is told, the most recently active conversation last."""
        answer = []
        for conversation in self.of(client):
            missed = self._missed(conversation, client)
            window = [message for message in conversation.messages[-TRACKED:] if message in missed]
            if window:
                answer.append(Missed(conversation, window[:MISSED_MAX], len(window) > MISSED_MAX))
        return sorted(answer, key=lambda missed: missed.conversation.messages[-1].timestamp)

    def edited(self, client: str, since: int) -> list[Event]:
        """What a login that asks for edits after this time is told, in their order."""
        messages = [message for c in self.of(client) for message in c.messages if message.patched_at > since]
        return [message.modified() for message in sorted(messages, key=lambda message: message.patched_at)]

    def read_mark(self, conversation: Conversation, client: str) -> int:
        """The time up to which a member has read; 0 before its first mark."""
        member = conversation.members[client]
        return conversation.messages[member.read - 1].timestamp if member.has_read else 0

    def ack_marks(self, conversation: Conversation, client: str) -> set[int]:
        """The times that may be told as received: own messages count once everything before them has arrived."""
        member = conversation.members[client]
        if not member.acked:
            return {0}
        newest = max(message.timestamp for message in member.acked)
        missed = self._missed(conversation, client)
        first_missed = min((message.timestamp for message in missed), default=None)
        own = [m.timestamp for m in conversation.messages if m.sender == client and m.timestamp > newest]
        return {newest, *(time for time in own if first_missed is None or time < first_missed)}

    # inside

    def _unread(self, conversation: Conversation, client: str) -> Unread:
        later = [m for m in conversation.messages[conversation.members[client].read :] if m.sender != client]
        last = conversation.messages[-1].id if conversation.messages else ""
        return Unread(min(len(later), COUNT_MAX), any(m.mentions_client(client) for m in later), last)

    def _missed(self, conversation: Conversation, client: str) -> list[Message]:
        member = conversation.members[client]
        since = conversation.messages[member.joined :]
        return [message for message in since if message.sender != client and message not in member.acked]

    def _online(self, clients: Iterable[str]) -> Iterator[Audience]:
        wanted = set(clients)
        return (device for device in self._devices if device.online and device.client in wanted)

    def _tell(self, conversation: Conversation, clients: Iterable[str], event: Event, besides: str = "") -> None:
        for device in self._online(clients):
            if device.name != besides:
                device.must_hear(conversation.id, event)

    def _tell_unread(self, conversation: Conversation, client: str) -> None:
        for device in self._online([client]):
            if device.counts_unread:
                device.must_hear(conversation.id, ("unread", *self._unread(conversation, client)))

    def _give_receipts(self, conversation: Conversation, by: str, messages: Iterable[Message], kind: str) -> None:
        """To senders who are members still."""
        for message in messages:
            for device in self._online({message.sender} & conversation.members.keys()):
                if len(conversation.members) <= 2 or device.wants_group_receipts:
                    device.must_get_receipt((kind, conversation.id, message.id, by))
