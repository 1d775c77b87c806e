"""What an app's own engine is asked before something happens, and what it may want instead.

The questions are LeanCloud's hooks (REST reference 5.2) as the engine speaks of them; what they are called and how they
are put stands in the room `hooks`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hongyan.engine.values import Conversation, Draft, Edit


@dataclass(frozen=True, slots=True)
class Sending:
    """A message that arrived at `at`, for these `receivers`; none are named where there may be any number."""

    conversation: Conversation
    sender: str
    draft: Draft
    receivers: Sequence[str]
    at: int


@dataclass(frozen=True, slots=True)
class Editing:
    """An edit or a recall."""

    conversation: Conversation
    sender: str
    edit: Edit
    receivers: Sequence[str]
    at: int
    source: str


@dataclass(frozen=True, slots=True)
class Starting:
    """A client wants a conversation of these members, with these `attributes` as it has said them."""

    by: str
    members: Sequence[str]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Adding:
    by: str
    members: Sequence[str]
    conversation_id: str


@dataclass(frozen=True, slots=True)
class Removing:
    by: str
    members: Sequence[str]
    conversation_id: str


@dataclass(frozen=True, slots=True)
class Updating:
    """`changes` as the client has said them."""

    by: str
    conversation_id: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Muting:
    by: str
    conversation_id: str
    muted: bool


@dataclass(frozen=True, slots=True)
class Signing:
    """Whether this user, as REST answers it, may log in to the gateway."""

    user: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReceiversOffline:
    """A message was sent, and these clients are not online. `mentions` are those of them that are named in it."""

    conversation: Conversation
    sender: str
    clients: Sequence[str]
    content: str | bytes
    at: int
    mention_all: bool = False
    mentions: Sequence[str] = ()


Question = Sending | Editing | Starting | Adding | Removing | Updating | Muting | Signing | ReceiversOffline


@dataclass(frozen=True, slots=True)
class Offline:
    """What becomes of a push: none if `skip`; to these `clients`; with this content (JSON) if there is any.

    `force`: also to who has muted the conversation.
    """

    skip: bool = False
    clients: Sequence[str] | None = None
    push_message: str = ""
    force: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What an app's engine wants; of what is None it wants nothing else.

    `code` and `detail` are its own words for who asked.
    """

    refused: bool = False
    code: int | None = None
    detail: str = ""
    content: str | bytes | None = None
    receivers: Sequence[str] | None = None
    changes: Mapping[str, Any] | None = None
    muted: bool | None = None
    offline: Offline = Offline()


NOTHING = Answer()


class HookFailed(Exception):
    """No answer that can be used.

    `answered`: the engine did answer, so that another try is of no use; `away`: it is out of reach for all.
    """

    def __init__(self, reason: str, *, answered: bool, away: bool = False) -> None:
        super().__init__(reason)
        self.answered = answered
        self.away = away
