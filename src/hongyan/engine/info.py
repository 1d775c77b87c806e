"""What a conversation tells of itself and lets be changed, apart from its members: attributes, muting, counts."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hongyan import errors
from hongyan.engine import attributes, json_text
from hongyan.engine.access import Access, check_member
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.attributes import Changes
from hongyan.engine.chatrooms import ChatRooms
from hongyan.engine.congestion import Congestion
from hongyan.engine.conversations import check_client_ids
from hongyan.engine.events import ConversationMuted, ConversationUpdated, Event
from hongyan.engine.hooks import Hooks
from hongyan.engine.ports import Bus, InfoStore
from hongyan.engine.questions import HookFailed, Muting, Updating
from hongyan.engine.services import Services
from hongyan.engine.values import App, Conversation, ConversationKind
from hongyan.errors import Refused

#: Conversations asked about by one `conv/is_member`; SDKs ask about one.
CONVERSATIONS_MAX = 100
#: Longer changes are parsed in a thread.
LARGE = 4_096


@dataclass(frozen=True, slots=True)
class Updated:
    """Answer to an update; the texts are JSON, as in `ConversationUpdated`."""

    conversation_id: str
    attr: str
    modified: str
    updated_at: int


class ConversationInfo:
    """`reply` is called at the commit, before the event that tells the members."""

    def __init__(
        self,
        store: InfoStore,
        access: Access,
        services: Services,
        bus: Bus,
        chatrooms: ChatRooms,
        congestion: Congestion,
        aftermath: Aftermath,
        hooks: Hooks,
    ) -> None:
        self._store = store
        self._access = access
        self._services = services
        self._bus = bus
        self._chatrooms = chatrooms
        self._congestion = congestion
        self._aftermath = aftermath
        self._hooks = hooks

    async def update(
        self,
        app: App,
        by: str | None,
        conversation_id: str,
        text: str,
        origin: object | None,
        reply: Callable[[Updated], None],
    ) -> None:
        """Change attributes, as `text` (JSON) says; without changes nothing happens (reference 3.11, inferred).

        `by` is None for the system, which alone changes service conversations and need not be a member.
        """
        conversation = await self._access.conversation(app, conversation_id)
        is_service = conversation.kind is ConversationKind.SERVICE
        if conversation.kind is ConversationKind.TEMPORARY or (is_service and by is not None):
            raise Refused(errors.CONVERSATION_READ_ONLY, "the attributes of this conversation are fixed")
        if by is not None and not self._is_in(conversation, by):
            raise Refused(errors.CONVERSATION_UPDATE_REJECTED, "not a member")
        self._congestion.check(conversation)
        large = len(text) > LARGE
        changes = await asyncio.to_thread(attributes.parse, text) if large else attributes.parse(text)
        if by is not None and changes.items and self._hooks.concern(app, Updating):
            changes = await self._changes_wanted(app, by, conversation_id, changes)
            if not self._is_in(conversation, by):
                raise Refused(errors.CONVERSATION_UPDATE_REJECTED, "no member any more")

        def told(updated: tuple[int, str]) -> list[Event]:
            updated_at, modified = updated
            keys = tuple(dict.fromkeys(change.path[0] for change in changes.items))
            if not keys:
                return []
            return [ConversationUpdated(conversation, changes.text, modified, by or "", updated_at, origin, keys)]

        def committed(updated_at: int, modified: str) -> None:
            reply(Updated(conversation.id, changes.text, modified, updated_at))
            for event in told((updated_at, modified)):
                self._bus.publish(event)

        following = self._aftermath.after(app.key, told, ConversationUpdated)
        change = (lambda before: attributes.apply(changes, before)) if changes.items else None
        await self._store.update(conversation, by, change, committed, following)

    async def _changes_wanted(self, app: App, by: str, conversation_id: str, changes: Changes) -> Changes:
        """What the app's engine makes of changes. Raises Refused if it does not want them."""
        question = Updating(by, conversation_id, json_text.parse(changes.text))
        wanted = (await self._hooks.ask(app, question)).changes
        if wanted is None:
            return changes
        try:
            return await asyncio.to_thread(attributes.parse, json.dumps(wanted))
        except (Refused, ValueError, RecursionError) as error:
            self._hooks.failed(app, Updating, HookFailed(f"what it wants is refused: {error}", answered=True))
            return changes

    async def mute(
        self, app: App, client: str, conversation_id: str, muted: bool, reply: Callable[[str, int], None]
    ) -> None:
        """Have no offline pushes of a conversation, or have them again; `reply(conversation id, update time)`.

        A chat room has none: nothing changes (inferred).
        """
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind is not ConversationKind.SERVICE and not self._is_in(conversation, client):
            raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "not a member")
        if conversation.kind is ConversationKind.TEMPORARY:
            raise Refused(errors.NORMAL_CONVERSATION_REQUIRED, "a temporary conversation can't be muted")
        if conversation.kind is ConversationKind.CHATROOM:
            await self._store.update(conversation, client, None, lambda at, modified: reply(conversation.id, at))
            return

        wanted = (await self._hooks.ask(app, Muting(client, conversation_id, muted))).muted
        muted = muted if wanted is None else wanted

        def committed(updated_at: int, changed: bool) -> None:
            reply(conversation.id, updated_at)
            if changed:
                self._bus.publish(ConversationMuted(conversation, client))

        await self._store.mute(conversation, client, muted, committed)

    async def mute_members(self, conversation: Conversation, clients: Sequence[str], muted: bool) -> int:
        """Have members have no offline pushes, or have them again, as the system wants; the update time.

        Who is no member has none anyway, and is passed over.
        """
        times: list[int] = []

        def committed(updated_at: int, changed: tuple[str, ...]) -> None:
            times.append(updated_at)
            for client in changed:
                self._bus.publish(ConversationMuted(conversation, client))

        await self._store.mute_members(conversation, check_client_ids(clients), muted, committed)
        return times[0]

    async def count(self, app: App, client: str, conversation_id: str) -> int:
        """How many members, subscribers, or clients in a chat room.

        Anybody may know, as by a query, but of a temporary conversation its members alone.
        """
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind is ConversationKind.SERVICE:
            return await self._services.count(conversation)
        if conversation.kind is ConversationKind.CHATROOM:
            return self._chatrooms.count(conversation)
        if conversation.kind is ConversationKind.TEMPORARY:
            check_member(conversation, client, errors.CONVERSATION_MEMBERSHIP_REQUIRED)
        return len(conversation.members)

    async def online_members(self, app: App, conversation_id: str, limit: int) -> list[str]:
        """Some of the clients in a chat room, drawn by lot."""
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind != ConversationKind.CHATROOM:
            raise Refused(errors.TRANSIENT_CONVERSATION_REQUIRED, "only chat rooms tell who is online")
        return self._chatrooms.sample(conversation, limit)

    async def memberships(self, app: App, client: str, conversation_ids: Sequence[str]) -> dict[str, bool]:
        """Of which of these conversations the client is a member; of an unknown one it is none."""
        asked = list(dict.fromkeys(conversation_ids))
        if len(asked) > CONVERSATIONS_MAX:
            raise Refused(errors.CONVERSATION_API_FAILED, f"at most {CONVERSATIONS_MAX} conversations at once")
        found = await self._store.member_of(app.key, client, asked) if asked else set()
        return {
            conversation_id: conversation_id in found or self._chatrooms.is_in(app.key, conversation_id, client)
            for conversation_id in asked
        }

    def _is_in(self, conversation: Conversation, client: str) -> bool:
        if conversation.kind == ConversationKind.CHATROOM:
            return self._chatrooms.is_in(conversation.app_key, conversation.id, client)
        return client in conversation.members
