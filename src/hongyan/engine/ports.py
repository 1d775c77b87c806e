"""The engine's outside world. Adapters keep these promises; the engine asks for nothing else.

Promises of every write: it is told only after it is on disk; `committed` runs on the event loop, synchronously and in
commit order, before anything that was committed later is told, so that caches and announcements follow the order on
disk; a refused unit changes nothing and does not disturb its neighbours.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from hongyan.engine.events import Event
from hongyan.engine.query import Query
from hongyan.engine.values import (
    App,
    Attributes,
    Conversation,
    ConversationDraft,
    ConversationRow,
    Draft,
    HistoryRange,
    MembersChanged,
    Message,
    Notification,
    Stored,
    Unread,
)
from hongyan.errors import Refused


class AppStore(Protocol):
    """Apps; few, all kept in memory by the engine."""

    async def insert(self, app: App) -> App:
        """Keep a new app and return it with its key. Raises ValueError if the id is taken."""

    async def update(self, app: App) -> None: ...

    async def all(self) -> list[App]: ...


class ConversationStore(Protocol):
    async def load(self, app_key: int, conversation_id: str) -> Conversation | None: ...

    def create(
        self,
        app_key: int,
        draft: ConversationDraft,
        committed: Callable[[ConversationRow, Conversation, bool], None],
    ) -> Awaitable[object]:
        """Insert, or find the live conversation with the same member set if the draft is unique.

        `committed(row, conversation, existing)`.
        """

    async def query(self, app_key: int, caller: str, query: Query) -> list[ConversationRow]:
        """Rows that match. Raises Refused(CONVERSATION_QUERY_FAILED) if the condition can't be answered."""

    def add_members(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        limit: int,
        committed: Callable[[MembersChanged], None],
        by: str | None = None,
        initiator: str = "",
    ) -> Awaitable[object]:
        """Add those who aren't members. Raises Refused(CONVERSATION_FULL) over `limit`, changing nothing.

        Raises Refused(CONVERSATION_MEMBERSHIP_REQUIRED) if `by` is no member any more. Each client that joined will
        be told, even if it is away now, that `initiator` did it.
        """

    def remove_members(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        committed: Callable[[MembersChanged], None],
        by: str | None = None,
        initiator: str = "",
    ) -> Awaitable[object]:
        """Remove those who are members. `by` and `initiator` as in `add_members`."""


class InfoStore(Protocol):
    """Attributes of conversations, and what members set for themselves."""

    def update(
        self,
        conversation: Conversation,
        by: str,
        change: Callable[[Attributes], tuple[Attributes, str]] | None,
        committed: Callable[[int, str], None],
    ) -> Awaitable[object]:
        """Replace the attributes by what `change` makes of them inside the write; it may raise Refused.

        `committed(update time, what `change` told besides)`; without a change, the time as it was and `{}`.
        Raises Refused(CONVERSATION_UPDATE_REJECTED) if `by` is no member any more.
        """

    def mute(
        self, conversation: Conversation, client: str, muted: bool, committed: Callable[[int], None]
    ) -> Awaitable[object]:
        """`committed(update time)`. Raises Refused(CONVERSATION_MEMBERSHIP_REQUIRED)."""

    async def member_of(self, app_key: int, client: str, conversation_ids: Sequence[str]) -> set[str]:
        """Those of the conversations of which the client is a member."""


class MessageStore(Protocol):
    def append(
        self, conversation: Conversation, sender: str, draft: Draft, done: Callable[[Stored | Refused], None]
    ) -> None:
        """Write one message; `done` as `committed` above.

        seq = last + 1 and timestamp = max(now, last + 1 ms) per conversation. If the membership changed since
        `conversation.version`, the sender's membership is checked again inside the write.
        """

    def after_appends(self, then: Callable[[], None]) -> None:
        """Call `then` when everything that was appended before has been told."""

    async def page(self, conversation: Conversation, wanted: HistoryRange) -> list[Message]:
        """Messages in ascending order of (timestamp, seq)."""

    def mark_read(
        self, conversation: Conversation, client: str, upto: int | None, committed: Callable[[Unread, int], None]
    ) -> Awaitable[object]:
        """Move the read mark forward to the last message not after `upto` (None: the last one).

        `committed(unread, at)`: everything committed before the time `at` has been told before.
        """

    async def unread(self, app_key: int, client: str, since: int | None, limit: int) -> tuple[list[Unread], int]:
        """Unread state of the latest conversations, and the time it stands for.

        Without `since`, those with unread messages; with it, those whose state changed after it. Everything
        committed before the returned time is in the answer, and everything in the answer has been told.
        """


class NotificationStore(Protocol):
    """That clients joined or left conversations; the store forgets it after some days."""

    async def page(self, app_key: int, client: str, after: int, limit: int) -> list[Notification]:
        """The first ones of later times than `after`, in order of time; `op` is `joined` or `left`."""

    async def memberships(self, app_key: int, client: str, limit: int) -> list[tuple[int, int]]:
        """Some of the conversations of which the client is a member: (key, since when)."""


class TokenStore(Protocol):
    """Session tokens that were voided before they expired."""

    async def revoke(self, token_id: str, expires_at: int) -> None: ...

    async def revoked(self) -> dict[str, int]:
        """Ids to be refused and when each expires, soonest first. The store forgets those that have expired."""


class Store(Protocol):
    @property
    def apps(self) -> AppStore: ...
    @property
    def conversations(self) -> ConversationStore: ...
    @property
    def info(self) -> InfoStore: ...
    @property
    def messages(self) -> MessageStore: ...
    @property
    def notifications(self) -> NotificationStore: ...
    @property
    def tokens(self) -> TokenStore: ...


class Bus(Protocol):
    """Carries events to every node. It may lose them: the store is the truth."""

    def publish(self, event: Event) -> None:
        """Tell local subscribers synchronously, in the order of the calls."""

    def subscribe(self, subscriber: Callable[[Event], None]) -> None: ...
