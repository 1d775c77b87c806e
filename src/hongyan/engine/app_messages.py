"""What the application itself says in conversations and chat rooms, and what it does with what was said there.

Nothing is asked of the sender: neither membership nor that it may write (REST reference 3.3).
"""

import asyncio

from hongyan import errors
from hongyan.engine.access import Access
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.clock import Clock
from hongyan.engine.congestion import Congestion
from hongyan.engine.edits import Edits
from hongyan.engine.events import MessageSent, MessageSynced
from hongyan.engine.filtering import Filtering
from hongyan.engine.hooks import Hooks, narrowed, receivers
from hongyan.engine.limits import DeliveryBudget
from hongyan.engine.messages import check_deliveries, check_draft, no_target, placed
from hongyan.engine.ports import Bus, EditStore, MessageStore
from hongyan.engine.questions import Sending
from hongyan.engine.values import (
    App,
    Conversation,
    ConversationKind,
    Draft,
    Edit,
    Stored,
    new_message_id,
)
from hongyan.errors import Refused


class AppMessages:
    def __init__(
        self,
        store: MessageStore,
        edit_store: EditStore,
        edits: Edits,
        access: Access,
        bus: Bus,
        clock: Clock,
        deliveries: DeliveryBudget,
        filtering: Filtering,
        congestion: Congestion,
        aftermath: Aftermath,
        hooks: Hooks,
    ) -> None:
        self._store = store
        self._edit_store = edit_store
        self._edits = edits
        self._access = access
        self._bus = bus
        self._clock = clock
        self._deliveries = deliveries
        self._filtering = filtering
        self._congestion = congestion
        self._aftermath = aftermath
        self._hooks = hooks

    async def target(self, app: App, conversation_id: str) -> Conversation:
        """Where a message goes. Raises Refused(INVALID_MESSAGING_TARGET), of a temporary one CONVERSATION_NOT_FOUND."""
        try:
            return await self._access.conversation(app, conversation_id)
        except Refused as refusal:
            if refusal.kind is errors.CONVERSATION_NOT_FOUND:
                raise no_target(conversation_id) from None
            raise

    async def send(self, app: App, conversation: Conversation, sender: str, draft: Draft, *, sync: bool) -> Stored:
        """Send in the name of `sender`; `sync`: its own sessions hear it too, but never in a chat room.

        It is on disk when this returns, unless it is transient. Raises Refused.
        """
        check_deliveries(self._deliveries, app)
        check_draft(app, draft)
        self._congestion.check(conversation)
        if app.settings.hook_rest and self._hooks.concern(app, Sending):
            question = Sending(conversation, sender, draft, receivers(conversation, sender), self._clock.now())
            await self._hooks.review(app, question, draft, check_draft)
            conversation = await self.target(app, conversation.id)
        self._filtering.check(app, conversation, draft)
        self._congestion.check(conversation)
        sync = sync and conversation.kind is not ConversationKind.CHATROOM
        if draft.transient:
            now = self._clock.now()
            place = Stored(new_message_id(now), 0, now)
            self._tell(conversation, place, sender, draft, sync=sync)
            self._aftermath.tell(app.key, _sent(conversation, place, sender, draft, sync=sync), draft)
            return place
        future: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()

        def done(outcome: Stored | Refused) -> None:
            if isinstance(outcome, Stored) and not outcome.repeated:
                self._tell(conversation, outcome, sender, draft, sync=sync)
            if not future.done():
                future.set_result(outcome)

        self._aftermath.follow(
            app.key, draft, MessageSent, lambda _, place: _sent(conversation, place, sender, draft, sync=sync)
        )
        self._store.append(conversation, sender, draft, done, checked=False)
        outcome = await future
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    def _tell(self, conversation: Conversation, place: Stored, sender: str, draft: Draft, *, sync: bool) -> None:
        event = _sent(conversation, place, sender, draft, sync=sync)
        message = event.message
        self._bus.publish(event)
        if not sync:
            return
        if sender not in conversation.members:
            self._bus.publish(MessageSynced(_of_sender(conversation, sender), message))
        if draft.replaced is not None:
            self._filtering.tell_author(conversation, message, draft.replaced)

    async def edit(self, app: App, conversation: Conversation, sender: str, edit: Edit, source: str = "") -> None:
        """Edit or recall what `sender` said. Raises Refused: MESSAGE_NOT_FOUND, or what the filter refuses."""
        if edit.draft is not None:
            check_draft(app, edit.draft)
        self._congestion.check(conversation)
        await self._edits.apply_for_app(app, [conversation], sender, edit, source)

    async def delete(self, conversation: Conversation, sender: str, message_id: str, timestamp: int) -> None:
        """Take a message out of the history; who has it keeps it. Raises Refused(MESSAGE_NOT_FOUND)."""
        await self._edit_store.delete(conversation, sender, message_id, timestamp)

    async def rewrite(
        self, app: App, conversation: Conversation, sender: str, message_id: str, timestamp: int, content: str | bytes
    ) -> None:
        """Put other content into the history; nobody is told. The filter looks at it.

        Raises Refused(MESSAGE_NOT_FOUND).
        """
        draft = Draft(content)
        check_draft(app, draft)
        self._filtering.check(app, conversation, draft)
        await self._edit_store.rewrite(conversation, sender, message_id, timestamp, draft.content)


def _sent(conversation: Conversation, place: Stored, sender: str, draft: Draft, *, sync: bool) -> MessageSent:
    whom = narrowed(conversation, sender, draft)
    return MessageSent(whom, placed(place, sender, draft), None, to_sender=sync)


def _of_sender(conversation: Conversation, sender: str) -> Conversation:
    """The conversation as if the sender alone were in it."""
    return Conversation(
        conversation.key,
        conversation.app_key,
        conversation.id,
        conversation.kind,
        conversation.version,
        {sender},
        expires_at=conversation.expires_at,
    )
