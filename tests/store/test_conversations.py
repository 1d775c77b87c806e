"""Starting conversations, finding the unique one, changing members."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from hongyan import errors
from hongyan.engine.values import Conversation, ConversationKind, Draft, MembersChanged
from hongyan.errors import Refused
from hongyan.store import Store
from hongyan.store.gathered_reads import BATCH_MAX
from hongyan.store.members import unique_key
from tests.store.steps import APP, NOON, Wall, create, held, load, rows, send, start

LIMIT = 500


async def add(store: Store, conversation: Conversation, *clients: str, limit: int = LIMIT) -> MembersChanged:
    results: list[MembersChanged] = []
    await store.conversations.add_members(conversation, clients, limit, results.append)
    return results[0]


async def remove(store: Store, conversation: Conversation, *clients: str) -> MembersChanged:
    results: list[MembersChanged] = []
    await store.conversations.remove_members(conversation, clients, results.append)
    return results[0]


async def test_a_conversation_is_kept_as_it_was_started(store: Store, wall: Wall) -> None:
    attr, columns = {"深": [1, None, {"x": True}]}, {"colour": "red", "big": 2**60}
    row, existing = await create(store, "bob", "ann", name="名", attr=attr, columns=columns)
    assert not existing
    assert (row.creator, row.members, row.name, row.attr, row.columns) == ("bob", ("ann", "bob"), "名", attr, columns)
    assert (row.kind, row.unique_id, row.muted, row.last_message_at) == (ConversationKind.NORMAL, None, False, None)
    assert (row.created_at, row.updated_at) == (wall.at, wall.at)
    conversation = await load(store, row.id)
    assert (conversation.version, conversation.members) == (1, {"ann", "bob"})


async def test_what_is_not_there(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    assert await store.conversations.load(APP, "absent") is None
    assert await store.conversations.load(APP + 1, conversation.id) is None


@pytest.mark.parametrize("app", [APP, 2**31])
async def test_many_are_loaded_at_once(store: Store, app: int) -> None:
    names = ["ann", 'quo"te', "nul\0nul", "back\\slash", "雁🪿", "\u2028", "", "x" * 64]
    groups = [names[: 1 + number % len(names)] for number in range(BATCH_MAX + 9)]
    ids = [(await create(store, *group, app=app))[0].id for group in groups]
    asked = [each for one in ids for each in ((app, one), (app, "absent"), (app + 1, one), (app, one))]
    found = await asyncio.gather(*(store.conversations.load(*each) for each in asked))
    for same in (found[0::4], found[3::4]):
        assert [(each.app_key, each.id, each.members, each.creator) for each in same if each is not None] == [
            (app, one, set(group), "ann") for one, group in zip(ids, groups, strict=True)
        ]
    assert found[1::4] == found[2::4] == [None] * len(ids)


async def test_ids_are_not_repeated(store: Store) -> None:
    ids = {(await create(store, "ann", "bob"))[0].id for _ in range(50)}
    assert len(ids) == 50
    assert all(len(each) == 24 and set(each) <= set("0123456789abcdef") for each in ids)


async def test_a_unique_conversation_is_found_by_its_members(store: Store) -> None:
    first, existing = await create(store, "ann", "bob", "cem", unique=True)
    again, found = await create(store, "cem", "bob", "ann", unique=True, name="another name")
    assert (existing, found) == (False, True)
    assert (again.id, again.creator, again.name) == (first.id, "ann", None)
    assert first.unique_id == unique_key(["ann", "bob", "cem"]) == "0955fead808564ede1d7382e359fa453"


async def test_a_unique_conversation_is_not_found_by_others(store: Store) -> None:
    first, _ = await create(store, "ann", "bob", unique=True)
    others = [
        await create(store, "ann", "bob", "cem", unique=True),
        await create(store, "ann", unique=True),
        await create(store, "ann", "bob"),
        await create(store, "ann", "bob", app=APP + 1, unique=True),
    ]
    assert [existing for _, existing in others] == [False] * 4
    assert len({first.id, *(row.id for row, _ in others)}) == 5


async def test_one_that_is_not_unique_is_never_found(store: Store) -> None:
    await create(store, "ann", "bob")
    _, existing = await create(store, "ann", "bob", unique=True)
    assert not existing


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a", "b", "c"), ("ab", "c")),
        (("1", "1112"), ("111", "12")),
        (("x", "xx"), ("xxx",)),
    ],
)
async def test_members_that_share_a_key_do_not_share_a_conversation(
    store: Store, ours: Sequence[str], theirs: Sequence[str]
) -> None:
    """The key has no separator between the members, as the protocol wants it."""
    assert unique_key(ours) == unique_key(theirs)
    first, _ = await create(store, *ours, unique=True)
    other, existing = await create(store, *theirs, unique=True)
    assert not existing
    assert (await create(store, *reversed(ours), unique=True))[0].id == first.id
    assert (await create(store, *reversed(theirs), unique=True))[0].id == other.id


async def test_a_unique_conversation_whose_members_changed(store: Store) -> None:
    """Only those whose members are now exactly these are found."""
    row, _ = await create(store, "ann", "bob", unique=True)
    conversation = await load(store, row.id)
    await add(store, conversation, "cem")
    second, existing = await create(store, "ann", "bob", unique=True)
    assert not existing
    await remove(store, conversation, "cem")
    await send(store, await load(store, second.id), "ann")
    assert (await create(store, "ann", "bob", unique=True))[0].id == second.id


async def test_the_unique_conversation_last_talked_in_is_found(store: Store, wall: Wall) -> None:
    row, _ = await create(store, "ann", "bob", unique=True)
    conversation = await load(store, row.id)
    await add(store, conversation, "cem")
    second, _ = await create(store, "ann", "bob", unique=True)
    await remove(store, conversation, "cem")
    for each in (row, second, row):
        wall.at += 10
        await send(store, await load(store, each.id), "ann")
        assert (await create(store, "ann", "bob", unique=True))[0].id == each.id


async def test_two_at_once_start_one_unique_conversation(store: Store) -> None:
    async with held(store):
        starting = [asyncio.ensure_future(create(store, "ann", "bob", unique=True)) for _ in range(3)]
        await asyncio.sleep(0)  # they have asked
    results = await asyncio.gather(*starting)
    assert len({row.id for row, _ in results}) == 1
    assert [existing for _, existing in results] == [False, True, True]


async def test_adding_and_removing(store: Store, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob")
    wall.at += 100
    added = await add(store, conversation, "cem", "bob", "dan")
    assert added == MembersChanged(("cem", "dan"), 2, NOON + 100)
    removed = await remove(store, conversation, "ann", "eve", "dan")
    assert removed == MembersChanged(("ann", "dan"), 3, NOON + 101)
    now = await load(store, conversation.id)
    assert (now.version, now.members) == (3, {"bob", "cem"})
    row, _ = await create(store, "bob", "cem", unique=True)
    assert row.id != conversation.id


async def test_what_changes_nothing_moves_nothing(store: Store, wall: Wall, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    wall.at += 100
    assert await add(store, conversation, "bob", "ann") == MembersChanged((), 1, NOON)
    assert await remove(store, conversation, "eve") == MembersChanged((), 1, NOON)
    assert await add(store, conversation) == MembersChanged((), 1, NOON)
    assert rows(path, "SELECT version, updated_at, member_count FROM conversation") == [(1, NOON, 2)]


@pytest.mark.parametrize("back", [0, 1, 3_600_000])
async def test_update_times_increase_strictly(store: Store, wall: Wall, back: int) -> None:
    conversation = await start(store, "ann", "bob")
    times = []
    for _ in range(3):
        times.append((await add(store, conversation, "cem")).updated_at)
        wall.at -= back
        times.append((await remove(store, conversation, "cem")).updated_at)
    assert times == [NOON + n for n in range(1, 7)]


async def test_too_many_members_are_refused_whole(store: Store, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    await add(store, conversation, "cem", limit=3)
    with pytest.raises(Refused) as refusal:
        await add(store, conversation, "ann", "dan", limit=3)
    assert refusal.value.kind is errors.CONVERSATION_FULL
    assert refusal.value.detail == "a conversation has at most 3 members"
    assert (await load(store, conversation.id)).members == {"ann", "bob", "cem"}
    assert rows(path, "SELECT version, member_count FROM conversation") == [(2, 3)]


async def test_members_already_there_are_welcome_in_a_full_conversation(store: Store) -> None:
    conversation = await start(store, "ann", "bob", "cem")
    assert (await add(store, conversation, "ann", "bob", limit=2)).changed == ()
    assert (await remove(store, conversation, "ann")).changed == ("ann",)


async def test_very_many_members_at_once(store: Store, path: Path) -> None:
    conversation = await start(store, "ann")
    many = [f"client{n}" for n in range(2_345)]
    assert (await add(store, conversation, *many, limit=5_000)).changed == tuple(many)
    assert (await add(store, conversation, *many, "bob", limit=5_000)).changed == ("bob",)
    assert (await remove(store, conversation, *many)).changed == tuple(many)
    assert (await load(store, conversation.id)).members == {"ann", "bob"}
    assert rows(path, "SELECT member_count FROM conversation") == [(2,)]


async def test_changes_asked_for_at_once_happen_one_after_another(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    told: list[MembersChanged] = []
    async with held(store):
        changing = [
            store.conversations.add_members(conversation, ["cem"], LIMIT, told.append),
            store.conversations.add_members(conversation, ["cem", "dan"], LIMIT, told.append),
            store.conversations.remove_members(conversation, ["cem"], told.append),
            store.conversations.remove_members(conversation, ["cem"], told.append),
        ]
    await asyncio.gather(*changing)
    assert [(change.changed, change.version) for change in told] == [
        (("cem",), 2),
        (("dan",), 3),
        (("cem",), 4),
        ((), 4),
    ]


async def test_commits_are_told_in_their_order(store: Store) -> None:
    """Messages, changes and read marks alike; so caches and announcements can follow them."""
    conversation = await start(store, "ann", "bob")
    told: list[str] = []
    async with held(store):
        store.messages.append(conversation, "ann", Draft("hello"), lambda _: told.append("sent"))
        doing = [
            store.conversations.add_members(conversation, ["cem"], LIMIT, lambda _: told.append("added")),
            store.messages.mark_read(conversation, "bob", None, lambda *_: told.append("read")),
        ]
        store.messages.append(conversation, "ann", Draft("hello"), lambda _: told.append("sent"))
        doing.append(store.conversations.remove_members(conversation, ["cem"], lambda _: told.append("removed")))
    await asyncio.gather(*doing)
    assert told == ["sent", "added", "read", "sent", "removed"]
