"""Reading what was said."""

from hongyan import errors
from hongyan.engine.access import Access
from hongyan.engine.ports import MessageStore
from hongyan.engine.values import App, Conversation, ConversationKind, HistoryRange, Message
from hongyan.errors import Refused

LIMIT_DEFAULT = 20
LIMIT_MAX = 100


class History:
    def __init__(self, store: MessageStore, access: Access) -> None:
        self._store = store
        self._access = access

    async def page(
        self, app: App, client: str, conversation_id: str, wanted: HistoryRange
    ) -> tuple[Conversation, list[Message]]:
        """Messages in ascending order; for members, and for anybody in a chat room (reference 3.20)."""
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind != ConversationKind.CHATROOM and client not in conversation.members:
            raise Refused(errors.CONVERSATION_LOG_REJECTED, "not a member")
        return conversation, await self._store.page(conversation, wanted)
