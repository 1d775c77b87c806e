"""The content filter: where and when it holds, what is kept, and what the author is told."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from hongyan import errors
from hongyan.bus.local import LocalBus
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MessagePatched, MessageReplaced, MessageSent
from hongyan.engine.values import (
    App,
    Conversation,
    ConversationKind,
    Draft,
    Edit,
    HistoryRange,
    Message,
    Replacement,
    Stored,
)
from hongyan.engine.words import CENSORED, REASON
from hongyan.errors import Refused
from hongyan.store import Store
from tests.engine.conftest import SECRET
from tests.engine.test_conversations import start
from tests.engine.test_messages import send
from tests.engine.test_wills import end, leave
from tests.store.steps import NOON, Wall, held, rows


@pytest.fixture
async def group(engine: Engine, app: App, events: list[Event]) -> str:
    """The id of a conversation of three, in an app with a word list."""
    await engine.words.replace(app, ["bad", "坏蛋"])
    row = await start(engine, app, "ann", "bob", "cem")
    events.clear()
    return row.id


async def kept(engine: Engine, app: App, talk: str) -> list[str | bytes]:
    _, page = await engine.history.page(app, "bob", talk, HistoryRange(10))
    return [message.content for message in page]


def told(events: list[Event]) -> list[tuple[str, Message]]:
    """The events of messages, by name."""
    return [
        (type(event).__name__, event.message)
        for event in events
        if isinstance(event, MessageSent | MessagePatched | MessageReplaced)
    ]


async def test_a_message_is_masked_for_all_and_its_author_told(
    engine: Engine, app: App, group: str, events: list[Event], wall: Wall
) -> None:
    place = await send(engine, app, "ann", group, "so ＢＡＤ", mentions=("bob",))
    assert isinstance(place, Stored)
    sent, replaced = events
    assert isinstance(sent, MessageSent)
    assert isinstance(replaced, MessageReplaced)
    assert (sent.message.content, sent.message.patched_at, sent.origin) == ("so ***", None, "origin")
    assert await kept(engine, app, group) == ["so ***"]
    message = replaced.message
    assert (message.id, message.timestamp, message.sender) == (place.id, place.timestamp, "ann")
    assert (message.content, message.mentions, message.patched_at) == ("so ***", ("bob",), NOON - 1)
    assert replaced.conversation.id == group
    assert replaced.replaced == Replacement("so ***", CENSORED, REASON)


async def test_the_author_is_told_after_the_acknowledgement(
    engine: Engine, app: App, group: str, bus: LocalBus
) -> None:
    order: list[str] = []
    done = asyncio.Event()
    bus.subscribe(lambda event: order.append(type(event).__name__))

    def acknowledge(outcome: Stored | Refused) -> None:
        order.append("ack")

    engine.messages.send(app, "ann", group, Draft("bad"), acknowledge)
    engine.messages.send(app, "ann", group, Draft("good"), lambda outcome: done.set())
    await done.wait()
    assert order[:3] == ["ack", "MessageSent", "MessageReplaced"]


async def test_a_good_message_is_told_as_ever(engine: Engine, app: App, group: str, events: list[Event]) -> None:
    await send(engine, app, "ann", group, "good")
    assert [name for name, _ in told(events)] == ["MessageSent"]


async def test_a_transient_message_is_masked(engine: Engine, app: App, group: str, events: list[Event]) -> None:
    place = await send(engine, app, "ann", group, "bad", transient=True)
    assert isinstance(place, Stored)
    assert [(name, m.id, m.content, m.transient) for name, m in told(events)] == [
        ("MessageSent", place.id, "***", True),
        ("MessageReplaced", place.id, "***", True),
    ]


async def test_who_sends_again_is_told_again_inferred(
    engine: Engine, app: App, group: str, events: list[Event]
) -> None:
    first, again = [await send(engine, app, "ann", group, "bad", token="t") for _ in range(2)]
    assert isinstance(first, Stored)
    assert isinstance(again, Stored)
    assert again.repeated
    assert [(name, m.id) for name, m in told(events)] == [
        ("MessageSent", first.id),
        ("MessageReplaced", first.id),
        ("MessageReplaced", first.id),
    ]


async def test_binary_messages_are_untouched_inferred(
    engine: Engine, app: App, group: str, events: list[Event]
) -> None:
    await send(engine, app, "ann", group, b"bad")
    assert [(name, m.content) for name, m in told(events)] == [("MessageSent", b"bad")]


async def test_a_refused_message_leaves_nothing(engine: Engine, app: App, group: str, events: list[Event]) -> None:
    await engine.apps.change(app.id, {"filter": "refuse"})
    for transient in (False, True):
        outcome = await send(engine, app, "ann", group, "bad", transient=transient)
        assert isinstance(outcome, Refused)
        assert outcome.kind is errors.MESSAGE_REJECTED_BY_APP
        assert outcome.detail == "the message contains words that this app does not allow"
    assert events == []
    assert await kept(engine, app, group) == []
    assert isinstance(await send(engine, app, "ann", group, "good"), Stored)


async def test_who_may_not_send_does_not_learn_the_words(engine: Engine, app: App, group: str) -> None:
    await engine.apps.change(app.id, {"filter": "refuse"})
    outcome = await send(engine, app, "eve", group, "bad")
    assert isinstance(outcome, Refused)
    assert outcome.kind is errors.INVALID_MESSAGING_TARGET


async def test_an_edit_is_masked_inferred(
    engine: Engine, app: App, group: str, events: list[Event], wall: Wall
) -> None:
    place = await send(engine, app, "ann", group, "good")
    assert isinstance(place, Stored)
    events.clear()
    wall.at += 5
    answers: list[int] = []
    edit = Edit(group, place.id, place.timestamp, Draft("bad now"))
    await engine.edits.apply(app, "ann", [edit], answers.append, "origin")
    patched, replaced = events
    assert isinstance(patched, MessagePatched)
    assert isinstance(replaced, MessageReplaced)
    for message in (patched.message, replaced.message):
        assert (message.id, message.content, message.patched_at) == (place.id, "*** now", answers[0])
    assert (patched.origin, patched.to_author) == ("origin", False)
    assert replaced.replaced.code == CENSORED
    assert await kept(engine, app, group) == ["*** now"]


async def test_a_good_edit_and_a_recall_are_told_as_ever(
    engine: Engine, app: App, group: str, events: list[Event]
) -> None:
    place = await send(engine, app, "ann", group, "good")
    assert isinstance(place, Stored)
    events.clear()
    for draft in (Draft("better"), None):
        await engine.edits.apply(app, "ann", [Edit(group, place.id, place.timestamp, draft)], lambda at: None)
    assert [type(event) for event in events] == [MessagePatched] * 2
    assert all(isinstance(event, MessagePatched) and event.to_author for event in events)


async def test_a_refused_edit_changes_nothing(engine: Engine, app: App, group: str, events: list[Event]) -> None:
    place = await send(engine, app, "ann", group, "good")
    assert isinstance(place, Stored)
    await engine.apps.change(app.id, {"filter": "refuse"})
    events.clear()
    edits = [Edit(group, place.id, place.timestamp, Draft(text)) for text in ("better", "bad")]
    with pytest.raises(Refused) as refusal:
        await engine.edits.apply(app, "ann", edits, lambda at: None)
    assert refusal.value.kind is errors.MESSAGE_UPDATE_REJECTED_BY_APP
    assert events == []
    assert await kept(engine, app, group) == ["good"]


async def test_a_will_is_masked_when_it_is_set(engine: Engine, app: App, group: str, events: list[Event]) -> None:
    place = await leave(engine, app, group, "bad")
    assert isinstance(place, Stored)
    end(engine, app)
    assert [(name, m.id, m.content) for name, m in told(events)] == [
        ("MessageReplaced", place.id, "***"),
        ("MessageSent", place.id, "***"),
    ]


async def test_a_refused_will_leaves_the_former(engine: Engine, app: App, group: str, events: list[Event]) -> None:
    await engine.apps.change(app.id, {"filter": "refuse"})
    await leave(engine, app, group, "farewell")
    refusal = await leave(engine, app, group, "bad")
    assert isinstance(refusal, Refused)
    assert refusal.kind is errors.MESSAGE_REJECTED_BY_APP
    end(engine, app)
    assert [m.content for _, m in told(events)] == ["farewell"]


async def test_the_author_is_given_no_time_after_an_edit_that_is_not_told(
    engine: Engine, app: App, store: Store, group: str, events: list[Event], wall: Wall
) -> None:
    place = await send(engine, app, "ann", group, "good")
    assert isinstance(place, Stored)
    wall.at += 5
    edit = Edit(group, place.id, place.timestamp, Draft("better"))
    async with held(store):
        editing = asyncio.create_task(engine.edits.apply(app, "ann", [edit], lambda at: None))
        await asyncio.sleep(0)
        wall.at += 50
        events.clear()
        await send(engine, app, "bob", group, "bad", transient=True)
    await editing
    replaced, patched = [event.message for event in events if isinstance(event, MessageReplaced | MessagePatched)]
    assert replaced.patched_at is not None
    assert patched.patched_at is not None
    assert replaced.patched_at < patched.patched_at


def of(kind: ConversationKind, members: int) -> Conversation:
    return Conversation(1, 1, "c", kind, 1, {f"client-{number}" for number in range(members)})


@pytest.mark.parametrize(
    ("kind", "members", "filtered"),
    [
        (ConversationKind.NORMAL, 1, False),
        (ConversationKind.NORMAL, 2, False),
        (ConversationKind.NORMAL, 3, True),
        (ConversationKind.TEMPORARY, 2, False),
        (ConversationKind.TEMPORARY, 3, True),
        (ConversationKind.CHATROOM, 0, True),
        (ConversationKind.CHATROOM, 2, True),
        (ConversationKind.SERVICE, 0, True),
        (ConversationKind.SERVICE, 1, True),
    ],
)
async def test_where_the_list_holds_inferred(
    engine: Engine, app: App, kind: ConversationKind, members: int, filtered: bool
) -> None:
    await engine.words.replace(app, ["bad"])
    assert (engine.words.look(app, of(kind, members), "bad") is not None) == filtered
    await engine.apps.change(app.id, {"filter_direct": "on"})
    assert engine.words.look(app, of(kind, members), "bad") is not None


async def test_a_list_holds_at_once_until_it_is_replaced(engine: Engine, app: App, group: str) -> None:
    assert await engine.words.replace(app, ["good", "", "good"]) == 1
    assert await engine.words.words(app) == ["good"]
    await send(engine, app, "ann", group, "good bad")
    assert await engine.words.replace(app, []) == 0
    assert await engine.words.words(app) == []
    await send(engine, app, "ann", group, "good bad")
    assert await kept(engine, app, group) == ["*** bad", "good bad"]


async def test_a_mistake_leaves_the_list(engine: Engine, app: App, group: str) -> None:
    with pytest.raises(ValueError, match="asterisk"):
        await engine.words.replace(app, ["good", "*"])
    await send(engine, app, "ann", group, "good bad")
    assert await kept(engine, app, group) == ["good ***"]
    assert await engine.words.words(app) == ["bad", "坏蛋"]


async def test_lists_hold_after_a_restart_each_in_its_app(
    engine: Engine, app: App, group: str, make_engine: Callable[[], Engine]
) -> None:
    other = await engine.apps.create("other")
    talk = (await start(engine, other, "ann", "bob", "cem")).id
    restarted = make_engine()
    await restarted.start()
    await send(restarted, app, "ann", group, "bad")
    await send(restarted, other, "ann", talk, "bad")
    assert [await kept(engine, app, group), await kept(engine, other, talk)] == [["***"], ["bad"]]


class Shouting:
    """A filter that lets nobody whisper."""

    def __init__(self, *apps: int) -> None:
        self.apps = set(apps)

    def look(self, app: App, conversation: Conversation, content: str | bytes) -> Replacement | None:
        assert isinstance(content, str)
        return None if content.isupper() else Replacement(content.upper(), 7, "louder")


async def test_another_filter_takes_the_place_of_word_lists(store: Store, bus: LocalBus, events: list[Event]) -> None:
    filtering = Shouting()
    engine = Engine(store, bus, Clock(Wall(), lambda: 0), SECRET, filtering)
    await engine.start()
    loud, quiet = [await engine.apps.create(name) for name in ("loud", "quiet")]
    filtering.apps.add(loud.key)
    await engine.words.replace(quiet, ["hello"])
    for app in (loud, quiet):
        talk = await start(engine, app, "ann", "bob", "cem")
        await send(engine, app, "ann", talk.id, "hello")
    assert [(name, m.content) for name, m in told(events)] == [
        ("MessageSent", "HELLO"),
        ("MessageReplaced", "HELLO"),
        ("MessageSent", "hello"),
    ]
    assert [e.replaced for e in events if isinstance(e, MessageReplaced)] == [Replacement("HELLO", 7, "louder")]


async def test_the_file_holds_what_receivers_have(engine: Engine, app: App, group: str, tmp_path: Path) -> None:
    await send(engine, app, "ann", group, "bad")
    assert rows(tmp_path / "hongyan.db", "SELECT body FROM message") == [(b"\x00***",)]
