"""Will messages: when they are said, and when not."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine import wills
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MessageSent
from hongyan.engine.values import App, Draft, HistoryRange, Stored
from hongyan.errors import Kind, Refused
from tests.engine.test_conversations import start
from tests.store.steps import NOON, Wall

PHONE, LAPTOP = "phone", "laptop"
Outcome = asyncio.Future[Stored | Refused]


@pytest.fixture
async def talk(engine: Engine, app: App, events: list[Event]) -> str:
    """The id of a conversation of ann and bob."""
    row = await start(engine, app, "ann", "bob")
    events.clear()
    return row.id


def leave(
    engine: Engine,
    app: App,
    conversation: str,
    content: str = "farewell",
    client: str = "ann",
    session: str = PHONE,
    is_open: Callable[[], bool] = lambda: True,
    **draft: Any,
) -> Outcome:
    """Set a will."""
    outcome: Outcome = asyncio.get_running_loop().create_future()
    engine.wills.set(app, client, conversation, Draft(content, **draft), outcome.set_result, session, is_open)
    return outcome


async def refused_with(outcome: Outcome) -> Kind:
    refusal = await outcome
    assert isinstance(refusal, Refused)
    return refusal.kind


def end(
    engine: Engine, app: App, session: str = PHONE, client: str = "ann", *, clean: bool = False, last: bool = True
) -> None:
    engine.wills.session_ended(app, client, session, clean=clean, last=last)


def said(events: list[Event]) -> list[str | bytes]:
    return [event.message.content for event in events if isinstance(event, MessageSent)]


async def test_a_will_is_said_once_with_the_id_it_was_given(
    engine: Engine, app: App, talk: str, events: list[Event], wall: Wall
) -> None:
    place = await leave(engine, app, talk, mentions=("bob",))
    assert isinstance(place, Stored)
    wall.at += 60_000
    assert events == []
    end(engine, app)
    end(engine, app)
    (event,) = events
    assert isinstance(event, MessageSent)
    message = event.message
    assert (message.id, message.timestamp, message.sender) == (place.id, place.timestamp, "ann")
    assert (message.content, message.mentions, event.origin) == ("farewell", ("bob",), None)
    assert event.conversation.id == talk
    assert NOON <= place.timestamp < NOON + 60_000


async def test_a_will_is_neither_stored_nor_counted_inferred(
    engine: Engine, app: App, talk: str, events: list[Event]
) -> None:
    """It is transient to those who hear it: SDKs would acknowledge a message that is not."""
    await leave(engine, app, talk)
    end(engine, app)
    (event,) = events
    assert isinstance(event, MessageSent)
    assert event.message.transient
    assert (await engine.history.page(app, "bob", talk, HistoryRange(10)))[1] == []
    assert (await engine.unread.since(app, "bob", None))[0] == []


async def test_a_later_will_replaces_the_former(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    for content in ("one", "two"):
        await leave(engine, app, talk, content)
    end(engine, app)
    assert said(events) == ["two"]


async def test_the_will_set_last_stays_however_long_its_former_took(
    make_engine: Callable[[], Engine], app: App, talk: str, engine: Engine, events: list[Event]
) -> None:
    """The conversation of the first is not in memory yet, that of the second is."""
    other = await start(engine, app, "ann", "cem")
    fresh = make_engine()
    await fresh.access.conversation(app, other.id)
    events.clear()
    slow, quick = leave(fresh, app, talk, "slow"), leave(fresh, app, other.id, "quick")
    assert quick.done()
    assert isinstance(await slow, Stored)
    end(fresh, app)
    assert said(events) == ["quick"]


async def test_clients_and_apps_have_wills_of_their_own(
    engine: Engine, app: App, talk: str, events: list[Event]
) -> None:
    other = await engine.apps.create("other", id="other")
    await leave(engine, app, talk, "ann's")
    await leave(engine, app, talk, "bob's", client="bob")
    end(engine, other)
    assert events == []
    end(engine, app, client="bob")
    assert said(events) == ["bob's"]


async def test_a_clean_end_drops_the_will(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    await leave(engine, app, talk)
    end(engine, app, clean=True)
    end(engine, app)
    assert events == []


ENDS = {
    "the other session stays": ([(PHONE, False, False)], False),
    "the other session is lost too": ([(PHONE, False, False), (LAPTOP, False, True)], True),
    "the other session logs out at last": ([(PHONE, False, False), (LAPTOP, True, True)], False),
    "the other session logs out before": ([(LAPTOP, True, False), (PHONE, False, True)], True),
    "the other session is lost before": ([(LAPTOP, False, False), (PHONE, False, True)], True),
    "it logs out before the other is lost": ([(PHONE, True, False), (LAPTOP, False, True)], False),
    "it came back and logged out": ([(PHONE, False, False), ("again", True, False), (LAPTOP, False, True)], False),
}


@pytest.mark.parametrize(("ends", "heard"), ENDS.values(), ids=ENDS)
async def test_a_will_is_said_when_no_session_is_left_inferred(
    engine: Engine, app: App, talk: str, events: list[Event], ends: list[tuple[str, bool, bool]], heard: bool
) -> None:
    """The phone set it; each end is a session, whether it was clean, and whether no other is open."""
    await leave(engine, app, talk)
    for session, clean, last in ends:
        end(engine, app, session, clean=clean, last=last)
    assert said(events) == ["farewell"] * heard


async def test_a_will_is_checked_like_a_message(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    small = await engine.apps.change(app.id, {"message_max": "10"})
    assert isinstance(await leave(engine, small, talk, "kept"), Stored)
    assert await refused_with(leave(engine, small, talk, "x" * 11)) is errors.FRAME_TOO_LONG
    assert await refused_with(leave(engine, small, "absent")) is errors.INVALID_MESSAGING_TARGET
    assert await refused_with(leave(engine, small, talk, client="eve")) is errors.INVALID_MESSAGING_TARGET
    engine.deliveries.charge(app.key, 100 * app.settings.delivery_rate)
    assert await refused_with(leave(engine, small, talk, "late")) is errors.MESSAGE_SENT_QUOTA_EXCEEDED
    end(engine, app, client="eve")
    end(engine, app)
    assert said(events) == ["kept"], "a will that is refused replaces none"


async def test_who_has_left_meanwhile_says_nothing(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    await leave(engine, app, talk)
    await engine.conversations.remove(app, "ann", talk, ["ann"], lambda members: None)
    events.clear()
    end(engine, app)
    assert events == []


async def test_a_session_that_ended_during_the_look_up_leaves_no_will(
    make_engine: Callable[[], Engine], app: App, talk: str, events: list[Event]
) -> None:
    fresh = make_engine()
    outcome = leave(fresh, app, talk, is_open=lambda: False)
    end(fresh, app)
    await outcome
    end(fresh, app)
    assert events == []


async def test_wills_take_bounded_memory(
    engine: Engine, app: App, talk: str, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wills, "BYTES_MAX", 3_000)
    for content in ("one", "two", "three"):
        assert isinstance(await leave(engine, app, talk, content), Stored)
    assert isinstance(await leave(engine, app, talk, client="bob"), Stored)
    assert await refused_with(leave(engine, app, talk, "x" * 1_000)) is errors.MESSAGE_SENT_QUOTA_EXCEEDED
    mentions = tuple(f"c{number}" for number in range(100))  # 500 bytes on the wire
    assert await refused_with(leave(engine, app, talk, mentions=mentions)) is errors.MESSAGE_SENT_QUOTA_EXCEEDED
    end(engine, app, client="bob")
    assert isinstance(await leave(engine, app, talk, "x" * 1_000), Stored)
    end(engine, app)
    assert said(events) == ["farewell", "x" * 1_000]


async def test_where_too_much_waits_a_will_is_not_said(
    engine: Engine, app: App, talk: str, events: list[Event]
) -> None:
    """It would not be taken as a message either; many who vanish at once must not add to what waits."""
    conversation = await engine.access.conversation(app, talk)
    await leave(engine, app, talk)
    engine.congestion.set(conversation.key, congested=True)
    end(engine, app)
    assert said(events) == []
    await leave(engine, app, talk, "later")
    engine.congestion.set(conversation.key, congested=False)
    end(engine, app)
    assert said(events) == ["later"]
