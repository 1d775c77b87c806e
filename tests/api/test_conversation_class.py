"""The class `_Conversation` of the storage API: rows are read and written as a table's, and nobody is told."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from hongyan.engine.engine import Engine
from hongyan.engine.events import ConversationCreated, ConversationDeleted, ConversationMuted, Event, RowWritten
from hongyan.engine.live_subscriptions import Authority, Reader, Wish
from hongyan.engine.values import App, Draft, Stored
from hongyan.errors import Refused
from tests.api import talk
from tests.api.conftest import Calling
from tests.support.rest import Rest, passed

ROWS, SCAN = "/1.1/classes/_Conversation", "/1.1/scan/classes/_Conversation"
UNKNOWN = "65f000000000000000000009"
#: What nobody but LiveQuery hears.
UNTOLD = (ConversationCreated, ConversationDeleted, ConversationMuted, RowWritten)


@pytest.fixture
async def group(http: httpx.AsyncClient) -> str:
    """The id of a group of ann and bob."""
    answer = await http.post(ROWS, json={"m": ["ann", "bob"], "name": "tea"})
    assert answer.status_code == 201
    return str(answer.json()["objectId"])


async def can_write(engine: Engine, app: App, client: str, conversation_id: str) -> bool:
    outcome: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()
    engine.messages.send(app, client, conversation_id, Draft("x"), outcome.set_result)
    return isinstance(await outcome, Stored)


# creating


@pytest.mark.parametrize("version", ["1.1", "1", "1.2"])
async def test_a_row_is_made(http: httpx.AsyncClient, api: Rest, version: str, events: list[Event]) -> None:
    path = f"/{version}/classes/_Conversation"
    answer = await http.post(path, json={"name": "tea", "m": ["bob", "ann"], "x": {"y": [1]}, "objectId": "mine"})
    made = answer.json()
    assert (answer.status_code, made.keys()) == (201, {"objectId", "createdAt"})
    known_as = "1.1" if version == "1" else version
    assert answer.headers["Location"] == f"/{known_as}/classes/_Conversation/{made['objectId']}"
    assert await api.call("GET", answer.headers["Location"]) == {
        **made,
        "updatedAt": made["createdAt"],
        "name": "tea",
        "m": ["ann", "bob"],
        "x": {"y": [1]},
    }
    assert all(isinstance(event, UNTOLD) for event in events)


async def test_a_row_is_answered_whole_if_that_is_wanted(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{ROWS}?fetchWhenSave=true", json={"m": ["ann"], "unique": True})
    assert (answer.status_code, answer.json()["m"], answer.json()["unique"]) == (201, ["ann"], True)
    assert (await http.post(f"{ROWS}?fetchWhenSave=maybe", json={})).status_code == 400


async def test_members_are_added_to_what_is_not_there_yet(http: httpx.AsyncClient, api: Rest) -> None:
    """LeanCloud's Python SDK makes conversations so."""
    members = {"__op": "AddUnique", "objects": ["bob", "ann", "bob"]}
    made = (await http.post(ROWS, json={"m": members, "n": {"__op": "Increment", "amount": 1}})).json()
    row = await api.call("GET", f"{ROWS}/{made['objectId']}")
    assert (row["m"], row["n"]) == (["ann", "bob"], 1)


async def test_a_unique_row_is_found_again(http: httpx.AsyncClient) -> None:
    first, second = [(await http.post(ROWS, json={"m": list(m), "unique": True})).json() for m in ("ab", "ba")]
    assert first == second


@pytest.mark.parametrize(("flags", "shown"), [({"tr": True}, "tr"), ({"sys": True, "tr": False}, "sys")])
async def test_flags_tell_the_kind(http: httpx.AsyncClient, api: Rest, flags: dict[str, Any], shown: str) -> None:
    made = (await http.post(ROWS, json={"name": "x", "m": ["ann"], **flags})).json()
    row = await api.call("GET", f"{ROWS}/{made['objectId']}")
    assert row == {**made, "updatedAt": made["createdAt"], "name": "x", shown: True}


async def test_of_more_members_the_first_count(http: httpx.AsyncClient, api: Rest, group: str) -> None:
    everyone = [f"c{number:03}" for number in range(510)]
    made = (await http.post(ROWS, json={"m": everyone})).json()
    assert (await api.call("GET", f"{ROWS}/{made['objectId']}"))["m"] == everyone[:500]
    await api.call("PUT", f"{ROWS}/{group}", m={"__op": "AddUnique", "objects": everyone})
    assert (await api.call("GET", f"{ROWS}/{group}"))["m"] == ["ann", "bob", *everyone[:498]]


# reading


async def test_an_unknown_id_is_an_empty_object(api: Rest) -> None:
    assert await api.call("GET", f"{ROWS}/{UNKNOWN}") == {}
    assert await api.call("DELETE", f"{ROWS}/{UNKNOWN}") == {}
    assert await api.call("DELETE", f"{ROWS}/{UNKNOWN}", {"where": '{"name":"x"}'}) == {}


async def test_a_write_to_an_unknown_id_is_refused_inferred(api: Rest) -> None:
    """An empty answer would let callers believe that something was written."""
    assert await api.refused("PUT", f"{ROWS}/{UNKNOWN}", name="x") == (404, 101)


async def test_temporary_conversations_and_streams_are_no_rows(api: Rest, engine: Engine, app: App) -> None:
    temporary: list[str] = []
    await engine.temporary.start(app, "ann", ["bob"], "", ttl=60, reply=lambda row, _: temporary.append(row.id))
    service = await api.service()
    await service.tell("x", "ann")
    found = (await api.call("GET", ROWS))["results"]
    assert [row["objectId"] for row in found] == [service.id]
    assert (await api.call("GET", SCAN))["results"] == found
    assert await api.call("GET", f"{ROWS}/{temporary[0]}") == {}
    assert await api.refused("PUT", f"{ROWS}/{temporary[0]}", name="x") == (404, 101)
    assert await api.call("DELETE", f"{ROWS}/{temporary[0]}") == {}
    assert await can_write(engine, app, "ann", temporary[0])


async def test_queries(api: Rest, group: str, http: httpx.AsyncClient) -> None:
    await http.post(ROWS, json={"name": "hall", "tr": True})
    found = await api.call("GET", ROWS, {"order": "-name", "count": "1"})
    assert ([row["name"] for row in found["results"]], found["count"]) == (["tea", "hall"], 2)
    found = await api.call("GET", ROWS, {"where": '{"m":"bob"}', "keys": "name"})
    assert [set(row) for row in found["results"]] == [{"objectId", "createdAt", "updatedAt", "name"}]
    assert (await api.call("GET", f"{ROWS}/{group}", {"keys": "-m,-name"})).keys() == {
        "objectId",
        "createdAt",
        "updatedAt",
    }


async def test_the_time_of_the_last_message(api: Rest, group: str, engine: Engine, app: App) -> None:
    assert "lm" not in await api.call("GET", f"{ROWS}/{group}")
    await can_write(engine, app, "ann", group)
    lm = (await api.call("GET", f"{ROWS}/{group}"))["lm"]
    assert lm.keys() == {"__type", "iso"}
    found = await api.call("GET", ROWS, {"where": json.dumps({"lm": {"$gte": lm}})})
    assert len(found["results"]) == 1


# writing


async def test_columns_are_written(api: Rest, group: str, events: list[Event]) -> None:
    events.clear()
    path = f"{ROWS}/{group}"
    before = await api.call("GET", path)
    done = await api.call("PUT", path, color="red", n={"__op": "Increment", "amount": 2}, **{"attr.a": 1})
    assert done.keys() == {"updatedAt", "objectId"}
    assert done["updatedAt"] > before["updatedAt"]
    written = {**before, **done, "color": "red", "n": 2, "attr": {"a": 1}}
    assert await api.call("GET", path) == written
    row = await api.call(
        "PUT", path, {"fetchWhenSave": "true"}, name={"__op": "Delete"}, l={"__op": "Add", "objects": [1, 1]}
    )
    assert row == await api.call("GET", path)
    assert (row["l"], "name" in row) == ([1, 1], False)
    assert [type(event) for event in events] == [RowWritten, RowWritten]
    assert await api.call("PUT", path) == {"objectId": group, "updatedAt": row["updatedAt"]}
    assert len(events) == 2


@pytest.mark.parametrize(
    ("value", "members"),
    [
        ({"__op": "AddUnique", "objects": ["cem", "ann"]}, ["ann", "bob", "cem"]),
        ({"__op": "Add", "objects": ["cem", "ann"]}, ["ann", "bob", "cem"]),
        ({"__op": "Remove", "objects": ["ann", "cem"]}, ["bob"]),
        ({"__op": "Delete"}, []),
        (["cem", "bob"], ["bob", "cem"]),
        ([], []),
    ],
)
async def test_members_are_written_and_nobody_is_told(
    api: Rest, group: str, engine: Engine, app: App, events: list[Event], value: Any, members: list[str]
) -> None:
    assert await can_write(engine, app, "ann", group)
    events.clear()
    since = engine.clock.now() - 1
    before = await api.call("GET", f"{ROWS}/{group}")
    done = await api.call("PUT", f"{ROWS}/{group}", m=value)
    assert done["updatedAt"] > before["updatedAt"]
    assert (await api.call("GET", f"{ROWS}/{group}"))["m"] == members
    assert (await api.call("GET", ROWS, {"where": json.dumps({"m": {"$size": len(members)}})}))["results"]
    assert all(isinstance(event, UNTOLD) for event in events)
    for client in ("ann", "bob", "cem"):
        assert await can_write(engine, app, client, group) == (client in members)
        missed = await engine.notifications.missed(app, client, since)
        assert (missed.permanent, missed.droppable) == ([], [])


async def test_from_the_answer_on_nobody_who_was_removed_writes(
    api: Rest, group: str, engine: Engine, app: App
) -> None:
    """What is in memory of a running conversation follows at the commit."""
    outcomes = [await can_write(engine, app, "ann", group)]
    removing = asyncio.ensure_future(api.call("PUT", f"{ROWS}/{group}", m=["bob"]))
    while not removing.done():
        outcomes.append(await can_write(engine, app, "ann", group))
        await asyncio.sleep(0)
    outcomes.append(await can_write(engine, app, "ann", group))
    assert (outcomes[0], outcomes[-1]) == (True, False)
    assert outcomes == sorted(outcomes, reverse=True)


async def test_new_members_have_nothing_unread(api: Rest, group: str, engine: Engine, app: App) -> None:
    await can_write(engine, app, "ann", group)
    await api.call("PUT", f"{ROWS}/{group}", m={"__op": "AddUnique", "objects": ["cem"]})
    assert (await engine.unread.since(app, "cem", None))[0] == []
    await can_write(engine, app, "ann", group)
    assert [each.count for each in (await engine.unread.since(app, "cem", None))[0]] == [1]


async def test_who_leaves_a_row_has_no_role_any_more(api: Rest, group: str, engine: Engine, app: App) -> None:
    infos = f"/1.2/rtm/conversations/{group}/member-infos"
    await api.call("POST", infos, clientId="bob", role="Manager")
    await api.call("PUT", f"{ROWS}/{group}", m={"__op": "Remove", "objects": ["bob"]})
    await api.call("PUT", f"{ROWS}/{group}", m={"__op": "AddUnique", "objects": ["bob"]})
    assert await api.call("GET", infos) == {"results": []}
    assert (await engine.access.conversation(app, group)).standings.get("bob") is None


async def test_who_is_blocked_becomes_no_member(api: Rest, group: str) -> None:
    await api.call("POST", f"/1.2/rtm/conversations/{group}/blacklists", client_ids=["cem"])
    change = {"__op": "AddUnique", "objects": ["dan", "cem"]}
    assert await api.refused("PUT", f"{ROWS}/{group}", m=change, name="x") == (400, 4548)
    row = await api.call("GET", f"{ROWS}/{group}")
    assert (row["m"], row["name"]) == (["ann", "bob"], "tea")


async def test_muting_is_written(api: Rest, group: str) -> None:
    path = f"{ROWS}/{group}"
    await api.call("PUT", path, mu={"__op": "AddUnique", "objects": ["bob", "nobody"]})
    assert (await api.call("GET", path))["mu"] == ["bob"]
    await api.call("PUT", path, mu=["ann"])
    assert (await api.call("GET", path))["mu"] == ["ann"]
    await api.call("PUT", path, mu={"__op": "Delete"})
    assert "mu" not in await api.call("GET", path)


async def test_unique_is_written(api: Rest, group: str, http: httpx.AsyncClient) -> None:
    await api.call("PUT", f"{ROWS}/{group}", unique=True, m={"__op": "AddUnique", "objects": ["cem"]})
    assert (await http.post(ROWS, json={"m": ["cem", "bob", "ann"], "unique": True})).json()["objectId"] == group
    await api.call("PUT", f"{ROWS}/{group}", unique=False)
    assert (await http.post(ROWS, json={"m": ["cem", "bob", "ann"], "unique": True})).json()["objectId"] != group


@pytest.mark.parametrize("flag", ["tr", "sys"])
async def test_other_kinds_have_no_members_to_write(http: httpx.AsyncClient, api: Rest, flag: str) -> None:
    id = (await http.post(ROWS, json={flag: True})).json()["objectId"]
    await api.call("PUT", f"{ROWS}/{id}", m=["ann"], mu=["ann"], unique=True, name="x")
    row = await api.call("GET", f"{ROWS}/{id}")
    assert row.keys() == {"objectId", "createdAt", "updatedAt", flag, "name"}


async def test_conditional_writes(api: Rest, group: str) -> None:
    path = f"{ROWS}/{group}"
    await api.call("PUT", path, n=1)
    assert await api.refused("PUT", path, {"where": '{"n":{"$gt":1}}'}, n=5) == (400, 305)
    assert await api.refused("PUT", path, {"where": '{"m":"cem"}'}, n=5) == (400, 305)
    assert await api.refused("DELETE", path, {"where": '{"n":2}'}) == (400, 305)
    assert (await api.call("GET", path))["n"] == 1
    await api.call("PUT", path, {"where": '{"n":1,"m":"ann","name":{"$regex":"^t"}}'}, n=2)
    assert (await api.call("GET", path))["n"] == 2
    assert await api.call("DELETE", path, {"where": '{"n":2}'}) == {}
    assert await api.call("GET", path) == {}


async def test_of_conditional_writes_at_once_each_sees_the_others(api: Rest, group: str) -> None:
    """Nobody takes the last piece twice."""
    path = f"{ROWS}/{group}"
    await api.call("PUT", path, left=3)
    taking = [
        api._http.request(
            "PUT",
            path,
            params={"where": '{"left":{"$gt":0}}'},
            json={"left": {"__op": "Decrement", "amount": 1}},
        )
        for _ in range(5)
    ]
    answers = [answer.status_code for answer in await asyncio.gather(*taking)]
    left = (await api.call("GET", path))["left"]
    assert left == 3 - answers.count(200) >= 0


async def test_a_deleted_row_is_gone_from_memory(api: Rest, group: str, engine: Engine, app: App) -> None:
    assert await can_write(engine, app, "ann", group)
    assert await api.call("DELETE", f"{ROWS}/{group}") == {}
    assert not await can_write(engine, app, "ann", group)
    assert await api.call("GET", ROWS) == {"results": []}


async def test_live_queries_hear_of_rows(api: Rest, group: str, engine: Engine, app: App, bus: Any) -> None:
    from hongyan.engine.events import LiveQueriesMatched

    heard: asyncio.Queue[Any] = asyncio.Queue()
    bus.subscribe(lambda event: heard.put_nowait(event) if isinstance(event, LiveQueriesMatched) else None)
    await engine.live_queries.subscribe(app, Reader(Authority.MASTER), "i" * 32, Wish("", None, ()))
    await api.call("PUT", f"{ROWS}/{group}", color="red")
    event = await heard.get()
    assert (event.keys, [match.op for match in event.matches]) == (("color",), ["update"])
    await api.call("DELETE", f"{ROWS}/{group}")
    assert [match.op for match in (await heard.get()).matches] == ["delete"]


# scanning


async def test_a_scan_walks_all_rows(http: httpx.AsyncClient, api: Rest, group: str, engine: Engine) -> None:
    made = [group]
    for number in range(6):
        flags: dict[str, Any] = {"tr": True} if number == 2 else {"sys": True} if number == 3 else {"m": ["ann"]}
        await passed(engine.clock.now())  # what is made in one millisecond has no order by time
        made.append((await http.post(ROWS, json={"n": number, **flags})).json()["objectId"])

    async def walk(**query: str) -> list[str]:
        ids: list[str] = []
        while True:
            page = await api.call("GET", SCAN, {"limit": "2", **query})
            assert page.keys() == {"results", "cursor"}
            ids += [row["objectId"] for row in page["results"]]
            if page["cursor"] is None:
                return ids
            query["cursor"] = page["cursor"]

    assert await walk() == sorted(made)
    assert await walk(scan_key="-objectId") == sorted(made, reverse=True)
    assert await walk(scan_key="createdAt") == made
    assert await walk(scan_key="-updatedAt") == made[::-1]
    assert await walk(scan_key="n") == made[1:]
    assert await walk(scan_key="-n", where='{"tr":{"$ne":true}}') == [*made[:3:-1], *made[2:0:-1]]
    assert await walk(where='{"n":{"$gte":4}}') == sorted(made[5:])
    assert len((await api.call("GET", SCAN))["results"]) == 7


async def test_a_scan_by_the_last_message(api: Rest, engine: Engine, app: App, group: str) -> None:
    """Service conversations have it too, though they show it otherwise."""
    news = [await talk.service(engine, app, "ann") for _ in range(2)]
    for cid in (news[0], group, news[1]):
        if cid == group:
            await talk.say(engine, app, "ann", cid, "x")
        else:
            path = f"/1.2/rtm/service-conversations/{cid}/broadcasts"
            await api.call("POST", path, from_client="app", message="x")
        await passed(engine.clock.now())
    query = {"limit": "1", "scan_key": "lm"}
    found: list[str] = []
    while True:
        page = await api.call("GET", SCAN, query)
        found += [row["objectId"] for row in page["results"]]
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]
    assert found == [news[0], group, news[1]]


async def test_a_cursor_is_over_after_ten_minutes(
    api: Rest, group: str, http: httpx.AsyncClient, engine: Engine
) -> None:
    await http.post(ROWS, json={})
    cursor = (await api.call("GET", SCAN, {"limit": "1"}))["cursor"]
    key, until, last = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    assert 590_000 < until - engine.clock.now() <= 600_000
    over = base64.urlsafe_b64encode(json.dumps([key, engine.clock.now() - 1, last]).encode()).decode()
    assert await api.refused("GET", SCAN, {"cursor": over}) == (400, 1)


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"cursor": "é"},
        {"cursor": base64.b64encode(b"[1]").decode()},
        {"cursor": base64.b64encode(b'["createdAt",9999999999999,"x"]').decode()},
        {"scan_key": "attr"},
        {"scan_key": "m"},
        {"scan_key": "c"},
        {"scan_key": "a.b"},
        {"scan_key": "$x"},
        {"where": '{"objectId":"x"}'},
        {"where": '{"$or":[{"x":1},{"objectId":"x"}]}'},
    ],
)
async def test_wrong_scans(api: Rest, query: dict[str, str]) -> None:
    assert await api.refused("GET", SCAN, query) == (400, 1)


async def test_a_scan_needs_the_master_key(calling: Calling, engine: Engine) -> None:
    await engine.apps.change("home", {"conversation_read": "on"})
    answer = await calling().get(SCAN, headers={"X-LC-Id": "home", "X-LC-Key": "home-key"})
    assert answer.status_code == 403


# who may call, and how not


@pytest.mark.parametrize(
    ("method", "path"), [("POST", ""), ("GET", ""), ("GET", "/{id}"), ("PUT", "/{id}"), ("DELETE", "/{id}")]
)
async def test_the_class_is_closed_to_the_app_key_unless_opened(
    calling: Calling, engine: Engine, http: httpx.AsyncClient, group: str, method: str, path: str
) -> None:
    with_key = {"X-LC-Id": "home", "X-LC-Key": "home-key"}
    service = (await http.post(ROWS, json={"sys": True})).json()["objectId"]

    async def status(headers: dict[str, str], id: str = group, body: Any = None) -> int:
        content = None if method == "GET" else json.dumps(body or {})
        return (
            await calling().request(method, ROWS + path.format(id=id), headers=headers, content=content)
        ).status_code

    needed, other = ("conversation_read", "conversation_write")[:: 1 if method == "GET" else -1]
    await engine.apps.change("home", {other: "on"})
    assert [await status(headers) for headers in ({}, {"X-LC-Id": "home"}, with_key)] == [401, 403, 403]
    await engine.apps.change("home", {needed: "on"})
    assert await status({"X-LC-Id": "home"}) == 401
    if method != "GET":
        assert await status(with_key, id=service, body={"sys": True}) == 403
    assert await status(with_key) in (200, 201)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"m": "ann"}, 1),
        ({"m": [1]}, 1),
        ({"m": {"__op": "AddUnique", "objects": [1]}}, 4301),
        ({"m": {"x": 1}}, 4301),
        ({"m": {"__op": "Nothing"}}, 4306),
        ({"tr": 1}, 1),
        ({"sys": "x"}, 1),
        ({"tr": True, "sys": True}, 1),
        ({"unique": 1}, 1),
        ({"name": 1}, 4306),
        ({"x": {"__op": "AddRelation", "objects": []}}, 4306),
    ],
)
async def test_wrong_rows(api: Rest, body: dict[str, Any], code: int) -> None:
    assert await api.refused("POST", ROWS, **body) == (400, code)
    assert await api.call("GET", ROWS) == {"results": []}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"m": "ann"}, 4301),
        ({"m": [1]}, 4301),
        ({"m": [""]}, 4301),
        ({"m": {"__op": "AddUnique", "objects": "ann"}}, 4306),
        ({"m": {"__op": "AddUnique", "objects": ["x" * 65]}}, 4301),
        ({"m": {"__op": "Increment", "amount": 1}}, 4306),
        ({"m": {"__op": "Nothing"}}, 4306),
        ({"m.x": 1}, 4306),
        ({"mu": 1}, 4301),
        ({"unique": 1}, 4306),
        ({"attr": 1}, 4306),
        ({"name": {"__op": "Increment", "amount": 1}}, 4306),
        ({"n": {"__op": "BitOr", "value": "x"}}, 4306),
        ({"name": {"__op": "BitOr", "value": 1}}, 4306),
        ({"attr": {"x": "y" * 70_000}}, 4306),
        *(({key: "x"}, 117) for key in ("objectId", "createdAt", "updatedAt", "lm", "tr", "sys", "uniqueId")),
    ],
)
async def test_wrong_writes_change_nothing(api: Rest, group: str, body: dict[str, Any], code: int) -> None:
    before = await api.call("GET", f"{ROWS}/{group}")
    assert await api.refused("PUT", f"{ROWS}/{group}", **{"color": "red", **body}) == (400, code)
    assert await api.call("GET", f"{ROWS}/{group}") == before


@pytest.mark.parametrize("where", ["{", "1", '{"$x":1}'])
async def test_wrong_conditions(api: Rest, group: str, where: str) -> None:
    for method, path in (("GET", ROWS), ("PUT", f"{ROWS}/{group}"), ("DELETE", f"{ROWS}/{group}"), ("GET", SCAN)):
        assert await api.refused(method, path, {"where": where}) == (400, 4310)
    assert (await api.call("GET", f"{ROWS}/{group}"))["name"] == "tea"


async def test_permissions_of_single_rows_are_not_kept_inferred(http: httpx.AsyncClient, api: Rest, group: str) -> None:
    acl = {"*": {"read": True}}
    made = (await http.post(ROWS, json={"ACL": acl})).json()
    await api.call("PUT", f"{ROWS}/{group}", ACL=acl, name="x")
    await api.call("PUT", f"/1.2/rtm/conversations/{group}", ACL=acl, name="y")
    for id in (made["objectId"], group):
        assert "ACL" not in await api.call("GET", f"{ROWS}/{id}", {"returnACL": "true"})
