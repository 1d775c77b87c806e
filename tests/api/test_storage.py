"""The time, the classes there are, and those that are not."""

from collections.abc import AsyncIterator

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
