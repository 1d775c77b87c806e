"""Blacklists: who may block whom, what it does, what is told; and clients that refuse to be added."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from hongyan.engine import blacklist
from hongyan.engine.blacklist import Page, is_blocked
from hongyan.engine.conversations import Members
from hongyan.engine.engine import Engine
from hongyan.engine.events import BlocksChanged, Event, MembersJoined, MembersLeft
from hongyan.engine.values import (
    App,
    Conversation,
    ConversationDraft,
    ConversationKind,
    Decision,
    Draft,
    Failure,
    HistoryRange,
    Role,
    Standing,
    Stored,
)
from hongyan.errors import BLOCKED_BY_CONV, Refused
from hongyan.store import Store
from tests.store.steps import held

NORMAL, CHATROOM, SERVICE, TEMPORARY = ConversationKind
#: The kinds that have a blacklist.
KINDS = [NORMAL, CHATROOM, SERVICE]
UNAUTHORIZED = "CONVERSATION_OPERATION_UNAUTHORIZED"


async def make(
    engine: Engine, store: Store, app: App, *members: str, kind: ConversationKind = NORMAL, unique: bool = False
) -> Conversation:
    """A conversation of this kind which the first of the members made and owns."""
    kept = () if kind is CHATROOM else members
    made: list[str] = []
    draft = ConversationDraft(kind, members[0], kept, unique=unique)
    await store.conversations.create(app.key, draft, lambda row, *_: made.append(row.id))
    return await engine.access.conversation(app, made[0])


async def give(store: Store, engine: Engine, conversation: Conversation, client: str, standing: Standing) -> None:
    """Set a standing, as a command about roles would."""
    await store.standings.change(
        conversation,
        [client],
        lambda _: Decision({client: standing}),
        lambda result: engine.access.changed(conversation, result.version, set(), set(), result.standings),
    )


async def block(engine: Engine, app: App, by: str | None, conversation: Conversation, *clients: str) -> Members:
    replies: list[Members] = []
    await engine.blacklists.block(app, by, conversation.id, clients, replies.append)
    return replies[0]


async def unblock(engine: Engine, app: App, by: str | None, conversation: Conversation, *clients: str) -> Members:
    replies: list[Members] = []
    await engine.blacklists.unblock(app, by, conversation.id, clients, replies.append)
    return replies[0]


async def add(
    engine: Engine, app: App, by: str, conversation: Conversation, *clients: str, partial: bool = False
) -> Members:
    replies: list[Members] = []
    await engine.conversations.add(app, by, conversation.id, clients, replies.append, partial=partial)
    return replies[0]


async def start(engine: Engine, app: App, creator: str, *members: str) -> tuple[str, bool]:
    """The unique conversation of these: its id, and whether it was there."""
    replies: list[tuple[str, bool]] = []
    await engine.conversations.start(
        app, creator, members, "", unique=True, reply=lambda row, existing: replies.append((row.id, existing))
    )
    return replies[0]


async def refuse(engine: Engine, app: App, client: str, *conversations: Conversation) -> None:
    ids = [conversation.id for conversation in conversations]
    await engine.blacklists.refuse(app, client, ids, lambda: None, by_system=False)


async def accept(engine: Engine, app: App, client: str, *conversations: Conversation) -> None:
    ids = [conversation.id for conversation in conversations]
    await engine.blacklists.accept(app, client, ids, lambda: None, by_system=False)


async def send(engine: Engine, app: App, sender: str, conversation: Conversation) -> Stored | Refused:
    outcome: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()
    engine.messages.send(app, sender, conversation.id, Draft("hello"), outcome.set_result)
    return await outcome


async def listed(engine: Engine, app: App, by: str | None, conversation: Conversation) -> list[str]:
    page = await engine.blacklists.blocked(app, by, conversation.id, 0, 100)
    return list(page.items)


# what a block does


async def test_a_blocked_member_is_out_before_the_answer(
    engine: Engine, store: Store, app: App, events: list[Event]
) -> None:
    conversation = await make(engine, store, app, "ann", "bob", "cem")
    seen: list[tuple[set[str], int]] = []
    await engine.blacklists.block(
        app,
        "ann",
        conversation.id,
        ["bob", "eve", "bob"],
        lambda reply: seen.append((set(conversation.members), len(events))),
    )
    assert seen == [({"ann", "cem"}, 0)]
    told, left = events
    assert isinstance(told, BlocksChanged)
    assert (told.clients, told.by, told.blocked) == (("bob", "eve"), "ann", True)
    assert left == MembersLeft(conversation, ("bob",), "ann", told.at)
    assert (await store.conversations.load(app.key, conversation.id)).members == {"ann", "cem"}  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
async def test_blocking_again_or_unblocking_who_is_not_is_no_news_inferred(
    engine: Engine, store: Store, app: App, events: list[Event], kind: ConversationKind
) -> None:
    conversation = await make(engine, store, app, "ann", "bob", kind=kind)
    nothing = await unblock(engine, app, "ann", conversation, "bob")
    first = await block(engine, app, "ann", conversation, "bob")
    count = len(events)
    again = await block(engine, app, "ann", conversation, "bob")
    assert (nothing.allowed, first.allowed) == (("bob",), ("bob",))
    assert again == first
    assert len(events) == count


async def test_a_blocked_client_joins_no_more_is_not_added_and_sends_nothing(
    engine: Engine, store: Store, app: App
) -> None:
    conversation = await make(engine, store, app, "ann", "bob")
    await block(engine, app, "ann", conversation, "bob")
    for by in ("bob", "ann"):
        with pytest.raises(Refused, match="BLOCKED_BY_CONV"):
            await add(engine, app, by, conversation, "bob")
    assert isinstance(await send(engine, app, "bob", conversation), Refused)
    await unblock(engine, app, "ann", conversation, "bob")
    assert "bob" not in conversation.members
    await add(engine, app, "bob", conversation, "bob")
    assert isinstance(await send(engine, app, "bob", conversation), Stored)


@pytest.mark.parametrize("kind", [CHATROOM, SERVICE])
async def test_where_anybody_may_send_a_blocked_client_may_not(
    engine: Engine, store: Store, app: App, kind: ConversationKind
) -> None:
    conversation = await make(engine, store, app, "ann", kind=kind)
    assert isinstance(await send(engine, app, "bob", conversation), Stored)
    await block(engine, app, "ann", conversation, "bob")
    outcome = await send(engine, app, "bob", conversation)
    assert isinstance(outcome, Refused)
    assert outcome.kind is BLOCKED_BY_CONV
    assert is_blocked(conversation, "bob")
    await unblock(engine, app, "ann", conversation, "bob")
    assert not is_blocked(conversation, "bob")
    assert isinstance(await send(engine, app, "bob", conversation), Stored)


async def test_a_subscriber_who_is_blocked_is_none_any_more(
    engine: Engine, store: Store, app: App, events: list[Event]
) -> None:
    conversation = await make(engine, store, app, "ann", "bob", kind=SERVICE)
    await block(engine, app, None, conversation, "bob")
    assert await store.info.member_of(app.key, "bob", [conversation.id]) == set()
    assert [event.left for event in events if isinstance(event, MembersLeft)] == [("bob",)]


@pytest.mark.parametrize("partial", [False, True])
async def test_one_who_is_blocked_fails_alone_or_with_all(
    engine: Engine, store: Store, app: App, events: list[Event], partial: bool
) -> None:
    conversation = await make(engine, store, app, "ann")
    await block(engine, app, "ann", conversation, "bob")
    count = len(events)
    if partial:
        members = await add(engine, app, "ann", conversation, "bob", "cem", "ann", partial=True)
        assert members.allowed == ("cem", "ann")
        assert members.failed == (Failure(BLOCKED_BY_CONV, ("bob",)),)
        (joined,) = events[count:]
        assert isinstance(joined, MembersJoined)
        assert joined.joined == ("cem",)
        nobody = await add(engine, app, "ann", conversation, "bob", partial=True)
        assert (nobody.allowed, len(nobody.failed)) == ((), 1)
        return
    with pytest.raises(Refused, match="BLOCKED_BY_CONV"):
        await add(engine, app, "ann", conversation, "bob", "cem")
    assert conversation.members == {"ann"}
    assert len(events) == count


async def test_a_block_and_a_join_at_once_leave_nobody_in_who_is_blocked(
    engine: Engine, store: Store, app: App
) -> None:
    conversation = await make(engine, store, app, "ann")
    async with held(store):
        blocking = asyncio.ensure_future(block(engine, app, "ann", conversation, "bob"))
        await asyncio.sleep(0)
        joining = asyncio.ensure_future(add(engine, app, "bob", conversation, "bob"))
        await asyncio.sleep(0)
    await blocking
    with pytest.raises(Refused, match="BLOCKED_BY_CONV"):
        await joining
    assert conversation.members == {"ann"}


async def test_what_was_set_besides_stays_but_the_role_is_over(engine: Engine, store: Store, app: App) -> None:
    conversation = await make(engine, store, app, "ann", "bob")
    await give(store, engine, conversation, "bob", Standing(Role.MANAGER, "5f0000000000000000000001", 1 << 62))
    await block(engine, app, "ann", conversation, "bob")
    standing = conversation.standings["bob"]
    assert (standing.role, standing.role_id, standing.silenced_until) == (None, None, 1 << 62)
    await unblock(engine, app, "ann", conversation, "bob")
    assert conversation.standings["bob"] == Standing(silenced_until=1 << 62)


# who may


@pytest.mark.parametrize("kind", KINDS)
async def test_owners_and_managers_block_those_below_them(
    engine: Engine, store: Store, app: App, kind: ConversationKind
) -> None:
    conversation = await make(engine, store, app, "ann", "max", "bob", kind=kind)
    await give(store, engine, conversation, "max", Standing(Role.MANAGER))
    for by, target in (("max", "ann"), ("max", "max"), ("ann", "ann"), ("bob", "eve"), ("eve", "bob")):
        for work in (block, unblock):
            with pytest.raises(Refused, match=UNAUTHORIZED):
                await work(engine, app, by, conversation, "zoe", target)
    assert not is_blocked(conversation, "zoe")
    assert (await block(engine, app, "max", conversation, "bob")).allowed == ("bob",)
    assert (await block(engine, app, "ann", conversation, "max")).allowed == ("max",)
    # who was a manager and is blocked unblocks neither others nor itself
    for target in ("bob", "max"):
        with pytest.raises(Refused, match=UNAUTHORIZED):
            await unblock(engine, app, "max", conversation, target)
    await block(engine, app, None, conversation, "ann")
    with pytest.raises(Refused, match=UNAUTHORIZED):
        await unblock(engine, app, "ann", conversation, "bob")
    assert sorted(await listed(engine, app, None, conversation)) == ["ann", "bob", "max"]


async def test_an_owner_who_left_blocks_nobody(engine: Engine, store: Store, app: App) -> None:
    conversation = await make(engine, store, app, "ann", "bob")
    await engine.conversations.remove(app, "ann", conversation.id, ["ann"], lambda _: None)
    with pytest.raises(Refused, match=UNAUTHORIZED):
        await block(engine, app, "ann", conversation, "bob")


async def test_a_role_that_is_taken_meanwhile_counts(engine: Engine, store: Store, app: App) -> None:
    conversation = await make(engine, store, app, "ann", "max", "bob")
    await give(store, engine, conversation, "max", Standing(Role.MANAGER))
    async with held(store):
        demoting = asyncio.ensure_future(give(store, engine, conversation, "max", Standing()))
        await asyncio.sleep(0)
        blocking = asyncio.ensure_future(block(engine, app, "max", conversation, "bob"))
        await asyncio.sleep(0)
    await demoting
    with pytest.raises(Refused, match=UNAUTHORIZED):
        await blocking
    assert conversation.members == {"ann", "max", "bob"}


@pytest.mark.parametrize("kind", KINDS)
async def test_who_may_know_whom_is_blocked_inferred(
    engine: Engine, store: Store, app: App, kind: ConversationKind
) -> None:
    conversation = await make(engine, store, app, "ann", "bob", kind=kind)
    await block(engine, app, "ann", conversation, "eve")
    refused = {
        NORMAL: {"max": "MEMBERSHIP_REQUIRED", "eve": "MEMBERSHIP_REQUIRED"},
        CHATROOM: {"eve": "BLOCKED_BY_CONV"},
        SERVICE: {"bob": UNAUTHORIZED, "max": UNAUTHORIZED, "eve": "BLOCKED_BY_CONV"},
    }[kind]
    for by in (None, "ann", "bob", "max", "eve"):
        asked = engine.blacklists.which_blocked(app, by, conversation.id, ["bob", "eve"])
        if by in refused:
            with pytest.raises(Refused, match=refused[by]):
                await asked
            with pytest.raises(Refused, match=refused[by]):
                await listed(engine, app, by, conversation)
        else:
            assert await asked == ["eve"]
            assert await listed(engine, app, by, conversation) == ["eve"]


# malformed and not allowed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clients", [[], [""], ["x" * 65], ["ok", ""], [f"c{n}" for n in range(501)]])
async def test_clients_that_can_be_none(
    engine: Engine, store: Store, app: App, kind: ConversationKind, clients: Sequence[str]
) -> None:
    conversation = await make(engine, store, app, "ann", kind=kind)
    for work in (engine.blacklists.block, engine.blacklists.unblock):
        with pytest.raises(Refused, match="CONVERSATION_API_FAILED"):
            await work(app, "ann", conversation.id, clients, lambda _: None)
    with pytest.raises(Refused, match="CONVERSATION_API_FAILED"):
        await engine.blacklists.which_blocked(app, "ann", conversation.id, clients)
    assert conversation.version == 1


async def test_temporary_conversations_have_no_blacklist_inferred(engine: Engine, store: Store, app: App) -> None:
    conversation = await make(engine, store, app, "ann", "bob", kind=TEMPORARY)
    for asked in all_requests(engine, app, "ann", conversation.id):
        with pytest.raises(Refused, match="NORMAL_CONVERSATION_REQUIRED"):
            await asked
    assert conversation.members == {"ann", "bob"}


async def test_unknown_conversations(engine: Engine, app: App) -> None:
    for asked in all_requests(engine, app, "ann", "65f000000000000000000001"):
        with pytest.raises(Refused, match="CONVERSATION_NOT_FOUND"):
            await asked


async def test_an_app_may_do_without_but_its_server_may_not_be_stopped_inferred(
    engine: Engine, store: Store, app: App
) -> None:
    conversation = await make(engine, store, app, "ann", "bob")
    await engine.apps.change("test", {"blacklist": "off"})
    asked = [
        *all_requests(engine, app, "ann", conversation.id),
        engine.blacklists.refused(app, "ann", 0, 1, by_system=False),
        engine.blacklists.which_refused(app, "ann", [conversation.id], by_system=False),
    ]
    for request in asked:
        with pytest.raises(Refused, match="BLACKLIST_FEATURE_DISABLED"):
            await request
    await block(engine, app, None, conversation, "bob")
    assert conversation.members == {"ann"}
    assert await listed(engine, app, None, conversation) == ["bob"]
    with pytest.raises(Refused, match="BLOCKED_BY_CONV"):
        await add(engine, app, "bob", conversation, "bob")


def all_requests(engine: Engine, app: App, by: str, conversation_id: str) -> list[Any]:
    """Everything that a client may ask about a conversation's blacklist, or about its own with this conversation."""
    lists = engine.blacklists
    return [
        lists.block(app, by, conversation_id, ["bob"], lambda _: None),
        lists.unblock(app, by, conversation_id, ["bob"], lambda _: None),
        lists.blocked(app, by, conversation_id, 0, 10),
        lists.which_blocked(app, by, conversation_id, ["bob"]),
        lists.refuse(app, by, [conversation_id], lambda: None, by_system=False),
        lists.accept(app, by, [conversation_id], lambda: None, by_system=False),
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_blacklist_is_full(
    engine: Engine, store: Store, app: App, kind: ConversationKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert blacklist.BLOCKED_MAX == {NORMAL: 500, CHATROOM: 10_000, SERVICE: 10_000}
    monkeypatch.setitem(blacklist.BLOCKED_MAX, kind, 3)
    conversation = await make(engine, store, app, "ann", kind=kind)
    await block(engine, app, "ann", conversation, "b", "c")
    with pytest.raises(Refused, match="BLACKLIST_FULL"):
        await block(engine, app, "ann", conversation, "d", "e")
    assert await listed(engine, app, "ann", conversation) == ["b", "c"]
    await block(engine, app, "ann", conversation, "c", "d")
    assert await listed(engine, app, "ann", conversation) == ["b", "c", "d"]


async def test_a_list_in_pages(engine: Engine, store: Store, app: App) -> None:
    conversation = await make(engine, store, app, "ann")
    await block(engine, app, "ann", conversation, *[f"c{number}" for number in range(5)])
    pages = [await engine.blacklists.blocked(app, "ann", conversation.id, start, 2) for start in (0, 2, 4, 5)]
    assert pages == [Page(("c0", "c1"), 2), Page(("c2", "c3"), 4), Page(("c4",), None), Page((), None)]
    whole = await engine.blacklists.blocked(app, "ann", conversation.id, 0, 5)
    assert whole.next is None


# starting conversations


async def test_who_is_blocked_is_left_out_of_a_unique_conversation_inferred(
    engine: Engine, store: Store, app: App
) -> None:
    first, _ = await start(engine, app, "ann", "bob")
    conversation = await engine.access.conversation(app, first)
    await block(engine, app, "ann", conversation, "bob")
    assert await start(engine, app, "ann", "bob") == (first, True)
    assert conversation.members == {"ann"}
    # who is blocked gets no other one in its place
    with pytest.raises(Refused, match="BLOCKED_BY_CONV"):
        await start(engine, app, "bob", "ann")
    await unblock(engine, app, "ann", conversation, "bob")
    await add(engine, app, "ann", conversation, "bob")
    assert await start(engine, app, "bob", "ann") == (first, True)


async def test_who_refuses_a_unique_conversation_is_left_out_of_it_inferred(
    engine: Engine, store: Store, app: App
) -> None:
    first, _ = await start(engine, app, "ann", "bob")
    conversation = await engine.access.conversation(app, first)
    await engine.conversations.remove(app, "bob", first, ["bob"], lambda _: None)
    await refuse(engine, app, "bob", conversation)
    assert await start(engine, app, "ann", "bob") == (first, True)
    # it begins a new one by itself
    second, existing = await start(engine, app, "bob", "ann")
    assert not existing
    assert second != first


async def test_a_unique_conversation_without_one_who_only_left_is_another(
    engine: Engine, store: Store, app: App
) -> None:
    first, _ = await start(engine, app, "ann", "bob", "cem")
    conversation = await engine.access.conversation(app, first)
    await block(engine, app, "ann", conversation, "bob")
    await engine.conversations.remove(app, "cem", first, ["cem"], lambda _: None)
    second, existing = await start(engine, app, "ann", "bob", "cem")
    assert not existing
    await add(engine, app, "ann", conversation, "eve")
    assert await start(engine, app, "ann", "cem", "bob") == (second, True)


# clients refuse conversations


async def test_who_refuses_a_conversation_is_added_by_nobody_inferred(
    engine: Engine, store: Store, app: App, events: list[Event]
) -> None:
    conversation, other = await make(engine, store, app, "ann"), await make(engine, store, app, "ann")
    await refuse(engine, app, "bob", conversation)
    with pytest.raises(Refused, match="BLOCKED_BY_CONV"):
        await add(engine, app, "ann", conversation, "bob")
    members = await add(engine, app, "ann", conversation, "bob", "cem", partial=True)
    assert (members.allowed, members.failed) == (("cem",), (Failure(BLOCKED_BY_CONV, ("bob",)),))
    await add(engine, app, "ann", other, "bob")
    await accept(engine, app, "bob", conversation)
    await add(engine, app, "ann", conversation, "bob")
    assert "bob" in conversation.members
    assert not any(isinstance(event, BlocksChanged) for event in events)


async def test_joining_takes_a_refusal_back_and_refusing_is_no_leaving_inferred(
    engine: Engine, store: Store, app: App
) -> None:
    conversation = await make(engine, store, app, "ann", "bob")
    await refuse(engine, app, "bob", conversation)
    assert conversation.members == {"ann", "bob"}
    assert isinstance(await send(engine, app, "bob", conversation), Stored)
    await engine.conversations.remove(app, "bob", conversation.id, ["bob"], lambda _: None)
    await add(engine, app, "bob", conversation, "bob")
    assert (await engine.blacklists.refused(app, "bob", 0, 10, by_system=False)).items == ()
    await engine.conversations.remove(app, "bob", conversation.id, ["bob"], lambda _: None)
    await add(engine, app, "ann", conversation, "bob")
    assert conversation.members == {"ann", "bob"}


async def test_a_block_is_not_lifted_by_joining(engine: Engine, store: Store, app: App) -> None:
    conversation = await make(engine, store, app, "ann")
    await refuse(engine, app, "bob", conversation)
    await block(engine, app, "ann", conversation, "bob")
    with pytest.raises(Refused, match="BLOCKED_BY_CONV"):
        await add(engine, app, "bob", conversation, "bob")
    assert (await add(engine, app, "bob", conversation, "bob", partial=True)).failed
    assert (await engine.blacklists.refused(app, "bob", 0, 10, by_system=False)).items == (conversation.id,)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_knows_what_it_refuses(engine: Engine, store: Store, app: App, kind: ConversationKind) -> None:
    refused = [await make(engine, store, app, "ann", kind=kind) for _ in range(3)]
    other = await make(engine, store, app, "ann")
    ids = [conversation.id for conversation in refused]
    await refuse(engine, app, "bob", *refused, refused[0])
    await refuse(engine, app, "bob", refused[0])
    lists = engine.blacklists
    assert await lists.refused(app, "bob", 0, 2, by_system=False) == Page(tuple(ids[:2]), 2)
    assert await lists.refused(app, "bob", 2, 2, by_system=False) == Page((ids[2],), None)
    asked = [other.id, ids[1], "unknown", ids[1]]
    assert await lists.which_refused(app, "bob", asked, by_system=False) == [ids[1]]
    assert await lists.which_refused(app, "cem", asked, by_system=False) == []


async def test_refusing_an_unknown_one_besides_changes_nothing(engine: Engine, store: Store, app: App) -> None:
    conversation = await make(engine, store, app, "ann")
    with pytest.raises(Refused, match="CONVERSATION_NOT_FOUND"):
        await engine.blacklists.refuse(app, "bob", [conversation.id, "unknown"], lambda: None, by_system=False)
    for ids in ([], [str(number) for number in range(501)]):
        with pytest.raises(Refused, match="CONVERSATION_API_FAILED"):
            await engine.blacklists.refuse(app, "bob", ids, lambda: None, by_system=False)
    assert await engine.blacklists.refused(app, "bob", 0, 10, by_system=False) == Page((), None)


async def test_a_client_refuses_only_so_many(
    engine: Engine, store: Store, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blacklist, "REFUSED_MAX", 2)
    conversations = [await make(engine, store, app, "ann") for _ in range(3)]
    await refuse(engine, app, "bob", conversations[0])
    with pytest.raises(Refused, match="BLACKLIST_FULL"):
        await refuse(engine, app, "bob", *conversations[1:])
    await refuse(engine, app, "bob", *conversations[:2])
    page = await engine.blacklists.refused(app, "bob", 0, 10, by_system=False)
    assert page.items == tuple(conversation.id for conversation in conversations[:2])


async def test_apps_know_nothing_of_each_other(engine: Engine, store: Store, app: App) -> None:
    other = await engine.apps.create("other", id="other")
    conversation = await make(engine, store, app, "ann")
    await refuse(engine, app, "bob", conversation)
    assert (await engine.blacklists.refused(other, "bob", 0, 10, by_system=True)).items == ()
    with pytest.raises(Refused, match="CONVERSATION_NOT_FOUND"):
        await block(engine, other, None, conversation, "bob")


async def test_roles_stay_in_use_when_the_system_blocks_the_owner(engine: Engine, app: App, store: Store) -> None:
    conversation = await make(engine, store, app, "ann", "max", "bob")
    await engine.roles.give(app, "ann", conversation.id, "max", "Manager", lambda *_: None)
    await block(engine, app, None, conversation, "ann")
    with pytest.raises(Refused, match=UNAUTHORIZED):
        await engine.conversations.remove(app, "bob", conversation.id, ["max"], lambda _: None)
    assert conversation.members == {"max", "bob"}


async def test_who_is_blocked_reads_no_chat_room_and_silences_nobody_there_inferred(
    engine: Engine, app: App, store: Store
) -> None:
    room = await make(engine, store, app, "ann", kind=CHATROOM)
    await engine.silence.impose(app, "ann", room.id, ["eve"], lambda *_: None)
    await block(engine, app, None, room, "ann", "bob")
    for work in (
        engine.silence.impose(app, "ann", room.id, ["zoe"], lambda *_: None),
        engine.silence.lift(app, "ann", room.id, ["eve"], lambda *_: None),
        engine.silence.page(app, "bob", room.id, 10, 0),
        engine.silence.is_silenced(app, "bob", room.id, "eve"),
    ):
        with pytest.raises(Refused, match="BLOCKED_BY_CONV"):
            await work
    with pytest.raises(Refused, match="CONVERSATION_LOG_REJECTED"):
        await engine.history.page(app, "bob", room.id, HistoryRange(10))
    await engine.history.page(app, "eve", room.id, HistoryRange(10))


async def test_a_block_that_commits_first_wins_over_a_silence(engine: Engine, app: App, store: Store) -> None:
    room = await make(engine, store, app, "ann", kind=CHATROOM)
    async with held(store):
        blocking = asyncio.ensure_future(block(engine, app, None, room, "ann"))
        silencing = asyncio.ensure_future(engine.silence.impose(app, "ann", room.id, ["zoe"], lambda *_: None))
        for _ in range(5):
            await asyncio.sleep(0)
    await blocking
    with pytest.raises(Refused, match="BLOCKED_BY_CONV"):
        await silencing


@pytest.mark.parametrize(("kind", "most"), [(NORMAL, 500), (CHATROOM, 100), (SERVICE, 500)])
async def test_so_many_are_blocked_at_once_inferred(
    engine: Engine, app: App, store: Store, kind: ConversationKind, most: int
) -> None:
    conversation = await make(engine, store, app, "ann", kind=kind)
    names = [f"client{number}" for number in range(most + 1)]
    with pytest.raises(Refused, match="CONVERSATION_API_FAILED"):
        await block(engine, app, None, conversation, *names)
    assert len((await block(engine, app, None, conversation, *names[:most])).allowed) == most
