"""What members have received and read, and who is told (reference 3.12, 3.17, 3.18)."""

import asyncio
import functools
from collections.abc import Callable

from hongyan import errors
from hongyan.engine.access import Access, Found, check_member
from hongyan.engine.events import ClientOffline, Event, ReceiptsGiven
from hongyan.engine.ports import Bus, MessageStore
from hongyan.engine.values import (
    OF_MEMBERS,
    App,
    Arrived,
    Conversation,
    ConversationKind,
    Marks,
    Missed,
    Receipts,
    message_id_time,
)
from hongyan.errors import Refused

#: Receipts told in one turn of the event loop, about two milliseconds.
AT_ONCE = 100
#: Messages pushed at a login to clients that want no counts, of each conversation (reference 4.2).
MISSED_MAX = 20


def arrived(message_id: str, since: int | None, until: int | None) -> Arrived | None:
    """What an `ack` says: one message, a range of times, or everything up to a time; None if it says nothing."""
    if message_id:
        time = message_id_time(message_id)
        return None if time is None else Arrived(time, time, message_id)
    if until is None:
        return None
    return Arrived(max(since or 0, 0), until)


def tell(bus: Bus, conversation: Conversation, reader: str, receipts: Receipts, *, read: bool) -> None:
    """Tell the senders that are still members: others learn no more of what goes on there.

    Many are told a few at a time, between other work.
    """
    part, rest = receipts.given[:AT_ONCE], receipts.given[AT_ONCE:]
    given = tuple(receipt for receipt in part if receipt.sender in conversation.members)
    if given:
        bus.publish(ReceiptsGiven(conversation, reader, Receipts(given, receipts.at), read))
    if rest:
        later = functools.partial(tell, bus, conversation, reader, Receipts(rest, receipts.at), read=read)
        asyncio.get_running_loop().call_soon(later)


class ReceiptMarks:
    def __init__(self, store: MessageStore, access: Access, bus: Bus) -> None:
        self._store = store
        self._access = access
        self._bus = bus
        # who has acknowledged anything since it came online, by app
        self._acknowledging: dict[int, set[str]] = {}
        bus.subscribe(self._on_event)

    def _on_event(self, event: Event) -> None:
        if type(event) is ClientOffline:
            self._acknowledging.get(event.app_key, set()).discard(event.client)

    def is_acknowledging(self, app: App, client: str) -> bool:
        """Whether the client, which is online, has acknowledged anything since it came: not all clients ever do."""
        return client in self._acknowledging.get(app.key, ())

    def received(self, app: App, client: str, conversation_id: str, arrived: Arrived, done: Callable[[], None]) -> None:
        """Note what a member has received and tell the senders that asked for it; `done` when it is on disk.

        Nobody is answered: what is no member's business is ignored.
        """

        self._acknowledging.setdefault(app.key, set()).add(client)

        def use(conversation: Found) -> None:
            if not isinstance(conversation, Conversation) or (
                client not in conversation.members and conversation.kind is not ConversationKind.SERVICE
            ):
                done()
                return

            def committed(receipts: Receipts | Refused) -> None:
                done()
                if isinstance(receipts, Receipts):
                    tell(self._bus, conversation, client, receipts, read=False)

            self._store.mark_received(conversation, client, arrived, committed)

        self._access.with_conversation(app, conversation_id, use)

    async def of_others(self, app: App, client: str, conversation_id: str) -> list[Marks]:
        """The marks of the other members, for members. Raises Refused."""
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind not in OF_MEMBERS:
            raise Refused(errors.NORMAL_CONVERSATION_REQUIRED, "there are no marks in this kind of conversation")
        check_member(conversation, client, errors.CONVERSATION_MEMBERSHIP_REQUIRED)
        return await self._store.marks(conversation, client)

    async def missed(self, app: App, client: str, *, temporary: bool = True) -> list[Missed]:
        """What the client has not acknowledged, for a login of a client that wants the messages themselves.

        As many conversations and messages are looked at as others get counts of; temporary ones if `temporary`.
        """
        limits = app.settings
        conversations, tracked = limits.unread_conversations, limits.unread_max
        return await self._store.missed(app.key, client, conversations, MISSED_MAX, tracked, temporary=temporary)
