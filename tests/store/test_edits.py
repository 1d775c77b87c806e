"""Edits and recalls: what a row becomes, in which order edits stand, and how they are found again."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.query import WITH_LAST_MESSAGE, parse
from hongyan.engine.values import RECALLED_BODY, Conversation, Draft, Edit, Edited, HistoryRange, Message, Stored
from hongyan.errors import Kind, Refused
from hongyan.store import Store
from hongyan.store import edits as module
from tests.store.conftest import OpenStore
from tests.store.steps import APP, NOON, Wall, held, on_driver, send, start, submit


def edit_of(conversation: Conversation, place: Stored, content: str | bytes | None, **draft: object) -> Edit:
    """What replaces the content of the message; None recalls it."""
    replacement = None if content is None else Draft(content, **draft)  # type: ignore[arg-type]
    return Edit(conversation.id, place.id, place.timestamp, replacement)


async def apply(store: Store, by: str, *edits: tuple[Conversation, Edit]) -> Sequence[Edited]:
    results: list[Sequence[Edited]] = []
    await store.edits.apply(edits, by, results.append)
    return results[0]


async def edit(
    store: Store,
    conversation: Conversation,
    place: Stored,
    content: str | bytes | None,
    by: str = "ann",
    **draft: object,
) -> Message:
    """The message as it is after the edit."""
    (result,) = await apply(store, by, (conversation, edit_of(conversation, place, content, **draft)))
    assert result.changed
    return result.message


async def refused(store: Store, by: str, *edits: tuple[Conversation, Edit]) -> Kind:
    with pytest.raises(Refused) as refusal:
        await apply(store, by, *edits)
    return refusal.value.kind


async def only_message(store: Store, conversation: Conversation) -> Message:
    (message,) = await store.messages.page(conversation, HistoryRange(10))
    return message


async def missed(store: Store, client: str, since: int, app: int = APP) -> list[tuple[str, str | bytes]]:
    return [
        (conversation, message.content)
        async for page in store.edits.since(app, client, since)
        for conversation, message in page
    ]


@pytest.mark.parametrize("before", ["text", b"\xff\x00"])
@pytest.mark.parametrize("after", ["日本 🪿", "", b"", b"\x00\xfe"])
async def test_content_is_replaced(store: Store, wall: Wall, before: str | bytes, after: str | bytes) -> None:
    conversation = await start(store, "ann", "bob")
    place = await send(store, conversation, "ann", before, receipt=True, mention_all=True, mentions=("bob",))
    wall.at += 7
    told = await edit(store, conversation, place, after)
    kept = await only_message(store, conversation)
    for message in (told, kept):
        assert (message.id, message.seq, message.timestamp) == (place.id, place.seq, place.timestamp)
        assert (message.sender, message.content, message.patched_at) == ("ann", after, NOON + 7)
        assert (message.receipt, message.mention_all, message.mentions) == (True, False, ())
        assert not message.recalled


async def test_mentions_are_replaced(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    place = await send(store, conversation, "ann", mentions=("bob",))
    await edit(store, conversation, place, "new", mention_all=True, mentions=("cem", "日本"))
    message = await only_message(store, conversation)
    assert (message.receipt, message.mention_all, message.mentions) == (False, True, ("cem", "日本"))


@pytest.mark.parametrize("before", ["text", b"\xff"])
async def test_a_recall_leaves_no_content(store: Store, path: Path, before: str | bytes) -> None:
    conversation = await start(store, "ann", "bob")
    place = await send(store, conversation, "ann", before, receipt=True, mention_all=True, mentions=("bob",))
    await edit(store, conversation, place, None)
    message = await only_message(store, conversation)
    assert (message.content, message.recalled, message.receipt) == (RECALLED_BODY, True, True)
    assert (message.mention_all, message.mentions) == (False, ())


async def test_a_recalled_message_stays_so_inferred(store: Store, wall: Wall) -> None:
    """Recalling again succeeds and changes nothing; there is nothing left to edit."""
    conversation = await start(store, "ann", "bob")
    place = await send(store, conversation, "ann")
    first = await edit(store, conversation, place, None)
    wall.at += 10
    (again,) = await apply(store, "ann", (conversation, edit_of(conversation, place, None)))
    assert (again.changed, again.message.patched_at) == (False, first.patched_at)
    edited = edit_of(conversation, place, "back again")
    assert await refused(store, "ann", (conversation, edited)) is errors.MESSAGE_NOT_FOUND
    assert (await only_message(store, conversation)).content == RECALLED_BODY


async def test_who_may_edit_what(store: Store) -> None:
    conversation, other = await start(store, "ann", "bob"), await start(store, "ann", "bob")
    place = await send(store, conversation, "ann")
    right = edit_of(conversation, place, "new")
    cases = [
        ("bob", conversation, right, errors.MESSAGE_OWNERSHIP_REQUIRED),
        ("cem", conversation, right, errors.INVALID_MESSAGING_TARGET),
        ("ann", other, right, errors.MESSAGE_NOT_FOUND),
        ("ann", conversation, Edit(conversation.id, place.id, place.timestamp + 1, None), errors.MESSAGE_NOT_FOUND),
        ("ann", conversation, Edit(conversation.id, place.id, 0, None), errors.MESSAGE_NOT_FOUND),
        ("ann", conversation, Edit(conversation.id, "x" * 22, place.timestamp, None), errors.MESSAGE_NOT_FOUND),
        ("ann", conversation, Edit(conversation.id, "", place.timestamp, None), errors.MESSAGE_NOT_FOUND),
    ]
    for by, where, wanted, kind in cases:
        assert await refused(store, by, (where, wanted)) is kind
    await store.conversations.remove_members(conversation, ["ann"], lambda _: None)
    assert await refused(store, "ann", (conversation, right)) is errors.INVALID_MESSAGING_TARGET
    message = await only_message(store, conversation)
    assert (message.content, message.patched_at) == ("hello", None)


async def test_several_edits_are_made_all_or_none(store: Store) -> None:
    one, two = await start(store, "ann", "bob"), await start(store, "ann", "bob")
    mine, also_mine, yours = await send(store, one, "ann"), await send(store, two, "ann"), await send(store, two, "bob")
    edits = [(one, edit_of(one, mine, "new")), (two, edit_of(two, also_mine, None))]
    assert await refused(store, "ann", *edits, (two, edit_of(two, yours, None))) is errors.MESSAGE_OWNERSHIP_REQUIRED
    assert [m.content for c in (one, two) for m in await store.messages.page(c, HistoryRange(10))] == ["hello"] * 3
    first, second = await apply(store, "ann", *edits)
    assert (first.conversation, second.conversation) == (one, two)
    assert first.message.patched_at is not None
    assert second.message.patched_at == first.message.patched_at + 1


async def test_edits_among_messages_of_the_same_batch(store: Store) -> None:
    one, two = await start(store, "ann", "bob"), await start(store, "ann", "bob")
    places = [await send(store, each, "ann") for each in (one, two)]
    async with held(store):
        sent = [submit(store, each, "bob") for each in (one, two)]
        edits = [(each, edit_of(each, place, "new")) for each, place in zip((one, two), places, strict=True)]
        editing = asyncio.ensure_future(apply(store, "ann", *edits))
        await asyncio.sleep(0)
        sent += [submit(store, each, "bob") for each in (two, one)]
    await asyncio.gather(editing, *sent)
    for each in (one, two):
        found = await store.messages.page(each, HistoryRange(10))
        assert [(message.seq, message.content) for message in found] == [(1, "new"), (2, "hello"), (3, "hello")]


# the times of edits


async def test_times_of_edits_increase_over_all_conversations(store: Store, wall: Wall) -> None:
    conversations = [await start(store, "ann", "bob") for _ in range(3)]
    places = [await send(store, each, "ann") for each in conversations]
    times = []
    for step in (0, 0, 5, -3, 0, 1):
        wall.at += step
        for conversation, place in zip(conversations, places, strict=True):
            times.append((await edit(store, conversation, place, "new")).patched_at)
    assert times == sorted(set(times))
    assert times[0] == NOON + 1  # the message is of NOON
    assert store.edits.newest == times[-1]


async def test_an_edit_is_later_than_its_message(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    ahead = [await send(store, conversation, "ann") for _ in range(50)][-1]
    assert ahead.timestamp == NOON + 49
    assert (await edit(store, conversation, ahead, "new")).patched_at == NOON + 50


@pytest.mark.parametrize("end", ["closed", "killed"])
async def test_times_increase_over_a_restart(open_store: OpenStore, path: Path, wall: Wall, end: str) -> None:
    """Also when the clock was set back meanwhile."""
    store = open_store()
    conversation = await start(store, "ann", "bob")
    place = await send(store, conversation, "ann")
    for _ in range(100):
        before = (await edit(store, conversation, place, "before")).patched_at
    assert before == NOON + 100
    if end == "closed":
        await store.close()
    else:  # what a kill leaves behind
        shutil.copytree(path.parent, path.parent.with_name("killed"))
        path = path.parent.with_name("killed") / path.name
    wall.at -= 60_000
    again = Store.open(path, bytes(32), Clock(wall, lambda: 0))
    again.start(asyncio.get_running_loop())
    try:
        assert again.edits.newest == before
        assert await missed(again, "bob", NOON) == [(conversation.id, "before")]
        assert (await edit(again, conversation, place, "after")).patched_at == before + 1
    finally:
        await again.close()


async def test_more_edits_than_milliseconds_are_refused_for_the_moment(
    store: Store, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AHEAD_MAX", 3)
    conversation = await start(store, "ann", "bob")
    place = await send(store, conversation, "ann")
    for _ in range(3):
        await edit(store, conversation, place, "new")
    next_one = (conversation, edit_of(conversation, place, "newer"))
    assert await refused(store, "ann", next_one) is errors.CONVERSATION_API_QUOTA_EXCEEDED
    assert (await only_message(store, conversation)).content == "new"
    wall.at += 1
    assert (await edit(store, conversation, place, "newer")).patched_at == NOON + 4


async def test_nothing_was_edited_in_a_new_database(store: Store) -> None:
    assert store.edits.newest == 0


async def test_edits_go_on_after_a_refusal(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    mine, yours = await send(store, conversation, "ann"), await send(store, conversation, "bob")
    both = [(conversation, edit_of(conversation, place, "new")) for place in (mine, yours)]
    assert await refused(store, "ann", *both) is errors.MESSAGE_OWNERSHIP_REQUIRED
    made = await edit(store, conversation, mine, "new")
    assert made.patched_at is not None
    assert made.patched_at <= store.edits.newest
    assert await missed(store, "bob", made.patched_at - 1) == [(conversation.id, "new")]


# finding them again


async def test_what_was_missed_comes_in_the_order_of_the_edits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCAN", 4)
    monkeypatch.setattr(module, "PAGE", 3)
    conversations = [await start(store, "ann", "bob") for _ in range(3)]
    expected: list[tuple[str, str | bytes]] = []
    since = [0]
    for number in range(4):
        for conversation in reversed(conversations):
            place = await send(store, conversation, "ann")
            made = await edit(store, conversation, place, str(number))
            expected.append((conversation.id, str(number)))
            since.append(made.patched_at or 0)
    for start_at, time in enumerate(since):
        assert await missed(store, "bob", time) == expected[start_at:]


async def test_what_was_missed_is_for_members(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await edit(store, conversation, await send(store, conversation, "ann"), "new")
    assert await missed(store, "bob", 0) == [(conversation.id, "new")]
    assert await missed(store, "cem", 0) == []
    assert await missed(store, "bob", 0, app=APP + 1) == []
    await store.conversations.remove_members(conversation, ["bob"], lambda _: None)
    assert await missed(store, "bob", 0) == []


async def test_who_is_removed_while_pages_are_read_gets_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    conversation = await start(store, "ann", "bob")
    for _ in range(2):
        await edit(store, conversation, await send(store, conversation, "ann"), "new")
    pages = store.edits.since(APP, "bob", 0)
    assert len(await anext(pages)) == 1
    await store.conversations.remove_members(conversation, ["bob"], lambda _: None)
    assert [page async for page in pages] == [[]]


async def test_what_is_edited_again_while_pages_are_read_waits_for_its_turn(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    conversation = await start(store, "ann", "bob")
    places = [await send(store, conversation, "ann") for _ in range(3)]
    for place in places:
        last = await edit(store, conversation, place, "new")
    pages = store.edits.since(APP, "bob", 0)
    await anext(pages)
    newer = await edit(store, conversation, places[1], "newer")
    rest = [message.timestamp for page in [page async for page in pages] for _, message in page]
    assert rest == [places[2].timestamp]
    assert (newer.patched_at or 0) > (last.patched_at or 0)
    assert await missed(store, "bob", last.patched_at or 0) == [(conversation.id, "newer")]


async def test_edits_are_found_by_the_indexes(store: Store) -> None:
    """Looking for them reads no message; reading them reads only those; one is found by its time."""

    async def plan(statement: str, *values: object) -> list[str]:
        return await on_driver(
            store, lambda d: [row[3] for row in d.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()]
        )

    scan = await plan(module.SCAN_SINCE, 1, "ann", 0, 10)
    assert scan[0].startswith("SEARCH m USING COVERING INDEX member_by_client (app=? AND client=?)")
    assert scan[1].startswith("SEARCH l USING COVERING INDEX message_by_patch (conversation=? AND patched_at>?)")
    read = await plan(module.READ, "[]", 1, "ann", 1)
    assert read[1].startswith("SEARCH l USING INTEGER PRIMARY KEY")
    assert [step for step in read[1:] if "SCAN" in step] == []
    (find,) = await plan(module.FIND, 1, 1, "x")
    assert find.startswith("SEARCH message USING INDEX")
    assert "(conversation=? AND timestamp=?)" in find


# how others see them


async def test_the_last_message_shows_as_it_was_edited(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    place = await send(store, conversation, "ann")
    made = await edit(store, conversation, place, "new")
    (counted,), _ = await store.messages.unread(APP, "bob", None, 50)
    query = parse("bob", f'{{"objectId":"{conversation.id}"}}', flag=WITH_LAST_MESSAGE)
    (row,) = await store.conversations.query(APP, "bob", query)
    for message in (counted.last_message, row.last_message):
        assert message is not None
        assert (message.content, message.patched_at) == ("new", made.patched_at)


@pytest.mark.parametrize("content", ["new", None])
async def test_edits_and_recalls_leave_the_counts_inferred(store: Store, content: str | None) -> None:
    conversation = await start(store, "ann", "bob")
    places = [await send(store, conversation, "ann", mentions=("bob",)) for _ in range(3)]
    for place in places[1:]:
        await edit(store, conversation, place, content)
    (counted,), _ = await store.messages.unread(APP, "bob", None, 50)
    assert (counted.count, counted.mentioned, counted.last_seq) == (3, True, 3)
