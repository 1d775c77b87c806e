"""Group commit, by counting: statements and commits per batch, and system calls to the sockets."""

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysqlite3 import dbapi2 as sqlite

from hongyan.engine.values import Conversation, Draft, MembersChanged, Stored
from hongyan.errors import Refused
from hongyan.store import Store
from hongyan.store.database import Bulk
from hongyan.store.writer import BATCH_MAX, Batch
from tests.store.conftest import OpenStore
from tests.store.steps import batches, held, load, on_driver, rows, send, start, submit, traced


async def test_a_batch_is_one_commit_and_one_statement_per_table(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann")
    commits: list[Batch] = []
    store.writer.on_batch = commits.append
    statements = await traced(store)
    commits.clear()
    async with held(store):
        sending = [submit(store, conversation, "ann", token=str(n), mentions=("bob",)) for n in range(128)]
    await asyncio.gather(*sending)
    _, batch = batches(statements)
    assert batch == [
        "BEGIN IMMEDIATE",
        "SELECT sent_token",
        "INSERT message",
        "UPDATE conversation",
        "UPDATE member",
        "INSERT sent_token",
        "UPDATE member",
        "COMMIT",
    ]
    assert commits == [Batch(1, 0), Batch(128, 128)]


async def test_many_senders_and_conversations_share_the_statements(store: Store) -> None:
    conversations = [await start(store, f"client{n}", "bob") for n in range(128)]
    statements = await traced(store)
    async with held(store):
        sending = [submit(store, each, f"client{n}") for n, each in enumerate(conversations)]
    await asyncio.gather(*sending)
    assert batches(statements)[-1] == [
        "BEGIN IMMEDIATE",
        "SELECT conversation",
        "INSERT message",
        "UPDATE conversation",
        "UPDATE member",
        "INSERT author",
        "COMMIT",
    ]


@pytest.mark.parametrize("messages", [1, 2, 3, 5, 64, 100, 300, 512])
async def test_a_batch_is_one_statement_per_table(store: Store, messages: int) -> None:
    """Its length is one of a few, so that a handful of texts stays prepared; what fills it up is not written."""
    conversation = await start(store, "ann", "bob")
    statements = await traced(store)
    async with held(store):
        sending = [submit(store, conversation, "ann") for _ in range(messages)]
    await asyncio.gather(*sending)
    counted = Counter(batches(statements)[-1])
    assert (counted["INSERT message"], counted["COMMIT"]) == (1, 1)
    count = "SELECT count(*) FROM message"
    assert await on_driver(store, lambda driver: driver.execute(count).fetchone()) == (messages,)


@given(st.integers(1, 1_100))
def test_a_statement_of_any_length_sees_each_row_once(count: int) -> None:
    statement = Bulk("SELECT column1, column2 FROM (VALUES {rows: (?, ?)}) WHERE column1 IS NOT NULL")
    rows = [(number, None if number % 3 else "x") for number in range(count)]
    with contextlib.closing(sqlite.connect(":memory:")) as connection:
        assert statement.run(connection, rows) == rows


async def test_a_batch_is_bounded(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    commits: list[Batch] = []
    store.writer.on_batch = commits.append
    async with held(store):
        sending = [submit(store, conversation, "ann") for _ in range(BATCH_MAX + 1)]
    await asyncio.gather(*sending)
    assert [commit.messages for commit in commits] == [0, BATCH_MAX, 1]


async def test_only_a_change_of_the_same_conversation_parts_a_batch_of_messages(store: Store) -> None:
    ours, other = await start(store, "ann", "bob"), await start(store, "ann", "bob")
    statements = await traced(store)

    async def inserts(changed: Conversation) -> int:
        async with held(store):
            before = submit(store, ours, "ann")
            change = store.conversations.add_members(changed, ["cem"], 500, lambda _: None)
            after = submit(store, ours, "ann")
        await asyncio.gather(before, change, after)
        batch = batches(statements)[-1]
        assert (batch.count("BEGIN IMMEDIATE"), batch.count("COMMIT")) == (1, 1)
        return batch.count("INSERT message")

    assert await inserts(other) == 1
    assert await inserts(ours) == 2


async def test_who_joins_between_two_messages_of_a_batch_has_the_second_unread(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    joined: list[MembersChanged] = []
    async with held(store):
        first = submit(store, conversation, "ann", "before")
        joining = store.conversations.add_members(conversation, ["cem"], 500, joined.append)
        second = submit(store, conversation, "ann", "after")
    await asyncio.gather(first, joining, second)
    assert joined[0].changed == ("cem",)
    (unread,), _ = await store.messages.unread(1, "cem", None, 50)
    assert (unread.count, unread.last_seq) == (1, 2)


async def test_told_after_the_commit_in_order_on_the_event_loop(store: Store, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    record = await traced(store)
    seen: list[object] = []

    def tell(outcome: Stored | Refused) -> None:
        assert isinstance(outcome, Stored)
        record.append(f"told {outcome.seq}")
        seen.append(asyncio.get_running_loop())
        seen.append(rows(path, "SELECT seq FROM message WHERE id = ?", outcome.id))

    async with held(store):
        for text in ("one", "two"):
            store.messages.append(conversation, "ann", Draft(text), tell)
        last = submit(store, conversation, "ann", "three")
    await last
    assert batches(record)[-1][-3:] == ["COMMIT", "told 1", "told 2"]
    loop = asyncio.get_running_loop()
    assert seen == [loop, [(1,)], loop, [(2,)]]


async def test_what_waits_at_the_end_is_written_and_told(open_store: OpenStore) -> None:
    store = open_store()
    conversation = await start(store, "ann", "bob")
    sending = [submit(store, conversation, "ann", str(n)) for n in range(100)]
    await store.close()
    outcomes = await asyncio.gather(*sending)
    store = open_store()
    assert (await load(store, conversation.id)).members == {"ann", "bob"}
    kept = await on_driver(store, lambda driver: driver.execute("SELECT id FROM message ORDER BY seq").fetchall())
    assert [row[0] for row in kept] == [outcome.id for outcome in outcomes if isinstance(outcome, Stored)]
    assert len(kept) == 100
