"""What happened, told on the bus after its commit. Frozen values; published in commit order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hongyan.engine.values import (
    Conversation,
    ConversationRow,
    Departure,
    MemberInfo,
    Message,
    Receipts,
    Replacement,
    Unread,
)
from hongyan.errors import Kind


@dataclass(frozen=True, slots=True)
class MessageSent:
    """A message for every member's sessions except the one it came from.

    `origin` is the sending session as the gateway knows it (None for REST and the system). Not `to_sender`: no session
    of the sender hears it.
    """

    conversation: Conversation
    message: Message
    origin: object | None
    to_sender: bool = True


@dataclass(frozen=True, slots=True)
class UpstreamReceived:
    """A client's message to a service conversation: for the application, and for no other client.

    `conversation` is the service conversation as this client alone sees it.
    """

    conversation: Conversation
    message: Message
    origin: object | None


@dataclass(frozen=True, slots=True)
class MessageSynced:
    """The application sent a message in a client's name: for the sessions of this client, who is no member."""

    conversation: Conversation
    message: Message


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

    Published in the order of `message.patched_at`. Not `to_author`: the author is told that it was replaced.
    """

    conversation: Conversation
    message: Message
    origin: object | None
    to_author: bool = True


@dataclass(frozen=True, slots=True)
class MessageReplaced:
    """What was sent, or an edit, was not kept as it was: for all sessions of its author."""

    conversation: Conversation
    message: Message
    replaced: Replacement


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
    keys: tuple[str, ...] = ()
    """The top-level keys that were touched."""


@dataclass(frozen=True, slots=True)
class ClientOnline:
    """A client opened its first session, which is not yet told so."""

    app_key: int
    client: str
    at: int


@dataclass(frozen=True, slots=True)
class ClientOffline:
    """The last session of a client has ended, for this reason."""

    app_key: int
    client: str
    why: Departure
    at: int


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A client has logged in on a device, from an address if it is known; `returned`: after a lost connection."""

    app_key: int
    client: str
    at: int
    source: str
    tag: str
    returned: bool


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A client is no longer logged in on a device; `error` is what it did wrong, if that is why."""

    app_key: int
    client: str
    at: int
    why: Departure
    source: str
    tag: str
    error: Kind | None


@dataclass(frozen=True, slots=True)
class ConversationCreated:
    """A conversation was made, by the application if `by_system`; that its members joined is told by itself."""

    conversation: Conversation
    by_system: bool = False


@dataclass(frozen=True, slots=True)
class ConversationDeleted:
    """The application has deleted a conversation: nothing finds it any more."""

    conversation: Conversation


@dataclass(frozen=True, slots=True)
class RowWritten:
    """The application has written a conversation's row as one of a table: no client is told (REST reference 2.1).

    LiveQuery, which tells of rows, has it: the top-level keys that were touched, and who is a member now and no more.
    """

    conversation: Conversation
    keys: tuple[str, ...]
    joined: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConversationMuted:
    """A member muted a conversation for itself, or no longer does."""

    conversation: Conversation
    client: str


@dataclass(frozen=True, slots=True)
class Match:
    """What a conversation became for one live query: `op` is `create`, `update`, `enter`, `leave` or `delete`.

    `caller` is the client that looks, empty if none in particular. `hidden`: it may not see the conversation any more.
    """

    subscription_id: str
    query_id: str
    op: str
    keys: tuple[str, ...]
    caller: str
    muted: bool
    hidden: bool


@dataclass(frozen=True, slots=True)
class LiveQueriesMatched:
    """A conversation changed that live queries ask for. `row` is None if it is gone; `keys` are what was touched."""

    app_key: int
    conversation_id: str
    row: ConversationRow | None
    keys: tuple[str, ...]
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """`by` gave a client another role; the system is nobody (empty), as in all events that it may cause."""

    conversation: Conversation
    info: MemberInfo
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class SilenceChanged:
    """These clients may not write any more (`silenced`), or may again; not all of them need to be members."""

    conversation: Conversation
    clients: tuple[str, ...]
    silenced: bool
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class BlocksChanged:
    """A conversation blocks `clients` now, or does no more. Those that were members left: that is told after it."""

    conversation: Conversation
    clients: tuple[str, ...]
    by: str
    at: int
    blocked: bool


@dataclass(frozen=True, slots=True)
class ChatRoomEntered:
    """The session `login` hears a chat room from now on."""

    conversation_key: int
    login: object


@dataclass(frozen=True, slots=True)
class ChatRoomLeft:
    """The session `login` hears a chat room no more."""

    conversation_key: int
    conversation_id: str
    login: object


@dataclass(frozen=True, slots=True)
class BroadcastSent:
    """A message to all clients of an app. `key` is 0 if it is kept for nobody who is not online now."""

    conversation: Conversation
    message: Message
    key: int


@dataclass(frozen=True, slots=True)
class ClientKicked:
    """The application expelled a client: all its sessions are over."""

    app_key: int
    client: str
    reason: str


@dataclass(frozen=True, slots=True)
class ChannelHeard:
    """Something came in by a channel to another platform: `type` says what webhooks call it, `data` what it was."""

    app_key: int
    type: str
    at: int
    data: Mapping[str, Any]


Event = (
    MessageSent
    | ChannelHeard
    | MembersJoined
    | MembersLeft
    | UnreadChanged
    | ReceiptsGiven
    | MessagePatched
    | ConversationUpdated
    | ClientOnline
    | ClientOffline
    | SessionOpened
    | SessionEnded
    | ConversationCreated
    | ConversationDeleted
    | RowWritten
    | ConversationMuted
    | LiveQueriesMatched
    | MessageReplaced
    | RoleChanged
    | SilenceChanged
    | BlocksChanged
    | UpstreamReceived
    | MessageSynced
    | ChatRoomEntered
    | ChatRoomLeft
    | BroadcastSent
    | ClientKicked
)
