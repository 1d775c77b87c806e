"""Voided session tokens."""

import asyncio
from pathlib import Path

from hongyan.store import Store
from tests.store.conftest import OpenStore
from tests.store.steps import NOON, Wall, kind, rows, traced


async def test_voided_tokens_are_known_over_a_restart_soonest_to_expire_first(open_store: OpenStore) -> None:
    store = open_store()
    for name, expires_at in (("late", 300), ("soon", 100), ("middle", 200)):
        await store.tokens.revoke(name, NOON + expires_at)
    await store.close()
    revoked = await open_store().tokens.revoked()
    assert list(revoked.items()) == [("soon", NOON + 100), ("middle", NOON + 200), ("late", NOON + 300)]


async def test_a_token_may_be_voided_twice(store: Store) -> None:
    await store.tokens.revoke("token", NOON)
    await store.tokens.revoke("token", NOON + 5)
    assert list(await store.tokens.revoked()) == ["token"]


async def test_expired_ones_are_forgotten(store: Store, wall: Wall, path: Path) -> None:
    for name, expires_at in (("gone", NOON + 99), ("last", NOON + 100), ("kept", NOON + 101)):
        await store.tokens.revoke(name, expires_at)
    wall.at += 100
    await store.prune()
    assert rows(path, "SELECT id FROM revoked_token ORDER BY expires_at") == [("last",), ("kept",)]


async def test_they_are_forgotten_in_small_steps(store: Store, wall: Wall, path: Path) -> None:
    await asyncio.gather(*(store.tokens.revoke(f"token{n}", NOON + n) for n in range(1_200)))
    statements = await traced(store)
    wall.at += 1_199
    await store.prune()
    assert [kind(statement) for statement in statements].count("DELETE revoked_token") == 3
    assert rows(path, "SELECT id FROM revoked_token") == [("token1199",)]
