"""Attributes changed inside the write, members' own settings, and whose conversation is asked about."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine.values import Attributes, Conversation, Stored
from hongyan.errors import Refused
from hongyan.store import Store
from tests.store.steps import APP, NOON, Wall, create, held, load, send, start, submit
from tests.store.test_conversations import add, remove

Change = Callable[[Attributes], tuple[Attributes, str]]


def setting(**columns: Any) -> Change:
    """Replaces the custom columns."""
    return lambda before: (Attributes(before.name, before.attr, columns), "told")


def counting(before: Attributes) -> tuple[Attributes, str]:
    """Adds one to what is there."""
    return Attributes(None, None, {"n": before.columns.get("n", 0) + 1}), ""


async def update(store: Store, conversation: Conversation, change: Change | None, by: str = "ann") -> tuple[int, str]:
    results: list[tuple[int, str]] = []
    await store.info.update(conversation, by, change, lambda *result: results.append(result))
    (result,) = results
    return result


async def mute(store: Store, conversation: Conversation, client: str, muted: bool = True) -> int:
    results: list[int] = []
    await store.info.mute(conversation, client, muted, lambda updated_at, _: results.append(updated_at))
    return results[0]


async def attributes_of(store: Store, conversation: Conversation) -> tuple[Attributes, int]:
    """What is kept now, and the update time."""
    seen: list[Attributes] = []

    def look(before: Attributes) -> tuple[Attributes, str]:
        seen.append(before)
        raise Refused(errors.CONVERSATION_UPDATE_FAILED)

    with pytest.raises(Refused):
        await update(store, conversation, look)
    return seen[0], (await update(store, conversation, None))[0]


async def test_attributes_become_what_the_change_makes_of_them(store: Store, wall: Wall) -> None:
    row, _ = await create(store, "ann", "bob", name="名", attr={"x": [1]}, columns={"colour": "red"})
    conversation = await load(store, row.id)
    before = (await attributes_of(store, conversation))[0]
    assert before == Attributes("名", {"x": [1]}, {"colour": "red"})
    wall.at += 5
    new = Attributes(None, {"深": {"y": None}}, {"big": 2**60})
    assert await update(store, conversation, lambda _: (new, "told")) == (NOON + 5, "told")
    assert await attributes_of(store, conversation) == (new, NOON + 5)
    gone = Attributes(None, None, {})
    await update(store, conversation, lambda _: (gone, ""))
    assert (await attributes_of(store, conversation))[0] == gone


async def test_update_times_increase_whatever_the_clock_does(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    times = [NOON]
    for _ in range(3):
        times += [(await update(store, conversation, setting()))[0], await mute(store, conversation, "bob")]
        times += [(await add(store, conversation, "cem")).updated_at, await mute(store, conversation, "bob", False)]
        times += [(await remove(store, conversation, "cem")).updated_at]
    assert times == list(range(NOON, NOON + len(times)))


async def test_updates_at_once_lose_none(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    async with held(store):
        updates = [store.info.update(conversation, "ann", counting, lambda *_: None) for _ in range(50)]
    await asyncio.gather(*updates)
    assert (await attributes_of(store, conversation))[0].columns == {"n": 50}


async def test_a_refused_change_changes_nothing(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await update(store, conversation, setting(kept=1))
    before = await attributes_of(store, conversation)

    def refuse(_: Attributes) -> tuple[Attributes, str]:
        raise Refused(errors.CONVERSATION_UPDATE_FAILED, "no")

    with pytest.raises(Refused, match="no"):
        await update(store, conversation, refuse)
    assert await attributes_of(store, conversation) == before


async def test_who_has_left_since_it_was_checked_changes_nothing(store: Store) -> None:
    conversation = await start(store, "ann", "bob", "cem")
    async with held(store):
        removing = store.conversations.remove_members(conversation, ["bob"], lambda _: None)
        updating = store.info.update(conversation, "bob", setting(x=1), lambda *_: None)
        asking = store.info.update(conversation, "bob", None, lambda *_: None)
        muting = store.info.mute(conversation, "bob", True, lambda *_: None)
    removed, *others = await asyncio.gather(removing, updating, asking, muting, return_exceptions=True)
    assert not isinstance(removed, BaseException)
    kinds = [other.kind for other in others if isinstance(other, Refused)]
    rejected = errors.CONVERSATION_UPDATE_REJECTED
    assert kinds == [rejected, rejected, errors.CONVERSATION_MEMBERSHIP_REQUIRED]
    assert (await attributes_of(store, conversation))[0].columns == {}


async def test_messages_go_on_after_an_update_in_the_same_batch(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    first = await send(store, conversation, "ann")
    async with held(store):
        updating = store.info.update(conversation, "ann", setting(x=1), lambda *_: None)
        sent = submit(store, conversation, "ann")
    await updating
    stored = await sent
    assert isinstance(stored, Stored)
    assert stored.seq == first.seq + 1


async def test_muting_is_each_members_own_and_twice_is_once(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    first = await mute(store, conversation, "ann")
    assert first == NOON + 1
    assert await mute(store, conversation, "ann") == first
    assert await mute(store, conversation, "bob", False) == first
    assert await mute(store, conversation, "ann", False) == first + 1


async def test_whose_conversations(store: Store) -> None:
    own, others, elsewhere = [
        await start(store, "ann", "bob"),
        await start(store, "bob", "cem"),
        await start(store, "ann", "bob", app=APP + 1),
    ]
    asked = [own.id, others.id, elsewhere.id, "absent", "", own.id]
    assert await store.info.member_of(APP, "ann", asked) == {own.id}
    assert await store.info.member_of(APP, "bob", asked) == {own.id, others.id}
    assert await store.info.member_of(APP, "nobody", asked) == set()
