"""LiveQuery: who asked to hear of which conversations, and what a change means to each (reference 10.4).

Subscriptions are in memory. A change marks its conversation; one task at a time looks at what is marked and tells of
it, whatever happened in between, and rests as long as it worked, so that chat never waits for it. A message marks
nothing: of `lm` nobody is told.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hongyan.engine.conditions import Condition
from hongyan.engine.events import (
    ConversationCreated,
    ConversationDeleted,
    ConversationMuted,
    ConversationUpdated,
    Event,
    LiveQueriesMatched,
    MembersJoined,
    MembersLeft,
    RowWritten,
)
from hongyan.engine.live_matching import Matching, OvertakenError
from hongyan.engine.live_subscriptions import (
    KEYS_MAX,
    MATCHED_MAX,
    Authority,
    Mark,
    OfApp,
    Reader,
    Subscription,
    Wish,
    check_id,
)
from hongyan.engine.ports import Bus, LiveQueryStore
from hongyan.engine.sessions import Sessions, Ticket
from hongyan.engine.values import App, Conversation, ConversationKind
from hongyan.errors import Refused

log = logging.getLogger(__name__)

#: How long subscriptions outlive the connection of their id (s).
PATIENCE = 300.0
#: Matches told in one go.
AT_ONCE = 100


class LiveQueries:
    def __init__(self, store: LiveQueryStore, sessions: Sessions, bus: Bus, patience: float = PATIENCE) -> None:
        self._store = store
        self._matching = Matching(store)
        self._bus = bus
        self._patience = patience
        self._apps: dict[int, OfApp] = {}
        self._connected: set[tuple[int, str]] = set()
        self._working: asyncio.Task[None] | None = None
        self._noters: Mapping[type[Any], Callable[[Any], None]] = {
            ConversationCreated: self._created,
            ConversationDeleted: self._deleted,
            ConversationUpdated: self._updated,
            ConversationMuted: self._muted,
            MembersJoined: self._joined,
            MembersLeft: self._left,
            RowWritten: self._written,
        }
        bus.subscribe(self._on_event)
        sessions.on_revoked.append(self._revoked)

    # subscriptions

    async def subscribe(self, app: App, reader: Reader, subscription_id: str | None, wish: Wish) -> tuple[str, str]:
        """The id that is told, one of ours if None is given, and the query's own; the same wish is the same query.

        Raises Refused(CONVERSATION_API_QUOTA_EXCEEDED, CONVERSATION_API_FAILED or CONVERSATION_QUERY_FAILED).
        """
        id = uuid.uuid4().hex if subscription_id is None else subscription_id
        check_id(id, reader)
        of_app = self._apps.setdefault(app.key, OfApp(app.key))
        known = of_app.known(id, reader, wish)
        if known is not None:
            known.reader = reader
            return id, known.query_id
        of_app.check_room(id, reader)
        subscription = Subscription(app, id, reader, wish)
        of_app.add(subscription)
        if (app.key, id) not in self._connected:
            self._expect(of_app, id)
        if wish.condition is not None:
            await self._prepare(of_app, subscription, wish.condition)
        return id, subscription.query_id

    def unsubscribe(self, app: App, reader: Reader, subscription_id: str, query_id: str) -> None:
        """End a subscription of this reader; of others nothing is known here."""
        of_app = self._apps.get(app.key)
        found = of_app.by_id.get(subscription_id, {}).get(query_id) if of_app else None
        if of_app is not None and found is not None and found.reader.is_same(reader):
            of_app.remove(found)

    def connected(self, app: App, subscription_id: str) -> None:
        """Somebody listens for this id."""
        self._connected.add((app.key, subscription_id))
        if app.key in self._apps:
            self._apps[app.key].stay(subscription_id)

    def lost(self, app: App, subscription_id: str) -> None:
        """Nobody listens for this id any more; its subscriptions live on for a while."""
        self._connected.discard((app.key, subscription_id))
        of_app = self._apps.get(app.key)
        if of_app is not None and subscription_id in of_app.by_id:
            self._expect(of_app, subscription_id)

    def ended(self, app: App, subscription_id: str) -> None:
        """This id has logged out: its subscriptions end."""
        self._connected.discard((app.key, subscription_id))
        if app.key in self._apps:
            self._apps[app.key].end(subscription_id)

    def count(self, app: App) -> int:
        """How many subscriptions the app has."""
        return self._apps[app.key].count if app.key in self._apps else 0

    async def stop(self) -> None:
        """Tell nothing more."""
        for of_app in self._apps.values():
            for id in list(of_app.leaving):
                of_app.stay(id)
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])

    async def _prepare(self, of_app: OfApp, subscription: Subscription, condition: Condition) -> None:
        """Find what matches already. Changes that come meanwhile are looked at afterwards."""
        app_key, client = subscription.app.key, subscription.client
        subscription.prepared = self._store.prepare(app_key, client, condition)
        subscription.matched, subscription.is_ready = set(), False
        try:
            member = client if subscription.reader.authority is Authority.CLIENT else None
            found = await self._store.matching(app_key, member, subscription.prepared, MATCHED_MAX + 1)
            of_app.remember_all(subscription, found)
        except BaseException:
            of_app.remove(subscription)
            raise
        subscription.is_ready = True
        of_app.again.extend((conversation, mark, subscription) for conversation, mark in subscription.late.items())
        subscription.late.clear()
        if of_app.again:
            self._begin_work()

    def _expect(self, of_app: OfApp, id: str) -> None:
        """End the subscriptions of an id unless somebody listens in time."""
        of_app.stay(id)
        of_app.leaving[id] = asyncio.get_running_loop().call_later(self._patience, of_app.end, id)

    def _revoked(self, ticket: Ticket) -> None:
        """A session was ended, and with it what it let see."""
        for of_app in self._apps.values():
            for subscription in list(of_app.by_client.get(ticket.client, ())):
                if subscription.reader.ticket is not None and subscription.reader.ticket.id == ticket.id:
                    of_app.remove(subscription)

    # changes

    def _on_event(self, event: Event) -> None:
        note = self._noters.get(type(event)) if self._apps else None  # also asked for every message
        if note is not None:
            note(event)

    def _created(self, event: ConversationCreated) -> None:
        self._note(event.conversation, is_new=True)

    def _deleted(self, event: ConversationDeleted) -> None:
        self._note(event.conversation)

    def _updated(self, event: ConversationUpdated) -> None:
        self._note(event.conversation, keys=event.keys)

    def _muted(self, event: ConversationMuted) -> None:
        """Nobody but the member itself is shown that it muted."""
        of_app = self._apps.get(event.conversation.app_key)
        if of_app is not None and event.client in of_app.by_client:
            self._note(event.conversation, keys=("mu",))

    def _joined(self, event: MembersJoined) -> None:
        self._note(event.conversation, keys=("m",), joined=event.joined)

    def _left(self, event: MembersLeft) -> None:
        self._note(event.conversation, keys=("m",), left=event.left)

    def _written(self, event: RowWritten) -> None:
        self._note(event.conversation, keys=event.keys, joined=event.joined, left=event.left)

    def _note(
        self,
        conversation: Conversation,
        *,
        is_new: bool = False,
        keys: Sequence[str] = (),
        joined: Sequence[str] = (),
        left: Sequence[str] = (),
    ) -> None:
        of_app = self._apps.get(conversation.app_key)
        if of_app is None:
            return
        # of a service conversation it is not known here who has subscribed
        there = of_app.by_client if conversation.kind is ConversationKind.SERVICE else conversation.members
        if not (of_app.concerns(there) or of_app.concerns(left)):
            return
        mark = Mark(conversation.id, is_new, keys=dict.fromkeys(keys[:KEYS_MAX]))
        for clients, was_member in ((joined, False), (left, True)):
            mark.members_before.update((client, was_member) for client in clients if client in of_app.by_client)
        if not of_app.mark(conversation.key, mark):
            log.warning("live queries fall behind: a change is not told")
        self._begin_work()

    def _begin_work(self) -> None:
        if self._working is None or self._working.done():
            self._working = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Look at what is marked, a conversation of each app in turn."""
        loop = asyncio.get_running_loop()
        while busy := [of_app for of_app in self._apps.values() if of_app.marks or of_app.again]:
            for of_app in busy:
                began = loop.time()
                try:
                    await self._tell_next(of_app)
                except Refused as refusal:
                    log.warning("a change could not be told to live queries: %s", refusal)
                except Exception:
                    log.exception("a change could not be told to live queries")
                await asyncio.sleep(loop.time() - began)

    async def _tell_next(self, of_app: OfApp) -> None:
        if of_app.again:
            conversation, mark, only = of_app.again.popleft()
        else:
            conversation, only = next(iter(of_app.marks)), None
            mark = of_app.marks.pop(conversation)
        try:
            await self._tell(of_app, conversation, mark, only)
        except OvertakenError:
            mark.tries += 1
            if only is not None:
                of_app.again.append((conversation, mark, only))
                return
            later = of_app.marks.pop(conversation, None)
            if later is not None:
                mark.add(later)
            of_app.marks[conversation] = mark

    async def _tell(self, of_app: OfApp, conversation: int, mark: Mark, only: Subscription | None = None) -> None:
        row, matches = await self._matching.look(of_app, conversation, mark, only)
        keys = tuple(mark.keys)
        for start in range(0, len(matches), AT_ONCE):
            part = tuple(matches[start : start + AT_ONCE])
            self._bus.publish(LiveQueriesMatched(of_app.key, mark.id, row, keys, part))
            await asyncio.sleep(0)
