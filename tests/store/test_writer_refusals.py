"""What can't be written is refused alone; a file that can't be trusted ends the writing."""

import asyncio
import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.values import Conversation, Stored
from hongyan.errors import Kind, Refused
from hongyan.store import Store, database, schema
from hongyan.store.writer import Batch
from tests.store.conftest import OpenStore
from tests.store.steps import batches, damage, held, on_driver, rows, send, start, submit, traced

Change = Callable[[sa.Connection], Any]
ADD_NOTE = "INSERT INTO meta (name, value) VALUES ('note', 'written')"
ADD_MUCH = "INSERT INTO meta (name, value) VALUES ('much', zeroblob(1000000))"
SET_NOTE = "UPDATE meta SET value = 'x' WHERE name = 'oldest_compatible'"
NOTE = "SELECT value FROM meta WHERE name = 'note'"


def add_note(bound: sa.Connection) -> None:
    bound.exec_driver_sql(ADD_NOTE)


def against_a_constraint(bound: sa.Connection) -> None:
    add_note(bound)
    bound.exec_driver_sql("INSERT INTO meta (name, value) VALUES ('oldest_compatible', '0')")


def against_the_schema(bound: sa.Connection) -> None:
    add_note(bound)
    bound.exec_driver_sql("INSERT INTO no_such_table VALUES (1)")


def against_a_rule(bound: sa.Connection) -> None:
    add_note(bound)
    raise Refused(errors.CONVERSATION_FULL, "no more")


def against_reason(bound: sa.Connection) -> None:
    add_note(bound)
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("change", "kind", "commits"),
    [
        (against_a_constraint, errors.INTERNAL_ERROR, [9]),
        (against_a_rule, errors.CONVERSATION_FULL, [9]),
        (against_reason, errors.INTERNAL_ERROR, [9]),
        # an operational error leaves the transaction in doubt: the batch is split until the bad unit stands alone
        (against_the_schema, errors.INTERNAL_ERROR, [4, 1, 3]),
    ],
)
async def test_a_change_that_fails_is_refused_alone(
    store: Store, path: Path, change: Change, kind: Kind, commits: list[int]
) -> None:
    conversation = await start(store, "ann", "bob")
    told: list[Batch] = []
    async with held(store):
        sent = [submit(store, conversation, "ann", str(n)) for n in range(4)]
        refused = store.writer.call(change)
        changed = store.writer.call(lambda bound: bound.exec_driver_sql(SET_NOTE).rowcount)
        sent += [submit(store, conversation, "ann", str(n)) for n in range(4, 7)]
        store.writer.on_batch = told.append
    with pytest.raises(Refused) as refusal:
        await refused
    assert refusal.value.kind is kind
    assert [outcome.seq for outcome in await asyncio.gather(*sent)] == list(range(1, 8))
    assert await changed == 1
    assert [batch.units for batch in told[1:]] == commits
    assert rows(path, NOTE) == []
    assert rows(path, "SELECT seq FROM message ORDER BY seq") == [(n,) for n in range(1, 8)]


async def double(store: Store, place: Stored, conversation: int) -> None:
    """Doctors the conversation's row so that the next message would take a place that is taken."""

    def doctor(bound: sa.Connection) -> None:
        bound.exec_driver_sql(
            "UPDATE conversation SET last_seq = ?, last_message_at = ? WHERE key = ?",
            (place.seq - 1, place.timestamp - 1, conversation),
        )

    await store.writer.call(doctor, conversation)


@pytest.mark.parametrize("position", [0, 3, 7])
async def test_a_message_that_violates_a_constraint_is_refused_alone(
    store: Store, path: Path, position: int, caplog: pytest.LogCaptureFixture
) -> None:
    conversations = [await start(store, "ann", "bob") for _ in range(8)]
    bad = conversations[position]
    await double(store, await send(store, bad, "ann"), bad.key)
    statements = await traced(store)
    async with held(store):
        sending = [submit(store, each, "ann", token="1") for each in conversations]
    outcomes = await asyncio.gather(*sending)
    assert [isinstance(outcome, Stored) for outcome in outcomes] == [n != position for n in range(8)]
    refused = outcomes[position]
    assert isinstance(refused, Refused)
    assert refused.kind is errors.INTERNAL_ERROR
    commits = [batch[-1] for batch in batches(statements)[1:]]
    assert (commits.count("COMMIT"), commits.count("ROLLBACK")) == (3, 4)
    assert rows(path, "SELECT DISTINCT conversation FROM sent_token WHERE conversation = ?", bad.key) == []
    assert [record.message for record in caplog.records] == ["a write failed"]


async def test_after_a_refusal_the_place_is_free(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    first = await send(store, conversation, "ann")
    await double(store, first, conversation.key)
    assert isinstance(await submit(store, conversation, "ann"), Refused)
    await on_driver(store, lambda driver: driver.execute("DELETE FROM message"))
    second = await send(store, conversation, "ann")
    assert (second.seq, second.timestamp) == (first.seq, first.timestamp)


async def test_a_message_that_the_driver_cannot_take_is_refused_alone(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    async with held(store):
        before = submit(store, conversation, "ann")
        bad = [
            submit(store, conversation, "ann", mentions=(b"\xff",)),
            submit(store, conversation, "ann", token="\ud800"),
        ]
        after = submit(store, conversation, "ann")
    assert all(isinstance(outcome, Refused) for outcome in await asyncio.gather(*bad))
    assert [outcome.seq for outcome in await asyncio.gather(before, after) if isinstance(outcome, Stored)] == [1, 2]


async def test_while_another_program_holds_the_file_a_batch_is_refused_at_once(
    open_store: OpenStore, path: Path
) -> None:
    """Split, each of its units would wait as long again."""
    store = open_store()
    conversation = await start(store, "ann", "bob")
    await store.close()
    store = Store.open(path, bytes(32))
    driver, statements = store.writer._driver, list[str]()
    driver.execute("PRAGMA busy_timeout = 0")
    driver.set_trace_callback(statements.append)
    sending = [submit(store, conversation, "ann") for _ in range(3)]
    with contextlib.closing(database.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.start(asyncio.get_running_loop())
        refused = await asyncio.gather(*sending)
        other.execute("ROLLBACK")
    assert [outcome.kind for outcome in refused if isinstance(outcome, Refused)] == [errors.INTERNAL_ERROR] * 3
    assert statements == ["BEGIN IMMEDIATE"]
    assert (await send(store, conversation, "ann")).seq == 1
    await store.close()


async def test_refused_batches_are_logged_once_in_a_while(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the number of writes refused since."""
    monkeypatch.setattr("hongyan.store.writer.LOG_EVERY", math.inf)
    (count,) = await on_driver(store, lambda driver: driver.execute("PRAGMA page_count").fetchone())
    await on_driver(store, lambda driver: driver.execute(f"PRAGMA max_page_count = {count}").fetchall())
    for _ in range(3):
        with pytest.raises(Refused) as refusal:
            await store.writer.call(lambda bound: bound.exec_driver_sql(ADD_MUCH).rowcount)
        assert refusal.value.kind is errors.STORAGE_FULL
    monkeypatch.setattr("hongyan.store.writer.LOG_EVERY", 0.0)
    with pytest.raises(Refused):
        await store.writer.call(lambda bound: bound.exec_driver_sql(ADD_MUCH).rowcount)
    refused = "writes refused: the server's disk is full"
    assert [record.message for record in caplog.records] == [f"1 {refused}", f"3 {refused}"]


async def test_what_fails_on_hearing_of_a_commit_keeps_nobody_else_from_hearing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    conversation = await start(store, "ann", "bob")
    async with held(store):
        failing = store.conversations.add_members(conversation, ["cem"], 500, lambda _: 1 / 0)
        after = submit(store, conversation, "ann")
    assert isinstance(await after, Stored)
    await failing
    assert [record.message for record in caplog.records] == ["telling a committed write failed"]


def change(store: Store, _: Conversation) -> asyncio.Future[Any]:
    find = sa.select(schema.revoked_token).where(schema.revoked_token.c.id == "x")
    return store.writer.call(lambda bound: bound.execute(find).all())


def message(store: Store, conversation: Conversation) -> asyncio.Future[Any]:
    return submit(store, conversation, "ann", token="1")


@pytest.mark.parametrize(("unit", "table"), [(change, "revoked_token"), (message, "sent_token")])
async def test_a_damaged_file_ends_the_writing_and_nobody_is_told(
    open_store: OpenStore, path: Path, unit: Callable[..., asyncio.Future[Any]], table: str
) -> None:
    store = open_store()
    conversation = await start(store, "ann", "bob")
    await store.close()
    damage(path, table)
    store = open_store()
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    store.on_fatal = lambda error: ended.get_loop().call_soon_threadsafe(ended.set_result, error)
    told = unit(store, conversation)
    assert "malformed" in str(await ended)
    assert not told.done()
