"""Missed notifications over HTTP: every key each SDK looks for, and every way to ask wrongly."""

import asyncio
import hashlib
from typing import Any

import httpx
import pytest

from hongyan.api.site import Site
from hongyan.engine.engine import Engine
from hongyan.engine.values import App, Arrived, Draft
from tests.api.conftest import Calling

PATH = "/1.1/rtm/notifications"
HEADERS = (
    "X-LC-Id, X-LC-Key, X-LC-Sign, X-LC-IM-Session-Token, X-LC-Session, X-LC-Prod, X-LC-UA, Content-Type, User-Agent"
)


def token(engine: Engine, app: App, client: str) -> str:
    return engine.sessions.issue(app, engine.sessions.new_ticket(client, "", "", 0))[0]


@pytest.fixture
def headers(engine: Engine, app: App) -> dict[str, str]:
    """Those of `bob` in a JavaScript SDK."""
    return {"X-LC-Id": "home", "X-LC-Key": "home-key", "X-LC-IM-Session-Token": token(engine, app, "bob")}


def signed(key: str, mark: str = "", time: str = "1700000000000") -> str:
    digest = hashlib.md5((time + key).encode(), usedforsecurity=False).hexdigest()
    return ",".join(filter(None, [digest, time, mark]))


async def talk(engine: Engine, app: App) -> tuple[str, int]:
    """A conversation of ann and bob of which much was changed, and a time before it."""
    before = engine.clock.now()
    while engine.clock.now() == before:
        pass
    made: list[Any] = []
    await engine.conversations.start(app, "ann", ["bob"], "", unique=False, reply=lambda *reply: made.append(reply[0]))
    cid = made[0].id
    await engine.conversations.add(app, "ann", cid, ["cem"], made.append)
    await engine.info.update(app, "ann", cid, '{"attr.名":{"__op":"Add","objects":[1]}}', None, made.append)
    await engine.conversations.remove(app, "ann", cid, ["cem"], made.append)
    await engine.conversations.remove(app, "bob", cid, ["bob"], made.append)
    await engine.conversations.add(app, "ann", cid, ["bob"], made.append)
    return cid, before


async def test_one_answer_has_what_each_sdk_looks_for(
    calling: Calling, engine: Engine, app: App, headers: dict[str, str]
) -> None:
    cid, before = await talk(engine, app)
    query = {"client_id": "ann", "start_ts": str(before)}
    answer = await calling().get(
        PATH, params=query, headers={**headers, "X-LC-IM-Session-Token": token(engine, app, "ann")}
    )
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert set(body) == {"hasMore", "notifications", "permanent", "droppable"}
    assert body["permanent"] == {"notifications": body["notifications"], "hasMore": False}
    (joined,) = body["notifications"]
    common = {"cmd": "conv", "cid": cid, "initBy": "ann"}
    assert joined.items() >= {**common, "op": "joined", "notificationType": 1}.items()
    droppable = body["droppable"]["notifications"]
    assert body["droppable"]["invalidLocalConvCache"] is False
    assert [(item["op"], item.get("m")) for item in droppable] == [
        ("members-joined", ["ann", "bob"]),
        ("members-joined", ["cem"]),
        ("updated", None),
        ("members-left", ["cem"]),
        ("members-left", ["bob"]),
        ("members-joined", ["bob"]),
    ]
    updated = droppable[2]
    assert updated.items() >= {**common, "notificationType": 2}.items()
    assert updated["attr"] == {"attr.名": {"__op": "Add", "objects": [1]}}
    assert updated["attrModified"] == {"attr": {"名": [1]}}
    for item in [joined, *droppable]:
        assert type(item["serverTs"]) is int
        assert item["serverTs"] > before
        assert len(item["udate"]) == len("2026-01-31T08:00:00.000Z")
    times = [item["serverTs"] for item in droppable]
    assert times == sorted(set(times))
    assert joined["serverTs"] == times[0]


async def test_a_sender_is_told_of_receipts(
    calling: Calling, engine: Engine, app: App, headers: dict[str, str]
) -> None:
    """Those of its own messages, as they would have come over the websocket."""
    made: list[Any] = []
    await engine.conversations.start(app, "bob", ["ann"], "", unique=False, reply=lambda *reply: made.append(reply[0]))
    cid, sent = made[0].id, asyncio.get_running_loop().create_future()
    engine.messages.send(app, "bob", cid, Draft("hello", receipt=True), sent.set_result)
    place = await sent
    received = asyncio.Event()
    engine.receipts.received(app, "ann", cid, Arrived(place.timestamp, place.timestamp, place.id), received.set)
    await received.wait()
    await engine.unread.mark_read(app, "ann", cid, "", None)
    query = {"client_id": "bob", "start_ts": str(place.timestamp - 1), "notification_type": "droppable"}
    body = (await calling().get(PATH, params=query, headers=headers)).json()
    receipts = [item for item in body["droppable"]["notifications"] if item["cmd"] == "rcp"]
    common = {"cmd": "rcp", "cid": cid, "notificationType": 2, "id": place.id, "from": "ann"}
    assert [item.pop("t") == item.pop("serverTs") for item in receipts] == [True, True]
    assert receipts == [common, {**common, "read": True}]
    query["client_id"] = "ann"
    of_ann = {**headers, "X-LC-IM-Session-Token": token(engine, app, "ann")}
    body = (await calling().get(PATH, params=query, headers=of_ann)).json()
    assert [item for item in body["droppable"]["notifications"] if item["cmd"] == "rcp"] == []


async def test_a_sender_is_told_of_no_receipts_in_a_group(
    calling: Calling, engine: Engine, app: App, headers: dict[str, str]
) -> None:
    """As over the websocket: a large one would push out all others."""
    made: list[Any] = []
    await engine.conversations.start(
        app, "bob", ["ann", "cem"], "", unique=False, reply=lambda *reply: made.append(reply[0])
    )
    sent = asyncio.get_running_loop().create_future()
    engine.messages.send(app, "bob", made[0].id, Draft("hello", receipt=True), sent.set_result)
    place = await sent
    await engine.unread.mark_read(app, "ann", made[0].id, "", None)
    query = {"client_id": "bob", "start_ts": str(place.timestamp - 1), "notification_type": "droppable"}
    assert (await calling().get(PATH, params=query, headers=headers)).json()["droppable"]["notifications"] == []


async def test_only_later_ones_of_the_kind_asked_for(
    calling: Calling, engine: Engine, app: App, headers: dict[str, str]
) -> None:
    _, before = await talk(engine, app)
    client = calling()

    async def ask(start_ts: int, kind: str | None = None) -> dict[str, Any]:
        query = {"client_id": "bob", "start_ts": str(start_ts)} | ({"notification_type": kind} if kind else {})
        answer = await client.get(PATH, params=query, headers=headers)
        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        return body

    everything = await ask(before)
    assert [item["op"] for item in everything["notifications"]] == ["joined", "left", "joined"]
    assert [item["m"] for item in everything["droppable"]["notifications"]] == [["bob"]]
    permanent, droppable = await ask(before, "permanent"), await ask(before, "droppable")
    assert permanent["notifications"] == everything["notifications"]
    assert permanent["droppable"]["notifications"] == []
    assert droppable["droppable"]["notifications"] == everything["droppable"]["notifications"]
    assert (droppable["notifications"], droppable["hasMore"]) == ([], False)
    first = everything["notifications"][0]["serverTs"]
    assert [item["op"] for item in (await ask(first))["notifications"]] == ["left", "joined"]
    late = await ask(engine.clock.now() + 60_000)
    assert (late["notifications"], late["droppable"]) == ([], {"notifications": [], "invalidLocalConvCache": False})
    assert (await ask(0))["droppable"]["invalidLocalConvCache"] is True


MASTER = "the-master-key"
GOOD = {
    "no key": {},
    "the app's key": {"X-LC-Key": "home-key"},
    "the app's key of old SDKs": {"X-AVOSCloud-Application-Key": "home-key"},
    "the master key": {"X-LC-Key": f"{MASTER},master"},
    "the master key of old SDKs": {"X-Uluru-Master-Key": MASTER},
    "a signature": {"X-LC-Sign": signed("home-key")},
    "a signature in capitals": {"X-LC-Sign": signed("home-key").upper()},
    "a signature with the master key": {"X-LC-Sign": signed(MASTER, "master")},
    "a signature of an Android app": {"X-LC-Sign": signed("another", "ax-sig-1")},
    "other headers of SDKs": {"X-LC-Session": "x", "X-LC-Prod": "1", "X-LC-UA": "js/5"},
}
BAD = {
    "a wrong key": {"X-LC-Key": "home-ke"},
    "an empty key": {"X-LC-Key": ""},
    "a key that is no text": {"X-LC-Key": "\u00e9"},
    "the master key without its mark": {"X-LC-Key": MASTER},
    "the app's key as the master key": {"X-LC-Key": "home-key,master"},
    "an unknown mark": {"X-LC-Key": "home-key,admin"},
    "a wrong master key of old SDKs": {"X-Uluru-Master-Key": "home-key"},
    "a signature with another key": {"X-LC-Sign": signed("another")},
    "a signature of another time": {"X-LC-Sign": signed("home-key").replace(",17", ",18")},
    "a signature with the app's key as the master's": {"X-LC-Sign": signed("home-key", "master")},
    "a signature with an unknown mark": {"X-LC-Sign": signed("home-key", "admin")},
    "no signature in it": {"X-LC-Sign": ","},
    "one key right, one wrong": {"X-LC-Key": "home-key", "X-LC-Sign": signed("another")},
}


@pytest.fixture
def master(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "master_key", MASTER)


@pytest.mark.usefixtures("master")
@pytest.mark.parametrize(
    ("given", "status"),
    [*((headers, 200) for headers in GOOD.values()), *((headers, 401) for headers in BAD.values())],
    ids=[*GOOD, *BAD],
)
async def test_a_key_may_be_left_out_but_not_be_wrong(
    calling: Calling, headers: dict[str, str], given: dict[str, str], status: int
) -> None:
    del headers["X-LC-Key"]
    raw = {name: value.encode() for name, value in {**headers, **given}.items()}
    answer = await calling().get(PATH, params={"client_id": "bob", "start_ts": "0"}, headers=raw)
    assert answer.status_code == status
    if status != 200:
        assert_failure(answer, status, status)


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"X-LC-Id": None}, 401, 401),
        ({"X-LC-Id": ""}, 401, 401),
        ({"X-LC-Id": "nowhere"}, 404, 4100),
        ({"X-LC-Id": None, "X-Uluru-Application-Id": "nowhere"}, 404, 4100),
        ({"X-LC-IM-Session-Token": None}, 401, 4112),
        ({"X-LC-IM-Session-Token": ""}, 401, 4112),
        ({"X-LC-IM-Session-Token": "a.b.c"}, 401, 4112),
        ({"X-LC-IM-Session-Token": "é" * 5000}, 401, 4112),
    ],
)
async def test_app_and_session_are_needed_inferred(
    calling: Calling, headers: dict[str, str], given: dict[str, str | None], status: int, code: int
) -> None:
    sent = {name: value.encode() for name, value in {**headers, **given}.items() if value is not None}
    answer = await calling().get(PATH, params={"client_id": "bob", "start_ts": "0"}, headers=sent)
    assert_failure(answer, status, code)


async def test_a_session_opens_its_own_clients_notifications_only(
    calling: Calling, engine: Engine, app: App, headers: dict[str, str]
) -> None:
    client = calling()
    other = await engine.apps.create("other", id="other", key="other-key")
    query = {"client_id": "bob", "start_ts": "0"}
    ticket = engine.sessions.new_ticket("bob", "", "", 0)
    of_another_app, _ = engine.sessions.issue(other, ticket)
    voided, ticket = engine.sessions.issue(app, ticket)
    await engine.sessions.revoke(ticket)
    for wrong in (token(engine, app, "ann"), of_another_app, voided):
        answer = await client.get(PATH, params=query, headers={**headers, "X-LC-IM-Session-Token": wrong})
        assert_failure(answer, 401, 4112)
    assert_failure(await client.get(PATH, params={**query, "client_id": "ann"}, headers=headers), 401, 4112)


@pytest.mark.parametrize(
    "query",
    [
        {"start_ts": "0"},
        {"client_id": "", "start_ts": "0"},
        {"client_id": "bob"},
        *(
            {"client_id": "bob", "start_ts": value}
            for value in ["", "x", "-1", "1.5", "1e3", " 1", "٣", "1" * 16, "1" * 5_000, "0x10", "null", "1_000"]
        ),
        *(
            {"client_id": "bob", "start_ts": "0", "notification_type": value}
            for value in ["", "all", "Permanent", "permanent,droppable"]
        ),
    ],
)
async def test_wrong_parameters(calling: Calling, headers: dict[str, str], query: dict[str, str]) -> None:
    assert_failure(await calling().get(PATH, params=query, headers=headers), 400, 400)


async def test_more_than_the_rate_is_refused(
    calling: Calling, engine: Engine, app: App, headers: dict[str, str]
) -> None:
    client = calling()
    query = {"client_id": "bob", "start_ts": "0", "notification_type": "permanent"}
    stranger = {**headers, "X-LC-IM-Session-Token": "x"}
    for _ in range(130):  # what a stranger does is not counted as bob's
        assert (await client.get(PATH, params=query, headers=stranger)).status_code == 401
    statuses = [(await client.get(PATH, params=query, headers=headers)).status_code for _ in range(110)]
    assert set(statuses) == {200}
    while (answer := await client.get(PATH, params=query, headers=headers)).status_code == 200:
        pass
    assert_failure(answer, 429, 4318)
    own = {**headers, "X-LC-IM-Session-Token": token(engine, app, "ann")}
    assert (await client.get(PATH, params={**query, "client_id": "ann"}, headers=own)).status_code == 200


async def test_other_methods_and_times(calling: Calling, site: Site, headers: dict[str, str]) -> None:
    query = {"client_id": "bob", "start_ts": "0"}
    assert_failure(await calling().post(PATH, params=query, headers=headers), 405, 405)
    site.ready = False
    assert_failure(await calling().get(PATH, params=query, headers=headers), 503, 503)


async def test_a_browser_on_any_site_may_ask(calling: Calling, headers: dict[str, str]) -> None:
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": HEADERS,
    }
    preflight = await calling().options(PATH, headers=asked)
    assert preflight.is_success
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    allowed = {name.lower() for name in preflight.headers["Access-Control-Allow-Headers"].split(", ")}
    assert {name.lower() for name in HEADERS.split(", ")} <= allowed
    for given in (headers, {}):
        answer = await calling().get(
            PATH, params={"client_id": "bob", "start_ts": "0"}, headers={**given, "Origin": "https://shop.example"}
        )
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def assert_failure(answer: httpx.Response, status: int, code: int) -> None:
    assert answer.status_code == status
    body = answer.json()
    assert set(body) == {"code", "error"}
    assert body["code"] == code
    assert body["error"].endswith(".")


async def test_blocks_in_the_spelling_of_the_sdks(
    calling: Calling, engine: Engine, app: App, headers: dict[str, str]
) -> None:
    made: list[Any] = []
    await engine.conversations.start(
        app, "ann", ["bob", "cem"], "", unique=False, reply=lambda *reply: made.append(reply[0])
    )
    cid, before = made[0].id, engine.clock.now()
    while engine.clock.now() == before:
        pass
    for client in ("cem", "bob"):
        await engine.blacklists.block(app, "ann", cid, [client], made.append)
        await engine.blacklists.unblock(app, "ann", cid, [client], made.append)

    async def told(client: str) -> list[dict[str, Any]]:
        query = {"client_id": client, "start_ts": str(before), "notification_type": "droppable"}
        own = {**headers, "X-LC-IM-Session-Token": token(engine, app, client)}
        body = (await calling().get(PATH, params=query, headers=own)).json()
        items: list[dict[str, Any]] = body["droppable"]["notifications"]
        assert all(item["cid"] == cid and item["initBy"] == "ann" for item in items)
        return items

    of_ann = [(item["op"], item["m"]) for item in await told("ann") if item["op"] != "members-left"]
    assert of_ann == [
        ("members-blocked", ["cem"]),
        ("members-unblocked", ["cem"]),
        ("members-blocked", ["bob"]),
        ("members-unblocked", ["bob"]),
    ]
    assert [item["op"] for item in await told("bob")] == ["blocked", "unblocked"]
