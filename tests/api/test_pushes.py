"""Pushes over HTTP: asking for them, what becomes of them, and what is refused."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hongyan.api.site import Site
from hongyan.bus.local import LocalBus
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.pushing import InvalidToken, Refused, Sent
from hongyan.engine.values import DAY, App, iso_time
from hongyan.figures import Figures
from hongyan.gateway.server import Gateway
from hongyan.store import Store
from tests.api.conftest import Calling
from tests.engine.post import Post, Work, register, token_of
from tests.store.steps import NOON, Wall

PUSH, DEVICES = "/1.1/push", "/1.1/push/devices"
DATA = {"alert": "sale"}


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
async def store(tmp_path: Path, empty_database: Path, wall: Wall) -> AsyncIterator[Store]:
    made = Store.open(shutil.copy(empty_database, tmp_path / "hongyan.db"), bytes(32), Clock(wall, lambda: 0))
    made.start(asyncio.get_running_loop())
    yield made
    await made.close()


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def engine(store: Store, bus: LocalBus, wall: Wall, post: Post) -> AsyncIterator[Engine]:
    made = Engine(store, bus, Clock(wall, lambda: 0), bytes(32), push_services=lambda: post.services)
    await made.start()
    app = await made.apps.create("home", id="home", key="home-key")
    await made.push_services.set(app, "apns", {"key": "x"})
    yield made
    await made.push_services.close()


@pytest.fixture
def work(engine: Engine, store: Store, wall: Wall) -> Work:
    return Work(engine, store, wall)


async def ask(http: httpx.AsyncClient, body: Any, path: str = PUSH, **headers: str) -> str:
    answer = await http.post(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"objectId", "createdAt"}
    return str(answer.json()["objectId"])


async def record(http: httpx.AsyncClient, push_id: str) -> dict[str, Any]:
    found = (await http.get(f"/1.1/notifications/{push_id}")).json()
    assert found == (await http.get(f"/1.1/tables/Notifications/{push_id}")).json()
    return dict(found)


async def test_a_push_to_all_devices(http: httpx.AsyncClient, engine: Engine, app: App, work: Work, post: Post) -> None:
    for client in ("ann", "bob"):
        await register(engine, app, client)
    push_id = await ask(http, {"data": DATA})
    assert (await record(http, push_id))["status"] == "in-queue"
    await work.do()
    assert post.tokens == [token_of("ann"), token_of("bob")]
    assert post.brought[0].push.content == DATA
    assert {b.push.id.split("-")[0] for b in post.brought} == {push_id}
    assert await record(http, push_id) == {
        "objectId": push_id,
        "createdAt": iso_time(NOON),
        "status": "done",
        "data": DATA,
        "prod": "prod",
        "pushTime": iso_time(NOON),
        "expirationTime": iso_time(NOON + 7 * DAY),
        "devices": 2,
        "successes": 2,
        "failures": 0,
        "invalidTokens": 0,
    }


async def test_what_becomes_of_it_is_counted(
    http: httpx.AsyncClient, engine: Engine, app: App, work: Work, post: Post
) -> None:
    for number in range(4):
        await register(engine, app, "ann", number)
    post.answers = [InvalidToken(), Refused("x"), Sent(), Sent()]
    push_id = await ask(http, {"data": DATA, "channels": ["ann"]})
    await work.do()
    found = await record(http, push_id)
    assert (found["devices"], found["successes"], found["failures"], found["invalidTokens"]) == (4, 2, 1, 1)
    assert (found["status"], found["channels"]) == ("done", ["ann"])


async def test_metrics_count_pushes_by_their_service(
    http: httpx.AsyncClient, engine: Engine, app: App, work: Work, post: Post, site: Site, store: Store, bus: LocalBus
) -> None:
    site.stats = Figures(Gateway(engine, bus, site.settings.gateway), store, site.hub)
    await engine.push_services.set(app, "fcm", {"key": "x"})
    for number in range(4):
        await register(engine, app, "ann", number)
    post.answers = [InvalidToken(), Refused("x"), Sent(), Sent()]
    await ask(http, {"data": DATA})
    await work.do()
    await register(engine, app, "bob", deviceType="android", vendor="fcm", registrationId=token_of("bob"))
    await ask(http, {"data": DATA, "channels": ["bob"]})
    await work.do()
    text = (await http.get("/metrics")).text
    counted = re.findall(r"^hongyan_(pushes_.*)$", text, re.MULTILINE)
    assert counted == [
        'pushes_sent_total{service="apns"} 2.0',
        'pushes_sent_total{service="fcm"} 1.0',
        'pushes_failed_total{service="apns"} 1.0',
        'pushes_failed_total{service="fcm"} 0.0',
        'pushes_invalid_total{service="apns"} 1.0',
        'pushes_invalid_total{service="fcm"} 0.0',
    ]
    assert text.count("# TYPE hongyan_pushes_sent_total counter") == 1


WHICH = {
    "all": ({}, ["ann", "bob", "cem"]),
    "a channel": ({"channels": ["ann"]}, ["ann"]),
    "channels": ({"channels": ["ann", "bob", "nobody"]}, ["ann", "bob"]),
    "a condition": ({"where": {"city": "x"}}, ["ann", "cem"]),
    "a condition as text": ({"where": '{"city":"x"}'}, ["ann", "cem"]),
    "a condition on channels": ({"where": {"channels": "bob"}}, ["bob"]),
    "both": ({"where": {"city": "x"}, "channels": ["cem", "bob"]}, ["cem"]),
    "a type": ({"where": {"deviceType": {"$in": ["ios"]}}}, ["ann", "bob", "cem"]),
    "nobody": ({"where": {"city": "z"}}, []),
}


@pytest.mark.parametrize(("which", "expected"), WHICH.values(), ids=WHICH)
async def test_which_devices(
    http: httpx.AsyncClient, engine: Engine, app: App, work: Work, post: Post, which: Any, expected: list[str]
) -> None:
    for client, city in (("ann", "x"), ("bob", "y"), ("cem", "x")):
        await register(engine, app, client, city=city)
    await register(engine, app, "dan", valid=False, city="x")
    other = await engine.apps.create("other")
    await register(engine, other, "ann", city="x")
    push_id = await ask(http, {"data": DATA, **which})
    await work.do()
    assert post.tokens == [token_of(client) for client in expected]
    assert (await record(http, push_id))["status"] == "done"


async def test_a_push_waits_for_its_time(
    http: httpx.AsyncClient, engine: Engine, app: App, work: Work, post: Post, wall: Wall
) -> None:
    await register(engine, app, "ann")
    push_id = await ask(http, {"data": DATA, "push_time": iso_time(NOON + 60_000), "expiration_interval": 60})
    await work.do()
    assert post.brought == []
    waiting = (await http.get("/1.1/scheduledPushMessages")).json()["results"]
    assert waiting == [
        {
            "id": push_id,
            "expire_time": NOON + 120_000,
            "push_msg": {"app-id": "home", "data": DATA, "prod": "prod", "push-time": iso_time(NOON + 60_000)},
        }
    ]
    assert (await http.get(f"/1.1/scheduledPushMessages/{push_id}")).json() == waiting[0]
    assert (await record(http, push_id))["status"] == "scheduled"
    wall.at += 60_000
    assert (await http.get("/1.1/scheduledPushMessages")).json() == {"results": []}
    assert (await http.delete(f"/1.1/scheduledPushMessages/{push_id}")).status_code == 404
    await work.do()
    assert post.brought[0].push.expires_at == NOON + 120_000
    assert (await http.get(f"/1.1/scheduledPushMessages/{push_id}")).status_code == 404


async def test_a_push_that_waits_can_be_taken_back(
    http: httpx.AsyncClient, engine: Engine, app: App, work: Work, post: Post, wall: Wall
) -> None:
    await register(engine, app, "ann")
    push_id = await ask(http, {"data": DATA, "push_time": {"__type": "Date", "iso": iso_time(NOON + 60_000)}})
    assert (await http.delete(f"/1.1/scheduledPushMessages/{push_id}")).json() == {}
    assert (await http.delete(f"/1.1/scheduledPushMessages/{push_id}")).json()["code"] == 101
    wall.at += 60_000
    await work.do()
    assert post.brought == []
    assert (await http.get(f"/1.1/notifications/{push_id}")).status_code == 404


async def test_the_same_request_within_five_minutes_is_one_push(
    http: httpx.AsyncClient, engine: Engine, app: App, work: Work, post: Post, wall: Wall
) -> None:
    await register(engine, app, "ann")
    body = {"data": DATA, "req_id": "abc123", "notification_id": "spring"}
    first = await ask(http, body)
    wall.at += 299_999
    assert await ask(http, body) == first
    wall.at += 1
    assert await ask(http, body) != first
    assert await ask(http, {"data": DATA}) != await ask(http, {"data": DATA})
    await work.do()
    assert len(post.brought) == 4
    assert (await record(http, first))["notification_id"] == "spring"


async def test_the_environment_topic_and_team(
    http: httpx.AsyncClient, engine: Engine, app: App, work: Work, post: Post
) -> None:
    await register(engine, app, "ann", apnsTopic="com.own", apnsTeamId="OWN")
    for body, headers in (
        ({}, {}),
        ({"prod": "dev"}, {}),
        ({}, {"X-LC-Prod": "0"}),
        ({"prod": "prod"}, {"X-LC-Prod": "0"}),
        ({"topic": "com.other", "apns_team_id": "TEAM"}, {}),
    ):
        await ask(http, {"data": DATA, **body}, **headers)
        await work.do()
    seen = [(b.device.environment, b.device.app, b.device.team) for b in post.brought]
    own = ("com.own", "OWN")
    assert seen == [("prod", *own), ("dev", *own), ("dev", *own), ("prod", *own), ("prod", "com.other", "TEAM")]


async def test_devices_that_are_named(
    http: httpx.AsyncClient, engine: Engine, app: App, work: Work, post: Post
) -> None:
    await engine.push_services.set(app, "xiaomi", {"key": "x"})
    await register(engine, app, "ann", badge=4)
    android = {"deviceType": "android", "deviceToken": None, "vendor": "mi", "registrationId": "reg"}
    await register(engine, app, "bob", installationId="i" * 20, **android)
    data = {"alert": "x", "badge": "Increment"}
    ios = {"device_type": "ios", "device_ids": [token_of("ann"), "f" * 64, "f" * 64], "data": data}
    push_id = await ask(http, ios, DEVICES)
    await ask(http, {"device_type": "android", "device_ids": ["i" * 20, "unknown" * 3], "data": DATA}, DEVICES)
    await ask(http, {"device_type": "Android", "device_ids": ["raw"], "vendor": "MI", "data": DATA}, DEVICES)
    await work.do()
    seen = sorted((b.service, b.device.token, b.device.badge) for b in post.brought)
    assert seen == [
        ("apns", token_of("ann"), 5),
        ("apns", "f" * 64, None),
        ("xiaomi", "raw", None),
        ("xiaomi", "reg", None),
    ]
    assert len({b.push.id for b in post.brought}) == 4
    assert (await record(http, push_id))["devices"] == 2


async def test_a_slow_push_goes_out_little_by_little(
    http: httpx.AsyncClient, engine: Engine, app: App, work: Work, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.engine.push_calls.PAGE", 30)
    for number in range(70):
        await register(engine, app, "ann", number)
    await ask(http, {"data": DATA, "flow_control": 10})  # as slow as the slowest: 1,000 a second
    await work.do()
    waiting = [(job.due_at - NOON, len(json.loads(job.body)["devices"])) for job in await work.jobs()]
    assert waiting == [(20, 10), (30, 20), (50, 10), (60, 10)]
    assert len(post.brought) == 20


async def test_pushes_are_listed_for_a_week(http: httpx.AsyncClient, store: Store, wall: Wall, work: Work) -> None:
    ids = [await ask(http, {"data": DATA}) for _ in range(3)]
    await work.do()
    listed = (await http.get("/1.1/notifications")).json()["results"]
    assert [row["objectId"] for row in listed] == ids[::-1]
    page = (await http.get("/1.1/notifications", params={"limit": 1, "skip": 1})).json()["results"]
    assert [row["objectId"] for row in page] == [ids[1]]
    wall.at += 7 * DAY
    await store.prune()
    assert len((await http.get("/1.1/notifications")).json()["results"]) == 3
    wall.at += 1
    await store.prune()
    assert (await http.get("/1.1/notifications")).json() == {"results": []}


async def test_another_apps_pushes_are_not_there(http: httpx.AsyncClient, engine: Engine, answered: Any) -> None:
    push_id = await ask(http, {"data": DATA, "push_time": iso_time(NOON + 60_000)})
    other = await engine.apps.create("other")
    headers = {"X-LC-Id": other.id, "X-LC-Key": f"{other.master_key},master"}
    for method, path in (
        ("GET", f"/1.1/notifications/{push_id}"),
        ("GET", f"/1.1/scheduledPushMessages/{push_id}"),
        ("DELETE", f"/1.1/scheduledPushMessages/{push_id}"),
    ):
        answer = await answered(method, path, headers)
        assert (answer.status_code, answer.json()["code"]) == (404, 101)
    assert (await answered("GET", "/1.1/notifications", headers)).json() == {"results": []}


LONG = "x" * 4_096
WRONG: dict[str, tuple[Any, int, int]] = {
    "no data": ({}, 400, 1),
    "data that is a text": ({"data": "x"}, 400, 1),
    "empty data": ({"data": {}}, 400, 111),
    "a wrong alert": ({"data": {"alert": 1}}, 400, 111),
    "a wrong badge": ({"data": {"alert": "x", "badge": "increment"}}, 400, 111),
    "a wrong platform": ({"data": {"ios": "x"}}, 400, 111),
    "a wrong condition": ({"data": DATA, "where": {"$x": 1}}, 400, 102),
    "a condition that is none": ({"data": DATA, "where": "city"}, 400, 102),
    "a condition of another type": ({"data": DATA, "where": 1}, 400, 1),
    "channels that are none": ({"data": DATA, "channels": "ann"}, 400, 1),
    "no channels": ({"data": DATA, "channels": []}, 400, 1),
    "channels of numbers": ({"data": DATA, "channels": [1]}, 400, 1),
    "too many channels": ({"data": DATA, "channels": ["a"] * 501}, 400, 1),
    "a time that is none": ({"data": DATA, "push_time": "soon"}, 400, 1),
    "a time of another type": ({"data": DATA, "push_time": 1}, 400, 1),
    "an end that is none": ({"data": DATA, "expiration_time": "soon"}, 400, 1),
    "an end that is over": ({"data": DATA, "expiration_time": "2001-01-01T00:00:00.000Z"}, 400, 111),
    "an interval that is none": ({"data": DATA, "expiration_interval": "x"}, 400, 1),
    "no interval": ({"data": DATA, "expiration_interval": 0}, 400, 1),
    "two ends": ({"data": DATA, "expiration_interval": 9, "expiration_time": "2041-01-01T00:00:00.000Z"}, 400, 1),
    "an environment that is none": ({"data": DATA, "prod": "test"}, 400, 1),
    "a request id that is none": ({"data": DATA, "req_id": "a-b"}, 400, 1),
    "a long request id": ({"data": DATA, "req_id": "a" * 17}, 400, 1),
    "a notification id that is none": ({"data": DATA, "notification_id": 1}, 400, 1),
    "a flow that is none": ({"data": DATA, "flow_control": "fast"}, 400, 1),
    "a topic that is none": ({"data": DATA, "topic": 1}, 400, 1),
    "a team that is none": ({"data": DATA, "apns_team_id": []}, 400, 1),
    "a long body": ({"data": {"alert": LONG}}, 413, 1),
    "no object": ([], 400, 107),
}


@pytest.mark.parametrize(("body", "status", "code"), WRONG.values(), ids=WRONG)
async def test_what_is_refused(http: httpx.AsyncClient, work: Work, body: Any, status: int, code: int) -> None:
    answer = await http.post(PUSH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await work.jobs() == []
    assert (await http.get("/1.1/notifications")).json() == {"results": []}


async def test_the_longest_body(http: httpx.AsyncClient) -> None:
    body = json.dumps({"data": {"alert": ""}})
    for more, status in ((4_095, 200), (4_096, 413)):
        content = body.replace('""', '"' + "x" * (more - len(body)) + '"')
        assert len(content) == more
        assert (await http.post(PUSH, content=content)).status_code == status


NAMED = {"device_type": "ios", "device_ids": ["f" * 64], "data": DATA}
WRONG_DEVICES: dict[str, Any] = {
    "no type": {"device_type": None},
    "another type": {"device_type": "web"},
    "no devices": {"device_ids": []},
    "devices that are none": {"device_ids": [1]},
    "an empty one": {"device_ids": [""]},
    "too many": {"device_ids": ["x"] * 501},
    "a maker of a phone without one": {"vendor": "mi"},
    "no maker": {"device_type": "android", "vendor": "acme"},
    "no data": {"data": None},
}


@pytest.mark.parametrize("change", WRONG_DEVICES.values(), ids=WRONG_DEVICES)
async def test_named_devices_that_are_refused(http: httpx.AsyncClient, work: Work, change: Any) -> None:
    answer = await http.post(DEVICES, json={**NAMED, **change})
    assert (answer.status_code, answer.json()["code"]) == (400, 1)
    assert await work.jobs() == []


@pytest.mark.parametrize(("path", "body"), [(PUSH, {"data": DATA}), (DEVICES, NAMED)], ids=["push", "devices"])
async def test_clients_push_only_where_the_app_lets_them(
    engine: Engine, app: App, answered: Any, path: str, body: Any
) -> None:
    key = {"X-LC-Id": "home", "X-LC-Key": "home-key"}
    assert (await answered("POST", path, key, body)).status_code == 403
    await engine.apps.change(app.id, {"push_by_clients": "on"})
    assert (await answered("POST", path, key, body)).status_code == 200
    assert (await answered("POST", path, {"X-LC-Id": "home"}, body)).status_code == 401
    assert (await answered("GET", "/1.1/notifications", key)).status_code == 403


async def test_pushes_have_a_budget_if_the_app_wants_it(http: httpx.AsyncClient, engine: Engine, app: App) -> None:
    await engine.apps.change(app.id, {"rest_push_rate": "2"})
    statuses = [(await http.post(PUSH, json={"data": DATA})).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_no_more_pushes_wait_than_the_queue_holds(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.engine.push_calls.WAITING_MAX", 2)
    later = {"data": DATA, "push_time": iso_time(NOON + 60_000)}
    answers = [await http.post(PUSH, json=body) for body in (later, later, later, {"data": DATA})]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 200]


async def test_a_browser_learns_the_public_key(calling: Calling, engine: Engine, app: App) -> None:
    async with calling() as http:
        http.headers.update({"X-LC-Id": "home", "X-LC-Key": "home-key"})
        assert (await http.get("/1.1/push/vapid")).status_code == 404
        await engine.push_services.set(app, "web_push", {"key": "k"})
        assert (await http.get("/1.1/push/vapid")).json() == {"publicKey": "public k"}


KEYS = {"p256dh": "B" + "A" * 86, "auth": "A" * 22}
BROWSER = {"deviceType": "web", "deviceToken": "https://push.example/abcdef", "pushKeys": KEYS, "channels": ["ann"]}
WRONG_BROWSERS: dict[str, Any] = {
    "no endpoint": {"deviceToken": None, "installationId": "i" * 20},
    "an endpoint that is no URL": {"deviceToken": "x" * 64},
    "another scheme": {"deviceToken": "javascript:alert(1)"},
    "no keys": {"pushKeys": None},
    "one key": {"pushKeys": {"auth": KEYS["auth"]}},
    "a short key": {"pushKeys": {**KEYS, "p256dh": "AAAA"}},
    "a key that is none": {"pushKeys": {**KEYS, "auth": "!" * 22}},
    "keys of another type": {"pushKeys": {**KEYS, "auth": 1}},
}


async def test_a_browser_registers(calling: Calling, app: App) -> None:
    async with calling() as http:
        http.headers.update({"X-LC-Id": "home", "X-LC-Key": "home-key"})
        made = await http.post("/1.1/installations", json=BROWSER)
        assert made.status_code == 201
        row = (await http.get(f"/1.1/installations/{made.json()['objectId']}")).json()
        assert row.keys().isdisjoint({"deviceToken", "pushKeys"})
        again = await http.post("/1.1/installations", json={**BROWSER, "channels": ["bob"]})
        assert (again.status_code, again.json()["objectId"]) == (200, made.json()["objectId"])


@pytest.mark.parametrize("change", WRONG_BROWSERS.values(), ids=WRONG_BROWSERS)
async def test_browsers_that_are_refused(http: httpx.AsyncClient, change: Any) -> None:
    answer = await http.post("/1.1/installations", json={**BROWSER, **change})
    assert (answer.status_code, answer.json()["code"]) == (400, 111)
