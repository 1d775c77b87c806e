"""Reading what was said."""

from dataclasses import replace

from hongyan import errors
from hongyan.engine.access import Access, check_member
from hongyan.engine.ports import MessageStore
from hongyan.engine.service_messages import ServiceMessages
from hongyan.engine.standings import is_blocked
from hongyan.engine.url_rewrites import rewritten
from hongyan.engine.values import OF_MEMBERS, App, Conversation, ConversationKind, HistoryRange, Message
from hongyan.errors import Refused

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
#: A long page is read so many messages at a time, and ends early with more content than this, in bytes or characters.
SLICE = 100
LONG_CONTENT_MAX = 4 << 20


class History:
    def __init__(self, store: MessageStore, access: Access, services: ServiceMessages) -> None:
        self._store = store
        self._access = access
        self._services = services

    async def page(
        self, app: App, client: str, conversation_id: str, wanted: HistoryRange
    ) -> tuple[Conversation, list[Message]]:
        """Messages in ascending order; for members, and of a chat room for all whom it does not block (reference 3.20).

        Of a service conversation any client reads its own stream and the broadcasts.
        """
        conversation = await self._access.conversation(app, conversation_id)
        check_reader(conversation, client)
        if conversation.kind is ConversationKind.SERVICE:
            return conversation, await self.of_client(app, conversation, client, wanted)
        return conversation, await rewritten(app, await self._store.page(conversation, wanted))

    async def of_client(self, app: App, service: Conversation, client: str, wanted: HistoryRange) -> list[Message]:
        """What a client has of a service conversation, in ascending order; who may read it must be known."""
        return await rewritten(app, await self._services.page(service, client, wanted))

    async def long_page(self, app: App, conversation: Conversation, wanted: HistoryRange) -> list[Message]:
        """Messages in the order they are read in; who may read them must be known.

        It may end early, but is empty only where nothing is left.
        """
        found: list[Message] = []
        content = 0
        while len(found) < wanted.limit and content < LONG_CONTENT_MAX:
            slice_ = replace(wanted, limit=min(SLICE, wanted.limit - len(found)))
            page = await self._store.page(conversation, slice_)
            found += page if wanted.newer else reversed(page)
            content += sum(len(message.content) for message in page)
            if len(page) < slice_.limit:
                break
            wanted = replace(wanted, start=found[-1].timestamp, start_id=found[-1].id, start_included=False)
        return await rewritten(app, found)


def check_reader(conversation: Conversation, client: str) -> None:
    """Raises Refused(CONVERSATION_LOG_REJECTED) for who may not read what was said there."""
    if conversation.kind in OF_MEMBERS:
        check_member(conversation, client, errors.CONVERSATION_LOG_REJECTED)
    elif conversation.kind is ConversationKind.CHATROOM and is_blocked(conversation, client):
        raise Refused(errors.CONVERSATION_LOG_REJECTED, "blocked here")
