"""Several calls in one: in their order, each with its own outcome, and by no other right than the caller's."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from hongyan.api.leancloud import batch
from hongyan.engine.engine import Engine
from hongyan.engine.values import App
from tests.api.conftest import Calling
from tests.api.test_users import NOBODY, WORD, Door

BATCH = "/1.1/batch"


@pytest.fixture
async def door(calling: Calling, app: App) -> AsyncIterator[Door]:
    async with calling() as http:
        yield Door(http, app)


async def do(door: Door, *requests: Any, **by: Any) -> list[Any]:
    headers = {"X-LC-Id": "home", "X-LC-Key": f"{door.app.master_key},master" if by.get("master") else "home-key"}
    headers |= {"X-LC-Session": by["token"]} if "token" in by else {}
    answer = await door.http.post(BATCH, headers=headers, json={"requests": requests})
    assert answer.status_code == 200, answer.text
    return list(answer.json())


async def test_what_fails_leaves_the_rest_and_the_order(door: Door) -> None:
    sign_up = {"method": "POST", "path": "/1.1/users", "body": {"username": "tom", "password": WORD}}
    log_in = {"method": "post", "path": "/1/login", "body": {"username": "tom", "password": WORD}}
    made, taken, user, unknown = await do(door, sign_up, sign_up, log_in, {"method": "GET", "path": f"/users/{NOBODY}"})
    assert taken["error"]["code"] == 202
    assert unknown["error"]["code"] == 211
    assert user["success"]["objectId"] == made["success"]["objectId"]


async def test_parameters_stand_in_the_path_or_beside_it(door: Door) -> None:
    for name in "ab":
        await door.sign_up(name)
    beside = {"path": "/classes/_User", "params": {"where": {"username": "a"}, "count": 1}}
    inside = {"path": "/1.1/users?where=%7B%22username%22%3A%22b%22%7D", "method": "GET"}
    first, second = await do(door, beside, inside, master=True)
    assert [row["username"] for row in first["success"]["results"]] == ["a"]
    assert first["success"]["count"] == 1
    assert [row["username"] for row in second["success"]["results"]] == ["b"]


async def test_each_call_has_the_right_of_the_caller(door: Door) -> None:
    tom, jerry = await door.sign_up("tom"), await door.sign_up("jerry")
    change = {"method": "PUT", "body": {"nick": "x"}}
    own, others = (f"/1.1/users/{each['objectId']}" for each in (tom, jerry))
    listing = {"path": "/1.1/users"}
    outcomes = await do(door, {**change, "path": own}, {**change, "path": others}, listing, token=tom["sessionToken"])
    assert [outcome.get("error", {}).get("code") for outcome in outcomes] == [None, 206, 403]
    assert "email" not in (await do(door, {"path": others}, token=tom["sessionToken"]))[0]["success"]


REFUSED = {
    "a batch": ({"method": "POST", "path": BATCH, "body": {"requests": []}}, 1),
    "a batch without a version": ({"method": "POST", "path": "/batch"}, 1),
    "a batch in disguise": ({"method": "POST", "path": "/1.1/%62atch"}, 1),
    "a batch behind a slash": ({"method": "POST", "path": "/1.1/batch/"}, 1),
    "another server": ({"path": "http://example.com/1.1/date"}, 1),
    "another server without a scheme": ({"path": "//example.com/1.1/date"}, 1),
    "no path": ({"path": ""}, 1),
    "a path without a slash": ({"path": "date"}, 1),
    "no URL": ({"path": "//[::1"}, 1),
    "another method": ({"method": "BREW", "path": "/1.1/date"}, 1),
    "what is not for SDKs": ({"path": "/metrics"}, 404),
    "the page's configuration": ({"path": "/chat/config.json"}, 404),
    "out of the version": ({"path": "/1.1/../metrics"}, 404),
    "a wrong verb": ({"method": "DELETE", "path": "/1.1/date"}, 405),
    "a body that is no object": ({"method": "POST", "path": "/1.1/users", "body": [1]}, 107),
    "a long path": ({"path": "/1.1/" + "%41" * 30_000}, 1),
    "a long query": ({"path": "/1.1/date?" + "x" * 70_000}, 1),
    "long parameters": ({"path": "/1.1/date", "params": {"x": "y" * 70_000}}, 1),
    "parameters that are none": ({"path": "/1.1/date", "params": [1]}, 1),
    "a batch in disguise twice": ({"method": "POST", "path": "/1.1/%2562atch"}, 404),
    "a large body": ({"method": "POST", "path": "/1.1/users", "body": {"x": "y" * 1_100_000}}, 413),
}


@pytest.mark.parametrize(("request_", "code"), REFUSED.values(), ids=REFUSED)
async def test_requests_that_fail_by_themselves(door: Door, request_: dict[str, Any], code: int) -> None:
    refused, fine = await do(door, request_, {"path": "/1.1/date"})
    assert refused.keys() == {"error"}
    assert refused["error"].keys() == {"code", "error"}
    assert refused["error"]["code"] == code
    assert "success" in fine


WHOLE = {
    "not JSON": (b"{", 400, 107),
    "no list": (b"{}", 400, 1),
    "an empty list": (b'{"requests":[]}', 400, 1),
    "a request without a path": (b'{"requests":[{}]}', 400, 1),
    "no request": (b'{"requests":[null]}', 400, 1),
    "a request that is none": (b'{"requests":[1]}', 400, 1),
    "too many": (b'{"requests":[' + b'{"path":"/1.1/date"},' * 100 + b'{"path":"/1.1/date"}]}', 400, 1),
    "nested too deeply": (b'{"requests":' * 5_000 + b"1" + b"}" * 5_000, 400, 1),
    "too long": (b'{"requests":[{"path":"' + b"x" * 21_000_000 + b'"}]}', 413, 413),
}


@pytest.mark.parametrize(("content", "status", "code"), WHOLE.values(), ids=WHOLE)
async def test_batches_that_fail(door: Door, content: bytes, status: int, code: int) -> None:
    headers = {"X-LC-Id": "home", "X-LC-Key": "home-key", "Content-Type": "application/json"}
    answer = await door.http.post(BATCH, headers=headers, content=content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_mistake_of_ours_is_one_calls_alone_and_logged_with_the_trace(
    door: Door, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(engine.users), "log_in", lambda *_: 1 / 0)
    body = {"requests": [{"method": "POST", "path": "/login", "body": {}}, {"path": "/date"}]}
    with capture_logs(processors=[merge_contextvars]) as lines:
        answer = await door.http.post(BATCH, headers={"X-LC-Id": "home", "X-LC-Key": "home-key"}, json=body)
    failed, fine = answer.json()
    assert (failed["error"]["code"], "success" in fine) == (4200, True)
    assert [line["trace_id"] for line in lines] == [answer.headers["X-Trace-Id"]]


def test_a_list_is_read_no_further_than_to_its_last_call() -> None:
    """Millions of small calls would fill the memory: what is wrong behind the hundredth is not even looked at."""
    content = b'{"requests":[' + b'{"path":""},' * 101 + b"no JSON"
    with pytest.raises(msgspec.ValidationError, match="at most length 100"):
        msgspec.json.decode(content, type=batch.Calls)


async def test_calls_after_very_much_was_answered_are_not_done(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "ANSWERS_MAX", 60)
    sign_up = {"method": "POST", "path": "/1.1/users", "body": {"username": "tom", "password": WORD}}
    first, second, third = await do(door, {"path": "/1.1/date"}, {"path": "/1.1/date"}, sign_up)
    assert "success" in first
    assert "success" in second
    assert third["error"]["code"] == 1
    assert (await door.log_in())[1] == 211
