"""Who has what in a conversation, page by page; and what who leaves loses."""

from pathlib import Path

from hongyan.engine.values import FOREVER, Conversation, Decision, MemberInfo, Role, Standing, StandingsNow
from hongyan.store import Store
from tests.store.steps import NOON, Wall, load, rows, start
from tests.store.test_standings import SILENCED, change

ID = "5f000000000000000000000"


async def silenced(store: Store, conversation: Conversation, limit: int = 10, skip: int = 0) -> list[str]:
    return await store.standing_lists.silenced(conversation, NOON, limit, skip, for_ever=False)


async def test_the_silenced_in_order(store: Store) -> None:
    conversation, other = await start(store, "ann"), await start(store, "ann")
    await change(store, other, {"zoe": SILENCED})
    until = {"eve": NOON + 1, "bob": FOREVER, "cem": NOON, "dan": FOREVER}
    await change(store, conversation, {client: Standing(silenced_until=at) for client, at in until.items()})
    assert await silenced(store, conversation) == ["bob", "dan", "eve"]
    assert await silenced(store, conversation, limit=1, skip=1) == ["dan"]
    assert await silenced(store, conversation, skip=3) == []
    assert await store.standing_lists.silenced(conversation, NOON, 10, 0, for_ever=True) == ["bob", "dan"]


async def test_roles_in_order(store: Store) -> None:
    conversation = await start(store, "ann", "bob", "cem")
    given = {"cem": Standing(Role.MANAGER, f"{ID}1"), "bob": Standing(Role.MEMBER, f"{ID}2")}
    await change(store, conversation, {"ann": Standing(Role.OWNER), **given})
    bob, cem = MemberInfo(f"{ID}2", "bob", Role.MEMBER), MemberInfo(f"{ID}1", "cem", Role.MANAGER)
    roles = store.standing_lists.roles
    assert await roles(conversation, 10, 0, None, None) == [bob, cem]
    assert await roles(conversation, 1, 1, None, None) == [cem]
    assert await roles(conversation, 10, 0, Role.MEMBER, None) == [bob]
    assert await roles(conversation, 10, 0, None, "cem") == [cem]
    assert await roles(conversation, 10, 0, Role.MEMBER, "cem") == []


async def test_who_leaves_loses_its_role_and_nothing_else(store: Store) -> None:
    conversation = await start(store, "ann", "bob", "cem", "dan")
    given = {
        "ann": Standing(Role.OWNER),
        "bob": Standing(Role.MANAGER, f"{ID}1", FOREVER),
        "cem": Standing(Role.MANAGER, f"{ID}2"),
        "dan": Standing(Role.MANAGER, f"{ID}3"),
    }
    await change(store, conversation, given)
    await store.conversations.remove_members(conversation, ["ann", "bob", "cem"], lambda result: None)
    kept = {"ann": given["ann"], "bob": SILENCED, "dan": given["dan"]}
    assert (await load(store, conversation.id)).standings == kept
    # also when it is a decision on standings that removes it
    await change(store, conversation, {"dan": given["dan"]._replace(blocked_at=NOON)}, removed=("dan",))
    assert (await load(store, conversation.id)).standings["dan"] == Standing(blocked_at=NOON)


async def test_rows_with_nothing_in_them_are_deleted(store: Store, path: Path, wall: Wall) -> None:
    conversation = await start(store, "ann", "bob")
    await change(store, conversation, {f"c{n}": Standing(silenced_until=NOON + 1) for n in range(3)})
    wall.at += 10
    await change(store, conversation, {"bob": SILENCED})
    assert rows(path, "SELECT client FROM standing") == [("bob",)]


async def test_managers_are_counted(store: Store) -> None:
    conversation = await start(store, "ann", "bob", "cem", "dan")
    given = {
        "ann": Standing(Role.OWNER),
        "bob": Standing(Role.MANAGER, f"{ID}1"),
        "cem": Standing(Role.OWNER, f"{ID}2"),
        "dan": Standing(Role.MEMBER, f"{ID}3"),
    }
    await change(store, conversation, given)
    seen: list[StandingsNow] = []

    def decide(now: StandingsNow) -> Decision:
        seen.append(now)
        return Decision({})

    await store.standings.change(conversation, ["bob"], decide, lambda result: None)
    assert seen[0].managers == 2
