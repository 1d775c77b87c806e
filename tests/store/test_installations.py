"""Which devices listen to whom: kept in every write that changes an installation."""

from pathlib import Path
from typing import Any

import pytest

from hongyan.engine.conditions import Every
from hongyan.engine.imported import ImportedInstallation
from hongyan.engine.objects import parse_query
from hongyan.store import Store, installations
from tests.store.conftest import OpenStore
from tests.store.steps import APP, NOON, Wall, rows
from tests.store.test_schema import change, migrate_to

LISTENING = "SELECT channel, installation FROM installation_channel ORDER BY 1, 2"
ALL = Every(())


async def insert(store: Store, name: str, *channels: str, **values: Any) -> int:
    device = {"deviceType": "ios", "deviceToken": f"token of {name}", "channels": list(channels), "valid": True}
    return (await store.installations.insert(APP, name, {**device, **values})).key


async def names(store: Store, *clients: str, since: int = 0, limit: int = 100) -> dict[str, list[str]]:
    found = await store.installations.listening(APP, clients, since, limit)
    return {client: [row.id for row in rows_] for client, rows_ in found.items()}


async def test_channels_follow_each_write(store: Store, path: Path) -> None:
    phone = await insert(store, "phone", "ann", "news")
    await store.installations.update(APP, "phone", lambda before: {**before, "channels": ["bob", "news", "bob"]})
    assert rows(path, LISTENING) == [("bob", phone), ("news", phone)]
    await store.installations.update(APP, "phone", lambda before: {**before, "badge": 1})
    assert rows(path, LISTENING) == [("bob", phone), ("news", phone)]
    await store.installations.delete(APP, "phone")
    assert rows(path, LISTENING) == []


async def test_channels_of_imported_devices(store: Store) -> None:
    def brought_in(updated_at: int, *channels: Any) -> ImportedInstallation:
        values = {"deviceType": "ios", "deviceToken": "token", "channels": list(channels), "valid": True}
        return ImportedInstallation("phone", NOON, updated_at, values)

    for at, channels in ((NOON, ("ann", 1, None)), (NOON + 1, ("bob",)), (NOON, ("cem",))):
        await store.imports.write(APP, [brought_in(at, *channels)], lambda *_: None)
    assert await names(store, "ann", "bob", "cem") == {"bob": ["phone"]}


async def test_devices_of_an_older_file_are_found(open_store: OpenStore, path: Path) -> None:
    migrate_to(path, "0008")
    columns = '\'{"channels":["ann","bob",3],"valid":true}\''
    change(
        path,
        "INSERT INTO installation (app, id, device_type, device_token, columns, created_at, updated_at)"
        f" VALUES (1, 'phone', 'ios', 'token', {columns}, 1, 1), (1, 'old', 'ios', 'token', '{{}}', 1, 1),"
        " (1, 'odd', 'ios', 'token', '{\"channels\":\"ann\"}', 1, 1)",
    )
    store = open_store()
    assert await names(store, "ann", "bob", "cem") == {"ann": ["phone"], "bob": ["phone"]}


async def test_who_listens(store: Store, wall: Wall) -> None:
    await insert(store, "old", "ann")
    wall.at += 10
    await insert(store, "off", "ann", valid=False)
    for number in range(3):
        await insert(store, f"phone {number}", "ann", "bob")
    since = {"since": wall.at}
    phones = ["phone 0", "phone 1", "phone 2"]
    assert await names(store, "ann", "bob", "cem", **since) == {"ann": phones, "bob": phones}
    assert await names(store, "ann", limit=2, **since) == {"ann": ["phone 1", "phone 2"]}
    assert await store.installations.listening(APP + 1, ["ann"], 0, 9) == {}
    (row,) = (await store.installations.listening(APP, ["bob"], 0, 1))["bob"]
    assert row.values == {
        "deviceType": "ios",
        "deviceToken": "token of phone 2",
        "channels": ["ann", "bob"],
        "valid": True,
    }


async def test_devices_that_are_not_pushed_to_take_no_place_of_others(store: Store, path: Path, wall: Wall) -> None:
    await insert(store, "phone", "ann")
    for name in ("off", "voided", "long unseen"):
        await insert(store, name, "ann")
    await store.installations.update(APP, "off", lambda before: {**before, "valid": False})
    await store.installations.void(APP, "voided", "token of voided")
    wall.at += 10
    await store.installations.update(APP, "phone", lambda before: {**before, "badge": 1})
    assert await names(store, "ann", since=wall.at, limit=1) == {"ann": ["phone"]}
    assert len(rows(path, LISTENING)) == 2, "those that are not valid are not looked at"
    await store.installations.update(APP, "voided", lambda before: {**before, "valid": True})
    assert await names(store, "ann", since=wall.at) == {"ann": ["phone", "voided"]}


async def test_devices_of_an_older_file_that_are_not_valid_take_no_place(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    await insert(store, "phone", "ann")
    await insert(store, "off", "ann")
    await store.close()
    change(path, "UPDATE installation SET columns = json_set(columns, '$.valid', json('false')) WHERE id = 'off'")
    assert await names(open_store(), "ann", limit=1) == {"ann": ["phone"]}


async def test_devices_by_a_condition_page_by_page(store: Store, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installations, "WINDOW", 4)
    for number in range(11):
        await insert(store, f"{number}", "odd" if number % 2 else "even", city="x" if number < 6 else "y")
    await store.installations.update(APP, "4", lambda before: {**before, "valid": False})

    async def found(where: str = "", *channels: str, limit: int = 3) -> list[str]:
        condition, cursor, ids = parse_query(where, "", None, None).condition, 0, []
        while cursor is not None:
            page, cursor = await store.installations.pushable(APP, condition, channels or None, 0, cursor, limit)
            assert len(page) <= limit
            ids += [row.id for row in page]
        return ids

    assert await found() == [str(number) for number in range(11) if number != 4]
    assert await found('{"city":"y"}') == ["6", "7", "8", "9", "10"]
    assert await found('{"city":"y"}', "odd") == ["7", "9"]
    assert await found("", "odd", "even", limit=1) == [str(number) for number in range(11) if number != 4]
    assert await found('{"channels":"even"}') == ["0", "2", "6", "8", "10"]
    assert await found('{"city":"z"}') == []
    assert await store.installations.pushable(APP, ALL, None, wall.at + 1, 0, 3) == ([], 4)


async def test_devices_by_their_addresses(store: Store) -> None:
    await insert(store, "a")
    await insert(store, "b", deviceToken=None, installationId="own id")
    found = await store.installations.addressed(APP, ["token of a", "own id", "nobody"])
    assert sorted(row.id for row in found) == ["a", "b"]
    assert await store.installations.addressed(APP + 1, ["own id"]) == []


@pytest.mark.parametrize("name", ["deviceToken", "installationId", "registrationId"])
async def test_a_device_is_void_by_the_address_it_has(store: Store, wall: Wall, name: str) -> None:
    await insert(store, "a", **{"deviceToken": None, name: "address"})
    for app, address, valid in ((APP, "other", True), (APP + 1, "address", True), (APP, "address", False)):
        await store.installations.void(app, "a", address)
        row = await store.installations.get(APP, "a")
        assert row is not None
        assert row.values["valid"] is valid
    assert row.updated_at > NOON
