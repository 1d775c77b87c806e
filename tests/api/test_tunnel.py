"""Browsers without preflight, old versions of the path, old names of headers, signed keys, and large answers."""

import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hongyan.engine.engine import Engine
from hongyan.engine.values import App
from tests.api.conftest import Calling
from tests.api.test_users import WORD, Door

TEXT = {"Content-Type": "text/plain;charset=UTF-8", "Origin": "https://shop.example"}


@pytest.fixture
async def door(calling: Calling, app: App) -> AsyncIterator[Door]:
    async with calling() as http:
        yield Door(http, app)


async def tunnel(door: Door, path: str, **said: Any) -> httpx.Response:
    return await door.http.post(path, headers=TEXT, content=json.dumps(said))


# verbs and headers in a text


async def test_a_text_stands_for_verb_headers_and_body(door: Door) -> None:
    key = {"_ApplicationId": "home", "_ApplicationKey": "home-key"}
    made = await tunnel(door, "/1.1/users", **key, username="tom", password=WORD, _ApplicationProduction=1)
    assert made.status_code == 201, made.text
    assert made.headers["Access-Control-Allow-Origin"] == "*"
    user = made.json()
    own = {**key, "_SessionToken": user["sessionToken"], "_InstallationId": "x", "_ClientVersion": "js4"}
    one = f"/1.1/users/{user['objectId']}"
    changed = await tunnel(door, one, **own, _method="PUT", nick="T")
    assert changed.json().keys() == {"objectId", "updatedAt"}
    row = (await tunnel(door, one, **own, _method="GET", keys="nick")).json()
    assert row.keys() == {"objectId", "createdAt", "updatedAt", "nick"}, "what is left over is the query"
    assert "nick" in (await tunnel(door, "/1.1/users/me", **own, _method="get")).json()
    master = {"_ApplicationId": "home", "_MasterKey": door.app.master_key}
    found = await tunnel(door, "/1.1/users", **master, _method="GET", where={"username": "tom"}, limit=1)
    assert [row["username"] for row in found.json()["results"]] == ["tom"]
    assert (await tunnel(door, one, **master, _method="DELETE")).json() == {}


async def test_the_text_has_precedence_over_headers(door: Door) -> None:
    said = {"_ApplicationId": "home", "_ApplicationKey": "wrong", "_method": "GET"}
    headers = {**TEXT, "X-LC-Id": "home", "X-LC-Key": "home-key"}
    answer = await door.http.post("/1.1/date", headers=headers, content=json.dumps(said))
    assert answer.status_code == 401


WRONG: dict[str, tuple[bytes, int, int]] = {
    "not JSON": (b"{", 400, 107),
    "no object": (b"[]", 400, 107),
    "not UTF-8": (b"\xff", 400, 107),
    "half a pair": (b'{"a":"\\ud800"}', 400, 107),
    "another method": (b'{"_method":"BREW"}', 400, 1),
    "a method that is no text": (b'{"_method":1}', 400, 1),
    "an id that is no text": (b'{"_ApplicationId":{}}', 400, 1),
    "a header in a header": (b'{"_ApplicationId":"x\\r\\nX-LC-Key: y"}', 400, 1),
    "not in ASCII": ('{"_ApplicationId":"鸿"}'.encode(), 400, 1),
    "nothing": (b"", 401, 401),
    "too long": (b'{"a":"' + b"x" * 2_000_000 + b'"}', 413, 413),
}


@pytest.mark.parametrize(("content", "status", "code"), WRONG.values(), ids=WRONG)
async def test_texts_that_fail(door: Door, content: bytes, status: int, code: int) -> None:
    answer = await door.http.post("/1.1/users", headers=TEXT, content=content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json().keys() == {"code", "error"}
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["X-Trace-Id"]


async def test_other_paths_know_no_such_text(door: Door) -> None:
    assert (await tunnel(door, "/health/live", _method="GET")).status_code == 405


# old names


async def test_inferred_1_is_an_old_name_of_1_1(door: Door) -> None:
    assert (await door.call("GET", "/1/date"))[0] == 200
    assert (await door.call("POST", "/1/users", {"username": "tom", "password": WORD}))[0] == 201
    assert (await door.http.get("/1/route?appId=home")).status_code == 200


def signed(key: str, mark: str = "", time: str = "1700000000000") -> str:
    digest = hashlib.md5((time + key).encode()).hexdigest()
    return f"{digest},{time}{mark}"


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("prefix", ["X-AVOSCloud-", "X-Uluru-"])
async def test_old_names_of_headers(door: Door, prefix: str, upper: bool) -> None:
    tom = await door.sign_up()

    async def call(path: str, **fields: str) -> int:
        headers = {f"{prefix}{name.replace('_', '-')}": value for name, value in fields.items()}
        headers = {name.upper() if upper else name.lower(): value for name, value in headers.items()}
        return (await door.http.get(path, headers={**headers, f"{prefix}Application-Production": "1"})).status_code

    master = door.app.master_key
    key = {"Application_Id": "home", "Application_Key": "home-key"}
    assert await call("/1.1/date", **key) == 200
    assert await call("/1.1/users/me", **key, Session_Token=tom["sessionToken"]) == 200
    assert await call("/1.1/users/me", **key) == 400
    assert await call("/1.1/users", Application_Id="home", Master_Key=master) == 200
    assert await call("/1.1/users", Application_Id="home", Master_Key="wrong") == 401
    assert await call("/1.1/users", **key) == 403
    assert await call("/1.1/users", Application_Id="home", Application_Key=f"{master},master") == 200
    assert await call("/1.1/date", Application_Id="home", Request_Sign=signed("home-key")) == 200
    assert await call("/1.1/users", Application_Id="home", Request_Sign=signed(master, ",master")) == 200


async def test_keys_and_their_signatures(door: Door) -> None:
    master = door.app.master_key
    outcomes = {
        ("X-LC-Key", "home-key"): (200, 403),
        ("X-LC-Key", f"{master},master"): (200, 200),
        ("X-LC-Key", master): (401, 401),
        ("X-LC-Key", "home-key,master"): (401, 401),
        ("X-LC-Sign", signed("home-key")): (200, 403),
        ("X-LC-Sign", signed("home-key").upper()): (200, 403),
        ("X-LC-Sign", signed(master, ",master")): (200, 200),
        ("X-LC-Sign", signed(master)): (401, 401),
        ("X-LC-Sign", signed("home-key", ",master")): (401, 401),
        ("X-LC-Sign", signed("anything", ",ax-sig-1")): (401, 403),
        ("X-LC-Sign", "nonsense"): (401, 401),
    }
    for (name, value), expected in outcomes.items():
        headers = {"X-LC-Id": "home", name: value}
        got = [(await door.http.get(path, headers=headers)).status_code for path in ("/1.1/date", "/1.1/users")]
        assert tuple(got) == expected, (name, value)


async def test_android_apps_sign_with_a_key_of_their_own(door: Door, engine: Engine) -> None:
    """After `initializeSecurely`; it is worth as much as the app's key."""
    await engine.apps.change("home", {"android_key": "android-key"})
    outcomes = {
        signed("android-key", ",ax-sig-1"): (200, 403),
        signed("home-key", ",ax-sig-1"): (401, 401),
        signed("", ",ax-sig-1"): (401, 401),
        signed("android-key"): (401, 401),
        signed("android-key", ",master"): (401, 401),
        signed("home-key"): (200, 403),
    }
    for sign, expected in outcomes.items():
        headers = {"X-LC-Id": "home", "X-LC-Sign": sign}
        got = [(await door.http.get(path, headers=headers)).status_code for path in ("/1.1/date", "/1.1/users")]
        assert tuple(got) == expected, sign


async def test_the_vectors_of_the_reference_for_signed_keys(door: Door, engine: Engine) -> None:
    await engine.apps.create("demo", "demo", "demo-app-key", "demo-master-key")
    for sign in (
        "a615addbec0246c0be3695851f384aff,1700000000000",
        "88500459f205e3c67ee68684f71a48a4,1700000000000,master",
    ):
        headers = {"X-LC-Id": "demo", "X-LC-Sign": sign}
        assert (await door.http.get("/1.1/date", headers=headers)).status_code == 200


# pages of some sites alone


async def test_an_app_may_be_for_pages_of_some_sites_alone(door: Door, engine: Engine) -> None:
    await engine.apps.change("home", {"web_domains": "chat.example.com, *.example.org"})
    statuses = {}
    for origin in (
        None,
        "https://chat.example.com",
        "https://a.example.org",
        "http://localhost:3000",
        "https://evil.example",
        "null",
    ):
        headers = {"X-LC-Id": "home", "X-LC-Key": "home-key", **({"Origin": origin} if origin else {})}
        answer = await door.http.get("/1.1/date", headers=headers)
        statuses[origin] = answer.status_code if answer.is_success else answer.json()["code"]
    assert list(statuses.values()) == [200, 200, 200, 200, 4110, 4110]


# large answers


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [("gzip", "gzip"), ("br;q=1, GZIP;q=0.5", "gzip"), ("gzip;q=0", None), ("identity", None), ("", None)],
)
async def test_a_large_answer_is_compressed_for_who_wants_it(door: Door, accept: str, encoding: str | None) -> None:
    for name in ("a", "b", "c"):
        await door.sign_up(name, bio=name * 30_000)
    headers = {"X-LC-Id": "home", "X-LC-Key": f"{door.app.master_key},master", "Accept-Encoding": accept}
    async with door.http.stream("GET", "/1.1/users", headers=headers) as answer:
        body = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers.get("Content-Encoding") == encoding
    assert int(answer.headers["Content-Length"]) == len(body)
    if accept.lower().startswith(("gzip", "br")) and encoding:
        assert answer.headers["Vary"] == "Accept-Encoding"
    content = json.loads(gzip.decompress(body) if encoding else body)
    assert [row["bio"][0] for row in content["results"]] == ["c", "b", "a"]


async def test_a_small_answer_stays_as_it_is(door: Door) -> None:
    headers = {"X-LC-Id": "home", "X-LC-Key": "home-key", "Accept-Encoding": "gzip"}
    answer = await door.http.get("/1.1/date", headers=headers)
    assert "Content-Encoding" not in answer.headers


async def test_a_text_may_be_a_file(door: Door) -> None:
    """Of who says in a header which app it is."""
    headers = {"X-LC-Id": "home", "X-LC-Key": "home-key", "Content-Type": "text/plain"}
    answer = await door.http.post("/1.1/files/hello.txt", headers=headers, content=b"Hello, World!")
    assert (answer.status_code, answer.json()["name"]) == (201, "hello.txt")
    said = {"_ApplicationId": "home", "_ApplicationKey": "home-key", "_method": "GET"}
    found = await tunnel(door, f"/1.1/files/{answer.json()['objectId']}", **said)
    assert found.json()["name"] == "hello.txt"


async def test_a_query_is_no_longer_in_a_text_than_in_an_address(door: Door) -> None:
    """Taking a long one apart would hold up everybody."""
    said = {"_ApplicationId": "home", "_ApplicationKey": "home-key", "_method": "GET"}
    answer = await tunnel(door, "/1.1/date", **said, where="中" * 10_000)
    assert (answer.status_code, answer.json()["code"]) == (414, 414)
    assert (await tunnel(door, "/1.1/date", **said, where="中" * 7_000)).status_code == 200
