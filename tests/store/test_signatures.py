"""Signatures that were used."""

import asyncio
from pathlib import Path

from hongyan.store import Store
from tests.store.conftest import OpenStore
from tests.store.steps import NOON, Wall, kind, rows, traced


async def test_a_signature_is_used_once_also_over_a_restart(open_store: OpenStore) -> None:
    store = open_store()
    assert await store.signatures.use(b"a", NOON + 1) is True
    assert await store.signatures.use(b"a", NOON + 2) is False
    await store.close()
    store = open_store()
    assert await store.signatures.use(b"a", NOON + 1) is False
    assert await store.signatures.use(b"b", NOON + 1) is True


async def test_of_many_at_once_one_is_the_first(store: Store) -> None:
    used = await asyncio.gather(*(store.signatures.use(b"a", NOON) for _ in range(50)))
    assert sorted(used) == [False] * 49 + [True]


async def test_expired_ones_are_forgotten_in_small_steps(store: Store, wall: Wall, path: Path) -> None:
    await asyncio.gather(*(store.signatures.use(b"%d" % number, NOON + number) for number in range(1_200)))
    statements = await traced(store)
    wall.at += 1_199
    await store.prune()
    assert [kind(statement) for statement in statements].count("DELETE used_signature") == 3
    assert rows(path, "SELECT digest FROM used_signature") == [(b"1199",)]
