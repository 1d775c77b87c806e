"""Word lists in the database."""

from tests.store.conftest import OpenStore
from tests.store.steps import NOON


async def test_lists_are_kept_over_a_restart_each_for_its_app(open_store: OpenStore) -> None:
    store = open_store()
    await store.words.replace(1, ["坏蛋", "bad", 'a "quote"'], NOON)
    await store.words.replace(2, ["other"], NOON)
    await store.words.replace(1, ["坏", 'a "quote"'], NOON + 1)
    await store.close()
    reopened = open_store()
    assert await reopened.words.all() == {1: ["坏", 'a "quote"'], 2: ["other"]}
    assert [await reopened.words.of(app) for app in (1, 2, 3)] == [["坏", 'a "quote"'], ["other"], []]


async def test_no_words_are_no_list(open_store: OpenStore) -> None:
    store = open_store()
    await store.words.replace(1, ["bad"], NOON)
    await store.words.replace(1, [], NOON)
    await store.words.replace(2, [], NOON)
    assert await store.words.all() == {}
