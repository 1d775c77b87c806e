"""Temporary conversations: of whom, for how long, and that nothing is left at the moment they end."""

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MembersJoined, MessageSent
from hongyan.engine.query import TemporaryQuery, by_ids, parse
from hongyan.engine.receipts import arrived
from hongyan.engine.temporary import MEMBERS_MAX, TTL_DEFAULT
from hongyan.engine.values import (
    TEMPORARY_PREFIX,
    App,
    ConversationKind,
    ConversationRow,
    HistoryRange,
    Stored,
)
from hongyan.errors import Kind, Refused
from hongyan.store import Store
from tests.engine.test_conversations import add, remove
from tests.engine.test_conversations import start as start_normal
from tests.engine.test_edits import apply, editing, recalling
from tests.engine.test_edits import missed as missed_edits
from tests.engine.test_edits import refused as refused_edit
from tests.engine.test_info import mute, refusal, update
from tests.engine.test_messages import refused_with, send
from tests.engine.test_wills import PHONE, end, leave, said
from tests.store.steps import NOON, Wall, held

MINUTE = 60_000


async def start(
    engine: Engine, app: App, creator: str, *others: str, ttl: int = 60, attributes: str = ""
) -> tuple[ConversationRow, bool]:
    """A temporary conversation, and whether it was there."""
    replies: list[tuple[ConversationRow, bool]] = []
    await engine.temporary.start(
        app, creator, others, attributes, ttl=ttl, reply=lambda row, existing: replies.append((row, existing))
    )
    (reply,) = replies
    return reply


@pytest.fixture
async def talk(engine: Engine, app: App, events: list[Event]) -> str:
    """The id of a conversation of ann and bob that lives for a minute."""
    row, _ = await start(engine, app, "ann", "bob")
    events.clear()
    return row.id


async def found(engine: Engine, app: App, caller: str, *ids: str, **wanted: bool) -> list[ConversationRow]:
    return await engine.temporary.find(app, caller, TemporaryQuery(ids, **wanted))


async def unread(engine: Engine, app: App, client: str, *, since: int | None = None, temporary: bool = True) -> Any:
    counts, _ = await engine.unread.since(app, client, since, temporary=temporary)
    return {each.conversation_id: each.count for each in counts}


async def test_starting(engine: Engine, app: App, events: list[Event]) -> None:
    row, existing = await start(engine, app, "ann", "bob", "ann", attributes='{"name":"n","attr":{"a":1},"x":2}')
    assert not existing
    assert row.id.startswith(TEMPORARY_PREFIX)
    assert (row.kind, row.creator, row.members) == (ConversationKind.TEMPORARY, "ann", ("ann", "bob"))
    assert (row.created_at, row.updated_at, row.expires_at, row.unique_id) == (NOON, NOON, NOON + MINUTE, None)
    assert (row.name, row.attr, row.columns) == ("n", {"a": 1}, {"x": 2})
    (event,) = events
    assert isinstance(event, MembersJoined)
    assert (event.conversation.id, set(event.joined), event.by) == (row.id, {"ann", "bob"}, "ann")
    assert event.conversation.expires_at == NOON + MINUTE


async def test_ids_cannot_be_guessed(engine: Engine, app: App) -> None:
    ids = {(await start(engine, app, "ann", f"b{number}"))[0].id for number in range(20)}
    assert len({id.removeprefix(TEMPORARY_PREFIX)[:8] for id in ids}) == 20


@pytest.mark.parametrize(
    ("asked", "longest", "lifetime"),
    [
        (0, 86_400, TTL_DEFAULT),
        (-5, 86_400, TTL_DEFAULT),
        (1, 86_400, 1),
        (86_401, 86_400, 86_400),
        (2**31 - 1, 2_592_000, 2_592_000),
        (0, 100, 100),
        (0, 2_592_000, TTL_DEFAULT),
    ],
)
async def test_a_lifetime_is_a_day_or_as_asked_up_to_what_the_app_allows_inferred(
    engine: Engine, app: App, asked: int, longest: int, lifetime: int
) -> None:
    app.settings = dataclasses.replace(app.settings, temporary_ttl_max=longest)
    row, _ = await start(engine, app, "ann", "bob", ttl=asked)
    assert row.expires_at == NOON + lifetime * 1000


async def test_the_same_members_find_it_while_it_lives(
    engine: Engine, app: App, talk: str, events: list[Event], wall: Wall
) -> None:
    wall.at += MINUTE - 1
    row, existing = await start(engine, app, "bob", "ann", ttl=1000, attributes='{"name":"other"}')
    assert (row.id, existing, row.expires_at, row.name, row.creator) == (talk, True, NOON + MINUTE, None, "ann")
    assert events == []
    others = [(await start(engine, app, *who))[0].id for who in (("ann",), ("ann", "bob", "cem"), ("ann", "cem"))]
    assert len({talk, *others}) == 4
    wall.at += 1
    again, existing = await start(engine, app, "ann", "bob")
    assert not existing
    assert again.id != talk
    assert (await start(engine, app, "bob", "ann"))[0].id == again.id


async def test_sets_are_told_apart_whatever_their_names(engine: Engine, app: App) -> None:
    sets = [("ab", "c"), ("a", "bc"), ("a", "b", "c"), ("abc",), ('a","b',), ("a", "b")]
    assert len({(await start(engine, app, *who))[0].id for who in sets}) == len(sets)


async def test_it_is_no_unique_conversation(engine: Engine, app: App, talk: str) -> None:
    unique = await start_normal(engine, app, "ann", "bob", unique=True)
    assert unique.kind == ConversationKind.NORMAL
    assert (await start(engine, app, "ann", "bob"))[0].id == talk
    assert (await start_normal(engine, app, "ann", "bob", unique=True)).id == unique.id


async def test_other_apps_have_their_own(engine: Engine, app: App, talk: str) -> None:
    other = await engine.apps.create("other", id="other")
    assert (await start(engine, other, "ann", "bob"))[0].id != talk
    assert await found(engine, other, "ann", talk) == []
    assert await refused_with(send(engine, other, "ann", talk)) is errors.CONVERSATION_NOT_FOUND


async def test_ten_members_at_most(engine: Engine, app: App, events: list[Event]) -> None:
    others = [f"client-{number}" for number in range(MEMBERS_MAX)]
    row, _ = await start(engine, app, *others)
    assert len(row.members) == MEMBERS_MAX
    events.clear()
    assert await refusal(start(engine, app, "one more", *others)) is errors.CONVERSATION_FULL
    assert await refusal(start(engine, app, "ann", "")) is errors.CONVERSATION_API_FAILED
    assert await refusal(start(engine, app, "ann", attributes="[")) is errors.CONVERSATION_API_FAILED
    assert events == []


async def test_two_that_start_at_once_get_one(engine: Engine, app: App) -> None:
    (first, _), (second, existing) = await asyncio.gather(
        start(engine, app, "ann", "bob"), start(engine, app, "bob", "ann")
    )
    assert first.id == second.id
    assert existing


# who sees it


async def test_its_id_alone_finds_it_for_its_members_inferred(engine: Engine, app: App, talk: str) -> None:
    normal = await start_normal(engine, app, "ann", "bob")
    await send(engine, app, "ann", talk, "hi")
    (row,) = await found(engine, app, "bob", talk, normal.id, "_tmp:absent", with_last_message=True)
    assert (row.id, row.members, row.expires_at) == (talk, ("ann", "bob"), NOON + MINUTE)
    assert row.last_message is not None
    assert row.last_message.content == "hi"
    (row,) = await found(engine, app, "bob", talk, compact=True)
    assert (row.members, row.last_message) == ((), None)
    assert await found(engine, app, "eve", talk) == []
    assert await found(engine, app, "bob") == []


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"m": "ann"},
        {"m": {"$all": ["ann", "bob"], "$size": 2}},
        {"c": "ann"},
        {"conv_type": 4},
        {"name": {"$ne": "x"}},
        {"unique": True},
        {"unique": {"$ne": True}},
        {"uniqueId": {"$exists": True}},
        {"objectId": {"$regex": "_tmp"}},
        {"updatedAt": {"$gt": {"__type": "Date", "iso": "2000-01-01T00:00:00.000Z"}}},
        "its id",
        "its id or another",
    ],
)
async def test_no_condition_finds_it(engine: Engine, app: App, talk: str, where: Any) -> None:
    if where == "its id":
        where = {"objectId": talk}
    elif where == "its id or another":
        where = {"$or": [{"objectId": talk}, {"objectId": "absent"}]}
    await start_normal(engine, app, "ann", "bob", unique=True)
    rows = await engine.conversations.query(app, "ann", parse("ann", json.dumps(where)))
    assert [row.id for row in rows if row.kind == ConversationKind.TEMPORARY] == []


def test_so_many_are_looked_for_at_once() -> None:
    assert by_ids(["a", "b", "a"], flag=3) == TemporaryQuery(("a", "b"), compact=True, with_last_message=True)
    by_ids(["a"] * 1000)
    with pytest.raises(Refused) as refused:
        by_ids(["a"] * 1001)
    assert refused.value.kind is errors.CONVERSATION_QUERY_FAILED


async def test_its_members_are_fixed_inferred(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    for change in (
        add(engine, app, "ann", talk, "cem"),
        add(engine, app, "eve", talk, "eve"),
        remove(engine, app, "ann", talk, "bob"),
        remove(engine, app, "bob", talk, "bob"),
    ):
        assert await refusal(change) is errors.CONVERSATION_READ_ONLY
    assert events == []
    assert {*(await found(engine, app, "ann", talk))[0].members} == {"ann", "bob"}


async def test_its_attributes_are_fixed_and_it_is_not_muted_inferred(engine: Engine, app: App, talk: str) -> None:
    assert await refusal(update(engine, app, "ann", talk, {"name": "n"})) is errors.CONVERSATION_READ_ONLY
    assert await refusal(mute(engine, app, "ann", talk)) is errors.NORMAL_CONVERSATION_REQUIRED
    assert await refusal(mute(engine, app, "eve", talk)) is errors.CONVERSATION_MEMBERSHIP_REQUIRED


async def test_strangers_learn_nothing_inferred(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    place = await send(engine, app, "ann", talk)
    assert isinstance(place, Stored)
    events.clear()
    assert await refused_with(send(engine, app, "eve", talk)) is errors.CONVERSATION_NOT_FOUND
    assert await refused_with(send(engine, app, "eve", talk, transient=True)) is errors.CONVERSATION_NOT_FOUND
    assert await refused_with(leave(engine, app, talk, client="eve")) is errors.CONVERSATION_NOT_FOUND
    reading = engine.history.page(app, "eve", talk, HistoryRange(10))
    assert await refusal(reading) is errors.CONVERSATION_LOG_REJECTED
    assert await refusal(engine.info.count(app, "eve", talk)) is errors.CONVERSATION_MEMBERSHIP_REQUIRED
    assert await refusal(engine.receipts.of_others(app, "eve", talk)) is errors.CONVERSATION_MEMBERSHIP_REQUIRED
    assert await engine.info.memberships(app, "eve", [talk]) == {talk: False}
    assert await refused_edit(engine, app, "eve", editing(talk, place)) is errors.INVALID_MESSAGING_TARGET
    assert events == []


# as usual otherwise


async def test_its_messages_are_like_others(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    place = await send(engine, app, "ann", talk, "hi", receipt=True, token="t")
    assert isinstance(place, Stored)
    again = await send(engine, app, "ann", talk, "hi", receipt=True, token="t")
    assert isinstance(again, Stored)
    assert (again.id, again.repeated) == (place.id, True)
    assert await unread(engine, app, "bob") == {talk: 1}
    received: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    what = arrived(place.id, None, None)
    assert what is not None
    engine.receipts.received(app, "bob", talk, what, lambda: received.set_result(None))
    await received
    await engine.unread.mark_read(app, "bob", talk, place.id, None)
    assert [type(event).__name__ for event in events] == [
        "MessageSent",
        "ReceiptsGiven",
        "UnreadChanged",
        "ReceiptsGiven",
    ]
    (marks,) = await engine.receipts.of_others(app, "ann", talk)
    assert (marks.acked_to, marks.read_to) == (place.timestamp, place.timestamp)
    assert await unread(engine, app, "bob") == {}
    await apply(engine, app, "ann", editing(talk, place))
    _, (kept,) = await engine.history.page(app, "bob", talk, HistoryRange(10))
    assert kept.content == "new"
    assert await missed_edits(engine, app, "bob", NOON - 1) == [(talk, "new")]
    assert await engine.info.count(app, "bob", talk) == 2
    assert await engine.info.memberships(app, "bob", [talk]) == {talk: True}
    missed = await engine.receipts.missed(app, "bob")
    assert missed == []


async def test_who_cannot_know_of_it_is_not_told_inferred(engine: Engine, app: App, talk: str) -> None:
    normal = await start_normal(engine, app, "ann", "bob")
    for conversation in (talk, normal.id):
        await send(engine, app, "ann", conversation)
    assert await unread(engine, app, "bob", temporary=False) == {normal.id: 1}
    assert await unread(engine, app, "bob", since=NOON - 1, temporary=False) == {normal.id: 1}
    missed = await engine.receipts.missed(app, "bob", temporary=False)
    assert [each.conversation_id for each in missed] == [normal.id]
    told = await engine.notifications.missed(app, "bob", NOON - 1, temporary=False)
    assert {n.conversation_id for n in [*told.permanent, *told.droppable]} == {normal.id}


# at the moment it ends

At = Callable[[Engine, App, str, Stored], Awaitable[Kind]]


async def _refused_transient(engine: Engine, app: App, talk: str, _: Stored) -> Kind:
    return await refused_with(send(engine, app, "ann", talk, transient=True))


COMMANDS: dict[str, At] = {
    "send": lambda engine, app, talk, _: refused_with(send(engine, app, "ann", talk)),
    "send transient": _refused_transient,
    "set a will": lambda engine, app, talk, _: refused_with(leave(engine, app, talk)),
    "history": lambda engine, app, talk, _: refusal(engine.history.page(app, "ann", talk, HistoryRange(1))),
    "read": lambda engine, app, talk, _: refusal(engine.unread.mark_read(app, "bob", talk, "", None)),
    "max_read": lambda engine, app, talk, _: refusal(engine.receipts.of_others(app, "ann", talk)),
    "add": lambda engine, app, talk, _: refusal(add(engine, app, "ann", talk, "cem")),
    "remove": lambda engine, app, talk, _: refusal(remove(engine, app, "ann", talk, "bob")),
    "update": lambda engine, app, talk, _: refusal(update(engine, app, "ann", talk, {"name": "n"})),
    "mute": lambda engine, app, talk, _: refusal(mute(engine, app, "ann", talk)),
    "count": lambda engine, app, talk, _: refusal(engine.info.count(app, "ann", talk)),
    "members": lambda engine, app, talk, _: refusal(engine.info.online_members(app, talk, 10)),
    "edit": lambda engine, app, talk, place: refused_edit(engine, app, "ann", editing(talk, place)),
    "recall": lambda engine, app, talk, place: refused_edit(engine, app, "ann", recalling(talk, place)),
}


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("name", COMMANDS)
async def test_every_command_finds_it_until_then_and_not_after(
    make_engine: Callable[[], Engine],
    engine: Engine,
    app: App,
    talk: str,
    events: list[Event],
    wall: Wall,
    name: str,
    cached: bool,
) -> None:
    place = await send(engine, app, "ann", talk)
    assert isinstance(place, Stored)
    wall.at = NOON + MINUTE - 1
    assert await found(engine, app, "ann", talk) != []
    if not cached:
        engine = make_engine()
        await engine.start()
    events.clear()
    wall.at += 1
    assert await COMMANDS[name](engine, app, talk, place) is errors.CONVERSATION_NOT_FOUND
    assert events == []


async def test_it_works_in_its_last_moment(engine: Engine, app: App, talk: str, wall: Wall) -> None:
    wall.at = NOON + MINUTE - 1
    place = await send(engine, app, "ann", talk)
    assert isinstance(place, Stored)
    assert place.timestamp == wall.at
    assert await unread(engine, app, "bob") == {talk: 1}


async def test_no_list_shows_it_after_its_end(
    engine: Engine, app: App, talk: str, events: list[Event], wall: Wall
) -> None:
    place = await send(engine, app, "ann", talk, receipt=True)
    assert isinstance(place, Stored)
    await apply(engine, app, "ann", editing(talk, place))
    await engine.unread.mark_read(app, "bob", talk, "", place.timestamp - 1)

    async def shown() -> dict[str, bool]:
        told = await engine.notifications.missed(app, "bob", NOON - 1)
        return {
            "by id": bool(await found(engine, app, "bob", talk)),
            "unread": bool(await unread(engine, app, "bob")),
            "unread since": bool(await unread(engine, app, "bob", since=NOON - 1)),
            "missed": bool(await engine.receipts.missed(app, "bob")),
            "edits": bool(await missed_edits(engine, app, "bob", NOON - 1)),
            "is_member": (await engine.info.memberships(app, "bob", [talk]))[talk],
            "permanent": bool(told.permanent),
            "droppable": bool(told.droppable),
        }

    wall.at = NOON + MINUTE - 1
    assert set((await shown()).values()) == {True}
    wall.at += 1
    assert set((await shown()).values()) == {False}


async def test_receipts_missed_are_not_told_after_its_end(engine: Engine, app: App, talk: str, wall: Wall) -> None:
    place = await send(engine, app, "ann", talk, receipt=True)
    assert isinstance(place, Stored)
    await engine.unread.mark_read(app, "bob", talk, place.id, None)

    async def ops() -> list[str]:
        return [n.op for n in (await engine.notifications.missed(app, "ann", NOON - 1)).droppable]

    assert "read" in await ops()
    wall.at = NOON + MINUTE
    assert await ops() == []


async def test_a_message_on_its_way_to_the_disk_is_refused(
    engine: Engine, app: App, store: Store, talk: str, events: list[Event], wall: Wall
) -> None:
    await send(engine, app, "ann", talk)
    events.clear()
    async with held(store):
        outcomes = [send(engine, app, "ann", talk), send(engine, app, "ann", talk, transient=True)]
        wall.at = NOON + MINUTE
    assert [await refused_with(outcome) for outcome in outcomes] == [errors.CONVERSATION_NOT_FOUND] * 2
    assert events == []


async def test_what_waits_for_the_writer_is_refused(
    engine: Engine, app: App, store: Store, talk: str, events: list[Event], wall: Wall
) -> None:
    place = await send(engine, app, "ann", talk, receipt=True)
    assert isinstance(place, Stored)
    events.clear()
    received = asyncio.Event()
    what = arrived(place.id, None, None)
    assert what is not None
    async with held(store):
        reading = asyncio.create_task(engine.unread.mark_read(app, "bob", talk, "", None))
        patching = asyncio.create_task(refused_edit(engine, app, "ann", editing(talk, place)))
        engine.receipts.received(app, "bob", talk, what, received.set)
        await asyncio.sleep(0)
        wall.at = NOON + MINUTE
    assert await refusal(reading) is errors.CONVERSATION_NOT_FOUND
    assert await patching is errors.CONVERSATION_NOT_FOUND
    await received.wait()
    assert events == []


async def test_a_will_is_said_in_time_only(
    engine: Engine, app: App, talk: str, events: list[Event], wall: Wall
) -> None:
    await leave(engine, app, talk, "in time")
    wall.at = NOON + MINUTE - 1
    end(engine, app)
    assert said(events) == ["in time"]
    await leave(engine, app, talk, "too late", session=PHONE)
    wall.at += 1
    end(engine, app)
    assert said(events) == ["in time"]


async def test_what_was_received_then_is_ignored(
    engine: Engine, app: App, talk: str, events: list[Event], wall: Wall
) -> None:
    place = await send(engine, app, "ann", talk, receipt=True)
    assert isinstance(place, Stored)
    events.clear()
    wall.at = NOON + MINUTE
    done = asyncio.Event()
    what = arrived(place.id, None, None)
    assert what is not None
    engine.receipts.received(app, "bob", talk, what, done.set)
    await done.wait()
    assert events == []


async def test_only_the_ended_one_is_refused_in_a_batch(
    engine: Engine, app: App, store: Store, talk: str, events: list[Event], wall: Wall
) -> None:
    normal = await start_normal(engine, app, "ann", "bob")
    events.clear()
    async with held(store):
        outcomes: Sequence[Any] = [send(engine, app, "ann", id) for id in (normal.id, talk, normal.id)]
        wall.at = NOON + MINUTE
    first, refused, last = [await outcome for outcome in outcomes]
    assert isinstance(refused, Refused)
    assert (first.seq, last.seq) == (1, 2)
    assert [event.conversation.id for event in events if isinstance(event, MessageSent)] == [normal.id] * 2
