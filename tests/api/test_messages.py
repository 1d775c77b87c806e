"""History over HTTP: who may read it, which part is read, and every way to ask wrongly."""

import asyncio
import hmac
from typing import Any

import httpx
import pytest

from hongyan.api.site import Site
from hongyan.engine import history
from hongyan.engine.engine import Engine
from hongyan.engine.values import App, Draft, Stored
from hongyan.store import Store
from tests.api.conftest import Calling
from tests.api.test_notifications import assert_failure, signed, token

MASTER = "the-master-key"
WITH_MASTER_KEY = {"X-LC-Id": "home", "X-LC-Key": f"{MASTER},master"}
WITH_APP_KEY = {"X-LC-Id": "home", "X-LC-Key": "home-key"}


@pytest.fixture
def app(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> App:
    found = engine.apps.get("home")
    assert found is not None
    monkeypatch.setattr(found, "master_key", MASTER)
    return found


async def say(engine: Engine, app: App, sender: str, cid: str, content: str | bytes) -> Stored:
    sent = asyncio.get_running_loop().create_future()
    engine.messages.send(app, sender, cid, Draft(content), sent.set_result)
    place = await sent
    assert isinstance(place, Stored)
    return place


async def start(engine: Engine, app: App, *members: str) -> str:
    made: list[Any] = []
    await engine.conversations.start(
        app, members[0], members, "", unique=False, reply=lambda *reply: made.append(reply[0].id)
    )
    return str(made[0])


@pytest.fixture
async def cid(engine: Engine, app: App) -> str:
    """A conversation of ann and bob."""
    return await start(engine, app, "ann", "bob")


def path(cid: str) -> str:
    return f"/1.2/rtm/conversations/{cid}/messages"


async def read(calling: Calling, cid: str, **query: str | int) -> list[dict[str, Any]]:
    answer = await calling().get(path(cid), params=query, headers=WITH_MASTER_KEY)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def texts(records: list[dict[str, Any]]) -> list[str]:
    return [record["data"] for record in records]


# what is read


async def test_records_the_newest_first(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    first = await say(engine, app, "ann", cid, "鸿雁")
    second = await say(engine, app, "bob", cid, b"\x00\xff")
    answer = await calling().get(path(cid), headers=WITH_MASTER_KEY)
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("application/json", "no-store")
    common = {"to": cid, "conv-id": f"{cid}00000000", "is-conv": True, "is-room": False, "from-ip": None}
    assert answer.json() == [
        {**common, "msg-id": second.id, "timestamp": second.timestamp, "from": "bob", "data": "AP8=", "bin": True},
        {**common, "msg-id": first.id, "timestamp": first.timestamp, "from": "ann", "data": "鸿雁", "bin": False},
    ]
    assert await read(calling, await start(engine, app, "ann")) == []


@pytest.mark.parametrize(
    ("direction", "query", "expected"),
    [
        ("older", {}, ["m2"]),
        ("older", {"include_start": "true"}, ["m3", "m2"]),
        ("older", {"include_stop": "true"}, ["m2", "m1"]),
        ("older", {"include_start": "true", "include_stop": "true"}, ["m3", "m2", "m1"]),
        ("newer", {}, ["m2"]),
        ("newer", {"include_start": "true", "include_stop": "false"}, ["m1", "m2"]),
        ("newer", {"include_stop": "true"}, ["m2", "m3"]),
    ],
)
@pytest.mark.parametrize("with_ids", [True, False])
async def test_bounds_inferred(
    calling: Calling,
    engine: Engine,
    app: App,
    cid: str,
    direction: str,
    query: dict[str, str],
    expected: list[str],
    with_ids: bool,
) -> None:
    """Without ids the times alone are bounds, included or not."""
    m1, _, m3 = [await say(engine, app, "ann", cid, f"m{number}") for number in (1, 2, 3)]
    one, other = (m3, m1) if direction == "older" else (m1, m3)
    bounds: dict[str, str | int] = {"timestamp": one.timestamp, "till_timestamp": other.timestamp, **query}
    if with_ids:
        bounds |= {"msgid": one.id, "till_msgid": other.id}
    if direction == "newer":
        bounds["reversed"] = "true"
    assert texts(await read(calling, cid, **bounds)) == expected


async def test_words_in_a_query_are_taken_in_any_case_inferred(
    calling: Calling, engine: Engine, app: App, cid: str
) -> None:
    """LeanCloud's Python SDK writes `True`."""
    for text in ("one", "two"):
        await say(engine, app, "ann", cid, text)
    assert texts(await read(calling, cid, reversed="True")) == ["one", "two"]
    assert texts(await read(calling, cid, reversed="False")) == ["two", "one"]


async def test_one_bound_or_none(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    places = [await say(engine, app, "ann", cid, str(number)) for number in range(4)]
    assert texts(await read(calling, cid, timestamp=places[2].timestamp)) == ["1", "0"]
    assert texts(await read(calling, cid, till_timestamp=places[2].timestamp)) == ["3"]
    assert texts(await read(calling, cid, reversed="true", till_timestamp=places[2].timestamp)) == ["0", "1"]
    assert texts(await read(calling, cid, reversed="true", timestamp=0)) == ["0", "1", "2", "3"]
    assert texts(await read(calling, cid, reversed="true", limit=2)) == ["0", "1"]
    assert texts(await read(calling, cid, limit=2)) == ["3", "2"]
    assert texts(await read(calling, cid, limit=0)) == []
    assert texts(await read(calling, cid, timestamp=0)) == []


@pytest.mark.parametrize("reverse", ["true", "false"])
@pytest.mark.parametrize(
    ("included", "expected"),
    [
        ({}, ["m2"]),
        ({"include_start": "true"}, ["m1", "m2"]),
        ({"include_stop": "true"}, ["m2", "m3"]),
        ({"include_start": "true", "include_stop": "true"}, ["m1", "m2", "m3"]),
    ],
)
async def test_bounds_among_messages_of_one_moment(
    calling: Calling,
    engine: Engine,
    app: App,
    cid: str,
    store: Store,
    reverse: str,
    included: dict[str, str],
    expected: list[str],
) -> None:
    """Ids tell apart what was said in one millisecond: nothing beside a bound is lost."""
    made = [await say(engine, app, "ann", cid, f"m{number}") for number in range(5)]
    at = 1_700_000_000_000
    await store.writer.call(lambda bound: bound.exec_driver_sql(f"UPDATE message SET timestamp = {at}"))
    start, stop, walked = (made[1], made[3], expected) if reverse == "true" else (made[3], made[1], expected[::-1])
    if reverse == "false":  # what is included at the start is now the other end
        flip = {"include_start": "include_stop", "include_stop": "include_start"}
        included = {flip[name]: value for name, value in included.items()}
    bounds = {"timestamp": at, "msgid": start.id, "till_timestamp": at, "till_msgid": stop.id, "reversed": reverse}
    assert texts(await read(calling, cid, **bounds, **included)) == walked


@pytest.mark.parametrize("reverse", ["true", "false"])
async def test_paging_finds_each_message_once(
    calling: Calling, engine: Engine, app: App, cid: str, reverse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a page is read in slices and ends early."""
    monkeypatch.setattr(history, "SLICE", 3)
    monkeypatch.setattr(history, "LONG_CONTENT_MAX", 12)
    await asyncio.gather(*(say(engine, app, "ann", cid, f"{number:03}") for number in range(25)))
    found: list[dict[str, Any]] = []
    bound: dict[str, str | int] = {}
    while page := await read(calling, cid, reversed=reverse, limit=10, **bound):
        assert len(page) in (6, 1)
        found += page
        bound = {"timestamp": page[-1]["timestamp"], "msgid": page[-1]["msg-id"]}
    expected = [f"{number:03}" for number in range(25)]
    assert texts(found) == (expected if reverse == "true" else expected[::-1])


async def test_a_page_has_a_hundred_and_at_most_a_thousand(
    calling: Calling, engine: Engine, app: App, cid: str
) -> None:
    await asyncio.gather(*(say(engine, app, "ann", cid, "x") for _ in range(1_020)))
    for query, count in (({}, 100), ({"limit": "1000"}, 1_000), ({"limit": "1001"}, 1_000), ({"limit": "150"}, 150)):
        assert len(await read(calling, cid, **query)) == count


async def test_a_page_of_long_messages_ends_early(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    await engine.apps.change(app.id, {"message_max": "61440"})
    app.master_key = MASTER
    await asyncio.gather(*(say(engine, app, "ann", cid, "x" * 60_000) for _ in range(150)))
    assert len(await read(calling, cid, limit=1_000)) == 100


# who reads it


def signature(app: App, client: str, cid: str, time: int, **other: str) -> dict[str, str]:
    digits = hmac.digest(MASTER.encode(), f"{app.id}:{client}:{cid}:n:{time}".encode(), "sha1").hex()
    return {"client_id": client, "nonce": "n", "signature_ts": str(time), "signature": digits, **other}


async def test_members_read_by_signature(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    await engine.apps.change(app.id, {"sign_history": "on"})
    await say(engine, app, "ann", cid, "hi")
    now = engine.clock.now()
    headers = {**WITH_APP_KEY, "X-LC-IM-Session-Token": token(engine, app, "ann")}
    good = signature(app, "ann", cid, now)
    for given in (WITH_APP_KEY, headers, {"X-LC-Id": "home", "X-LC-Sign": signed("home-key")}):
        answer = await calling().get(path(cid), params=good, headers=given)
        assert texts(answer.json()) == ["hi"]
        for wrong in (
            {},
            {"client_id": "ann"},
            {**good, "client_id": "bob"},
            {**good, "nonce": "m"},
            {**good, "signature": "x"},
            {**good, "signature_ts": str(now + 1)},
            {**good, "signature_ts": "x" * 5_000},
            signature(app, "ann", cid, now - 6 * 3_600_000 - 60_000),
        ):
            if given is headers and wrong.get("client_id") != "ann":
                continue  # the token is refused before
            assert_failure(await calling().get(path(cid), params=wrong, headers=given), 401, 4302)
    stranger = signature(app, "eve", cid, now)
    assert_failure(await calling().get(path(cid), params=stranger, headers=WITH_APP_KEY), 400, 4312)


async def test_the_master_key_needs_neither(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    await engine.apps.change(app.id, {"sign_history": "on", "sign_login": "on"})
    for headers in (
        {"X-LC-Key": f"{MASTER},master"},
        {"X-LC-Sign": signed(MASTER, "master")},
        {"X-Uluru-Master-Key": MASTER},
        {"X-LC-Key": "home-key", "X-AVOSCloud-Master-Key": MASTER},
    ):
        for query in ({}, {"client_id": "eve", "signature": "x"}):
            answer = await calling().get(path(cid), params=query, headers={"X-LC-Id": "home", **headers})
            assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-LC-Key": ""},
        {"X-LC-Key": "wrong"},
        {"X-LC-Key": MASTER},
        {"X-LC-Key": "home-key,master"},
        {"X-LC-Key": "master"},
        {"X-LC-Sign": signed("home-key", "master")},
        {"X-LC-Sign": signed("anything", "ax-sig-1")},
        {"X-AVOSCloud-Master-Key": "home-key"},
        {"X-LC-IM-Session-Token": "x"},
    ],
)
async def test_without_a_key_nothing_is_read(calling: Calling, app: App, cid: str, headers: dict[str, str]) -> None:
    answer = await calling().get(path(cid), params={"client_id": "ann"}, headers={"X-LC-Id": "home", **headers})
    assert_failure(answer, 401, 401)


async def test_an_app_key_that_is_called_master_is_none(
    calling: Calling, app: App, cid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "app_key", "master")
    headers = {"X-LC-Id": "home", "X-LC-Key": "master"}
    assert_failure(await calling().get(path(cid), headers=headers), 400, 1)


async def test_without_signatures_members_are_named(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    """As they are at a login then; a signature, also a wrong one, is ignored."""
    await say(engine, app, "ann", cid, "hi")
    for query in ({"client_id": "bob"}, {"client_id": "bob", "signature": "wrong", "signature_ts": "5"}):
        answer = await calling().get(path(cid), params=query, headers=WITH_APP_KEY)
        assert texts(answer.json()) == ["hi"]
    for client, status, code in (("eve", 400, 4312), ("", 400, 1), ("x" * 5_000, 400, 4312)):
        answer = await calling().get(path(cid), params={"client_id": client}, headers=WITH_APP_KEY)
        assert_failure(answer, status, code)


async def test_where_logins_are_signed_a_member_is_not_just_named_inferred(
    calling: Calling, engine: Engine, app: App, cid: str
) -> None:
    await engine.apps.change(app.id, {"sign_login": "on"})
    query = {"client_id": "ann"}
    assert_failure(await calling().get(path(cid), params=query, headers=WITH_APP_KEY), 401, 4302)
    good = signature(app, "ann", cid, engine.clock.now())
    assert (await calling().get(path(cid), params=good, headers=WITH_APP_KEY)).status_code == 200
    for client, status in (("ann", 200), ("bob", 401)):
        headers = {**WITH_APP_KEY, "X-LC-IM-Session-Token": token(engine, app, client)}
        assert (await calling().get(path(cid), params=query, headers=headers)).status_code == status


async def test_a_signature_is_used_up_where_the_app_wants_it(
    calling: Calling, engine: Engine, app: App, cid: str
) -> None:
    await engine.apps.change(app.id, {"sign_history": "on", "signature_once": "on"})
    good = signature(app, "ann", cid, engine.clock.now())
    assert (await calling().get(path(cid), params=good, headers=WITH_APP_KEY)).status_code == 200
    assert_failure(await calling().get(path(cid), params=good, headers=WITH_APP_KEY), 401, 4302)


async def test_more_than_the_rate_is_refused_but_to_the_master_key(
    calling: Calling, engine: Engine, app: App, cid: str
) -> None:
    client, query = calling(), {"client_id": "ann"}
    statuses = [(await client.get(path(cid), params=query, headers=WITH_APP_KEY)).status_code for _ in range(110)]
    assert set(statuses) == {200}
    while (answer := await client.get(path(cid), params=query, headers=WITH_APP_KEY)).status_code == 200:
        pass
    assert_failure(answer, 429, 4318)
    assert (await client.get(path(cid), params=query, headers=WITH_MASTER_KEY)).status_code == 200


# wrong questions


@pytest.mark.parametrize(
    "query",
    [
        *(
            {name: value}
            for name in ("timestamp", "till_timestamp", "limit")
            for value in ("", "x", "-1", "1.5", " 1", "٣", "1" * 16)
        ),
        *({name: value} for name in ("reversed", "include_start", "include_stop") for value in ("", "1", "yes")),
        {"msgid": "x"},
        {"till_msgid": "x"},
        {"msgid": "x", "till_timestamp": "1"},
    ],
)
async def test_wrong_parameters(calling: Calling, app: App, cid: str, query: dict[str, str]) -> None:
    assert_failure(await calling().get(path(cid), params=query, headers=WITH_MASTER_KEY), 400, 1)


@pytest.mark.parametrize("unknown", ["0" * 24, "x", "_tmp:x", "é", "x" * 5_000])
async def test_an_unknown_conversation(calling: Calling, app: App, unknown: str) -> None:
    for headers in (WITH_MASTER_KEY, WITH_APP_KEY):
        answer = await calling().get(path(unknown), params={"client_id": "ann"}, headers=headers)
        assert_failure(answer, 400, 4303)


async def test_a_conversation_of_another_app(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    await engine.apps.create("other", id="other", key="other-key", master_key="other-master-key")
    headers = {"X-LC-Id": "other", "X-LC-Key": "other-master-key,master"}
    assert_failure(await calling().get(path(cid), headers=headers), 400, 4303)


async def test_other_methods_apps_and_times(calling: Calling, site: Site, app: App, cid: str) -> None:
    assert_failure(await calling().put(path(cid), headers=WITH_MASTER_KEY), 405, 405)
    assert_failure(await calling().get(path(cid)), 401, 401)
    assert_failure(await calling().get(path(cid), headers={**WITH_APP_KEY, "X-LC-Id": "nowhere"}), 404, 4100)
    site.ready = False
    assert_failure(await calling().get(path(cid), headers=WITH_MASTER_KEY), 503, 503)


async def test_pages_of_any_site_may_ask(calling: Calling, app: App, cid: str) -> None:
    answer: httpx.Response = await calling().get(
        path(cid), headers={**WITH_MASTER_KEY, "Origin": "https://shop.example"}
    )
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
