"""What is set about clients in conversations, on disk."""

import asyncio
from collections.abc import Mapping

import pytest

from hongyan import errors
from hongyan.engine.values import (
    FOREVER,
    NO_STANDING,
    Conversation,
    Decision,
    Role,
    Standing,
    StandingsChanged,
    StandingsNow,
)
from hongyan.errors import Refused
from hongyan.store import Store
from tests.store.steps import APP, NOON, held, load, start, submit

SILENCED = Standing(silenced_until=FOREVER)


async def change(
    store: Store, conversation: Conversation, standings: Mapping[str, Standing], removed: tuple[str, ...] = ()
) -> StandingsChanged:
    results: list[StandingsChanged] = []
    await store.standings.change(
        conversation,
        list({**standings, **dict.fromkeys(removed)}),
        lambda now: Decision(standings, removed),
        results.append,
    )
    return results[0]


async def test_what_is_set_is_loaded_with_the_conversation(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    manager = Standing(Role.MANAGER, "5f0000000000000000000001")
    changed = await change(store, conversation, {"bob": manager, "eve": SILENCED})
    again = await load(store, conversation.id)
    assert again.standings == changed.standings == {"bob": manager, "eve": SILENCED}
    assert (again.version, again.creator) == (changed.version, "ann")
    await change(store, again, {"eve": NO_STANDING})
    assert (await load(store, conversation.id)).standings == {"bob": manager}


async def test_what_was_so_already_changes_nothing(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    first = await change(store, conversation, {"bob": SILENCED})
    second = await change(store, conversation, {"bob": SILENCED}, removed=("stranger",))
    assert second == StandingsChanged({}, (), first.version, first.updated_at)


async def test_members_are_removed_with_it(store: Store) -> None:
    conversation = await start(store, "ann", "bob", "eve")
    changed = await change(store, conversation, {"eve": Standing(blocked_at=NOON)}, removed=("eve",))
    assert changed.removed == ("eve",)
    again = await load(store, conversation.id)
    assert again.members == {"ann", "bob"}
    told = await store.notifications.page(APP, "eve", 0, 10)
    assert [(n.op, n.at) for n in told] == [("joined", told[0].at), ("left", changed.updated_at)]


async def test_a_decision_knows_what_is_so_inside_the_write(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await change(
        store, conversation, {"bob": SILENCED, "eve": Standing(blocked_at=NOON), "old": Standing(None, None, 1)}
    )
    seen: list[StandingsNow] = []

    def decide(now: StandingsNow) -> Decision:
        seen.append(now)
        raise Refused(errors.SILIENCED_MEMBER_LIST_FULL)

    with pytest.raises(Refused, match="SILIENCED_MEMBER_LIST_FULL"):
        await store.standings.change(conversation, ["bob", "stranger"], decide, lambda result: None)
    # the silence of `old` is long over and counts no more
    assert seen == [StandingsNow(frozenset({"bob"}), {"bob": SILENCED}, silenced=1, blocked=1)]


async def test_a_message_on_its_way_is_refused_when_its_sender_is_silenced_first(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    async with held(store):
        silencing = change(store, conversation, {"bob": SILENCED})
        task = asyncio.ensure_future(silencing)
        await asyncio.sleep(0)
        sent, other = submit(store, conversation, "bob"), submit(store, conversation, "ann")
    await task
    outcome = await sent
    assert isinstance(outcome, Refused)
    assert outcome.kind is errors.SILIENCED
    assert not isinstance(await other, Refused)
