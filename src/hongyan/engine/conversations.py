"""Starting conversations, changing their members, finding them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hongyan import errors
from hongyan.engine import json_text, roles
from hongyan.engine.access import Access
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.conditions import Condition
from hongyan.engine.events import ConversationCreated, ConversationDeleted, Event, MembersJoined, MembersLeft
from hongyan.engine.hooks import Hooks
from hongyan.engine.ports import Bus, ConversationStore
from hongyan.engine.query import Query
from hongyan.engine.questions import Adding, Removing, Starting
from hongyan.engine.url_rewrites import rewritten_rows
from hongyan.engine.values import (
    CLIENT_ID_MAX,
    App,
    Conversation,
    ConversationDraft,
    ConversationKind,
    ConversationRow,
    Failure,
    MembersChanged,
    Stamp,
    StandingsNow,
)
from hongyan.errors import Refused

#: Keys of `conv/start` attributes that the server owns (reference 3.8, inferred), those of the last message too.
RESERVED = frozenset(
    [
        "objectId",
        "m",
        "mu",
        "c",
        "lm",
        "tr",
        "sys",
        "unique",
        "uniqueId",
        "createdAt",
        "updatedAt",
        "temp",
        "ttl",
        "tempConv",
        "tempConvTTL",
        "conv_type",
        "msg",
        "bin",
        "msg_mid",
        "msg_from",
        "msg_timestamp",
        "patch_timestamp",
        "mention_all",
        "mention_pids",
    ]
)


@dataclass(frozen=True, slots=True)
class Members:
    """Answer to an add or remove: `allowed` are those for whom the wish now holds, changed or not."""

    conversation_id: str
    allowed: tuple[str, ...]
    updated_at: int
    failed: tuple[Failure, ...] = ()


def parse_attributes(text: str) -> tuple[str | None, dict[str, Any] | None, dict[str, Any]]:
    """(name, attr, custom columns) of the JSON in `conv/start`. Raises Refused(CONVERSATION_API_FAILED)."""
    if not text:
        return None, None, {}
    try:
        given = json_text.parse(text)
    except ValueError:
        raise Refused(errors.CONVERSATION_API_FAILED, "attr is not JSON") from None
    if not isinstance(given, dict):
        raise Refused(errors.CONVERSATION_API_FAILED, "attr is not an object")
    name, attr = given.pop("name", None), given.pop("attr", None)
    if not isinstance(name, str | None):
        raise Refused(errors.CONVERSATION_API_FAILED, "name is not a string")
    if not isinstance(attr, dict | None):
        raise Refused(errors.CONVERSATION_API_FAILED, "attr is not an object")
    return name, attr, {key: value for key, value in given.items() if key not in RESERVED}


def said(name: str | None, attr: dict[str, Any] | None, columns: dict[str, Any]) -> dict[str, Any]:
    """Attributes as they were said in `conv/start`."""
    named = {"name": name, "attr": attr}
    return {**columns, **{key: value for key, value in named.items() if value is not None}}


def check_client_ids(clients: Sequence[str]) -> tuple[str, ...]:
    """The ids without doubles, in their order. Raises Refused(CONVERSATION_API_FAILED) for an impossible one."""
    if not all(1 <= len(client) <= CLIENT_ID_MAX for client in clients):
        raise Refused(errors.CONVERSATION_API_FAILED, f"a client id has 1 to {CLIENT_ID_MAX} characters")
    return tuple(dict.fromkeys(clients))


class Conversations:
    """`by` is the client that asks, or None for the system, which may do without being a member or having a role.

    `reply` is called at the commit, before the event that tells the members.
    """

    def __init__(self, store: ConversationStore, access: Access, bus: Bus, aftermath: Aftermath, hooks: Hooks) -> None:
        self._store = store
        self._access = access
        self._bus = bus
        self._aftermath = aftermath
        self._hooks = hooks

    async def start(
        self,
        app: App,
        creator: str,
        members: Sequence[str],
        attributes: str,
        *,
        unique: bool,
        reply: Callable[[ConversationRow, bool], None],
    ) -> None:
        """Make a normal conversation, or find the unique one; `reply(row, existing)`."""
        everyone = check_client_ids([creator, *members])
        if len(everyone) > app.settings.members_max:
            raise Refused(errors.CONVERSATION_FULL, f"at most {app.settings.members_max} members")
        name, attr, columns = parse_attributes(attributes)
        await self._hooks.ask(app, Starting(creator, everyone, said(name, attr, columns)))
        draft = ConversationDraft(ConversationKind.NORMAL, creator, everyone, name, attr, columns, unique=unique)
        await self.make(app, draft, reply)

    async def make(self, app: App, draft: ConversationDraft, reply: Callable[[ConversationRow, bool], None]) -> None:
        """Make what is drafted, or find the unique one; `reply(row, existing)`."""

        def told(made: tuple[ConversationRow, Conversation, bool]) -> list[Event]:
            row, conversation, existing = made
            if existing:
                return []
            events: list[Event] = [ConversationCreated(conversation, draft.by_system)]
            if row.members and draft.told:
                events.append(MembersJoined(conversation, row.members, draft.initiator, row.updated_at))
            return events

        def committed(row: ConversationRow, conversation: Conversation, existing: bool) -> None:
            conversation = self._access.known(conversation)
            reply(row, existing)
            for event in told((row, conversation, existing)):
                self._bus.publish(event)

        following = self._aftermath.after(app.key, told, ConversationCreated, MembersJoined)
        await self._store.create(app.key, draft, committed, following)

    async def erase(self, conversation: Conversation, stamp: Stamp | None = None) -> None:
        """At once nobody finds it; what was written goes little by little. Nobody is told.

        With a `stamp` only if it is still as it was then. Raises Refused(CONDITION_NOT_MET).
        """

        def committed() -> None:
            self._access.forget(conversation.app_key, conversation.id)
            self._bus.publish(ConversationDeleted(conversation))

        await self._store.erase(conversation, committed, stamp)

    async def add(
        self,
        app: App,
        by: str | None,
        conversation_id: str,
        clients: Sequence[str],
        reply: Callable[[Members], None],
        *,
        partial: bool = False,
    ) -> None:
        """Join (`clients` is just `by`) or add others, which only members may; of them all, if the app says so.

        Who can't be added fails alone if `partial`, else the whole request.
        """
        wanted = check_client_ids(clients)
        if len(wanted) > app.settings.members_max:
            raise Refused(errors.CONVERSATION_FULL, f"a conversation has at most {app.settings.members_max} members")
        conversation = await self._changeable(app, by, conversation_id, wanted)

        def told(result: MembersChanged) -> list[Event]:
            if not result.changed:
                return []
            return [MembersJoined(conversation, result.changed, by or "", result.updated_at)]

        def committed(result: MembersChanged) -> None:
            self._access.changed(conversation, result.version, set(result.changed), set())
            reply(_added(conversation, wanted, result))
            for event in told(result):
                self._bus.publish(event)

        if by is not None:
            await self._hooks.ask(app, Adding(by, wanted, conversation_id))
        asking = _asking(by, wanted)
        check = roles.adding(app, conversation, asking)
        await self._store.add_members(
            conversation,
            wanted,
            app.settings.members_max,
            committed,
            asking,
            by or "",
            check=check,
            partial=partial,
            following=self._aftermath.after(app.key, told, MembersJoined),
        )

    async def remove(
        self,
        app: App,
        by: str | None,
        conversation_id: str,
        clients: Sequence[str],
        reply: Callable[[Members], None],
        *,
        partial: bool = True,
    ) -> None:
        """Quit (`clients` is just `by`) or remove others, which only members may, or managers where there are roles.

        Who can't be removed is left out, or makes it fail as a whole, if not `partial`.
        """
        wanted = check_client_ids(clients)
        if len(wanted) > app.settings.members_max:
            raise Refused(errors.CONVERSATION_API_FAILED, f"at most {app.settings.members_max} members at once")
        conversation = await self._changeable(app, by, conversation_id, wanted)
        owners: list[str] = []

        def choose(now: StandingsNow) -> list[str]:
            owners[:] = [] if by is None else roles.kept_owners(app, conversation, by, wanted, now)
            if owners and (not partial or len(owners) == len(wanted)):
                raise Refused(errors.CONVERSATION_NEED_OWNER, "the owner stays")
            return [client for client in wanted if client not in owners]

        def told(result: MembersChanged) -> list[Event]:
            if not result.changed:
                return []
            return [MembersLeft(conversation, result.changed, by or "", result.updated_at)]

        def committed(result: MembersChanged) -> None:
            self._access.changed(conversation, result.version, set(), set(result.changed))
            done = tuple(client for client in wanted if client not in owners)
            failed = (Failure(errors.CONVERSATION_NEED_OWNER, tuple(owners)),) if owners else ()
            reply(Members(conversation.id, done, result.updated_at, failed))
            for event in told(result):
                self._bus.publish(event)

        if by is not None and wanted != (by,):
            await self._hooks.ask(app, Removing(by, wanted, conversation_id))
        asking = _asking(by, wanted)
        following = self._aftermath.after(app.key, told, MembersLeft)
        await self._store.remove_members(
            conversation, wanted, committed, asking, by or "", choose=choose, following=following
        )

    async def query(self, app: App, caller: str | None, query: Query) -> list[ConversationRow]:
        """Any client may look up any conversation by condition (reference 3.1).

        The system, None, sees besides who has muted it.
        """
        return await rewritten_rows(app, await self._store.query(app.key, caller, query))

    async def count(self, app: App, caller: str | None, condition: Condition) -> int:
        """How many conversations meet a condition."""
        return await self._store.count(app.key, caller, condition)

    async def _changeable(
        self, app: App, by: str | None, conversation_id: str, wanted: tuple[str, ...]
    ) -> Conversation:
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind != ConversationKind.NORMAL:
            raise Refused(errors.CONVERSATION_READ_ONLY, "the members of this conversation are fixed")
        asking = _asking(by, wanted)
        if asking is not None and asking not in conversation.members:
            raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "only members change the members")
        return conversation


def _asking(by: str | None, wanted: tuple[str, ...]) -> str | None:
    """Who must be a member for this change; nobody when clients join or quit, or the system asks."""
    return None if wanted == (by,) else by


def _added(conversation: Conversation, wanted: tuple[str, ...], result: MembersChanged) -> Members:
    """The answer to an add, in which blocked clients and those that refuse to be added have failed."""
    barred = result.barred
    allowed = tuple(client for client in wanted if client not in barred)
    failed = (Failure(errors.BLOCKED_BY_CONV, barred),) if barred else ()
    return Members(conversation.id, allowed, result.updated_at, failed)
