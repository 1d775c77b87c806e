"""Who is in which chat room, at every order of joining, leaving, losing and coming back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hongyan import errors
from hongyan.bus.local import LocalBus
from hongyan.engine import chatrooms
from hongyan.engine.chatrooms import Crowd
from hongyan.engine.congestion import Congestion
from hongyan.engine.conversations import Members
from hongyan.engine.engine import Engine
from hongyan.engine.events import ChatRoomEntered, ChatRoomLeft, Event
from hongyan.engine.notifications import Recent
from hongyan.engine.values import (
    REJOIN_WINDOW,
    App,
    Conversation,
    ConversationKind,
    ConversationRow,
    Draft,
    Edit,
    Standing,
    Stored,
)
from hongyan.errors import Refused
from hongyan.store import Store
from tests.engine.test_conversations import start
from tests.engine.test_info import refusal, update
from tests.store.steps import NOON, Wall, held
from tests.store.test_standings import change


@dataclass(eq=False)
class Phone:
    """A session."""

    app: App
    client: str
    device: str = "phone"
    is_open: bool = True


@pytest.fixture
async def hall(engine: Engine, app: App, store: Store) -> Conversation:
    """A chat room with nobody in it."""
    return await make(engine, store, Phone(app, "founder"), leave=True)


async def make(engine: Engine, store: Store, login: Phone, *, leave: bool = False) -> Conversation:
    rows: list[ConversationRow] = []
    await engine.chatrooms.start(login, "", rows.append)
    conversation = await engine.access.conversation(login.app, rows[0].id)
    if leave:
        await out(engine, login, conversation)
    return conversation


async def join(engine: Engine, login: Phone, room: Conversation) -> Members:
    replies: list[Members] = []
    await engine.chatrooms.join(login, room, [login.client], replies.append)
    return replies[0]


async def out(engine: Engine, login: Phone, room: Conversation) -> Members:
    replies: list[Members] = []
    await engine.chatrooms.leave(login, room, [login.client], replies.append)
    return replies[0]


def lose(engine: Engine, login: Phone) -> None:
    login.is_open = False
    engine.chatrooms.ended(login, clean=False)


def log_out(engine: Engine, login: Phone) -> None:
    login.is_open = False
    engine.chatrooms.ended(login, clean=True)


def back(engine: Engine, app: App, client: str = "ann", device: str = "phone") -> Phone:
    """A new login of the client; what has to be read for it may take a moment."""
    login = Phone(app, client, device)
    engine.chatrooms.came_back(login)
    return login


def hearing(events: list[Event]) -> dict[object, int]:
    """Which room each session hears, by what the gateway was told."""
    rooms: dict[object, int] = {}
    for event in events:
        if isinstance(event, ChatRoomEntered):
            assert event.login not in rooms
            rooms[event.login] = event.conversation_key
        elif isinstance(event, ChatRoomLeft):
            assert rooms.pop(event.login) == event.conversation_key
    return rooms


def there(engine: Engine, room: Conversation) -> list[str]:
    found = engine.chatrooms.sample(room, 50)
    assert len(found) == engine.chatrooms.count(room)
    return sorted(found)


async def on_disk(store: Store) -> list[tuple[str, str, int]]:
    """The places a start of the server would find."""
    return sorted((seat.client, seat.device, seat.conversation_key) for seat, _ in await store.seats.lost(1_000))


async def test_a_join_is_on_disk_and_heard_before_it_is_answered(
    engine: Engine, app: App, store: Store, hall: Conversation, bus: LocalBus
) -> None:
    ann, order = Phone(app, "ann"), []  # type: ignore[var-annotated]
    bus.subscribe(order.append)
    await engine.chatrooms.join(ann, hall, ["ann"], order.append)
    entered, reply = order
    assert entered == ChatRoomEntered(hall.key, ann)
    assert reply == Members(hall.id, ("ann",), NOON)
    assert await on_disk(store) == [("ann", "phone", hall.key)]


async def test_one_room_per_login(
    engine: Engine, app: App, store: Store, hall: Conversation, events: list[Event]
) -> None:
    ann = Phone(app, "ann")
    other = await make(engine, store, Phone(app, "bob"))
    await join(engine, ann, hall)
    await join(engine, ann, other)
    assert (there(engine, hall), there(engine, other)) == ([], ["ann", "bob"])
    assert hearing(events)[ann] == other.key
    await out(engine, ann, hall)
    assert there(engine, other) == ["ann", "bob"]
    assert await on_disk(store) == [("ann", "phone", other.key), ("bob", "phone", other.key)]


async def test_a_device_is_in_one_room_whichever_login_of_it_asks(
    engine: Engine, app: App, store: Store, hall: Conversation, events: list[Event]
) -> None:
    old, new = Phone(app, "ann"), Phone(app, "ann")
    other = await make(engine, store, Phone(app, "bob"))
    await join(engine, new, other)
    await join(engine, old, hall)
    assert (there(engine, hall), there(engine, other)) == (["ann"], ["bob"])
    assert new not in hearing(events)
    lose(engine, new)
    log_out(engine, old)
    assert await on_disk(store) == [("bob", "phone", other.key)]


async def test_a_client_on_several_devices_counts_once(
    engine: Engine, app: App, store: Store, hall: Conversation
) -> None:
    phone, tablet = Phone(app, "ann"), Phone(app, "ann", "tablet")
    for login in (phone, tablet, Phone(app, "bob")):
        await join(engine, login, hall)
    assert there(engine, hall) == ["ann", "bob"]
    await out(engine, phone, hall)
    assert there(engine, hall) == ["ann", "bob"]
    lose(engine, tablet)
    assert there(engine, hall) == ["bob"]


async def test_joining_again_is_heard_as_before(
    engine: Engine, app: App, hall: Conversation, events: list[Event]
) -> None:
    ann = Phone(app, "ann")
    await join(engine, ann, hall)
    await join(engine, ann, hall)
    moves = [event for event in events if isinstance(event, ChatRoomEntered | ChatRoomLeft) and event.login is ann]
    assert moves == [ChatRoomEntered(hall.key, ann)]
    assert there(engine, hall) == ["ann"]


@pytest.mark.parametrize("clean", [True, False])
async def test_a_session_that_ends_while_its_join_is_written_is_not_there(
    engine: Engine, app: App, store: Store, hall: Conversation, clean: bool
) -> None:
    ann = Phone(app, "ann")
    async with held(store):
        joining = asyncio.ensure_future(join(engine, ann, hall))
        await asyncio.sleep(0)
        (log_out if clean else lose)(engine, ann)
    await joining
    assert there(engine, hall) == []
    assert await on_disk(store) == ([] if clean else [("ann", "phone", hall.key)])
    back(engine, app)
    assert there(engine, hall) == ([] if clean else ["ann"])


async def test_joins_at_once_end_in_the_last_room(
    engine: Engine, app: App, store: Store, hall: Conversation, events: list[Event]
) -> None:
    ann = Phone(app, "ann")
    other = await make(engine, store, Phone(app, "bob"))
    async with held(store):
        tasks = [asyncio.ensure_future(join(engine, ann, room)) for room in (hall, other, hall, other)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert (there(engine, hall), there(engine, other)) == ([], ["ann", "bob"])
    assert hearing(events)[ann] == other.key
    assert ("ann", "phone", other.key) in await on_disk(store)


# coming back


async def test_who_comes_back_in_time_has_its_place(
    engine: Engine, app: App, store: Store, hall: Conversation, wall: Wall, events: list[Event]
) -> None:
    ann = Phone(app, "ann")
    await join(engine, ann, hall)
    lose(engine, ann)
    assert there(engine, hall) == []
    wall.at += REJOIN_WINDOW
    assert back(engine, app, device="tablet") not in hearing(events)
    again = back(engine, app)
    assert hearing(events)[again] == hall.key
    assert there(engine, hall) == ["ann"]
    assert back(engine, app, client="bob") not in hearing(events)
    wall.at += 1
    assert [(seat.client, at) for seat, at in await store.seats.lost(9)] == [("ann", wall.at)]


async def test_who_comes_back_too_late_has_none(
    engine: Engine, app: App, hall: Conversation, wall: Wall, events: list[Event]
) -> None:
    ann = Phone(app, "ann")
    await join(engine, ann, hall)
    lose(engine, ann)
    wall.at += REJOIN_WINDOW + 1
    assert back(engine, app) not in hearing(events)
    wall.at = NOON
    assert back(engine, app) not in hearing(events)


async def test_who_comes_back_before_the_loss_is_noticed_takes_the_place_over(
    engine: Engine, app: App, store: Store, hall: Conversation, events: list[Event]
) -> None:
    old = Phone(app, "ann")
    await join(engine, old, hall)
    new = back(engine, app)
    engine.chatrooms.came_back(new)
    assert hearing(events) == {new: hall.key}
    lose(engine, old)
    assert there(engine, hall) == ["ann"]
    assert await on_disk(store) == [("ann", "phone", hall.key)]


async def test_a_place_is_given_back_once(engine: Engine, app: App, hall: Conversation, events: list[Event]) -> None:
    ann = Phone(app, "ann")
    await join(engine, ann, hall)
    lose(engine, ann)
    first = back(engine, app)
    await out(engine, first, hall)
    assert back(engine, app) not in hearing(events)


async def test_after_a_restart_all_have_their_places(
    make_engine: Callable[[], Engine], store: Store, wall: Wall, engine: Engine, app: App, events: list[Event]
) -> None:
    """The rooms are read anew: who comes back hears what is said from then on, in the order of asking."""
    ann, bob, eve = (Phone(app, client) for client in ("ann", "bob", "eve"))
    room = await make(engine, store, ann)
    for login in (bob, eve):
        await join(engine, login, room)
    lose(engine, bob)
    log_out(engine, eve)
    wall.at += REJOIN_WINDOW
    restarted = make_engine()
    await restarted.start()
    events.clear()
    (again,) = [each for each in restarted.apps.list() if each.id == app.id]
    logins = [back(restarted, again, client) for client in ("ann", "bob", "eve")]
    assert hearing(events) == {}
    outcome: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()
    restarted.messages.send(again, "eve", room.id, Draft("hello"), outcome.set_result)
    await outcome
    assert hearing(events) == {logins[0]: room.key, logins[1]: room.key}
    wall.at += REJOIN_WINDOW
    once_more = make_engine()
    await once_more.start()
    assert sorted(client for client, *_ in await on_disk(store)) == ["ann", "bob"]


async def test_who_vanishes_while_its_room_is_read_keeps_its_place(
    make_engine: Callable[[], Engine], store: Store, engine: Engine, app: App
) -> None:
    ann = Phone(app, "ann")
    room = await make(engine, store, ann)
    restarted = make_engine()
    await restarted.start()
    (again,) = [each for each in restarted.apps.list() if each.id == app.id]
    early = back(restarted, again)
    early.is_open = False
    restarted.chatrooms.ended(early, clean=False)
    await restarted.access.conversation(again, room.id)
    assert there(restarted, room) == []
    back(restarted, again)
    assert there(restarted, room) == ["ann"]


async def test_who_is_blocked_meanwhile_does_not_come_back(
    engine: Engine, app: App, store: Store, hall: Conversation
) -> None:
    ann = Phone(app, "ann")
    await join(engine, ann, hall)
    lose(engine, ann)
    blocked = {"ann": Standing(blocked_at=NOON)}
    result = await change(store, hall, blocked)
    engine.access.changed(hall, result.version, set(), set(), blocked)
    back(engine, app)
    assert there(engine, hall) == []
    with pytest.raises(Refused, match="BLOCKED_BY_CONV"):
        await join(engine, Phone(app, "ann"), hall)
    assert await on_disk(store) == []


async def test_who_is_put_out_is_out_on_every_device(
    engine: Engine, app: App, store: Store, hall: Conversation, events: list[Event]
) -> None:
    ann, tablet, bob = Phone(app, "ann"), Phone(app, "ann", "tablet"), Phone(app, "bob")
    for login in (ann, tablet, bob):
        await join(engine, login, hall)
    engine.chatrooms.expel(hall, ["ann", "eve"])
    assert (there(engine, hall), hearing(events)) == (["bob"], {bob: hall.key})
    assert await on_disk(store) == [("bob", "phone", hall.key)]
    lose(engine, ann)
    assert back(engine, app) not in hearing(events)


async def test_lost_places_are_bounded(
    engine: Engine, app: App, hall: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chatrooms, "LOST_MAX", 2)
    logins = [Phone(app, client) for client in ("ann", "bob", "eve")]
    for login in logins:
        await join(engine, login, hall)
    for login in logins:
        lose(engine, login)
    for login in logins:
        back(engine, app, login.client)
    assert there(engine, hall) == ["bob", "eve"]


async def test_others_are_not_brought_or_sent_away_inferred(engine: Engine, app: App, hall: Conversation) -> None:
    ann = Phone(app, "ann")
    for clients in ([], ["bob"], ["ann", "bob"]):
        for ask in (engine.chatrooms.join, engine.chatrooms.leave):
            assert await refusal(ask(ann, hall, clients, [].append)) is errors.CONVERSATION_OPERATION_UNAUTHORIZED
    assert there(engine, hall) == []


async def test_changes_of_a_chat_room_take_nobodys_place_among_what_was_missed(
    engine: Engine, app: App, hall: Conversation
) -> None:
    row = await start(engine, app, "ann")
    await join(engine, Phone(app, "ann"), hall)
    engine.notifications._recent = Recent(NOON - 1, 1)
    await update(engine, app, "ann", row.id, {"n": 1})
    await update(engine, app, "ann", hall.id, {"n": 2})
    missed = await engine.notifications.missed(app, "ann", NOON, permanent=False)
    assert [(told.conversation_id, missed.complete) for told in missed.droppable] == [(row.id, True)]


# crowds


def test_a_crowd_is_drawn_from_evenly(app: App) -> None:
    crowd = Crowd()
    logins = [Phone(app, f"client-{number}") for number in range(200)]
    for login in logins:
        crowd.add(login)
    for login in logins[::2]:
        crowd.remove(login)
    left = {login.client for login in logins[1::2]}
    assert (len(crowd), set(crowd.sample(1_000)), crowd.sample(0)) == (100, left, [])
    seen = {client for _ in range(400) for client in crowd.sample(10)}
    assert seen == left
    assert len(set(crowd.sample(50))) == 50


# congestion


async def test_where_too_much_waits_nothing_more_is_taken(engine: Engine, app: App, hall: Conversation) -> None:
    ann = Phone(app, "ann")
    await join(engine, ann, hall)
    sent: list[Stored | Refused] = []
    engine.congestion.set(hall.key, congested=True)
    for transient in (False, True):
        engine.messages.send(app, "ann", hall.id, Draft("hi", transient=transient), sent.append)
    assert [outcome.kind for outcome in sent if isinstance(outcome, Refused)] == [
        errors.MESSAGE_SENT_QUOTA_EXCEEDED
    ] * 2
    update = engine.info.update(app, "ann", hall.id, '{"name":"x"}', None, [].append)
    assert await refusal(update) is errors.MESSAGE_SENT_QUOTA_EXCEEDED
    edit = engine.edits.apply(app, "ann", [Edit(hall.id, "m", 1, Draft("x"))], [].append)
    assert await refusal(edit) is errors.MESSAGE_SENT_QUOTA_EXCEEDED
    engine.congestion.set(hall.key, congested=False)
    outcome: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()
    engine.messages.send(app, "ann", hall.id, Draft("hi"), outcome.set_result)
    assert isinstance(await outcome, Stored)


def test_everywhere_means_where_audiences_are() -> None:
    congestion = Congestion()
    rooms = {kind: Conversation(int(kind), 1, "c", kind, 1, set()) for kind in ConversationKind}
    assert not any(map(congestion.bars, rooms.values()))
    congestion.everywhere = True
    assert [kind for kind, room in rooms.items() if congestion.bars(room)] == [
        ConversationKind.CHATROOM,
        ConversationKind.SERVICE,
    ]
