"""That clients joined or left is kept with the change itself, for a while."""

from pathlib import Path

import pytest

from hongyan import errors
from hongyan.engine.values import Conversation, Notification
from hongyan.errors import Refused
from hongyan.store import Store
from hongyan.store.store import NOTIFICATION_WINDOW
from tests.store.conftest import OpenStore
from tests.store.steps import APP, NOON, Wall, batches, create, load, rows, start, traced

ALL = 1_000
COUNT = "SELECT count(*) FROM notification"


async def kept(store: Store, client: str, after: int = 0, limit: int = ALL) -> list[Notification]:
    return await store.notifications.page(APP, client, after, limit)


async def add(store: Store, conversation: Conversation, *clients: str, limit: int = 500, by: str | None = None) -> None:
    await store.conversations.add_members(conversation, clients, limit, lambda _: None, by, "boss")


async def remove(store: Store, conversation: Conversation, *clients: str) -> None:
    await store.conversations.remove_members(conversation, clients, lambda _: None, None, "boss")


async def test_each_client_is_told_what_became_of_it(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await add(store, conversation, "bob", "cem")
    await remove(store, conversation, "bob", "dan")
    joined = Notification("joined", conversation.id, "ann", NOON)
    assert await kept(store, "ann") == [joined]
    assert await kept(store, "bob") == [joined, Notification("left", conversation.id, "boss", NOON + 2)]
    assert await kept(store, "cem") == [Notification("joined", conversation.id, "boss", NOON + 1)]
    assert await kept(store, "dan") == []
    assert await store.notifications.page(APP + 1, "ann", 0, ALL) == []


async def test_what_changed_nothing_is_not_told(store: Store) -> None:
    row, _ = await create(store, "ann", "bob", unique=True)
    await create(store, "ann", "bob", unique=True)
    conversation = await load(store, row.id)
    with pytest.raises(Refused) as full:
        await add(store, conversation, "cem", limit=2)
    with pytest.raises(Refused) as stranger:
        await add(store, conversation, "cem", by="eve")
    assert (full.value.kind, stranger.value.kind) == (
        errors.CONVERSATION_FULL,
        errors.CONVERSATION_MEMBERSHIP_REQUIRED,
    )
    assert await kept(store, "cem") == []
    assert [notification.op for notification in await kept(store, "bob")] == ["joined"]


async def test_pages_in_order_of_time(store: Store, wall: Wall) -> None:
    for _ in range(5):
        wall.at += 10
        await start(store, "bob", "ann")
    times = [notification.at for notification in await kept(store, "ann")]
    assert times == [NOON + 10, NOON + 20, NOON + 30, NOON + 40, NOON + 50]
    assert [each.at for each in await kept(store, "ann", NOON + 20, 2)] == [NOON + 30, NOON + 40]
    assert await kept(store, "ann", NOON + 50) == []


async def test_members_are_members_from_the_time_that_is_told(store: Store, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    await add(store, conversation, "cem")
    assert rows(path, "SELECT client, joined_at FROM member ORDER BY client") == [
        ("ann", NOON),
        ("bob", NOON),
        ("cem", NOON + 1),
    ]
    assert await store.notifications.memberships(APP, "cem", ALL) == [(conversation.key, NOON + 1)]
    assert await store.notifications.memberships(APP + 1, "cem", ALL) == []
    await start(store, "cem")
    assert len(await store.notifications.memberships(APP, "cem", 1)) == 1


async def test_they_survive_a_restart_and_are_forgotten_in_time_inferred(
    open_store: OpenStore, path: Path, wall: Wall
) -> None:
    store = open_store()
    await start(store, "ann", "bob")
    await store.close()
    store = open_store()
    wall.at += NOTIFICATION_WINDOW
    await store.prune()
    assert len(await kept(store, "ann")) == 1
    wall.at += 1
    await store.prune()
    assert rows(path, COUNT) == [(0,)]


async def test_any_number_is_written_at_once_and_forgotten_in_small_steps(store: Store, path: Path, wall: Wall) -> None:
    statements = await traced(store)
    await start(store, *(f"client{number}" for number in range(1_200)))
    (batch,) = batches(statements)
    assert batch.count("INSERT notification") < 20
    assert rows(path, COUNT) == [(1_200,)]
    wall.at += NOTIFICATION_WINDOW + 1
    statements.clear()
    await store.prune()
    assert rows(path, COUNT) == [(0,)]
    deletes = [batch[2] for batch in batches(statements) if "DELETE notification" in batch]
    assert deletes == ["DELETE notification"] * 3
