"""History and unread counts: for members; read marks are told to all of one's sessions."""

import asyncio

import pytest

from hongyan import errors
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, UnreadChanged
from hongyan.engine.values import App, HistoryRange, Stored, Unread, new_message_id
from hongyan.errors import Refused
from tests.engine.test_conversations import remove, start
from tests.engine.test_messages import send
from tests.store.steps import NOON, Wall


@pytest.fixture
async def talk(engine: Engine, app: App, wall: Wall) -> str:
    """The id of a conversation in which ann has said three things to bob, ten milliseconds apart."""
    row = await start(engine, app, "ann", "bob")
    for number in range(3):
        await send(engine, app, "ann", row.id, str(number))
        wall.at += 10
    return row.id


async def test_history_is_for_members(engine: Engine, app: App, talk: str) -> None:
    conversation, messages = await engine.history.page(app, "bob", talk, HistoryRange(2))
    assert conversation.id == talk
    assert [message.content for message in messages] == ["1", "2"]
    for client, id, kind in (
        ("eve", talk, errors.CONVERSATION_LOG_REJECTED),
        ("bob", "absent", errors.CONVERSATION_NOT_FOUND),
    ):
        with pytest.raises(Refused) as refusal:
            await engine.history.page(app, client, id, HistoryRange(2))
        assert refusal.value.kind is kind
    await remove(engine, app, "bob", talk, "bob")
    with pytest.raises(Refused):
        await engine.history.page(app, "bob", talk, HistoryRange(2))


async def left(engine: Engine, app: App, client: str) -> list[int]:
    return [each.count for each in (await engine.unread.since(app, client, None))[0]]


@pytest.mark.parametrize(
    ("message", "timestamp", "count"),
    [
        ("", None, 0),
        ("", NOON, 2),
        ("", NOON + 15, 1),
        ("", NOON + 20, 0),
        ("", NOON - 1, 3),
        ("", 0, 3),
        ("at 10", None, 1),
        ("at 10", NOON, 1),
        ("at 10", NOON + 20, 0),
        ("no id of ours", NOON, 2),
        ("no id of ours", None, 0),
    ],
)
async def test_reading_up_to_a_message_or_a_time(
    engine: Engine, app: App, talk: str, events: list[Event], message: str, timestamp: int | None, count: int
) -> None:
    """The later of the two counts; without either, everything is read."""
    message_id = new_message_id(NOON + 10) if message == "at 10" else message
    await engine.unread.mark_read(app, "bob", talk, message_id, timestamp)
    (event,) = events
    assert isinstance(event, UnreadChanged)
    assert (event.app_key, event.client, event.unread.conversation_id) == (app.key, "bob", talk)
    assert (event.unread.count, event.unread.last_seq) == (count, 3)
    assert await left(engine, app, "bob") == ([count] if count else [])


async def test_only_members_mark(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    for client, id, kind in (
        ("eve", talk, errors.CONVERSATION_MEMBERSHIP_REQUIRED),
        ("bob", "absent", errors.CONVERSATION_NOT_FOUND),
    ):
        with pytest.raises(Refused) as refusal:
            await engine.unread.mark_read(app, client, id, "", None)
        assert refusal.value.kind is kind
    assert events == []


async def test_a_client_that_keeps_the_time_it_was_told_misses_nothing(
    engine: Engine, app: App, talk: str, events: list[Event], wall: Wall
) -> None:
    """Whatever is told last before the line is cut: an answer or a read mark."""
    found, at = await engine.unread.since(app, "bob", None)
    assert [(each.conversation_id, each.count) for each in found] == [(talk, 3)]
    marking = engine.unread.mark_read(app, "bob", talk, "", NOON)
    sending = send(engine, app, "ann", talk, "3")
    await asyncio.gather(marking, sending)
    times = [at, *(event.at for event in events if isinstance(event, UnreadChanged))]
    assert len(times) == 2
    for time in times:
        answer: list[Unread] = (await engine.unread.since(app, "bob", time))[0]
        assert [(each.conversation_id, each.count) for each in answer] == [(talk, 3)]
    assert isinstance(sending.result(), Stored)
    wall.at += 1000
    _, at = await engine.unread.since(app, "bob", times[-1])
    assert (await engine.unread.since(app, "bob", at))[0] == []
