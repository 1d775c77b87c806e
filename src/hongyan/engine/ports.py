"""The engine's outside world. Adapters keep these promises; the engine asks for nothing else.

Promises of every write: it is told only after it is on disk; `committed` runs on the event loop, synchronously and in
commit order, before anything that was committed later is told, so that caches and announcements follow the order on
disk; a refused unit changes nothing and does not disturb its neighbours.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Container, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from hongyan.engine.conditions import Condition
from hongyan.engine.events import Event
from hongyan.engine.imported import Imported, ImportedRow
from hongyan.engine.query import Query, TemporaryQuery
from hongyan.engine.questions import Answer, Question
from hongyan.engine.values import (
    App,
    Archived,
    Arrival,
    Arrived,
    Attempt,
    Attributes,
    Badges,
    Broadcast,
    Conversation,
    ConversationDraft,
    ConversationRow,
    Cutoffs,
    Decision,
    Draft,
    Edit,
    Edited,
    Expired,
    File,
    FileQuery,
    HistoryRange,
    InfoFilter,
    KeptService,
    Marks,
    MemberInfo,
    MembersChanged,
    Message,
    Missed,
    Notification,
    ObjectRow,
    Pushed,
    PushFound,
    PushRow,
    Receipts,
    Replacement,
    Role,
    RowChange,
    RowChanged,
    Seat,
    Stamp,
    StandingsChanged,
    StandingsNow,
    Stored,
    Subscriber,
    Subscription,
    Swept,
    Unread,
    Webhook,
)
from hongyan.engine.work import Following, Job, NewJob, Postponed
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
        following: Following[tuple[ConversationRow, Conversation, bool]] | None = None,
    ) -> Awaitable[object]:
        """Insert, or find the live conversation with the same member set if the draft is unique.

        Whom such a conversation blocks, or who refuses it, is not looked for among its members. Raises
        Refused(BLOCKED_BY_CONV) if that is the creator. `committed(row, conversation, existing)`.
        """

    def erase(
        self, conversation: Conversation, committed: Callable[[], None], stamp: Stamp | None = None
    ) -> Awaitable[object]:
        """Nobody finds it any more; all that belongs to it is deleted in small steps afterwards.

        Raises Refused(CONDITION_NOT_MET) if it has changed since the `stamp`.
        """

    async def query(self, app_key: int, caller: str | None, query: Query) -> list[ConversationRow]:
        """Rows that match. Raises Refused(CONVERSATION_QUERY_FAILED) if the condition can't be answered.

        The application, None, sees who has muted each.
        """

    async def count(self, app_key: int, caller: str | None, condition: Condition) -> int:
        """How many match."""

    def add_members(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        limit: int,
        committed: Callable[[MembersChanged], None],
        by: str | None = None,
        initiator: str = "",
        check: Callable[[StandingsNow], object] | None = None,
        partial: bool = False,
        following: Following[MembersChanged] | None = None,
    ) -> Awaitable[object]:
        """Add those who aren't members. Raises Refused(CONVERSATION_FULL) over `limit`, changing nothing.

        Raises Refused(CONVERSATION_MEMBERSHIP_REQUIRED) if `by` is no member any more, and what `check` raises when it
        is asked inside the write, of `by` and the creator. Each client that joined will be told, even if it is away
        now, that `initiator` did it.

        Those who are blocked, or refuse to be added by others than themselves, are left out if `partial`; otherwise
        one of them is Refused(BLOCKED_BY_CONV).
        """

    def remove_members(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        committed: Callable[[MembersChanged], None],
        by: str | None = None,
        initiator: str = "",
        choose: Callable[[StandingsNow], Sequence[str]] | None = None,
        following: Following[MembersChanged] | None = None,
    ) -> Awaitable[object]:
        """Remove those who are members, and what roles they had. `by` and `initiator` as in `add_members`.

        `choose` tells inside the write which of the clients are to be removed; it may raise Refused. It is asked of
        them, of `by` and the creator.
        """


class TemporaryStore(Protocol):
    """Conversations of a fixed few for a while. No query of the others finds them."""

    def start(
        self,
        app_key: int,
        draft: ConversationDraft,
        committed: Callable[[ConversationRow, Conversation, bool], None],
        following: Following[tuple[ConversationRow, Conversation, bool]] | None = None,
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
        by: str | None,
        change: Callable[[Attributes], tuple[Attributes, str]] | None,
        committed: Callable[[int, str], None],
        following: Following[tuple[int, str]] | None = None,
    ) -> Awaitable[object]:
        """Replace the attributes by what `change` makes of them inside the write; it may raise Refused.

        `committed(update time, what `change` told besides)`; without a change, the time as it was and `{}`.
        Raises Refused(CONVERSATION_UPDATE_REJECTED) if `by`, unless it is None, is no member any more.
        """

    def mute(
        self, conversation: Conversation, client: str, muted: bool, committed: Callable[[int, bool], None]
    ) -> Awaitable[object]:
        """`committed(update time, whether that is new)`. Raises Refused(CONVERSATION_MEMBERSHIP_REQUIRED)."""

    def mute_members(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        muted: bool,
        committed: Callable[[int, tuple[str, ...]], None],
    ) -> Awaitable[object]:
        """`committed(update time, those of whom that is new)`; who is no member is passed over."""

    async def member_of(self, app_key: int, client: str, conversation_ids: Sequence[str]) -> set[str]:
        """Those of the conversations of which the client is a member, without temporary ones that have ended."""


class RowStore(Protocol):
    """Conversations as rows of a table."""

    async def meets(self, conversation: Conversation, caller: str | None, condition: Condition) -> Stamp | None:
        """The state in which a conversation meets the condition; None if it does not."""

    def write(
        self,
        conversation: Conversation,
        change: RowChange,
        members_max: int,
        committed: Callable[[RowChanged], None],
        stamp: Stamp | None = None,
        following: Following[RowChanged] | None = None,
    ) -> Awaitable[object]:
        """Change the row and tell nobody. Of more members the first `members_max` count (REST reference 2.1).

        Raises Refused: BLOCKED_BY_CONV for new members who are blocked or refuse to be added, and
        CONDITION_NOT_MET if the row has changed since the `stamp`.
        """


class StandingStore(Protocol):
    """Roles, silence and blocks of clients in conversations."""

    def change(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        decide: Callable[[StandingsNow], Decision],
        committed: Callable[[StandingsChanged], None],
        initiator: str = "",
        following: Following[StandingsChanged] | None = None,
    ) -> Awaitable[object]:
        """Set what `decide` makes of what is set about these clients inside the write; it may raise Refused.

        Only real changes are told; those removed will be told, even if away now, that `initiator` did it. They lose
        their roles besides.
        """


class StandingLists(Protocol):
    """Who has what in a conversation, in order of client ids, page by page."""

    async def silenced(
        self, conversation: Conversation, now: int, limit: int, skip: int, *, for_ever: bool
    ) -> list[str]:
        """Who is silenced at this time, or only who is for ever."""

    async def roles(
        self, conversation: Conversation, limit: int, skip: int, role: Role | None, client: str | None
    ) -> list[MemberInfo]:
        """The roles that were given; only this role, only to this client."""

    async def roles_of_app(
        self, app_key: int, wanted: InfoFilter, limit: int, skip: int
    ) -> list[tuple[str, MemberInfo]]:
        """The roles that were given in all conversations of an app, with the ids of these."""


class BlacklistStore(Protocol):
    """Who is blocked where, and which conversations clients refuse: a set for each client."""

    async def blocked(self, conversation: Conversation, start: int, limit: int) -> list[str]:
        """The blocked clients from the place `start` on, in an order of their own."""

    def refuse(
        self,
        app_key: int,
        client: str,
        conversations: Sequence[Conversation],
        limit: int,
        committed: Callable[[], None],
    ) -> Awaitable[object]:
        """Add to what the client refuses. Raises Refused(BLACKLIST_FULL) over `limit`, changing nothing."""

    def accept(
        self, app_key: int, client: str, conversations: Sequence[Conversation], committed: Callable[[], None]
    ) -> Awaitable[object]:
        """Take away from what the client refuses."""

    async def refused(self, app_key: int, client: str, start: int, limit: int) -> list[str]:
        """The ids of the conversations that the client refuses from the place `start` on, in an order of their own."""

    async def which_refused(self, app_key: int, client: str, conversation_ids: Sequence[str]) -> set[str]:
        """Those of the conversations that the client refuses."""


class SeatStore(Protocol):
    """Who is in which chat room: one place for each device of a client."""

    def take(
        self, seat: Seat, committed: Callable[[int], None], following: Following[int] | None = None
    ) -> Awaitable[object]:
        """Put a device into a chat room, in place of the one it was in; `committed(update time of the room)`.

        Raises Refused: CONVERSATION_NOT_FOUND, or BLOCKED_BY_CONV.
        """

    def leave(
        self, seat: Seat, committed: Callable[[int], None], following: Following[int] | None = None
    ) -> Awaitable[object]:
        """Forget a place, if there is one; `committed` as above."""

    def drop(self, seat: Seat) -> None:
        """Forget a place, some time soon."""

    def lose(self, seat: Seat, at: int) -> None:
        """Note since when a place is nobody's, some time soon; the store forgets it after `REJOIN_WINDOW`."""

    def regain(self, seat: Seat) -> None:
        """Note that a lost place is taken again, some time soon."""

    async def lost(self, limit: int) -> list[tuple[Seat, int]]:
        """The places lost last and since when, in that order. Those that were taken are lost now: nobody is here."""


class MessageStore(Protocol):
    def append(
        self,
        conversation: Conversation,
        sender: str,
        draft: Draft,
        done: Callable[[Stored | Refused], None],
        *,
        checked: bool = True,
    ) -> None:
        """Write one message; `done` as `committed` above.

        seq = last + 1 and timestamp = max(now, last + 1 ms) per conversation. If the membership changed since
        `conversation.version`, the sender's membership is checked again inside the write, unless not `checked`.
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

    async def unread_in(self, conversation: Conversation, client: str) -> int:
        """How many messages of this conversation the client has not read; none for who has nothing to do with it."""

    async def unread(
        self,
        app_key: int,
        client: str,
        since: int | None,
        limit: int,
        *,
        services: bool = False,
        temporary: bool = True,
    ) -> tuple[list[Unread], int]:
        """Unread state of the latest conversations, and the time it stands for; `services` where there may be some.

        Without `since`, those with unread messages; with it, those whose state changed after it. Everything
        committed before the returned time is in the answer, and everything in the answer has been told.
        """


class EditStore(Protocol):
    """Edits and recalls. Each gets a time later than every edit before it and than the message's own."""

    @property
    def newest(self) -> int:
        """No edit that is on disk has a later time."""

    def apply(
        self,
        edits: Sequence[tuple[Conversation, Edit]],
        by: str,
        committed: Callable[[Sequence[Edited]], None],
        *,
        checked: bool = True,
        following: Following[Sequence[Edited]] | None = None,
    ) -> Awaitable[object]:
        """Make all of these or none. Recalling what is recalled changes nothing.

        Not `checked`: of the application, in the name of `by`, who must have sent the message or it is not found.

        Raises Refused: INVALID_MESSAGING_TARGET if `by` is no member any more, MESSAGE_NOT_FOUND, also for an edit of
        what is recalled, MESSAGE_OWNERSHIP_REQUIRED, or CONVERSATION_API_QUOTA_EXCEEDED if the times run ahead of the
        clock.
        """

    def since(self, app_key: int, client: str, since: int) -> AsyncIterator[Sequence[tuple[str, Message]]]:
        """(conversation id, message) of the client's conversations edited after `since`, in the order of the edits.

        A message that is edited again meanwhile may be left out: that edit is told.
        """

    def delete(self, conversation: Conversation, sender: str, message_id: str, timestamp: int) -> Awaitable[object]:
        """Take a message out of the history; nobody is told. Raises Refused(MESSAGE_NOT_FOUND)."""

    def rewrite(
        self, conversation: Conversation, sender: str, message_id: str, timestamp: int, content: str | bytes
    ) -> Awaitable[object]:
        """Put other content into the history, which is no edit: nobody is told. Raises as `delete`."""


class ArchiveStore(Protocol):
    """Messages of many conversations in the order of (timestamp, id), in which they are walked: see `HistoryRange`.

    Raises Refused(CONVERSATION_LOG_FAILED) if it takes too long.
    """

    async def of_app(self, app_key: int, wanted: HistoryRange) -> list[Archived]:
        """Of all conversations. Of messages with one id and time all or none, so the limit is kept nearly."""

    async def of_author(self, app_key: int, client: str, wanted: HistoryRange) -> list[Archived]:
        """What a client has sent, without service conversations."""

    async def stream_of(self, app_key: int, own_id: str, client: str | None = None) -> tuple[str, str] | None:
        """The id of the service conversation, and the client, of which this is the id of the stream.

        Of subscribers that have no stream yet, only this client is looked at if one is given.
        """


class BroadcastStore(Protocol):
    """Broadcasts to all clients of an app."""

    async def valid(self) -> tuple[list[Broadcast], int]:
        """All that are to be told still, in the order of their keys; and the last key that was ever given."""

    async def made_since(self, since: int) -> dict[int, int]:
        """How many each app (key) has made since this time."""

    def insert(
        self,
        service: Conversation,
        sender: str,
        draft: Draft,
        valid_till: int,
        committed: Callable[[int, Stored], None],
        following: Following[tuple[int, Stored]] | None = None,
    ) -> Awaitable[object]:
        """`committed(key, place)`. Raises Refused: INVALID_MESSAGING_TARGET, MESSAGE_SENT_QUOTA_EXCEEDED."""

    def replace(
        self, key: int, content: str | bytes, patched_at: int, committed: Callable[[], None]
    ) -> Awaitable[object]:
        """Raises Refused(MESSAGE_NOT_FOUND)."""

    def delete(
        self, app_key: int, message_id: str, timestamp: int, committed: Callable[[int], None]
    ) -> Awaitable[object]:
        """Also one that is not told any more; `committed(key)`. Raises Refused(MESSAGE_NOT_FOUND)."""


class KickStore(Protocol):
    """When clients were expelled. The store forgets what has expired."""

    def kick(
        self, app_key: int, client: str, at: int, expires_at: int, committed: Callable[[], None]
    ) -> Awaitable[object]: ...

    async def all(self) -> list[tuple[int, str, int, int]]:
        """(app key, client, when, when that expires), in the order in which they expire."""


class VisitorStore(Protocol):
    """Clients that have logged in. Visits are (app key, client, day since the epoch, key of a broadcast)."""

    async def saw(self, visits: Sequence[tuple[int, str, int, int]]) -> None:
        """Note the days; the broadcasts are those that clients seen for the first time count as told."""

    async def told(self, visits: Sequence[tuple[int, str, int, int]]) -> None:
        """Note the days, and that all broadcasts up to these were told."""

    async def told_until(self, app_key: int, client: str) -> int | None:
        """The last broadcast that the client was told; None: it was never here before."""

    async def count(self, app_key: int, day: int) -> int:
        """How many clients were seen last on this day."""


class ServiceStore(Protocol):
    """Service conversations: subscribers, streams of single clients, and what a client has of both together."""

    async def keys(self) -> list[tuple[int, int]]:
        """(app key, conversation key) of all."""

    def subscribe(
        self,
        conversation: Conversation,
        client: str,
        by: str,
        committed: Callable[[MembersChanged], None],
        following: Following[MembersChanged] | None = None,
    ) -> Awaitable[object]:
        """Raises Refused(BLOCKED_BY_CONV), also for a client that refused the conversation unless it is `by`."""

    def unsubscribe(
        self,
        conversation: Conversation,
        client: str,
        by: str,
        committed: Callable[[MembersChanged], None],
        following: Following[MembersChanged] | None = None,
    ) -> Awaitable[object]: ...

    async def subscriptions(self, app_key: int, client: str, among: Set[int]) -> list[int]:
        """Those of the conversations (keys) to which the client has subscribed."""

    async def subscribers(self, conversation: Conversation, after: str, limit: int) -> list[Subscriber]:
        """The next ones after a client id, in order of client ids."""

    async def is_subscribed(self, conversation: Conversation, client: str) -> bool: ...

    async def subscribed(
        self, app_key: int, client: str, after: Subscription | None, limit: int, *, newest_first: bool
    ) -> list[Subscription]:
        """What the client has subscribed to, the next ones after one of them, in order of time."""

    async def count(self, conversation: Conversation) -> int:
        """Raises Refused(CONVERSATION_NOT_FOUND) if it was deleted meanwhile."""

    async def stream(self, service: Conversation, client: str) -> Conversation:
        """The client's stream, made if there is none. Raises Refused(INVALID_MESSAGING_TARGET) if it was erased."""

    async def streams(self, service: Conversation, clients: Sequence[str]) -> list[Conversation]:
        """The streams that there are, in the order of the clients."""

    def send(
        self,
        streams: Sequence[Conversation],
        sender: str,
        draft: Draft,
        committed: Callable[[Sequence[Stored]], None],
    ) -> Awaitable[Sequence[Stored]]:
        """Write one message to all of these streams or to none, with one id and one time.

        Raises Refused(MESSAGE_SENT_QUOTA_EXCEEDED) if one of them is too far ahead of the clock.
        """

    async def page(self, service: Conversation, client: str, wanted: HistoryRange) -> list[Message]:
        """The client's stream and the broadcasts, in ascending order of (timestamp, id)."""

    async def delete(self, service: Conversation, client: str, sender: str, message_id: str, timestamp: int) -> None:
        """Take a message out of a client's history. Raises Refused(MESSAGE_NOT_FOUND)."""

    def mark_read(
        self,
        service: Conversation,
        client: str,
        upto: int | None,
        committed: Callable[[Unread, int], None],
        stream: Conversation | None,
    ) -> Awaitable[object]:
        """As `MessageStore.mark_read`, for subscription and stream; `stream` if it is known already."""


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

    def delete_broadcasts(self, app_key: int, before: int) -> Awaitable[int]:
        """Delete broadcasts to all clients that were made before this time and are told no more; how many that were."""

    def shrink(self) -> Awaitable[bool]:
        """A step: give room back to the file system; whether there is more."""

    async def asking(self) -> dict[int, str]:
        """The apps for which nobody has said yes yet, each with what the yes must name."""

    async def agree(self, app_key: int, asked: str) -> None:
        """Somebody has said yes; it holds unless there is another question by now."""

    async def wait(self, app_key: int, waiting: Swept) -> None:
        """Keep in mind what waits for a yes, for who looks into the database."""


class ImportStore(Protocol):
    """Rows of another server."""

    @property
    def held(self) -> float:
        """For how long (s) the last step held the writer."""

    def write(
        self,
        app_key: int,
        rows: Sequence[ImportedRow],
        committed: Callable[[Sequence[str], Sequence[int]], None],
        *,
        dry: bool = False,
    ) -> Awaitable[Imported]:
        """A step of bulk work: write rows of one type.

        `committed` gets the ids of conversations that have changed but for their messages, and the keys of new service
        conversations. `dry`: nothing is written.
        """


class TokenStore(Protocol):
    """Session tokens that were voided before they expired."""

    async def revoke(self, token_id: str, expires_at: int) -> None: ...

    async def revoked(self) -> dict[str, int]:
        """Ids to be refused and when each expires, soonest first. The store forgets those that have expired."""


class SignatureStore(Protocol):
    """Signatures that may not be used again. The store forgets those that have expired."""

    async def use(self, digest: bytes, expires_at: int) -> bool:
        """Note that a signature was used; false if it was before."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A conversation as live queries look at it: the row without anybody's own settings, and who has muted it."""

    row: ConversationRow
    muted_by: frozenset[str]


class LiveQueryStore(Protocol):
    """Reads for live queries. Temporary conversations, and streams of service conversations, are none of theirs.

    All raise Refused(CONVERSATION_QUERY_FAILED) if they take too long.
    """

    def prepare(self, app_key: int, caller: str, condition: Condition) -> Any:
        """A condition in the form in which `matching` and `matches` take it."""

    async def matching(self, app_key: int, member: str | None, prepared: Any, limit: int) -> list[int]:
        """The keys of some of the conversations that match, if `member` is one of their members."""

    async def look(self, app_key: int, conversation: int, among: Sequence[str]) -> Seen | None:
        """Where there may be any number of members, only those of these clients are looked for."""

    async def matches(self, conversation: int, updated_at: int | None, prepared: Sequence[Any]) -> list[bool] | None:
        """Which of the conditions a conversation meets; None if it was changed since `updated_at`, if that is given."""


class ObjectStore(Protocol):
    """The objects of one class of the storage service.

    A write raises Refused if a value is taken that only one object of an app may have.
    """

    async def get(self, app_key: int, object_id: str) -> ObjectRow | None: ...

    async def by(self, app_key: int, key: str, value: str) -> ObjectRow | None:
        """The object with this value of a key that is looked up; of several the one that changed last."""

    async def find(self, app_key: int, query: Query) -> list[ObjectRow]:
        """Raises Refused(INVALID_QUERY) if the condition can't be answered."""

    async def count(self, app_key: int, condition: Condition) -> int:
        """Raises Refused(INVALID_QUERY) if the condition can't be answered."""

    async def insert(self, app_key: int, object_id: str, values: Mapping[str, Any]) -> ObjectRow: ...

    async def update(
        self,
        app_key: int,
        object_id: str,
        change: Callable[[dict[str, Any]], Mapping[str, Any]],
        condition: Condition | None = None,
    ) -> ObjectRow:
        """Change the values, inside the write; `change` may raise Refused.

        Raises Refused: OBJECT_NOT_FOUND, CONDITION_NOT_MET.
        """

    async def delete(self, app_key: int, object_id: str) -> bool:
        """Whether there was one."""

    async def types(self, app_key: int) -> Mapping[str, str]:
        """What JSON types custom keys have, from some of the objects; of a typed value its `__type`."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """By what a user comes in: a password's hash, accounts elsewhere, and the digest of a session token.

    Of `identities` (provider: uid), None takes an account away.
    """

    password: str | None = None
    identities: Mapping[str, str | None] = field(default_factory=dict)
    digest: bytes | None = None


class UserStore(ObjectStore, Protocol):
    async def sign_up(
        self, app_key: int, object_id: str, values: Mapping[str, Any], credentials: Credentials
    ) -> ObjectRow:
        """`insert`, with a first session if there is a digest. Raises Refused(ACCOUNT_TAKEN)."""

    async def change(
        self,
        app_key: int,
        object_id: str,
        change: Callable[[dict[str, Any]], Mapping[str, Any]],
        credentials: Credentials,
        condition: Condition | None = None,
    ) -> ObjectRow:
        """`update`; a new password ends all sessions but that of the digest. Raises Refused(ACCOUNT_TAKEN)."""

    async def password(self, user_key: int) -> str | None:
        """The hash of the password, if there is one."""

    async def log_in(
        self, user_key: int, digest: bytes, seen: str | None, password: str | None, *, alone: bool = False
    ) -> None:
        """Begin a session, with a new hash of the password if one is given; all others end if it is to be `alone`.

        Raises Refused(PASSWORD_WRONG) if the hash is not the one that was `seen` any more.
        """

    async def of_session(self, app_key: int, digest: bytes) -> ObjectRow | None: ...

    async def of_identity(self, app_key: int, provider: str, uid: str) -> ObjectRow | None: ...


class JobStore(Protocol):
    """Work that follows from writes. A write that is given `following` keeps it in its own transaction."""

    def on_new(self, tell: Callable[[Set[str]], None]) -> None:
        """Call `tell(lanes)` after each commit with new jobs."""

    def add(self, jobs: Sequence[NewJob]) -> Awaitable[object]:
        """Keep jobs that follow from nothing written."""

    async def lanes(self) -> list[str]:
        """The lanes in which jobs wait."""

    async def next(self, lane: str, limit: int) -> list[Job]:
        """The first of a lane, in the order in which they are due, due or not."""

    async def settle(
        self, done: Sequence[int], postponed: Sequence[Postponed] = (), new: Sequence[NewJob] = ()
    ) -> None:
        """Forget what is done, note what has failed, keep what follows: all in one write."""

    async def dead(self, app_key: int, after: int, limit: int, lane: str | None = None) -> list[Job]:
        """Those that are tried no more, the next ones after a key; only of this lane."""

    async def revive(self, app_key: int, ids: Sequence[str] | None, limit: int, lane: str | None = None) -> int:
        """Let dead ones be tried again, these or the oldest; how many there were. Only of this lane."""

    async def hasten(self, lane: str) -> None:
        """Let those that wait in a lane be due now."""

    async def drop(self, lane: str) -> None:
        """Forget those that wait in a lane, in small steps."""

    async def bury(self, lane: str, reason: str) -> None:
        """Keep those that wait in a lane as dead, in small steps; not those that come meanwhile."""

    async def waiting(self, lane: str, after: tuple[int, int], limit: int) -> list[Job]:
        """Those that wait, in the order of (when due, key), after one of them."""

    async def counts(self, lanes: Sequence[str], most: int) -> dict[str, tuple[int, int]]:
        """How many wait in each of these lanes, and how many are dead; `most` stands for it and more."""


class WebhookStore(Protocol):
    """Webhooks; few, all kept in memory by the engine."""

    async def all(self) -> list[Webhook]:
        """The oldest first."""

    async def insert(self, webhook: Webhook) -> None: ...

    async def update(self, webhook: Webhook) -> None:
        """Keep all of it but since when it fails and when it succeeded last."""

    async def note(self, webhook_id: str, failing_since: int | None, succeeded_at: int | None) -> None:
        """Keep since when it fails and when it succeeded last."""

    async def delete(self, webhook_id: str) -> None: ...


class Courier(Protocol):
    """Carries deliveries to webhooks."""

    async def test(self, webhook: Webhook) -> Attempt:
        """Deliver an event that nothing has caused, once."""


class InstallationStore(ObjectStore, Protocol):
    """Devices. They listen to channels, among which are the ids of their clients."""

    async def listening(
        self, app_key: int, clients: Sequence[str], since: int, limit: int
    ) -> dict[str, list[ObjectRow]]:
        """The valid devices of each of these clients that were changed since; of each at most so many, the newest."""

    async def pushable(
        self,
        app_key: int,
        condition: Condition,
        listens_to: Sequence[str] | None,
        since: int,
        after: int,
        limit: int,
    ) -> tuple[list[ObjectRow], int | None]:
        """Some of the valid devices that were changed since and meet the condition, and listen to one of the channels.

        Those after a key, in that order; and after which key to go on, if at all. There may be none before that.
        Raises Refused(INVALID_QUERY) if it takes too long.
        """

    async def addressed(self, app_key: int, addresses: Sequence[str]) -> list[ObjectRow]:
        """Those with one of these as `deviceToken` or `installationId`."""

    async def void(self, app_key: int, object_id: str, token: str) -> None:
        """The device is not valid any more, if this is still one of its addresses."""


class PushStore(Protocol):
    async def services(self) -> list[KeptService]:
        """Those of all apps."""

    async def keep_service(self, app: App, kept: KeptService) -> None:
        """In place of what the app had for this service."""

    async def drop_service(self, app_key: int, service: str) -> None: ...

    async def is_said(self, conversation: int, timestamp: int, seq: int) -> bool:
        """Whether a message is there, neither recalled nor deleted."""

    async def muting(self, conversation: int, clients: Sequence[str]) -> set[str]:
        """Those of the clients that have muted the conversation."""

    async def unheard(self, conversation: int, seq: int, clients: Sequence[str]) -> set[str]:
        """Those of the clients that are members and have neither acknowledged this message nor read up to it."""

    async def acknowledging(self, app_key: int, clients: Sequence[str]) -> set[str]:
        """Those of the clients that have ever acknowledged any message."""

    async def end_plan(
        self,
        job: int,
        badges: Badges,
        new: Callable[[Mapping[int, int]], Sequence[NewJob]],
        found: PushFound | None = None,
    ) -> None:
        """Forget the job (key), count up badges and what was `found`, and keep the jobs that are `new`: in one write.

        `new(numbers)` gets the badges that were incremented, by installation (key), in the writer's thread. Nothing is
        done if the job is not there any more.
        """

    async def insert(
        self, asked: PushRow, req_id: str | None, same_since: int, waiting_max: int, job: NewJob
    ) -> tuple[str, int]:
        """Keep what was asked for, with its job; its id and when it was made.

        Nothing is kept if there is one with the same `req_id` since then, whose id it answers. Raises
        Refused(INVALID_VALUE) if too many wait for their time.
        """

    async def begin(self, app_key: int, push_id: str) -> PushRow | None:
        """From now on it can't be cancelled any more; None if it was."""

    async def count(self, app_key: int, push_id: str, pushed: Pushed) -> None:
        """Count up how it ended for some devices."""

    async def get(self, app_key: int, push_id: str) -> PushRow | None: ...

    async def page(self, app_key: int, limit: int, skip: int, *, waiting: bool = False) -> list[PushRow]:
        """The newest first; or those that are `waiting` for their time, in its order."""

    async def cancel(self, app_key: int, push_id: str) -> bool:
        """Forget one that waits for its time; whether there was one."""


class WordStore(Protocol):
    """The word list of each app that has one."""

    async def replace(self, app_key: int, words: Sequence[str], at: int) -> None:
        """Keep these words instead, in their order; none: the app has no list."""

    async def of(self, app_key: int) -> list[str]: ...

    async def all(self) -> Mapping[int, list[str]]: ...


class FileStore(Protocol):
    """What is known of files. Their bytes are in `Blobs`."""

    async def insert(self, file: File) -> None: ...

    async def get(self, app_key: int, file_id: str) -> File | None: ...

    async def by_key(self, key: str) -> File | None: ...

    async def finish(self, file: File, arrival: Arrival, at: int) -> File:
        """Note that it has arrived. Raises Refused: FILE_NOT_FOUND, or FILE_EXISTS if it had before."""

    async def delete(self, file: File) -> None: ...

    async def find(self, app_key: int, query: FileQuery) -> list[File]:
        """Those that have arrived or are elsewhere, in order of (creation time, id)."""

    async def count(self, app_key: int, query: FileQuery) -> int: ...

    async def unfinished(self, before: int, limit: int) -> list[File]:
        """Some of those that were begun before this time and have not arrived."""


class Blobs(Protocol):
    """The bytes of files, by names of letters, digits, `-`, `_`, and `/` between the parts.

    Every method raises Refused: STORAGE_FULL, or INTERNAL_ERROR if the place is out of reach.
    """

    async def put(self, name: str, content: AsyncIterator[bytes]) -> None:
        """Keep what comes, piece by piece. It is there whole and on disk, or, if anything fails, not at all."""

    def get(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        """The bytes from `start` to before `end`, piece by piece. Raises Refused(FILE_NOT_FOUND)."""

    async def delete(self, folder: str) -> None:
        """Delete everything whose name begins with `folder` and a slash, if there is anything."""

    async def measure(self, folder: str) -> tuple[int, int]:
        """How many there are whose names begin with `folder` and a slash, and their bytes."""

    async def clean(self) -> None:
        """Delete what a crash has left half-written."""


class Store(Protocol):
    @property
    def apps(self) -> AppStore: ...
    @property
    def conversations(self) -> ConversationStore: ...
    @property
    def files(self) -> FileStore: ...
    @property
    def info(self) -> InfoStore: ...
    @property
    def messages(self) -> MessageStore: ...
    @property
    def notifications(self) -> NotificationStore: ...
    @property
    def services(self) -> ServiceStore: ...
    @property
    def standings(self) -> StandingStore: ...
    @property
    def signatures(self) -> SignatureStore: ...
    @property
    def standing_lists(self) -> StandingLists: ...
    @property
    def blacklists(self) -> BlacklistStore: ...
    @property
    def rows(self) -> RowStore: ...
    @property
    def seats(self) -> SeatStore: ...
    @property
    def sweep(self) -> SweepStore: ...
    @property
    def temporary(self) -> TemporaryStore: ...
    @property
    def tokens(self) -> TokenStore: ...
    @property
    def edits(self) -> EditStore: ...
    @property
    def live_queries(self) -> LiveQueryStore: ...
    @property
    def words(self) -> WordStore: ...
    @property
    def jobs(self) -> JobStore: ...
    @property
    def webhooks(self) -> WebhookStore: ...
    @property
    def imports(self) -> ImportStore: ...
    @property
    def users(self) -> UserStore: ...
    @property
    def installations(self) -> InstallationStore: ...
    @property
    def pushes(self) -> PushStore: ...
    @property
    def archive(self) -> ArchiveStore: ...
    @property
    def broadcasts(self) -> BroadcastStore: ...
    @property
    def kicks(self) -> KickStore: ...
    @property
    def visitors(self) -> VisitorStore: ...


class ContentFilter(Protocol):
    """Looks at what clients send and edit before it is kept. It is asked on the event loop, per message."""

    @property
    def apps(self) -> Container[int]:
        """Keys of the apps whose messages it looks at; those of others cost nothing."""

    def look(self, app: App, conversation: Conversation, content: str | bytes) -> Replacement | None:
        """What is kept and told instead; None: the content as it is. Raises Refused(MESSAGE_REJECTED_BY_APP)."""


class AppEngines(Protocol):
    """The engines of apps: programs of their owners, which may refuse or change what is about to happen."""

    def has_hook(self, app: App, kind: type[Question]) -> bool:
        """False if the engine is known to have no hook for such questions. Asked on the event loop, per message."""

    async def ask(self, app: App, question: Question) -> Answer:
        """What it wants; all that is in the answer has the right type. Raises HookFailed, in `hook_timeout` at last."""


class Bus(Protocol):
    """Carries events to every node. It may lose them: the store is the truth."""

    def publish(self, event: Event) -> None:
        """Tell local subscribers synchronously, in the order of the calls."""

    def subscribe(self, subscriber: Callable[[Event], None]) -> None: ...
