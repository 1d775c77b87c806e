"""Normal conversations and chat rooms over HTTP: rows, members, muting; who may call, and every way to ask wrongly."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from hongyan.engine.engine import Engine
from hongyan.engine.events import ConversationUpdated, Event, MembersJoined, MembersLeft
from hongyan.engine.values import App, Draft, Stored
from hongyan.errors import Refused
from tests.api.conftest import Calling
from tests.support.rest import Rest

GROUPS, ROOMS, SERVICES = (f"/1.2/rtm/{kind}" for kind in ("conversations", "chatrooms", "service-conversations"))
ALL = "/1.2/rtm/all-conversations"
UNKNOWN = "65f000000000000000000009"


@pytest.fixture
async def group(api: Rest) -> str:
    """The path of a group of ann and bob."""
    return f"{GROUPS}/{(await api.call('POST', GROUPS, m=['ann', 'bob']))['objectId']}"


@dataclass(frozen=True, eq=False)
class Login:
    app: App
    client: str
    device: str = ""
    is_open: bool = True


async def seat(engine: Engine, app: App, room: str, *clients: str) -> None:
    conversation = await engine.access.conversation(app, room)
    for client in clients:
        await engine.chatrooms.join(Login(app, client), conversation, [client], lambda _: None)


def told(events: list[Event]) -> list[tuple[Any, ...]]:
    """What clients were told: the change, of whom, and by whom."""
    found: list[tuple[Any, ...]] = []
    for event in events:
        if isinstance(event, MembersJoined):
            found.append(("joined", event.joined, event.by))
        elif isinstance(event, MembersLeft):
            found.append(("left", event.left, event.by))
        elif isinstance(event, ConversationUpdated):
            found.append(("updated", json.loads(event.modified), event.by))
    return found


async def can_write(engine: Engine, app: App, client: str, conversation_id: str) -> bool:
    outcome: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()
    engine.messages.send(app, client, conversation_id, Draft("x"), outcome.set_result)
    return isinstance(await outcome, Stored)


# rows


async def test_a_group_is_made_and_its_members_are_told(api: Rest, events: list[Event]) -> None:
    made = await api.call("POST", GROUPS, name="tea", m=["bob", "ann", "bob"], attr={"a": 1}, color="red", c="cem")
    assert made == {
        "objectId": made["objectId"],
        "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"],
        "name": "tea",
        "m": ["ann", "bob"],
        "attr": {"a": 1},
        "color": "red",
        "c": "cem",
    }
    assert told(events) == [("joined", ("ann", "bob"), "")]
    assert (await api.call("GET", GROUPS))["results"] == [made]


async def test_an_empty_call_makes_a_group_without_members(api: Rest, http: httpx.AsyncClient) -> None:
    answer = await http.post(GROUPS)
    assert (answer.status_code, answer.json()["m"]) == (200, [])


async def test_a_unique_group_is_found_again(api: Rest, events: list[Event]) -> None:
    made = await api.call("POST", GROUPS, m=["bob", "alice"], unique=True)
    assert (made["unique"], made["uniqueId"]) == (True, "ec0048c7d6b5a11cdb261b71a813eff3")
    again = await api.call("POST", GROUPS, m=["alice", "bob"], unique=True, name="x")
    assert again == made
    assert len(told(events)) == 1
    assert (await api.call("POST", GROUPS, m=["alice", "bob"]))["objectId"] != made["objectId"]


async def test_after_a_change_of_members_the_old_set_has_another_inferred(api: Rest) -> None:
    made = await api.call("POST", GROUPS, m=["bob", "alice"], unique=True)
    await api.call("POST", f"{GROUPS}/{made['objectId']}/members", client_ids=["cem"])
    again = await api.call("POST", GROUPS, m=["bob", "alice"], unique=True)
    assert again["objectId"] != made["objectId"]
    (row,) = (await api.call("GET", GROUPS, {"where": json.dumps({"objectId": made["objectId"]})}))["results"]
    assert row["uniqueId"] == made["uniqueId"]


async def test_too_many_members_inferred(api: Rest, engine: Engine) -> None:
    everyone = [f"c{number}" for number in range(501)]
    assert await api.refused("POST", GROUPS, m=everyone) == (400, 4304)
    made = await api.call("POST", GROUPS, m=everyone[:500])
    assert len(made["m"]) == 500
    assert await api.refused("POST", f"{GROUPS}/{made['objectId']}/members", client_ids=["x"]) == (400, 4304)
    assert await api.refused("POST", f"{GROUPS}/{made['objectId']}/members", client_ids=everyone) == (400, 4304)
    await api.call("POST", f"{GROUPS}/{made['objectId']}/members", client_ids=["c1"])


async def test_a_chat_room(api: Rest, events: list[Event]) -> None:
    made = await api.call("POST", ROOMS, name="hall", m=["ann"], unique=True, color="red")
    assert made.keys() == {"objectId", "createdAt"}
    (row,) = (await api.call("GET", ROOMS))["results"]
    assert row == {**made, "updatedAt": made["createdAt"], "name": "hall", "color": "red", "tr": True}
    path = f"{ROOMS}/{made['objectId']}"
    changed = await api.call("PUT", path, name="room")
    assert changed == {"objectId": made["objectId"], "updatedAt": changed["updatedAt"]}
    assert told(events) == [("updated", {"name": "room"}, "")]
    assert await api.call("DELETE", path) == {}
    assert await api.refused("PUT", path, name="x") == (400, 4303)


async def test_an_update_tells_the_members(api: Rest, group: str, events: list[Event]) -> None:
    events.clear()
    changed = await api.call(
        "PUT", group, **{"name": "tea", "attr.a": 1, "n": {"__op": "Increment", "amount": 2}, "bits": 6}
    )
    assert changed.keys() == {"objectId", "updatedAt"}
    await api.call("PUT", group, bits={"__op": "BitAnd", "value": 3}, name={"__op": "Delete"})
    assert told(events) == [
        ("updated", {"name": "tea", "attr": {"a": 1}, "n": 2, "bits": 6}, ""),
        ("updated", {"bits": 2}, ""),
    ]
    (row,) = (await api.call("GET", GROUPS))["results"]
    assert (row["attr"], row["n"], row["bits"], "name" in row) == ({"a": 1}, 2, 2, False)


async def test_a_deleted_group_is_gone(api: Rest, group: str, engine: Engine, app: App) -> None:
    id = group.rpartition("/")[2]
    assert await can_write(engine, app, "ann", id)
    assert await api.call("DELETE", group) == {}
    assert not await can_write(engine, app, "ann", id)
    assert await api.call("GET", GROUPS) == {"results": []}
    assert await api.refused("DELETE", group) == (400, 4303)
    assert await api.refused("GET", f"{group}/members") == (400, 4303)


async def test_nobody_is_left_in_a_deleted_chat_room(api: Rest, engine: Engine, app: App) -> None:
    id = (await api.call("POST", ROOMS))["objectId"]
    conversation = await engine.access.conversation(app, id)
    await seat(engine, app, id, "ann", "bob")
    await api.call("DELETE", f"{ROOMS}/{id}")
    assert engine.chatrooms.count(conversation) == 0
    assert not engine.chatrooms.is_in(app.key, id, "ann")


# queries


@pytest.fixture
async def five(api: Rest) -> list[str]:
    """The ids of five groups, a to e, as they were made; besides there are a chat room and a service conversation."""
    ids = []
    for number, name in enumerate("abcde"):
        made = await api.call("POST", GROUPS, name=name, m=["ann", name], n=number, attr={"k": {"x": number, "y": 0}})
        ids.append(made["objectId"])
    await api.call("POST", ROOMS, name="a")
    await api.call("POST", SERVICES, name="a")
    return ids


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, "abcde"),
        ({"where": '{"n":{"$gte":2},"name":{"$ne":"d"}}'}, "ce"),
        ({"where": '[{"n":{"$gte":2}},{"n":{"$lt":4}}]'}, "cd"),
        ({"where": "[]"}, "abcde"),
        ({"where": '{"m":"c"}'}, "c"),
        ({"where": '{"m":{"$all":["ann","d"]}}'}, "d"),
        ({"where": '{"m":{"$size":2},"attr.k.x":3}'}, "d"),
        ({"where": '{"$or":[{"name":"a"},{"n":4}]}'}, "ae"),
        ({"where": '{"name":{"$regex":"^[AB]","$options":"i"}}'}, "ab"),
        ({"order": "-n"}, "edcba"),
        ({"order": "-n", "limit": "2"}, "ed"),
        ({"order": "n", "limit": "2", "skip": "3"}, "de"),
        ({"limit": "0"}, "abcde"),
        ({"limit": "1001"}, "abcde"),
        ({"limit": "-1"}, "abcde"),
        ({"limit": "many"}, "abcde"),
        ({"skip": "x"}, "abcde"),
        ({"where": '{"tr":true}'}, ""),
        ({"where": '{"sys":true}'}, ""),
        ({"include": "x", "returnACL": "true"}, "abcde"),
    ],
)
async def test_queries(api: Rest, five: list[str], query: dict[str, str], names: str) -> None:
    found = (await api.call("GET", GROUPS, query))["results"]
    assert "".join(row["name"] for row in found) == names


async def test_each_kind_has_its_rows_and_there_is_a_call_for_all(api: Rest, five: list[str]) -> None:
    for path, flags in ((ROOMS, {"tr"}), (SERVICES, {"sys"}), (GROUPS, set())):
        for row in (await api.call("GET", path))["results"]:
            assert row.keys() & {"tr", "sys"} == flags
    assert len((await api.call("GET", ALL))["results"]) == 7
    assert (await api.call("GET", ALL, {"where": '{"tr":true}', "count": "1"}))["count"] == 1


async def test_counting(api: Rest, five: list[str]) -> None:
    assert await api.call("GET", GROUPS, {"count": "1", "limit": "0"}) == {"results": [], "count": 5}
    found = await api.call("GET", GROUPS, {"count": "1", "limit": "2", "where": '{"n":{"$lt":3}}'})
    assert (found["count"], len(found["results"])) == (3, 2)
    assert "count" not in await api.call("GET", GROUPS, {"count": "0"})


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ("name", {"name": "a"}),
        ("name, n", {"name": "a", "n": 0}),
        ("attr.k.x", {"attr": {"k": {"x": 0}}}),
        ("attr,attr.k.x", {"attr": {"k": {"x": 0, "y": 0}}}),
        ("m", {"m": ["a", "ann"]}),
        ("-m,-attr", {"name": "a", "n": 0}),
        ("-m,-attr.k.x,-objectId", {"name": "a", "n": 0, "attr": {"k": {"y": 0}}}),
        ("name.x,nothing", {}),
    ],
)
async def test_keys(api: Rest, five: list[str], keys: str, shown: dict[str, Any]) -> None:
    row = (await api.call("GET", GROUPS, {"keys": keys}))["results"][0]
    assert {key: row.pop(key) for key in ("objectId", "createdAt", "updatedAt")}["objectId"] == five[0]
    assert row == shown


async def test_more_than_fifty_large_groups_in_one_answer(api: Rest) -> None:
    everyone = [f"c{number}" for number in range(500)]
    for _ in range(60):
        await api.call("POST", GROUPS, m=everyone)
    found = (await api.call("GET", GROUPS))["results"]
    assert sum(len(row["m"]) for row in found) == 30_000


# members


async def test_members(api: Rest, group: str, events: list[Event], engine: Engine, app: App) -> None:
    events.clear()
    added = await api.call("POST", f"{group}/members", client_ids=["cem", "ann", "dan"])
    assert added.keys() == {"objectId", "updatedAt"}
    assert await api.call("GET", f"{group}/members") == {"result": ["ann", "bob", "cem", "dan"]}
    again = await api.call("POST", f"{group}/members", client_ids=["cem"])
    assert again == added
    assert await can_write(engine, app, "cem", group.rpartition("/")[2])
    assert (await api.call("DELETE", f"{group}/members", client_ids=["ann", "cem", "nobody"])).keys() == added.keys()
    assert await api.call("GET", f"{group}/members") == {"result": ["bob", "dan"]}
    assert not await can_write(engine, app, "cem", group.rpartition("/")[2])
    await api.call("DELETE", f"{group}/members", {"client_ids": '["bob"]'})
    await api.call("DELETE", f"{group}/members", {"client_ids": "dan,x"})
    assert await api.call("GET", f"{group}/members") == {"result": []}
    assert told(events) == [
        ("joined", ("cem", "dan"), ""),
        ("left", ("ann", "cem"), ""),
        ("left", ("bob",), ""),
        ("left", ("dan",), ""),
    ]


async def test_the_owner_can_be_removed_inferred(api: Rest) -> None:
    """The master key is not bound by roles."""
    group = f"{GROUPS}/{(await api.call('POST', GROUPS, m=['ann', 'bob'], c='ann'))['objectId']}"
    await api.call("POST", f"{group}/member-infos", clientId="bob", role="Manager")
    await api.call("DELETE", f"{group}/members", client_ids=["ann"])
    assert await api.call("GET", f"{group}/members") == {"result": ["bob"]}


async def test_who_is_blocked_or_refuses_is_not_added(api: Rest, group: str) -> None:
    await api.call("POST", f"{group}/blacklists", client_ids=["cem"])
    await api.call("POST", "/1.2/rtm/clients/dan/blacklists", conv_id=group.rpartition("/")[2])
    for client in ("cem", "dan"):
        assert await api.refused("POST", f"{group}/members", client_ids=["eve", client]) == (400, 4548)
    assert await api.call("GET", f"{group}/members") == {"result": ["ann", "bob"]}


async def test_mutes(api: Rest, group: str, events: list[Event]) -> None:
    events.clear()
    done = await api.call("POST", f"{group}/mutes", client_ids=["bob", "ann", "nobody"])
    assert done.keys() == {"objectId", "updatedAt"}
    assert await api.call("POST", f"{group}/mutes", client_ids=["bob"]) == done
    assert await api.call("GET", f"{group}/mutes") == {"result": ["ann", "bob"]}
    assert (await api.call("GET", GROUPS, {"where": '{"mu":"bob"}'}))["results"][0]["mu"] == ["ann", "bob"]
    assert len((await api.call("GET", GROUPS, {"where": '{"mu":{"$size":2}}'}))["results"]) == 1
    await api.call("DELETE", f"{group}/mutes", client_ids=["bob", "nobody"])
    assert await api.call("GET", f"{group}/mutes") == {"result": ["ann"]}
    await api.call("DELETE", f"{group}/mutes", {"client_ids": '["ann"]'})
    assert await api.call("GET", f"{group}/mutes") == {"result": []}
    assert "mu" not in (await api.call("GET", GROUPS))["results"][0]
    assert told(events) == []


# chat rooms


async def test_who_is_in_a_chat_room(api: Rest, engine: Engine, app: App, calling: Calling) -> None:
    id = (await api.call("POST", ROOMS))["objectId"]
    clients = [f"c{number}" for number in range(60)]
    await seat(engine, app, id, *clients)
    some = (await api.call("GET", f"{ROOMS}/{id}/members"))["result"]
    assert len(set(some)) == 50
    assert set(some) <= set(clients)
    assert await api.call("GET", f"{ROOMS}/{id}/members/online-count") == {"result": 60}
    with_key = Rest(calling())
    with_key._http.headers.update({"X-LC-Id": "home", "X-LC-Key": "home-key"})
    for version in ("1.1", "1"):
        old = f"/{version}/rtm/transient_group"
        assert await with_key.call("GET", f"{old}/onlines", {"gid": id}) == {"result": 60}
        assert len((await with_key.call("GET", f"{old}/members", {"gid": id}))["result"]) == 50
        assert await with_key.refused("GET", f"{old}/onlines") == (400, 1)
        assert await with_key.refused("GET", f"{old}/members", {"gid": UNKNOWN}) == (400, 4303)
    del with_key._http.headers["X-LC-Key"]
    assert await with_key.refused("GET", "/1.1/rtm/transient_group/onlines", {"gid": id}) == (401, 401)


async def test_groups_tell_no_stranger_who_is_in_them(api: Rest, group: str) -> None:
    for name in ("onlines", "members"):
        query = {"gid": group.rpartition("/")[2]}
        assert await api.refused("GET", f"/1.1/rtm/transient_group/{name}", query) == (400, 4316)


# who may call, and how not

CALLS = [
    ("POST", ""),
    ("GET", ""),
    ("PUT", "/{id}"),
    ("DELETE", "/{id}"),
    ("POST", "/{id}/members"),
    ("DELETE", "/{id}/members"),
    ("GET", "/{id}/members"),
    ("POST", "/{id}/mutes"),
    ("DELETE", "/{id}/mutes"),
    ("GET", "/{id}/mutes"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("root", [GROUPS, ROOMS, SERVICES])
async def test_the_class_is_closed_to_the_app_key_unless_opened(
    calling: Calling, engine: Engine, group: str, method: str, path: str, root: str
) -> None:
    if root != GROUPS and path.endswith("s"):
        return
    id = group.rpartition("/")[2]
    with_key = {"X-LC-Id": "home", "X-LC-Key": "home-key"}

    async def status(headers: dict[str, str]) -> int:
        return (await calling().request(method, root + path.format(id=id), headers=headers)).status_code

    assert await status({}) == 401
    assert await status({"X-LC-Id": "home"}) == 403
    assert await status(with_key) == 403
    assert await status({**with_key, "X-LC-Key": "wrong"}) == 401
    assert await status({**with_key, "X-LC-Key": "home-key,master"}) == 401
    needed, other = "conversation_read", "conversation_write"
    if method != "GET":
        needed, other = other, needed
    await engine.apps.change("home", {other: "on"})
    assert await status(with_key) == 403
    await engine.apps.change("home", {needed: "on"})
    is_masters = root == SERVICES and method != "GET"  # only the server side makes and changes these
    assert await status({"X-LC-Id": "home"}) == (403 if is_masters else 401)
    assert await status(with_key) in ([403] if is_masters else [200, 400])


async def test_the_app_key_is_not_told_who_mutes(calling: Calling, engine: Engine, api: Rest, group: str) -> None:
    await api.call("POST", f"{group}/mutes", client_ids=["ann"])
    await engine.apps.change("home", {"conversation_read": "on"})
    reader = Rest(calling())
    reader._http.headers.update({"X-LC-Id": "home", "X-LC-Key": "home-key"})
    (row,) = (await reader.call("GET", GROUPS))["results"]
    assert "mu" not in row
    assert await reader.call("GET", f"{group}/mutes") == {"result": []}
    for where in ('{"mu":"ann"}', '{"mu":{"$size":1}}', '{"mu":{"$regex":"a"}}'):
        assert await reader.call("GET", GROUPS, {"where": where}) == {"results": []}


@pytest.mark.parametrize("path", [f"{ROOMS}/{{}}/members", f"{ROOMS}/{{}}/members/online-count"])
async def test_who_is_in_a_chat_room_needs_the_master_key(calling: Calling, engine: Engine, path: str) -> None:
    await engine.apps.change("home", {"conversation_read": "on"})
    headers = {"X-LC-Id": "home", "X-LC-Key": "home-key"}
    assert (await calling().get(path.format(UNKNOWN), headers=headers)).status_code == 403


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"m": "ann"}, 1),
        ({"m": ["ann", 1]}, 1),
        ({"m": [""]}, 4301),
        ({"m": ["x" * 65]}, 4301),
        ({"unique": "yes"}, 1),
        ({"c": 1}, 1),
        ({"c": "x" * 65}, 4306),
        ({"name": 1}, 4306),
        ({"attr": "x"}, 4306),
        ({"x": "y" * 70_000}, 4306),
        ({"a..b": 1}, 4306),
    ],
)
async def test_wrong_columns(api: Rest, body: dict[str, Any], code: int) -> None:
    assert await api.refused("POST", GROUPS, **body) == (400, code)
    assert await api.call("GET", ALL) == {"results": []}


@pytest.mark.parametrize("key", ["m", "mu", "objectId", "createdAt", "updatedAt", "lm", "tr", "sys", "unique"])
async def test_columns_that_are_not_written(api: Rest, group: str, key: str) -> None:
    assert await api.refused("PUT", group, **{key: ["x"], "name": "x"}) == (400, 117)
    assert "name" not in (await api.call("GET", GROUPS))["results"][0]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("path", ["members", "mutes"])
@pytest.mark.parametrize("clients", [None, "", 1, {"a": 1}, ["ann", None]])
async def test_wrong_clients(api: Rest, group: str, method: str, path: str, clients: Any) -> None:
    if method == "DELETE" and clients == "":
        return  # in a query an empty list
    body = {} if clients is None else {"client_ids": clients}
    assert await api.refused(method, f"{group}/{path}", **body) == (400, 1)
    assert await api.refused(method, f"{group}/{path}", client_ids=["ann", "x" * 65]) == (400, 4301)
    assert await api.call("GET", f"{group}/members") == {"result": ["ann", "bob"]}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"where": "{"}, 4310),
        ({"where": "1"}, 4310),
        ({"where": "[1]"}, 4310),
        ({"where": '{"$x":1}'}, 4310),
        ({"where": '{"name":{"$inQuery":{}}}'}, 4310),
        ({"where": '{"name":{"$notInQuery":{}}}'}, 4310),
        ({"where": '{"name":{"$select":{}}}'}, 4310),
        ({"where": '{"name":{"$dontSelect":{}}}'}, 4310),
        ({"where": '{"place":{"$nearSphere":{}}}'}, 4310),
        ({"where": '{"place":{"$within":{}}}'}, 4310),
        ({"where": '{"$relatedTo":{}}'}, 4310),
        ({"order": "a..b"}, 4310),
        ({"order": "m"}, 4310),
        ({"order": ",".join("abcdefghi")}, 4310),
        ({"skip": "100001"}, 4310),
    ],
)
async def test_wrong_queries(api: Rest, query: dict[str, str], code: int) -> None:
    assert await api.refused("GET", GROUPS, query) == (400, code)


@pytest.mark.parametrize("body", [b"[", b"[]", b"1", b'"x"', b"\xff"])
async def test_bodies_that_are_no_objects(http: httpx.AsyncClient, group: str, body: bytes) -> None:
    for method, path in (("POST", GROUPS), ("PUT", group), ("POST", f"{group}/members"), ("DELETE", f"{group}/mutes")):
        answer = await http.request(method, path, content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, 107)


async def test_a_large_body(http: httpx.AsyncClient) -> None:
    assert (await http.post(GROUPS, content=b'{"x":"' + b"y" * 1_100_000 + b'"}')).status_code == 413


@pytest.mark.parametrize(("method", "path"), [call for call in CALLS if "{id}" in call[1]])
async def test_unknown_ids_and_other_kinds(api: Rest, method: str, path: str, engine: Engine, app: App) -> None:
    ids = {root: (await api.call("POST", root, name="x"))["objectId"] for root in (GROUPS, ROOMS, SERVICES)}
    body = {} if method == "GET" else {"client_ids": ["ann"]} if path.endswith("s") else {"name": "y"}
    roots = [GROUPS] if path.endswith("s") else [GROUPS, ROOMS, SERVICES]
    codes = {GROUPS: 4314, ROOMS: 4316, SERVICES: 4313}
    for root in roots:
        assert await api.refused(method, root + path.format(id=UNKNOWN), **body) == (400, 4303)
        for other in ids.keys() - {root}:
            assert await api.refused(method, root + path.format(id=ids[other]), **body) == (400, codes[root])
    temporary: list[str] = []
    await engine.temporary.start(app, "ann", ["bob"], "", ttl=60, reply=lambda row, _: temporary.append(row.id))
    assert await api.refused(method, roots[0] + path.format(id=temporary[0]), **body) == (400, 4314)
    assert len((await api.call("GET", ALL, {"where": '{"name":"x"}'}))["results"]) == 3
