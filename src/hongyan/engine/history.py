"""Reading what was said."""

from hongyan import errors
from hongyan.engine.access import Access, check_member
from hongyan.engine.ports import MessageStore
from hongyan.engine.service_messages import ServiceMessages
from hongyan.engine.values import App, Conversation, ConversationKind, HistoryRange, Message

LIMIT_DEFAULT = 20
LIMIT_MAX = 100


class History:
    def __init__(self, store: MessageStore, access: Access, services: ServiceMessages) -> None:
        self._store = store
        self._access = access
        self._services = services

    async def page(
        self, app: App, client: str, conversation_id: str, wanted: HistoryRange
    ) -> tuple[Conversation, list[Message]]:
        """Messages in ascending order; members only (reference 3.20).

        Of a service conversation any client reads its own stream and the broadcasts.
        """
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind is ConversationKind.SERVICE:
            return conversation, await self._services.page(conversation, client, wanted)
        check_member(conversation, client, errors.CONVERSATION_LOG_REJECTED)
        return conversation, await self._store.page(conversation, wanted)
