"""Of a change on its way to the disk and a message that was allowed before it, the change wins, in every kind."""

import asyncio

import pytest

from hongyan import errors
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MessageSent, UpstreamReceived
from hongyan.engine.values import (
    App,
    Conversation,
    ConversationKind,
    Draft,
    Edit,
    HistoryRange,
    Stored,
)
from hongyan.errors import Kind, Refused
from hongyan.store import Store
from tests.engine.test_blacklist import block, make
from tests.engine.test_messages import refused_with, send
from tests.store.steps import held

CHATROOM, SERVICE = ConversationKind.CHATROOM, ConversationKind.SERVICE


async def service_of(engine: Engine, app: App) -> Conversation:
    row = await engine.services.create(app, {"c": "ann"})
    return await engine.access.conversation(app, row.id)


@pytest.mark.parametrize("kind", [ConversationKind.NORMAL, CHATROOM, SERVICE])
@pytest.mark.parametrize("transient", [False, True])
async def test_a_block(
    engine: Engine, app: App, store: Store, events: list[Event], kind: ConversationKind, transient: bool
) -> None:
    """A transient message waits for one that was sent before it: by then its sender may be blocked."""
    conversation = await make(engine, store, app, "ann", "bob", kind=kind)
    await send(engine, app, "bob", conversation.id, "before")
    events.clear()
    async with held(store):
        blocking = asyncio.ensure_future(block(engine, app, None, conversation, "bob"))
        for _ in range(5):
            await asyncio.sleep(0)
        sent = [send(engine, app, "bob", conversation.id, "after")]
        if transient:
            sent.append(send(engine, app, "bob", conversation.id, "passing", transient=True))
    await blocking
    assert {await refused_with(outcome) for outcome in sent} <= {
        errors.BLOCKED_BY_CONV,
        errors.INVALID_MESSAGING_TARGET,
    }
    assert not [event for event in events if isinstance(event, MessageSent | UpstreamReceived)]


@pytest.mark.parametrize("transient", [False, True])
async def test_a_block_while_a_stream_is_made(
    engine: Engine, app: App, store: Store, events: list[Event], transient: bool
) -> None:
    conversation = await make(engine, store, app, "ann", kind=SERVICE)
    events.clear()
    async with held(store):
        blocking = asyncio.ensure_future(block(engine, app, None, conversation, "bob"))
        for _ in range(5):
            await asyncio.sleep(0)
        sent = send(engine, app, "bob", conversation.id, transient=transient)
        await asyncio.sleep(0)
    await blocking
    assert await refused_with(sent) is errors.BLOCKED_BY_CONV
    assert not [event for event in events if isinstance(event, UpstreamReceived)]


async def test_a_block_and_an_edit_in_a_stream(engine: Engine, app: App, store: Store) -> None:
    conversation = await make(engine, store, app, "ann", kind=SERVICE)
    place = await send(engine, app, "bob", conversation.id, "before")
    assert isinstance(place, Stored)
    edit = Edit(conversation.id, place.id, place.timestamp, Draft("after"))
    async with held(store):
        blocking = asyncio.ensure_future(block(engine, app, None, conversation, "bob"))
        for _ in range(5):
            await asyncio.sleep(0)
        editing = asyncio.ensure_future(engine.edits.apply(app, "bob", [edit], lambda at: None))
        while not engine.edits._pending:
            await asyncio.sleep(0.001)
    await blocking
    with pytest.raises(Refused) as refused:
        await editing
    assert refused.value.kind is errors.BLOCKED_BY_CONV
    (message,) = await engine.service_messages.page(conversation, "bob", HistoryRange(10))
    assert message.content == "before"


async def test_erasing_a_service_conversation(engine: Engine, app: App, store: Store, events: list[Event]) -> None:
    """Nothing is written into what is being erased, by nobody: that would stay behind."""
    conversation = await service_of(engine, app)
    await send(engine, app, "bob", conversation.id, "before")
    events.clear()

    async def refused(work: object) -> Kind:
        with pytest.raises(Refused) as refusal:
            await work  # type: ignore[misc]
        return refusal.value.kind

    async with held(store):
        erasing = asyncio.ensure_future(engine.services.erase(app, conversation.id))
        for _ in range(5):
            await asyncio.sleep(0)
        sent = send(engine, app, "bob", conversation.id, "after")
        telling = engine.service_messages
        late = [
            asyncio.ensure_future(refused(telling.broadcast(app, conversation, "ann", Draft("all")))),
            asyncio.ensure_future(
                refused(telling.send_alone(app, conversation, "ann", ["bob"], Draft("alone"), sync=False))
            ),
            asyncio.ensure_future(refused(telling.mark_read(conversation, "bob", "", None))),
        ]
        for _ in range(5):
            await asyncio.sleep(0)
    await erasing
    assert await refused_with(sent) is errors.INVALID_MESSAGING_TARGET
    assert await asyncio.gather(*late) == [
        errors.INVALID_MESSAGING_TARGET,
        errors.INVALID_MESSAGING_TARGET,
        errors.CONVERSATION_NOT_FOUND,
    ]
    assert not [event for event in events if isinstance(event, MessageSent | UpstreamReceived)]


async def test_the_application_edits_for_a_sender_who_is_blocked(engine: Engine, app: App, store: Store) -> None:
    """Nobody keeps the application from correcting what was said in the name of a client (REST reference 3.7)."""
    conversation = await service_of(engine, app)
    place = await engine.service_messages.broadcast(app, conversation, "eve", Draft("before"))
    await block(engine, app, None, conversation, "eve")
    edit = Edit(conversation.id, place.id, place.timestamp, Draft("after"))
    await engine.service_messages.edit(app, conversation, "eve", edit, None)
    (message,) = await engine.service_messages.page(conversation, "bob", HistoryRange(10))
    assert message.content == "after"


async def test_a_block_and_an_update_in_a_chat_room(
    engine: Engine, app: App, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await make(engine, store, app, "ann", kind=CHATROOM)
    monkeypatch.setattr(engine.chatrooms, "is_in", lambda *_: True)
    async with held(store):
        blocking = asyncio.ensure_future(block(engine, app, None, room, "bob"))
        updating = asyncio.ensure_future(
            engine.info.update(app, "bob", room.id, '{"name": "mine"}', None, lambda _: None)
        )
        for _ in range(5):
            await asyncio.sleep(0)
    await blocking
    with pytest.raises(Refused) as refused:
        await updating
    assert refused.value.kind is errors.CONVERSATION_UPDATE_REJECTED
