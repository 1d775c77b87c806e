"""Random operations on conversations of all kinds against a simple model: the engine and its store, as days go by.

Service conversations and temporary ones, chat rooms that devices lose and find again, and the sweep of old messages.
No socket is needed, and time passes when a step says so.
"""

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from hongyan import errors
from hongyan.bus.local import LocalBus
from hongyan.engine.clock import Clock
from hongyan.engine.conversations import Members
from hongyan.engine.engine import Engine
from hongyan.engine.events import ChatRoomEntered, ChatRoomLeft, Event
from hongyan.engine.query import by_ids
from hongyan.engine.sweeps import Sweeps
from hongyan.engine.values import (
    REJOIN_WINDOW,
    App,
    ConversationKind,
    ConversationRow,
    Draft,
    HistoryRange,
    Message,
    Stored,
)
from hongyan.errors import Kind, Refused
from hongyan.store import Store
from tests.model.compare import difference
from tests.model.places import CONVERSATION_DAYS, DAY, MESSAGE_DAYS, Device, Place, Places, Said, State, Track
from tests.store.steps import Wall

NORMAL, CHATROOM, SERVICE, TEMPORARY = ConversationKind
CLIENTS = ("ann", "bob", "cem", "dan")
DEVICES = (("ann", "phone"), ("ann", "web"), ("bob", "phone"), ("cem", "phone"))
MINUTE = 60_000
SETTINGS = {"limits": "off", "message_days": str(MESSAGE_DAYS), "conversation_days": str(CONVERSATION_DAYS)}
EXPLORE = float(os.environ.get("MODEL_SECONDS", "0"))
"""Seconds of random examples instead of the fixed ones."""
EXAMPLES, STEPS = 25, 50

pytestmark = [pytest.mark.timeout(EXPLORE + 300), pytest.mark.long]

WHO = st.sampled_from(CLIENTS)
SOME = st.sets(WHO, min_size=1, max_size=3).map(sorted)
PLACE = st.integers(0, 7)
TTL = st.sampled_from([60, 3_600, 86_400])
PASSES = st.sampled_from([1, 1_000, MINUTE, 6 * 60 * MINUTE, DAY, DAY, MESSAGE_DAYS * DAY + 1])
AWAY = st.sampled_from([1, MINUTE, 29 * MINUTE, 31 * MINUTE])
CUT = st.sampled_from(["loss", "loss", "logout", "restart"])
DEVICE = st.integers(0, len(DEVICES) - 1)


@dataclass(eq=False)
class Login:
    """A session of a device."""

    app: App
    client: str
    device: str
    is_open: bool = True


class World:
    """The engine over a store, which can be closed and opened again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wall = Wall()
        self.runner = asyncio.Runner()
        self.numbers = itertools.count(1)
        self.inside: dict[int, set[Any]] = {}
        """The logins that hear each chat room."""
        self.runner.run(self.open())

    async def open(self) -> None:
        clock = Clock(self.wall, lambda: 0)
        self.store = Store.open(self.path, bytes(32), clock)
        self.store.start(asyncio.get_running_loop())
        bus = LocalBus()
        bus.subscribe(self._note)
        self.engine = Engine(self.store, bus, clock, bytes(32))
        self.engine.sweeps = Sweeps(self.store.sweep, self.engine.apps, self.engine.access, clock, rest=0)
        await self.engine.start()
        self.inside.clear()

    async def close(self) -> None:
        await self.store.close()

    def _note(self, event: Event) -> None:
        if isinstance(event, ChatRoomEntered):
            self.inside.setdefault(event.conversation_key, set()).add(event.login)
        elif isinstance(event, ChatRoomLeft):
            self.inside[event.conversation_key].remove(event.login)


class Days(RuleBasedStateMachine):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.places = Places()
        self.devices = [Device(*names) for names in DEVICES]
        self.logins: dict[Device, Login] = {}
        self.asked_at: dict[str, int | None] = dict.fromkeys(CLIENTS)
        self.counts: dict[str, dict[str, State | None]] = {client: {} for client in CLIENTS}
        """What a device that asks for changes only counts."""
        self.tokens: list[tuple[str, Place, str, str]] = []
        """A sender, where, the token, the id of the message."""

    def run(self, work: Any) -> Any:
        """Nothing takes no time."""
        self.world.wall.at += 1
        return self.world.runner.run(work)

    @property
    def engine(self) -> Engine:
        return self.world.engine

    @property
    def now(self) -> int:
        return self.world.wall.at

    def place(self, number: int) -> Place:
        return self.places.here[number % len(self.places.here)]

    def of_kind(self, kind: ConversationKind, number: int = 0) -> Place | None:
        found = [place for place in self.places.here if place.kind is kind]
        return found[number % len(found)] if found else None

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())
        for number, device in enumerate(self.devices):
            self.come(device)
            self.enter(number, 0, enters=True)
        for client in CLIENTS[:3]:
            self.subscribe(client, subscribes=True)

    async def _begin(self) -> None:
        number = next(self.world.numbers)
        self.app = await self.engine.apps.create(f"app {number}", id=f"app-{number}", settings=SETTINGS)
        await self._make_service()
        await self._make_room()
        await self._make_room()
        rows: list[ConversationRow] = []
        members = CLIENTS[:3]
        await self.engine.conversations.start(
            self.app, "ann", members, "", unique=False, reply=lambda row, _: rows.append(row)
        )
        self._made(NORMAL, rows[0], members)

    async def _make_service(self) -> None:
        self._made(SERVICE, await self.engine.services.create(self.app, {"name": "news"}))

    async def _make_room(self) -> None:
        rows: list[ConversationRow] = []
        founder = Login(self.app, "founder", "phone")
        await self.engine.chatrooms.start(founder, "", rows.append)
        self.engine.chatrooms.ended(founder, clean=True)
        self._made(CHATROOM, rows[0])

    def _made(
        self, kind: ConversationKind, row: ConversationRow, members: Sequence[str] = (), ends_at: int | None = None
    ) -> None:
        self.places.here.append(Place(row.id, kind, row.updated_at, Track(dict.fromkeys(members, 0)), ends_at))

    # time

    @rule(time=PASSES, sweep=st.sampled_from(["", "", "all", "all", "ended"]))
    def time_passes(self, time: int, sweep: str) -> None:
        self.world.wall.at += time
        if sweep == "ended":
            self.run(self.engine.sweeps.drop_ended())
            self.places.drop_ended(self.now)
        elif sweep:
            self.run(self.engine.sweeps.sweep())
            self.places.sweep(self.now)
        for device in self.devices:
            if device.room not in self.places.here:
                device.room = device.lost_at = None

    def restart(self) -> None:
        self.run(self.world.close())
        self.run(self.world.open())
        found = self.engine.apps.get(self.app.id)
        assert found is not None
        self.app = found
        for device in self.devices:
            if device.online and device.room:
                device.lost_at = self.now
            device.online = False
        self.logins.clear()

    # messages

    @rule(
        clients=st.lists(WHO, min_size=1, max_size=5),
        place=PLACE,
        mentions=st.sets(WHO, max_size=1),
        token=st.booleans(),
    )
    def say_there(self, clients: list[str], place: int, mentions: set[str], token: bool) -> None:
        self.say(clients, place, mentions, token)

    def say(self, clients: list[str], place: int, mentions: set[str], token: bool) -> None:
        target = self.place(place)
        for client in clients:
            number = next(self.world.numbers)
            draft = Draft(f"text {number}", f"token {number}" if token else "", mentions=tuple(mentions))
            stored = self.run(self._refusable(self._send(client, target, draft), self._wrong_target(target, client)))
            if stored is not None:
                track = target.alone_with(client) if target.kind is SERVICE else target.track
                self._said(target, track, stored, client, str(draft.content), frozenset(mentions))
                if token:
                    self.tokens.append((client, target, draft.token, stored.id))

    @rule(choice=st.integers(0, 20))
    def say_again(self, choice: int) -> None:
        """What was sent before has its place, also when it is swept."""
        if not self.tokens:
            return
        client, target, token, id = self.tokens[-1 - choice % len(self.tokens)]
        wrong = self._wrong_target(target, client)
        stored = self.run(self._refusable(self._send(client, target, Draft("again", token)), wrong))
        assert stored is None or (stored.id, stored.repeated) == (id, True)

    @rule(senders=st.lists(st.sampled_from(["news", *CLIENTS]), min_size=1, max_size=4))
    def broadcast(self, senders: list[str]) -> None:
        target = self.of_kind(SERVICE)
        for sender in senders if target else ():
            assert target is not None
            text = f"text {next(self.world.numbers)}"
            stored = self.run(self._broadcast(target, sender, Draft(text)))
            self._said(target, target.track, stored, sender, text)

    @rule(sender=st.sampled_from(["news", *CLIENTS]), clients=SOME)
    def tell(self, sender: str, clients: list[str]) -> None:
        target = self.of_kind(SERVICE)
        if target is not None:
            text = f"text {next(self.world.numbers)}"
            stored = self.run(self._tell(target, sender, clients, Draft(text)))
            for client in clients:
                self._said(target, target.alone_with(client), stored, sender, text)

    async def _send(self, client: str, target: Place, draft: Draft) -> Stored:
        outcome: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()
        self.engine.messages.send(self.app, client, target.id, draft, outcome.set_result)
        stored = await outcome
        if isinstance(stored, Refused):
            raise stored
        return stored

    async def _broadcast(self, target: Place, sender: str, draft: Draft) -> Stored:
        service = await self.engine.services.target(self.app, target.id)
        return await self.engine.service_messages.broadcast(self.app, service, sender, draft)

    async def _tell(self, target: Place, sender: str, clients: list[str], draft: Draft) -> Stored:
        service = await self.engine.services.target(self.app, target.id)
        return await self.engine.service_messages.send_alone(self.app, service, sender, clients, draft, sync=True)

    def _said(
        self,
        place: Place,
        track: Track,
        stored: Stored,
        sender: str,
        text: str,
        mentions: frozenset[str] = frozenset(),
    ) -> None:
        assert not stored.repeated
        track.add(Said(stored.id, stored.timestamp, sender, text, mentions))
        place.used_at = max(place.used_at, stored.timestamp)

    def _has_ended(self, place: Place) -> bool:
        return place not in self.places.living(self.now + 1)  # the time at which the next step runs

    def _is_stranger(self, place: Place, client: str) -> bool:
        return place.kind in (NORMAL, TEMPORARY) and client not in place.track.read

    def _wrong_target(self, place: Place, client: str) -> Kind | None:
        if self._has_ended(place) or self._is_stranger(place, client):
            gone = errors.CONVERSATION_NOT_FOUND
            return gone if place.kind is TEMPORARY else errors.INVALID_MESSAGING_TARGET
        return errors.BLOCKED_BY_CONV if client in place.blocked else None

    async def _refusable(self, work: Any, wrong: Kind | None) -> Any:
        """What comes of it, or nothing if it is refused for this reason; None: it must not be refused."""
        try:
            outcome = await work
        except Refused as refusal:
            if refusal.kind is not wrong:
                raise
            return None
        assert wrong is None, f"{outcome} instead of a refusal with {wrong}"
        return outcome

    # members and marks

    @rule(client=WHO, subscribes=st.booleans())
    def subscribe_or_not(self, client: str, subscribes: bool) -> None:
        self.subscribe(client, subscribes)

    def subscribe(self, client: str, subscribes: bool) -> None:
        target = self.of_kind(SERVICE)
        if target is None:
            return
        replies: list[Members] = []

        async def change() -> None:
            services, service = self.engine.services, await self.engine.services.find(self.app, target.id)
            if subscribes:
                await services.subscribe_self(self.app, service, client, [client], replies.append)
            else:
                await services.unsubscribe_self(service, client, [client], replies.append)

        self.run(change())
        target.used_at = max(target.used_at, replies[0].updated_at)
        read = target.track.read
        if subscribes:
            read.setdefault(client, len(target.track.said))
        elif read.pop(client, None) is not None:
            self._forget(client)

    @rule(client=WHO, place=PLACE, back=st.none() | st.integers(0, 8))
    def read(self, client: str, place: int, back: int | None) -> None:
        """All, or up to a message of those that the client has."""
        target = self.place(place)
        said = [said for track in target.of(client) for said in track.said]
        upto = None if back is None or not said else sorted(each.at for each in said)[-1 - back % len(said)]
        if target.kind is CHATROOM:
            wrong: Kind | None = errors.NORMAL_CONVERSATION_REQUIRED
        elif self._has_ended(target):
            wrong = errors.CONVERSATION_NOT_FOUND
        else:
            wrong = None if target.of(client) else errors.CONVERSATION_MEMBERSHIP_REQUIRED
        mark = self.engine.unread.mark_read(self.app, client, target.id, "", upto)
        self.run(self._refusable(mark, wrong))
        for track in target.of(client) if wrong is None else ():
            track.mark(client, upto)

    @rule(client=WHO, others=SOME, ttl=TTL)
    def start_temporary(self, client: str, others: list[str], ttl: int) -> None:
        """It is found again by its members as long as it lives."""
        members = {client, *others}
        found: list[tuple[ConversationRow, bool]] = []
        start = self.engine.temporary.start
        self.run(start(self.app, client, others, "", ttl=ttl, reply=lambda *reply: found.append(reply)))
        ((row, existing),) = found
        known = [
            place
            for place in self.places.living(self.now)
            if place.kind is TEMPORARY and place.track.read.keys() == members
        ]
        assert existing == bool(known)
        if existing:
            assert row.id == known[0].id
        else:
            self._made(TEMPORARY, row, sorted(members), self.now + ttl * 1_000)
            self.say([client, others[0]], -1, set(), token=False)

    @rule(kind=st.sampled_from([SERVICE, CHATROOM]))
    def make_what_is_gone(self, kind: ConversationKind) -> None:
        if self.of_kind(kind) is None:
            self.run(self._make_service() if kind is SERVICE else self._make_room())

    # chat rooms

    @rule(device=DEVICE, cut=CUT, away=AWAY, blocks=st.booleans())
    def be_away(self, device: int, cut: str, away: int, blocks: bool) -> None:
        """A device goes, or all are lost with the server, and maybe it is blocked; then all come back."""
        who = self.devices[device]
        if cut == "restart":
            self.restart()
        elif who.online:
            self.go(who, clean=cut == "logout")
        self.world.wall.at += away
        if blocks and who.room:
            self.block(who.client, who.room, blocks=True)
        for other in self.devices:
            self.come(other)

    def come(self, who: Device) -> None:
        """Who lost its connection not long ago is where it was, unless it may not."""
        if not who.online:
            login = self.logins[who] = Login(self.app, who.client, who.name)
            self.run(self._come(login))
            who.online = True
            room = who.room
            if room and (who.client in room.blocked or (who.lost_at or 0) < self.now - REJOIN_WINDOW):
                who.room = None
            who.lost_at = None

    async def _come(self, login: Login) -> None:
        self.engine.chatrooms.came_back(login)
        for room in self.places.here:  # whoever waits for a room that is read is served before
            await self.engine.access.conversation(self.app, room.id) if room.ends_at is None else None

    def go(self, who: Device, clean: bool) -> None:
        login = self.logins.pop(who)
        login.is_open = who.online = False
        self.run(self._go(login, clean))
        who.lost_at = None if clean or not who.room else self.now
        who.room = None if clean else who.room

    async def _go(self, login: Login, clean: bool) -> None:
        self.engine.chatrooms.ended(login, clean=clean)

    @rule(device=DEVICE, room=PLACE, enters=st.sampled_from([True, True, False]))
    def enter_or_leave(self, device: int, room: int, enters: bool) -> None:
        self.enter(device, room, enters)

    def enter(self, device: int, room: int, enters: bool) -> None:
        who, target = self.devices[device], self.of_kind(CHATROOM, room)
        if not who.online or target is None:
            return
        blocked = enters and who.client in target.blocked
        self.run(self._refusable(self._enter(who, target, enters), errors.BLOCKED_BY_CONV if blocked else None))
        if enters and not blocked:
            who.room = target
        elif not enters and who.room is target:
            who.room = None

    async def _enter(self, who: Device, target: Place, enters: bool) -> None:
        rooms = self.engine.chatrooms
        change = rooms.join if enters else rooms.leave
        conversation = await self.engine.access.conversation(self.app, target.id)
        await change(self.logins[who], conversation, [who.client], lambda _: None)

    @rule(client=WHO, room=PLACE, blocks=st.sampled_from([True, False, False]))
    def block_or_not(self, client: str, room: int, blocks: bool) -> None:
        target = self.of_kind(CHATROOM, room)
        if target is not None:
            self.block(client, target, blocks)

    def block(self, client: str, target: Place, blocks: bool) -> None:
        replies: list[Members] = []
        lists = self.engine.blacklists
        change = lists.block if blocks else lists.unblock
        self.run(change(self.app, None, target.id, [client], replies.append))
        target.used_at = max(target.used_at, replies[0].updated_at)
        target.blocked = target.blocked | {client} if blocks else target.blocked - {client}
        for who in self.devices:
            if blocks and who.online and who.client == client and who.room is target:
                who.room = None

    # checks

    @rule(page=st.sampled_from([2, 5, 100]))
    def look_at_everything(self, page: int) -> None:
        for client in CLIENTS:
            for place in self.places.here:
                self._look_at_history(client, place, page)
        temporary = [place for place in self.places.here if place.kind is TEMPORARY]
        wanted = by_ids([place.id for place in temporary])
        for client in CLIENTS:
            found = self.run(self.engine.temporary.find(self.app, client, wanted))
            mine = [place for place in temporary if client in place.track.read and not self._has_ended(place)]
            assert {row.id for row in found} >= {place.id for place in mine}
            assert {row.id for row in found} <= {place.id for place in temporary if client in place.track.read}

    def _look_at_history(self, client: str, place: Place, page: int) -> None:
        wrong: Kind | None = None
        if self._has_ended(place):
            wrong = errors.CONVERSATION_NOT_FOUND
        elif self._is_stranger(place, client) or (place.kind is CHATROOM and client in place.blocked):
            wrong = errors.CONVERSATION_LOG_REJECTED
        for newer in (True, False):
            found = self.run(self._refusable(self._walk(client, place, page, newer), wrong))
            expected = place.history(client)
            assert found is None or found == expected, f"{client} reads {difference(found, expected)} of {place}"

    async def _walk(self, client: str, place: Place, limit: int, newer: bool) -> list[tuple[str, str, Any]]:
        found: list[Message] = []
        wanted = HistoryRange(limit, newer)
        while True:
            _, page = await self.engine.history.page(self.app, client, place.id, wanted)
            found = found + page if newer else page + found
            if len(page) < limit:
                return [(message.id, message.sender, message.content) for message in found]
            edge = page[-1 if newer else 0]
            wanted = HistoryRange(limit, newer, edge.timestamp, edge.id)

    @rule(client=WHO)
    def come_back_for_counts(self, client: str) -> None:
        """A device that was away asks for what has changed since, and knows all then."""
        since = self.asked_at[client]
        found, self.asked_at[client] = self.run(self.engine.unread.since(self.app, client, since))
        counts = self.counts[client]
        counts |= {each.conversation_id: _state(each) for each in found}
        for place in self.places.living(self.now):
            if place.of(client):
                known, wanted = counts.get(place.id), place.state(client)
                assert (known and known[:2]) == (wanted and wanted[:2]), f"{client} in {place} since {since}"

    def _forget(self, client: str) -> None:
        """As an SDK that is started anew."""
        self.asked_at[client], self.counts[client] = None, {}

    @invariant()
    def counts_are_exact(self) -> None:
        for client in CLIENTS if self.places.here else ():
            found, _ = self.run(self.engine.unread.since(self.app, client, None))
            states = {place.id: place.state(client) for place in self.places.living(self.now)}
            wanted = {id: state for id, state in states.items() if state}
            told = {each.conversation_id: _state(each) for each in found}
            assert told == wanted, f"{client} has {told} unread instead of {wanted}"

    @invariant()
    def everybody_is_where_it_is(self) -> None:
        for room in self.places.here:
            if room.kind is CHATROOM:
                there = [device for device in self.devices if device.online and device.room is room]
                key = self.run(self.engine.access.conversation(self.app, room.id)).key
                hear = self.world.inside.get(key, set())
                assert hear == {self.logins[device] for device in there}, f"{hear} hear {room}"
                inside = {c for c in CLIENTS if self.engine.chatrooms.is_in(self.app.key, room.id, c)}
                assert inside == {device.client for device in there}


def _state(unread: Any) -> State | None:
    last = unread.last_message.id if unread.last_message else ""
    return (unread.count, unread.mentioned, last) if unread.count else None


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "hongyan.db")
    yield made
    made.runner.run(made.close())
    made.runner.close()


def test_days_go_by_as_in_the_model(world: World, pytestconfig: pytest.Config) -> None:
    def play(**options: Any) -> None:
        chosen = settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            **options,
        )
        run_state_machine_as_test(lambda: Days(world), settings=chosen)

    if EXPLORE:
        _explore(lambda: play(derandomize=False))
    elif pytestconfig.getoption("hypothesis_seed") is not None:
        play(derandomize=False)
    else:
        play(derandomize=True, database=None)


def _explore(play: Callable[[], None]) -> None:
    end = time.monotonic() + EXPLORE
    while time.monotonic() < end:
        play()
