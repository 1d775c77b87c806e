"""Received and read: marks, first times, receipts, and what a client has missed."""

import asyncio
import re
from pathlib import Path

import pytest

from hongyan.engine.values import Arrived, Conversation, HistoryRange, Marks, Missed, Receipts, Stored
from hongyan.errors import Refused
from hongyan.store import Store, hot, receipts
from tests.store.conftest import OpenStore
from tests.store.steps import APP, NOON, Wall, batches, held, on_driver, rows, send, start, submit, traced

EVER = 1 << 60


async def received(store: Store, conversation: Conversation, client: str, arrived: Arrived) -> list[str]:
    """Ids of the messages for which the acknowledgement gave receipts."""
    outcome: asyncio.Future[Receipts | Refused] = asyncio.get_running_loop().create_future()
    store.messages.mark_received(conversation, client, arrived, outcome.set_result)
    answer = await outcome
    assert isinstance(answer, Receipts), answer
    return [receipt.message_id for receipt in answer.given]


async def read(store: Store, conversation: Conversation, client: str, upto: int | None = None) -> dict[str, str]:
    """Senders who get a read receipt, and for which message."""
    answers: list[Receipts] = []
    await store.messages.mark_read(conversation, client, upto, lambda _unread, _at, given: answers.append(given))
    ((given, _),) = [(answer.given, answer.at) for answer in answers]
    assert len({receipt.sender for receipt in given}) == len(given)
    return {receipt.sender: receipt.message_id for receipt in given}


async def many(store: Store, conversation: Conversation, sender: str, count: int, **draft: object) -> list[Stored]:
    outcomes = await asyncio.gather(
        *(submit(store, conversation, sender, str(number), **draft) for number in range(count))
    )
    return [outcome for outcome in outcomes if isinstance(outcome, Stored)]


def one(stored: Stored) -> Arrived:
    return Arrived(stored.timestamp, stored.timestamp, stored.id)


def several(first: Stored, last: Stored) -> Arrived:
    return Arrived(first.timestamp, last.timestamp)


async def missed(store: Store, client: str, messages: int = 20, tracked: int = 100) -> list[Missed]:
    return await store.messages.missed(APP, client, 50, messages, tracked)


async def missed_texts(store: Store, client: str) -> list[str | bytes]:
    return [message.content for found in await missed(store, client) for message in found.messages]


async def times(store: Store, conversation: Conversation) -> list[tuple[int | None, int | None]]:
    page = await store.messages.page(conversation, HistoryRange(100))
    return [(message.acked_at, message.read_at) for message in page]


# received


async def test_each_message_that_asked_gives_a_receipt_once(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    asked = await send(store, conversation, "ann", receipt=True)
    await send(store, conversation, "ann")
    again = await send(store, conversation, "ann", receipt=True)
    assert await received(store, conversation, "bob", one(asked)) == [asked.id]
    assert await received(store, conversation, "bob", one(asked)) == []
    assert await received(store, conversation, "bob", several(asked, again)) == [again.id]
    assert await received(store, conversation, "bob", Arrived(0, EVER)) == []


async def test_each_receiver_gives_receipts(store: Store) -> None:
    conversation = await start(store, "ann", "bob", "cem")
    asked = await send(store, conversation, "ann", receipt=True)
    assert await received(store, conversation, "bob", one(asked)) == [asked.id]
    assert await received(store, conversation, "cem", Arrived(0, asked.timestamp)) == [asked.id]


async def test_nobody_acknowledges_own_messages(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann", receipt=True)
    assert await received(store, conversation, "ann", Arrived(0, EVER)) == []
    assert await times(store, conversation) == [(None, None)]


async def test_only_members_acknowledge(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    asked = await send(store, conversation, "ann", receipt=True)
    assert await received(store, conversation, "cem", one(asked)) == []
    assert await times(store, conversation) == [(None, None)]


async def test_a_message_keeps_the_time_of_the_first_acknowledgement(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob", "cem")
    first, second = await send(store, conversation, "ann"), await send(store, conversation, "ann")
    wall.at = NOON + 1_000
    await received(store, conversation, "bob", one(first))
    wall.at = NOON + 2_000
    await received(store, conversation, "cem", several(first, second))
    assert await times(store, conversation) == [(NOON + 1_000, None), (NOON + 2_000, None)]


@pytest.mark.parametrize("strange", [Arrived(0, 0), Arrived(-5, -1), Arrived(EVER, EVER), Arrived(5, 1)])
async def test_a_range_without_messages(store: Store, strange: Arrived) -> None:
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann", receipt=True)
    assert await received(store, conversation, "bob", strange) == []
    assert await store.messages.marks(conversation, "ann") == []


async def test_an_id_that_is_not_at_its_time(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    asked = await send(store, conversation, "ann", receipt=True)
    assert await received(store, conversation, "bob", Arrived(asked.timestamp, asked.timestamp, "other")) == []


async def test_acknowledgements_of_one_batch_go_together(store: Store, path: Path) -> None:
    """Two statements write, whatever their number."""
    conversation = await start(store, "ann", "bob")
    sent = await many(store, conversation, "ann", 8, receipt=True)
    statements = await traced(store)
    async with held(store):
        asking = [asyncio.create_task(received(store, conversation, "bob", one(stored))) for stored in sent]
        await asyncio.sleep(0)  # each has asked
    assert [given for (given,) in await asyncio.gather(*asking)] == [stored.id for stored in sent]
    assert [step for batch in batches(statements) for step in batch if "UPDATE" in step] == [
        "UPDATE member",
        "UPDATE message",
    ]
    assert rows(path, "SELECT ack_seq, ack_extra FROM member WHERE client = 'bob'") == [(8, None)]


async def test_a_very_long_range_is_received_whole_with_receipts_for_the_newest(store: Store, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    sent = await many(store, conversation, "ann", 1_100, receipt=True)
    given = await received(store, conversation, "bob", Arrived(0, EVER))
    assert given == [stored.id for stored in sent[-1_000:]]
    assert rows(path, "SELECT ack_seq FROM member WHERE client = 'bob'") == [(1_100,)]


async def test_a_range_of_own_messages_is_not_looked_through(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has sent much could else keep the writer busy by acknowledging it."""
    monkeypatch.setattr(receipts, "MESSAGES_MAX", 10)
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann")
    own = await many(store, conversation, "bob", 500)
    steps: list[None] = []
    await on_driver(store, lambda driver: driver.set_progress_handler(lambda: steps.append(None), 1))
    assert await received(store, conversation, "bob", several(own[0], own[-1])) == []
    await on_driver(store, lambda driver: driver.set_progress_handler(None, 0))
    assert 0 < len(steps) < 1_000
    assert await received(store, conversation, "bob", Arrived(0, EVER)) == []
    assert rows(path, "SELECT ack_seq FROM member WHERE client = 'bob'") == [(501,)]


async def test_messages_are_looked_at_once(store: Store) -> None:
    """Neither what was acknowledged before nor what another one of the batch was about costs anything."""
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann")
    theirs = await many(store, conversation, "ann", 3)
    own = await many(store, conversation, "bob", 3)
    statements = await traced(store)
    asked = [several(theirs[0], theirs[-1]), several(theirs[0], own[-1]), several(theirs[1], own[0]), one(theirs[2])]
    async with held(store):
        asking = [asyncio.create_task(received(store, conversation, "bob", each)) for each in asked]
        await asyncio.sleep(0)  # each has asked
    await asyncio.gather(*asking)
    await received(store, conversation, "bob", several(theirs[0], theirs[-1]))
    looks = [statement for statement in statements if "FROM message" in statement and "sum(" not in statement]
    ranges = [tuple(map(int, re.findall(r"timestamp [<>]= (\d+)", look))) for look in looks]
    assert [each for each in ranges if each] == [
        (theirs[0].timestamp, theirs[-1].timestamp),
        (theirs[-1].timestamp, own[-1].timestamp),
    ]


async def test_a_sender_who_received_all_before_misses_nothing(store: Store, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    await many(store, conversation, "bob", 3)
    last = await send(store, conversation, "ann")
    await send(store, conversation, "bob")
    where = "SELECT ack_seq FROM member WHERE client = 'bob'"
    assert rows(path, where) == [(3,)]
    await received(store, conversation, "bob", one(last))
    assert rows(path, where) == [(4,)]
    following = await send(store, conversation, "ann")
    await received(store, conversation, "bob", one(following))
    assert rows(path, where) == [(6,)]


# marks


async def test_marks_are_the_times_of_messages(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob", "cem", "dan")
    first = await send(store, conversation, "ann")
    wall.at += 1_000
    second = await send(store, conversation, "ann")
    wall.at += 1_000
    await received(store, conversation, "bob", one(second))
    await read(store, conversation, "bob", first.timestamp)
    await received(store, conversation, "cem", one(first))
    marks = {found.client: found for found in await store.messages.marks(conversation, "ann")}
    assert marks == {
        "bob": Marks("bob", second.timestamp, first.timestamp),
        "cem": Marks("cem", first.timestamp, None),
    }


async def test_who_joins_has_no_marks(store: Store) -> None:
    conversation = await start(store, "ann")
    await send(store, conversation, "ann")
    await store.conversations.add_members(conversation, ["bob"], 500, lambda _: None)
    assert await store.messages.marks(conversation, "ann") == []


# read


async def test_reading_gives_each_sender_a_receipt_for_the_newest_message(store: Store) -> None:
    conversation = await start(store, "ann", "bob", "cem")
    await send(store, conversation, "ann", receipt=True)
    newest = await send(store, conversation, "ann", receipt=True)
    of_cem = await send(store, conversation, "cem", receipt=True)
    await send(store, conversation, "ann")
    await send(store, conversation, "bob", receipt=True)
    assert await read(store, conversation, "bob") == {"ann": newest.id, "cem": of_cem.id}
    assert await read(store, conversation, "bob") == {}


async def test_reading_a_part_gives_receipts_for_that_part(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    first, second, third = await many(store, conversation, "ann", 3, receipt=True)
    assert await read(store, conversation, "bob", first.timestamp) == {"ann": first.id}
    assert await read(store, conversation, "bob", third.timestamp) == {"ann": third.id}
    assert await read(store, conversation, "bob", second.timestamp) == {}


async def test_a_message_keeps_the_time_it_was_first_read(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob", "cem")
    first = await send(store, conversation, "ann")
    await send(store, conversation, "bob")
    wall.at = NOON + 1_000
    await read(store, conversation, "bob", first.timestamp)
    wall.at = NOON + 2_000
    await read(store, conversation, "cem")
    assert await times(store, conversation) == [(None, NOON + 1_000), (None, NOON + 2_000)]


async def test_reading_does_not_acknowledge(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann")
    await read(store, conversation, "bob")
    assert await missed_texts(store, "bob") == ["hello"]


# missed


async def test_what_was_not_acknowledged_is_missed(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    sent = await many(store, conversation, "ann", 5)
    await received(store, conversation, "bob", one(sent[1]))
    await received(store, conversation, "bob", one(sent[3]))
    await send(store, conversation, "bob", "mine")
    assert await missed_texts(store, "bob") == ["0", "2", "4"]
    assert await missed_texts(store, "ann") == ["mine"]


async def test_twenty_of_the_last_hundred_are_told_oldest_first(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await many(store, conversation, "ann", 130)
    (found,) = await missed(store, "bob")
    assert [message.content for message in found.messages] == [str(number) for number in range(30, 50)]
    assert found.more
    await received(store, conversation, "bob", Arrived(0, found.messages[-1].timestamp))
    (rest,) = await missed(store, "bob", messages=80)
    assert (len(rest.messages), rest.more) == (80, False)


async def test_messages_before_one_joined_are_not_missed(store: Store) -> None:
    conversation = await start(store, "ann")
    await send(store, conversation, "ann", "before")
    await store.conversations.add_members(conversation, ["bob"], 500, lambda _: None)
    await send(store, conversation, "ann", "after")
    assert await missed_texts(store, "bob") == ["after"]


async def test_conversations_with_own_messages_only_hide_no_others(store: Store) -> None:
    """A client that has sent last everywhere, and once before it acknowledged, still gets what it missed."""
    wanted = await start(store, "ann", "bob")
    await send(store, wanted, "ann", "wanted")
    for _ in range(60):
        await send(store, await start(store, "ann", "bob"), "bob")
    assert await missed_texts(store, "bob") == ["wanted"]


async def test_marks_survive_a_restart(open_store: OpenStore) -> None:
    store = open_store()
    conversation = await start(store, "ann", "bob")
    sent = await many(store, conversation, "ann", 4, receipt=True)
    await received(store, conversation, "bob", one(sent[0]))
    await received(store, conversation, "bob", one(sent[2]))
    await store.close()
    store = open_store()
    assert await missed_texts(store, "bob") == ["1", "3"]
    assert await received(store, conversation, "bob", Arrived(0, EVER)) == [sent[1].id, sent[3].id]


async def test_marks_use_the_keys(store: Store) -> None:
    def plans(driver: object) -> list[str]:
        found = []
        for text in (hot.ACK_ROWS, hot.READ_ROWS, hot.MISSED_MESSAGES, hot.MISSED_CONVERSATIONS, hot.MARKS):
            values = (0,) * text.count("?")
            found += [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {text}", values)]  # type: ignore[attr-defined]
        return found

    assert [step for step in await on_driver(store, plans) if "SCAN" in step] == []
