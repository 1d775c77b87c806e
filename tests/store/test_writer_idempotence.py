"""A message with a client-supplied id is written once, however often it is sent."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from hongyan import errors
from hongyan.engine.values import Stored
from hongyan.errors import Refused
from hongyan.store import Store
from hongyan.store.store import IDEMPOTENCE_WINDOW
from tests.store.conftest import OpenStore
from tests.store.steps import Wall, batches, held, load, rows, send, start, submit, traced

COUNT = "SELECT count(*) FROM message"
TOKENS = "SELECT count(*) FROM sent_token"


def place(stored: Stored) -> tuple[str, int, int]:
    return stored.id, stored.seq, stored.timestamp


async def test_sent_again_it_gets_the_first_place(store: Store, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    first = await send(store, conversation, "ann", "one", token="1")
    await send(store, conversation, "ann", "two", token="2")
    again = await send(store, conversation, "ann", "changed meanwhile", token="1")
    assert place(again) == place(first)
    assert (first.repeated, again.repeated) == (False, True)
    assert rows(path, COUNT) == [(2,)]


async def test_within_one_batch(store: Store, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    statements = await traced(store)
    async with held(store):
        sending = [submit(store, conversation, "ann", token=token) for token in ("1", "2", "1", "1")]
    outcomes = await asyncio.gather(*sending)
    assert [batch[-1] for batch in batches(statements)] == ["COMMIT", "COMMIT"]
    assert [(o.seq, o.repeated) for o in outcomes if isinstance(o, Stored)] == [
        (1, False),
        (2, False),
        (1, True),
        (1, True),
    ]
    assert rows(path, COUNT) == [(2,)]


async def test_in_a_batch_that_has_to_be_split(store: Store, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    async with held(store):
        first = submit(store, conversation, "ann", token="1")
        bad = store.writer.call(lambda bound: bound.exec_driver_sql("SELECT * FROM no_such_table"))
        again = submit(store, conversation, "ann", token="1")
    with pytest.raises(Refused):
        await bad
    assert [(o.seq, o.repeated) for o in await asyncio.gather(first, again) if isinstance(o, Stored)] == [
        (1, False),
        (1, True),
    ]
    assert rows(path, COUNT) == [(1,)]


async def test_another_client_or_conversation_or_no_id_is_another_message(store: Store, path: Path) -> None:
    ours, other = await start(store, "ann", "bob"), await start(store, "ann", "bob")
    async with held(store):
        sending = [
            submit(store, ours, "ann", token="1"),
            submit(store, ours, "bob", token="1"),
            submit(store, other, "ann", token="1"),
            submit(store, ours, "ann", token="1 "),
            submit(store, ours, "ann"),
            submit(store, ours, "ann"),
        ]
    outcomes = await asyncio.gather(*sending)
    assert [o.repeated for o in outcomes if isinstance(o, Stored)] == [False] * 6
    assert rows(path, COUNT) == [(6,)]


async def test_a_refused_message_is_not_remembered(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    stale = await load(store, conversation.id)
    await store.conversations.remove_members(conversation, ["bob"], lambda _: None)
    refused = await submit(store, stale, "bob", token="1")
    assert isinstance(refused, Refused)
    assert refused.kind is errors.INVALID_MESSAGING_TARGET
    await store.conversations.add_members(conversation, ["bob"], 500, lambda _: None)
    assert not (await send(store, conversation, "bob", token="1")).repeated


async def test_across_a_restart(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    conversation = await start(store, "ann", "bob")
    first = await send(store, conversation, "ann", token="1")
    await store.close()
    store = open_store()
    again = await send(store, await load(store, conversation.id), "ann", token="1")
    assert place(again) == place(first)
    assert rows(path, COUNT) == [(1,)]


async def test_across_a_kill(open_store: OpenStore, path: Path) -> None:
    """A process that writes without pause is killed; everything it was told is there, once, and known."""
    store = open_store()
    conversation = await start(store, "ann", "bob")
    await store.close()
    command = [sys.executable, "-m", "tests.store.sender", str(path), conversation.id]
    told: list[list[str]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("\n"):
                told.append(line.split())
            if len(told) == 50:
                process.kill()
    assert len(told) >= 50
    store = open_store()
    conversation = await load(store, conversation.id)
    kept = rows(path, "SELECT id, seq, timestamp FROM message ORDER BY seq")
    assert [[str(value) for value in row] for row in kept[: len(told)]] == told
    for number, row in enumerate(kept):
        again = await send(store, conversation, "ann", str(number), token=str(number))
        assert (place(again), again.repeated) == (row, True)


async def test_forgotten_after_the_window(store: Store, wall: Wall, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    first = await send(store, conversation, "ann", token="1")
    wall.at += IDEMPOTENCE_WINDOW
    await store.prune()
    assert place(await send(store, conversation, "ann", token="1")) == place(first)
    wall.at += 1
    await store.prune()
    assert rows(path, TOKENS) == [(0,)]
    assert (await send(store, conversation, "ann", token="1")).seq == 2


async def test_any_number_is_forgotten_in_small_steps(store: Store, wall: Wall, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    await asyncio.gather(*(submit(store, conversation, "ann", token=str(n)) for n in range(1200)))
    wall.at += IDEMPOTENCE_WINDOW + 1200
    statements = await traced(store)
    await store.prune()
    assert rows(path, TOKENS) == [(0,)]
    assert [batch[2] for batch in batches(statements)][:4] == ["DELETE sent_token"] * 3 + ["DELETE notification"]


async def test_forgetting_goes_on_after_it_was_refused(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is while the disk is full."""
    monkeypatch.setattr("hongyan.store.store.PRUNE_EVERY", 0.001)
    store = open_store()
    refusals = iter([Refused(errors.STORAGE_FULL)])
    went_on = asyncio.Event()

    async def forget_expired(_: int) -> None:
        for refusal in refusals:
            raise refusal
        went_on.set()

    monkeypatch.setattr(store.tokens, "forget_expired", forget_expired)
    await went_on.wait()
