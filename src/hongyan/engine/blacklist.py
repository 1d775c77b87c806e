"""Blacklists, both ways (reference 3.22): conversations block clients, and clients refuse to be added to conversations.

A blocked client is no member, joins no more and is added by nobody. A client that refuses a conversation stays in it if
it is; nobody adds it there any more, and joining by itself takes the refusal back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hongyan import errors
from hongyan.engine.access import Access
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.chatrooms import ChatRooms
from hongyan.engine.clock import Clock
from hongyan.engine.conversations import Members, check_client_ids
from hongyan.engine.events import BlocksChanged, Event, MembersLeft
from hongyan.engine.ports import BlacklistStore, Bus, StandingStore
from hongyan.engine.standings import check_operator, is_blocked, rank
from hongyan.engine.values import (
    NO_STANDING,
    App,
    Conversation,
    ConversationKind,
    Decision,
    Failure,
    Role,
    StandingsChanged,
    StandingsNow,
)
from hongyan.errors import Refused

#: How many clients a conversation may block (reference 4.4).
BLOCKED_MAX = {
    ConversationKind.NORMAL: 500,
    ConversationKind.CHATROOM: 10_000,
    ConversationKind.SERVICE: 10_000,
}
#: How many conversations a client may refuse.
REFUSED_MAX = 10_000
#: Clients, or conversations, of one request; of a large chat room all are told whom it blocks.
TARGETS_MAX, TARGETS_OF_ROOM_MAX = 500, 100


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list of clients or conversation ids; the next part begins at `next`, None at the end."""

    items: tuple[str, ...]
    next: int | None


class Blacklists:
    """`by` is the client that asks, or None for the system: the app's switch and roles don't bind that.

    `reply` is called at the commit, before the events.
    """

    def __init__(
        self,
        standings: StandingStore,
        store: BlacklistStore,
        access: Access,
        chatrooms: ChatRooms,
        bus: Bus,
        clock: Clock,
        aftermath: Aftermath,
    ) -> None:
        self._standings = standings
        self._store = store
        self._access = access
        self._chatrooms = chatrooms
        self._bus = bus
        self._clock = clock
        self._aftermath = aftermath

    # conversations block clients

    async def block(
        self,
        app: App,
        by: str | None,
        conversation_id: str,
        clients: Sequence[str],
        reply: Callable[[Members], None],
        *,
        partial: bool = False,
    ) -> None:
        """Block clients. Those that are members are removed, and have no role any more.

        If there is not room for all, the last of them fail if `partial`, else the whole request.
        """

        def decide(conversation: Conversation, wanted: tuple[str, ...], now: StandingsNow) -> Decision:
            before = {client: now.standings.get(client, NO_STANDING) for client in wanted}
            at, limit = self._clock.now(), BLOCKED_MAX[conversation.kind]
            added = [client for client, standing in before.items() if standing.blocked_at is None]
            room = limit - now.blocked
            if len(added) > room and not partial:
                raise Refused(errors.BLACKLIST_FULL, f"at most {limit} clients are blocked here")
            fitting = tuple(added[: max(room, 0)])
            new = {client: before[client]._replace(role=None, role_id=None, blocked_at=at) for client in fitting}
            if conversation.creator in new:  # that roles are used is noted with the creator
                noted = before[conversation.creator].role
                new[conversation.creator] = new[conversation.creator]._replace(role=noted)
            return Decision(new, fitting)

        await self._change(app, by, conversation_id, clients, decide, reply, blocked=True)

    async def unblock(
        self,
        app: App,
        by: str | None,
        conversation_id: str,
        clients: Sequence[str],
        reply: Callable[[Members], None],
    ) -> None:
        """Let clients join and be added again. Who was a member is not made one."""

        def decide(_: Conversation, wanted: tuple[str, ...], now: StandingsNow) -> Decision:
            before = {client: now.standings.get(client, NO_STANDING) for client in wanted}
            return Decision({client: standing._replace(blocked_at=None) for client, standing in before.items()})

        await self._change(app, by, conversation_id, clients, decide, reply, blocked=False)

    async def blocked(
        self,
        app: App,
        by: str | None,
        conversation_id: str,
        start: int,
        limit: int,
    ) -> Page:
        """The blocked clients from the place `start` on, for those who may know (see `_check_reader`)."""
        conversation = await self._readable(app, by, conversation_id)
        return _page(await self._store.blocked(conversation, start, limit + 1), start, limit)

    async def which_blocked(self, app: App, by: str | None, conversation_id: str, clients: Sequence[str]) -> list[str]:
        """Those of these clients that are blocked."""
        wanted = _check_clients(clients)
        standings = (await self._readable(app, by, conversation_id)).standings
        return [client for client in wanted if standings.get(client, NO_STANDING).blocked_at is not None]

    # clients refuse conversations

    async def refuse(
        self, app: App, client: str, conversation_ids: Sequence[str], reply: Callable[[], None], *, by_system: bool
    ) -> None:
        """Have the client added to none of these conversations by others. Raises Refused if one is unknown."""
        check_client_ids([client])
        conversations = await self._refusable(app, conversation_ids, by_system)
        await self._store.refuse(app.key, client, conversations, REFUSED_MAX, reply)

    async def accept(
        self, app: App, client: str, conversation_ids: Sequence[str], reply: Callable[[], None], *, by_system: bool
    ) -> None:
        """Let the client be added to these conversations again."""
        conversations = await self._refusable(app, conversation_ids, by_system)
        await self._store.accept(app.key, client, conversations, reply)

    async def refused(self, app: App, client: str, start: int, limit: int, *, by_system: bool) -> Page:
        """The conversations that the client refuses, from the place `start` on."""
        _check_switch(app, by_system)
        return _page(await self._store.refused(app.key, client, start, limit + 1), start, limit)

    async def which_refused(
        self, app: App, client: str, conversation_ids: Sequence[str], *, by_system: bool
    ) -> list[str]:
        """Those of these conversations that the client refuses; one that is unknown is none of them."""
        _check_switch(app, by_system)
        wanted = _check_count(dict.fromkeys(conversation_ids), "conversations")
        found = await self._store.which_refused(app.key, client, wanted)
        return [conversation_id for conversation_id in wanted if conversation_id in found]

    # its own

    async def _change(
        self,
        app: App,
        by: str | None,
        conversation_id: str,
        clients: Sequence[str],
        decide: Callable[[Conversation, tuple[str, ...], StandingsNow], Decision],
        reply: Callable[[Members], None],
        *,
        blocked: bool,
    ) -> None:
        _check_switch(app, by is None)
        wanted = _check_clients(clients)
        conversation = await self._conversation(app, conversation_id)
        if conversation.kind is ConversationKind.CHATROOM and len(wanted) > TARGETS_OF_ROOM_MAX:
            raise Refused(errors.CONVERSATION_API_FAILED, f"name at most {TARGETS_OF_ROOM_MAX} clients of a chat room")
        _check_operator(conversation, by, wanted)

        def decide_allowed(now: StandingsNow) -> Decision:
            _check_operator(conversation, by, wanted, now)
            return decide(conversation, wanted, now)

        def told(result: StandingsChanged) -> list[Event]:
            if not result.removed:
                return []
            return [MembersLeft(conversation, result.removed, by or "", result.updated_at)]

        def committed(result: StandingsChanged) -> None:
            self._access.changed(conversation, result.version, set(), set(result.removed), result.standings)
            full = tuple(client for client in wanted if blocked and not is_blocked(conversation, client))
            allowed = tuple(client for client in wanted if client not in full)
            failed = (Failure(errors.BLACKLIST_FULL, full),) if full else ()
            reply(Members(conversation.id, allowed, result.updated_at, failed))
            changed = tuple(client for client in wanted if client in result.standings)
            if blocked and conversation.kind is ConversationKind.CHATROOM:
                self._chatrooms.expel(conversation, changed)
            if changed:
                self._bus.publish(BlocksChanged(conversation, changed, by or "", result.updated_at, blocked))
            for event in told(result):
                self._bus.publish(event)

        concerned = wanted if by is None else (*wanted, by)
        following = self._aftermath.after(app.key, told, MembersLeft)
        await self._standings.change(conversation, concerned, decide_allowed, committed, by or "", following)

    async def _readable(self, app: App, by: str | None, conversation_id: str) -> Conversation:
        _check_switch(app, by is None)
        conversation = await self._conversation(app, conversation_id)
        if by is not None:
            _check_reader(conversation, by)
        return conversation

    async def _refusable(self, app: App, conversation_ids: Sequence[str], by_system: bool) -> list[Conversation]:
        _check_switch(app, by_system)
        wanted = _check_count(dict.fromkeys(conversation_ids), "conversations")
        return [await self._conversation(app, conversation_id) for conversation_id in wanted]

    async def _conversation(self, app: App, conversation_id: str) -> Conversation:
        """The conversation, which must have a blacklist."""
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind not in BLOCKED_MAX:
            raise Refused(errors.NORMAL_CONVERSATION_REQUIRED, "temporary conversations have no blacklist")
        return conversation


def _check_switch(app: App, by_system: bool) -> None:
    if not by_system and not app.settings.blacklist:
        raise Refused(errors.BLACKLIST_FEATURE_DISABLED, "clients of this app block nobody")


def _check_clients(clients: Sequence[str]) -> tuple[str, ...]:
    """The ids without doubles, in their order. Raises Refused if there is none, or too many."""
    return _check_count(dict.fromkeys(check_client_ids(clients)), "clients")


def _check_count(wanted: dict[str, None], what: str) -> tuple[str, ...]:
    if not 1 <= len(wanted) <= TARGETS_MAX:
        raise Refused(errors.CONVERSATION_API_FAILED, f"name 1 to {TARGETS_MAX} {what}")
    return tuple(wanted)


def _check_operator(
    conversation: Conversation, by: str | None, wanted: tuple[str, ...], now: StandingsNow | None = None
) -> None:
    """Raises Refused unless `by`, who is there and not blocked, ranks above each; `now` is what is so in the write."""
    if by is None:
        return
    members = conversation.members if now is None else now.members
    standings = conversation.standings if now is None else now.standings
    away = conversation.kind is ConversationKind.NORMAL and by not in members
    if away or standings.get(by, NO_STANDING).blocked_at is not None:
        raise Refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, "not a member")
    check_operator(conversation, by, wanted, standings)


def _check_reader(conversation: Conversation, by: str) -> None:
    """Raises Refused unless the client may know who is blocked.

    Any member may; of a chat room any client that may join it. The subscribers of a service conversation are strangers
    to each other: there only a manager may (inferred).
    """
    if conversation.kind is ConversationKind.NORMAL and by not in conversation.members:
        raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "only members may know who is blocked")
    if is_blocked(conversation, by):
        raise Refused(errors.BLOCKED_BY_CONV, "blocked here")
    if conversation.kind is ConversationKind.SERVICE and rank(conversation, by) < Role.MANAGER:
        raise Refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, "only managers may know who is blocked")


def _page(found: Sequence[str], start: int, limit: int) -> Page:
    """`found` has one more than the page if there is more."""
    return Page(tuple(found[:limit]), start + limit if len(found) > limit else None)
