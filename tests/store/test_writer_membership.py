"""A message is checked when it is sent; if the members have changed since, it is checked again where it is written."""

import asyncio
import threading

from hongyan import errors
from hongyan.engine.access import Access
from hongyan.engine.app_settings import AppSettings
from hongyan.engine.clock import Clock
from hongyan.engine.values import App, Conversation, ConversationKind, MembersChanged, Stored
from hongyan.errors import Refused
from hongyan.store import Store
from tests.store.steps import APP, PATIENCE, held, load, start, submit


def kinds(outcomes: list[Stored | Refused]) -> list[object]:
    """Their `seq`, or what they were refused with."""
    return [outcome.seq if isinstance(outcome, Stored) else outcome.kind for outcome in outcomes]


async def test_removed_in_the_same_batch(store: Store) -> None:
    conversation = await start(store, "ann", "bob", "cem")
    async with held(store):
        before = submit(store, conversation, "bob")
        removing = store.conversations.remove_members(conversation, ["bob"], lambda _: None)
        after = [submit(store, conversation, "bob"), submit(store, conversation, "ann")]
    await removing
    assert kinds(await asyncio.gather(before, *after)) == [1, errors.INVALID_MESSAGING_TARGET, 2]


async def test_removed_long_before(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await store.conversations.remove_members(await load(store, conversation.id), ["bob"], lambda _: None)
    outcomes = await asyncio.gather(*(submit(store, conversation, who) for who in ("bob", "ann")))
    assert kinds(outcomes) == [errors.INVALID_MESSAGING_TARGET, 1]


async def test_removed_and_added_again(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    current = await load(store, conversation.id)
    await store.conversations.remove_members(current, ["bob"], lambda _: None)
    await store.conversations.add_members(current, ["bob"], 500, lambda _: None)
    assert kinds([await submit(store, conversation, "bob")]) == [1]


async def test_the_check_is_against_what_the_sender_was_checked_against(store: Store) -> None:
    """The conversation in memory moves on with the removal's commit, before the message is written."""
    conversation = await start(store, "ann", "bob")
    access, app = Access(store.conversations, Clock()), App(APP, "app", "", "", "", "", AppSettings(), 0)
    cached = await access.conversation(app, conversation.id)
    removed_in_memory = threading.Event()

    def committed(change: MembersChanged) -> None:
        access.changed(cached, change.version, set(), set(change.changed))
        removed_in_memory.set()

    # batch 1: `held`; batch 2: the removal, held too; batch 3: waits until the removal is known, then the message
    async with held(store):
        removing = store.conversations.remove_members(cached, ["bob"], committed)
        entered, release = threading.Event(), threading.Event()
        holding = store.writer.call(lambda _: (entered.set(), release.wait(PATIENCE)))
    assert await asyncio.to_thread(entered.wait, PATIENCE)
    assert "bob" in cached.members
    waiting = store.writer.call(lambda _: removed_in_memory.wait(PATIENCE))
    sent = submit(store, cached, "bob")
    release.set()
    await asyncio.gather(removing, holding, waiting)
    assert cached.members == {"ann"}
    assert kinds([await sent]) == [errors.INVALID_MESSAGING_TARGET]


async def test_messages_checked_again_do_not_fall_behind(store: Store) -> None:
    """One sender's messages, some checked against an older membership, are written in their order."""
    stale = await start(store, "ann", "bob")
    current = await load(store, stale.id)
    await store.conversations.add_members(current, ["cem"], 500, lambda _: None)
    current = await load(store, stale.id)
    async with held(store):
        sending = [submit(store, each, "ann") for each in (stale, current, stale, current, stale)]
    assert kinds(await asyncio.gather(*sending)) == [1, 2, 3, 4, 5]


async def test_a_conversation_that_is_not_there(store: Store) -> None:
    nowhere = Conversation(99, APP, "nowhere", ConversationKind.NORMAL, 1, {"ann"})
    assert kinds([await submit(store, nowhere, "ann")]) == [errors.INVALID_MESSAGING_TARGET]
