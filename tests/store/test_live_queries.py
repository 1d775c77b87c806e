"""What live queries read of the store."""

from typing import Any

import pytest

from hongyan.engine import conditions
from hongyan.store import Store
from tests.store.steps import APP, create, load
from tests.store.test_services import service, subscribe


def prepared(store: Store, where: str, caller: str = "") -> Any:
    condition = conditions.parse(where)
    assert condition is not None
    return store.live_queries.prepare(APP, caller, condition)


async def matching(store: Store, where: str, member: str | None = None, limit: int = 100) -> list[int]:
    return sorted(await store.live_queries.matching(APP, member, prepared(store, where, member or ""), limit))


async def keys(store: Store, *ids: str) -> list[int]:
    return sorted([(await load(store, id)).key for id in ids])


async def test_conversations_that_match_are_found_among_those_of_a_member(store: Store) -> None:
    both, _ = await create(store, "tom", "jerry", columns={"rank": 1})
    toms, _ = await create(store, "tom", columns={"rank": 1})
    await create(store, "tom", columns={"rank": 2})
    await create(store, "tom", "jerry", app=2, columns={"rank": 1})
    where = '{"rank": 1}'
    assert await matching(store, where) == await keys(store, both.id, toms.id)
    assert await matching(store, where, "tom") == await keys(store, both.id, toms.id)
    assert await matching(store, where, "jerry") == await keys(store, both.id)
    assert await matching(store, where, "spike") == []
    assert len(await matching(store, where, limit=1)) == 1


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ('{"rank": 1}', True),
        ('{"rank": 2}', False),
        ('{"m": "tom", "name": {"$regex": "^fri"}}', True),
        ('{"m": "spike"}', False),
        ('{"mu": "tom"}', True),
        ('{"mu": "jerry"}', False),
        ('{"attr.tags": {"$in": ["a", "z"]}}', True),
        ('{"$or": [{"rank": 5}, {"none": {"$exists": false}}]}', True),
    ],
)
async def test_one_conversation_is_tried(store: Store, where: str, expected: bool) -> None:
    row, _ = await create(store, "tom", "jerry", name="friends", attr={"tags": ["a"]}, columns={"rank": 1})
    conversation = await load(store, row.id)
    for client in ("tom", "jerry"):
        await store.info.mute(conversation, client, True, lambda *_: None)
    condition = prepared(store, where, "tom")
    assert await store.live_queries.matches(conversation.key, None, [condition, condition]) == [expected] * 2
    assert await store.live_queries.matches(conversation.key, None, []) == []
    assert await store.live_queries.matches(conversation.key + 1, None, [condition]) == [False]


async def test_a_conversation_that_was_changed_since_is_not_tried(store: Store) -> None:
    row, _ = await create(store, "tom", columns={"rank": 1})
    conversation, condition = await load(store, row.id), [prepared(store, '{"rank": 1}')]
    assert await store.live_queries.matches(conversation.key, row.updated_at, condition) == [True]
    await store.info.mute(conversation, "tom", True, lambda *_: None)
    assert await store.live_queries.matches(conversation.key, row.updated_at, condition) is None
    assert await store.live_queries.matches(conversation.key, None, condition) == [True]


async def test_one_conversation_is_looked_at(store: Store) -> None:
    row, _ = await create(store, "tom", "jerry", name="friends")
    conversation = await load(store, row.id)
    await store.info.mute(conversation, "jerry", True, lambda *_: None)
    seen = await store.live_queries.look(APP, conversation.key, [])
    assert seen is not None
    assert (seen.row.id, seen.row.name, set(seen.row.members)) == (row.id, "friends", {"tom", "jerry"})
    assert (seen.row.muted, seen.muted_by) == (False, {"jerry"})
    assert await store.live_queries.look(APP + 1, conversation.key, []) is None
    assert await store.live_queries.look(APP, conversation.key + 1, []) is None


@pytest.mark.parametrize("hidden", ["kind = 4", "parent = 1"])
async def test_temporary_ones_and_streams_are_not_seen(store: Store, hidden: str) -> None:
    row, _ = await create(store, "tom", columns={"rank": 1})
    key = (await load(store, row.id)).key
    await store.writer.call(
        lambda bound: bound.exec_driver_sql(f"UPDATE conversation SET {hidden} WHERE key = ?", (key,))
    )
    assert await matching(store, '{"rank": 1}') == []
    assert await store.live_queries.look(APP, key, []) is None


async def test_of_subscribers_only_those_are_read_that_are_asked_for(store: Store) -> None:
    conversation = await service(store)
    for client in ("ann", "bob", "cem"):
        await subscribe(store, conversation, client)
    seen = await store.live_queries.look(APP, conversation.key, ["bob", "dan"])
    assert seen is not None
    assert (seen.row.members, seen.muted_by) == (("bob",), frozenset())
