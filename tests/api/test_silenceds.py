"""Silence over HTTP, for an app's own server."""

from typing import Any

import pytest

from hongyan import errors
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, SilenceChanged
from hongyan.engine.values import App
from tests.api.conftest import Calling
from tests.api.test_member_infos import master
from tests.engine.test_conversations import start
from tests.engine.test_silence import barred, silenced


@pytest.fixture
async def cid(engine: Engine, app: App) -> str:
    """A conversation of ann, bob and eve."""
    return (await start(engine, app, "ann", "bob", "eve")).id


def path(cid: str, sort: str, kind: str = "conversations") -> str:
    return f"/1.2/rtm/{kind}/{cid}/{sort}-silenceds"


async def test_silence_for_a_time(calling: Calling, engine: Engine, app: App, cid: str, events: list[Event]) -> None:
    http, key = calling(), master(app)
    answer = await http.post(path(cid, "temporary"), json={"client_id": "bob", "ttl": 86_400}, headers=key)
    assert (answer.status_code, answer.json()) == (200, {})
    assert await barred(engine, app, "bob", cid) is errors.CONVERSATION_BLACKLISTED
    answer = await http.delete(path(cid, "temporary"), params={"client_id": "bob"}, headers=key)
    assert (answer.status_code, answer.json()) == (200, {})
    assert await barred(engine, app, "bob", cid) is None
    told = [(event.clients, event.silenced, event.by) for event in events if isinstance(event, SilenceChanged)]
    assert told == [(("bob",), True, ""), (("bob",), False, "")]


async def test_silence_for_ever(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    http, key = calling(), master(app)
    both = {"client_ids": ["bob", "eve"]}
    for _ in range(2):
        answer = await http.post(path(cid, "permanent"), json=both, headers=key)
        assert (answer.status_code, answer.json()) == (200, {})
    assert await barred(engine, app, "bob", cid) is errors.SILIENCED
    answer = await http.request("DELETE", path(cid, "permanent"), json={"client_ids": ["bob"]}, headers=key)
    assert (answer.status_code, answer.json()) == (200, {})
    assert await silenced(engine, app, cid) == ["eve"]


@pytest.mark.parametrize("sort", ["temporary", "permanent"])
@pytest.mark.parametrize("in_body", [True, False])
async def test_silence_is_lifted_by_a_body_or_a_query(
    calling: Calling, engine: Engine, app: App, cid: str, sort: str, in_body: bool
) -> None:
    http, key = calling(), master(app)
    for client in ("bob", "123"):
        clients: dict[str, Any] = (
            {"client_id": client, "ttl": 60} if sort == "temporary" else {"client_ids": [client, "eve"]}
        )
        await http.post(path(cid, sort), json=clients, headers=key)
        assert client in await silenced(engine, app, cid)
        named = {key: value for key, value in clients.items() if key != "ttl"}
        asked = {key: value if isinstance(value, str) else ",".join(value) for key, value in named.items()}
        form: dict[str, Any] = {"json": named} if in_body else {"params": asked}
        answer = await http.request("DELETE", path(cid, sort), headers=key, **form)
        assert (answer.status_code, answer.json()) == (200, {})
        assert await silenced(engine, app, cid) == []


async def test_pages(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    http, key = calling(), master(app)
    everybody = [f"c{number:02}" for number in range(15)]
    await http.post(path(cid, "permanent"), json={"client_ids": everybody}, headers=key)
    await http.post(path(cid, "temporary"), json={"client_id": "aaa", "ttl": 60}, headers=key)
    first = (await http.get(path(cid, "permanent"), headers=key)).json()
    assert first == {"client_ids": everybody[:10], "next": first["next"]}
    query = {"next": first["next"]}
    assert (await http.get(path(cid, "permanent"), params=query, headers=key)).json() == {"client_ids": everybody[10:]}
    query = {"limit": "15"}
    assert (await http.get(path(cid, "permanent"), params=query, headers=key)).json() == {"client_ids": everybody}


@pytest.mark.parametrize(
    ("method", "sort", "form", "code"),
    [
        ("POST", "temporary", {"client_id": "bob"}, 1),
        ("POST", "temporary", {"client_id": "bob", "ttl": "x"}, 1),
        ("POST", "temporary", {"client_id": "bob", "ttl": True}, 1),
        ("POST", "temporary", {"client_id": "bob", "ttl": 1.5}, 1),
        ("POST", "temporary", {"client_id": "bob", "ttl": 0}, 4301),
        ("POST", "temporary", {"client_id": "bob", "ttl": 86_401}, 4301),
        ("POST", "temporary", {"ttl": 60}, 1),
        ("POST", "temporary", {"client_id": "x" * 65, "ttl": 60}, 4301),
        ("DELETE", "temporary", {}, 1),
        ("POST", "permanent", {}, 1),
        ("POST", "permanent", {"client_ids": "bob"}, 1),
        ("POST", "permanent", {"client_ids": [1]}, 1),
        ("POST", "permanent", {"client_ids": []}, 4301),
        ("POST", "permanent", {"client_ids": [str(number) for number in range(501)]}, 4301),
        ("DELETE", "permanent", {"client_ids": [""]}, 4301),
        ("GET", "permanent", {"next": "x"}, 1),
        ("GET", "permanent", {"limit": "-1"}, 1),
    ],
)
async def test_calls_that_are_refused(
    calling: Calling, engine: Engine, app: App, cid: str, method: str, sort: str, form: Any, code: int
) -> None:
    await engine.silence.impose(app, None, cid, ["eve"], lambda *_: None)
    answer = await calling().request(method, path(cid, sort), json=form, headers=master(app))
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert await silenced(engine, app, cid) == ["eve"]


async def test_who_may_call_and_on_what(calling: Calling, app: App, cid: str) -> None:
    form = {"client_ids": ["bob"], "client_id": "bob", "ttl": 60}
    for method, sort in (
        ("POST", "temporary"),
        ("DELETE", "temporary"),
        ("POST", "permanent"),
        ("DELETE", "permanent"),
        ("GET", "permanent"),
    ):
        for place, headers, status, code in (
            (path(cid, sort), {"X-LC-Id": "home", "X-LC-Key": "home-key"}, 403, 403),
            (path(cid, sort, "chatrooms"), master(app), 400, 4316),
            (path("65f000000000000000000001", sort), master(app), 400, 4303),
        ):
            answer = await calling().request(method, place, json=form, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code)


# by the older name of the silence for a time


@pytest.mark.parametrize("version", ["1.1", "1"])
async def test_silence_of_old(calling: Calling, engine: Engine, app: App, cid: str, version: str) -> None:
    http, key, old = calling(), master(app), f"/{version}/rtm/conversation/blacklist"
    answer = await http.post(old, json={"conv_id": cid, "client_id": "bob", "ttl": 60}, headers=key)
    assert (answer.status_code, answer.json()) == (200, {})
    assert await barred(engine, app, "bob", cid) is errors.CONVERSATION_BLACKLISTED
    answer = await http.delete(old, params={"conv_id": cid, "client_id": "bob"}, headers=key)
    assert (answer.status_code, answer.json()) == (200, {})
    assert await barred(engine, app, "bob", cid) is None


async def test_silence_in_a_service_conversation_inferred(calling: Calling, engine: Engine, app: App) -> None:
    service, http, key = (await engine.services.create(app, {})).id, calling(), master(app)
    old = {"conv_id": service, "client_id": "bob", "ttl": 60}
    await http.post("/1.1/rtm/conversation/blacklist", json=old, headers=key)
    assert await barred(engine, app, "bob", service) is errors.CONVERSATION_BLACKLISTED
    assert await barred(engine, app, "eve", service) is None
    permanent = path(service, "permanent", "service-conversations")
    await http.post(permanent, json={"client_ids": ["bob"]}, headers=key)
    assert await barred(engine, app, "bob", service) is errors.SILIENCED
    assert (await http.get(permanent, headers=key)).json() == {"client_ids": ["bob"]}
    await http.request("DELETE", permanent, json={"client_ids": ["bob"]}, headers=key)
    assert await barred(engine, app, "bob", service) is None


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"client_id": "bob", "ttl": 60}, 1),
        ({"conv_id": "CID", "ttl": 60}, 1),
        ({"conv_id": "CID", "client_id": "bob"}, 1),
        ({"conv_id": "CID", "client_id": "bob", "ttl": "x"}, 1),
        ({"conv_id": "CID", "client_id": "bob", "ttl": 0}, 4301),
        ({"conv_id": "CID", "client_id": "bob", "ttl": 86_401}, 4301),
        ({"conv_id": "CID", "client_id": "x" * 65, "ttl": 1}, 4301),
        ({"conv_id": "unknown", "client_id": "bob", "ttl": 1}, 4303),
    ],
)
async def test_calls_of_old_that_are_refused(
    calling: Calling, engine: Engine, app: App, cid: str, form: dict[str, Any], code: int
) -> None:
    form = {key: cid if value == "CID" else value for key, value in form.items()}
    old = "/1.1/rtm/conversation/blacklist"
    answer = await calling().post(old, json=form, headers=master(app))
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert await silenced(engine, app, cid) == []
    headers = {"X-LC-Id": "home", "X-LC-Key": "home-key"}
    for method in ("POST", "DELETE"):
        assert (await calling().request(method, old, json=form, headers=headers)).status_code == 403
