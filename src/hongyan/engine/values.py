"""The values of the engine: what doors hand in, what stores keep, what events carry.

Times are integers: milliseconds since the Unix epoch, from the server's clock.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, IntEnum
from typing import Any, NamedTuple

from hongyan import errors
from hongyan.engine.app_settings import AppSettings
from hongyan.engine.work import NewJob
from hongyan.errors import Kind

CLIENT_ID_MAX = 64


class ConversationKind(IntEnum):
    """Kind of a conversation; the number is `convType` on the wire (reference section 0)."""

    NORMAL = 1
    CHATROOM = 2
    SERVICE = 3
    TEMPORARY = 4


#: SDKs know a temporary conversation by its id.
TEMPORARY_PREFIX = "_tmp:"
#: Kinds that only members write to and read.
OF_MEMBERS = frozenset({ConversationKind.NORMAL, ConversationKind.TEMPORARY})


class Role(IntEnum):
    """What a member of a conversation may do there: more, the higher the number. Who has no role set is a member."""

    MEMBER = 1
    MANAGER = 2
    OWNER = 3


#: The end of a silence that has none (ms).
FOREVER = 1 << 62


class Standing(NamedTuple):
    """What is set about a client in a conversation, member or not. Times are None where nothing is set.

    `role_id` names the role like a stored object.
    """

    role: Role | None = None
    role_id: str | None = None
    silenced_until: int | None = None
    blocked_at: int | None = None

    def is_silenced(self, now: int) -> bool:
        return self.silenced_until is not None and self.silenced_until > now

    def bars(self, now: int) -> Kind | None:
        """Why the client may not write, if it may not (reference 3.16)."""
        if self.blocked_at is not None:
            return errors.BLOCKED_BY_CONV
        if not self.is_silenced(now):
            return None
        return errors.SILIENCED if self.silenced_until == FOREVER else errors.CONVERSATION_BLACKLISTED


NO_STANDING = Standing()


@dataclass(slots=True)
class App:
    """A messaging space. `key` is its small integer in the store; `id` is what clients send.

    There is one object for each app, which every session holds: a change of its `settings` reaches all at once.
    """

    key: int
    id: str
    name: str
    app_key: str
    master_key: str
    hook_key: str
    settings: AppSettings
    created_at: int

    def __repr__(self) -> str:  # keys are secrets: they must not reach a log through a repr
        return f"App(id={self.id!r}, name={self.name!r})"


@dataclass(slots=True, eq=False)
class Conversation:
    """What every message needs to know of its conversation; cached, changed in commit order only.

    `key` is its integer in the store, `version` counts changes of membership and standings. `members` is empty for
    kinds that have none, or too many to be held: chat rooms and service conversations. `stream` is empty but for what
    a service conversation is to one client alone: there it tells the stream apart from the whole, whose `id` it has.
    """

    key: int
    app_key: int
    id: str
    kind: ConversationKind
    version: int
    members: set[str]
    creator: str = ""
    expires_at: int | None = None
    standings: dict[str, Standing] = field(default_factory=dict)
    stream: str = ""

    def has_ended(self, now: int) -> bool:
        """Whether it was a temporary conversation whose time is over."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A conversation as a query answers it. `columns` are the custom top-level keys.

    `joined_at` is when the caller subscribed to a service conversation, None if it did not.
    """

    id: str
    kind: ConversationKind
    creator: str
    members: tuple[str, ...]
    muted: bool
    name: str | None
    attr: Mapping[str, Any] | None
    columns: Mapping[str, Any]
    unique_id: str | None
    created_at: int
    updated_at: int
    last_message_at: int | None
    last_message: "Message | None" = None
    joined_at: int | None = None
    expires_at: int | None = None
    muted_by: tuple[str, ...] = ()
    """Who has muted it, for the application alone."""


@dataclass(frozen=True, slots=True)
class ConversationDraft:
    """A conversation to be made. `members` are without doubles; a client that makes one is among them.

    `device` is the one with which the creator of a chat room takes its place in it.
    """

    kind: ConversationKind
    creator: str
    members: tuple[str, ...]
    name: str | None = None
    attr: Mapping[str, Any] | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    unique: bool = False
    device: str | None = None
    lifetime: int | None = None
    """Of a temporary conversation, in milliseconds."""
    by_system: bool = False
    """Whether the application makes it, and not the creator."""
    told: bool = True
    """Whether its members are told that they joined."""

    @property
    def initiator(self) -> str:
        return "" if self.by_system else self.creator


@dataclass(frozen=True, slots=True)
class Attributes:
    """What members may change of a conversation. `columns` are the custom top-level keys."""

    name: str | None
    attr: Mapping[str, Any] | None
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Notification:
    """Something a client may have missed. `op` names the operation that tells of it, in the engine's spelling.

    `details` is what else is told: `clients`, or the JSON texts `attr` and `modified`. `expires_at` is when the
    conversation ends, if it is temporary.
    """

    op: str
    conversation_id: str
    by: str
    at: int
    details: Mapping[str, Any] = field(default_factory=dict)
    expires_at: int | None = None


class Priority(IntEnum):
    """What may be left out first where a chat room has more to hear than it can be told: the highest number."""

    HIGH = 1
    NORMAL = 2
    LOW = 3


@dataclass(slots=True, eq=False)
class Message:
    """One message. `content` is `bytes` for a binary message. Transient ones have `seq` 0.

    `patched_at` is when it was last edited or recalled; `acked_at` and `read_at` are when the first other member
    received it and read it. `priority` is kept nowhere: it is for those who are online.
    """

    id: str
    seq: int
    timestamp: int
    sender: str
    content: str | bytes
    receipt: bool = False
    transient: bool = False
    mention_all: bool = False
    mentions: tuple[str, ...] = ()
    patched_at: int | None = None
    recalled: bool = False
    acked_at: int | None = None
    read_at: int | None = None
    priority: int = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class Replacement:
    """Content to be kept instead of what was sent, and why, if it is said: `code` is `patchCode` on the wire.

    Negative codes are built in, others the app's own.
    """

    content: str | bytes
    code: int | None
    reason: str


@dataclass(slots=True, eq=False)
class Draft:
    """A message to be sent. `token` is the client-supplied id (`dt`) that makes a resend harmless.

    `push_data` is for offline push: it counts in the size and no receiver sees it. `replaced` is what the app's hook or
    the content filter made of the content. `following(conversation, place)` says, inside the write, which jobs follow
    from it. `source` is the address that it came from, empty if it is unknown; `receivers` are those of the members who
    alone are told of it, if the app's hook wants that. `job` is the key of the job that sends it, which is done with
    the write: it sends once, whenever the server is killed.
    """

    content: str | bytes
    token: str = ""
    receipt: bool = False
    transient: bool = False
    mention_all: bool = False
    mentions: tuple[str, ...] = ()
    push_data: str = ""
    replaced: Replacement | None = None
    priority: int = Priority.NORMAL
    following: Callable[["Conversation", "Stored"], Sequence[NewJob]] | None = None
    source: str = ""
    receivers: Sequence[str] | None = None
    job: int | None = None


#: What is left of a recalled message (reference 7).
RECALLED_BODY = '{"_lctype":-127}'


@dataclass(frozen=True, slots=True)
class Edit:
    """A message, found by all three, and what replaces it: content and mentions of `draft`; None recalls it."""

    conversation_id: str
    message_id: str
    timestamp: int
    draft: Draft | None


@dataclass(frozen=True, slots=True)
class Edited:
    """A message as it is now; `changed` is false if it had been recalled before."""

    conversation: Conversation
    message: Message
    changed: bool


@dataclass(frozen=True, slots=True)
class Archived:
    """A message and where it stands: `stream` is empty but for what a service conversation is to one client alone."""

    conversation_id: str
    stream: str
    message: Message


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A message to all clients of an app, told until `valid_till`. `key` grows with each."""

    key: int
    app_key: int
    conversation_id: str
    valid_till: int
    message: Message


class Stored(NamedTuple):
    """The place a message got: `repeated` when the same client had sent the same token before."""

    id: str
    seq: int
    timestamp: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class MembersChanged:
    """Result of an add or remove. `changed` ⊆ requested; `version` and `updated_at` are the new ones.

    `barred` were not added: they are blocked, or want nobody to add them.
    """

    changed: tuple[str, ...]
    version: int
    updated_at: int
    barred: tuple[str, ...] = ()


class StandingsNow(NamedTuple):
    """What a decision on standings is made from: of the clients asked for, who is a member, and what is set.

    Then how many of the conversation have what is limited; `managers` are those to whom a role above the members'
    was given.
    """

    members: frozenset[str]
    standings: Mapping[str, Standing]
    silenced: int
    blocked: int
    managers: int = 0


class Decision(NamedTuple):
    """The new standings of those that change, and who is no longer a member."""

    standings: Mapping[str, Standing]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StandingsChanged:
    """What a decision came to; `version` and `updated_at` are the conversation's, new if anything changed."""

    standings: Mapping[str, Standing]
    removed: tuple[str, ...]
    version: int
    updated_at: int


class Subscriber(NamedTuple):
    """A client that subscribed to a service conversation, and when."""

    client: str
    since: int


class Subscription(NamedTuple):
    """A service conversation to which a client has subscribed, and when."""

    since: int
    conversation_id: str


class Stamp(NamedTuple):
    """Tells one state of a conversation's row from all others."""

    version: int
    updated_at: int
    last_message_at: int | None


@dataclass(frozen=True, slots=True)
class RowChange:
    """What becomes of a row of the class `_Conversation`; None leaves a column as it is.

    `members` and `muted` make the new list of the old one; they run inside the write and may raise Refused.
    """

    attributes: Callable[[Attributes], tuple[Attributes, str]] | None = None
    members: Callable[[Sequence[str]], Sequence[str]] | None = None
    muted: Callable[[Sequence[str]], Sequence[str]] | None = None
    unique: bool | None = None


@dataclass(frozen=True, slots=True)
class RowChanged:
    """What was written: who is a member now and who no longer, whose muting changed."""

    version: int
    updated_at: int
    joined: tuple[str, ...]
    left: tuple[str, ...]
    muted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """The role that was given to a client in a conversation, as an object of the id `id`."""

    id: str
    client: str
    role: Role


class InfoFilter(NamedTuple):
    """Which roles of an app are looked for; None: any."""

    conversation_id: str | None = None
    client: str | None = None
    role: Role | None = None
    info_id: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Clients for whom a wish could not be fulfilled, and why."""

    kind: Kind
    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """A conversation's unread state for one client, with the conversation's last message.

    `stream` is of a service conversation: the place of the client's own stream, as `last_seq` is that of all.
    """

    conversation_id: str
    kind: ConversationKind
    last_seq: int
    count: int
    mentioned: bool
    last_message: Message | None
    stream: tuple[str, int] | None = None

    @property
    def places(self) -> dict[str, int]:
        """The ends of what the state covers: of the conversation and of the stream, and of both together."""
        if self.stream is None:
            return {self.conversation_id: self.last_seq}
        stream, seq = self.stream
        return {self.conversation_id: self.last_seq, stream: seq, both(stream): self.last_seq + seq}

    @property
    def state(self) -> tuple[str, int]:
        """The last of the `places`: it grows with whatever changes the state, but for marks."""
        *_, last = self.places.items()
        return last


@dataclass(frozen=True, slots=True)
class Arrived:
    """Messages a client has received: those of the times `since` to `until`, or of them the one with this id."""

    since: int
    until: int
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A message whose sender asked to be told when it arrives and is read."""

    sender: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Receipts:
    """What one mark of a member gave rise to, at the time `at`."""

    given: tuple[Receipt, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Marks:
    """How far a member has received and read: times of messages, None where there is no mark."""

    client: str
    acked_to: int | None
    read_to: int | None


@dataclass(frozen=True, slots=True)
class Missed:
    """Messages of a conversation that a client has not acknowledged, oldest first; `more` exist after them.

    `places` are those of the messages: the conversation or its stream, and the seq there.
    """

    conversation_id: str
    kind: ConversationKind
    messages: tuple[Message, ...]
    more: bool
    places: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class HistoryRange:
    """Which messages of a conversation to read (reference 3.20).

    `start` is where reading begins and `end` where it stops, each a time with an optional message id; both are
    exclusive unless included. `newer` reads forward in time, otherwise backward.
    """

    limit: int
    newer: bool = False
    start: int | None = None
    start_id: str = ""
    start_included: bool = False
    end: int | None = None
    end_id: str = ""
    end_included: bool = False
    lctype: int | None = None


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """An object of the storage service. `key` is its integer in the store; `values` are all keys but id and times."""

    key: int
    id: str
    values: Mapping[str, Any]
    created_at: int
    updated_at: int


#: Milliseconds of a day.
DAY = 86_400_000


def day_of(time: int) -> int:
    """The number of the day (UTC) of a time."""
    return time // DAY


class Departure(Enum):
    """Why a client's session ended. Who logs out, is ended or is there at a stop leaves no will (reference 3.16).

    `REPLACED`: by a login on another device of its kind.
    """

    LOGGED_OUT = "logged out"
    LOST = "lost"
    EXPELLED = "expelled"
    REPLACED = "replaced"
    STOPPED = "stopped"


def stream_id(service_id: str, client: str) -> str:
    """What tells a client's own stream of a service conversation from all others (REST reference 2.5)."""
    return hashlib.md5(f"{service_id}:{client}".encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def both(stream: str) -> str:
    """Names a stream and the broadcasts together."""
    return f"{stream}+"


#: How long the place in a chat room of a client that vanished is kept for it (ms; reference 4.4).
REJOIN_WINDOW = 30 * 60 * 1000


class Seat(NamedTuple):
    """The place of a client's device in a chat room: it has one at a time."""

    app_key: int
    client: str
    device: str
    conversation_key: int
    conversation_id: str

    @property
    def owner(self) -> tuple[int, str, str]:
        return self[:3]


class Cutoffs(NamedTuple):
    """What an app no longer keeps: older messages, and conversations without a change since; None: all is kept."""

    messages: int | None
    conversations: int | None


class Expired(NamedTuple):
    """A conversation with something to be deleted: its messages before a time, or all of it.

    All of it, if `unused_since` then still is nothing newer, or its time as a temporary conversation is over.
    """

    key: int
    app_key: int
    kind: ConversationKind
    messages_before: int | None = None
    unused_since: int | None = None


class Swept(NamedTuple):
    """How much was deleted, or would be."""

    messages: int = 0
    conversations: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file, or one elsewhere that is known by its `url`.

    `key` is the end of the URL of an uploaded one: the part before the first dot or slash can't be guessed and names
    its bytes. `size` and `md5` (hex) are None until it has arrived whole; `detected` is the type that its bytes show.
    """

    app_key: int
    id: str
    name: str
    mime_type: str
    created_at: int
    key: str | None = None
    url: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    acl: dict[str, Any] | None = None
    size: int | None = None
    md5: str | None = None
    detected: str | None = None
    updated_at: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether there is something to be had: it is elsewhere, or has arrived."""
        return self.url is not None or self.size is not None


class Arrival(NamedTuple):
    """What is known of a file when all of it is there."""

    size: int
    md5: str
    detected: str | None


class FileQuery(NamedTuple):
    """Which files: those whose columns have one of these values; newest last unless `newest_first`."""

    among: dict[str, list[str]]
    newest_first: bool
    limit: int
    skip: int


class WebhookSecret(NamedTuple):
    """What signs deliveries (`whsec_…`), until it expires if it was replaced."""

    value: str
    created_at: int
    expires_at: int | None

    def __repr__(self) -> str:  # it must not reach a log through a repr
        return f"WebhookSecret(created_at={self.created_at}, expires_at={self.expires_at})"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that is told what happens in an app: events of these `types`, or of all if there are none.

    `secrets` begin with the newest. `failing_since` and `succeeded_at` are as they were kept last.
    """

    id: str
    app_key: int
    url: str
    types: tuple[str, ...]
    description: str
    enabled: bool
    secrets: tuple[WebhookSecret, ...]
    created_at: int
    updated_at: int
    disabled_at: int | None = None
    disabled_reason: str = ""
    failing_since: int | None = None
    succeeded_at: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver an event: `number` counts those of the delivery `id`. `error` is empty if it succeeded."""

    id: str
    type: str
    number: int
    at: int
    milliseconds: int
    status: int | None
    error: str


@dataclass(frozen=True, slots=True)
class KeptService:
    """The credentials of an app at a service that brings pushes, and since when they are these."""

    app_key: int
    service: str
    credentials: Mapping[str, Any] = field(repr=False)
    updated_at: int


@dataclass(frozen=True, slots=True)
class PushRow:
    """A push that an app has asked for over HTTP, by `request`, and what became of it.

    `begun`: its devices are being looked for; `planned`: all are found. `key` is given by the store.
    """

    key: int
    app_key: int
    id: str
    request: Mapping[str, Any]
    created_at: int
    push_at: int
    expires_at: int
    begun: bool = False
    planned: bool = False
    devices: int = 0
    successes: int = 0
    failures: int = 0
    invalid_tokens: int = 0


class Badges(NamedTuple):
    """Numbers on the icons of installations (keys): one more, or these."""

    incremented: Sequence[int] = ()
    set: Mapping[int, int] = {}


class PushFound(NamedTuple):
    """So many more devices for a push that was asked for (key), and whether these were the last."""

    key: int
    devices: int
    last: bool


class Pushed(NamedTuple):
    """How attempts to push have ended; those that are tried again are not here."""

    successes: int = 0
    failures: int = 0
    invalid_tokens: int = 0


def new_object_id() -> str:
    """The id of a conversation or a file: 24 lower-case hex digits."""
    return secrets.token_hex(12)


_MESSAGE_ID_TIME_BYTES = 6
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def new_message_id(timestamp: int) -> str:
    """A message id: 22 URL-safe characters that begin with the message's time.

    The time inside lets a message be found by (conversation, timestamp), so that no index on ids is paid per row.
    """
    raw = timestamp.to_bytes(_MESSAGE_ID_TIME_BYTES, "big") + os.urandom(10)
    return binascii.b2a_base64(raw)[:22].translate(_URL_SAFE).decode("ascii")  # `base64` takes three times as long


def message_id_time(message_id: str) -> int | None:
    """The time inside an id made by `new_message_id`; None if the text can't be one."""
    if len(message_id) != 22:
        return None
    try:
        raw = base64.b64decode(message_id + "==", altchars=b"-_", validate=True)
    except ValueError:
        return None
    return int.from_bytes(raw[:_MESSAGE_ID_TIME_BYTES], "big")


def seconds_left(expires_at: int, now: int) -> int:
    """The remaining lifetime of a temporary conversation, rounded up (reference 6.1)."""
    return max(0, -((now - expires_at) // 1000))


def iso_time(milliseconds: int) -> str:
    """`2026-01-31T08:00:00.000Z`, the form of every time in a conversation (reference 2.4)."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
