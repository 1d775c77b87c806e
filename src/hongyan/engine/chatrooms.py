"""Chat rooms: who is in which, and coming back after a lost connection (reference 3.4, 3.8, 3.9).

A device of a client is in one chat room at a time, through the latest of its logins that entered one. Its place is on
disk before that is answered. A place is given up by leaving, by a logout, and by entering another room; when the
connection is lost, or the server, it is kept for `REJOIN_WINDOW`.
"""

import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from hongyan import errors
from hongyan.engine.access import Access, Found
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.clock import Clock
from hongyan.engine.conversations import Members, parse_attributes, said
from hongyan.engine.events import (
    ChatRoomEntered,
    ChatRoomLeft,
    ConversationCreated,
    ConversationDeleted,
    Event,
    MembersJoined,
    MembersLeft,
)
from hongyan.engine.hooks import Hooks
from hongyan.engine.ports import Bus, ConversationStore, SeatStore
from hongyan.engine.questions import Adding, Starting
from hongyan.engine.standings import is_blocked
from hongyan.engine.values import (
    REJOIN_WINDOW,
    App,
    Conversation,
    ConversationDraft,
    ConversationKind,
    ConversationRow,
    Seat,
    Stamp,
)
from hongyan.errors import Refused

#: Lost places that are remembered, about 500 bytes each; of more the oldest are forgotten.
LOST_MAX = 100_000
#: Clients told of one chat room at once.
SAMPLE_MAX = 50

Owner = tuple[int, str, str]
Room = tuple[int, str]


class Login(Protocol):
    """A session, as its door knows it. `device` tells it from the client's sessions elsewhere."""

    @property
    def app(self) -> App: ...
    @property
    def client(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def is_open(self) -> bool: ...


class Crowd:
    """The clients in a chat room and their logins. Whoever is asked for is found at once, however many there are."""

    __slots__ = ("_clients", "_logins", "_places")

    def __init__(self) -> None:
        self._clients: list[str] = []
        self._places: dict[str, int] = {}
        self._logins: dict[str, tuple[Login, ...]] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, client: str) -> bool:
        return client in self._places

    def logins(self, client: str) -> tuple[Login, ...]:
        return self._logins.get(client, ())

    def add(self, login: Login) -> None:
        client = login.client
        if client not in self._places:
            self._places[client] = len(self._clients)
            self._clients.append(client)
        self._logins[client] = (*self.logins(client), login)

    def remove(self, login: Login) -> None:
        client = login.client
        left = tuple(other for other in self._logins[client] if other is not login)
        if left:
            self._logins[client] = left
            return
        del self._logins[client]
        place, last = self._places.pop(client), self._clients.pop()
        if last != client:
            self._clients[place] = last
            self._places[last] = place

    def everybody(self) -> list[Login]:
        return [login for logins in self._logins.values() for login in logins]

    def sample(self, count: int) -> list[str]:
        """Some of the clients, drawn by lot."""
        return random.sample(self._clients, min(count, len(self._clients)))


_NOBODY = Crowd()


class ChatRooms:
    """`reply` is called at the commit; the login hears the room from that moment on, or no more."""

    def __init__(
        self,
        store: SeatStore,
        conversations: ConversationStore,
        access: Access,
        bus: Bus,
        clock: Clock,
        aftermath: Aftermath,
        hooks: Hooks,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._access = access
        self._bus = bus
        self._clock = clock
        self._aftermath = aftermath
        self._hooks = hooks
        self._seats: dict[Login, Seat] = {}
        self._holders: dict[Owner, Login] = {}
        self._crowds: dict[Room, Crowd] = {}
        # places that are kept, by when they were lost
        self._lost: OrderedDict[Owner, tuple[Seat, int]] = OrderedDict()
        # logins with a join on its way to the disk: how many, and of those that have ended whether they logged out
        self._entering: dict[Login, int] = {}
        self._ended: dict[Login, bool] = {}

    async def load(self) -> None:
        """Keep the places of all who were here when the server stopped."""
        for seat, lost_at in await self._store.lost(LOST_MAX):
            self._lost[seat.owner] = (seat, lost_at)

    async def erase(self, conversation: Conversation, stamp: Stamp | None = None) -> None:
        """As `Conversations.erase`. Nobody is in it any more; places that were lost are not given back."""

        def committed() -> None:
            self._access.forget(conversation.app_key, conversation.id)
            for login in self._crowd(conversation).everybody():
                self._rise(login)
            self._bus.publish(ConversationDeleted(conversation))

        await self._conversations.erase(conversation, committed, stamp)

    # in and out

    async def start(self, login: Login, attributes: str, reply: Callable[[ConversationRow], None]) -> None:
        """Make a chat room and enter it. Its members are whoever is there: none are named."""
        name, attr, columns = parse_attributes(attributes)
        await self._ask(login, Starting(login.client, (login.client,), said(name, attr, columns)))
        draft = ConversationDraft(ConversationKind.CHATROOM, login.client, (), name, attr, columns, device=login.device)

        def committed(row: ConversationRow, conversation: Conversation, existing: bool) -> None:
            conversation = self._access.known(conversation)
            assert draft.device is not None
            self._taken(Seat(login.app.key, login.client, draft.device, conversation.key, conversation.id), login)
            reply(row)
            self._bus.publish(ConversationCreated(conversation))

        def told(made: tuple[ConversationRow, Conversation, bool]) -> list[Event]:
            return [ConversationCreated(made[1])]

        following = self._aftermath.after(login.app.key, told, ConversationCreated)
        with self._entrance(login):
            await self._conversations.create(login.app.key, draft, committed, following)

    async def join(
        self, login: Login, conversation: Conversation, clients: Sequence[str], reply: Callable[[Members], None]
    ) -> None:
        """Enter a chat room; `clients` must be just the one that asks (4320, inferred).

        Raises Refused for one that is blocked, also while its place is on its way to the disk.
        """
        _check_self(login, clients)
        _check_not_blocked(conversation, login)
        await self._ask(login, Adding(login.client, (login.client,), conversation.id))
        seat, answer = _seat(conversation, login), _members_reply(conversation, login, reply)

        def committed(updated_at: int) -> None:
            if is_blocked(conversation, login.client):
                self._store.drop(seat)
                return
            self._taken(seat, login)
            answer(updated_at)

        def told(updated_at: int) -> list[Event]:
            return [MembersJoined(conversation, (login.client,), login.client, updated_at)]

        following = self._aftermath.after(login.app.key, told, MembersJoined)
        with self._entrance(login):
            await self._store.take(seat, committed, following)
        _check_not_blocked(conversation, login)

    async def leave(
        self, login: Login, conversation: Conversation, clients: Sequence[str], reply: Callable[[Members], None]
    ) -> None:
        """Leave a chat room, or be out of it already."""
        _check_self(login, clients)
        answer = _members_reply(conversation, login, reply)

        def committed(updated_at: int) -> None:
            seat = self._seats.get(login)
            if seat is not None and seat.conversation_key == conversation.key:
                self._rise(login)
            answer(updated_at)

        def told(updated_at: int) -> list[Event]:
            return [MembersLeft(conversation, (login.client,), login.client, updated_at)]

        following = self._aftermath.after(login.app.key, told, MembersLeft)
        await self._store.leave(_seat(conversation, login), committed, following)

    async def _ask(self, login: Login, question: Starting | Adding) -> None:
        """Ask the app's engine. Raises Refused, also if the login has ended meanwhile."""
        if not self._hooks.concern(login.app, type(question)):
            return
        await self._hooks.ask(login.app, question)
        if not login.is_open:
            raise Refused(errors.SESSION_REQUIRED, "the session was closed meanwhile")

    def expel(self, conversation: Conversation, clients: Iterable[str]) -> None:
        """Put these clients out of a chat room at once, on all their devices. That they may not come back is set."""
        crowd = self._crowd(conversation)
        for login in [login for client in clients for login in crowd.logins(client)]:
            self._store.drop(self._rise(login))

    # logins that come and go

    def came_back(self, login: Login) -> None:
        """A device has logged in: it gets back the place it has lost, if it may.

        It may be still in its place with an earlier login, whose connection nobody has yet noticed to be lost.
        """
        owner = (login.app.key, login.client, login.device)
        holder = self._holders.get(owner)
        if holder is not None:
            if holder is not login:
                seat = self._rise(holder)
                self._sit(seat, login)
            return
        self._forget()
        kept = self._lost.get(owner)
        if kept is not None:
            self._access.with_conversation(
                login.app, kept[0].conversation_id, lambda found: self._give_back(found, *kept, login)
            )

    def ended(self, login: Login, *, clean: bool) -> None:
        """A session is over; `clean`: it logged out, or the server ended it."""
        if login in self._entering:
            self._ended[login] = clean
        if login not in self._seats:
            return
        seat = self._rise(login)
        if clean:
            self._store.drop(seat)
        else:
            at = self._clock.now()
            self._store.lose(seat, at)
            self._lost[seat.owner] = (seat, at)
            self._forget()

    # who is there

    def is_in(self, app_key: int, conversation_id: str, client: str) -> bool:
        return client in self._crowds.get((app_key, conversation_id), _NOBODY)

    def count(self, conversation: Conversation) -> int:
        """How many clients are there, on however many devices."""
        return len(self._crowd(conversation))

    def sample(self, conversation: Conversation, limit: int) -> list[str]:
        """Some of the clients, at most `SAMPLE_MAX`."""
        return self._crowd(conversation).sample(max(0, min(limit, SAMPLE_MAX)))

    def _crowd(self, conversation: Conversation) -> Crowd:
        return self._crowds.get((conversation.app_key, conversation.id), _NOBODY)

    # places

    def _taken(self, seat: Seat, login: Login) -> None:
        """A place is on disk for a login, which may have ended meanwhile."""
        self._sit(seat, login)
        if not login.is_open:
            self.ended(login, clean=self._ended.get(login, False))

    @contextmanager
    def _entrance(self, login: Login) -> Iterator[None]:
        """While the place of a login is on its way to the disk, its end is remembered."""
        self._entering[login] = self._entering.get(login, 0) + 1
        try:
            yield
        finally:
            self._entering[login] -= 1
            if not self._entering[login]:
                del self._entering[login]
                self._ended.pop(login, None)

    def _give_back(self, found: Found, seat: Seat, lost_at: int, login: Login) -> None:
        """Put a login into the place its device has lost, unless something happened to one of them meanwhile."""
        if isinstance(found, Refused) or not login.is_open or self._lost.get(seat.owner) != (seat, lost_at):
            return
        del self._lost[seat.owner]
        if found is None or is_blocked(found, login.client):
            self._store.drop(seat)
        else:
            self._store.regain(seat)
            self._sit(seat, login)

    def _sit(self, seat: Seat, login: Login) -> None:
        """Both the login and the device leave where they were. Who is there already notices nothing."""
        former = self._seats.get(login)
        if former == seat and self._holders.get(seat.owner) is login:
            return
        if former is not None:
            self._rise(login)
            if former.owner != seat.owner:
                self._store.drop(former)
        holder = self._holders.get(seat.owner)
        if holder is not None:
            self._rise(holder)
        self._lost.pop(seat.owner, None)
        self._seats[login] = seat
        self._holders[seat.owner] = login
        self._crowds.setdefault((seat.app_key, seat.conversation_id), Crowd()).add(login)
        self._bus.publish(ChatRoomEntered(seat.conversation_key, login))

    def _rise(self, login: Login) -> Seat:
        seat = self._seats.pop(login)
        del self._holders[seat.owner]
        room = (seat.app_key, seat.conversation_id)
        self._crowds[room].remove(login)
        if not self._crowds[room]:
            del self._crowds[room]
        self._bus.publish(ChatRoomLeft(seat.conversation_key, seat.conversation_id, login))
        return seat

    def _forget(self) -> None:
        """Forget the places that were lost too long ago, or too many."""
        before = self._clock.now() - REJOIN_WINDOW
        while self._lost:
            _, lost_at = next(iter(self._lost.values()))
            if lost_at >= before and len(self._lost) <= LOST_MAX:
                return
            self._lost.popitem(last=False)


def _seat(conversation: Conversation, login: Login) -> Seat:
    return Seat(login.app.key, login.client, login.device, conversation.key, conversation.id)


def _check_not_blocked(conversation: Conversation, login: Login) -> None:
    if is_blocked(conversation, login.client):
        raise Refused(errors.BLOCKED_BY_CONV, "blocked here")


def _check_self(login: Login, clients: Sequence[str]) -> None:
    if set(clients) != {login.client}:
        raise Refused(
            errors.CONVERSATION_OPERATION_UNAUTHORIZED, "clients enter and leave chat rooms themselves, one at a time"
        )


def _members_reply(conversation: Conversation, login: Login, reply: Callable[[Members], None]) -> Callable[[int], None]:
    return lambda updated_at: reply(Members(conversation.id, (login.client,), updated_at))
