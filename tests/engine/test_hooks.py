"""Asking the engine of an app: what its answers bring about, what stays in order, what is checked again."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hongyan import errors
from hongyan.bus.local import LocalBus
from hongyan.engine.clock import Clock
from hongyan.engine.conversations import Members
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MessagePatched, MessageReplaced, MessageSent
from hongyan.engine.questions import (
    NOTHING,
    Adding,
    Answer,
    Editing,
    HookFailed,
    Muting,
    Offline,
    Question,
    ReceiversOffline,
    Removing,
    Sending,
    Starting,
    Updating,
)
from hongyan.engine.values import App, Draft, Edit, HistoryRange, Stored
from hongyan.errors import Refused
from hongyan.store import Store
from tests.engine.conftest import SECRET
from tests.engine.test_conversations import start
from tests.engine.test_messages import Outcome, refused_with, send
from tests.store.steps import Wall

Reply = Callable[[Any], Answer]


class Engines:
    """Engines of apps that answer as a test says; `held` are the contents that wait until they are let go."""

    def __init__(self) -> None:
        self.replies: dict[type[Question], Reply] = {}
        self.asked: list[Any] = []
        self.held: dict[str, asyncio.Event] = {}
        self._news = asyncio.Condition()

    def has_hook(self, app: App, kind: type[Question]) -> bool:
        return kind in self.replies

    async def ask(self, app: App, question: Question) -> Answer:
        async with self._news:
            self.asked.append(question)
            self._news.notify_all()
        if isinstance(question, Sending | Editing):
            draft = question.draft if isinstance(question, Sending) else question.edit.draft
            held = self.held.get(str(draft and draft.content))
            if held is not None:
                await held.wait()
        return self.replies[type(question)](question)

    async def expect(self, count: int) -> None:
        async with asyncio.timeout(30), self._news:
            await self._news.wait_for(lambda: len(self.asked) >= count)

    def hold(self, *contents: str) -> None:
        self.held |= {content: asyncio.Event() for content in contents}

    def let_go(self, *contents: str) -> None:
        for content in contents:
            self.held[content].set()


def fail(question: Question) -> Answer:
    raise HookFailed("it is broken", answered=True)


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
async def engine(store: Store, bus: LocalBus, wall: Wall, engines: Engines) -> Engine:
    made = Engine(store, bus, Clock(wall, lambda: 0), SECRET, app_engines=engines)
    await made.start()
    return made


@pytest.fixture
async def app(engine: Engine) -> App:
    return await engine.apps.create("test", id="test", settings={"hook_url": "http://engine.example"})


@pytest.fixture
async def talk(engine: Engine, app: App, events: list[Event]) -> str:
    """The id of a conversation of ann and bob."""
    row = await start(engine, app, "ann", "bob", "cem")
    events.clear()
    return row.id


async def bodies(engine: Engine, app: App, talk: str) -> list[str | bytes]:
    _, found = await engine.history.page(app, "bob", talk, HistoryRange(100, newer=True, start=0))
    return [message.content for message in found]


# messages


async def test_a_message_that_is_dropped(
    engine: Engine, app: App, engines: Engines, talk: str, events: list[Event]
) -> None:
    engines.replies[Sending] = lambda question: Answer(refused=True, code=7, detail="no ads")
    outcome = await send(engine, app, "ann", talk, "buy!")
    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.app_code, outcome.detail) == (errors.MESSAGE_REJECTED_BY_APP, 7, "no ads")
    assert events == []
    assert await bodies(engine, app, talk) == []
    (asked,) = engines.asked
    assert (asked.sender, asked.conversation.id, asked.receivers) == ("ann", talk, ["bob", "cem"])


@pytest.mark.parametrize("transient", [False, True])
async def test_a_message_that_is_changed(
    engine: Engine, app: App, engines: Engines, talk: str, events: list[Event], transient: bool
) -> None:
    """Receivers get what the hook made of it; the author is told, with the hook's code."""
    engines.replies[Sending] = lambda question: Answer(content="new", code=7, detail="why")
    place = await send(engine, app, "ann", talk, "old", transient=transient)
    assert isinstance(place, Stored)
    sent, replaced = events
    assert isinstance(sent, MessageSent)
    assert isinstance(replaced, MessageReplaced)
    assert (sent.message.content, sent.message.id) == ("new", place.id)
    assert (replaced.message.content, replaced.message.id, replaced.replaced.code) == ("new", place.id, 7)
    assert await bodies(engine, app, talk) == ([] if transient else ["new"])


async def test_the_filter_looks_at_what_the_hook_made(
    engine: Engine, app: App, engines: Engines, talk: str, events: list[Event]
) -> None:
    await engine.words.replace(app, ["fox"])
    engines.replies[Sending] = lambda question: Answer(content="a fox", code=7)
    await send(engine, app, "ann", talk, "a hen")
    assert await bodies(engine, app, talk) == ["a ***"]
    assert [event.replaced.code for event in events if isinstance(event, MessageReplaced)] == [-4408]


async def test_receivers_are_narrowed(
    engine: Engine, app: App, engines: Engines, talk: str, events: list[Event]
) -> None:
    engines.replies[Sending] = lambda question: Answer(receivers=["cem", "stranger"])
    await send(engine, app, "ann", talk)
    (sent,) = events
    assert isinstance(sent, MessageSent)
    assert sent.conversation.members == {"ann", "cem"}
    assert (await engine.access.conversation(app, talk)).members == {"ann", "bob", "cem"}


async def test_content_that_is_too_long_is_a_failed_hook(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    engines.replies[Sending] = lambda question: Answer(content="x" * 6_000, code=7)
    assert isinstance(await send(engine, app, "ann", talk, "short"), Stored)
    assert await bodies(engine, app, talk) == ["short"]
    await engine.apps.change(app.id, {"hook_failure": "refuse"})
    outcome = await send(engine, app, "ann", talk, "short")
    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.app_code) == (errors.MESSAGE_REJECTED_BY_APP, None)


async def test_a_hook_that_fails(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    engines.replies[Sending] = fail
    assert isinstance(await send(engine, app, "ann", talk, "1"), Stored)
    await engine.apps.change(app.id, {"hook_failure": "refuse"})
    assert await refused_with(send(engine, app, "ann", talk, "2")) is errors.MESSAGE_REJECTED_BY_APP
    assert await bodies(engine, app, talk) == ["1"]


async def test_messages_of_one_sender_keep_their_order(
    engine: Engine, app: App, engines: Engines, talk: str, events: list[Event]
) -> None:
    """All are asked about at once; those whose hook is done early wait. Refusals don't hold up what comes after."""
    answers = {"3": Answer(refused=True)}
    engines.replies[Sending] = lambda question: answers.get(question.draft.content, NOTHING)
    engines.hold("1", "2")
    outcomes = [send(engine, app, "ann", talk, text, transient=text == "4") for text in "12345"]
    await engines.expect(5)
    engines.let_go("2")
    for _ in range(10):
        await asyncio.sleep(0)
    assert not any(outcome.done() for outcome in outcomes)
    engines.let_go("1")
    places = await asyncio.gather(*outcomes)
    assert [type(place) for place in places] == [Stored, Stored, Refused, Stored, Stored]
    assert [event.message.content for event in events if isinstance(event, MessageSent)] == ["1", "2", "4", "5"]


async def test_a_hook_that_hangs_holds_up_nobody_else(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    """Neither another sender in the same conversation, nor the same one in another."""
    engines.replies[Sending] = lambda question: NOTHING
    other = (await start(engine, app, "ann", "dan")).id
    engines.hold("hangs")
    hanging = send(engine, app, "ann", talk, "hangs")
    await engines.expect(1)
    assert isinstance(await send(engine, app, "bob", talk, "of bob"), Stored)
    assert isinstance(await send(engine, app, "ann", other, "elsewhere"), Stored)
    assert not hanging.done()
    engines.let_go("hangs")
    assert isinstance(await hanging, Stored)
    assert await bodies(engine, app, talk) == ["of bob", "hangs"]


async def test_hooks_that_are_switched_off_meanwhile(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    """What is said afterwards, of which nobody is asked, still waits for what was said before."""
    engines.replies[Sending] = lambda question: NOTHING
    engines.hold("1")
    first = send(engine, app, "ann", talk, "1")
    await engines.expect(1)
    await engine.apps.change(app.id, {"hook_url": ""})
    second = send(engine, app, "ann", talk, "2")
    engines.let_go("1")
    await asyncio.gather(first, second)
    assert await bodies(engine, app, talk) == ["1", "2"]


async def leave(engine: Engine, app: App, talk: str) -> None:
    await engine.conversations.remove(app, "ann", talk, ["ann"], lambda members: None)


async def silence(engine: Engine, app: App, talk: str) -> None:
    await engine.silence.impose(app, None, talk, ["ann"], lambda *_: None)


async def block(engine: Engine, app: App, talk: str) -> None:
    await engine.blacklists.block(app, None, talk, ["ann"], lambda members: None)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (leave, errors.INVALID_MESSAGING_TARGET),
        (silence, errors.SILIENCED),
        (block, errors.INVALID_MESSAGING_TARGET),
    ],
)
@pytest.mark.parametrize("transient", [False, True])
async def test_the_sender_is_checked_again(
    engine: Engine, app: App, engines: Engines, talk: str, change: Any, kind: errors.Kind, transient: bool
) -> None:
    engines.replies[Sending] = lambda question: NOTHING
    engines.hold("late")
    late = send(engine, app, "ann", talk, "late", transient=transient)
    await engines.expect(1)
    await change(engine, app, talk)
    engines.let_go("late")
    assert await refused_with(late) is kind


async def test_who_may_not_write_is_not_asked_about(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    engines.replies[Sending] = lambda question: NOTHING
    assert await refused_with(send(engine, app, "dan", talk)) is errors.INVALID_MESSAGING_TARGET
    assert await refused_with(send(engine, app, "ann", talk, "x" * 6_000)) is errors.FRAME_TOO_LONG
    assert engines.asked == []


async def test_an_app_without_an_engine(engine: Engine, engines: Engines, events: list[Event]) -> None:
    plain = await engine.apps.create("plain", id="plain")
    engines.replies = dict.fromkeys([Sending, Starting, Adding, Removing, Updating, Muting, Editing], fail)
    row = await start(engine, plain, "ann", "bob")
    assert isinstance(await send(engine, plain, "ann", row.id), Stored)
    assert engines.asked == []


async def test_a_will_is_looked_at_when_it_is_said(
    engine: Engine, app: App, engines: Engines, talk: str, events: list[Event]
) -> None:
    engines.replies[Sending] = lambda question: (
        Answer(refused=True) if question.draft.content == "bad" else Answer(content="kinder")
    )
    for text in ("bad", "good"):
        outcome: Outcome = asyncio.get_running_loop().create_future()
        session = object()
        engine.wills.set(app, "ann", talk, Draft(text), outcome.set_result, session, lambda: True)
        assert isinstance(await outcome, Stored)
        engine.wills.session_ended(app, "ann", session, clean=False, last=True)
        await asyncio.gather(*engine.wills._tasks)
    assert [event.message.content for event in events if isinstance(event, MessageSent)] == ["kinder"]


# edits


async def edit(engine: Engine, app: App, talk: str, place: Stored, text: str | None) -> int:
    times: list[int] = []
    draft = None if text is None else Draft(text)
    await engine.edits.apply(
        app, "ann", [Edit(talk, place.id, place.timestamp, draft)], times.append, "origin", "1.2.3.4"
    )
    return times[0]


async def test_edits_and_recalls(engine: Engine, app: App, engines: Engines, talk: str, events: list[Event]) -> None:
    place = await send(engine, app, "ann", talk, "old")
    assert isinstance(place, Stored)
    engines.replies[Editing] = lambda question: Answer(refused=True, code=9, detail="no")
    for text in ("new", None):
        with pytest.raises(Refused) as refused:
            await edit(engine, app, talk, place, text)
        assert (refused.value.kind, refused.value.app_code) == (errors.MESSAGE_UPDATE_REJECTED_BY_APP, 9)
    assert await bodies(engine, app, talk) == ["old"]
    engines.replies[Editing] = lambda question: Answer(content="newer", code=9, detail="why", receivers=["cem"])
    events.clear()
    await edit(engine, app, talk, place, "new")
    patched, replaced = events
    assert isinstance(patched, MessagePatched)
    assert isinstance(replaced, MessageReplaced)
    assert (patched.message.content, patched.conversation.members, patched.to_author) == (
        "newer",
        {"ann", "cem"},
        False,
    )
    assert (replaced.message.content, replaced.replaced.code, replaced.replaced.reason) == ("newer", 9, "why")
    engines.replies[Editing] = fail
    await edit(engine, app, talk, place, None)
    assert [question.source for question in engines.asked] == ["1.2.3.4"] * 4
    await engine.apps.change(app.id, {"hook_failure": "refuse"})
    with pytest.raises(Refused) as failed:
        await edit(engine, app, talk, place, None)
    assert (failed.value.kind, failed.value.app_code) == (errors.MESSAGE_UPDATE_REJECTED_BY_APP, None)


async def test_edits_keep_their_order(
    engine: Engine, app: App, engines: Engines, talk: str, events: list[Event]
) -> None:
    place = await send(engine, app, "ann", talk, "0")
    assert isinstance(place, Stored)
    engines.replies[Editing] = lambda question: NOTHING
    engines.hold("1")
    edits = [asyncio.create_task(edit(engine, app, talk, place, text)) for text in "12"]
    await engines.expect(2)
    engines.let_go("1")
    await asyncio.gather(*edits)
    assert [event.message.content for event in events if isinstance(event, MessagePatched)] == ["1", "2"]
    assert await bodies(engine, app, talk) == ["2"]


async def test_an_edit_of_who_has_left_meanwhile(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    place = await send(engine, app, "ann", talk, "0")
    assert isinstance(place, Stored)
    engines.replies[Editing] = lambda question: NOTHING
    engines.hold("1")
    edited = asyncio.create_task(edit(engine, app, talk, place, "1"))
    await engines.expect(1)
    await leave(engine, app, talk)
    engines.let_go("1")
    with pytest.raises(Refused) as refused:
        await edited
    assert refused.value.kind is errors.INVALID_MESSAGING_TARGET
    assert await bodies(engine, app, talk) == ["0"]


# conversations


async def test_conversations_that_are_rejected(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    no = Answer(refused=True, code=5, detail="no")
    engines.replies = dict.fromkeys([Starting, Adding, Removing, Updating, Muting], lambda question: no)

    def ignore(*_: object) -> None: ...

    attempts: list[Callable[[], Any]] = [
        lambda: engine.conversations.start(app, "ann", ["dan"], '{"name": "Cats"}', unique=False, reply=ignore),
        lambda: engine.temporary.start(app, "ann", ["dan"], "", ttl=0, reply=ignore),
        lambda: engine.conversations.add(app, "ann", talk, ["dan"], ignore),
        lambda: engine.conversations.add(app, "eve", talk, ["eve"], ignore),
        lambda: engine.conversations.remove(app, "ann", talk, ["bob"], ignore),
        lambda: engine.info.update(app, "ann", talk, '{"name": "Dogs"}', None, ignore),
        lambda: engine.info.mute(app, "ann", talk, True, ignore),
    ]
    for attempt in attempts:
        with pytest.raises(Refused) as refused:
            await attempt()
        assert (refused.value.kind, refused.value.app_code) == (errors.CONVERSATION_REJECTED_BY_APP, 5)
    assert [type(question) for question in engines.asked] == [
        Starting,
        Starting,
        Adding,
        Adding,
        Removing,
        Updating,
        Muting,
    ]
    assert engines.asked[0] == Starting("ann", ("ann", "dan"), {"name": "Cats"})
    assert engines.asked[3] == Adding("eve", ("eve",), talk)
    assert (await engine.access.conversation(app, talk)).members == {"ann", "bob", "cem"}


async def test_what_is_asked_about_nobody(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    """Who leaves by itself, and what the application does with its master key."""
    engines.replies = dict.fromkeys([Starting, Adding, Removing, Updating, Muting], fail)
    done: list[Members] = []
    await engine.conversations.remove(app, "cem", talk, ["cem"], done.append)
    await engine.conversations.add(app, None, talk, ["dan"], done.append)
    await engine.conversations.remove(app, None, talk, ["dan"], done.append)
    await engine.info.update(app, None, talk, '{"name": "Dogs"}', None, lambda updated: None)
    assert len(done) == 3
    assert engines.asked == []


async def test_attributes_and_muting_are_replaced(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    engines.replies[Updating] = lambda question: Answer(changes={"name": question.changes["name"].upper()})
    engines.replies[Muting] = lambda question: Answer(muted=False)
    updated: list[Any] = []
    await engine.info.update(app, "ann", talk, '{"name": "dogs"}', None, updated.append)
    assert (updated[0].attr, updated[0].modified) == ('{"name":"DOGS"}', '{"name":"DOGS"}')
    await engine.info.mute(app, "ann", talk, True, lambda *_: None)
    (row,) = await engine.conversations.query(app, "ann", _by_id(talk))
    assert not row.muted


def _by_id(talk: str) -> Any:
    from hongyan.engine import query

    return query.parse("ann", f'{{"objectId": "{talk}"}}', sort="", limit=1, skip=0, flag=0)


@pytest.mark.parametrize("changes", [{"m": ["eve"]}, {"a": {"__op": "Nonsense"}}, {"": 1}])
async def test_changes_that_can_not_be_read(
    engine: Engine, app: App, engines: Engines, talk: str, changes: dict[str, Any]
) -> None:
    """The hook has failed: it is as if there were none."""
    engines.replies[Updating] = lambda question: Answer(changes=changes)
    updated: list[Any] = []
    await engine.info.update(app, "ann", talk, '{"name": "dogs"}', None, updated.append)
    assert [each.modified for each in updated] == ['{"name":"dogs"}']
    await engine.apps.change(app.id, {"hook_failure": "refuse"})
    with pytest.raises(Refused) as refused:
        await engine.info.update(app, "ann", talk, '{"name": "cats"}', None, updated.append)
    assert refused.value.kind is errors.CONVERSATION_REJECTED_BY_APP
    assert (await engine.access.conversation(app, talk)).members == {"ann", "bob", "cem"}


async def test_changes_that_can_not_be_made(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    """They are refused as if the client had asked for them."""
    engines.replies[Updating] = lambda question: Answer(changes={"name": 5})
    with pytest.raises(Refused) as refused:
        await engine.info.update(app, "ann", talk, '{"name": "dogs"}', None, lambda updated: None)
    assert refused.value.kind is errors.CONVERSATION_UPDATE_FAILED


async def test_who_was_removed_meanwhile_adds_nobody(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    go_on = asyncio.Event()

    class Slow(Engines):
        async def ask(self, app: App, question: Question) -> Answer:
            await engine.conversations.remove(app, None, talk, ["ann"], lambda members: None)
            go_on.set()
            return NOTHING

    slow = Slow()
    slow.replies[Adding] = lambda question: NOTHING
    engine.hooks._engines = slow
    with pytest.raises(Refused) as refused:
        await engine.conversations.add(app, "ann", talk, ["dan"], lambda members: None)
    assert refused.value.kind is errors.CONVERSATION_MEMBERSHIP_REQUIRED
    assert go_on.is_set()
    assert (await engine.access.conversation(app, talk)).members == {"bob", "cem"}


# pushes


async def test_pushes(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    conversation = await engine.access.conversation(app, talk)
    question = ReceiversOffline(conversation, "ann", ["bob", "cem"], "hi", 5)
    assert await engine.hooks.receivers_offline(app, question) == Offline()
    wanted = Offline(clients=["bob"], push_message="{}", force=True)
    engines.replies[ReceiversOffline] = lambda asked: Answer(offline=wanted)
    assert await engine.hooks.receivers_offline(app, question) == wanted
    engines.replies[ReceiversOffline] = fail
    assert await engine.hooks.receivers_offline(app, question) == Offline()
    await engine.apps.change(app.id, {"hook_failure": "refuse"})
    assert await engine.hooks.receivers_offline(app, question) == Offline(skip=True)


# the application's own messages


async def test_what_the_application_says(engine: Engine, app: App, engines: Engines, talk: str) -> None:
    engines.replies[Sending] = lambda question: Answer(content="new") if question.draft.content == "old" else NOTHING
    conversation = await engine.app_messages.target(app, talk)
    await engine.app_messages.send(app, conversation, "robot", Draft("old"), sync=False)
    assert await bodies(engine, app, talk) == ["new"]
    await engine.apps.change(app.id, {"hook_rest": "off"})
    await engine.app_messages.send(app, conversation, "robot", Draft("old"), sync=False)
    assert await bodies(engine, app, talk) == ["new", "old"]
    assert [(question.sender, question.receivers) for question in engines.asked] == [("robot", ["ann", "bob", "cem"])]


@pytest.mark.parametrize("transient", [False, True])
async def test_whom_of_some_clients_the_hook_wants(
    engine: Engine, app: App, engines: Engines, events: list[Event], transient: bool
) -> None:
    """In a service conversation it decides who gets a message at all; one for nobody is refused."""
    row = await engine.services.create(app, {"name": "news"})
    news = await engine.services.find(app, row.id)

    async def told(*wanted: str) -> list[set[str]]:
        events.clear()
        engines.replies[Sending] = lambda question: Answer(receivers=wanted)
        draft = Draft("hi", transient=transient)
        await engine.service_messages.send_alone(app, news, "news", ["ann", "bob"], draft, sync=False)
        return [event.conversation.members for event in events if isinstance(event, MessageSent)]

    assert await told("bob", "cem") == [{"bob"}]
    for nobody in ((), ("cem",)):
        with pytest.raises(Refused) as refusal:
            await told(*nobody)
        assert refusal.value.kind is errors.MESSAGE_REJECTED_BY_APP
        assert events == []
    assert await engine.service_messages.page(news, "ann", HistoryRange(10)) == []
    engines.replies[Sending] = lambda question: Answer(receivers=[])  # what it was told: nobody is named
    await engine.service_messages.broadcast(app, news, "news", Draft("to all"))
    assert [each.content for each in await engine.service_messages.page(news, "ann", HistoryRange(10))] == ["to all"]
