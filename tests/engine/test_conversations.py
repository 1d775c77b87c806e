"""Starting, joining, leaving: who may, what is answered, what is told, and in which order."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hongyan import errors
from hongyan.bus.local import LocalBus
from hongyan.engine.conversations import RESERVED, Members, check_client_ids, parse_attributes
from hongyan.engine.engine import Engine
from hongyan.engine.events import ConversationCreated, Event, MembersJoined, MembersLeft
from hongyan.engine.values import App, ConversationRow
from hongyan.errors import Refused
from hongyan.store import Store
from tests.store.steps import NOON, Wall, held, on_driver


async def start(
    engine: Engine, app: App, creator: str, *members: str, attributes: str = "", unique: bool = False
) -> ConversationRow:
    replies: list[tuple[ConversationRow, bool]] = []
    await engine.conversations.start(
        app, creator, members, attributes, unique=unique, reply=lambda *reply: replies.append(reply)
    )
    ((row, _),) = replies
    return row


async def add(engine: Engine, app: App, by: str, conversation: str, *clients: str) -> Members:
    replies: list[Members] = []
    await engine.conversations.add(app, by, conversation, clients, replies.append)
    return replies[0]


async def remove(engine: Engine, app: App, by: str, conversation: str, *clients: str) -> Members:
    replies: list[Members] = []
    await engine.conversations.remove(app, by, conversation, clients, replies.append)
    return replies[0]


async def members(engine: Engine, app: App, conversation: str) -> set[str]:
    return (await engine.access.conversation(app, conversation)).members


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (None, None, {})),
        ("{}", (None, None, {})),
        ('{"name": "名"}', ("名", None, {})),
        ('{"name": "", "attr": {}}', ("", {}, {})),
        ('{"name": null, "attr": null}', (None, None, {})),
        ('{"attr": {"a": [1, {"b": null}]}, "colour": "red"}', (None, {"a": [1, {"b": None}]}, {"colour": "red"})),
        ('{"n": 1.5, "b": true, "x": null}', (None, None, {"n": 1.5, "b": True, "x": None})),
        ('{"m": ["eve"], "c": "eve", "sys": true, "objectId": "x", "msg": "x", "kept": 1}', (None, None, {"kept": 1})),
    ],
)
def test_attributes(text: str, expected: tuple[Any, ...]) -> None:
    assert parse_attributes(text) == expected


@pytest.mark.parametrize("key", sorted(RESERVED))
def test_keys_of_the_server_are_left_out(key: str) -> None:
    assert parse_attributes(f'{{"{key}": "mine"}}') == (None, None, {})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        "1",
        '"name"',
        '{"name": 1}',
        '{"name": ["x"]}',
        '{"name": "\\ud800"}',
        '{"attr": []}',
        '{"attr": "x"}',
        '{"attr": 0}',
        '{"x": NaN}',
        '{"x":' * 20_000,
    ],
)
async def test_attributes_that_are_none(engine: Engine, app: App, events: list[Event], text: str) -> None:
    with pytest.raises(Refused) as refusal:
        await start(engine, app, "ann", "bob", attributes=text)
    assert refusal.value.kind is errors.CONVERSATION_API_FAILED
    assert events == []


def test_client_ids_are_kept_in_order_without_doubles() -> None:
    assert check_client_ids(["b", "a", "b", "日" * 64, "a"]) == ("b", "a", "日" * 64)
    assert check_client_ids([]) == ()


async def test_starting(engine: Engine, app: App, events: list[Event]) -> None:
    row = await start(engine, app, "ann", "bob", "ann", "bob", attributes='{"name": "talk"}')
    assert (row.creator, row.members, row.name) == ("ann", ("ann", "bob"), "talk")
    conversation = await engine.access.conversation(app, row.id)
    assert events == [ConversationCreated(conversation), MembersJoined(conversation, ("ann", "bob"), "ann", NOON)]
    assert conversation.members == {"ann", "bob"}


async def test_a_conversation_with_oneself(engine: Engine, app: App) -> None:
    assert (await start(engine, app, "ann")).members == ("ann",)


async def test_finding_the_unique_one_tells_nobody(engine: Engine, app: App, events: list[Event]) -> None:
    first = await start(engine, app, "ann", "bob", unique=True)
    events.clear()
    again = await start(engine, app, "bob", "ann", unique=True)
    assert again.id == first.id
    assert events == []


@pytest.mark.parametrize("clients", [[""], ["x" * 65], ["bob", ""]])
async def test_impossible_members(engine: Engine, app: App, events: list[Event], clients: Sequence[str]) -> None:
    row = await start(engine, app, "ann", "bob")
    events.clear()
    for asking in (
        start(engine, app, "ann", *clients),
        add(engine, app, "ann", row.id, *clients),
        remove(engine, app, "ann", row.id, *clients),
    ):
        with pytest.raises(Refused) as refusal:
            await asking
        assert refusal.value.kind is errors.CONVERSATION_API_FAILED
    assert events == []


async def test_too_many_members(engine: Engine, app: App, events: list[Event]) -> None:
    app = await engine.apps.change(app.id, {"members_max": "3"})
    with pytest.raises(Refused) as refusal:
        await start(engine, app, "ann", "bob", "cem", "dan")
    assert refusal.value.kind is errors.CONVERSATION_FULL
    row = await start(engine, app, "ann", "bob", "cem", "ann")
    events.clear()
    with pytest.raises(Refused) as refusal:
        await add(engine, app, "ann", row.id, "dan")
    assert refusal.value.kind is errors.CONVERSATION_FULL
    assert await members(engine, app, row.id) == {"ann", "bob", "cem"}
    assert events == []


async def test_adding_and_removing(engine: Engine, app: App, events: list[Event], wall: Wall) -> None:
    row = await start(engine, app, "ann", "bob")
    conversation = await engine.access.conversation(app, row.id)
    events.clear()
    wall.at += 100
    assert await add(engine, app, "bob", row.id, "cem", "ann", "cem") == Members(row.id, ("cem", "ann"), NOON + 100)
    assert await remove(engine, app, "cem", row.id, "ann", "eve") == Members(row.id, ("ann", "eve"), NOON + 101)
    assert events == [
        MembersJoined(conversation, ("cem",), "bob", NOON + 100),
        MembersLeft(conversation, ("ann",), "cem", NOON + 101),
    ]
    assert conversation.members == {"bob", "cem"}


async def test_what_changes_nothing_tells_nobody(engine: Engine, app: App, events: list[Event]) -> None:
    row = await start(engine, app, "ann", "bob")
    events.clear()
    assert await add(engine, app, "ann", row.id, "bob") == Members(row.id, ("bob",), NOON)
    assert await remove(engine, app, "ann", row.id, "eve") == Members(row.id, ("eve",), NOON)
    assert await remove(engine, app, "eve", row.id, "eve") == Members(row.id, ("eve",), NOON)
    assert events == []


async def test_anybody_may_join_and_quit(engine: Engine, app: App, events: list[Event]) -> None:
    row = await start(engine, app, "ann", "bob")
    await add(engine, app, "eve", row.id, "eve")
    assert await members(engine, app, row.id) == {"ann", "bob", "eve"}
    await remove(engine, app, "eve", row.id, "eve")
    assert await members(engine, app, row.id) == {"ann", "bob"}
    assert [type(event) for event in events] == [ConversationCreated, MembersJoined, MembersJoined, MembersLeft]


@pytest.mark.parametrize("clients", [["dan"], ["bob"], ["eve", "dan"], []])
async def test_only_members_change_others(engine: Engine, app: App, events: list[Event], clients: list[str]) -> None:
    row = await start(engine, app, "ann", "bob")
    events.clear()
    for asking in (add(engine, app, "eve", row.id, *clients), remove(engine, app, "eve", row.id, *clients)):
        with pytest.raises(Refused) as refusal:
            await asking
        assert refusal.value.kind is errors.CONVERSATION_MEMBERSHIP_REQUIRED
    assert events == []


@pytest.mark.parametrize("kind", [2, 3, 4])
async def test_only_normal_conversations_have_members_to_change(
    engine: Engine, make_engine: Callable[[], Engine], app: App, store: Store, kind: int
) -> None:
    row = await start(engine, app, "ann", "bob")
    await on_driver(store, lambda driver: driver.execute("UPDATE conversation SET kind = ?", (kind,)))
    fresh = make_engine()
    for asking in (add(fresh, app, "ann", row.id, "cem"), remove(fresh, app, "ann", row.id, "bob")):
        with pytest.raises(Refused) as refusal:
            await asking
        assert refusal.value.kind is errors.CONVERSATION_READ_ONLY


async def test_unknown_conversations(engine: Engine, app: App) -> None:
    other = await engine.apps.create("other", id="other")
    row = await start(engine, app, "ann", "bob")
    for of, id in ((app, "absent"), (other, row.id)):
        for asking in (add(engine, of, "ann", id, "cem"), remove(engine, of, "ann", id, "bob")):
            with pytest.raises(Refused) as refusal:
                await asking
            assert refusal.value.kind is errors.CONVERSATION_NOT_FOUND


async def test_answer_then_event_each_after_memory_has_changed(
    engine: Engine, app: App, store: Store, bus: LocalBus
) -> None:
    """The removed member is out before the remover hears so."""
    row = await start(engine, app, "ann", "bob")
    conversation = await engine.access.conversation(app, row.id)
    seen: list[tuple[str, set[str]]] = []
    bus.subscribe(lambda event: seen.append((type(event).__name__, set(conversation.members))))
    async with held(store):
        asking = [
            asyncio.ensure_future(
                engine.conversations.remove(
                    app, "ann", row.id, ["bob"], lambda _: seen.append(("reply", set(conversation.members)))
                )
            ),
            asyncio.ensure_future(
                engine.conversations.add(
                    app, "ann", row.id, ["cem"], lambda _: seen.append(("reply", set(conversation.members)))
                )
            ),
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*asking)
    assert seen == [
        ("reply", {"ann"}),
        ("MembersLeft", {"ann"}),
        ("reply", {"ann", "cem"}),
        ("MembersJoined", {"ann", "cem"}),
    ]


async def test_who_is_being_removed_changes_nobody(engine: Engine, app: App, store: Store, events: list[Event]) -> None:
    """Both were members when they asked."""
    row = await start(engine, app, "ann", "bob", "cem")
    events.clear()
    async with held(store):
        removing = asyncio.ensure_future(remove(engine, app, "ann", row.id, "bob"))
        late = [
            asyncio.ensure_future(add(engine, app, "bob", row.id, "eve")),
            asyncio.ensure_future(remove(engine, app, "bob", row.id, "ann")),
        ]
        await asyncio.sleep(0)
    await removing
    for asking in late:
        with pytest.raises(Refused) as refusal:
            await asking
        assert refusal.value.kind is errors.CONVERSATION_MEMBERSHIP_REQUIRED
    assert [type(event) for event in events] == [MembersLeft]
    assert await members(engine, app, row.id) == {"ann", "cem"}
    assert await add(engine, app, "bob", row.id, "bob") == Members(row.id, ("bob",), NOON + 2)


async def test_more_clients_than_members_can_be_are_refused_before_the_write(
    engine: Engine, app: App, store: Store
) -> None:
    app = await engine.apps.change(app.id, {"members_max": "2"})
    row = await start(engine, app, "ann", "bob")
    many = ["ann", "bob", "cem"]
    async with held(store):
        with pytest.raises(Refused) as refusal:
            await add(engine, app, "ann", row.id, *many)
        assert refusal.value.kind is errors.CONVERSATION_FULL
        with pytest.raises(Refused) as refusal:
            await remove(engine, app, "ann", row.id, *many)
        assert refusal.value.kind is errors.CONVERSATION_API_FAILED
