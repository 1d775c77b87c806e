"""Roles: who may give them, what they change for removing and adding, and that races decide inside the write."""

import asyncio
import dataclasses
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine.conversations import Members
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MembersLeft, RoleChanged
from hongyan.engine.values import NO_STANDING, App, ConversationKind, Failure, MemberInfo, Role
from hongyan.errors import Kind, Refused
from hongyan.store import Store
from tests.engine.test_conversations import add, members, remove, start
from tests.store.steps import NOON, held, load, on_driver


async def give(engine: Engine, app: App, by: str | None, conversation: str, client: str, role: str) -> MemberInfo:
    replies: list[MemberInfo] = []
    await engine.roles.give(app, by, conversation, client, role, lambda info, _: replies.append(info))
    return replies[0]


async def roles(engine: Engine, app: App, conversation: str, asker: str | None = None) -> dict[str, Role]:
    return {info.client: info.role for info in await engine.roles.page(app, asker, conversation, 100, 0)}


async def refused(kind: Kind, work: Any) -> None:
    with pytest.raises(Refused) as refusal:
        await work
    assert refusal.value.kind is kind


def settings(app: App, **changes: Any) -> None:
    app.settings = dataclasses.replace(app.settings, **changes)


@pytest.fixture
async def group(engine: Engine, app: App) -> str:
    """A conversation that ann made, with a manager, max, and plain members."""
    row = await start(engine, app, "ann", "max", "bob", "eve")
    await give(engine, app, "ann", row.id, "max", "Manager")
    return row.id


async def test_a_role_is_given_and_told(engine: Engine, app: App, store: Store, events: list[Event]) -> None:
    row = await start(engine, app, "ann", "bob")
    info = await give(engine, app, "ann", row.id, "bob", "Manager")
    assert (info.client, info.role, len(info.id)) == ("bob", Role.MANAGER, 24)
    conversation = await engine.access.conversation(app, row.id)
    event = events[-1]
    assert event == RoleChanged(conversation, info, "ann", NOON + 1)
    assert await engine.roles.page(app, "bob", row.id, 10, 0) == [info]
    assert (await load(store, row.id, app.key)).standings == conversation.standings


async def test_a_role_keeps_its_id_and_the_same_again_tells_nobody(
    engine: Engine, app: App, group: str, events: list[Event]
) -> None:
    first = await give(engine, app, "ann", group, "bob", "Manager")
    told = len(events)
    assert await give(engine, app, "ann", group, "bob", "Manager") == first
    assert len(events) == told
    assert (await give(engine, app, "ann", group, "bob", "Member")).id == first.id
    assert await roles(engine, app, group) == {"bob": Role.MEMBER, "max": Role.MANAGER}


@pytest.mark.parametrize(
    ("by", "client", "role", "kind"),
    [
        ("bob", "bob", "Manager", errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("bob", "eve", "Manager", errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("bob", "max", "Member", errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("max", "max", "Member", errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("max", "ann", "Member", errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("ann", "ann", "Manager", errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("ann", "bob", "Owner", errors.CONVERSATION_OPERATION_UNAUTHORIZED),
        ("ann", "bob", "manager", errors.UNKNOWN_CONVERSATION_ROLE),
        ("ann", "bob", "", errors.UNKNOWN_CONVERSATION_ROLE),
        ("ann", "stranger", "Manager", errors.CONVERSATION_MEMBERSHIP_REQUIRED),
        ("stranger", "bob", "Manager", errors.CONVERSATION_MEMBERSHIP_REQUIRED),
        ("ann", "", "Manager", errors.CONVERSATION_API_FAILED),
        ("ann", "x" * 65, "Manager", errors.CONVERSATION_API_FAILED),
        (None, "ann", "Member", errors.CONVERSATION_NEED_OWNER),
    ],
)
async def test_roles_that_are_not_given(
    engine: Engine, app: App, group: str, events: list[Event], by: str | None, client: str, role: str, kind: Kind
) -> None:
    told = len(events)
    await refused(kind, give(engine, app, by, group, client, role))
    assert len(events) == told
    assert await roles(engine, app, group) == {"max": Role.MANAGER}


async def test_a_manager_makes_managers_but_none_below_itself_undoes_it(engine: Engine, app: App, group: str) -> None:
    await give(engine, app, "max", group, "bob", "Manager")
    await refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, give(engine, app, "bob", group, "max", "Member"))
    await give(engine, app, "ann", group, "max", "Member")
    await refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, give(engine, app, "max", group, "eve", "Manager"))


async def test_managers_are_limited_inferred(engine: Engine, app: App, group: str) -> None:
    settings(app, managers_max=2)
    await give(engine, app, "ann", group, "bob", "Manager")
    await refused(errors.CONVERSATION_MEMBER_IN_ROLE_FULL, give(engine, app, "ann", group, "eve", "Manager"))
    await give(engine, app, "ann", group, "bob", "Manager")
    await give(engine, app, "ann", group, "bob", "Member")
    await give(engine, app, "ann", group, "eve", "Manager")


async def test_roles_off(engine: Engine, app: App, group: str) -> None:
    """Nothing is given, and what was given before counts for nothing."""
    settings(app, roles=False)
    await refused(errors.CONVERSATION_MEMBER_INFO_FEATURE_DISABLED, give(engine, app, "ann", group, "bob", "Manager"))
    await refused(errors.CONVERSATION_MEMBER_INFO_FEATURE_DISABLED, give(engine, app, "ann", "none", "bob", "x"))
    await remove(engine, app, "bob", group, "ann")
    assert "ann" not in await members(engine, app, group)


@pytest.mark.parametrize("kind", [ConversationKind.CHATROOM, ConversationKind.SERVICE, ConversationKind.TEMPORARY])
async def test_other_kinds_have_no_roles_for_clients_inferred(
    engine: Engine, app: App, store: Store, kind: ConversationKind
) -> None:
    row = await start(engine, app, "ann", "bob")
    await on_driver(store, lambda driver: driver.execute("UPDATE conversation SET kind = ?", (int(kind),)))
    engine.access._cache.clear()
    await refused(errors.NORMAL_CONVERSATION_REQUIRED, give(engine, app, "ann", row.id, "bob", "Manager"))


async def test_only_members_see_roles_inferred(engine: Engine, app: App, group: str) -> None:
    assert await roles(engine, app, group, "bob") == {"max": Role.MANAGER}
    await refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, roles(engine, app, group, "stranger"))
    await refused(errors.CONVERSATION_NOT_FOUND, roles(engine, app, "none", "bob"))


async def test_unknown_conversation(engine: Engine, app: App) -> None:
    await refused(errors.CONVERSATION_NOT_FOUND, give(engine, app, "ann", "none", "bob", "Manager"))


# removing


async def test_without_roles_everybody_removes_everybody_inferred(engine: Engine, app: App) -> None:
    row = await start(engine, app, "ann", "bob", "eve")
    await remove(engine, app, "bob", row.id, "ann", "eve")
    await add(engine, app, "ann", row.id, "ann")
    await remove(engine, app, "ann", row.id, "ann")
    assert await members(engine, app, row.id) == {"bob"}


@pytest.mark.parametrize(
    ("by", "clients"), [("bob", ["eve"]), ("bob", ["bob", "eve"]), ("bob", ["ann"]), ("max", ["eve", "moe"])]
)
async def test_only_who_ranks_above_removes(engine: Engine, app: App, group: str, by: str, clients: list[str]) -> None:
    await add(engine, app, "ann", group, "moe")
    await give(engine, app, "ann", group, "moe", "Manager")
    await refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, remove(engine, app, by, group, *clients))
    assert await members(engine, app, group) == {"ann", "max", "bob", "eve", "moe"}


async def test_managers_remove_members_and_everybody_quits(engine: Engine, app: App, group: str) -> None:
    await remove(engine, app, "max", group, "eve", "stranger")
    await remove(engine, app, "bob", group, "bob")
    await remove(engine, app, "max", group, "max")
    assert await members(engine, app, group) == {"ann"}


async def test_the_owner_stays_while_others_go(engine: Engine, app: App, group: str, events: list[Event]) -> None:
    conversation = await engine.access.conversation(app, group)
    owner = (Failure(errors.CONVERSATION_NEED_OWNER, ("ann",)),)
    answer = await remove(engine, app, "max", group, "bob", "ann")
    assert answer == Members(group, ("bob",), answer.updated_at, owner)
    assert events[-1] == MembersLeft(conversation, ("bob",), "max", answer.updated_at)
    answer = await remove(engine, app, "ann", group, "ann", "eve")
    assert (answer.allowed, answer.failed) == (("eve",), owner)
    assert await members(engine, app, group) == {"ann", "max"}


async def test_the_owner_does_not_quit_inferred(engine: Engine, app: App, group: str) -> None:
    await refused(errors.CONVERSATION_NEED_OWNER, remove(engine, app, "ann", group, "ann"))
    await remove(engine, app, "max", group, "max")  # a role was given, and the owner stays bound by it
    await refused(errors.CONVERSATION_NEED_OWNER, remove(engine, app, "ann", group, "ann"))
    await refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, remove(engine, app, "bob", group, "ann"))


async def test_without_partial_results_one_failure_is_all_inferred(
    engine: Engine, app: App, group: str, events: list[Event]
) -> None:
    told = len(events)
    work = engine.conversations.remove(app, "max", group, ["bob", "ann"], events.append, partial=False)  # type: ignore[arg-type]
    await refused(errors.CONVERSATION_NEED_OWNER, work)
    assert len(events) == told
    assert "bob" in await members(engine, app, group)


async def test_who_leaves_loses_its_role_for_good(engine: Engine, app: App, group: str, store: Store) -> None:
    """In memory and on disk; to come back does not bring it back."""
    await remove(engine, app, "max", group, "max")
    await add(engine, app, "bob", group, "max")
    conversation = await engine.access.conversation(app, group)
    assert conversation.standings.get("max", NO_STANDING) == NO_STANDING
    assert (await load(store, group, app.key)).standings == conversation.standings
    assert await roles(engine, app, group) == {}
    await refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, remove(engine, app, "max", group, "eve"))


# adding


async def test_members_add_unless_the_app_says_no(engine: Engine, app: App, group: str) -> None:
    await add(engine, app, "bob", group, "one")
    settings(app, members_may_add=False)
    await refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, add(engine, app, "bob", group, "two"))
    await add(engine, app, "max", group, "two")
    await add(engine, app, "three", group, "three")
    row = await start(engine, app, "ann", "bob")  # no roles were given here
    await add(engine, app, "bob", row.id, "two")
    assert await members(engine, app, group) == {"ann", "max", "bob", "eve", "one", "two", "three"}


# races


async def test_a_request_of_a_manager_who_was_demoted_meanwhile_fails(
    engine: Engine, app: App, group: str, store: Store
) -> None:
    settings(app, members_may_add=False)
    async with held(store):
        demoting = asyncio.ensure_future(give(engine, app, "ann", group, "max", "Member"))
        await asyncio.sleep(0)
        asked = [
            asyncio.ensure_future(work)
            for work in (
                remove(engine, app, "max", group, "bob"),
                add(engine, app, "max", group, "one"),
                give(engine, app, "max", group, "eve", "Manager"),
            )
        ]
        await asyncio.sleep(0)
    await demoting
    for each in asked:
        await refused(errors.CONVERSATION_OPERATION_UNAUTHORIZED, each)
    assert await members(engine, app, group) == {"ann", "max", "bob", "eve"}


async def test_a_member_who_was_removed_meanwhile_gets_no_role(
    engine: Engine, app: App, group: str, store: Store
) -> None:
    async with held(store):
        removing = asyncio.ensure_future(remove(engine, app, "max", group, "bob"))
        await asyncio.sleep(0)
        giving = asyncio.ensure_future(give(engine, app, "ann", group, "bob", "Manager"))
        await asyncio.sleep(0)
    await removing
    await refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, giving)


async def test_of_two_who_take_the_last_place_one_gets_it(engine: Engine, app: App, group: str, store: Store) -> None:
    settings(app, managers_max=2)
    async with held(store):
        both = [asyncio.ensure_future(give(engine, app, "ann", group, client, "Manager")) for client in ("bob", "eve")]
        await asyncio.sleep(0)
    await both[0]
    await refused(errors.CONVERSATION_MEMBER_IN_ROLE_FULL, both[1])


# the system


async def test_the_system_gives_and_takes_whatever_is_off(
    engine: Engine, app: App, group: str, events: list[Event]
) -> None:
    settings(app, roles=False)
    info = await give(engine, app, None, group, "bob", "Owner")
    assert isinstance(events[-1], RoleChanged)
    assert (events[-1].info, events[-1].by) == (info, "")
    taken: list[MemberInfo] = []
    await engine.roles.take(app, group, info.id, lambda now, _: taken.append(now))
    assert taken == [MemberInfo("", "bob", Role.MEMBER)]
    assert events[-1].info == taken[0]
    await refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, engine.roles.take(app, group, info.id, lambda *_: None))
    assert await roles(engine, app, group) == {"max": Role.MANAGER}


async def test_the_creator_stays_the_owner(engine: Engine, app: App, group: str) -> None:
    info = await give(engine, app, None, group, "ann", "Owner")
    await engine.roles.take(app, group, info.id, lambda *_: None)
    assert await roles(engine, app, group) == {"max": Role.MANAGER}
    await refused(errors.CONVERSATION_NEED_OWNER, remove(engine, app, "ann", group, "ann"))
