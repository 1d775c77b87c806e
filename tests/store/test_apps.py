"""Apps and their settings."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.values import App
from hongyan.store import Store
from tests.store.conftest import OpenStore
from tests.store.steps import on_driver, rows

SHOP = App(
    key=0,
    id="shop",
    name="商店",
    app_key="app-key",
    master_key="master-key",
    hook_key="hook-key",
    settings=AppSettings(limits=False, session_ttl=60),
    created_at=1_800_000_000_000,
)


async def test_an_app_comes_back_as_it_was_kept(open_store: OpenStore) -> None:
    store = open_store()
    kept = await store.apps.insert(SHOP)
    await store.close()
    assert kept == replace(SHOP, key=kept.key)
    assert await open_store().apps.all() == [kept]


async def test_apps_stand_in_the_order_they_were_made(store: Store) -> None:
    made = [await store.apps.insert(replace(SHOP, id=id)) for id in ("zoo", "bar", "gym")]
    assert await store.apps.all() == made
    assert len({app.key for app in made}) == 3


async def test_a_change_keeps_the_keys_and_the_other_apps(store: Store) -> None:
    shop, bar = await store.apps.insert(SHOP), await store.apps.insert(replace(SHOP, id="bar"))
    changed = replace(shop, name="Shop", settings=AppSettings(members_max=7))
    await store.apps.update(changed)
    assert await store.apps.all() == [changed, bar]


async def test_a_taken_id_is_refused(store: Store, path: Path) -> None:
    results = await asyncio.gather(
        *(store.apps.insert(replace(SHOP, name=name)) for name in ("first", "second")), return_exceptions=True
    )
    assert isinstance(results[0], App)
    assert isinstance(results[1], ValueError)
    assert str(results[1]) == "An app with the id shop exists already."
    assert rows(path, "SELECT name FROM app") == [("first",)]


@pytest.mark.parametrize("text", ['{"limits": false, "of_a_later_version": 1}', '{"limits": false}'])
async def test_settings_of_another_version(store: Store, text: str) -> None:
    """Those it does not know are left alone, those it lacks have their defaults."""
    await store.apps.insert(SHOP)
    await on_driver(store, lambda driver: driver.execute("UPDATE app SET settings = ?", (text,)))
    (app,) = await store.apps.all()
    assert app.settings == AppSettings(limits=False)


def test_keys_are_not_shown() -> None:
    assert repr(SHOP) == "App(id='shop', name='商店')"
    assert "key" not in f"{SHOP}"
