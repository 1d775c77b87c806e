"""Conversations as rows of the class `_Conversation`, written as a table is (REST reference 2.1, 3.13).

The memory of the server follows; no client is told, and none will be told that it joined or left meanwhile.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hongyan import errors
from hongyan.engine import attributes, drafts
from hongyan.engine.access import Access
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.chatrooms import ChatRooms
from hongyan.engine.conditions import Condition
from hongyan.engine.conversations import Conversations
from hongyan.engine.events import ConversationMuted, Event, RowWritten
from hongyan.engine.ports import Bus, RowStore
from hongyan.engine.services import Services
from hongyan.engine.values import (
    App,
    Conversation,
    ConversationKind,
    ConversationRow,
    RowChange,
    RowChanged,
    Stamp,
)
from hongyan.errors import Refused

#: A conditional write is tried again when the row changes between the look at it and the write.
TRIES_MAX = 5


class Rows:
    """`caller` is None for the application, empty for whoever has the app's key: conditions see what it sees."""

    def __init__(
        self,
        store: RowStore,
        conversations: Conversations,
        chatrooms: ChatRooms,
        services: Services,
        access: Access,
        bus: Bus,
        aftermath: Aftermath,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._chatrooms = chatrooms
        self._services = services
        self._access = access
        self._bus = bus
        self._aftermath = aftermath

    async def create(
        self, app: App, kind: ConversationKind, values: Mapping[str, Any], *, as_row: bool
    ) -> ConversationRow:
        """Make a conversation of this kind, or find the unique one; its members are told unless `as_row`."""
        if kind is ConversationKind.SERVICE:
            return await self._services.create(app, values)
        rows: list[ConversationRow] = []
        draft = await drafts.draft(app, kind, values, as_row=as_row)
        await self._conversations.make(app, draft, lambda row, _: rows.append(row))
        return rows[0]

    async def write(
        self,
        app: App,
        conversation_id: str,
        values: Mapping[str, Any],
        caller: str | None = None,
        condition: Condition | None = None,
    ) -> int:
        """Write columns, if the condition is met; the row's update time.

        Raises Refused: CONVERSATION_NOT_FOUND, CONDITION_NOT_MET, or what is wrong with the values.
        """
        conversation = await self.find(app, conversation_id)
        is_large = len(json.dumps(values)) > drafts.LARGE
        change = await asyncio.to_thread(_change, values) if is_large else _change(values)
        if conversation.kind is not ConversationKind.NORMAL:  # nothing to be written there (REST reference 2.1)
            change = RowChange(change.attributes)
        keys = tuple(dict.fromkeys(key.partition(".")[0] for key in values))
        times: list[int] = []

        def told(result: RowChanged) -> list[Event]:
            return [RowWritten(conversation, keys, result.joined, result.left)] if keys else []

        def committed(result: RowChanged) -> None:
            times.append(result.updated_at)
            joined, left = set(result.joined), set(result.left)
            self._access.changed(conversation, result.version, joined, left)
            for event in told(result):
                self._bus.publish(event)
            for client in result.muted:
                self._bus.publish(ConversationMuted(conversation, client))

        following = self._aftermath.after(app.key, told, RowWritten)

        async def attempt(stamp: Stamp | None) -> None:
            await self._store.write(conversation, change, app.settings.members_max, committed, stamp, following)

        await self._if_met(conversation, caller, condition, attempt)
        return times[0]

    async def erase(
        self,
        app: App,
        conversation: Conversation,
        caller: str | None = None,
        condition: Condition | None = None,
    ) -> None:
        """Delete a conversation with all that is in it, if the condition is met. Raises Refused(CONDITION_NOT_MET)."""

        async def attempt(stamp: Stamp | None) -> None:
            if conversation.kind is ConversationKind.SERVICE:
                await self._services.erase(app, conversation.id, stamp)
            elif conversation.kind is ConversationKind.CHATROOM:
                await self._chatrooms.erase(conversation, stamp)
            else:
                await self._conversations.erase(conversation, stamp)

        await self._if_met(conversation, caller, condition, attempt)

    async def find(self, app: App, conversation_id: str) -> Conversation:
        """A row of the class. Raises Refused(CONVERSATION_NOT_FOUND), also for temporary ones, which are none."""
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind is ConversationKind.TEMPORARY:
            raise Refused(errors.CONVERSATION_NOT_FOUND, "temporary conversations are not stored in the class")
        return conversation

    async def _if_met(
        self,
        conversation: Conversation,
        caller: str | None,
        condition: Condition | None,
        attempt: Callable[[Stamp | None], Awaitable[None]],
    ) -> None:
        """Write at once, or if the condition is met by what the write still finds."""
        if condition is None:
            await attempt(None)
            return
        for tries_left in reversed(range(TRIES_MAX)):
            stamp = await self._store.meets(conversation, caller, condition)
            if stamp is None:
                raise Refused(errors.CONDITION_NOT_MET, "the conversation does not meet the condition")
            try:
                await attempt(stamp)
                return
            except Refused as refusal:
                if refusal.kind is not errors.CONDITION_NOT_MET or not tries_left:
                    raise


def _change(values: Mapping[str, Any]) -> RowChange:
    """Raises Refused."""
    left = dict(values)
    members = drafts.list_change(left.pop("m")) if "m" in left else None
    muted = drafts.list_change(left.pop("mu")) if "mu" in left else None
    unique = left.pop("unique", None)
    if not isinstance(unique, bool | None):
        raise Refused(errors.CONVERSATION_UPDATE_FAILED, "unique is not true or false")
    changes = attributes.parse(json.dumps(left))
    change = (lambda before: attributes.apply(changes, before)) if changes.items else None
    return RowChange(change, members, muted, unique)
