"""Places in chat rooms, on disk."""

import pytest

from hongyan import errors
from hongyan.engine.values import (
    REJOIN_WINDOW,
    Conversation,
    ConversationDraft,
    ConversationKind,
    ConversationRow,
    Seat,
    Standing,
)
from hongyan.errors import Refused
from hongyan.store import Store
from tests.store.steps import APP, NOON, Wall, load
from tests.store.test_standings import change

LIMIT = 1_000


async def room(store: Store, device: str | None = None) -> Conversation:
    made: list[ConversationRow] = []
    draft = ConversationDraft(ConversationKind.CHATROOM, "ann", (), device=device)
    await store.conversations.create(APP, draft, lambda row, *_: made.append(row))
    return await load(store, made[0].id)


def seat(conversation: Conversation, client: str = "bob", device: str = "phone") -> Seat:
    return Seat(APP, client, device, conversation.key, conversation.id)


async def take(store: Store, wanted: Seat) -> int:
    told: list[int] = []
    await store.seats.take(wanted, told.append)
    return told[0]


async def test_places_are_lost_when_the_server_starts(store: Store) -> None:
    hall = await room(store)
    assert await take(store, seat(hall)) == NOON
    assert await take(store, seat(hall)) == NOON
    await take(store, seat(hall, device="tablet"))
    await take(store, seat(hall, client="eve"))
    assert sorted(await store.seats.lost(LIMIT)) == sorted(
        (each, NOON) for each in (seat(hall), seat(hall, device="tablet"), seat(hall, client="eve"))
    )


async def test_a_new_chat_room_has_its_creator_in_it(store: Store) -> None:
    hall = await room(store, device="phone")
    assert hall.members == set()
    assert await store.seats.lost(LIMIT) == [(seat(hall, "ann"), NOON)]


async def test_a_device_has_one_place(store: Store) -> None:
    former, latter = await room(store), await room(store)
    await take(store, seat(former))
    await take(store, seat(latter))
    store.seats.drop(seat(former))  # long since
    assert await store.seats.lost(LIMIT) == [(seat(latter), NOON)]


async def test_a_place_that_is_left_is_gone(store: Store) -> None:
    hall = await room(store)
    told: list[int] = []
    for leave in (lambda: store.seats.leave(seat(hall), told.append),) * 2:
        await take(store, seat(hall, client="eve"))
        await leave()
    await take(store, seat(hall))
    store.seats.drop(seat(hall))
    assert (told, await store.seats.lost(LIMIT)) == ([NOON, NOON], [(seat(hall, client="eve"), NOON)])


async def test_a_lost_place_keeps_its_time_until_it_is_taken_again(store: Store, wall: Wall) -> None:
    hall = await room(store)
    for client in ("bob", "eve", "joe"):
        await take(store, seat(hall, client))
        store.seats.lose(seat(hall, client), NOON + ord(client[0]))
    store.seats.regain(seat(hall, "joe"))
    store.seats.lose(seat(hall, "ann"), NOON)  # there is none
    wall.at += 1_000
    expected = [(seat(hall, "bob"), NOON + 98), (seat(hall, "eve"), NOON + 101), (seat(hall, "joe"), NOON + 1_000)]
    assert await store.seats.lost(LIMIT) == expected
    assert await store.seats.lost(2) == expected[1:]


async def test_places_are_forgotten_after_a_while(store: Store, wall: Wall) -> None:
    hall = await room(store)
    for client, at in (("bob", NOON), ("eve", NOON + 1)):
        await take(store, seat(hall, client))
        store.seats.lose(seat(hall, client), at)
    await take(store, seat(hall, "joe"))
    wall.at += REJOIN_WINDOW + 1
    await store.prune()
    assert [each.client for each, _ in await store.seats.lost(LIMIT)] == ["eve", "joe"]
    wall.at += 1
    assert [each.client for each, _ in await store.seats.lost(LIMIT)] == ["joe"]


async def test_who_is_blocked_and_where_nothing_is_takes_no_place(store: Store) -> None:
    hall = await room(store)
    await change(store, hall, {"bob": Standing(blocked_at=NOON), "eve": Standing(silenced_until=NOON + 9)})
    with pytest.raises(Refused) as refused:
        await take(store, seat(hall))
    assert refused.value.kind is errors.BLOCKED_BY_CONV
    nowhere = Seat(APP, "bob", "phone", 999, "nowhere")
    for ask in (store.seats.take, store.seats.leave):
        with pytest.raises(Refused) as refused:
            await ask(nowhere, lambda at: None)
        assert refused.value.kind is errors.CONVERSATION_NOT_FOUND
    await take(store, seat(hall, "eve"))
    assert [each.client for each, _ in await store.seats.lost(LIMIT)] == ["eve"]
