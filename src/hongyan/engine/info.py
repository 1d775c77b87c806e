"""What a conversation tells of itself and lets be changed, apart from its members: attributes, muting, counts."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hongyan import errors
from hongyan.engine import attributes
from hongyan.engine.access import Access
from hongyan.engine.events import ConversationUpdated
from hongyan.engine.ports import Bus, InfoStore
from hongyan.engine.values import App, ConversationKind
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

    def __init__(self, store: InfoStore, access: Access, bus: Bus) -> None:
        self._store = store
        self._access = access
        self._bus = bus

    async def update(
        self,
        app: App,
        by: str,
        conversation_id: str,
        text: str,
        origin: object | None,
        reply: Callable[[Updated], None],
    ) -> None:
        """Change attributes, as `text` (JSON) says; without changes nothing happens (reference 3.11, inferred)."""
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind in (ConversationKind.SERVICE, ConversationKind.TEMPORARY):
            raise Refused(errors.CONVERSATION_READ_ONLY, "the attributes of this conversation are fixed")
        if by not in conversation.members:
            raise Refused(errors.CONVERSATION_UPDATE_REJECTED, "not a member")
        large = len(text) > LARGE
        changes = await asyncio.to_thread(attributes.parse, text) if large else attributes.parse(text)

        def committed(updated_at: int, modified: str) -> None:
            reply(Updated(conversation.id, changes.text, modified, updated_at))
            if changes.items:
                self._bus.publish(ConversationUpdated(conversation, changes.text, modified, by, updated_at, origin))

        change = (lambda before: attributes.apply(changes, before)) if changes.items else None
        await self._store.update(conversation, by, change, committed)

    async def mute(
        self, app: App, client: str, conversation_id: str, muted: bool, reply: Callable[[str, int], None]
    ) -> None:
        """Have no offline pushes of a conversation, or have them again; `reply(conversation id, update time)`."""
        conversation = await self._access.as_member(
            app, conversation_id, client, errors.CONVERSATION_MEMBERSHIP_REQUIRED
        )
        if conversation.kind == ConversationKind.TEMPORARY:
            raise Refused(errors.NORMAL_CONVERSATION_REQUIRED, "a temporary conversation can't be muted")
        await self._store.mute(conversation, client, muted, lambda updated_at: reply(conversation.id, updated_at))

    async def count(self, app: App, client: str, conversation_id: str) -> int:
        """How many members; anybody may know, as by a query, but of a temporary conversation its members alone."""
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind == ConversationKind.TEMPORARY and client not in conversation.members:
            raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "not a member")
        return len(conversation.members)

    async def online_members(self, app: App, conversation_id: str) -> list[str]:
        """Only chat rooms tell who is there, and there are none yet."""
        await self._access.conversation(app, conversation_id)
        raise Refused(errors.TRANSIENT_CONVERSATION_REQUIRED, "only chat rooms tell who is online")

    async def memberships(self, app: App, client: str, conversation_ids: Sequence[str]) -> dict[str, bool]:
        """Of which of these conversations the client is a member; of an unknown one it is none."""
        asked = list(dict.fromkeys(conversation_ids))
        if len(asked) > CONVERSATIONS_MAX:
            raise Refused(errors.CONVERSATION_API_FAILED, f"at most {CONVERSATIONS_MAX} conversations at once")
        found = await self._store.member_of(app.key, client, asked) if asked else set()
        return {conversation_id: conversation_id in found for conversation_id in asked}
