"""Roles over HTTP: what SDKs are told, and what an app's own server may set with the master key."""

import dataclasses
import json
from typing import Any

import pytest

from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, RoleChanged
from hongyan.engine.limits import Operation
from hongyan.engine.values import App, ConversationKind
from hongyan.store import Store
from tests.api.conftest import Calling
from tests.api.test_notifications import signed, token
from tests.engine.test_conversations import start
from tests.engine.test_roles import give
from tests.store.steps import on_driver

PATH = "/1.1/classes/_ConversationMemberInfo"


def headers(engine: Engine, app: App, client: str = "bob") -> dict[str, str]:
    return {"X-LC-Id": "home", "X-LC-Key": "home-key", "X-LC-IM-Session-Token": token(engine, app, client)}


def master(app: App) -> dict[str, str]:
    return {"X-LC-Id": "home", "X-LC-Key": f"{app.master_key},master"}


def where(**condition: Any) -> str:
    return json.dumps(condition)


@pytest.fixture
async def cid(engine: Engine, app: App) -> str:
    """A conversation of ann, bob and max, a manager, with another member who was made a member."""
    row = await start(engine, app, "ann", "bob", "eve", "max")
    for client, role in (("max", "Manager"), ("eve", "Member")):
        await give(engine, app, "ann", row.id, client, role)
    return row.id


def settings(app: App, **changes: Any) -> None:
    app.settings = dataclasses.replace(app.settings, **changes)


# of SDKs


async def test_what_sdks_are_told(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    """The JavaScript and Swift way to ask, and that of C#."""
    for form in ({"where": where(cid=cid)}, {"cid": cid}):
        answer = await calling().get(PATH, params={"client_id": "bob", **form}, headers=headers(engine, app))
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        results = answer.json()["results"]
        assert [{**item, "objectId": ""} for item in results] == [
            {"objectId": "", "cid": cid, "clientId": client, "role": role}
            for client, role in (("eve", "Member"), ("max", "Manager"))
        ]
        assert all(len(item["objectId"]) == 24 for item in results)


async def test_a_new_conversation_has_none(calling: Calling, engine: Engine, app: App) -> None:
    row = await start(engine, app, "ann", "bob")
    answer = await calling().get(PATH, params={"client_id": "bob", "cid": row.id}, headers=headers(engine, app))
    assert answer.json() == {"results": []}


async def test_pages_and_one_member(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    """Java asks for pages, and for one member."""

    async def found(**query: Any) -> list[str]:
        answer = await calling().get(
            PATH, params={"client_id": "bob", "where": where(cid=cid), **query}, headers=headers(engine, app)
        )
        return [item["clientId"] for item in answer.json()["results"]]

    assert await found(limit=1) == ["eve"]
    assert await found(limit=1, skip=1) == ["max"]
    assert await found(skip=2) == []
    assert await found(limit=100_000) == ["eve", "max"]
    for key in ("peerId", "clientId"):
        assert await found(where=where(cid=cid, **{key: "max"})) == ["max"]
        assert await found(where=where(cid=cid, **{key: "bob"})) == []


async def test_only_members_see_roles_inferred(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    other = await start(engine, app, "dan", "bob")
    for client, conversation, status, code in (
        ("dan", cid, 403, 4317),
        ("ann", other.id, 403, 4317),
        ("bob", "65f000000000000000000001", 404, 4303),
    ):
        query = {"client_id": client, "where": where(cid=conversation)}
        answer = await calling().get(PATH, params=query, headers=headers(engine, app, client))
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_roles_that_are_off_are_not_for_clients(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    settings(app, roles=False)
    query = {"client_id": "bob", "where": where(cid=cid)}
    answer = await calling().get(PATH, params=query, headers=headers(engine, app))
    assert (answer.status_code, answer.json()["code"]) == (400, 119)


async def test_app_and_session_are_needed(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    right = headers(engine, app)
    for changed, client, status, code in (
        ({"X-LC-Id": ""}, "bob", 401, 401),
        ({"X-LC-Key": "wrong"}, "bob", 401, 401),
        ({"X-LC-IM-Session-Token": "wrong"}, "bob", 401, 4112),
        ({}, "ann", 401, 4112),
        ({}, "", 400, 400),
    ):
        query = {"client_id": client, "where": where(cid=cid)}
        answer = await calling().get(PATH, params=query, headers={**right, **changed})
        assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "{",
        "[]",
        "1",
        "null",
        "{}",
        '{"cid":""}',
        '{"cid":1}',
        '{"cid":{"$ne":"x"}}',
        '{"cid":{"$regex":".*"}}',
        '{"cid":["x"]}',
        '{"cid":"x","role":{"$in":[]}}',
        '{"cid":"x","role":"Owner"}',
        '{"$or":[{"cid":"x"}]}',
        '{"cid":"\\ud800"}',
        '{"cid":' * 500,
    ],
)
async def test_conditions_of_another_form(calling: Calling, engine: Engine, app: App, cid: str, condition: str) -> None:
    answer = await calling().get(PATH, params={"client_id": "bob", "where": condition}, headers=headers(engine, app))
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "error"}


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "1e3", "", "9" * 16])
@pytest.mark.parametrize("name", ["limit", "skip"])
async def test_pages_of_another_form(
    calling: Calling, engine: Engine, app: App, cid: str, name: str, value: str
) -> None:
    query = {"client_id": "bob", "cid": cid, name: value}
    assert (await calling().get(PATH, params=query, headers=headers(engine, app))).status_code == 400


async def test_one_client_asks_so_often(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    settings(app, read_rate=1)
    query = {"client_id": "bob", "cid": cid}
    assert engine.limits.allow(app, "bob", Operation.READ)
    answer = await calling().get(PATH, params=query, headers=headers(engine, app))
    assert (answer.status_code, answer.json()["code"]) == (429, 4318)


async def test_while_the_server_starts(calling: Calling, engine: Engine, app: App, cid: str, site: Any) -> None:
    site.ready = False
    assert (await calling().get(PATH, headers=headers(engine, app))).status_code == 503
    assert (await calling().get(infos(cid), headers=master(app))).status_code == 503


# with the master key


def infos(cid: str, info_id: str | None = None, kind: str = "conversations") -> str:
    path = f"/1.2/rtm/{kind}/{cid}/member-infos"
    return path if info_id is None else f"{path}/{info_id}"


async def test_the_life_of_an_info(calling: Calling, engine: Engine, app: App, cid: str, events: list[Event]) -> None:
    settings(app, roles=False)  # which is for clients
    http, key = calling(), master(app)
    made = await http.post(infos(cid), json={"clientId": "bob", "role": "Manager"}, headers=key)
    assert made.status_code == 200
    assert set(made.json()) == {"updatedAt", "objectId"}
    info_id = made.json()["objectId"]
    (told,) = [event for event in events if isinstance(event, RoleChanged)]
    assert (told.info.client, told.info.id, told.by) == ("bob", info_id, "")
    changed = await http.put(infos(cid, info_id), json={"clientId": "bob", "role": "Member"}, headers=key)
    assert (changed.status_code, changed.json()["objectId"]) == (200, info_id)
    listed = (await http.get(infos(cid), headers=key)).json()["results"]
    assert {"clientId": "bob", "objectId": info_id, "role": "Member"} in listed
    assert len(listed) == 3
    gone = await http.delete(infos(cid, info_id), headers=key)
    assert (gone.status_code, gone.json()) == (200, {})
    for again in (
        await http.delete(infos(cid, info_id), headers=key),
        await http.put(infos(cid, info_id), json={"role": "Member"}, headers=key),
    ):
        assert again.status_code == 404


async def test_lists_of_infos(calling: Calling, app: App, cid: str) -> None:
    async def found(**query: Any) -> list[str]:
        answer = await calling().get(infos(cid), params=query, headers=master(app))
        return [item["clientId"] for item in answer.json()["results"]]

    assert await found() == ["eve", "max"]
    assert await found(limit=1, skip=1) == ["max"]
    assert await found(role="Manager") == ["max"]
    assert await found(role="Owner") == []


@pytest.mark.parametrize(
    ("method", "form", "status", "code"),
    [
        ("POST", {"clientId": "stranger", "role": "Manager"}, 400, 4317),
        ("POST", {"clientId": "ann", "role": "Member"}, 400, 4324),
        ("POST", {"clientId": "bob", "role": "King"}, 400, 4321),
        ("POST", {"clientId": "bob"}, 400, 1),
        ("POST", {"role": "Manager"}, 400, 1),
        ("POST", {"clientId": 1, "role": "Manager"}, 400, 1),
        ("POST", [], 400, 107),
        ("POST", "{", 400, 107),
        ("POST", '{"clientId":"\\ud800","role":"Manager"}', 400, None),
        ("PUT", {"clientId": "eve", "role": "Manager"}, 400, 1),
        ("PUT", {}, 400, 1),
        ("GET", {"role": "King"}, 400, 4321),
        ("GET", {"limit": -1}, 400, 1),
    ],
)
async def test_calls_that_are_refused(
    calling: Calling, engine: Engine, app: App, cid: str, method: str, form: Any, status: int, code: int | None
) -> None:
    before = await engine.roles.page(app, None, cid, 100, 0)
    path = infos(cid, before[1].id) if method == "PUT" else infos(cid)
    sent = {"content": form} if isinstance(form, str) else {"json": form}
    answer = await calling().request(method, path, headers=master(app), **sent)
    assert answer.status_code == status
    assert code in (None, answer.json()["code"])
    assert await engine.roles.page(app, None, cid, 100, 0) == before


async def test_the_master_key_is_needed(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    """Whichever way it is given."""
    for given in (
        {"X-LC-Key": f"{app.master_key},master"},
        {"X-AVOSCloud-Master-Key": app.master_key},
        {"X-LC-Sign": signed(app.master_key, "master")},
    ):
        assert (await calling().get(infos(cid), headers={"X-LC-Id": "home", **given})).status_code == 200
    for given, status in (
        ({"X-LC-Key": "home-key"}, 403),
        ({}, 403),
        ({"X-LC-Key": app.master_key}, 401),
        ({"X-LC-Key": "home-key,master"}, 401),
        ({"X-LC-Sign": signed("home-key")}, 403),
        ({"X-LC-Sign": signed("home-key", "master")}, 401),
        ({"X-LC-Sign": f"{signed('x')},ax-sig-1"}, 403),
    ):
        for method, path in (("GET", infos(cid)), ("POST", infos(cid)), ("DELETE", infos(cid, "x"))):
            answer = await calling().request(method, path, headers={"X-LC-Id": "home", **given})
            assert (answer.status_code, answer.json()["code"]) == (status, status)


async def test_kinds_are_told_apart(calling: Calling, engine: Engine, app: App, cid: str, store: Store) -> None:
    http, key = calling(), master(app)
    wrong = await http.get(infos(cid, kind="chatrooms"), headers=key)
    assert (wrong.status_code, wrong.json()["code"]) == (400, 4316)
    unknown = await http.get(infos("65f000000000000000000001"), headers=key)
    assert (unknown.status_code, unknown.json()["code"]) == (400, 4303)
    await on_driver(
        store, lambda driver: driver.execute("UPDATE conversation SET kind = ?", (int(ConversationKind.CHATROOM),))
    )
    engine.access._cache.clear()
    wrong = await http.get(infos(cid), headers=key)
    assert (wrong.status_code, wrong.json()["code"]) == (400, 4314)
    made = await http.post(infos(cid, kind="chatrooms"), json={"clientId": "guest", "role": "Manager"}, headers=key)
    assert made.status_code == 200
    await engine.silence.impose(app, "guest", cid, ["other"], lambda *_: None)


# as a class of the storage API, with the master key


async def test_the_master_key_sees_all_infos(calling: Calling, engine: Engine, app: App, cid: str) -> None:
    other = await start(engine, app, "ann", "bob")
    await give(engine, app, "ann", other.id, "bob", "Manager")

    async def found(**query: Any) -> list[tuple[str, str]]:
        answer = await calling().get(PATH, params=query, headers=master(app))
        assert answer.status_code == 200
        return [(item["cid"], item["clientId"]) for item in answer.json()["results"]]

    everyone = [(cid, "eve"), (cid, "max"), (other.id, "bob")]
    assert await found() == everyone
    assert await found(limit=2) == everyone[:2]
    assert await found(skip=1, limit=0) == everyone[1:]
    assert await found(where=where(cid=cid)) == await found(cid=cid) == everyone[:2]
    assert await found(where=where(clientId="bob")) == everyone[2:]
    assert await found(where=where(role="Manager", cid=cid)) == [(cid, "max")]
    assert await found(where=where(cid="unknown")) == []


async def test_infos_as_rows_of_which_nobody_is_told(
    calling: Calling, engine: Engine, app: App, cid: str, events: list[Event]
) -> None:
    events.clear()
    http = calling()
    http.headers.update(master(app))
    made = await http.post(PATH, json={"cid": cid, "clientId": "bob", "role": "Manager"})
    assert (made.status_code, made.json().keys()) == (201, {"objectId", "createdAt"})
    one = made.headers["Location"]
    assert one == f"{PATH}/{made.json()['objectId']}"
    row = {"objectId": made.json()["objectId"], "cid": cid, "clientId": "bob", "role": "Manager"}
    assert (await http.get(one)).json() == row
    assert (await http.put(one, json={"role": "Member"})).json().keys() == {"objectId", "updatedAt"}
    assert (await http.get(one)).json() == {**row, "role": "Member"}
    assert (await http.put(one, json={"role": "Member", "cid": "other"})).json()["code"] == 1
    assert (await http.delete(one)).json() == (await http.delete(one)).json() == (await http.get(one)).json() == {}
    lost = await http.put(one, json={"role": "Member"})
    assert (lost.status_code, lost.json()["code"]) == (404, 101)
    assert events == []
    assert (await engine.access.conversation(app, cid)).standings.get("bob") is None


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "?where={", None, 107),
        ("GET", "?where=[]", None, 400),
        ("GET", '?where={"cid":1}', None, 400),
        ("GET", '?where={"x":"y"}', None, 400),
        ("GET", '?where={"role":"King"}', None, 4321),
        ("GET", "?limit=x", None, 1),
        ("POST", "", {"clientId": "bob", "role": "Member"}, 1),
        ("POST", "", {"cid": "unknown", "clientId": "bob", "role": "Member"}, 4303),
        ("POST", "", {"cid": "CID", "clientId": "bob", "role": "King"}, 4321),
        ("POST", "", {"cid": "CID", "clientId": "nobody", "role": "Member"}, 4317),
        ("POST", "", {"cid": "CID", "clientId": "ann", "role": "Member"}, 4324),
    ],
)
async def test_wrong_calls_on_the_class(
    calling: Calling, app: App, cid: str, method: str, path: str, body: Any, code: int
) -> None:
    body = body and {key: value.replace("CID", cid) for key, value in body.items()}
    answer = await calling().request(method, f"{PATH}{path}", headers=master(app), json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("GET", "/x"), ("PUT", "/x"), ("DELETE", "/x")])
async def test_rows_of_infos_need_the_master_key(
    calling: Calling, engine: Engine, app: App, cid: str, method: str, path: str
) -> None:
    settings(app, conversation_read=True, conversation_write=True)
    answer = await calling().request(method, PATH + path, headers=headers(engine, app), json={})
    assert answer.status_code == 403
