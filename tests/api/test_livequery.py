"""Who may subscribe to conversations, and to what (reference 8.5; REST reference 1, 2.1)."""

import asyncio
import hashlib
import json
from typing import Any

import httpx
import pytest

from hongyan.api.site import Site
from hongyan.engine.engine import Engine
from hongyan.engine.values import App
from tests.api.conftest import Calling

SUBSCRIBE, UNSUBSCRIBE = "/1.1/LiveQuery/subscribe", "/1.1/LiveQuery/unsubscribe"
ID = "5f0c9f1e-6c55-4ef3-9f0e-6d2c1c1f3a77"
QUERY = {"className": "_Conversation", "where": {}}
BODY = {"query": QUERY, "id": ID}
MASTER = "the-master-key"


@pytest.fixture
def app(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> App:
    found = engine.apps.get("home")
    assert found is not None
    monkeypatch.setattr(found, "master_key", MASTER)
    return found


@pytest.fixture
def master(app: App) -> dict[str, str]:
    return {"X-LC-Id": app.id, "X-LC-Key": f"{MASTER},master"}


@pytest.fixture
def key(app: App) -> dict[str, str]:
    """The app key alone."""
    return {"X-LC-Id": app.id, "X-LC-Key": "home-key"}


def as_client(engine: Engine, app: App, client: str, headers: dict[str, str]) -> dict[str, str]:
    token = engine.sessions.issue(app, engine.sessions.new_ticket(client, "", "", 0))[0]
    return {**headers, "X-LC-IM-Session-Token": token}


def signed(key: str, time: str, mark: str = "") -> str:
    digest = hashlib.md5((time + key).encode(), usedforsecurity=False).hexdigest()
    return ",".join(filter(None, [digest, time, mark]))


async def test_a_subscription_has_the_id_given_and_a_query_of_its_own(
    calling: Calling, master: dict[str, str], app: App
) -> None:
    client = calling()

    async def ask(query: dict[str, Any]) -> str:
        answer = await client.post(SUBSCRIBE, headers=master, json={"query": {**QUERY, **query}, "id": ID})
        assert answer.status_code == 200
        assert set(answer.json()) == {"id", "query_id"}
        assert answer.json()["id"] == ID
        query_id: str = answer.json()["query_id"]
        return query_id

    first = await ask({"where": {"a": 1, "b": {"$gt": 2}}})
    same = [
        {"where": {"b": {"$gt": 2}, "a": 1}},
        {"where": '{"b": {"$gt": 2}, "a": 1}'},
        {"where": {"a": 1, "b": {"$gt": 2}}, "keys": None, "returnACL": True},
        {"where": {"a": 1, "b": {"$gt": 2}}, "keys": []},
    ]
    assert {await ask(query) for query in same} == {first}
    others = [{"where": {"a": 1}}, {"where": {}}, {"where": {"a": 1, "b": {"$gt": 2}}, "keys": "a"}]
    assert len({first, *[await ask(query) for query in others]}) == 4
    empty = [{"where": None}, {"where": ""}, {"where": "{}"}]
    assert len({await ask(query) for query in empty}) == 1


async def test_without_an_id_one_is_given_inferred(calling: Calling, master: dict[str, str]) -> None:
    client = calling()
    given = []
    for body in ({"query": QUERY}, {"query": QUERY, "id": None}):
        answer = await client.post(SUBSCRIBE, headers=master, json=body)
        assert answer.status_code == 200
        given.append(answer.json()["id"])
    assert [len(id) for id in given] == [32, 32]
    assert given[0] != given[1]


async def test_the_class_is_closed_to_the_app_key_alone_unless_opened_inferred(
    calling: Calling, engine: Engine, app: App, key: dict[str, str]
) -> None:
    client = calling()
    forms = [
        key,
        {"X-LC-Id": "home", "X-LC-Sign": signed("home-key", "1700000000000")},
        {"X-LC-Id": "home", "X-LC-Sign": signed("home-key", "master")},  # a time that looks like the mark
        {"X-LC-Id": "home", "X-Uluru-Application-Key": "home-key"},
        {**key, "X-LC-Sign": "x,1,ax-sig-1"},
    ]
    for headers in forms:
        assert_failure(await client.post(SUBSCRIBE, headers=headers, json=BODY), 403, 403)
        assert_failure(await client.post(UNSUBSCRIBE, headers=headers, json={"id": ID, "query_id": "x"}), 403, 403)
    await engine.apps.change("home", {"conversation_read": "on"})
    for headers in forms:
        assert (await client.post(SUBSCRIBE, headers=headers, json=BODY)).status_code == 200
    for headers in ({"X-LC-Id": "home"}, {"X-LC-Id": "home", "X-LC-Sign": "x,1,ax-sig-1"}):
        assert_failure(await client.post(SUBSCRIBE, headers=headers, json=BODY), 401, 401)


async def test_the_master_key_and_clients_may_subscribe(
    calling: Calling, engine: Engine, app: App, key: dict[str, str], master: dict[str, str]
) -> None:
    client = calling()
    good = [
        master,
        {"X-LC-Id": "home", "X-Uluru-Master-Key": MASTER},
        {"X-LC-Id": "home", "X-LC-Sign": signed(MASTER, "1700000000000", "master")},
    ]
    for headers in good:
        assert (await client.post(SUBSCRIBE, headers=headers, json=BODY)).status_code == 200
    ann = as_client(engine, app, "ann", key)
    answer = await client.post(SUBSCRIBE, params={"client_id": "ann"}, headers=ann, json=BODY)
    assert answer.status_code == 200
    assert_failure(await client.post(SUBSCRIBE, headers=ann, json=BODY), 400, 400)
    other = await client.post(SUBSCRIBE, params={"client_id": "bob"}, headers=ann, json=BODY)
    assert_failure(other, 401, 4112)
    wrong = {**key, "X-LC-IM-Session-Token": "a.b.c"}
    assert_failure(await client.post(SUBSCRIBE, params={"client_id": "ann"}, headers=wrong, json=BODY), 401, 4112)
    assert_failure(await client.post(SUBSCRIBE, headers={**master, "X-LC-Key": "x,master"}, json=BODY), 401, 401)
    assert_failure(await client.post(SUBSCRIBE, headers={**master, "X-LC-Id": "nowhere"}, json=BODY), 404, 4100)


DEEP: Any = {"a": 1}
for _ in range(20):
    DEEP = {"$and": [DEEP]}

BAD: dict[str, tuple[Any, int, int]] = {
    "no object": ([], 400, 400),
    "no query": ({"id": ID}, 400, 400),
    "a query that is none": ({"query": "x", "id": ID}, 400, 400),
    "an id that is a number": ({"query": QUERY, "id": 5}, 400, 400),
    "an empty id": ({"query": QUERY, "id": ""}, 400, 4301),
    "an id to guess": ({"query": QUERY, "id": "page-1"}, 400, 4301),
    "a long id": ({"query": QUERY, "id": "x" * 129}, 400, 4301),
    "no class": ({"query": {"where": {}}, "id": ID}, 404, 101),
    "another class": ({"query": {"className": "Todo", "where": {}}, "id": ID}, 404, 101),
    "a class of users": ({"query": {"className": "_User", "where": {}}, "id": ID}, 404, 101),
    "a condition that is a list": ({"query": {**QUERY, "where": []}, "id": ID}, 400, 4310),
    "a condition that is a number": ({"query": {**QUERY, "where": 5}, "id": ID}, 400, 4310),
    "a condition that is no JSON": ({"query": {**QUERY, "where": "{"}, "id": ID}, 400, 4310),
    "an unknown operator": ({"query": {**QUERY, "where": {"a": {"$near": 1}}}, "id": ID}, 400, 4310),
    "too many terms": ({"query": {**QUERY, "where": {f"k{n}": 1 for n in range(101)}}, "id": ID}, 400, 4310),
    "a long condition": ({"query": {**QUERY, "where": {"a": "x" * 9_000}}, "id": ID}, 400, 4310),
    "a deep condition": ({"query": {**QUERY, "where": DEEP}, "id": ID}, 400, 4310),
    "keys that are a number": ({"query": {**QUERY, "keys": 5}, "id": ID}, 400, 400),
    "keys of numbers": ({"query": {**QUERY, "keys": [5]}, "id": ID}, 400, 400),
    "too many keys": ({"query": {**QUERY, "keys": [f"k{n}" for n in range(101)]}, "id": ID}, 400, 400),
    "a long key": ({"query": {**QUERY, "keys": ["k" * 5_000]}, "id": ID}, 400, 400),
    "a long body": ({"query": QUERY, "id": ID, "more": "x" * 70_000}, 413, 413),
}


@pytest.mark.parametrize(("body", "status", "code"), BAD.values(), ids=BAD)
async def test_a_bad_subscription_gets_one_error(
    calling: Calling, master: dict[str, str], body: object, status: int, code: int
) -> None:
    assert_failure(await calling().post(SUBSCRIBE, headers=master, json=body), status, code)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"NaN", b'"\\ud800"', b"[" * 5_000, b'{"query":1e999}'])
@pytest.mark.parametrize("path", [SUBSCRIBE, UNSUBSCRIBE])
async def test_what_is_no_json(calling: Calling, master: dict[str, str], path: str, raw: bytes) -> None:
    assert_failure(await calling().post(path, headers=master, content=raw), 400, 400)


@pytest.mark.parametrize("body", [{}, {"id": ID}, {"query_id": "x"}, {"id": ID, "query_id": 5}, {"id": None}])
async def test_a_bad_unsubscription_gets_one_error(calling: Calling, master: dict[str, str], body: object) -> None:
    assert_failure(await calling().post(UNSUBSCRIBE, headers=master, json=body), 400, 400)


async def test_whoever_may_read_all_needs_no_secret_id(
    calling: Calling, engine: Engine, app: App, key: dict[str, str]
) -> None:
    await engine.apps.change("home", {"conversation_read": "on"})
    body = {"query": QUERY, "id": "page-1"}
    assert (await calling().post(SUBSCRIBE, headers=key, json=body)).status_code == 200
    ann = as_client(engine, app, "ann", key)
    assert_failure(await calling().post(SUBSCRIBE, params={"client_id": "ann"}, headers=ann, json=body), 400, 4301)


async def test_floods_are_refused(
    calling: Calling, engine: Engine, app: App, key: dict[str, str], master: dict[str, str]
) -> None:
    """Of one id, of one client, of the app key, and of the master key; none takes the place of another."""
    client = calling()
    await engine.apps.change("home", {"limits": "off", "conversation_read": "on"})

    async def ask(headers: dict[str, str], name: int, id: str, reader: str | None = None) -> httpx.Response:
        body = {"query": {**QUERY, "keys": [f"k{name}"]}, "id": id}
        return await client.post(SUBSCRIBE, params={"client_id": reader} if reader else {}, headers=headers, json=body)

    ann, bob = as_client(engine, app, "ann", key), as_client(engine, app, "bob", key)
    for name in range(20):
        assert (await ask(ann, name, ID, "ann")).status_code == 200
    assert_failure(await ask(ann, 20, ID, "ann"), 429, 4318)
    assert (await ask(ann, 19, ID, "ann")).status_code == 200
    for name in range(30):
        assert (await ask(ann, name, f"{ID}-{name // 20}", "ann")).status_code == 200
    assert_failure(await ask(ann, 30, f"{ID}-1", "ann"), 429, 4318)
    assert (await ask(bob, 0, ID, "bob")).status_code == 200
    for headers in (key, master):
        for name in range(200):
            assert (await ask(headers, name, f"{ID}-{name // 20}")).status_code == 200
        assert_failure(await ask(headers, 200, f"{ID}-x"), 429, 4318)


async def test_more_than_the_rate_is_refused(
    calling: Calling, engine: Engine, app: App, key: dict[str, str], master: dict[str, str]
) -> None:
    client, ann = calling(), as_client(engine, app, "ann", key)
    query = {"client_id": "ann"}
    for _ in range(25):
        assert (await client.post(SUBSCRIBE, params=query, headers=ann, json=BODY)).status_code == 200
    while (answer := await client.post(SUBSCRIBE, params=query, headers=ann, json=BODY)).status_code == 200:
        pass
    assert_failure(answer, 429, 4318)
    statuses = {(await client.post(SUBSCRIBE, headers=master, json=BODY)).status_code for _ in range(60)}
    assert statuses == {200}


async def test_a_failed_subscription_leaves_nothing(
    calling: Calling, engine: Engine, app: App, master: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one whose caller went away while it was being prepared."""
    store = engine.live_queries._store
    asked = asyncio.Event()

    async def wait_for_ever(*_: object) -> list[int]:
        asked.set()
        return await asyncio.Future()

    monkeypatch.setattr(store, "matching", wait_for_ever)
    body = {"query": {**QUERY, "where": {"a": 1}}, "id": ID}
    call = asyncio.create_task(calling().post(SUBSCRIBE, headers=master, json=body))
    await asked.wait()
    call.cancel()
    await asyncio.wait([call])
    assert engine.live_queries.count(app) == 0


async def test_other_methods_and_times(calling: Calling, site: Site, master: dict[str, str]) -> None:
    for path in (SUBSCRIBE, UNSUBSCRIBE):
        assert_failure(await calling().get(path, headers=master), 405, 405)
    site.ready = False
    for path in (SUBSCRIBE, UNSUBSCRIBE):
        assert_failure(await calling().post(path, headers=master, json=BODY), 503, 503)


async def test_a_browser_on_any_site_may_subscribe(calling: Calling, master: dict[str, str]) -> None:
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "X-LC-Id, X-LC-Sign, X-LC-IM-Session-Token, Content-Type",
    }
    preflight = await calling().options(SUBSCRIBE, headers=asked)
    assert preflight.is_success
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    answer = await calling().post(SUBSCRIBE, headers={**master, "Origin": "https://shop.example"}, json=BODY)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert json.loads(answer.content)["id"] == ID


def assert_failure(answer: httpx.Response, status: int, code: int) -> None:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert set(answer.json()) == {"code", "error"}
    assert answer.json()["error"].endswith(".")
