"""Sweeping in the database: what goes, what stays, what is counted afterwards, and what a write meets meanwhile."""

import asyncio
import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.values import (
    Conversation,
    ConversationDraft,
    ConversationKind,
    Cutoffs,
    Draft,
    Edit,
    Expired,
    HistoryRange,
    Stored,
    Swept,
)
from hongyan.errors import Refused
from hongyan.store import Store, deletion, schema, sweep, sweep_gate
from tests.store.conftest import OpenStore
from tests.store.steps import APP, NOON, Wall, create, held, load, on_driver, rows, send, service, start, submit

DAY = 86_400_000
OTHER = 2
"""An app that keeps all for ever."""


async def look(store: Store, messages: int | None = None, conversations: int | None = None) -> list[Expired]:
    """All that has expired."""
    found: list[Expired] = []
    after: int | None = 0
    while after is not None:
        expired, after = await store.sweep.look(after, {APP: Cutoffs(messages, conversations)})
        found += expired
    return found


async def sweep_messages(store: Store, before: int) -> int:
    """Delete the messages of APP before a time; how many."""
    left, deleted = await look(store, messages=before), 0
    while left:
        step, left = await store.sweep.delete_messages(left)
        deleted += step
    return deleted


async def delete(store: Store, *expired: Expired) -> list[str]:
    told: list[tuple[int, str]] = []
    await store.sweep.delete_conversations(expired, told.extend)
    return [conversation_id for _, conversation_id in told]


async def clean(store: Store) -> None:
    while await store.sweep.clean():
        pass


async def temporary(store: Store, *members: str, lifetime: int = 1_000) -> Conversation:
    results: list[Conversation] = []
    draft = ConversationDraft(ConversationKind.TEMPORARY, members[0], members, lifetime=lifetime)
    await store.temporary.start(APP, draft, lambda row, conversation, existing: results.append(conversation))
    return results[0]


async def texts(store: Store, conversation: Conversation) -> list[str | bytes]:
    return [message.content for message in await store.messages.page(conversation, HistoryRange(1000, newer=True))]


async def counts(store: Store, client: str, since: int | None = None) -> dict[str, int]:
    unread, _ = await store.messages.unread(APP, client, since, 50)
    return {each.conversation_id: each.count for each in unread}


async def said(store: Store, conversation: Conversation, wall: Wall, senders: Sequence[str]) -> list[Stored]:
    """A message of each, a second apart."""
    places = []
    for sender in senders:
        places.append(await send(store, conversation, sender, str(len(places) + 1)))
        wall.at += 1000
    return places


# what is found


async def test_what_has_expired_is_found(store: Store, wall: Wall) -> None:
    old, fresh, mixed = [await start(store, "ann", name) for name in ("bob", "cem", "dan")]
    elsewhere = await start(store, "ann", "bob", app=OTHER)
    for conversation in (old, mixed, elsewhere):
        await send(store, conversation, "ann")
    wall.at += DAY
    await send(store, mixed, "ann")
    await send(store, fresh, "ann")
    assert await look(store) == []
    assert await look(store, messages=NOON) == []
    found = await look(store, messages=NOON + 1)
    assert [(each.key, each.messages_before, each.unused_since) for each in found] == [
        (old.key, NOON + 1, None),
        (mixed.key, NOON + 1, None),
    ]
    found = await look(store, messages=NOON + 1, conversations=NOON + 1)
    assert [(each.key, each.messages_before, each.unused_since) for each in found] == [
        (old.key, None, NOON + 1),
        (mixed.key, NOON + 1, None),
    ]
    assert await store.sweep.count(found[0]) == Swept(1, 1)
    assert await store.sweep.count(found[1]) == Swept(1, 0)


async def test_all_conversations_are_looked_at_in_windows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "WINDOW", 3)
    made = [await start(store, "ann") for _ in range(7)]
    expired, after = await store.sweep.look(0, {APP: Cutoffs(None, NOON + 1)})
    assert [each.key for each in expired] == [conversation.key for conversation in made[:3]]
    assert after == made[2].key
    assert len(await look(store, conversations=NOON + 1)) == 7


async def test_a_change_keeps_a_conversation(store: Store, wall: Wall) -> None:
    made = [await start(store, "ann", "bob") for _ in range(4)]
    wall.at += DAY
    await send(store, made[0], "ann")
    await store.conversations.add_members(made[1], ["cem"], 500, lambda _: None)
    await store.info.mute(made[2], "ann", True, lambda _: None)
    assert [each.key for each in await look(store, conversations=NOON + DAY)] == [made[3].key]


async def test_a_service_conversation_is_used_while_a_stream_of_it_is(store: Store, wall: Wall) -> None:
    service, stream = await start(store, "a"), await start(store, "b")
    await on_driver(
        store, lambda driver: driver.execute("UPDATE conversation SET kind = 3 WHERE key = ?", (service.key,))
    )
    set_parent = "UPDATE conversation SET kind = 3, parent = ? WHERE key = ?"
    await on_driver(store, lambda driver: driver.execute(set_parent, (service.key, stream.key)))
    wall.at += DAY
    await send(store, stream, "b")
    assert await look(store, conversations=NOON + DAY) == []
    found = await look(store, conversations=NOON + DAY + 1)
    assert [(each.key, each.kind) for each in found] == [(service.key, ConversationKind.SERVICE)]
    assert await store.sweep.count(found[0]) == Swept(1, 1)


# messages


async def test_old_messages_go_and_the_others_are_read_as_ever(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob")
    await said(store, conversation, wall, ["ann"] * 10)
    assert await sweep_messages(store, NOON + 6000) == 6
    assert await texts(store, conversation) == ["7", "8", "9", "10"]
    newest = await store.messages.page(conversation, HistoryRange(2))
    assert [message.seq for message in newest] == [9, 10]
    older = await store.messages.page(conversation, HistoryRange(5, start=newest[0].timestamp, start_id=newest[0].id))
    assert [message.seq for message in older] == [7, 8]
    assert await sweep_messages(store, NOON + 6000) == 0
    place = await send(store, conversation, "bob")
    assert place.seq == 11


async def test_a_step_is_small(store: Store, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "STEP_TIME", 60.0)
    first, second = await start(store, "ann", "bob"), await start(store, "ann", "cem")
    await asyncio.gather(
        *(submit(store, first, "ann") for _ in range(sweep.ROWS_MAX + 30)), submit(store, second, "ann")
    )
    expired = await look(store, messages=NOON + DAY)
    assert [each.key for each in expired] == [first.key, second.key]
    deleted, left = await store.sweep.delete_messages(expired)
    assert (deleted, [each.key for each in left]) == (sweep.ROWS_MAX, [first.key, second.key])
    deleted, left = await store.sweep.delete_messages(left)
    assert (deleted, left) == (31, [])


async def test_a_step_whose_time_ends_at_any_moment_leaves_nothing_out(
    store: Store, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await start(store, "ann", "bob")
    await said(store, conversation, wall, ["ann"] * 3)
    for looks in range(1, 5):  # at the time, within the first step; the last one sees it over
        expired = await look(store, messages=wall.at)
        times = itertools.chain([0.0] * looks, itertools.repeat(1.0))
        monkeypatch.setattr(sweep, "time", SimpleNamespace(perf_counter=partial(next, times)))
        deleted, left = await store.sweep.delete_messages(expired)
        assert (deleted, left) == ((3, []) if looks > 1 else (0, expired))
        await said(store, conversation, wall, ["ann"] * deleted)


async def test_a_step_ends_when_its_time_is_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "STEP_TIME", -1.0)
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann")
    expired = await look(store, messages=NOON + DAY)
    assert await store.sweep.delete_messages(expired) == (0, expired)


async def test_counts_leave_out_what_was_swept(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob", "cem")
    await said(store, conversation, wall, ["ann", "bob", "ann", "bob", "ann"])
    await store.messages.mark_read(conversation, "cem", NOON + 1000, lambda *_: None)
    before = {client: await counts(store, client) for client in ("ann", "bob", "cem")}
    assert before == {"ann": {conversation.id: 2}, "bob": {conversation.id: 3}, "cem": {conversation.id: 3}}
    await sweep_messages(store, NOON + 3000)
    after = {client: await counts(store, client) for client in ("ann", "bob", "cem")}
    assert after == {"ann": {conversation.id: 1}, "bob": {conversation.id: 1}, "cem": {conversation.id: 2}}
    # who reads on from there counts right, too
    await store.messages.mark_read(conversation, "ann", NOON + 3000, lambda *_: None)
    await store.messages.mark_read(conversation, "cem", NOON + 3000, lambda *_: None)
    assert [await counts(store, client) for client in ("ann", "cem")] == [{}, {conversation.id: 1}]


async def test_a_read_mark_before_all_that_is_left_changes_nothing(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob")
    await said(store, conversation, wall, ["ann"] * 4)
    await sweep_messages(store, NOON + 2000)
    told: list[int] = []
    await store.messages.mark_read(conversation, "bob", NOON, lambda unread, *_: told.append(unread.count))
    assert told == [2]


async def test_who_asks_for_changes_hears_of_fewer_unread(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob")
    await said(store, conversation, wall, ["ann"] * 3)
    _, at = await store.messages.unread(APP, "bob", None, 50)
    wall.at += DAY
    assert await counts(store, "bob", since=at) == {}
    await sweep_messages(store, NOON + 2000)
    assert await counts(store, "bob", since=at) == {conversation.id: 1}


async def test_of_an_empty_conversation_the_last_message_is_not_told(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob")
    await said(store, conversation, wall, ["ann"] * 3)
    _, at = await store.messages.unread(APP, "bob", None, 50)
    await sweep_messages(store, NOON + DAY)
    assert await counts(store, "bob") == {}
    (unread,), _ = await store.messages.unread(APP, "bob", at, 50)
    assert (unread.count, unread.mentioned, unread.last_message) == (0, False, None)
    assert await store.messages.missed(APP, "bob", 50, 20, 100) == []
    place = await send(store, conversation, "ann")
    assert place.seq == 4
    assert await counts(store, "bob") == {conversation.id: 1}


async def test_a_mention_is_swept_with_its_message(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob")
    await send(store, conversation, "ann", mentions=("bob",))
    await send(store, conversation, "ann", mention_all=True)
    wall.at += 1000
    await send(store, conversation, "ann")
    (unread,), _ = await store.messages.unread(APP, "bob", None, 50)
    assert (unread.count, unread.mentioned) == (3, True)
    await sweep_messages(store, NOON + 1000)
    (unread,), _ = await store.messages.unread(APP, "bob", None, 50)
    assert (unread.count, unread.mentioned) == (1, False)


async def test_an_edit_is_swept_with_its_message(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob")
    first, second = await said(store, conversation, wall, ["ann", "ann"])
    for place in (first, second):
        edit = Edit(conversation.id, place.id, place.timestamp, Draft("new"))
        await store.edits.apply([(conversation, edit)], "ann", lambda _: None)
    await sweep_messages(store, NOON + 1000)
    pages = [page async for page in store.edits.since(APP, "bob", 0)]
    assert [message.id for page in pages for _, message in page] == [second.id]
    gone = Edit(conversation.id, first.id, first.timestamp, Draft("newer"))
    with pytest.raises(Refused) as refused:
        await store.edits.apply([(conversation, gone)], "ann", lambda _: None)
    assert refused.value.kind is errors.MESSAGE_NOT_FOUND


async def test_a_restart_steps_not_back(open_store: OpenStore, wall: Wall) -> None:
    store = open_store()
    conversation = await start(store, "ann", "bob")
    (place,) = await said(store, conversation, wall, ["ann"])
    await sweep_messages(store, NOON + DAY)
    swept_at = wall.at
    await store.close()
    wall.at = NOON - DAY
    store = open_store()
    again = await send(store, await load(store, conversation.id), "ann")
    assert again.seq == place.seq + 1
    assert again.timestamp >= swept_at


# conversations


async def belongings(path: Path) -> dict[str, int]:
    """Rows of each table, but for those of apps and of what the database is."""
    tables = ("conversation", "message", "deleted_conversation", *deletion.TABLES)
    return {table: rows(path, f"SELECT count(*) FROM {table}")[0][0] for table in tables}


async def test_a_conversation_goes_with_all_that_is_in_it(store: Store, path: Path, wall: Wall) -> None:
    kept, gone = await start(store, "ann", "bob"), await start(store, "ann", "cem", unique=True)
    standing = "INSERT INTO standing (conversation, client, app, role) VALUES (?, 'bob', 1, 2)"
    seat = "INSERT INTO seat (app, client, device, conversation) VALUES (1, 'bob', ?, ?)"
    hidden = "INSERT INTO hidden_message (conversation, client, timestamp, seq) VALUES (?, 'bob', 1, 1)"
    for conversation in (kept, gone):
        await asyncio.gather(*(submit(store, conversation, "ann", token=str(n)) for n in range(50)))
        await on_driver(store, lambda driver, key=conversation.key: driver.execute(standing, (key,)))
        await on_driver(store, lambda driver, key=conversation.key: driver.execute(seat, (str(key), key)))
        await on_driver(store, lambda driver, key=conversation.key: driver.execute(hidden, (key,)))
        await store.blacklists.refuse(APP, "bob", [conversation], 9, lambda: None)
    wall.at += DAY
    await send(store, kept, "ann")
    (expired,) = await look(store, conversations=NOON + DAY)
    assert await delete(store, expired) == [gone.id]
    # from now on nobody sees anything of it, though it takes a while to be cleaned
    assert await store.conversations.load(APP, gone.id) is None
    assert await counts(store, "cem") == {}
    assert await store.messages.missed(APP, "cem", 50, 20, 100) == []
    assert await store.notifications.page(APP, "cem", 0, 10) == []
    assert await store.notifications.memberships(APP, "cem", 10) == []
    assert await store.info.member_of(APP, "cem", [gone.id]) == set()
    row, existing = await create(store, "ann", "cem", unique=True)
    assert not existing
    await clean(store)
    assert await belongings(path) == {
        "conversation": 2,
        "member": 4,
        "message": 51,
        "sent_token": 50,
        "standing": 1,
        "refusal": 1,
        "hidden_message": 1,
        "seat": 1,
        "author": 1,
        "imported_column": 0,
        "broadcast": 0,
        "deleted_conversation": 0,
    }
    assert (await load(store, row.id)).key > gone.key


def test_all_tables_with_rows_of_conversations_are_cleaned() -> None:
    columns = {name: table.c.get("conversation") for name, table in schema.metadata.tables.items()}
    tables = {name for name, column in columns.items() if column is not None}
    # those of bridges name it by its id, as the app does, and go with the bridge and with time
    bridges = {name for name in tables if isinstance(columns[name].type, sa.Text)}
    assert bridges == {"hub_bridge", "hub_link"}
    assert tables - bridges == {"message", "notification", *deletion.TABLES}


async def test_cleaning_walks_through_no_table(store: Store) -> None:
    for statement in (deletion.STREAMS_OF, *deletion.BELONGINGS):
        plan = await on_driver(
            store, lambda driver, one=statement: driver.execute(f"EXPLAIN QUERY PLAN {one}", (1, 9)).fetchall()
        )
        assert not [step for *_, step in plan if step.startswith("SCAN")]


async def test_a_step_has_an_end(store: Store, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(sweep, "STEP_TIME", 60.0)
    gone = await start(store, "ann")
    await asyncio.gather(*(submit(store, gone, "ann") for _ in range(200)))
    await delete(store, *await look(store, conversations=NOON + DAY))
    assert await store.sweep.clean()
    assert (await belongings(path))["message"] == 200 - (sweep.ROWS_MAX - 1)


async def test_a_key_is_never_given_again(open_store: OpenStore, wall: Wall) -> None:
    store = open_store()
    gone = await start(store, "ann")
    await delete(store, *await look(store, conversations=NOON + DAY))
    assert (await start(store, "bob")).key > gone.key
    await delete(store, *await look(store, conversations=NOON + DAY))
    await store.close()
    store = open_store()
    assert (await start(store, "cem")).key > gone.key + 1


async def test_every_write_meets_the_end_of_a_conversation(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    place = await send(store, conversation, "ann")
    await delete(store, *await look(store, conversations=NOON + DAY))
    refused = await submit(store, conversation, "ann")
    assert isinstance(refused, Refused)
    assert refused.kind is errors.INVALID_MESSAGING_TARGET
    edit = Edit(conversation.id, place.id, place.timestamp, Draft("new"))
    writes = {
        errors.CONVERSATION_NOT_FOUND: [
            store.conversations.add_members(conversation, ["cem"], 500, lambda _: None, "ann"),
            store.conversations.add_members(conversation, ["cem"], 500, lambda _: None),
            store.conversations.remove_members(conversation, ["bob"], lambda _: None, "ann"),
            store.info.mute(conversation, "ann", True, lambda _: None),
            store.info.update(conversation, "ann", None, lambda *_: None),
            store.messages.mark_read(conversation, "bob", None, lambda *_: None),
            store.standings.change(conversation, ["bob"], _undecided, lambda _: None),
        ],
        errors.INVALID_MESSAGING_TARGET: [store.edits.apply([(conversation, edit)], "ann", lambda _: None)],
    }
    for kind, asked in writes.items():
        for write in asked:
            with pytest.raises(Refused) as refusal:
                await write
            assert refusal.value.kind is kind


def _undecided(_: Any) -> Any:
    pytest.fail("nobody is asked about a conversation that is gone")


async def test_a_message_on_its_way_keeps_its_conversation(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob")
    wall.at += DAY
    (expired,) = await look(store, conversations=NOON + DAY)
    async with held(store):
        deleting = asyncio.create_task(delete(store, expired))
        await asyncio.sleep(0)
        sent = submit(store, conversation, "ann", "just in time")
    assert isinstance(await sent, Stored)
    assert await deleting == []
    assert await texts(store, conversation) == ["just in time"]


async def test_senders_are_refused_after_the_end_is_told(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    order: list[str] = []
    expired = await look(store, conversations=NOON + DAY)
    async with held(store):
        deleting = asyncio.ensure_future(store.sweep.delete_conversations(expired, lambda _: order.append("gone")))
    await deleting
    store.messages.append(conversation, "ann", Draft("late"), lambda outcome: order.append(type(outcome).__name__))
    await store.writer.call(lambda bound: None)
    assert order == ["gone", "Refused"]


async def test_a_stream_is_gone_with_its_service_conversation(store: Store, path: Path) -> None:
    news = await service(store)
    stream = await store.services.stream(news, "b")
    await send(store, stream, "b")
    (expired,) = await look(store, conversations=NOON + DAY)
    assert await delete(store, expired) == [news.id]
    assert isinstance(await submit(store, stream, "b"), Refused)
    told = store.services.send([stream], "app", Draft("x"), lambda places: None)
    with pytest.raises(Refused):
        await told
    assert await store.services.streams(news, ["b"]) == []
    assert await store.services.page(news, "b", HistoryRange(limit=9)) == []
    assert await store.messages.missed(APP, "b", 50, 20, 100) == []
    assert await counts(store, "b") == {}
    await clean(store)
    assert set((await belongings(path)).values()) == {0}


async def test_ended_temporary_conversations_go(store: Store, path: Path, wall: Wall) -> None:
    ended, living = await temporary(store, "ann", "bob"), await temporary(store, "ann", "cem", lifetime=DAY)
    await send(store, ended, "ann", token="t")
    await send(store, living, "ann")
    wall.at += 999
    assert await store.sweep.ended(10) == []
    wall.at += 1
    (expired,) = await store.sweep.ended(10)
    assert await delete(store, Expired(living.key, APP, ConversationKind.TEMPORARY)) == []
    assert await delete(store, expired) == [ended.id]
    await clean(store)
    assert (await belongings(path))["message"] == 1
    assert await look(store, conversations=NOON + 10 * DAY) == []  # has a lifetime of its own
    assert [each.key for each in await look(store, messages=NOON + DAY)] == [living.key]


# the gate


async def test_an_app_that_asks_is_left_alone(store: Store, wall: Wall) -> None:
    conversation, mixed = await start(store, "ann", "bob"), await start(store, "ann", "cem")
    for each in (conversation, mixed):
        await send(store, each, "ann")
    ended = await temporary(store, "ann", "bob")
    wall.at += DAY
    await send(store, mixed, "ann")
    await store.writer.call(lambda bound: sweep_gate.ask(bound, APP))
    (asked,) = (await store.sweep.asking()).values()
    unused, old = await look(store, messages=NOON + 1, conversations=NOON + 1)
    assert await store.sweep.delete_messages([old]) == (0, [])
    assert await delete(store, unused) == []
    assert await delete(store, *await store.sweep.ended(10)) == [ended.id]  # needs no yes
    await store.sweep.wait(APP, Swept(1, 1))
    await store.sweep.agree(APP, "another question")
    assert await store.sweep.asking() == {APP: asked}
    await store.sweep.agree(APP, asked)
    assert await store.sweep.asking() == await store.writer.call(sweep_gate.waiting) == {}
    assert (await store.sweep.delete_messages([old]))[0] == 1
    assert await delete(store, unused) == [conversation.id]


async def test_what_waits_is_kept_while_somebody_is_asked(store: Store) -> None:
    await store.sweep.wait(APP, Swept(5, 1))
    assert await store.writer.call(sweep_gate.waiting) == {}
    await store.writer.call(lambda bound: sweep_gate.ask(bound, APP))
    await store.sweep.wait(APP, Swept(5, 1))
    assert await store.writer.call(sweep_gate.waiting) == {APP: (5, 1)}


async def test_a_new_question_needs_a_new_yes(store: Store) -> None:
    await store.writer.call(lambda bound: sweep_gate.ask(bound, APP))
    (asked,) = (await store.sweep.asking()).values()
    await store.writer.call(lambda bound: sweep_gate.ask(bound, APP))
    await store.sweep.agree(APP, asked)
    assert list(await store.sweep.asking()) == [APP]


# room


async def test_room_is_given_back(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "FREE_PAGES", 20)
    conversation = await start(store, "ann", "bob")
    await asyncio.gather(*(submit(store, conversation, "ann", "x" * 4000) for _ in range(300)))
    pages = rows(path, "PRAGMA page_count")[0][0]
    await sweep_messages(store, NOON + DAY)
    steps = 0
    while await store.sweep.shrink():
        steps += 1
    assert steps > 3
    assert rows(path, "PRAGMA freelist_count")[0][0] <= 20
    assert rows(path, "PRAGMA page_count")[0][0] < pages - 200
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


# the other lane


async def test_bulk_work_comes_last_and_one_at_a_time(store: Store) -> None:
    order: list[str] = []
    done: list[Any] = []
    batches: list[int] = []
    store.writer.on_batch = lambda batch: batches.append(batch.units)
    async with held(store):
        for number in range(3):
            done.append(store.writer.call_in_bulk(lambda bound, n=number: order.append(f"bulk {n}")))
        for number in range(3):
            done.append(store.writer.call(lambda bound, n=number: order.append(str(n))))
    await asyncio.gather(*done)
    assert order == ["0", "1", "2", "bulk 0", "bulk 1", "bulk 2"]
    assert batches == [1, 4, 1, 1]  # the first is what held the others


async def test_bulk_work_waits_while_batches_are_full(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hongyan.store.writer.BATCH_MAX", 2)
    order: list[str] = []
    done: list[Any] = []
    async with held(store):
        done.append(store.writer.call_in_bulk(lambda bound: order.append("bulk")))
        for number in range(5):
            done.append(store.writer.call(lambda bound, n=number: order.append(str(n))))
    await asyncio.gather(*done)
    assert order == ["0", "1", "2", "3", "4", "bulk"]


async def test_bulk_work_is_done_when_nothing_else_is(store: Store) -> None:
    assert await store.writer.call_in_bulk(lambda bound: "done") == "done"


async def test_what_waits_in_bulk_is_done_before_the_end(open_store: OpenStore) -> None:
    store = open_store()
    async with held(store):
        waiting = [store.writer.call_in_bulk(lambda bound, n=n: n) for n in range(3)]
        closing = asyncio.create_task(store.writer.close())
        await asyncio.sleep(0)
    await closing
    assert await asyncio.gather(*waiting) == [0, 1, 2]


async def test_bulk_work_that_fails_spoils_nothing_else(store: Store) -> None:
    conversation = await start(store, "ann", "bob")

    def fail(bound: Any) -> None:
        bound.exec_driver_sql("DELETE FROM message")
        raise Refused(errors.INTERNAL_ERROR, "no")

    async with held(store):
        failing = store.writer.call_in_bulk(fail)
        sent = [submit(store, conversation, "ann", str(n)) for n in range(3)]
    with pytest.raises(Refused):
        await failing
    assert [outcome.seq for outcome in await asyncio.gather(*sent) if isinstance(outcome, Stored)] == [1, 2, 3]
    assert await texts(store, conversation) == ["0", "1", "2"]


async def test_what_clients_had_taken_out_of_their_history_goes_too(store: Store, path: Path) -> None:
    service = await start(store, "a")
    await on_driver(
        store, lambda driver: driver.execute("UPDATE conversation SET kind = 3 WHERE key = ?", (service.key,))
    )
    place = await send(store, service, "a")
    await store.services.delete(await load(store, service.id), "b", "a", place.id, place.timestamp)
    assert len(rows(path, "SELECT 1 FROM hidden_message")) == 1
    expired = Expired(service.key, APP, ConversationKind.SERVICE, unused_since=NOON + DAY)
    assert await delete(store, expired) == [service.id]
    await clean(store)
    assert rows(path, "SELECT 1 FROM hidden_message") == []
