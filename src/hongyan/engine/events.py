"""What happened, told on the bus after its commit. Frozen values; published in commit order."""

from dataclasses import dataclass

from hongyan.engine.values import Conversation, Message, Receipts, Unread


@dataclass(frozen=True, slots=True)
class MessageSent:
    """A message for every member's sessions except the one it came from.

    `origin` is the sending session as the gateway knows it (None for REST and the system).
    """

    conversation: Conversation
    message: Message
    origin: object | None


@dataclass(frozen=True, slots=True)
class MembersJoined:
    """`joined` became members. `by` did it; `at` is the conversation's new update time."""

    conversation: Conversation
    joined: tuple[str, ...]
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class MembersLeft:
    """`left` are no longer members."""

    conversation: Conversation
    left: tuple[str, ...]
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class UnreadChanged:
    """A client's unread state of one conversation, for all its sessions.

    `at` is where the client's next look-up of changes may begin: all that was committed before it has been told.
    """

    app_key: int
    client: str
    unread: Unread
    at: int


@dataclass(frozen=True, slots=True)
class ReceiptsGiven:
    """`reader` received messages, or has `read` them, whose senders asked to be told."""

    conversation: Conversation
    reader: str
    receipts: Receipts
    read: bool


@dataclass(frozen=True, slots=True)
class MessagePatched:
    """A message was edited or recalled: for every member's sessions except the one that did it, `origin`.

    Published in the order of `message.patched_at`.
    """

    conversation: Conversation
    message: Message
    origin: object | None


@dataclass(frozen=True, slots=True)
class ConversationUpdated:
    """`by` changed attributes, from the session `origin`. Both texts are JSON.

    `attr` holds the changes as asked for, `modified` the new values of the top-level keys that were touched.
    """

    conversation: Conversation
    attr: str
    modified: str
    by: str
    at: int
    origin: object | None


@dataclass(frozen=True, slots=True)
class ChatRoomEntered:
    """The session `login` hears a chat room from now on."""

    conversation_key: int
    login: object


@dataclass(frozen=True, slots=True)
class ChatRoomLeft:
    """The session `login` hears a chat room no more."""

    conversation_key: int
    login: object


Event = (
    MessageSent
    | MembersJoined
    | MembersLeft
    | UnreadChanged
    | ReceiptsGiven
    | MessagePatched
    | ConversationUpdated
    | ChatRoomEntered
    | ChatRoomLeft
)
