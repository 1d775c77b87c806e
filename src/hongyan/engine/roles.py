"""Roles of members: owner, managers and the others, and what they may do to each other (reference 3.14).

The creator is the owner. That a role was ever given is noted with the creator: from then on only managers and the owner
remove others, and the owner stays.
"""

from collections.abc import Callable, Sequence

from hongyan import errors
from hongyan.engine.access import Access
from hongyan.engine.clock import Clock
from hongyan.engine.events import RoleChanged
from hongyan.engine.ports import Bus, StandingLists, StandingStore
from hongyan.engine.standings import check_operator, rank
from hongyan.engine.values import (
    CLIENT_ID_MAX,
    NO_STANDING,
    App,
    Conversation,
    ConversationKind,
    Decision,
    InfoFilter,
    MemberInfo,
    Role,
    Standing,
    StandingsChanged,
    StandingsNow,
    new_object_id,
)
from hongyan.errors import Refused

NAMES = {Role.OWNER: "Owner", Role.MANAGER: "Manager", Role.MEMBER: "Member"}
_ROLES = {name: role for role, name in NAMES.items()}

#: `reply(what is so now, the conversation's update time)`.
Reply = Callable[[MemberInfo, int], None]


def parse(name: str) -> Role:
    """Raises Refused(UNKNOWN_CONVERSATION_ROLE)."""
    role = _ROLES.get(name)
    if role is None:
        raise Refused(errors.UNKNOWN_CONVERSATION_ROLE, f"a role is one of {', '.join(_ROLES)}")
    return role


def adding(app: App, conversation: Conversation, by: str | None) -> Callable[[StandingsNow], None] | None:
    """What to ask inside the write of who adds others; nothing where every member may."""
    if by is None or not app.settings.roles or app.settings.members_may_add:
        return None

    def check(now: StandingsNow) -> None:
        if _in_use(conversation, now):
            check_operator(conversation, by, (), now.standings)

    return check


def kept_owners(app: App, conversation: Conversation, by: str, wanted: Sequence[str], now: StandingsNow) -> list[str]:
    """Those of the clients whom nobody can remove, themselves neither; asked inside the write.

    Raises Refused if `by` may not remove one of the others. Everybody may quit, and remove who is no member.
    """
    if not app.settings.roles or not _in_use(conversation, now):
        return []
    present = [client for client in wanted if client in now.members]
    owners = [client for client in present if rank(conversation, client, now.standings) == Role.OWNER]
    others = tuple(client for client in present if client != by and client not in owners)
    if others or any(owner != by for owner in owners):
        check_operator(conversation, by, others, now.standings)
    return owners


def _in_use(conversation: Conversation, now: StandingsNow) -> bool:
    return now.standings.get(conversation.creator, NO_STANDING).role is not None


def holder(conversation: Conversation, info_id: str) -> str | None:
    """The client to whom the role of this id was given."""
    return next((client for client, standing in conversation.standings.items() if standing.role_id == info_id), None)


class Roles:
    """`by` is None for the system, which may do all but take the ownership from the creator.

    `reply` is called at the commit, before the event that tells the members.
    """

    def __init__(self, store: StandingStore, lists: StandingLists, access: Access, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._lists = lists
        self._access = access
        self._bus = bus
        self._clock = clock

    async def give(
        self,
        app: App,
        by: str | None,
        conversation_id: str,
        client: str,
        role_name: str,
        reply: Reply,
        *,
        told: bool = True,
    ) -> None:
        """Give a member a role. Unless `told`, the members do not hear of it (REST reference 2.1)."""
        conversation = await self._changeable(app, by, conversation_id)
        if not 1 <= len(client) <= CLIENT_ID_MAX:
            raise Refused(errors.CONVERSATION_API_FAILED, f"a client id has 1 to {CLIENT_ID_MAX} characters")
        role = parse(role_name)
        if by is not None and role == Role.OWNER:
            raise Refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, "the ownership is not given")

        def decide(now: StandingsNow) -> Standing:
            before = now.standings.get(client, NO_STANDING)
            rises = role >= Role.MANAGER and not (before.role_id and (before.role or role) >= Role.MANAGER)
            if rises and now.managers >= app.settings.managers_max:
                raise Refused(errors.CONVERSATION_MEMBER_IN_ROLE_FULL, f"at most {app.settings.managers_max} managers")
            return before._replace(role=role, role_id=before.role_id or new_object_id())

        await self._change(conversation, by, client, decide, reply, told)

    async def take(self, app: App, conversation_id: str, info_id: str, reply: Reply, *, told: bool = True) -> None:
        """Forget the role of this id: its client is a plain member again. Only the system does."""
        conversation = await self._access.conversation(app, conversation_id)
        client = holder(conversation, info_id)
        if client is None:
            raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "nobody has the role of this id")

        def decide(now: StandingsNow) -> Standing:
            before = now.standings.get(client, NO_STANDING)
            if before.role_id != info_id:
                raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "nobody has the role of this id any more")
            return before._replace(role=before.role if client == conversation.creator else None, role_id=None)

        await self._change(conversation, None, client, decide, reply, told)

    async def of_app(self, app: App, wanted: InfoFilter, limit: int, skip: int) -> list[tuple[str, MemberInfo]]:
        """The roles that were given in all conversations, with the ids of these; for the system."""
        return await self._lists.roles_of_app(app.key, wanted, limit, skip)

    async def page(
        self,
        app: App,
        asker: str | None,
        conversation_id: str,
        limit: int,
        skip: int,
        role: Role | None = None,
        client: str | None = None,
    ) -> list[MemberInfo]:
        """The roles that were given, or this one, or to this client; for members (reference 8.3, inferred).

        The system may ask, too.
        """
        conversation = await self._access.conversation(app, conversation_id)
        if asker is not None and asker not in conversation.members:
            raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "only members see the roles")
        return await self._lists.roles(conversation, limit, skip, role, client)

    async def _changeable(self, app: App, by: str | None, conversation_id: str) -> Conversation:
        if by is not None and not app.settings.roles:
            raise Refused(errors.CONVERSATION_MEMBER_INFO_FEATURE_DISABLED, "roles are off")
        conversation = await self._access.conversation(app, conversation_id)
        if by is not None:
            if conversation.kind != ConversationKind.NORMAL:
                raise Refused(errors.NORMAL_CONVERSATION_REQUIRED, "only normal conversations have roles")
            _check_member(by, conversation.members)
        return conversation

    async def _change(
        self,
        conversation: Conversation,
        by: str | None,
        client: str,
        decide: Callable[[StandingsNow], Standing],
        reply: Reply,
        told: bool,
    ) -> None:
        """Set what `decide` makes of the client, if `by` may; the members hear of it if the role is another."""
        creator = conversation.creator
        before = Role.MEMBER

        def checked(now: StandingsNow) -> Decision:
            nonlocal before
            if by is not None:
                _check_member(by, now.members)
            check_operator(conversation, by, (client,), now.standings)
            if conversation.kind == ConversationKind.NORMAL:
                _check_member(client, now.members)
            before = rank(conversation, client, now.standings)
            new = decide(now)
            if client == creator and new.role != Role.OWNER:
                raise Refused(errors.CONVERSATION_NEED_OWNER, "the creator stays the owner")
            noted = now.standings.get(creator, NO_STANDING)
            return Decision({creator: noted._replace(role=Role.OWNER), client: new})

        def committed(result: StandingsChanged) -> None:
            self._access.changed(conversation, result.version, set(), set(), result.standings)
            standing = conversation.standings.get(client, NO_STANDING)
            info = MemberInfo(standing.role_id or "", client, rank(conversation, client))
            reply(info, result.updated_at)
            if told and info.role != before:
                self._bus.publish(RoleChanged(conversation, info, by or "", result.updated_at))

        asked = {client, creator, *([] if by is None else [by])}
        await self._store.change(conversation, sorted(asked), checked, committed)


def _check_member(client: str, members: frozenset[str] | set[str]) -> None:
    if client not in members:
        raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "only members have and give roles")
