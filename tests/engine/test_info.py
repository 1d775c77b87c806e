"""Updating, muting, counting: who may, what is answered, what is told, and in which order."""

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from hongyan import errors
from hongyan.bus.local import LocalBus
from hongyan.engine.engine import Engine
from hongyan.engine.events import ConversationMuted, ConversationUpdated, Event
from hongyan.engine.info import CONVERSATIONS_MAX, Updated
from hongyan.engine.query import parse
from hongyan.engine.values import App, ConversationKind, ConversationRow
from hongyan.errors import Kind, Refused
from tests.engine.test_conversations import remove, start
from tests.store.steps import NOON

UNKNOWN = "65f000000000000000000001"


async def update(engine: Engine, app: App, by: str, conversation: str, asked: Any, origin: object = None) -> Updated:
    replies: list[Updated] = []
    text = asked if isinstance(asked, str) else json.dumps(asked)
    await engine.info.update(app, by, conversation, text, origin, replies.append)
    return replies[0]


async def mute(engine: Engine, app: App, client: str, conversation: str, muted: bool = True) -> int:
    replies: list[tuple[str, int]] = []
    await engine.info.mute(app, client, conversation, muted, lambda *reply: replies.append(reply))
    ((told, updated_at),) = replies
    assert told == conversation
    return updated_at


async def found(engine: Engine, app: App, caller: str, conversation: str) -> ConversationRow:
    (row,) = await engine.conversations.query(app, caller, parse(caller, json.dumps({"objectId": conversation})))
    return row


async def refusal(operation: Any) -> Kind:
    with pytest.raises(Refused) as refused:
        await operation
    return refused.value.kind


async def test_an_update_is_answered_then_told(engine: Engine, app: App, bus: LocalBus) -> None:
    row = await start(engine, app, "ann", "bob", attributes='{"attr":{"a":1,"b":2},"colour":"red"}')
    order: list[object] = []
    bus.subscribe(order.append)
    asked = {"attr.a": {"__op": "Delete"}, "colour": {"__op": "Delete"}, "name": "名"}
    origin = object()
    await engine.info.update(app, "bob", row.id, json.dumps(asked), origin, order.append)
    reply, event = order
    assert isinstance(reply, Updated)
    assert isinstance(event, ConversationUpdated)
    assert (reply.conversation_id, json.loads(reply.attr), json.loads(reply.modified), reply.updated_at) == (
        row.id,
        asked,
        {"attr": {"b": 2}, "name": "名"},
        NOON + 1,
    )
    assert (event.conversation.id, event.by, event.origin) == (row.id, "bob", origin)
    assert (event.attr, event.modified, event.at) == (reply.attr, reply.modified, reply.updated_at)
    kept = await found(engine, app, "ann", row.id)
    assert (kept.name, kept.attr, kept.columns, kept.updated_at) == ("名", {"b": 2}, {}, NOON + 1)


async def test_updates_at_once_lose_none_and_are_told_in_their_order(
    engine: Engine, app: App, events: list[Event]
) -> None:
    row = await start(engine, app, "ann", "bob")
    increment = {"n": {"__op": "Increment", "amount": 1}}
    await asyncio.gather(*(update(engine, app, who, row.id, increment) for who in ["ann", "bob"] * 20))
    told = [event for event in events if isinstance(event, ConversationUpdated)]
    assert [json.loads(event.modified)["n"] for event in told] == list(range(1, 41))
    assert [event.at for event in told] == list(range(NOON + 1, NOON + 41))


@pytest.mark.parametrize("text", ["", "{}"])
async def test_nothing_to_change_succeeds_and_changes_nothing_inferred(
    engine: Engine, app: App, events: list[Event], text: str
) -> None:
    row = await start(engine, app, "ann", "bob")
    events.clear()
    assert await update(engine, app, "ann", row.id, text) == Updated(row.id, "{}", "{}", row.updated_at)
    assert (await found(engine, app, "ann", row.id)).updated_at == row.updated_at
    assert events == []


@pytest.mark.parametrize("text", ["", "{", '{"colour":1}'])
async def test_who_may_not_is_told_so_before_what_is_wrong_with_the_text(engine: Engine, app: App, text: str) -> None:
    row = await start(engine, app, "ann", "bob")
    assert await refusal(update(engine, app, "ann", UNKNOWN, text)) is errors.CONVERSATION_NOT_FOUND
    assert await refusal(update(engine, app, "eve", row.id, text)) is errors.CONVERSATION_UPDATE_REJECTED
    await remove(engine, app, "bob", row.id, "bob")
    assert await refusal(update(engine, app, "bob", row.id, text)) is errors.CONVERSATION_UPDATE_REJECTED


@pytest.mark.parametrize("kind", [ConversationKind.SERVICE, ConversationKind.TEMPORARY])
async def test_other_kinds_are_read_only_inferred(engine: Engine, app: App, kind: ConversationKind) -> None:
    row = await start(engine, app, "ann")
    cached = await engine.access.conversation(app, row.id)
    engine.access.known(dataclasses.replace(cached, kind=kind, version=cached.version + 1))
    assert await refusal(update(engine, app, "ann", row.id, {"a": 1})) is errors.CONVERSATION_READ_ONLY


async def test_a_refused_update_changes_and_tells_nothing(engine: Engine, app: App, events: list[Event]) -> None:
    row = await start(engine, app, "ann", attributes='{"colour":"red"}')
    events.clear()
    asked = {"fine": 1, "colour": {"__op": "Increment", "amount": 1}}
    assert await refusal(update(engine, app, "ann", row.id, asked)) is errors.CONVERSATION_UPDATE_FAILED
    assert await found(engine, app, "ann", row.id) == row
    assert events == []


async def test_muting_is_shown_to_who_did_it_and_told_to_no_other_member(
    engine: Engine, app: App, events: list[Event]
) -> None:
    row = await start(engine, app, "ann", "bob")
    events.clear()
    assert await mute(engine, app, "ann", row.id) == NOON + 1
    assert await mute(engine, app, "ann", row.id) == NOON + 1
    assert [(await found(engine, app, who, row.id)).muted for who in ("ann", "bob")] == [True, False]
    assert await mute(engine, app, "ann", row.id, muted=False) == NOON + 2
    assert not (await found(engine, app, "ann", row.id)).muted
    assert [type(event) for event in events] == [ConversationMuted] * 2


async def test_only_members_mute(engine: Engine, app: App) -> None:
    row = await start(engine, app, "ann")
    for muted in (True, False):
        assert await refusal(mute(engine, app, "eve", row.id, muted)) is errors.CONVERSATION_MEMBERSHIP_REQUIRED
        assert await refusal(mute(engine, app, "ann", UNKNOWN, muted)) is errors.CONVERSATION_NOT_FOUND


async def test_counts(engine: Engine, app: App) -> None:
    row = await start(engine, app, "ann", "bob", "cem")
    assert await engine.info.count(app, "ann", row.id) == 3
    await remove(engine, app, "ann", row.id, "bob")
    assert await engine.info.count(app, "ann", row.id) == 2
    assert await refusal(engine.info.count(app, "ann", UNKNOWN)) is errors.CONVERSATION_NOT_FOUND


async def test_memberships(engine: Engine, app: App) -> None:
    own = (await start(engine, app, "ann", "bob")).id
    others = (await start(engine, app, "bob")).id
    asked = [others, UNKNOWN, own, "", own]
    told = await engine.info.memberships(app, "ann", asked)
    assert list(told.items()) == [(others, False), (UNKNOWN, False), (own, True), ("", False)]
    assert await engine.info.memberships(app, "ann", []) == {}
    most = [str(number) for number in range(CONVERSATIONS_MAX)]
    assert len(await engine.info.memberships(app, "ann", most)) == CONVERSATIONS_MAX
    assert await refusal(engine.info.memberships(app, "ann", [*most, own])) is errors.CONVERSATION_API_FAILED


async def test_only_chat_rooms_tell_who_is_there(engine: Engine, app: App) -> None:
    row = await start(engine, app, "ann")
    assert await refusal(engine.info.online_members(app, row.id, 50)) is errors.TRANSIENT_CONVERSATION_REQUIRED
    assert await refusal(engine.info.online_members(app, UNKNOWN, 50)) is errors.CONVERSATION_NOT_FOUND
