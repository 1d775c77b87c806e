"""Installations over HTTP: devices register and change themselves, and none learns another's address."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hongyan.engine.values import App
from tests.api.conftest import Calling
from tests.api.test_users import NOBODY, Door

DEVICES = "/1.1/installations"
TOKEN = "740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad"
PHONE = {"deviceType": "ios", "deviceToken": TOKEN, "channels": ["tom"], "timeZone": "Asia/Shanghai"}
ANDROID = {
    "deviceType": "android",
    "installationId": "6f9f1e5e-1f5c-4b1a-9d7e-7a4f5a0f7a10",
    "registrationId": "vendor",
}


@pytest.fixture
async def door(calling: Calling, app: App) -> AsyncIterator[Door]:
    async with calling() as http:
        yield Door(http, app)


@pytest.fixture
async def phone(door: Door) -> dict[str, Any]:
    status, made = await door.call("POST", DEVICES, PHONE)
    assert status == 201
    return dict(made)


@pytest.mark.parametrize("path", [DEVICES, "/1.1/classes/_Installation"])
@pytest.mark.parametrize("device", [PHONE, ANDROID], ids=["by its token", "by its id"])
async def test_a_device_that_registers_again_is_the_same(door: Door, path: str, device: dict[str, Any]) -> None:
    status, made = await door.call("POST", path, device)
    assert status == 201
    assert made.keys() == {"objectId", "createdAt"}
    status, again = await door.call("POST", path, {**device, "badge": 3})
    assert (status, again["objectId"]) == (200, made["objectId"])
    _, row = await door.call("GET", f"{path}/{made['objectId']}", master=True)
    fixed = {"objectId": made["objectId"], "createdAt": made["createdAt"], "updatedAt": again["updatedAt"]}
    assert row == {**device, "badge": 3, "valid": True, **fixed}


async def test_nobody_with_the_apps_key_reads_addresses(door: Door, phone: dict[str, Any]) -> None:
    one = f"{DEVICES}/{phone['objectId']}"
    _, android = await door.call("POST", DEVICES, ANDROID)
    for path in (one, f"{DEVICES}/{android['objectId']}", f"/1.1/classes/_Installation/{phone['objectId']}"):
        for query in ({}, {"keys": "deviceToken,registrationId,installationId"}):
            _, row = await door.call("GET", path, **query)
            assert row.keys() & {"deviceToken", "registrationId", "installationId"} == set()
    for path in (DEVICES, "/1.1/classes/_Installation"):
        assert await door.call("GET", path) == (403, 403)
        assert await door.call("GET", path, where=f'{{"deviceToken":"{TOKEN}"}}') == (403, 403)
    _, changed = await door.call("PUT", one, {"badge": 1}, new="true")
    assert "deviceToken" not in changed
    (found,) = (await door.call("GET", DEVICES, master=True, where='{"channels":"tom"}'))[1]["results"]
    assert found["deviceToken"] == TOKEN


async def test_a_condition_of_a_write_tells_nothing_of_an_address(door: Door, phone: dict[str, Any]) -> None:
    """Or an address could be guessed, letter by letter."""
    one = f"{DEVICES}/{phone['objectId']}"
    assert (await door.call("PUT", one, {"badge": 1}, where='{"deviceToken":{"$gt":"zzz"}}'))[0] == 200
    assert await door.call("PUT", one, {"badge": 1}, where='{"deviceToken":"x"}', master=True) == (400, 305)


async def test_channels_are_added_and_removed(door: Door, phone: dict[str, Any]) -> None:
    one = f"/1.1/classes/_Installation/{phone['objectId']}"
    add = {"channels": {"__op": "AddUnique", "objects": ["tom", "news"]}}
    remove = {"channels": {"__op": "Remove", "objects": ["tom"]}, "valid": False}
    assert (await door.call("PUT", one, add))[1].keys() == {"objectId", "updatedAt"}
    assert (await door.call("GET", one))[1]["channels"] == ["tom", "news"]
    assert (await door.call("PUT", one, remove))[0] == 200
    row = (await door.call("GET", one))[1]
    assert (row["channels"], row["valid"]) == (["news"], False)


WRONG = {
    "no type": ({"deviceToken": TOKEN}, 111),
    "a type that is no text": ({"deviceType": 1, "deviceToken": TOKEN}, 111),
    "no address": ({"deviceType": "ios"}, 111),
    "a short id": ({"deviceType": "android", "installationId": "1"}, 111),
    "an id that is no text": ({"deviceType": "android", "installationId": ["x" * 20]}, 111),
    "a long token": ({"deviceType": "ios", "deviceToken": "x" * 5_000}, 111),
    "channels that are none": ({**PHONE, "channels": "tom"}, 111),
    "a channel that is none": ({**PHONE, "channels": [1]}, 111),
    "too many channels": ({**PHONE, "channels": [str(n) for n in range(1_001)]}, 111),
    "valid or not": ({**PHONE, "valid": "yes"}, 111),
    "an id of its own": ({**PHONE, "objectId": NOBODY}, 117),
    "no object": ([], 107),
}


@pytest.mark.parametrize(("body", "code"), WRONG.values(), ids=WRONG)
async def test_registrations_that_fail(door: Door, phone: dict[str, Any], body: Any, code: int) -> None:
    before = await door.call("GET", DEVICES, master=True)
    assert await door.call("POST", DEVICES, body) == (400, code)
    assert await door.call("GET", DEVICES, master=True) == before


async def test_an_id_is_of_one_device(door: Door, phone: dict[str, Any]) -> None:
    await door.call("POST", DEVICES, ANDROID)
    taken = {"installationId": ANDROID["installationId"]}
    assert await door.call("PUT", f"{DEVICES}/{phone['objectId']}", taken) == (400, 111)


async def test_an_installation_that_is_not_there(door: Door) -> None:
    one = f"{DEVICES}/{NOBODY}"
    assert await door.call("GET", one) == (200, {})
    assert await door.call("PUT", one, {"badge": 1}) == (404, 101)
    assert await door.call("DELETE", one, master=True) == (404, 101)


async def test_only_the_master_key_deletes(door: Door, phone: dict[str, Any]) -> None:
    one = f"{DEVICES}/{phone['objectId']}"
    assert await door.call("DELETE", one) == (403, 403)
    assert await door.call("DELETE", one, master=True) == (200, {})
    assert await door.call("GET", one) == (200, {})
