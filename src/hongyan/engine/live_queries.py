"""LiveQuery: who asked to hear of which conversations, and what a change means to each (reference 10.4).

Subscriptions are in memory. A change marks its conversation; one task at a time looks at what is marked and tells of
it, whatever happened in between, and rests as long as it worked, so that chat never waits for it. A message marks
nothing: of `lm` nobody is told.

Whether a conversation met a condition before is remembered by its key, except where there is no condition: then the
change itself says it. What a subscription may see is looked at anew with each change.
"""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hongyan import errors
from hongyan.engine.conditions import Condition
from hongyan.engine.events import (
    ConversationCreated,
    ConversationMuted,
    ConversationUpdated,
    Event,
    LiveQueriesMatched,
    Match,
    MembersJoined,
    MembersLeft,
)
from hongyan.engine.ports import Bus, LiveQueryStore, Seen
from hongyan.engine.sessions import Sessions, Ticket
from hongyan.engine.values import App, Conversation, ConversationKind, new_object_id
from hongyan.errors import Refused

log = logging.getLogger(__name__)

#: Characters of a subscription id.
ID_MAX = 128
#: Who knows an id hears what it is told. So what not everybody may read is told to ids only that nobody guesses.
ID_MIN = 16
#: Subscriptions of one id and reader, and of one client.
OF_ID_MAX = 20
OF_CLIENT_MAX = 50
#: Subscriptions of an app, by who reads: those of no client in particular are looked at with each change.
OF_APP_MAX = 20_000
OF_EVERYBODY_MAX = 200
#: Conversations remembered as matching: by one subscription, and by all of an app.
MATCHED_MAX = 10_000
MATCHED_OF_APP_MAX = 400_000
#: Conversations of one app that wait to be looked at, and keys that one is told to have changed.
MARKED_MAX = 1_000
KEYS_MAX = 1_000
#: A conversation that changes while it is looked at is looked at again, so that what is told fits together.
TRIES_MAX = 5
#: How long subscriptions outlive the connection of their id (s).
PATIENCE = 300.0
#: Conditions tried in one read, and matches told in one go.
AT_ONCE = 100


class _OvertakenError(Exception):
    """The conversation has changed while it was looked at."""


class Authority(Enum):
    """By what right conversations are read."""

    MASTER = "the master key"
    KEY = "the app key"
    CLIENT = "a client's session"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads conversations. A client has a ticket and sees those of which it is a member, the others see all."""

    authority: Authority
    ticket: Ticket | None = None

    @property
    def client(self) -> str:
        return self.ticket.client if self.ticket else ""

    def is_same(self, other: "Reader") -> bool:
        return self.authority is other.authority and self.client == other.client


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: a condition, None for all, with its text; and which keys of each object, all if empty."""

    where: str
    condition: Condition | None
    keys: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Subscription:
    """`matched` is None while there is no condition; `is_ready` once it is filled, and till then `late` is marked."""

    app: App
    id: str
    reader: Reader
    wish: Wish
    query_id: str = field(default_factory=new_object_id)
    prepared: object = None
    matched: set[int] | None = None
    is_ready: bool = True
    late: dict[int, "_Mark"] = field(default_factory=dict)

    @property
    def client(self) -> str:
        return self.reader.client


@dataclass(slots=True)
class _Mark:
    """What happened to a conversation since it was looked at. `members_before`: who was one at first, and who not."""

    id: str
    is_new: bool = False
    tries: int = 0
    keys: dict[str, None] = field(default_factory=dict)
    members_before: dict[str, bool] = field(default_factory=dict)

    def add(self, other: "_Mark") -> None:
        """What happened later."""
        self.is_new |= other.is_new
        for key in other.keys:
            if len(self.keys) < KEYS_MAX:
                self.keys[key] = None
        for client, was_member in other.members_before.items():
            self.members_before.setdefault(client, was_member)


class _OfApp:
    """The subscriptions of an app, found in each way they are looked for."""

    def __init__(self, key: int) -> None:
        self.key = key
        self.by_id: dict[str, dict[str, _Subscription]] = {}
        self.by_client: dict[str, list[_Subscription]] = {}
        self.by_everybody: list[_Subscription] = []
        self.leaving: dict[str, asyncio.TimerHandle] = {}
        self.marks: dict[int, _Mark] = {}
        self.again: deque[tuple[int, _Mark, _Subscription]] = deque()
        """What changed while one was not ready, for it alone."""
        self.count = self.matched = 0

    def add(self, subscription: _Subscription) -> None:
        self.by_id.setdefault(subscription.id, {})[subscription.query_id] = subscription
        if subscription.reader.authority is Authority.CLIENT:
            self.by_client.setdefault(subscription.client, []).append(subscription)
        else:
            self.by_everybody.append(subscription)
        self.count += 1

    def remove(self, subscription: _Subscription) -> None:
        of_id = self.by_id.get(subscription.id, {})
        if of_id.pop(subscription.query_id, None) is None:
            return
        if not of_id:
            del self.by_id[subscription.id]
            self.stay(subscription.id)
        if subscription.reader.authority is Authority.CLIENT:
            own = self.by_client[subscription.client]
            own.remove(subscription)
            if not own:
                del self.by_client[subscription.client]
        else:
            self.by_everybody.remove(subscription)
        self.count -= 1
        self.matched -= len(subscription.matched or ())

    def has(self, subscription: _Subscription) -> bool:
        return subscription.query_id in self.by_id.get(subscription.id, {})

    def stay(self, id: str) -> None:
        """The subscriptions of this id are not to end by themselves."""
        waiting = self.leaving.pop(id, None)
        if waiting is not None:
            waiting.cancel()

    def end(self, id: str) -> None:
        """End the subscriptions of an id."""
        for subscription in list(self.by_id.get(id, {}).values()):
            self.remove(subscription)

    def concerns(self, clients: Iterable[str]) -> bool:
        """Whether somebody may want to hear of a conversation of these clients."""
        return bool(self.by_everybody) or not self.by_client.keys().isdisjoint(clients)

    def all(self) -> list[_Subscription]:
        return [subscription for of_id in self.by_id.values() for subscription in of_id.values()]


class LiveQueries:
    def __init__(self, store: LiveQueryStore, sessions: Sessions, bus: Bus, patience: float = PATIENCE) -> None:
        self._store = store
        self._bus = bus
        self._patience = patience
        self._apps: dict[int, _OfApp] = {}
        self._connected: set[tuple[int, str]] = set()
        self._working: asyncio.Task[None] | None = None
        self._noters: Mapping[type[Any], Callable[[Any], None]] = {
            ConversationCreated: self._created,
            ConversationUpdated: self._updated,
            ConversationMuted: self._muted,
            MembersJoined: self._joined,
            MembersLeft: self._left,
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
        of_app = self._apps.setdefault(app.key, _OfApp(app.key))
        known = self._known(of_app, id, reader, wish)
        if known is not None:
            known.reader = reader
            return id, known.query_id
        self._check_room(of_app, id, reader)
        subscription = _Subscription(app, id, reader, wish)
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

    def _known(self, of_app: _OfApp, id: str, reader: Reader, wish: Wish) -> _Subscription | None:
        for each in of_app.by_id.get(id, {}).values():
            if each.reader.is_same(reader) and (each.wish.where, each.wish.keys) == (wish.where, wish.keys):
                return each
        return None

    def _check_room(self, of_app: _OfApp, id: str, reader: Reader) -> None:
        of_id = sum(each.reader.is_same(reader) for each in of_app.by_id.get(id, {}).values())
        if of_id >= OF_ID_MAX:
            raise _too_many(f"an id has at most {OF_ID_MAX} subscriptions")
        if reader.authority is Authority.CLIENT:
            if len(of_app.by_client.get(reader.client, ())) >= OF_CLIENT_MAX:
                raise _too_many(f"a client has at most {OF_CLIENT_MAX} subscriptions")
        elif sum(each.reader.authority is reader.authority for each in of_app.by_everybody) >= OF_EVERYBODY_MAX:
            raise _too_many(f"at most {OF_EVERYBODY_MAX} subscriptions are held with {reader.authority.value}")
        if of_app.count >= OF_APP_MAX:
            raise _too_many(f"an app has at most {OF_APP_MAX} subscriptions")

    async def _prepare(self, of_app: _OfApp, subscription: _Subscription, condition: Condition) -> None:
        """Find what matches already. Changes that come meanwhile are looked at afterwards."""
        app_key, client = subscription.app.key, subscription.client
        subscription.prepared = self._store.prepare(app_key, client, condition)
        subscription.matched, subscription.is_ready = set(), False
        try:
            member = client if subscription.reader.authority is Authority.CLIENT else None
            found = await self._store.matching(app_key, member, subscription.prepared, MATCHED_MAX + 1)
            if len(found) > MATCHED_MAX:
                raise _too_many(f"a subscription can't match more than {MATCHED_MAX} conversations")
            if of_app.matched + len(found) > MATCHED_OF_APP_MAX:
                raise _too_many("the subscriptions of this app match too many conversations")
        except BaseException:
            of_app.remove(subscription)
            raise
        if of_app.has(subscription):
            subscription.matched.update(found)
            of_app.matched += len(found)
        subscription.is_ready = True
        of_app.again.extend((conversation, mark, subscription) for conversation, mark in subscription.late.items())
        subscription.late.clear()
        if of_app.again:
            self._begin_work()

    def _expect(self, of_app: _OfApp, id: str) -> None:
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
        mark = _Mark(conversation.id, is_new, keys=dict.fromkeys(keys[:KEYS_MAX]))
        for clients, was_member in ((joined, False), (left, True)):
            mark.members_before.update((client, was_member) for client in clients if client in of_app.by_client)
        self._mark(conversation.app_key, conversation.key, mark)

    def _mark(self, app_key: int, conversation: int, mark: _Mark) -> None:
        marks = self._apps[app_key].marks
        if conversation in marks:
            marks[conversation].add(mark)
        elif len(marks) < MARKED_MAX:
            marks[conversation] = mark
        else:
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

    async def _tell_next(self, of_app: _OfApp) -> None:
        if of_app.again:
            conversation, mark, only = of_app.again.popleft()
        else:
            conversation, only = next(iter(of_app.marks)), None
            mark = of_app.marks.pop(conversation)
        try:
            await self._tell(of_app, conversation, mark, only)
        except _OvertakenError:
            mark.tries += 1
            if only is not None:
                of_app.again.append((conversation, mark, only))
                return
            later = of_app.marks.pop(conversation, None)
            if later is not None:
                mark.add(later)
            of_app.marks[conversation] = mark

    async def _tell(self, of_app: _OfApp, conversation: int, mark: _Mark, only: _Subscription | None = None) -> None:
        seen = await self._store.look(of_app.key, conversation, list(of_app.by_client))
        members = set(seen.row.members) if seen else set()
        subscriptions = [only] if only else self._concerned(of_app, conversation, mark, members, gone=seen is None)
        updated_at = seen.row.updated_at if seen and mark.tries < TRIES_MAX else None
        met = await self._met(of_app, conversation, updated_at, subscriptions, members) if seen else set()
        matches = [
            match
            for each in subscriptions
            if of_app.has(each) and (match := _match(of_app, each, conversation, mark, seen, members, each in met))
        ]
        row, keys = seen.row if seen else None, tuple(mark.keys)
        for start in range(0, len(matches), AT_ONCE):
            part = tuple(matches[start : start + AT_ONCE])
            self._bus.publish(LiveQueriesMatched(of_app.key, mark.id, row, keys, part))
            await asyncio.sleep(0)

    def _concerned(
        self, of_app: _OfApp, conversation: int, mark: _Mark, members: set[str], *, gone: bool
    ) -> list[_Subscription]:
        """Who may have to be told; those that are not ready are told later."""
        if gone:
            found = of_app.all()
        else:
            clients = (of_app.by_client.keys() & members) | mark.members_before.keys()
            found = [*of_app.by_everybody, *(each for client in clients for each in of_app.by_client.get(client, ()))]
        ready = []
        for subscription in found:
            if not subscription.is_ready:
                if len(subscription.late) < MARKED_MAX:
                    subscription.late.setdefault(conversation, _Mark(mark.id)).add(mark)
            elif subscription.reader.authority is Authority.KEY and not subscription.app.settings.conversation_read:
                of_app.remove(subscription)
            else:
                ready.append(subscription)
        return ready

    async def _met(
        self,
        of_app: _OfApp,
        conversation: int,
        updated_at: int | None,
        subscriptions: Sequence[_Subscription],
        members: set[str],
    ) -> set[_Subscription]:
        """Those that may see the conversation and whose condition it meets. Raises _OvertakenError."""
        visible = [each for each in subscriptions if _sees(each.reader, members)]
        met = {each for each in visible if each.matched is None}
        asking = [each for each in visible if each.matched is not None]
        for start in range(0, len(asking), AT_ONCE):
            met |= await self._try(of_app, conversation, updated_at, asking[start : start + AT_ONCE])
        return met

    async def _try(
        self, of_app: _OfApp, conversation: int, updated_at: int | None, asking: Sequence[_Subscription]
    ) -> set[_Subscription]:
        """A condition that takes too long ends its subscription; nobody else loses anything by it."""
        try:
            results = await self._store.matches(conversation, updated_at, [each.prepared for each in asking])
        except Refused as refusal:
            if refusal.kind is not errors.CONVERSATION_QUERY_FAILED:
                raise
            if len(asking) == 1:
                log.info("a live query was ended: %s", refusal)
                of_app.remove(asking[0])
                return set()
            middle = len(asking) // 2
            first = await self._try(of_app, conversation, updated_at, asking[:middle])
            return first | await self._try(of_app, conversation, updated_at, asking[middle:])
        if results is None:
            raise _OvertakenError
        return {each for each, result in zip(asking, results, strict=True) if result}


def check_id(id: str, reader: Reader) -> None:
    """Raises Refused(CONVERSATION_API_FAILED) for an id that can't be, or that others could guess."""
    least = 1 if reader.authority is Authority.KEY else ID_MIN
    if not least <= len(id) <= ID_MAX:
        raise Refused(errors.CONVERSATION_API_FAILED, f"the id of a subscription has {least} to {ID_MAX} characters")


def _too_many(detail: str) -> Refused:
    return Refused(errors.CONVERSATION_API_QUOTA_EXCEEDED, detail)


def _sees(reader: Reader, members: set[str]) -> bool:
    return reader.authority is not Authority.CLIENT or reader.client in members


def _match(
    of_app: _OfApp,
    subscription: _Subscription,
    conversation: int,
    mark: _Mark,
    seen: Seen | None,
    members: set[str],
    is_match: bool,
) -> Match | None:
    """What to tell a subscription, if anything; it remembers it."""
    was_match = _was_match(subscription, conversation, mark, members)
    _remember(of_app, subscription, conversation, is_match)
    if not (was_match or is_match):
        return None
    if is_match:
        op = "update" if was_match else "create" if mark.is_new else "enter"
    else:
        op = "delete" if seen is None else "leave"
    client = subscription.client
    return Match(
        subscription.id,
        subscription.query_id,
        op,
        subscription.wish.keys,
        client,
        muted=seen is not None and client in seen.muted_by,
        hidden=seen is None or not _sees(subscription.reader, members),
    )


def _was_match(subscription: _Subscription, conversation: int, mark: _Mark, members: set[str]) -> bool:
    if subscription.matched is not None:
        return conversation in subscription.matched
    if mark.is_new:
        return False
    client = subscription.client
    return not client or mark.members_before.get(client, client in members)


def _remember(of_app: _OfApp, subscription: _Subscription, conversation: int, is_match: bool) -> None:
    matched = subscription.matched
    if matched is None or (conversation in matched) == is_match:
        return
    if not is_match:
        matched.remove(conversation)
        of_app.matched -= 1
    elif len(matched) < MATCHED_MAX and of_app.matched < MATCHED_OF_APP_MAX:
        matched.add(conversation)
        of_app.matched += 1
