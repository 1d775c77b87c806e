"""The engine's outside world. Adapters keep these promises; the engine asks for nothing else.

Promises of every write: it is told only after it is on disk; `committed` runs on the event loop, synchronously and in
commit order, before anything that was committed later is told, so that caches and announcements follow the order on
disk; a refused unit changes nothing and does not disturb its neighbours.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from hongyan.engine.events import Event
from hongyan.engine.query import Query, TemporaryQuery
from hongyan.engine.values import (
    App,
    Arrived,
    Attributes,
    Conversation,
    ConversationDraft,
    ConversationRow,
    Cutoffs,
    Decision,
    Draft,
    Edit,
    Edited,
    Expired,
    HistoryRange,
    Marks,
    MembersChanged,
    Message,
    Missed,
    Notification,
    Receipts,
    StandingsChanged,
    StandingsNow,
    Stored,
    Swept,
    Unread,
)
from hongyan.errors import Refused


class AppStore(Protocol):
    """Apps; few, all kept in memory by the engine."""

    async def insert(self, app: App) -> App:
        """Keep a new app and return it with its key. Raises ValueError if the id is taken."""

    async def update(self, app: App, *, asks: bool = False) -> None:
        """Keep its settings; if it `asks`, nothing of it is swept before somebody has said yes."""

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


class TemporaryStore(Protocol):
    """Conversations of a fixed few for a while. No query of the others finds them."""

    def start(
        self,
        app_key: int,
        draft: ConversationDraft,
        committed: Callable[[ConversationRow, Conversation, bool], None],
    ) -> Awaitable[object]:
        """Find the one of exactly these members that has not ended, or insert one that lives `draft.lifetime`.

        `committed(row, conversation, existing)`.
        """

    async def find(self, app_key: int, caller: str, query: TemporaryQuery) -> list[ConversationRow]:
        """Those of the conversations asked for that have not ended and of which the caller is a member."""


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
        """Those of the conversations of which the client is a member, without temporary ones that have ended."""


class StandingStore(Protocol):
    """Roles, silence and blocks of clients in conversations."""

    def change(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        decide: Callable[[StandingsNow], Decision],
        committed: Callable[[StandingsChanged], None],
        initiator: str = "",
    ) -> Awaitable[object]:
        """Set what `decide` makes of what is set about these clients inside the write; it may raise Refused.

        Only real changes are told; those removed will be told, even if away now, that `initiator` did it.
        """


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

    def mark_received(
        self, conversation: Conversation, client: str, arrived: Arrived, done: Callable[[Receipts | Refused], None]
    ) -> None:
        """Note what a member has received; for others nothing happens. `done` as `committed` above.

        Receipts are given for messages that the member had not acknowledged before.
        """

    def mark_read(
        self,
        conversation: Conversation,
        client: str,
        upto: int | None,
        committed: Callable[[Unread, int, Receipts], None],
    ) -> Awaitable[object]:
        """Move the read mark forward to the last message not after `upto` (None: the last one).

        `committed(unread, at, receipts)`: everything committed before the time `at` has been told before. A receipt
        is given to each sender whose messages the mark passed, for the newest of them that asks for one.
        """

    async def marks(self, conversation: Conversation, besides: str) -> list[Marks]:
        """The marks of all members but `besides` that have any."""

    async def missed(
        self, app_key: int, client: str, conversations: int, messages: int, tracked: int, *, temporary: bool = True
    ) -> list[Missed]:
        """What a client has not acknowledged, in its most recently active conversations, at most `messages` of each.

        Of each conversation the last `tracked` messages are looked at. All that is answered has been told before.
        """

    async def unread(
        self, app_key: int, client: str, since: int | None, limit: int, *, temporary: bool = True
    ) -> tuple[list[Unread], int]:
        """Unread state of the latest conversations, and the time it stands for.

        Without `since`, those with unread messages; with it, those whose state changed after it. Everything
        committed before the returned time is in the answer, and everything in the answer has been told.
        """


class EditStore(Protocol):
    """Edits and recalls. Each gets a time later than every edit before it and than the message's own."""

    @property
    def newest(self) -> int:
        """No edit that is on disk has a later time."""

    def apply(
        self, edits: Sequence[tuple[Conversation, Edit]], by: str, committed: Callable[[Sequence[Edited]], None]
    ) -> Awaitable[object]:
        """Make all of these or none. Recalling what is recalled changes nothing.

        Raises Refused: INVALID_MESSAGING_TARGET if `by` is no member any more, MESSAGE_NOT_FOUND, also for an edit of
        what is recalled, MESSAGE_OWNERSHIP_REQUIRED, or CONVERSATION_API_QUOTA_EXCEEDED if the times run ahead of the
        clock.
        """

    def since(self, app_key: int, client: str, since: int) -> AsyncIterator[Sequence[tuple[str, Message]]]:
        """(conversation id, message) of the client's conversations edited after `since`, in the order of the edits.

        A message that is edited again meanwhile may be left out: that edit is told.
        """


class NotificationStore(Protocol):
    """That clients joined or left conversations; the store forgets it after some days."""

    async def page(
        self, app_key: int, client: str, after: int, limit: int, *, temporary: bool = True
    ) -> list[Notification]:
        """The first ones of later times than `after`, in order of time; `op` is `joined` or `left`.

        Not those of temporary conversations that have ended, and of the others only if `temporary`.
        """

    async def memberships(self, app_key: int, client: str, limit: int) -> list[tuple[int, int]]:
        """Some of the conversations of which the client is a member: (key, since when)."""


class SweepStore(Protocol):
    """Deleting what an app keeps no longer, in small steps between all other writes.

    Nothing of an app that asks (`asking`) is deleted, except ended temporary conversations.
    """

    async def look(self, after: int, cutoffs: Mapping[int, Cutoffs]) -> tuple[list[Expired], int | None]:
        """What has expired in the next conversations after a key, by app; and the key to go on after, if any."""

    async def ended(self, limit: int) -> list[Expired]:
        """Temporary conversations that have ended."""

    async def count(self, expired: Expired) -> Swept:
        """How much would be deleted."""

    def delete_messages(self, expired: Sequence[Expired]) -> Awaitable[tuple[int, list[Expired]]]:
        """A step: how many it has deleted, and what is left to do."""

    def delete_conversations(
        self, expired: Sequence[Expired], committed: Callable[[Sequence[tuple[int, str]]], None]
    ) -> Awaitable[Sequence[tuple[int, str]]]:
        """A step: delete those that have still expired; (app key, conversation id) of each, `committed` as ever.

        Whatever is written to one of them after that is refused. `clean` deletes what belonged to them.
        """

    def clean(self) -> Awaitable[bool]:
        """A step: delete some of what belonged to deleted conversations; whether there may be more."""

    def shrink(self) -> Awaitable[bool]:
        """A step: give room back to the file system; whether there is more."""

    async def asking(self) -> dict[int, str]:
        """The apps for which nobody has said yes yet, each with what the yes must name."""

    async def agree(self, app_key: int, asked: str) -> None:
        """Somebody has said yes; it holds unless there is another question by now."""

    async def wait(self, app_key: int, waiting: Swept) -> None:
        """Keep in mind what waits for a yes, for who looks into the database."""


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
    def standings(self) -> StandingStore: ...
    @property
    def sweep(self) -> SweepStore: ...
    @property
    def temporary(self) -> TemporaryStore: ...
    @property
    def tokens(self) -> TokenStore: ...
    @property
    def edits(self) -> EditStore: ...


class Bus(Protocol):
    """Carries events to every node. It may lose them: the store is the truth."""

    def publish(self, event: Event) -> None:
        """Tell local subscribers synchronously, in the order of the calls."""

    def subscribe(self, subscriber: Callable[[Event], None]) -> None: ...
