"""What happens, as values: `Client.events()` yields them, `Client.on()` calls functions with them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hongyan_client.message import Message
from hongyan_client.roles import Role

if TYPE_CHECKING:
    from hongyan_client.conversation import Conversation


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events."""


@dataclass(frozen=True, slots=True)
class MessageReceived(Event):
    """A message arrived: of somebody else, or of this client on another device."""

    conversation: "Conversation"
    message: Message


@dataclass(frozen=True, slots=True)
class MessageEdited(Event):
    """A message has another content now. `code` and `reason` tell why, if it was not the sender who did it."""

    conversation: "Conversation"
    message: Message
    code: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MessageRecalled(Event):
    """A message was taken back; its content is `Recalled` now."""

    conversation: "Conversation"
    message: Message


@dataclass(frozen=True, slots=True)
class UnreadChanged(Event):
    """The server's count of unread messages: after login, and when this client read on any device."""

    conversation: "Conversation"
    count: int
    mentioned: bool
    last_message: Message | None


@dataclass(frozen=True, slots=True)
class Delivered(Event):
    """A message that was sent with `receipt=True` reached `by`, at `at` (ms)."""

    conversation: "Conversation"
    message_id: str
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class Read(Event):
    """`by` has read up to this message, at `at` (ms)."""

    conversation: "Conversation"
    message_id: str
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class Invited(Event):
    """This client is in the conversation now; `by` is itself if it made or joined it."""

    conversation: "Conversation"
    by: str


@dataclass(frozen=True, slots=True)
class Kicked(Event):
    """This client is not in the conversation any more; `by` is itself if it left."""

    conversation: "Conversation"
    by: str


@dataclass(frozen=True, slots=True)
class MembersJoined(Event):
    """Somebody joined."""

    conversation: "Conversation"
    members: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class MembersLeft(Event):
    """Somebody left."""

    conversation: "Conversation"
    members: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Blocked(Event):
    """The conversation blocks this client now; if it was in it, `Kicked` follows."""

    conversation: "Conversation"
    by: str


@dataclass(frozen=True, slots=True)
class Unblocked(Event):
    """This client may join the conversation again, and be added."""

    conversation: "Conversation"
    by: str


@dataclass(frozen=True, slots=True)
class MembersBlocked(Event):
    """The conversation blocks these clients now; for those that were in it, `MembersLeft` follows."""

    conversation: "Conversation"
    clients: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class MembersUnblocked(Event):
    """These clients may join again, and be added."""

    conversation: "Conversation"
    clients: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class ConversationUpdated(Event):
    """Attributes changed: `changes` as asked for, `values` the new values of the touched keys."""

    conversation: "Conversation"
    changes: dict[str, Any]
    values: dict[str, Any]
    by: str


@dataclass(frozen=True, slots=True)
class RoleChanged(Event):
    """A member has another role now."""

    conversation: "Conversation"
    member: str
    role: Role
    by: str


@dataclass(frozen=True, slots=True)
class Silenced(Event):
    """This client may not write any more; `by` is empty if the application's server did it."""

    conversation: "Conversation"
    by: str


@dataclass(frozen=True, slots=True)
class Unsilenced(Event):
    """This client may write again."""

    conversation: "Conversation"
    by: str


@dataclass(frozen=True, slots=True)
class MembersSilenced(Event):
    """These clients may not write any more."""

    conversation: "Conversation"
    clients: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class MembersUnsilenced(Event):
    """These clients may write again."""

    conversation: "Conversation"
    clients: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class EventsDropped(Event):
    """The application was too slow: this many events were left out. Messages that are stored are not among them."""

    count: int


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """The connection is gone; the client connects again by itself."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reconnected(Event):
    """The client is connected again. What it missed follows."""


@dataclass(frozen=True, slots=True)
class Closed(Event):
    """The last event: the server ended the session, and the client does not connect again."""

    code: int
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Conflict(Closed):
    """Closed because this client logged in on another device with the same tag."""
