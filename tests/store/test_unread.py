"""Unread counts and read marks."""

import asyncio
import threading
from pathlib import Path

import pytest

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import Conversation, ConversationKind, Stored, Unread
from hongyan.errors import Refused
from hongyan.store import Store, gathered_reads, read_marks
from hongyan.store import unread as unread_reads
from hongyan.store.database import Bulk
from hongyan.store.plan import Call
from tests.store.steps import APP, NOON, PATIENCE, Wall, held, on_driver, send, start, submit, traced

CLIENTS = ("ann", "bob", "cem")


async def unread(store: Store, client: str, since: int | None = None, limit: int = 50, app: int = APP) -> list[Unread]:
    found, _ = await store.messages.unread(app, client, since, limit)
    return found


async def read(store: Store, conversation: Conversation, client: str, upto: int | None = None) -> Unread:
    results: list[Unread] = []
    await store.messages.mark_read(conversation, client, upto, lambda found, *_: results.append(found))
    return results[0]


async def counts(store: Store, client: str) -> list[tuple[int, bool]]:
    return [(each.count, each.mentioned) for each in await unread(store, client)]


async def test_others_messages_count(store: Store) -> None:
    conversation = await start(store, *CLIENTS)
    for sender in ("ann", "bob", "ann"):
        await send(store, conversation, sender)
    assert [await counts(store, client) for client in CLIENTS] == [[(1, False)], [(2, False)], [(3, False)]]
    assert await unread(store, "dan") == []
    assert await unread(store, "ann", app=APP + 1) == []


async def test_the_last_message_is_told_with_them(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann", "first")
    place = await send(store, conversation, "bob", b"\xff", receipt=True)
    (told,) = await unread(store, "bob")
    assert (told.conversation_id, told.kind, told.last_seq) == (conversation.id, ConversationKind.NORMAL, 2)
    message = told.last_message
    assert message is not None
    assert (message.id, message.sender, message.content, message.receipt) == (place.id, "bob", b"\xff", True)


async def test_read_marks_only_go_forward(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob")
    for _ in range(5):
        await send(store, conversation, "ann")
        wall.at += 10
    left = [(await read(store, conversation, "bob", upto)).count for upto in (NOON + 10, NOON + 19, NOON + 5, NOON - 1)]
    assert left == [3, 3, 3, 3]
    assert (await read(store, conversation, "bob", NOON + 40)).count == 0
    assert (await read(store, conversation, "bob", NOON)).count == 0
    await send(store, conversation, "ann")
    assert (await read(store, conversation, "bob", 1 << 60)).count == 0
    assert await unread(store, "bob") == []


#: Steps of SQLite's virtual machine for a message that is marked as read.
STEPS_PER_MARK = 50


async def test_marking_costs_no_more_rows_than_it_marks(store: Store) -> None:
    """Reading a long conversation in small steps from either end, or again, looks at few of its messages."""
    conversation, looks = await start(store, "ann", "bob"), list[None]()
    places = await asyncio.gather(*(submit(store, conversation, "bob" if n % 4 else "ann") for n in range(1_000)))
    times = [place.timestamp for place in places if isinstance(place, Stored)]
    await on_driver(store, lambda driver: driver.set_progress_handler(lambda: looks.append(None), 100))
    left, marked = [], -1
    for n in (1, 2, 1, 995, 998, 999, 2, -1):
        looks.clear()
        left.append((await read(store, conversation, "bob", times[n] if n >= 0 else 0)).count)
        assert len(looks) < 10 + max(0, n - marked) * STEPS_PER_MARK / 100
        marked = max(n, marked)
    assert left == [249, 249, 249, 1, 0, 0, 0, 0]


async def test_what_a_mark_far_inside_passes_is_not_counted_by_the_writer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await start(store, "ann", "bob")
    places = await asyncio.gather(*(submit(store, conversation, "bob" if n % 4 else "ann") for n in range(100)))
    times = [place.timestamp for place in places if isinstance(place, Stored)]
    monkeypatch.setattr(read_marks, "COUNTED_MAX", 10)
    statements = await traced(store)
    left = []
    for n in (40, 60, 55, 95):
        left.append((await read(store, conversation, "bob", times[n])).count)
        if n == 40:
            assert not [statement for statement in statements if "count(*)" in statement]
    assert left == [14, 9, 9, 1]
    # own messages that come meanwhile stay counted
    async with held(store):
        reading = asyncio.ensure_future(read(store, conversation, "ann", times[50]))
        await asyncio.sleep(0)
        sending = [submit(store, conversation, "ann") for _ in range(5)]
    await asyncio.gather(*sending)
    assert (await reading).count == sum(n % 4 != 0 for n in range(51, 100))


async def test_a_mark_that_another_one_overtakes_is_counted_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await start(store, "ann", "bob")
    places = await asyncio.gather(*(submit(store, conversation, "bob" if n % 4 else "ann") for n in range(100)))
    times = [place.timestamp for place in places if isinstance(place, Stored)]
    monkeypatch.setattr(read_marks, "COUNTED_MAX", 10)
    far, near = await asyncio.gather(
        read(store, conversation, "bob", times[80]), read(store, conversation, "bob", times[40])
    )
    assert (far.count, near.count) in {(4, 4), (4, 14)}
    assert (await read(store, conversation, "bob", times[80])).count == 4


async def test_reading_an_empty_conversation(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    for upto in (None, NOON):
        told = await read(store, conversation, "bob", upto)
        assert (told.count, told.last_seq, told.last_message) == (0, 0, None)


async def test_only_members_read(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    with pytest.raises(Refused) as refusal:
        await read(store, conversation, "cem")
    assert refusal.value.kind is errors.CONVERSATION_MEMBERSHIP_REQUIRED


async def test_mentions(store: Store, wall: Wall) -> None:
    conversation = await start(store, *CLIENTS)
    await send(store, conversation, "ann", mentions=("bob", "dan"))
    wall.at += 10
    await send(store, conversation, "ann")
    assert [await counts(store, client) for client in ("bob", "cem")] == [[(2, True)], [(2, False)]]
    assert (await read(store, conversation, "bob", NOON)).mentioned is False
    await send(store, conversation, "ann", mention_all=True)
    assert [await counts(store, client) for client in ("bob", "cem")] == [[(2, True)], [(3, True)]]
    assert (await read(store, conversation, "cem")).mentioned is False


async def test_nobody_is_mentioned_by_oneself(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann")
    await send(store, conversation, "bob", mentions=("bob", "ann"))
    assert await counts(store, "bob") == [(1, False)]
    assert await counts(store, "ann") == [(1, True)]
    await send(store, conversation, "bob", mention_all=True)
    assert await counts(store, "bob") == [(1, False)]
    await send(store, conversation, "ann", mention_all=True)
    await send(store, conversation, "bob", mention_all=True)
    assert await counts(store, "bob") == [(2, True)]


async def test_who_joins_has_nothing_unread(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann", mention_all=True)
    await store.conversations.add_members(conversation, ["cem"], 500, lambda _: None)
    assert await unread(store, "cem") == []
    await send(store, conversation, "ann")
    assert await counts(store, "cem") == [(1, False)]
    await store.conversations.remove_members(conversation, ["cem"], lambda _: None)
    assert await unread(store, "cem") == []


async def test_the_latest_conversations_first_and_only_so_many(store: Store, wall: Wall) -> None:
    conversations = [await start(store, "ann", "bob") for _ in range(5)]
    for each in (*conversations, conversations[1]):
        wall.at += 1
        await send(store, each, "ann")
    found = [each.conversation_id for each in await unread(store, "bob", limit=3)]
    assert found == [conversations[n].id for n in (1, 4, 3)]
    found = [each.conversation_id for each in await unread(store, "bob", since=NOON, limit=3)]
    assert found == [conversations[n].id for n in (1, 4, 3)]


@pytest.mark.parametrize(("statement", "values"), [(unread_reads.all_of(50), 4), (unread_reads.since(50), 5)])
async def test_last_messages_are_fetched_only_for_what_is_told(store: Store, statement: Bulk, values: int) -> None:
    """After the sorting: who has thousands of conversations doesn't read as many messages."""
    query = statement._texts[1]
    plan = await on_driver(store, lambda d: d.execute(f"EXPLAIN QUERY PLAN {query}", (1,) * values).fetchall())
    steps = [row[3] for row in plan]
    fetching = next(n for n, step in enumerate(steps) if step.startswith("SEARCH l "))
    assert "USE TEMP B-TREE FOR ORDER BY" in steps[:fetching]


async def test_many_ask_at_once_and_each_is_told_its_own(store: Store) -> None:
    """More than are read together, with limits and times of their own, some of them for nothing."""
    clients = [f"client\0{number}" for number in range(3 * gathered_reads.BATCH_MAX + 5)]
    conversations = [await start(store, "ann", client) for client in clients]
    for conversation in conversations[::2]:
        await send(store, conversation, "ann", f"to {conversation.id}", mentions=(clients[2],))
    asking = [
        unread(store, client, since=(None, 0)[number % 3 == 0], limit=40 + number % 2)
        for number, client in enumerate(clients)
    ]
    found = await asyncio.gather(*asking)
    told = [[(each.conversation_id, each.count, each.last_message) for each in states] for states in found]
    assert [[(id, count, message and message.content) for id, count, message in states] for states in told] == [
        [(each.id, 1, f"to {each.id}")] if number % 2 == 0 else [] for number, each in enumerate(conversations)
    ]
    assert [number for number, states in enumerate(found) if states and states[0].mentioned] == [2]
    assert found[2][0].last_message is not None
    assert found[2][0].last_message.mentions == (clients[2],)


@pytest.mark.parametrize("content", [b"", "", bytes(range(256)), "好" * unread_reads.LONG, b"\xff" * 60_000])
async def test_the_last_message_is_told_whatever_its_length(store: Store, content: str | bytes) -> None:
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann", content)
    (told,) = await unread(store, "bob")
    assert told.last_message is not None
    assert told.last_message.content == content


async def test_counts_that_cannot_be_read_fail_nobody_else(store: Store) -> None:
    """Of clients who are read together, one has a last message that is damaged on the disk."""
    good, bad = await start(store, "ann", "bob"), await start(store, "ann", "cem")
    for each in (good, bad):
        await send(store, each, "ann")
    damage = "UPDATE message SET body = x'00ff' WHERE conversation = ?"
    await on_driver(store, lambda driver: driver.execute(damage, (bad.key,)).rowcount)
    of_bob, of_cem = await asyncio.gather(unread(store, "bob"), unread(store, "cem"), return_exceptions=True)
    assert isinstance(of_cem, UnicodeDecodeError)
    assert isinstance(of_bob, list)
    assert [each.conversation_id for each in of_bob] == [good.id]


async def test_since_tells_what_changed(store: Store, wall: Wall) -> None:
    """A message or a read mark, also when nothing is left unread; not what stayed as it was."""
    old, fresh, marked, empty = [await start(store, "ann", "bob") for _ in range(4)]
    for each in (old, marked):
        await send(store, each, "ann")
    wall.at += 10
    _, at = await store.messages.unread(APP, "bob", None, 50)
    await send(store, fresh, "ann")
    await read(store, marked, "bob")
    await read(store, empty, "bob")
    found = {each.conversation_id: each.count for each in await unread(store, "bob", since=at)}
    assert found == {fresh.id: 1, marked.id: 0}
    assert [each.conversation_id for each in await unread(store, "ann", since=at)] == [fresh.id]


async def test_the_time_of_an_answer_hides_nothing_that_is_being_written(store: Store, wall: Wall) -> None:
    """A message planned before the question, committed after it, is later than the answer's time."""
    conversation = await start(store, "ann", "bob")
    async with held(store):
        wall.at += 1_000  # the batch under way was planned before this
        asking = asyncio.ensure_future(store.messages.unread(APP, "bob", None, 50))
        await asyncio.sleep(0)  # it has asked
    found, at = await asking
    assert (found, at) == ([], NOON - 1)
    wall.at -= 1_000
    await send(store, conversation, "ann")
    assert [each.count for each in await unread(store, "bob", since=at)] == [1]


async def test_the_time_of_an_answer_hides_nothing_that_is_planned_meanwhile(path: Path) -> None:
    """A batch is planned, and a second passes, between the question and its look at the clock."""
    wall, planned, release = Wall(), threading.Event(), threading.Event()

    def hold(_: object) -> None:
        planned.set()
        assert release.wait(PATIENCE)

    def look() -> int:
        if holding and threading.current_thread() is threading.main_thread() and not planned.is_set():
            store.writer.submit(Call(hold, lambda _: None))
            assert planned.wait(PATIENCE)
            wall.at += 1_000
        return wall.at

    holding = False
    store = Store.open(path, bytes(32), Clock(look, lambda: 0))
    store.start(asyncio.get_running_loop())
    holding = True
    assert store.writer.horizon() == NOON - 1
    release.set()
    await store.close()


async def test_the_time_told_with_a_read_mark_hides_nothing_that_is_not_told_yet(store: Store, wall: Wall) -> None:
    """The client begins its next look-up there; a message that was told after the mark must be in the answer."""
    conversation, other = await start(store, "ann", "bob"), await start(store, "ann", "bob")
    told: list[object] = []
    async with held(store):
        marking = store.messages.mark_read(conversation, "bob", None, lambda _unread, at, _receipts: told.append(at))
        sending = submit(store, other, "ann")
        sending.add_done_callback(told.append)
    await asyncio.gather(marking, sending)
    at = told[0]
    assert isinstance(at, int)
    assert told[1:] == [sending]
    assert [each.conversation_id for each in await unread(store, "bob", since=at)] == [other.id]
