"""Silence: who is in a conversation, reads it, and may not write, for ever or for a time (reference 3.13).

Anybody may be silenced, member or not, and stays so when it leaves and comes back.
"""

from collections.abc import Callable, Mapping, Sequence

from hongyan import errors
from hongyan.engine.access import Access
from hongyan.engine.clock import Clock
from hongyan.engine.conversations import check_client_ids
from hongyan.engine.events import SilenceChanged
from hongyan.engine.ports import Bus, StandingLists, StandingStore
from hongyan.engine.standings import check_operator
from hongyan.engine.values import (
    FOREVER,
    NO_STANDING,
    App,
    Conversation,
    ConversationKind,
    Decision,
    Standing,
    StandingsChanged,
    StandingsNow,
)
from hongyan.errors import Refused

#: Clients that are silenced at a time, in a conversation of each kind that knows silence (reference 4.4).
SILENCED_MAX = {
    ConversationKind.NORMAL: 500,
    ConversationKind.CHATROOM: 10_000,
    ConversationKind.SERVICE: 10_000,
}
#: Clients of one command; all who are in a large chat room are told of them.
AT_ONCE_MAX = {ConversationKind.NORMAL: 500, ConversationKind.CHATROOM: 100, ConversationKind.SERVICE: 500}
#: A silence for a time ends within a day (s).
SECONDS_MAX = 86_400
#: What a silence becomes; the same if it does not change.
Change = Callable[[Standing], Standing]
#: `reply(conversation id, clients for whom the wish now holds)`.
Reply = Callable[[str, tuple[str, ...]], None]


class Silence:
    """`by` is None for the system. `reply` is called at the commit, before the event that tells the members."""

    def __init__(self, store: StandingStore, lists: StandingLists, access: Access, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._lists = lists
        self._access = access
        self._bus = bus
        self._clock = clock

    async def impose(
        self,
        app: App,
        by: str | None,
        conversation_id: str,
        clients: Sequence[str],
        reply: Reply,
        seconds: int | None = None,
    ) -> None:
        """Silence clients for ever, or for so many seconds; who is for ever stays so."""
        if seconds is not None and not 1 <= seconds <= SECONDS_MAX:
            raise Refused(errors.CONVERSATION_API_FAILED, f"a silence for a time has 1 to {SECONDS_MAX} seconds")
        until = FOREVER if seconds is None else self._clock.now() + seconds * 1_000

        def silence(before: Standing) -> Standing:
            return before if before.silenced_until == FOREVER else before._replace(silenced_until=until)

        await self._change(app, by, conversation_id, clients, silence, reply)

    async def lift(
        self,
        app: App,
        by: str | None,
        conversation_id: str,
        clients: Sequence[str],
        reply: Reply,
        for_ever: bool | None = None,
    ) -> None:
        """Let clients write again; `for_ever` tells which silence to lift, None: whichever it is."""

        def lift(before: Standing) -> Standing:
            other = for_ever is not None and for_ever != (before.silenced_until == FOREVER)
            return before if other else before._replace(silenced_until=None)

        await self._change(app, by, conversation_id, clients, lift, reply)

    async def page(
        self, app: App, asker: str | None, conversation_id: str, limit: int, skip: int, *, for_ever: bool = False
    ) -> tuple[list[str], int | None]:
        """Who is silenced now, and where the next page begins; for those who may ask."""
        conversation = await self._readable(app, asker, conversation_id)
        found = await self._lists.silenced(conversation, self._clock.now(), limit + 1, skip, for_ever=for_ever)
        return found[:limit], skip + limit if len(found) > limit else None

    async def is_silenced(self, app: App, asker: str, conversation_id: str, client: str) -> bool:
        """Whether a client is silenced now; for those who may ask."""
        conversation = await self._readable(app, asker, conversation_id)
        return conversation.standings.get(client, NO_STANDING).is_silenced(self._clock.now())

    async def _readable(self, app: App, asker: str | None, conversation_id: str) -> Conversation:
        """Any member may ask; in a chat room, which anybody may enter, any client."""
        conversation = await self._access.conversation(app, conversation_id)
        _check_kind(conversation, asker)
        if asker is not None:
            _check_member(conversation, asker, conversation.members, conversation.standings)
        return conversation

    async def _change(
        self, app: App, by: str | None, conversation_id: str, clients: Sequence[str], change: Change, reply: Reply
    ) -> None:
        conversation = await self._access.conversation(app, conversation_id)
        _check_kind(conversation, by)
        if by is not None:
            _check_member(conversation, by, conversation.members, conversation.standings)
        wanted = _wanted(conversation, clients)
        most = SILENCED_MAX[conversation.kind]
        told: list[str] = []
        silenced = False

        def decide(now: StandingsNow) -> Decision:
            nonlocal silenced
            if by is not None:
                _check_member(conversation, by, now.members, now.standings)
            check_operator(conversation, by, wanted, now.standings)
            before = {client: now.standings.get(client, NO_STANDING) for client in wanted}
            after = {client: change(standing) for client, standing in before.items()}
            told[:] = [c for c in wanted if (before[c].silenced_until is None) != (after[c].silenced_until is None)]
            silenced = any(after[client].silenced_until is not None for client in told)
            if silenced and now.silenced + len(told) > most:
                raise Refused(errors.SILIENCED_MEMBER_LIST_FULL, f"at most {most} silenced")
            return Decision(after)

        def committed(result: StandingsChanged) -> None:
            self._access.changed(conversation, result.version, set(), set(), result.standings)
            reply(conversation.id, wanted)
            if told:
                self._bus.publish(SilenceChanged(conversation, tuple(told), silenced, by or "", result.updated_at))

        asked = (*wanted, *([] if by is None or by in wanted else [by]))
        await self._store.change(conversation, asked, decide, committed)


def _wanted(conversation: Conversation, clients: Sequence[str]) -> tuple[str, ...]:
    wanted = check_client_ids(clients)
    at_once = AT_ONCE_MAX[conversation.kind]
    if not 1 <= len(wanted) <= at_once:
        raise Refused(errors.CONVERSATION_API_FAILED, f"name 1 to {at_once} clients")
    return wanted


def _check_kind(conversation: Conversation, by: str | None) -> None:
    """In a service conversation the system alone silences (REST reference 3.8)."""
    if conversation.kind not in SILENCED_MAX or (conversation.kind is ConversationKind.SERVICE and by is not None):
        raise Refused(errors.NORMAL_CONVERSATION_REQUIRED, "nobody is silenced in a conversation of this kind")


def _check_member(
    conversation: Conversation,
    client: str,
    members: frozenset[str] | set[str],
    standings: Mapping[str, Standing],
) -> None:
    if conversation.kind == ConversationKind.NORMAL and client not in members:
        raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "not a member")
    if standings.get(client, NO_STANDING).blocked_at is not None:
        raise Refused(errors.BLOCKED_BY_CONV, "blocked here")
