"""Service conversations over HTTP: shapes of answers, who may call, and every way to ask wrongly."""

import asyncio
import hashlib
from typing import Any

import httpx
import pytest

from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MembersJoined, MembersLeft, MessageSent, UpstreamReceived
from hongyan.engine.values import RECALLED_BODY, App, Draft, HistoryRange, Stored, iso_time
from hongyan.errors import Refused
from tests.api.conftest import Calling
from tests.support.rest import SERVICES, Rest, Service, passed

ID = "65f000000000000000000009"


@pytest.fixture
def app(engine: Engine) -> App:
    found = engine.apps.get("home")
    assert found is not None
    return found


@pytest.fixture
async def service(api: Rest) -> Service:
    return await api.service()


@pytest.fixture
async def group(engine: Engine, app: App) -> str:
    """The id of a normal conversation."""
    made: list[Any] = []
    await engine.conversations.start(app, "ann", ["bob"], "", unique=False, reply=lambda *reply: made.append(reply[0]))
    return str(made[0].id)


async def say(engine: Engine, app: App, client: str, service: Service, text: str) -> Stored:
    """A client's message to a service conversation."""
    outcome: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()
    engine.messages.send(app, client, service.id, Draft(text), outcome.set_result)
    stored = await outcome
    assert isinstance(stored, Stored)
    await passed(stored.timestamp)
    return stored


# rows


async def test_rows(api: Rest, app: App, engine: Engine, group: str) -> None:
    values = {"name": "名", "attr": {"a": [1]}, "color": "red", "c": "ann"}
    made = await api.call("POST", SERVICES, **values, m=["bob"], unique=True, sys=False, joined=True)
    assert made.keys() == {"objectId", "createdAt"}
    assert len(made["objectId"]) == 24
    (row,) = (await api.call("GET", SERVICES))["results"]
    fixed = {"objectId": made["objectId"], "sys": True, "createdAt": made["createdAt"]}
    assert row == {**values, **fixed, "updatedAt": made["createdAt"]}
    path = f"{SERVICES}/{made['objectId']}"
    changed = await api.call(
        "PUT", path, name="neu", color={"__op": "Delete"}, count={"__op": "Increment", "amount": 1}
    )
    assert changed.keys() == {"objectId", "updatedAt"}
    assert changed["updatedAt"] > made["createdAt"]
    (row,) = (await api.call("GET", SERVICES, {"where": '{"name":"neu"}'}))["results"]
    assert row == {
        "name": "neu",
        "attr": {"a": [1]},
        "count": 1,
        "c": "ann",
        **fixed,
        "updatedAt": changed["updatedAt"],
    }
    sent = await Service(api, made["objectId"]).broadcast("x")
    (row,) = (await api.call("GET", SERVICES))["results"]
    assert row["updatedAt"] == max(iso_time(sent["timestamp"]), changed["updatedAt"])
    assert await api.call("DELETE", path) == {}
    assert await api.call("GET", SERVICES) == {"results": []}


async def test_rows_in_pages(api: Rest) -> None:
    made = [(await api.service(number=number)).id for number in range(3)]
    found = await api.call("GET", SERVICES, {"order": "number", "limit": "2", "skip": "1"})
    assert [row["objectId"] for row in found["results"]] == made[1:]
    for limit in ("0", "1001", "x", "-1"):  # fall back to 100
        assert len((await api.call("GET", SERVICES, {"limit": limit}))["results"]) == 3


async def test_an_empty_call_makes_one(api: Rest, http: httpx.AsyncClient) -> None:
    answer = await http.post(SERVICES)
    assert answer.status_code == 200
    assert answer.json().keys() == {"objectId", "createdAt"}


# subscribers


async def test_subscribers(api: Rest, service: Service, engine: Engine, app: App, events: list[Event]) -> None:
    before = engine.clock.now()
    for client in ("bob", "ann", "ann"):
        await service.subscribe(client)
    found = await api.call("GET", f"{service.path}/subscribers")
    assert [(each["subscriber"], each["conv_id"]) for each in found] == [("ann", service.id), ("bob", service.id)]
    assert found[0].keys() == {"timestamp", "subscriber", "conv_id"}
    assert before <= found[0]["timestamp"] <= engine.clock.now()
    assert await api.call("GET", f"{service.path}/subscribers/count") == {"count": 2}
    await service.unsubscribe("ann")
    await service.unsubscribe("ann")
    assert await api.call("GET", f"{service.path}/subscribers/count") == {"count": 1}
    told = [(type(event), event.by) for event in events if isinstance(event, MembersJoined | MembersLeft)]
    assert told == [(MembersJoined, "")] * 2 + [(MembersLeft, "")]


async def test_subscribers_in_pages(api: Rest, service: Service) -> None:
    clients = [f"client-{number:03}" for number in range(103)]
    for client in reversed(clients):
        await service.subscribe(client)
    walked: list[str] = []
    query: dict[str, Any] = {"limit": 1000}
    while page := await api.call("GET", f"{service.path}/subscribers", query):
        assert len(page) <= 50
        walked += [each["subscriber"] for each in page]
        query = {"client_id": page[-1]["subscriber"]}
    assert walked == clients
    assert len(await api.call("GET", f"{service.path}/subscribers", {"limit": 3})) == 3


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("service-conversations/{}/blacklists", {"client_ids": ["ann"]}),
        ("clients/ann/blacklists", {"conv_id": "{}"}),
    ],
)
async def test_who_is_on_a_blacklist_is_not_subscribed(
    api: Rest, service: Service, path: str, given: dict[str, Any]
) -> None:
    given = {name: value.format(service.id) if isinstance(value, str) else value for name, value in given.items()}
    await api.call("POST", f"/1.2/rtm/{path.format(service.id)}", **given)
    assert await api.refused("POST", f"{service.path}/subscribers", client_id="ann") == (400, 4548)
    assert await api.call("GET", f"{service.path}/subscribers/count") == {"count": 0}


# messages


async def test_the_answer_to_a_message_has_both_forms(service: Service) -> None:
    for answer in (await service.broadcast("x"), await service.tell("x", "ann")):
        place = {"msg-id": answer["msg-id"], "timestamp": answer["timestamp"]}
        assert answer == {**place, "result": place}
        assert len(place["msg-id"]) == 22
        assert type(place["timestamp"]) is int


async def test_an_object_is_sent_as_its_json(service: Service) -> None:
    message = {"_lctype": -1, "_lctext": "名 x", "list": [1, 2]}
    await service.rest.call(
        "POST", f"{service.path}/broadcasts", from_client="news", message=message, push={"alert": "x"}
    )
    await service.rest.call(
        "POST",
        f"{service.path}/messages",
        from_client="news",
        message=message,
        to_clients=["ann"],
        push_data="x",
        priority="High",
    )
    found = await service.history("ann")
    assert [item["data"] for item in found] == ['{"_lctype":-1,"_lctext":"名 x","list":[1,2]}'] * 2


async def test_one_message_to_several_has_one_id_and_time(service: Service, events: list[Event]) -> None:
    await service.tell("first", "ann")
    sent = await service.tell("second", "bob", "ann", "bob")
    for client in ("ann", "bob"):
        newest = (await service.history(client))[0]
        assert (newest["msg-id"], newest["timestamp"]) == (sent["msg-id"], sent["timestamp"])
    assert len([event for event in events if isinstance(event, MessageSent)]) == 3


async def test_what_a_client_says_is_told_to_the_application(
    service: Service, engine: Engine, app: App, events: list[Event]
) -> None:
    stored = await say(engine, app, "ann", service, "question")
    (event,) = [event for event in events if isinstance(event, UpstreamReceived)]
    assert (event.conversation.id, event.message.id, event.message.sender) == (service.id, stored.id, "ann")
    assert [event for event in events if isinstance(event, MessageSent)] == []


async def test_history(service: Service, engine: Engine, app: App) -> None:
    m1 = await service.broadcast("1")
    m2 = await service.tell("2", "ann")
    await say(engine, app, "ann", service, "3")
    whole = await service.history("ann")
    assert [item["data"] for item in whole] == ["3", "2", "1"]
    conv_id = hashlib.md5(f"{service.id}:ann".encode()).hexdigest()
    assert whole[1] == {
        "msg-id": m2["msg-id"],
        "timestamp": m2["timestamp"],
        "from": "news",
        "to": service.id,
        "conv-id": conv_id,
        "data": "2",
        "bin": False,
        "is-conv": True,
        "is-room": False,
        "from-ip": None,
    }
    m3 = whole[0]
    newest = {"timestamp": m3["timestamp"], "msgid": m3["msg-id"]}
    oldest = {"timestamp": m1["timestamp"], "msgid": m1["msg-id"]}
    for start, stop, other, expected in (
        (newest, oldest, {}, "2"),
        (newest, oldest, {"include_start": "true"}, "32"),
        (newest, oldest, {"include_stop": "true"}, "21"),
        (newest, oldest, {"include_start": "true", "include_stop": "true"}, "321"),
        (oldest, newest, {"reversed": "true"}, "2"),
        (oldest, newest, {"reversed": "true", "include_start": "true"}, "12"),
        (oldest, newest, {"reversed": "true", "include_stop": "true"}, "23"),
        ({}, {}, {"limit": "2"}, "32"),
        ({}, {}, {"limit": "2", "reversed": "true"}, "12"),
        ({}, {}, {"limit": "0"}, ""),
        ({"timestamp": m3["timestamp"]}, {}, {}, "21"),
        ({"timestamp": m3["timestamp"]}, {}, {"include_start": "true"}, "321"),
    ):
        query = {**start, **{f"till_{key}": value for key, value in stop.items()}, **other}
        assert "".join(item["data"] for item in await service.history("ann", **query)) == expected, query


async def test_a_long_history_in_one_page(service: Service) -> None:
    for number in range(120):
        await service.broadcast(str(number))
    assert len(await service.history("ann")) == 100
    found = await service.history("ann", limit=5000, reversed="true")
    assert [item["data"] for item in found] == [str(number) for number in range(120)]


async def test_messages_of_one_moment_are_told_apart_by_id(service: Service, engine: Engine, app: App) -> None:
    """A broadcast and a message of a stream may have one time: no page parts them wrongly."""
    conversation = await engine.services.find(app, service.id)
    for number in range(40):
        await asyncio.gather(service.broadcast(f"a{number}"), service.tell(f"b{number}", "ann"))
    whole = await service.history("ann", reversed="true", limit=1000)
    keys = [(item["timestamp"], item["msg-id"]) for item in whole]
    assert keys == sorted(keys)
    walked: list[str] = []
    wanted = HistoryRange(limit=1, newer=True)
    while page := await engine.service_messages.page(conversation, "ann", wanted):
        walked.append(page[0].id)
        wanted = HistoryRange(limit=1, newer=True, start=page[0].timestamp, start_id=page[0].id)
    assert walked == [item["msg-id"] for item in whole]


async def test_a_message_is_deleted_for_one_client(api: Rest, service: Service) -> None:
    sent = [await service.broadcast("all"), await service.tell("both", "ann", "bob"), await service.broadcast("more")]
    for message in sent[:2]:
        path = f"{service.path}/subscribers/ann/messages/{message['msg-id']}"
        which = {"from_client": "news", "timestamp": message["timestamp"]}
        assert await api.refused("DELETE", path, {**which, "from_client": "x"}) == (400, 4404)
        assert await api.refused("DELETE", path, {**which, "timestamp": 1}) == (400, 4404)
        assert await api.call("DELETE", path, which) == {}
    assert (
        await api.call(
            "DELETE",
            f"{service.path}/subscribers/bob/messages/{sent[2]['msg-id']}",
            **{"from_client": "news", "timestamp": sent[2]["timestamp"]},
        )
        == {}
    )
    assert [item["data"] for item in await service.history("ann")] == ["more"]
    assert [item["data"] for item in await service.history("bob")] == ["both", "all"]


async def test_editing_shows_in_the_history(service: Service) -> None:
    sent = await service.broadcast("helo")
    which = {"from_client": "news", "timestamp": sent["timestamp"]}
    path = f"{service.path}/messages/{sent['msg-id']}"
    assert await service.rest.call("PUT", path, message={"a": 1}, **which) == {"result": {}}
    assert (await service.history("ann"))[0]["data"] == '{"a":1}'
    for _ in range(2):
        assert await service.rest.call("PUT", f"{path}/recall", **which) == {"result": {}}
    assert (await service.history("ann"))[0]["data"] == RECALLED_BODY
    assert await service.rest.refused("PUT", path, message="x", **which) == (400, 4404)


# who may call


PATHS = [
    ("POST", ""),
    ("GET", ""),
    ("PUT", f"/{ID}"),
    ("DELETE", f"/{ID}"),
    ("POST", f"/{ID}/subscribers"),
    ("DELETE", f"/{ID}/subscribers/ann"),
    ("GET", f"/{ID}/subscribers"),
    ("GET", f"/{ID}/subscribers/count"),
    ("POST", f"/{ID}/broadcasts"),
    ("POST", f"/{ID}/messages"),
    ("PUT", f"/{ID}/messages/x"),
    ("PUT", f"/{ID}/messages/x/recall"),
    ("DELETE", f"/{ID}/subscribers/ann/messages/x"),
    ("GET", f"/{ID}/subscribers/ann/messages"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_only_the_master_key_calls(calling: Calling, app: App, method: str, path: str) -> None:
    key = app.master_key
    digest = hashlib.md5(b"1700000000000home-key").hexdigest()
    for headers, status in (
        ({}, 401),
        ({"X-LC-Id": "home"}, 403),
        ({"X-LC-Id": "home", "X-LC-Key": "home-key"}, 403),
        ({"X-LC-Id": "home", "X-LC-Key": key}, 401),
        ({"X-LC-Id": "home", "X-LC-Key": "home-key,master"}, 401),
        ({"X-LC-Id": "home", "X-LC-Sign": f"{digest},1700000000000"}, 403),
        ({"X-LC-Id": "home", "X-LC-Sign": f"{digest},1700000000000,master"}, 401),
        ({"X-LC-Id": "nobody", "X-LC-Key": f"{key},master"}, 404),
    ):
        answer = await calling().request(method, f"{SERVICES}{path}", headers=headers)
        assert answer.status_code == status, headers
        assert answer.json().keys() == {"code", "error"}


async def test_every_form_of_the_master_key(calling: Calling, app: App) -> None:
    digest = hashlib.md5(f"1700000000000{app.master_key}".encode()).hexdigest()
    for name, value in (
        ("X-LC-Key", f"{app.master_key},master"),
        ("X-AVOSCloud-Application-Key", f"{app.master_key},master"),
        ("X-AVOSCloud-Master-Key", app.master_key),
        ("X-LC-Sign", f"{digest},1700000000000,master"),
    ):
        answer = await calling().get(SERVICES, headers={"X-LC-Id": "home", name: value})
        assert answer.status_code == 200, name


async def test_a_server_that_is_not_ready(calling: Calling, site: Any, http: httpx.AsyncClient) -> None:
    site.ready = False
    assert (await http.get(SERVICES)).status_code == 503


# asking wrongly


@pytest.mark.parametrize(("method", "path"), [each for each in PATHS if ID in each[1]])
async def test_unknown_and_other_conversations(api: Rest, group: str, method: str, path: str) -> None:
    body: dict[str, Any] = {}
    if method in ("POST", "PUT"):
        body = {"from_client": "news", "message": "x", "timestamp": 1, "client_id": "ann"}
    if path.endswith("/messages") and method == "POST":
        body["to_clients"] = ["ann"]
    query = {"from_client": "news", "timestamp": "1"} if method == "DELETE" else None
    is_send = method == "POST" and path.endswith(("/broadcasts", "/messages"))
    assert await api.refused(method, f"{SERVICES}{path}", query, **body) == (400, 4401 if is_send else 4303)
    assert await api.refused(method, f"{SERVICES}{path.replace(ID, group)}", query, **body) == (400, 4313)


GOOD = {"from_client": "news", "message": "x"}
ALONE = {**GOOD, "to_clients": ["ann"]}
EDIT = {**GOOD, "timestamp": 1}
NAMES = [None, 1, "", "x" * 65, ["a"], {}, True]
NO_TEXT = [None, 1, ["a"], True]
TIMES = [None, "x", -1, 1.5, True, [], "9" * 20, 10**20]
CLIENTS = [None, "ann", [], ["x"] * 21, [1], [""], ["x" * 65], {}]
WRONG = [
    *[("POST", "/subscribers", {"client_id": value}) for value in NAMES],
    *[("POST", "/broadcasts", {**GOOD, "from_client": value}) for value in NAMES],
    *[("POST", "/broadcasts", {**GOOD, "message": value}) for value in NO_TEXT],
    *[("POST", "/broadcasts", {**GOOD, "push": value}) for value in NO_TEXT[1:]],
    *[("POST", "/messages", {**ALONE, "from_client": value}) for value in NAMES],
    *[("POST", "/messages", {**ALONE, "message": value}) for value in NO_TEXT],
    *[("POST", "/messages", {**ALONE, "to_clients": value}) for value in CLIENTS],
    *[("POST", "/messages", {**ALONE, "transient": value}) for value in (None, 1, "yes", [])],
    *[("POST", "/messages", {**ALONE, "no_sync": value}) for value in (1, "yes", [])],
    *[("POST", "/messages", {**ALONE, "push_data": value}) for value in NO_TEXT[1:]],
    *[("POST", "/messages", {**ALONE, "priority": value}) for value in (1, "urgent", [])],
    *[("PUT", "/messages/x", {**EDIT, "from_client": value}) for value in NAMES],
    *[("PUT", "/messages/x", {**EDIT, "message": value}) for value in NO_TEXT],
    *[("PUT", "/messages/x", {**EDIT, "timestamp": value}) for value in TIMES],
    *[("PUT", "/messages/x", {**EDIT, "to_clients": value}) for value in CLIENTS],
    *[("PUT", "/messages/x/recall", {**EDIT, "from_client": value}) for value in NAMES],
    *[("PUT", "/messages/x/recall", {**EDIT, "timestamp": value}) for value in TIMES],
    *[("PUT", "/messages/x/recall", {**EDIT, "to_clients": value}) for value in CLIENTS],
    *[("DELETE", "/subscribers/ann/messages/x", {**EDIT, "from_client": value}) for value in NAMES],
    *[("DELETE", "/subscribers/ann/messages/x", {**EDIT, "timestamp": value}) for value in TIMES],
]


@pytest.mark.parametrize(("method", "path", "body"), WRONG)
async def test_wrong_parameters(
    api: Rest, service: Service, events: list[Event], method: str, path: str, body: Any
) -> None:
    assert await api.refused(method, f"{service.path}{path}", None, **body) == (400, 1)
    assert events == []


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/subscribers", {"limit": "x"}),
        ("/subscribers", {"limit": "-1"}),
        *[
            ("/subscribers/ann/messages", {name: value})
            for name, values in {
                "limit": ["x", "-1", "1.5"],
                "timestamp": ["x", "9" * 20],
                "till_timestamp": ["x"],
                "reversed": ["1", "yes"],
                "include_start": ["x"],
                "include_stop": ["x"],
            }.items()
            for value in values
        ],
    ],
)
async def test_wrong_queries(api: Rest, service: Service, path: str, query: dict[str, str]) -> None:
    assert await api.refused("GET", f"{service.path}{path}", query) == (400, 1)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"NaN", b"[" * 200 + b"]" * 200, b'{"a":' * 5_000])
@pytest.mark.parametrize("path", ["", "/{id}/broadcasts", "/{id}/subscribers"])
async def test_what_is_no_json_object(http: httpx.AsyncClient, service: Service, path: str, body: bytes) -> None:
    answer = await http.post(f"{SERVICES}{path.format(id=service.id)}", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 107)


async def test_a_body_that_is_too_long(http: httpx.AsyncClient, service: Service) -> None:
    answer = await http.post(f"{service.path}/broadcasts", content=b" " * 1_048_577)
    assert answer.status_code == 413
    assert answer.json().keys() == {"code", "error"}


@pytest.mark.parametrize(("path", "more"), [("/broadcasts", {}), ("/messages", {"to_clients": ["ann"]})])
async def test_a_message_that_is_too_long(api: Rest, service: Service, path: str, more: dict[str, Any]) -> None:
    body = {"from_client": "news", "message": "x" * 5_121, **more}
    assert await api.refused("POST", f"{service.path}{path}", **body) == (400, 4109)
    assert await service.history("ann") == []


@pytest.mark.parametrize(
    "values",
    [
        {"name": 1},
        {"attr": []},
        {"a..b": 1},
        {"attr": {"x": "y" * 70_000}},
    ],
)
async def test_wrong_attributes(api: Rest, service: Service, values: dict[str, Any]) -> None:
    assert await api.refused("POST", SERVICES, **values) == (400, 4306)
    assert await api.refused("PUT", service.path, **values) == (400, 4306)


async def test_keys_that_are_not_written(api: Rest, service: Service) -> None:
    assert await api.refused("PUT", service.path, m=["ann"]) == (400, 117)
    for key in ("objectId", "sys", "lm", "createdAt"):
        assert await api.refused("PUT", service.path, **{key: "x"}) == (400, 117)


async def test_a_wrong_condition(api: Rest) -> None:
    for where in ("{", '{"$x":1}', '{"name":{"$regex":"("}}'):
        assert await api.refused("GET", SERVICES, {"where": where}) == (400, 4310)


async def test_no_path_and_no_method(http: httpx.AsyncClient, service: Service) -> None:
    assert (await http.get(f"{service.path}/nothing")).status_code == 404
    assert (await http.post(f"{service.path}/subscribers/count")).status_code == 405
