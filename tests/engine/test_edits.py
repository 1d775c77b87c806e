"""Editing and recalling: who may, what is told when, and which edits a client that was away has missed."""

import asyncio
from collections.abc import Sequence

import pytest

from hongyan import errors
from hongyan.bus.local import LocalBus
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MessagePatched
from hongyan.engine.values import RECALLED_BODY, App, Draft, Edit, HistoryRange, Message, Stored
from hongyan.errors import Kind, Refused
from hongyan.store import Store
from tests.engine.test_conversations import remove, start
from tests.engine.test_messages import SIZES, send
from tests.store.steps import NOON, Wall, held


@pytest.fixture
async def talk(engine: Engine, app: App) -> str:
    """The id of a conversation of ann and bob."""
    return (await start(engine, app, "ann", "bob")).id


@pytest.fixture
async def said(engine: Engine, app: App, talk: str, events: list[Event]) -> Stored:
    """Ann's only message in it."""
    place = await send(engine, app, "ann", talk, "hello", mentions=("bob",))
    assert isinstance(place, Stored)
    events.clear()
    return place


def editing(talk: str, place: Stored, content: str | bytes = "new", **draft: object) -> Edit:
    return Edit(talk, place.id, place.timestamp, Draft(content, **draft))  # type: ignore[arg-type]


def recalling(talk: str, place: Stored) -> Edit:
    return Edit(talk, place.id, place.timestamp, None)


async def apply(engine: Engine, app: App, by: str, *edits: Edit) -> int:
    """The time that is answered."""
    answers: list[int] = []
    await engine.edits.apply(app, by, edits, answers.append, "origin")
    (at,) = answers
    return at


async def refused(engine: Engine, app: App, by: str, *edits: Edit) -> Kind:
    answers: list[int] = []
    with pytest.raises(Refused) as refusal:
        await engine.edits.apply(app, by, edits, answers.append)
    assert answers == []
    return refusal.value.kind


async def kept(engine: Engine, app: App, talk: str) -> Message:
    _, (message,) = await engine.history.page(app, "bob", talk, HistoryRange(10))
    return message


async def missed(engine: Engine, app: App, client: str, since: int) -> list[tuple[str, str | bytes]]:
    pages: list[Sequence[tuple[str, Message]]] = [page async for page in engine.edits.since(app, client, since)]
    return [(talk, message.content) for page in pages for talk, message in page]


async def test_an_edit_is_answered_and_told(
    engine: Engine, app: App, talk: str, said: Stored, events: list[Event], wall: Wall
) -> None:
    wall.at += 5
    at = await apply(engine, app, "ann", editing(talk, said, b"\xff", mention_all=True, mentions=("cem",)))
    (event,) = events
    assert isinstance(event, MessagePatched)
    assert (event.conversation.id, event.origin) == (talk, "origin")
    for message in (event.message, await kept(engine, app, talk)):
        assert (message.id, message.timestamp, message.sender) == (said.id, said.timestamp, "ann")
        assert (message.content, message.patched_at, message.recalled) == (b"\xff", at, False)
        assert (message.mention_all, message.mentions) == (True, ("cem",))
    assert at == NOON + 5


async def test_a_recall_is_answered_and_told_once_inferred(
    engine: Engine, app: App, talk: str, said: Stored, events: list[Event], wall: Wall
) -> None:
    at = await apply(engine, app, "ann", recalling(talk, said))
    (event,) = events
    assert isinstance(event, MessagePatched)
    message = event.message
    assert (message.content, message.recalled, message.mentions, message.patched_at) == (RECALLED_BODY, True, (), at)
    wall.at += 5
    assert await apply(engine, app, "ann", recalling(talk, said)) == at
    assert await refused(engine, app, "ann", editing(talk, said)) is errors.MESSAGE_NOT_FOUND
    assert len(events) == 1


async def test_the_author_hears_first(engine: Engine, app: App, bus: LocalBus, talk: str, said: Stored) -> None:
    told: list[str] = []
    bus.subscribe(lambda event: told.append(type(event).__name__))
    edits = [editing(talk, said), recalling(talk, said)]
    await engine.edits.apply(app, "ann", edits, lambda at: told.append("reply"))
    assert told == ["reply", "MessagePatched", "MessagePatched"]


async def test_nobody_hears_before_the_commit(
    engine: Engine, app: App, store: Store, talk: str, said: Stored, events: list[Event]
) -> None:
    async with held(store):
        task = asyncio.ensure_future(apply(engine, app, "ann", editing(talk, said)))
        await asyncio.sleep(0)
        assert not task.done()
        assert events == []
    await task
    assert len(events) == 1


async def test_who_is_no_member_learns_nothing_inferred(
    engine: Engine, app: App, talk: str, said: Stored, events: list[Event]
) -> None:
    other = await engine.apps.create("other", id="other")
    for client, where, conversation in (("eve", app, talk), ("ann", app, "absent"), ("ann", other, talk)):
        wanted = Edit(conversation, said.id, said.timestamp, None)
        assert await refused(engine, where, client, wanted) is errors.INVALID_MESSAGING_TARGET
    assert events == []
    await remove(engine, app, "bob", talk, "ann")
    assert await refused(engine, app, "ann", editing(talk, said)) is errors.INVALID_MESSAGING_TARGET


async def test_who_is_removed_meanwhile_edits_nothing(
    engine: Engine, app: App, store: Store, talk: str, said: Stored, events: list[Event]
) -> None:
    async with held(store):
        removing = asyncio.ensure_future(remove(engine, app, "bob", talk, "ann"))
        await asyncio.sleep(0)
        task = asyncio.ensure_future(refused(engine, app, "ann", editing(talk, said)))
        await asyncio.sleep(0)
    await removing
    assert await task is errors.INVALID_MESSAGING_TARGET
    assert (await kept(engine, app, talk)).content == "hello"
    assert [type(event).__name__ for event in events] == ["MembersLeft"]


@pytest.mark.parametrize(
    ("setting", "kind"), [("edit", errors.MESSAGE_EDIT_DISABLED), ("recall", errors.MESSAGE_RECALL_DISABLED)]
)
async def test_an_app_may_do_without_inferred(
    engine: Engine, app: App, talk: str, said: Stored, events: list[Event], setting: str, kind: Kind
) -> None:
    await engine.apps.change(app.id, {setting: "off"})
    off, on = editing(talk, said), recalling(talk, said)
    if setting == "recall":
        off, on = on, off
    assert await refused(engine, app, "ann", off) is kind
    assert events == []
    await apply(engine, app, "ann", on)
    assert len(events) == 1


async def test_the_first_thing_wrong_is_told(engine: Engine, app: App, talk: str, said: Stored) -> None:
    """Each case lacks one thing more than the next."""
    await engine.apps.change(app.id, {"edit": "off", "message_max": "100"})
    nowhere = Stored("x" * 22, 0, said.timestamp)
    assert await refused(engine, app, "eve", editing(talk, nowhere, "x" * 101)) is errors.FRAME_TOO_LONG
    assert await refused(engine, app, "eve", editing(talk, nowhere)) is errors.INVALID_MESSAGING_TARGET
    assert await refused(engine, app, "bob", editing(talk, nowhere)) is errors.MESSAGE_EDIT_DISABLED
    await engine.apps.change(app.id, {"edit": "on"})
    assert await refused(engine, app, "bob", editing(talk, nowhere)) is errors.MESSAGE_NOT_FOUND
    assert await refused(engine, app, "bob", editing(talk, said)) is errors.MESSAGE_OWNERSHIP_REQUIRED


@pytest.mark.parametrize("number", range(len(SIZES)))
async def test_an_edit_is_as_long_as_a_message(
    engine: Engine, app: App, talk: str, said: Stored, events: list[Event], number: int
) -> None:
    content, mentions, most = SIZES[number]
    await engine.apps.change(app.id, {"message_max": "100"})
    await apply(engine, app, "ann", editing(talk, said, content(most), mentions=mentions))
    longer = editing(talk, said, content(most + 1), mentions=mentions)
    assert await refused(engine, app, "ann", longer) is errors.FRAME_TOO_LONG
    assert len(events) == 1


async def test_any_message_can_be_recalled_however_short_messages_must_be(
    engine: Engine, app: App, talk: str, said: Stored
) -> None:
    await engine.apps.change(app.id, {"message_max": "1"})
    await apply(engine, app, "ann", recalling(talk, said))
    assert (await kept(engine, app, talk)).recalled


@pytest.mark.parametrize("mentions", [("",), ("x" * 65,), ("bob", "")])
async def test_mentions_of_what_is_no_client(
    engine: Engine, app: App, talk: str, said: Stored, mentions: tuple[str, ...]
) -> None:
    wrong = editing(talk, said, mentions=mentions)
    assert await refused(engine, app, "ann", wrong) is errors.CONVERSATION_API_FAILED


async def test_one_wrong_edit_keeps_the_others_from_being_made(
    engine: Engine, app: App, talk: str, said: Stored, events: list[Event]
) -> None:
    place = await send(engine, app, "bob", talk)
    assert isinstance(place, Stored)
    events.clear()
    both = [editing(talk, said), editing(talk, place)]
    assert await refused(engine, app, "ann", *both) is errors.MESSAGE_OWNERSHIP_REQUIRED
    assert events == []
    assert await missed(engine, app, "ann", 0) == []


# what was missed


async def test_whether_something_was_missed_is_known_without_reading(
    engine: Engine, app: App, talk: str, said: Stored
) -> None:
    assert not engine.edits.missed(1)
    at = await apply(engine, app, "ann", editing(talk, said))
    assert (engine.edits.missed(at - 1), engine.edits.missed(at)) == (True, False)
    assert await missed(engine, app, "bob", at - 1) == [(talk, "new")]
    assert await missed(engine, app, "bob", at) == []
    assert await missed(engine, app, "eve", 0) == []


async def test_a_client_that_keeps_the_time_it_was_told_misses_no_edit(
    engine: Engine, app: App, store: Store, talk: str, said: Stored, events: list[Event], wall: Wall
) -> None:
    """It asked while an edit was on its way to the disk, and was gone before it was told."""
    async with held(store):
        task = asyncio.ensure_future(apply(engine, app, "ann", editing(talk, said)))
        await asyncio.sleep(0)
        wall.at += 50  # the edit may have got its time long ago
        told_until = engine.edits.told_until()
        assert events == []
    at = await task
    assert told_until < NOON <= at
    assert await missed(engine, app, "bob", told_until) == [(talk, "new")]
    assert engine.edits.told_until() == NOON + 49
    wall.at += 1_000
    assert engine.edits.told_until() == NOON + 1_049


async def test_a_refused_edit_holds_nothing_up(engine: Engine, app: App, talk: str, said: Stored, wall: Wall) -> None:
    assert await refused(engine, app, "bob", recalling(talk, said)) is errors.MESSAGE_OWNERSHIP_REQUIRED
    wall.at += 1_000
    assert engine.edits.told_until() == NOON + 999
