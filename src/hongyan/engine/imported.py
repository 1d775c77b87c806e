"""What an import brings in: rows of another server, with their ids and times as they were there.

Those of messages are tuples, as there are many. Times are milliseconds since the Unix epoch; a row whose times are 0
gets those of its coming in, and takes the place of no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_args


@dataclass(frozen=True, slots=True)
class ImportedConversation:
    """A row of `_Conversation`. `kept` are columns of which Hongyan makes no use, for whoever asks for them later."""

    id: str
    kind: int
    created_at: int
    updated_at: int
    creator: str = ""
    members: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()
    name: str | None = None
    attr: Mapping[str, Any] | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    unique_id: str | None = None
    last_message_at: int | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportedUser:
    """A row of `_User`. `password` is a hash that says how it was made; `session` a session token that goes on.

    `accounts` are those of other platforms by which it logs in.
    """

    id: str
    created_at: int
    updated_at: int
    values: Mapping[str, Any]
    password: str | None = None
    session: str | None = None
    accounts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportedInstallation:
    """A row of `_Installation`."""

    id: str
    created_at: int
    updated_at: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A row of `_File`: with a `key`, `size` and `md5` if its bytes are here, else with the `url` where they are."""

    id: str
    created_at: int
    updated_at: int
    name: str
    mime_type: str
    meta: Mapping[str, Any]
    acl: Mapping[str, Any] | None = None
    url: str | None = None
    key: str | None = None
    size: int | None = None
    md5: str | None = None
    detected: str | None = None


class ImportedRole(NamedTuple):
    """A row of `_ConversationMemberInfo`: the role that a client was given; `role` is the number of a `Role`."""

    conversation_id: str
    client: str
    role: int
    id: str


class ImportedSubscription(NamedTuple):
    """A client that subscribed to a service conversation, and when."""

    conversation_id: str
    client: str
    since: int


class ImportedSilence(NamedTuple):
    """A client that may not write in a conversation any more."""

    conversation_id: str
    client: str


class ImportedBlock(NamedTuple):
    """A client on the blacklist of a conversation."""

    conversation_id: str
    client: str


class ImportedRefusal(NamedTuple):
    """A conversation on the blacklist of a client."""

    conversation_id: str
    client: str


class ImportedMessage(NamedTuple):
    """A message with the id and the time it had; `content` is the text in UTF-8 unless `binary`."""

    id: str
    timestamp: int
    sender: str
    content: bytes
    binary: bool = False
    recalled: bool = False
    receipt: bool = False
    mention_all: bool = False
    mentions: tuple[str, ...] = ()
    patched_at: int | None = None
    acked_at: int | None = None
    read_at: int | None = None


class ImportedHistory(NamedTuple):
    """Messages of one conversation, ascending by (time, id) and each once.

    With a `client` they are what a service conversation is to this client alone. A `stream` says that nobody knows of
    whom it is: the id is then the stream's own.
    """

    conversation_id: str
    messages: list[ImportedMessage]
    client: str | None = None
    stream: bool = False


ImportedRow = (
    ImportedConversation
    | ImportedUser
    | ImportedInstallation
    | ImportedFile
    | ImportedRole
    | ImportedSubscription
    | ImportedSilence
    | ImportedBlock
    | ImportedRefusal
    | ImportedHistory
)
#: Their types by name.
ROW_TYPES: Mapping[str, type[ImportedRow]] = {row.__name__: row for row in get_args(ImportedRow)}


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of rows; of histories the messages are counted.

    `refused` are those that can't be there, by their place among the rows, each with a sentence.
    """

    new: int = 0
    changed: int = 0
    same: int = 0
    refused: tuple[tuple[int, str], ...] = ()
