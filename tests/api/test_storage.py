"""The time, the classes there are, and those that are not."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hongyan.engine.values import App
from tests.api.conftest import Calling
from tests.api.test_users import Door


@pytest.fixture
async def door(calling: Calling, app: App) -> AsyncIterator[Door]:
    async with calling() as http:
        yield Door(http, app)


async def test_the_time(door: Door) -> None:
    status, answer = await door.call("GET", "/1.1/date")
    assert (status, answer.keys(), answer["__type"]) == (200, {"__type", "iso"}, "Date")
    assert answer["iso"].endswith("Z")


async def test_schemas(door: Door) -> None:
    date = {"__type": "Date", "iso": "2026-01-01T00:00:00.000Z"}
    await door.sign_up(nick="T", age=4, tags=[], home={}, born=date, happy=True, gone=None)
    status, classes = await door.call("GET", "/1.1/schemas", master=True)
    assert status == 200
    assert classes.keys() == {"_Conversation", "_ConversationMemberInfo", "_File", "_Installation", "_User"}
    types = {key: kind["type"] for key, kind in classes["_User"].items()}
    custom = {"nick": "String", "age": "Number", "tags": "Array", "home": "Object", "born": "Date", "happy": "Boolean"}
    fixed = {"objectId": "String", "createdAt": "Date", "ACL": "ACL", "username": "String", "authData": "Object"}
    assert {**types, **custom, **fixed} == types
    assert "gone" not in types
    assert (await door.call("GET", "/1.1/schemas/_User", master=True))[1] == classes["_User"]
    assert await door.call("GET", "/1.1/schemas/Todo", master=True) == (404, 101)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["Todo", "Todo/1", "_Role"])
async def test_a_class_that_is_not_here(door: Door, method: str, path: str) -> None:
    assert await door.call(method, f"/1.1/classes/{path}") == (404, 101)


# scanning

SCANS: dict[str, tuple[str, Callable[[int], dict[str, Any]]]] = {
    "_User": ("/1.1/users", lambda number: {"username": f"user-{number}", "password": "a word", "n": number}),
    "_Installation": (
        "/1.1/installations",
        lambda number: {"deviceType": "android", "installationId": f"device-number-{number:03}", "n": number},
    ),
}


@pytest.mark.parametrize("name", SCANS)
async def test_a_scan_walks_all_objects(door: Door, name: str) -> None:
    path, body = SCANS[name]
    made = [(await door.call("POST", path, body(number)))[1]["objectId"] for number in range(5)]

    async def walk(**query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while True:
            status, page = await door.call("GET", f"/1.1/scan/classes/{name}", master=True, **query)
            assert (status, page.keys()) == (200, {"results", "cursor"})
            rows += page["results"]
            if page["cursor"] is None:
                return rows
            query["cursor"] = page["cursor"]

    for limit in ("1", "2", "5", "0", "2000"):
        assert [row["objectId"] for row in await walk(limit=limit)] == sorted(made)
    descending = await walk(limit="2", scan_key="-objectId", where='{"n":{"$gte":2}}', keys="n")
    assert [row["objectId"] for row in descending] == sorted(made[2:], reverse=True)
    assert all(row.keys() == {"objectId", "createdAt", "updatedAt", "n"} for row in descending)
    everything = (await door.call("GET", path, master=True, order="objectId"))[1]["results"]
    assert await walk(limit="3") == everything


@pytest.mark.parametrize("name", SCANS)
async def test_scans_that_are_refused(door: Door, name: str) -> None:
    path = f"/1.1/scan/classes/{name}"
    for query in ({"scan_key": "username"}, {"scan_key": "a.b"}, {"cursor": "x"}, {"where": '{"objectId":"x"}'}):
        assert await door.call("GET", path, master=True, **query) == (400, 1)
    assert await door.call("GET", path) == (403, 403)


@pytest.mark.parametrize("name", ["Todo", "_File", "_ConversationMemberInfo"])
async def test_a_class_that_is_not_scanned(door: Door, name: str) -> None:
    assert await door.call("GET", f"/1.1/scan/classes/{name}", master=True) == (404, 101)
