"""What a client has not read yet."""

from hongyan import errors
from hongyan.engine.access import Access, check_member
from hongyan.engine.events import UnreadChanged
from hongyan.engine.ports import Bus, MessageStore
from hongyan.engine.receipts import tell
from hongyan.engine.service_messages import ServiceMessages
from hongyan.engine.services import Services
from hongyan.engine.values import App, ConversationKind, Receipts, Unread, message_id_time
from hongyan.errors import Refused


class UnreadCounts:
    def __init__(
        self, store: MessageStore, access: Access, services: Services, service_messages: ServiceMessages, bus: Bus
    ) -> None:
        self._store = store
        self._access = access
        self._services = services
        self._service_messages = service_messages
        self._bus = bus

    async def since(
        self, app: App, client: str, since: int | None, *, temporary: bool = True
    ) -> tuple[list[Unread], int]:
        """The latest conversations with unread messages, or changed after `since`; and the time of the answer.

        `temporary`: those too that are temporary.
        """
        limit, services = app.settings.unread_conversations, self._services.any(app)
        return await self._store.unread(app.key, client, since, limit, services=services, temporary=temporary)

    async def count(self, app: App, client: str, conversation_id: str | None) -> int:
        """Of one conversation, or of all that a client is told of at a login; of each no more than it is told.

        Raises Refused(CONVERSATION_NOT_FOUND).
        """
        most = app.settings.unread_max
        if conversation_id is None:
            unread, _ = await self.since(app, client, None)
            return sum(min(each.count, most) for each in unread)
        conversation = await self._access.conversation(app, conversation_id)
        return min(await self._store.unread_in(conversation, client), most)

    async def mark_read(
        self, app: App, client: str, conversation_id: str, message_id: str, timestamp: int | None
    ) -> None:
        """Everything up to that message or time is read; without both, everything.

        Tells all the client's sessions, and the senders that asked for receipts.
        """
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind is ConversationKind.SERVICE:
            await self._service_messages.mark_read(conversation, client, message_id, timestamp)
            return
        if conversation.kind is ConversationKind.CHATROOM:
            raise Refused(errors.NORMAL_CONVERSATION_REQUIRED, "chat rooms count nothing as unread")
        check_member(conversation, client, errors.CONVERSATION_MEMBERSHIP_REQUIRED)
        times = [time for time in (timestamp, message_id_time(message_id)) if time is not None]

        def committed(unread: Unread, at: int, receipts: Receipts) -> None:
            self._bus.publish(UnreadChanged(app.key, client, unread, at))
            tell(self._bus, conversation, client, receipts, read=True)

        await self._store.mark_read(conversation, client, max(times, default=None), committed)
