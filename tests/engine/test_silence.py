"""Silence: who may impose it, on whom, how many, what it keeps from, and that it ends."""

import asyncio
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine import silence
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MessageSent, SilenceChanged
from hongyan.engine.values import App, ConversationKind, Draft, Edit, HistoryRange, Stored
from hongyan.errors import Kind, Refused
from hongyan.store import Store
from tests.engine.test_conversations import add, remove, start
from tests.engine.test_roles import give, refused
from tests.store.steps import Wall, held, load, on_driver

ALL = 1_000


async def impose(
    engine: Engine, app: App, by: str | None, conversation: str, *clients: str, seconds: int | None = None
) -> tuple[str, ...]:
    replies: list[tuple[str, ...]] = []
    await engine.silence.impose(app, by, conversation, clients, lambda _, done: replies.append(done), seconds)
    return replies[0]


async def lift(
    engine: Engine, app: App, by: str | None, conversation: str, *clients: str, for_ever: bool | None = None
) -> tuple[str, ...]:
    replies: list[tuple[str, ...]] = []
    await engine.silence.lift(app, by, conversation, clients, lambda _, done: replies.append(done), for_ever)
    return replies[0]


async def silenced(engine: Engine, app: App, conversation: str, asker: str | None = None, **which: Any) -> list[str]:
    found, more = await engine.silence.page(app, asker, conversation, ALL, 0, **which)
    assert more is None
    return found


async def send(engine: Engine, app: App, sender: str, conversation: str, **draft: Any) -> Stored | Refused:
    outcome: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()
    engine.messages.send(app, sender, conversation, Draft("hello", **draft), outcome.set_result)
    return await outcome


async def barred(engine: Engine, app: App, sender: str, conversation: str, **draft: Any) -> Kind | None:
    """Why a message is refused."""
    outcome = await send(engine, app, sender, conversation, **draft)
    return outcome.kind if isinstance(outcome, Refused) else None


@pytest.fixture
async def group(engine: Engine, app: App) -> str:
    """A conversation that ann made, with a manager, max, and plain members."""
    row = await start(engine, app, "ann", "max", "bob", "eve")
    await give(engine, app, "ann", row.id, "max", "Manager")
    return row.id


async def as_kind(engine: Engine, store: Store, kind: ConversationKind) -> None:
    """All conversations are of this kind now."""
    await on_driver(store, lambda driver: driver.execute("UPDATE conversation SET kind = ?", (int(kind),)))
    engine.access._cache.clear()


async def test_the_silenced_read_and_do_not_write(
    engine: Engine, app: App, group: str, store: Store, events: list[Event]
) -> None:
    assert await impose(engine, app, "max", group, "bob", "eve", "bob") == ("bob", "eve")
    conversation = await engine.access.conversation(app, group)
    (event,) = [event for event in events if isinstance(event, SilenceChanged)]
    assert event == SilenceChanged(conversation, ("bob", "eve"), True, "max", event.at)
    assert (await load(store, group, app.key)).standings == conversation.standings
    for draft in ({}, {"transient": True}):
        assert await barred(engine, app, "bob", group, **draft) is errors.SILIENCED
    assert isinstance(await send(engine, app, "ann", group), Stored)
    _, read = await engine.history.page(app, "bob", group, HistoryRange(limit=10))
    assert len(read) == 1
    assert await silenced(engine, app, group, "eve") == ["bob", "eve"]


async def test_nor_edit_nor_recall_nor_leave_wills_inferred(
    engine: Engine, app: App, group: str, store: Store, events: list[Event]
) -> None:
    sent = await send(engine, app, "bob", group)
    assert isinstance(sent, Stored)
    session = object()
    acked: list[Any] = []
    engine.wills.set(app, "bob", group, Draft("bye"), acked.append, session, lambda: True)
    assert isinstance(acked.pop(), Stored)
    await impose(engine, app, "ann", group, "bob")
    for draft in (Draft("other"), None):
        edit = Edit(group, sent.id, sent.timestamp, draft)
        await refused(errors.SILIENCED, engine.edits.apply(app, "bob", [edit], acked.append))
    engine.wills.set(app, "bob", group, Draft("bye"), acked.append, session, lambda: True)
    assert [outcome.kind for outcome in acked] == [errors.SILIENCED]
    told = len(events)
    engine.wills.session_ended(app, "bob", session, clean=False, last=True)  # nor is the one from before said
    assert len(events) == told


async def test_an_edit_on_its_way_is_refused_when_its_author_is_silenced_first(
    engine: Engine, app: App, group: str, store: Store
) -> None:
    sent = await send(engine, app, "bob", group)
    assert isinstance(sent, Stored)
    async with held(store):
        silencing = asyncio.ensure_future(impose(engine, app, "ann", group, "bob"))
        await asyncio.sleep(0)
        edit = Edit(group, sent.id, sent.timestamp, Draft("other"))
        editing = asyncio.ensure_future(engine.edits.apply(app, "bob", [edit], lambda at: None))
        await asyncio.sleep(0)
    await silencing
    await refused(errors.SILIENCED, editing)


async def test_they_speak_again_when_it_is_lifted(
    engine: Engine, app: App, group: str, events: list[Event], store: Store
) -> None:
    await impose(engine, app, "ann", group, "bob", "eve")
    assert await lift(engine, app, "max", group, "bob", "ann2") == ("bob", "ann2")
    last = events[-1]
    assert isinstance(last, SilenceChanged)
    assert (last.clients, last.silenced, last.by) == (("bob",), False, "max")
    assert await barred(engine, app, "bob", group) is None
    assert await barred(engine, app, "eve", group) is errors.SILIENCED
    assert "bob" not in (await load(store, group, app.key)).standings


async def test_what_is_so_already_tells_nobody_inferred(
    engine: Engine, app: App, group: str, events: list[Event]
) -> None:
    await impose(engine, app, "ann", group, "bob")
    told = len(events)
    assert await impose(engine, app, "ann", group, "bob") == ("bob",)
    assert await lift(engine, app, "ann", group, "eve", "stranger") == ("eve", "stranger")
    assert len(events) == told
    assert await impose(engine, app, "ann", group, "bob", "eve") == ("bob", "eve")
    last = events[-1]
    assert isinstance(last, SilenceChanged)
    assert last.clients == ("eve",)


@pytest.mark.parametrize("action", [impose, lift])
@pytest.mark.parametrize(
    ("by", "clients", "kind"),
    [
        ("bob", ["eve"], errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("bob", ["bob"], errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("max", ["max"], errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("max", ["bob", "ann"], errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("ann", ["ann"], errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("stranger", ["bob"], errors.CONVERSATION_MEMBERSHIP_REQUIRED),
        ("ann", [], errors.CONVERSATION_API_FAILED),
        ("ann", ["bob", ""], errors.CONVERSATION_API_FAILED),
        ("ann", ["x" * 65], errors.CONVERSATION_API_FAILED),
        ("ann", [str(n) for n in range(501)], errors.CONVERSATION_API_FAILED),
    ],
)
async def test_silence_that_is_refused_as_a_whole(
    engine: Engine, app: App, group: str, events: list[Event], action: Any, by: str, clients: list[str], kind: Kind
) -> None:
    await impose(engine, app, None, group, "max", "bob")
    before, told = await silenced(engine, app, group), len(events)
    await refused(kind, action(engine, app, by, group, *clients))
    assert (await silenced(engine, app, group), len(events)) == (before, told)


async def test_unknown_conversation(engine: Engine, app: App) -> None:
    await refused(errors.CONVERSATION_NOT_FOUND, impose(engine, app, "ann", "none", "bob"))
    await refused(errors.CONVERSATION_NOT_FOUND, silenced(engine, app, "none", "ann"))


async def test_anybody_is_silenced_and_comes_back_silenced_inferred(engine: Engine, app: App, group: str) -> None:
    await impose(engine, app, "ann", group, "stranger", "bob")
    await remove(engine, app, "bob", group, "bob")
    await add(engine, app, "max", group, "bob", "stranger")
    for client in ("bob", "stranger"):
        assert await barred(engine, app, client, group) is errors.SILIENCED


async def test_only_members_ask(engine: Engine, app: App, group: str) -> None:
    await impose(engine, app, "ann", group, "bob")
    assert await engine.silence.is_silenced(app, "eve", group, "bob")
    assert not await engine.silence.is_silenced(app, "bob", group, "eve")
    await refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, silenced(engine, app, group, "stranger"))
    asked = engine.silence.is_silenced(app, "stranger", group, "bob")
    await refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, asked)


async def test_pages(engine: Engine, app: App, group: str) -> None:
    everybody = [f"c{n:02}" for n in range(25)]
    await impose(engine, app, "ann", group, *reversed(everybody))
    found: list[str] = []
    skip: int | None = 0
    while skip is not None:
        page, skip = await engine.silence.page(app, "ann", group, 10, skip)
        found += page
    assert found == everybody
    assert await engine.silence.page(app, "ann", group, 10, 15) == (everybody[15:], None)
    assert await engine.silence.page(app, "ann", group, 10, 10**9) == ([], None)


async def test_so_many_are_silenced_and_no_more(
    engine: Engine, app: App, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(silence.SILENCED_MAX, ConversationKind.NORMAL, 3)
    await impose(engine, app, "ann", group, "c1", "c2")
    await refused(errors.SILIENCED_MEMBER_LIST_FULL, impose(engine, app, "ann", group, "c3", "c4"))
    await impose(engine, app, "ann", group, "c2", "c3")
    await lift(engine, app, "ann", group, "c1")
    await impose(engine, app, None, group, "c4")
    await refused(errors.SILIENCED_MEMBER_LIST_FULL, impose(engine, app, None, group, "c5"))
    assert await silenced(engine, app, group) == ["c2", "c3", "c4"]


async def test_of_two_who_silence_at_once_the_limit_holds(
    engine: Engine, app: App, group: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(silence.SILENCED_MAX, ConversationKind.NORMAL, 3)
    async with held(store):
        first = asyncio.ensure_future(impose(engine, app, "ann", group, "c1", "c2"))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(impose(engine, app, "max", group, "c3", "c4"))
        await asyncio.sleep(0)
    await first
    await refused(errors.SILIENCED_MEMBER_LIST_FULL, second)


async def test_a_manager_who_was_demoted_or_removed_meanwhile_silences_nobody(
    engine: Engine, app: App, group: str, store: Store
) -> None:
    await give(engine, app, "ann", group, "eve", "Manager")
    async with held(store):
        first = [
            asyncio.ensure_future(give(engine, app, "ann", group, "max", "Member")),
            asyncio.ensure_future(remove(engine, app, "ann", group, "eve")),
        ]
        await asyncio.sleep(0)
        asked = [asyncio.ensure_future(impose(engine, app, by, group, "bob")) for by in ("max", "eve")]
        await asyncio.sleep(0)
    await asyncio.gather(*first)
    await refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, asked[0])
    await refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, asked[1])
    assert await silenced(engine, app, group) == []


# for a time


async def test_a_silence_for_a_time_ends_without_a_push_inferred(
    engine: Engine, app: App, group: str, wall: Wall, events: list[Event], store: Store
) -> None:
    await impose(engine, app, None, group, "bob", seconds=60)
    last = events[-1]
    assert isinstance(last, SilenceChanged)
    assert (last.clients, last.silenced, last.by) == (("bob",), True, "")
    told = len(events)
    assert await barred(engine, app, "bob", group) is errors.CONVERSATION_BLACKLISTED
    assert await silenced(engine, app, group, "eve") == ["bob"]
    wall.at += 60_000
    assert await barred(engine, app, "bob", group) is None
    assert await silenced(engine, app, group, "eve") == []
    assert not await engine.silence.is_silenced(app, "eve", group, "bob")
    assert [type(event) for event in events[told:]] == [MessageSent]
    await impose(engine, app, "ann", group, "eve")
    conversation = await engine.access.conversation(app, group)
    assert "bob" not in conversation.standings
    assert (await load(store, group, app.key)).standings == conversation.standings


async def test_for_ever_outlasts_for_a_time(engine: Engine, app: App, group: str, wall: Wall) -> None:
    await impose(engine, app, "ann", group, "bob")
    await impose(engine, app, None, group, "bob", seconds=1)
    await lift(engine, app, None, group, "bob", for_ever=False)
    await impose(engine, app, None, group, "eve", seconds=1)
    await impose(engine, app, "ann", group, "eve")
    wall.at += 1_000
    for client in ("bob", "eve"):
        assert await barred(engine, app, client, group) is errors.SILIENCED
    assert await silenced(engine, app, group, for_ever=True) == ["bob", "eve"]


async def test_the_system_lifts_one_sort_a_manager_whichever_it_is(engine: Engine, app: App, group: str) -> None:
    await impose(engine, app, None, group, "bob", seconds=60)
    assert await silenced(engine, app, group, for_ever=True) == []
    await lift(engine, app, None, group, "bob", for_ever=True)
    assert await barred(engine, app, "bob", group) is errors.CONVERSATION_BLACKLISTED
    await lift(engine, app, None, group, "bob", for_ever=False)
    assert await barred(engine, app, "bob", group) is None
    await impose(engine, app, None, group, "bob", seconds=60)
    await lift(engine, app, "max", group, "bob")
    assert await barred(engine, app, "bob", group) is None


@pytest.mark.parametrize("seconds", [0, -1, 86_401])
async def test_times_that_are_too_short_or_too_long(engine: Engine, app: App, group: str, seconds: int) -> None:
    await refused(errors.CONVERSATION_API_FAILED, impose(engine, app, None, group, "bob", seconds=seconds))
    await impose(engine, app, None, group, "bob", seconds=86_400)


# other kinds


async def test_in_a_chat_room_the_owner_silences_and_any_client_asks_inferred(
    engine: Engine, app: App, group: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await as_kind(engine, store, ConversationKind.CHATROOM)
    await impose(engine, app, "ann", group, "guest")
    assert await barred(engine, app, "guest", group) is errors.SILIENCED
    assert await barred(engine, app, "other", group) is None
    assert await silenced(engine, app, group, "other") == ["guest"]
    await refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, impose(engine, app, "guest", group, "other"))
    await refused(
        errors.CONVERSATION_API_FAILED, impose(engine, app, "ann", group, *(str(number) for number in range(101)))
    )
    assert silence.SILENCED_MAX[ConversationKind.CHATROOM] == 10_000


async def test_in_a_service_conversation_the_system_alone_silences_inferred(
    engine: Engine, app: App, group: str, store: Store
) -> None:
    await as_kind(engine, store, ConversationKind.SERVICE)
    await refused(errors.NORMAL_CONVERSATION_REQUIRED, impose(engine, app, "ann", group, "bob"))
    await impose(engine, app, None, group, "bob")
    assert (await engine.silence.page(app, None, group, 10, 0))[0] == ["bob"]
    await lift(engine, app, None, group, "bob")
    assert (await engine.silence.page(app, None, group, 10, 0))[0] == []


async def test_temporary_conversations_know_no_silence_inferred(
    engine: Engine, app: App, group: str, store: Store
) -> None:
    await as_kind(engine, store, ConversationKind.TEMPORARY)
    for work in (
        impose(engine, app, "ann", group, "bob"),
        lift(engine, app, None, group, "bob"),
        silenced(engine, app, group, "ann"),
        engine.silence.is_silenced(app, "ann", group, "bob"),
    ):
        await refused(errors.NORMAL_CONVERSATION_REQUIRED, work)
