"""Service conversations: made by the application only, subscribed to by any number of clients (reference 3.9).

What all subscribers hear is the conversation's own messages; what one client says or hears alone is its stream.
The members are never held in memory.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hongyan import errors
from hongyan.engine import drafts
from hongyan.engine.access import Access
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.conversations import Members, check_client_ids
from hongyan.engine.events import (
    ConversationCreated,
    ConversationDeleted,
    Event,
    MembersJoined,
    MembersLeft,
)
from hongyan.engine.hooks import Hooks
from hongyan.engine.ports import Bus, ConversationStore, ServiceStore
from hongyan.engine.questions import Adding
from hongyan.engine.values import (
    App,
    Conversation,
    ConversationKind,
    ConversationRow,
    MembersChanged,
    Stamp,
    Subscriber,
    Subscription,
)
from hongyan.errors import Refused

#: Subscribers read at once, for whoever walks them all.
SUBSCRIBERS_MAX = 1_000


class Services:
    """`reply` is called at the commit, before the event that tells the client."""

    def __init__(
        self,
        store: ServiceStore,
        conversations: ConversationStore,
        access: Access,
        bus: Bus,
        aftermath: Aftermath,
        hooks: Hooks,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._access = access
        self._bus = bus
        self._aftermath = aftermath
        self._hooks = hooks
        self._keys: dict[int, set[int]] = {}

    async def load(self) -> None:
        for app_key, key in await self._store.keys():
            self._keys.setdefault(app_key, set()).add(key)

    def any(self, app: App) -> bool:
        """Whether the app has service conversations: for all others nothing is looked up at a login."""
        return app.key in self._keys

    def imported(self, app: App, keys: Sequence[int]) -> None:
        """These service conversations were brought in."""
        if keys:
            self._keys.setdefault(app.key, set()).update(keys)

    async def find(self, app: App, conversation_id: str) -> Conversation:
        """Raises Refused: CONVERSATION_NOT_FOUND or SYSTEM_CONVERSATION_REQUIRED."""
        conversation = await self._access.conversation(app, conversation_id)
        if conversation.kind is not ConversationKind.SERVICE:
            raise Refused(errors.SYSTEM_CONVERSATION_REQUIRED, "not a service conversation")
        return conversation

    async def target(self, app: App, conversation_id: str) -> Conversation:
        """`find` for messages, which say of what is not there that it is no target (REST reference 3.1, inferred)."""
        try:
            return await self.find(app, conversation_id)
        except Refused as refusal:
            if refusal.kind is errors.CONVERSATION_NOT_FOUND:
                raise Refused(errors.INVALID_MESSAGING_TARGET, "unknown conversation") from None
            raise

    async def create(self, app: App, values: Mapping[str, Any]) -> ConversationRow:
        """Make one with these attributes; `c` names its creator. Raises Refused(CONVERSATION_UPDATE_FAILED)."""
        draft = await drafts.draft(app, ConversationKind.SERVICE, values)
        rows: list[ConversationRow] = []

        def committed(row: ConversationRow, conversation: Conversation, _: bool) -> None:
            self._access.known(conversation)
            self._keys.setdefault(app.key, set()).add(conversation.key)
            rows.append(row)
            self._bus.publish(ConversationCreated(conversation, by_system=True))

        def told(made: tuple[ConversationRow, Conversation, bool]) -> list[Event]:
            return [ConversationCreated(made[1], by_system=True)]

        following = self._aftermath.after(app.key, told, ConversationCreated)
        await self._conversations.create(app.key, draft, committed, following)
        return rows[0]

    async def erase(self, app: App, conversation_id: str, stamp: Stamp | None = None) -> None:
        """As `Conversations.erase`."""
        conversation = await self.find(app, conversation_id)

        def committed() -> None:
            self._access.forget(app.key, conversation.id)
            self._keys[app.key].discard(conversation.key)
            self._bus.publish(ConversationDeleted(conversation))

        await self._conversations.erase(conversation, committed, stamp)

    async def subscribe(
        self, app: App, conversation: Conversation, client: str, by: str, reply: Callable[[Members], None]
    ) -> None:
        """Raises Refused(BLOCKED_BY_CONV), also if the client refused it itself and another does it (inferred)."""
        check_client_ids([client])
        limit = app.settings.subscriptions_max
        subscribed = await self.subscriptions(app, client)
        if len(subscribed) >= limit and conversation.key not in subscribed:
            raise Refused(errors.CONVERSATION_FULL, f"a client subscribes to at most {limit} service conversations")

        def told(result: MembersChanged) -> list[Event]:
            return [MembersJoined(conversation, result.changed, by, result.updated_at)] if result.changed else []

        def committed(result: MembersChanged) -> None:
            self._access.changed(conversation, result.version, set(), set())
            reply(Members(conversation.id, (client,), result.updated_at))
            for event in told(result):
                self._bus.publish(event)

        following = self._aftermath.after(conversation.app_key, told, MembersJoined)
        await self._store.subscribe(conversation, client, by, committed, following)

    async def unsubscribe(
        self, conversation: Conversation, client: str, by: str, reply: Callable[[Members], None]
    ) -> None:
        check_client_ids([client])

        def told(result: MembersChanged) -> list[Event]:
            return [MembersLeft(conversation, result.changed, by, result.updated_at)] if result.changed else []

        def committed(result: MembersChanged) -> None:
            self._access.changed(conversation, result.version, set(), set())
            reply(Members(conversation.id, (client,), result.updated_at))
            for event in told(result):
                self._bus.publish(event)

        following = self._aftermath.after(conversation.app_key, told, MembersLeft)
        await self._store.unsubscribe(conversation, client, by, committed, following)

    async def subscribe_self(
        self, app: App, conversation: Conversation, by: str, clients: Sequence[str], reply: Callable[[Members], None]
    ) -> None:
        _check_only_self(by, clients)
        await self._hooks.ask(app, Adding(by, (by,), conversation.id))
        await self.subscribe(app, conversation, by, by, reply)

    async def unsubscribe_self(
        self, conversation: Conversation, by: str, clients: Sequence[str], reply: Callable[[Members], None]
    ) -> None:
        _check_only_self(by, clients)
        await self.unsubscribe(conversation, by, by, reply)

    async def subscriptions(self, app: App, client: str) -> list[int]:
        """The keys of the service conversations to which the client has subscribed."""
        keys = self._keys.get(app.key)
        return await self._store.subscriptions(app.key, client, keys) if keys else []

    async def subscribers(self, conversation: Conversation, after: str, limit: int) -> Sequence[Subscriber]:
        """A page of subscribers, by client id: those after this one."""
        return await self._store.subscribers(conversation, after, min(limit, SUBSCRIBERS_MAX))

    async def count(self, conversation: Conversation) -> int:
        return await self._store.count(conversation)

    async def is_subscribed(self, conversation: Conversation, client: str) -> bool:
        return await self._store.is_subscribed(conversation, client)

    async def subscribed(
        self, app: App, client: str, after: Subscription | None, limit: int, *, newest_first: bool
    ) -> Sequence[Subscription]:
        """A page of what the client has subscribed to, by time: what comes after one of them."""
        return await self._store.subscribed(app.key, client, after, limit, newest_first=newest_first)


def _check_only_self(by: str, clients: Sequence[str]) -> None:
    """Raises Refused if a client would have others subscribe, or end what others subscribed to (reference 3.9)."""
    if tuple(dict.fromkeys(clients)) != (by,):
        raise Refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, "clients subscribe only themselves")
