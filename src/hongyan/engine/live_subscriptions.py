"""The subscriptions of LiveQuery in memory: who reads by what right, what was asked for, how many there may be."""

import asyncio
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from hongyan import errors
from hongyan.engine.conditions import Condition
from hongyan.engine.sessions import Ticket
from hongyan.engine.values import App, new_object_id
from hongyan.errors import Refused

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

_numbers = itertools.count()


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

    def sees(self, members: set[str]) -> bool:
        """Whether it may know of a conversation of these members."""
        return self.authority is not Authority.CLIENT or self.client in members

    def is_same(self, other: "Reader") -> bool:
        return self.authority is other.authority and self.client == other.client


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: a condition, None for all, with its text; and which keys of each object, all if empty."""

    where: str
    condition: Condition | None
    keys: tuple[str, ...]


@dataclass(slots=True)
class Mark:
    """What happened to a conversation since it was looked at. `members_before`: who was one at first, and who not.

    `number` tells the order of the latest change and of subscriptions: what came before one it is not told.
    """

    id: str
    is_new: bool = False
    tries: int = 0
    keys: dict[str, None] = field(default_factory=dict)
    members_before: dict[str, bool] = field(default_factory=dict)
    number: int = field(default_factory=lambda: next(_numbers))

    def add(self, other: "Mark") -> None:
        """What happened later."""
        self.number = other.number
        self.is_new |= other.is_new
        for key in other.keys:
            if len(self.keys) < KEYS_MAX:
                self.keys[key] = None
        for client, was_member in other.members_before.items():
            self.members_before.setdefault(client, was_member)


@dataclass(slots=True, eq=False)
class Subscription:
    """`matched` is None while there is no condition; `is_ready` once it is filled, and till then `late` is marked."""

    app: App
    id: str
    reader: Reader
    wish: Wish
    query_id: str = field(default_factory=new_object_id)
    prepared: object = None
    matched: set[int] | None = None
    is_ready: bool = True
    late: dict[int, Mark] = field(default_factory=dict)
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def client(self) -> str:
        return self.reader.client

    def note_late(self, conversation: int, mark: Mark) -> None:
        """A change to be looked at once this is ready."""
        if len(self.late) < MARKED_MAX:
            self.late.setdefault(conversation, Mark(mark.id)).add(mark)


class OfApp:
    """The subscriptions of an app, found in each way they are looked for."""

    def __init__(self, key: int) -> None:
        self.key = key
        self.by_id: dict[str, dict[str, Subscription]] = {}
        self.by_client: dict[str, list[Subscription]] = {}
        self.by_everybody: list[Subscription] = []
        self.leaving: dict[str, asyncio.TimerHandle] = {}
        self.marks: dict[int, Mark] = {}
        self.again: deque[tuple[int, Mark, Subscription]] = deque()
        """What changed while one was not ready, for it alone."""
        self.count = self.matched = 0

    def add(self, subscription: Subscription) -> None:
        self.by_id.setdefault(subscription.id, {})[subscription.query_id] = subscription
        if subscription.reader.authority is Authority.CLIENT:
            self.by_client.setdefault(subscription.client, []).append(subscription)
        else:
            self.by_everybody.append(subscription)
        self.count += 1

    def remove(self, subscription: Subscription) -> None:
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

    def has(self, subscription: Subscription) -> bool:
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

    def all(self) -> list[Subscription]:
        return [subscription for of_id in self.by_id.values() for subscription in of_id.values()]

    def known(self, id: str, reader: Reader, wish: Wish) -> Subscription | None:
        for each in self.by_id.get(id, {}).values():
            if each.reader.is_same(reader) and (each.wish.where, each.wish.keys) == (wish.where, wish.keys):
                return each
        return None

    def check_room(self, id: str, reader: Reader) -> None:
        """Raises Refused(CONVERSATION_API_QUOTA_EXCEEDED) if there is no room for one more."""
        of_id = sum(each.reader.is_same(reader) for each in self.by_id.get(id, {}).values())
        if of_id >= OF_ID_MAX:
            raise _too_many(f"an id has at most {OF_ID_MAX} subscriptions")
        if reader.authority is Authority.CLIENT:
            if len(self.by_client.get(reader.client, ())) >= OF_CLIENT_MAX:
                raise _too_many(f"a client has at most {OF_CLIENT_MAX} subscriptions")
        elif sum(each.reader.authority is reader.authority for each in self.by_everybody) >= OF_EVERYBODY_MAX:
            raise _too_many(f"at most {OF_EVERYBODY_MAX} subscriptions are held with {reader.authority.value}")
        if self.count >= OF_APP_MAX:
            raise _too_many(f"an app has at most {OF_APP_MAX} subscriptions")

    def mark(self, conversation: int, mark: Mark) -> bool:
        """Have a change looked at; false if too many wait."""
        if conversation in self.marks:
            self.marks[conversation].add(mark)
        elif len(self.marks) < MARKED_MAX:
            self.marks[conversation] = mark
        else:
            return False
        return True

    # what matches

    def remember_all(self, subscription: Subscription, found: Sequence[int]) -> None:
        """What a new subscription matches: at most MATCHED_MAX + 1 are asked for.

        Raises Refused(CONVERSATION_API_QUOTA_EXCEEDED).
        """
        if len(found) > MATCHED_MAX:
            raise _too_many(f"a subscription can't match more than {MATCHED_MAX} conversations")
        if self.matched + len(found) > MATCHED_OF_APP_MAX:
            raise _too_many("the subscriptions of this app match too many conversations")
        if self.has(subscription):
            assert subscription.matched is not None
            subscription.matched.update(found)
            self.matched += len(found)

    def remember(self, subscription: Subscription, conversation: int, is_match: bool) -> None:
        matched = subscription.matched
        if matched is None or (conversation in matched) == is_match:
            return
        if not is_match:
            matched.remove(conversation)
            self.matched -= 1
        elif len(matched) < MATCHED_MAX and self.matched < MATCHED_OF_APP_MAX:
            matched.add(conversation)
            self.matched += 1


def check_id(id: str, reader: Reader) -> None:
    """Raises Refused(CONVERSATION_API_FAILED) for an id that can't be, or that others could guess."""
    least = 1 if reader.authority is Authority.KEY else ID_MIN
    if not least <= len(id) <= ID_MAX:
        raise Refused(errors.CONVERSATION_API_FAILED, f"the id of a subscription has {least} to {ID_MAX} characters")


def _too_many(detail: str) -> Refused:
    return Refused(errors.CONVERSATION_API_QUOTA_EXCEEDED, detail)
