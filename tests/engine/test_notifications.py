"""What a client missed: what is told to whom, how much, and what is said of what was forgotten."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hongyan.bus.local import LocalBus
from hongyan.engine import notifications
from hongyan.engine.engine import Engine
from hongyan.engine.events import MembersJoined
from hongyan.engine.notifications import Missed, Recent, size_of
from hongyan.engine.values import App, Conversation, ConversationKind, Notification
from tests.engine.test_conversations import add, remove, start
from tests.engine.test_info import update
from tests.store.steps import NOON, Wall

PAGE = 10


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "PAGE", PAGE)


async def missed(engine: Engine, app: App, client: str, since: int = NOON, **kinds: bool) -> Missed:
    return await engine.notifications.missed(app, client, since, **kinds)


def ops(told: list[Notification]) -> list[str]:
    return [notification.op for notification in told]


@pytest.fixture
def later(wall: Wall) -> Callable[[], int]:
    """Lets a second pass and says the time."""

    def pass_() -> int:
        wall.at += 1000
        return wall.at

    return pass_


async def test_a_client_is_told_what_happened_while_it_was_away(
    engine: Engine, app: App, later: Callable[[], int]
) -> None:
    at = [later() for _ in range(1)]
    row = await start(engine, app, "ann", "bob")
    for step in (
        lambda: add(engine, app, "ann", row.id, "cem", "dan"),
        lambda: update(engine, app, "ann", row.id, {"a": 1}),
        lambda: remove(engine, app, "cem", row.id, "dan"),
    ):
        at.append(later())
        await step()
    found = await missed(engine, app, "bob")
    assert (found.has_more, found.complete) == (False, True)
    assert found.permanent == [Notification("joined", row.id, "ann", at[0])]
    assert found.droppable == [
        Notification("members_joined", row.id, "ann", at[0], {"clients": ("ann", "bob")}),
        Notification("members_joined", row.id, "ann", at[1], {"clients": ("cem", "dan")}),
        Notification("updated", row.id, "ann", at[2], {"attr": '{"a":1}', "modified": '{"a":1}'}),
        Notification("members_left", row.id, "cem", at[3], {"clients": ("dan",)}),
    ]
    dan = await missed(engine, app, "dan")
    assert (ops(dan.permanent), ops(dan.droppable)) == (["joined", "left"], [])
    cem = await missed(engine, app, "cem")
    assert (ops(cem.permanent), ops(cem.droppable)) == (["joined"], ["members_joined", "updated", "members_left"])


async def test_what_one_did_oneself_is_told_too_inferred(engine: Engine, app: App, later: Callable[[], int]) -> None:
    later()
    row = await start(engine, app, "ann")
    await update(engine, app, "ann", row.id, {"a": 1})
    found = await missed(engine, app, "ann")
    assert (ops(found.permanent), ops(found.droppable)) == (["joined"], ["members_joined", "updated"])


async def test_only_later_times_and_the_kinds_that_were_asked_for(
    engine: Engine, app: App, later: Callable[[], int]
) -> None:
    first = later()
    row = await start(engine, app, "ann", "bob")
    second = later()
    await update(engine, app, "ann", row.id, {"a": 1})
    found = await missed(engine, app, "bob", first)
    assert (ops(found.permanent), ops(found.droppable)) == ([], ["updated"])
    assert ops((await missed(engine, app, "bob", first - 1)).permanent) == ["joined"]
    assert (await missed(engine, app, "bob", second)) == Missed([], False, [], True)
    assert await missed(engine, app, "bob", permanent=False) == Missed(
        [], False, (await missed(engine, app, "bob")).droppable, True
    )
    assert ops((await missed(engine, app, "bob", droppable=False)).droppable) == []


async def test_strangers_former_and_later_members_are_told_nothing_of_what_they_were_not_there_for(
    engine: Engine, app: App, later: Callable[[], int]
) -> None:
    row = await start(engine, app, "ann", "bob")
    later()
    await update(engine, app, "ann", row.id, {"secret": 1})
    later()
    await remove(engine, app, "ann", row.id, "bob")
    later()
    await update(engine, app, "ann", row.id, {"secret": 2})
    other = await engine.apps.create("other", id="other")
    for told in (
        await missed(engine, app, "eve"),
        await missed(engine, app, "bob"),
        await missed(engine, other, "ann"),
    ):
        assert told.droppable == []
    await add(engine, app, "ann", row.id, "bob")
    again = await missed(engine, app, "bob")
    assert ops(again.permanent) == ["left", "joined"]
    assert [told.details for told in again.droppable] == [{"clients": ("bob",)}]


async def test_pages_part_no_millisecond(engine: Engine, app: App, wall: Wall) -> None:
    """Who asks on says the last time only."""
    made = []
    for number in range(PAGE * 2):
        if number % 3 == 0:
            wall.at += 1
        made.append((await start(engine, app, "ann", "bob")).id)
    seen: list[Notification] = []
    since, has_more = NOON, True
    while has_more:
        page = await missed(engine, app, "bob", since)
        assert 0 < len(page.permanent) <= PAGE
        assert page.permanent[0].at > since
        seen += page.permanent
        since, has_more = page.permanent[-1].at, page.has_more
    assert sorted(notification.conversation_id for notification in seen) == sorted(made)
    assert [notification.at for notification in seen] == sorted(notification.at for notification in seen)


async def test_a_page_full_of_one_millisecond_still_goes_on(engine: Engine, app: App, wall: Wall) -> None:
    wall.at += 1
    for _ in range(PAGE + 5):
        await start(engine, app, "bob")
    wall.at += 1
    last = await start(engine, app, "bob")
    page = await missed(engine, app, "bob")
    assert (len(page.permanent), page.has_more) == (PAGE, True)
    rest = await missed(engine, app, "bob", page.permanent[-1].at)
    assert [each.conversation_id for each in rest.permanent] == [last.id]
    assert not rest.has_more


async def test_exactly_one_page_has_no_more(engine: Engine, app: App, wall: Wall) -> None:
    for _ in range(PAGE):
        wall.at += 1
        await start(engine, app, "bob")
    page = await missed(engine, app, "bob")
    assert (len(page.permanent), page.has_more) == (PAGE, False)


async def test_after_a_restart_only_what_is_permanent_is_there(
    engine: Engine, app: App, make_engine: Callable[[], Engine], later: Callable[[], int]
) -> None:
    row = await start(engine, app, "ann", "bob")
    await update(engine, app, "ann", row.id, {"a": 1})
    restarted_at = later()
    again = make_engine()
    await again.start()
    found = await missed(again, app, "bob", NOON - 1)
    assert (ops(found.permanent), found.droppable, found.complete) == (["joined"], [], False)
    assert (await missed(again, app, "bob", restarted_at)).complete


async def test_what_does_not_fit_is_said_to_be_missing(
    engine: Engine, app: App, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await start(engine, app, "ann")
    for number in range(6):
        wall.at += 1
        await update(engine, app, "ann", row.id, {"n": number})

    async def numbers() -> tuple[list[int], bool]:
        found = await missed(engine, app, "ann")
        return [json.loads(told.details["modified"])["n"] for told in found.droppable], found.complete

    assert await numbers() == ([0, 1, 2, 3, 4, 5], True)
    monkeypatch.setattr(notifications, "DROPPABLE_CHARACTERS_MAX", 4 * len('{"n":0}'))
    assert await numbers() == ([4, 5], False)
    monkeypatch.setattr(notifications, "DROPPABLE_MAX", 1)
    assert await numbers() == ([5], False)


async def test_of_too_many_memberships_not_all_are_looked_through(
    engine: Engine, app: App, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        wall.at += 1
        await start(engine, app, "ann")
    monkeypatch.setattr(notifications, "MEMBERSHIPS_MAX", 3)
    assert (await missed(engine, app, "ann")).complete
    monkeypatch.setattr(notifications, "MEMBERSHIPS_MAX", 2)
    found = await missed(engine, app, "ann")
    assert (len(found.droppable), found.complete) == (2, False)


def test_memory_keeps_no_members_but_those_that_are_told_of(bus: LocalBus) -> None:
    store: Any = None
    clock: Any = type("", (), {"now": lambda self: NOON})()
    kept = notifications.Notifications(store, bus, clock)
    conversation = Conversation(7, 1, "talk", ConversationKind.NORMAL, 1, {str(number) for number in range(1000)})
    bus.publish(MembersJoined(conversation, ("ann",), "bob", NOON + 1))
    (told,) = kept._recent.after(7, NOON)
    assert told == Notification("members_joined", "talk", "bob", NOON + 1, {"clients": ("ann",)})
    assert size_of(told) < 10


def test_many_short_ids_count_as_what_they_take() -> None:
    recent = Recent(NOON, 100, 20_000)
    for number in range(10):
        clients = tuple(f"c{number}{place}" for place in range(100))
        recent.add(1, Notification("members_joined", "talk", "bob", NOON + 1 + number, {"clients": clients}))
    assert 0 < len(recent.after(1, NOON)) < 5


ADDITIONS = st.lists(
    st.tuples(st.sampled_from([1, 2, (1, "ann")]), st.integers(0, 20), st.integers(0, 30)), max_size=40
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(additions=ADDITIONS, count=st.integers(1, 20), size=st.integers(500, 5_000))
def test_what_is_after_the_bound_is_all_there_inferred(additions: list[Any], count: int, size: int) -> None:
    recent = Recent(NOON, count, size)
    added: list[tuple[Any, Notification]] = []
    for audience, at, length in additions:
        notification = Notification("updated", str(len(added)), "", NOON + at, {"attr": "x" * length})
        recent.add(audience, notification)
        added.append((audience, notification))
        there = [told for audience in (1, 2, (1, "ann")) for told in recent.after(audience, 0)]
        assert len(there) <= count
        assert sum(500 + size_of(told) for told in there) <= max(size, 530)
        assert recent.latest >= max(told.at for _, told in added)
        for since in range(recent.since, NOON + 21):
            for audience in (1, 2, (1, "ann")):
                found = recent.after(audience, since)
                assert [told.at for told in found] == sorted(told.at for told in found)
                expected = {told.conversation_id for to, told in added if to == audience and told.at > since}
                assert {told.conversation_id for told in found} == expected


async def test_members_and_the_blocked_are_told_of_blocks(engine: Engine, app: App, later: Callable[[], int]) -> None:
    row = await start(engine, app, "ann", "bob", "cem")
    blocked_at = later()
    await engine.blacklists.block(app, "ann", row.id, ["cem", "eve"], lambda _: None)
    unblocked_at = later()
    await engine.blacklists.unblock(app, "ann", row.id, ["cem"], lambda _: None)
    bob = await missed(engine, app, "bob", blocked_at - 1)
    assert [(told.op, told.by, told.at, told.details) for told in bob.droppable] == [
        ("members_blocked", "ann", blocked_at, {"clients": ("cem", "eve")}),
        ("members_left", "ann", blocked_at, {"clients": ("cem",)}),
        ("members_unblocked", "ann", unblocked_at, {"clients": ("cem",)}),
    ]
    cem = await missed(engine, app, "cem", blocked_at - 1)
    assert cem.permanent == [Notification("left", row.id, "ann", blocked_at)]
    assert cem.droppable == [
        Notification("blocked", row.id, "ann", blocked_at),
        Notification("unblocked", row.id, "ann", unblocked_at),
    ]
    assert ops((await missed(engine, app, "eve")).droppable) == ["blocked"]
    assert cem.complete
