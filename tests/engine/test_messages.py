"""Sending: who may, in which order, and what is told when."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hongyan import errors
from hongyan.bus.local import LocalBus
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MembersJoined, MessageSent
from hongyan.engine.values import App, Draft, HistoryRange, Stored
from hongyan.errors import Kind, Refused
from hongyan.store import Store
from tests.engine.test_conversations import start
from tests.store.steps import NOON, Wall, held

Outcome = asyncio.Future[Stored | Refused]


def send(
    engine: Engine, app: App, sender: str, conversation: str, content: str | bytes = "hello", **draft: Any
) -> Outcome:
    outcome: Outcome = asyncio.get_running_loop().create_future()
    engine.messages.send(app, sender, conversation, Draft(content, **draft), outcome.set_result, "origin")
    return outcome


async def refused_with(outcome: Outcome) -> Kind:
    refusal = await outcome
    assert isinstance(refusal, Refused)
    return refusal.kind


@pytest.fixture
async def talk(engine: Engine, app: App, events: list[Event]) -> str:
    """The id of a conversation of ann and bob."""
    row = await start(engine, app, "ann", "bob")
    events.clear()
    return row.id


async def test_a_message_is_written_and_told(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    place = await send(engine, app, "ann", talk, "hi", receipt=True, mention_all=True, mentions=("bob",))
    assert isinstance(place, Stored)
    (event,) = events
    assert isinstance(event, MessageSent)
    assert (event.conversation.id, event.origin) == (talk, "origin")
    message = event.message
    assert (message.id, message.seq, message.timestamp) == (place.id, place.seq, place.timestamp) == (place.id, 1, NOON)
    assert (message.sender, message.content, message.transient) == ("ann", "hi", False)
    assert (message.receipt, message.mention_all, message.mentions) == (True, True, ("bob",))
    _, (kept,) = await engine.history.page(app, "bob", talk, HistoryRange(10))
    assert (kept.id, kept.content) == (place.id, "hi")


async def test_the_sender_hears_first(engine: Engine, app: App, bus: LocalBus, talk: str) -> None:
    told: list[str] = []
    bus.subscribe(lambda event: told.append(type(event).__name__))
    done = asyncio.Event()

    def acknowledge(outcome: Stored | Refused) -> None:
        told.append("ack")
        if len(told) == 3:
            done.set()

    for _ in range(2):
        engine.messages.send(app, "ann", talk, Draft("hi"), acknowledge)
    await done.wait()
    await asyncio.sleep(0)
    assert told == ["ack", "MessageSent", "ack", "MessageSent"]


async def test_nobody_hears_before_the_commit(
    engine: Engine, app: App, store: Store, talk: str, events: list[Event]
) -> None:
    async with held(store):
        sent = send(engine, app, "ann", talk)
        await asyncio.sleep(0)
        assert not sent.done()
        assert events == []
    assert isinstance(await sent, Stored)
    assert len(events) == 1


async def test_a_message_sent_again_is_told_once(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    first, again = [await send(engine, app, "ann", talk, token="1") for _ in range(2)]
    assert isinstance(first, Stored)
    assert isinstance(again, Stored)
    assert (first.id, first.timestamp) == (again.id, again.timestamp)
    assert len(events) == 1


async def test_only_members_send(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    other = await engine.apps.create("other", id="other")
    assert await refused_with(send(engine, app, "eve", talk)) is errors.INVALID_MESSAGING_TARGET
    assert await refused_with(send(engine, app, "ann", "absent")) is errors.INVALID_MESSAGING_TARGET
    assert await refused_with(send(engine, other, "ann", talk)) is errors.INVALID_MESSAGING_TARGET
    assert await refused_with(send(engine, app, "eve", talk, transient=True)) is errors.INVALID_MESSAGING_TARGET
    assert events == []


async def test_a_removed_member_is_out_before_the_remover_hears_so(
    engine: Engine, app: App, store: Store, talk: str, events: list[Event]
) -> None:
    sent_on_hearing: list[Outcome] = []
    async with held(store):
        before = send(engine, app, "bob", talk)
        await asyncio.sleep(0)
        removing = asyncio.ensure_future(
            engine.conversations.remove(
                app, "ann", talk, ["bob"], lambda _: sent_on_hearing.append(send(engine, app, "bob", talk))
            )
        )
        await asyncio.sleep(0)
        after = send(engine, app, "bob", talk)
    await removing
    assert isinstance(await before, Stored)
    assert await refused_with(after) is errors.INVALID_MESSAGING_TARGET
    assert await refused_with(sent_on_hearing[0]) is errors.INVALID_MESSAGING_TARGET
    assert [type(event).__name__ for event in events] == ["MessageSent", "MembersLeft"]


async def test_who_joined_may_send_on_hearing_so(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    sent: list[Outcome] = []
    await engine.conversations.add(app, "cem", talk, ["cem"], lambda _: sent.append(send(engine, app, "cem", talk)))
    assert isinstance(await sent[0], Stored)
    assert [type(event) for event in events] == [MembersJoined, MessageSent]


async def test_one_senders_messages_stay_in_order_over_a_slow_load(
    make_engine: Callable[[], Engine],
    app: App,
    store: Store,
    talk: str,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first waits for the conversation to be read; those sent meanwhile, and at the moment it is there, follow."""
    fresh = make_engine()
    asked, may_load = asyncio.Event(), asyncio.Event()
    load = store.conversations.load

    async def slow(app_key: int, conversation_id: str) -> Any:
        found = await load(app_key, conversation_id)
        asked.set()
        await may_load.wait()
        return found

    monkeypatch.setattr(store.conversations, "load", slow)
    sent = [send(fresh, app, "ann", talk, "0")]
    await asked.wait()
    sent.append(send(fresh, app, "ann", talk, "1"))
    may_load.set()
    for number in range(2, 20):
        sent.append(send(fresh, app, "ann", talk, str(number)))
        await asyncio.sleep(0)
    assert [outcome.seq for outcome in await asyncio.gather(*sent) if isinstance(outcome, Stored)] == list(range(1, 21))
    told = [event.message.content for event in events if isinstance(event, MessageSent)]
    assert told == [str(number) for number in range(20)]


async def test_a_transient_message_is_told_and_kept_nowhere(
    engine: Engine, app: App, talk: str, events: list[Event], wall: Wall
) -> None:
    wall.at += 7
    place = await send(engine, app, "ann", talk, b"\x00", transient=True)
    assert isinstance(place, Stored)
    assert (place.seq, place.timestamp) == (0, NOON + 7)
    (event,) = events
    assert isinstance(event, MessageSent)
    assert (event.message.id, event.message.transient, event.message.content) == (place.id, True, b"\x00")
    assert (await engine.history.page(app, "ann", talk, HistoryRange(10)))[1] == []
    assert await engine.unread.since(app, "bob", None) == ([], NOON + 6)


SIZES: list[tuple[Callable[[int], str | bytes], tuple[str, ...], int]] = [
    (lambda n: "x" * n, (), 100),
    (lambda n: b"x" * n, (), 100),
    (lambda n: "é" * n, (), 50),
    (lambda n: "鸿" * n, (), 33),
    (lambda n: "x" * n, ("bob", "日本"), 87),
]


@pytest.mark.parametrize(("content", "mentions", "most"), SIZES)
async def test_size_is_counted_in_bytes(
    engine: Engine,
    app: App,
    talk: str,
    events: list[Event],
    content: Callable[[int], str | bytes],
    mentions: tuple[str, ...],
    most: int,
) -> None:
    small = await engine.apps.change(app.id, {"message_max": "100"})
    assert isinstance(await send(engine, small, "ann", talk, content(most), mentions=mentions), Stored)
    assert (
        await refused_with(send(engine, small, "ann", talk, content(most + 1), mentions=mentions))
        is errors.FRAME_TOO_LONG
    )
    assert len(events) == 1


async def test_a_transient_message_waits_for_what_its_sender_sent_before(
    engine: Engine, app: App, store: Store, talk: str, events: list[Event]
) -> None:
    async with held(store):
        sending = [send(engine, app, "ann", talk, "first"), send(engine, app, "ann", talk, "second", transient=True)]
        assert isinstance(await send(engine, app, "bob", talk, "another's", transient=True), Stored)
        assert not sending[1].done()
    await asyncio.gather(*sending, send(engine, app, "ann", talk, "third", transient=True))
    told = [event.message.content for event in events if isinstance(event, MessageSent)]
    assert told == ["another's", "first", "second", "third"]


async def test_a_transient_message_waits_for_those_that_wait(
    engine: Engine, app: App, store: Store, talk: str, events: list[Event]
) -> None:
    later: list[Outcome] = []

    def acknowledge(_: Stored | Refused) -> None:
        later.append(send(engine, app, "ann", talk, "third", transient=True))

    async with held(store):
        engine.messages.send(app, "ann", talk, Draft("first"), acknowledge)
        later.append(send(engine, app, "ann", talk, "second", transient=True))
    await later[0]
    await later[1]
    told = [event.message.content for event in events if isinstance(event, MessageSent)]
    assert told == ["first", "second", "third"]


@pytest.mark.parametrize("mentions", [("",), ("x" * 65,), ("bob", "")])
async def test_mentions_of_what_is_no_client(
    engine: Engine, app: App, talk: str, events: list[Event], mentions: tuple[str, ...]
) -> None:
    assert await refused_with(send(engine, app, "ann", talk, mentions=mentions)) is errors.CONVERSATION_API_FAILED
    assert events == []


async def test_mentions_are_told_once(engine: Engine, app: App, talk: str, events: list[Event]) -> None:
    await send(engine, app, "ann", talk, mentions=("bob", "cem", "bob"))
    (event,) = events
    assert isinstance(event, MessageSent)
    assert event.message.mentions == ("bob", "cem")


async def test_the_client_supplied_id_counts_too(engine: Engine, app: App, talk: str) -> None:
    small = await engine.apps.change(app.id, {"message_max": "100"})
    assert isinstance(await send(engine, small, "ann", talk, "x" * 90, token="t" * 10), Stored)
    refused = send(engine, small, "ann", talk, "x" * 90, token="日" * 4)
    assert await refused_with(refused) is errors.FRAME_TOO_LONG


async def test_data_for_push_counts_too(engine: Engine, app: App, talk: str) -> None:
    small = await engine.apps.change(app.id, {"message_max": "100"})
    assert isinstance(await send(engine, small, "ann", talk, "x" * 90, push_data="p" * 10), Stored)
    refused = send(engine, small, "ann", talk, "x" * 90, push_data="日" * 4)
    assert await refused_with(refused) is errors.FRAME_TOO_LONG


@pytest.mark.parametrize("transient", [True, False])
async def test_an_app_that_has_delivered_too_much_sends_nothing(
    engine: Engine, app: App, talk: str, events: list[Event], transient: bool
) -> None:
    engine.deliveries.charge(app.key, 100 * app.settings.delivery_rate)
    refused = send(engine, app, "ann", talk, transient=transient)
    assert await refused_with(refused) is errors.MESSAGE_SENT_QUOTA_EXCEEDED
    await engine.apps.change(app.id, {"limits": "off"})
    assert isinstance(await send(engine, app, "ann", talk, transient=transient), Stored)
    assert len(events) == 1


async def test_nothing_more_is_broadcast_where_too_much_waits(engine: Engine, app: App) -> None:
    row = await engine.services.create(app, {})
    service = await engine.access.conversation(app, row.id)
    engine.congestion.set(service.key, congested=True)
    with pytest.raises(Refused) as refused:
        await engine.service_messages.broadcast(app, service, "app", Draft("hi"))
    assert refused.value.kind is errors.MESSAGE_SENT_QUOTA_EXCEEDED
    engine.congestion.set(service.key, congested=False)
    assert (await engine.service_messages.broadcast(app, service, "app", Draft("hi"))).seq == 1
