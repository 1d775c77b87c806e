"""The place of a message: dense `seq`, strictly increasing times, whatever the senders and the clock do."""

import asyncio
from pathlib import Path

import pytest

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import Conversation, Stored, message_id_time
from hongyan.errors import Refused
from hongyan.store import Store, plan
from hongyan.store.plan import AHEAD_MAX
from tests.store.conftest import OpenStore
from tests.store.steps import NOON, Wall, load, rows, send, start, submit

HOUR = 3_600_000
PLACES = (
    "SELECT seq, timestamp, id, sender, CAST(substr(body, 2) AS TEXT) FROM message WHERE conversation = ? ORDER BY seq"
)


def check_order(path: Path, conversation: Conversation, count: int) -> None:
    """Every place is taken once, times increase strictly, ids tell their times."""
    found = rows(path, PLACES, conversation.key)
    assert [row[0] for row in found] == list(range(1, count + 1))
    times = [row[1] for row in found]
    assert times == sorted(set(times))
    assert [message_id_time(row[2]) for row in found] == times
    assert len({row[2] for row in found}) == count
    ((last_seq, last_at),) = rows(
        path, "SELECT last_seq, last_message_at FROM conversation WHERE key = ?", conversation.key
    )
    assert (last_seq, last_at) == (count, times[-1])


async def test_two_senders_at_once(store: Store, path: Path) -> None:
    """Over many batches; each sender's messages stay in the order it sent them."""
    conversation = await start(store, "ann", "bob")

    async def talk(sender: str) -> None:
        for first in range(0, 200, 4):
            await asyncio.gather(*(submit(store, conversation, sender, str(first + n)) for n in range(4)))

    await asyncio.gather(talk("ann"), talk("bob"))
    check_order(path, conversation, 400)
    for sender in ("ann", "bob"):
        said = [row[4] for row in rows(path, PLACES, conversation.key) if row[3] == sender]
        assert said == [str(n) for n in range(200)]


async def test_conversations_have_their_own_order(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the writer remembers the ends of fewer conversations than are busy."""
    monkeypatch.setattr(plan, "HEADS_MAX", 2)
    conversations = [await start(store, "ann", "bob") for _ in range(5)]
    for _ in range(10):
        await asyncio.gather(*(submit(store, each, "ann") for each in conversations for _ in range(2)))
    for each in conversations:
        check_order(path, each, 20)


async def test_time_is_the_clocks_unless_the_last_message_has_it(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob")
    assert [(await send(store, conversation, "ann")).timestamp - NOON for _ in range(3)] == [0, 1, 2]
    wall.at += 2
    assert (await send(store, conversation, "ann")).timestamp == NOON + 3
    wall.at += HOUR
    assert (await send(store, conversation, "ann")).timestamp == NOON + 2 + HOUR


@pytest.mark.parametrize("back", [1, HOUR, 1000 * HOUR])
async def test_a_clock_that_steps_back(open_store: OpenStore, wall: Wall, path: Path, back: int) -> None:
    """While the server runs, and over a restart."""
    store = open_store()
    conversation, quiet = await start(store, "ann", "bob"), await start(store, "ann", "bob")
    await send(store, quiet, "ann")
    await send(store, conversation, "ann")
    wall.at += 5
    await send(store, conversation, "ann")
    wall.at -= back
    await send(store, conversation, "ann")
    await store.close()
    store = open_store()
    for each in (conversation, quiet, await start(store, "ann", "cem")):
        await send(store, await load(store, each.id), "ann")
    wall.at -= back
    await send(store, conversation, "ann")
    wall.at += HOUR * 3000
    last = await send(store, conversation, "ann")
    assert last.timestamp == wall.at
    check_order(path, conversation, 6)
    check_order(path, quiet, 2)


async def test_a_conversation_too_far_ahead_of_the_clock_is_refused(store: Store, wall: Wall, path: Path) -> None:
    conversation, other = await start(store, "ann", "bob"), await start(store, "ann", "bob")
    sending = [submit(store, conversation, "ann") for _ in range(AHEAD_MAX + 3)]
    outcomes = await asyncio.gather(*sending)
    assert [isinstance(outcome, Stored) for outcome in outcomes] == [True] * (AHEAD_MAX + 1) + [False] * 2
    refused = outcomes[-1]
    assert isinstance(refused, Refused)
    assert refused.kind is errors.MESSAGE_SENT_QUOTA_EXCEEDED
    await send(store, other, "ann")
    wall.at += 1
    await send(store, conversation, "ann")
    assert isinstance(await submit(store, conversation, "ann"), Refused)
    check_order(path, conversation, AHEAD_MAX + 2)


async def test_messages_are_taken_while_the_wall_is_set_back(path: Path) -> None:
    wall, steady = Wall(), Wall(0)
    store = Store.open(path, bytes(32), Clock(wall, steady))
    store.start(asyncio.get_running_loop())
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann")
    wall.at -= HOUR
    outcomes = await asyncio.gather(*(submit(store, conversation, "ann") for _ in range(AHEAD_MAX + 1)))
    assert [isinstance(outcome, Stored) for outcome in outcomes] == [True] * AHEAD_MAX + [False]
    steady.at += 10
    outcomes = [await submit(store, conversation, "ann") for _ in range(6)]
    assert [isinstance(outcome, Stored) for outcome in outcomes] == [True] * 5 + [False]
    await store.close()
