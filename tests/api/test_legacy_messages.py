"""The older calls on messages: what they do differently, and what they are called otherwise."""

import asyncio
import base64
import dataclasses
import hmac
from typing import Any

import pytest

from hongyan.engine.engine import Engine
from hongyan.engine.events import Event, MessagePatched, MessageSent, MessageSynced
from hongyan.engine.values import App, Priority, stream_id
from tests.api import talk
from tests.api.conftest import Answered
from tests.support.rest import Rest, passed

VERSIONS = ("/1.1", "/1")
SEND, HISTORY, LOGS, PATCH = (
    "/1.1/rtm/messages",
    "/1.1/rtm/messages/history",
    "/1.1/rtm/messages/logs",
    "/1.1/rtm/patch/message",
)


async def kept(api: Rest, cid: str, text: str, sender: str = "ann", **more: Any) -> dict[str, Any]:
    """A message that is kept."""
    body = {"from_peer": sender, "conv_id": cid, "message": text, "transient": False, **more}
    answer: dict[str, Any] = await api.call("POST", SEND, **body)
    await passed(answer["timestamp"])
    return answer


# sending


@pytest.mark.parametrize("version", VERSIONS)
async def test_sending_is_transient_and_of_high_priority(
    version: str, api: Rest, engine: Engine, app: App, events: list[Event]
) -> None:
    """Unless it says otherwise."""
    for cid in (await talk.group(engine, app, "ann", "bob"), await talk.room(engine, app)):
        events.clear()
        body = {"from_peer": "ann", "conv_id": cid, "message": "x"}
        for more in ({}, {"transient": False, "priority": "low"}):
            answer = await api.call("POST", f"{version}/rtm/messages", **body, **more)
            assert answer == {**answer["result"], "result": answer["result"]}
        told = [event.message for event in events if isinstance(event, MessageSent)]
        assert [(each.transient, each.priority) for each in told] == [(True, Priority.HIGH), (False, Priority.LOW)]
        assert len(await api.call("GET", HISTORY, {"convid": cid})) == 1


@pytest.mark.parametrize("name", ["to_peers", "to_clients"])
async def test_sending_to_some_clients(name: str, api: Rest, engine: Engine, app: App, events: list[Event]) -> None:
    news = await talk.service(engine, app)
    await kept(api, news, "x", sender="app", **{name: ["ann", "bob"]})
    told = [event.conversation.members for event in events if isinstance(event, MessageSent)]
    assert told == [{"ann"}, {"bob"}]
    assert [event.message.sender for event in events if isinstance(event, MessageSynced)] == ["app"]
    await kept(api, news, "x", sender="app", **{name: ["ann"]}, no_sync=True)
    assert len([event for event in events if isinstance(event, MessageSynced)]) == 1
    assert await api.refused("POST", SEND, from_peer="app", conv_id=news, message="x") == (400, 1)


@pytest.mark.parametrize("version", VERSIONS)
async def test_telling_subscribers(version: str, api: Rest, engine: Engine, app: App) -> None:
    news = await talk.service(engine, app, "ann")
    body = {"from_peer": "app", "conv_id": news, "message": "x", "push": "!"}
    answer = await api.call("POST", f"{version}/rtm/broadcast/subscriber", **body)
    assert answer == {**answer["result"], "result": answer["result"]}
    assert await api.call("GET", "/1.2/rtm/clients/ann/unread-count") == {"count": 1}


# history


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["history", "logs"])
async def test_history(version: str, name: str, api: Rest, engine: Engine, app: App) -> None:
    """Of a conversation, of a sender, of the whole app."""
    one, two = await talk.group(engine, app, "ann", "bob"), await talk.group(engine, app, "ann", "cem")
    for cid, sender, text in ((one, "ann", "a"), (two, "cem", "b"), (one, "bob", "c"), (two, "ann", "d")):
        await kept(api, cid, text, sender)
    path = f"{version}/rtm/messages/{name}"

    async def read(**query: Any) -> str:
        return "".join(talk.texts(await api.call("GET", path, query)))

    assert await read() == "dcba"
    assert await read(convid=one) == "ca"
    assert await read(convid=f"{one}00000000") == "ca"
    assert await read(**{"from": "ann"}) == "da"
    assert await read(limit=2) == "dc"
    assert await read(convid=two, reversed="True") == "bd"
    (_, first) = await api.call("GET", path, {"convid": one})
    for query in ({}, {"convid": one}, {"from": "ann"}):
        assert await read(**query, max_ts=first["timestamp"] + 1) == "a"
        assert await read(**query, max_ts=first["timestamp"], msgid=first["msg-id"]) == ""
        assert await read(**query, max_ts=first["timestamp"], msgid=first["msg-id"], include_start="true") == "a"


async def test_history_of_one_client_in_a_service_conversation(api: Rest, engine: Engine, app: App) -> None:
    """By the id of its stream, also if it was never told anything alone."""
    news = await talk.service(engine, app, "ann", "bob")
    await api.call("POST", "/1.1/rtm/broadcast/subscriber", from_peer="app", conv_id=news, message="to all")
    await kept(api, news, "to ann", "app", to_peers=["ann"])
    for client, expected in (("ann", ["to all", "to ann"]), ("bob", ["to all"])):
        found = await api.call("GET", HISTORY, {"convid": stream_id(news, client)})
        assert sorted(talk.texts(found)) == expected
        assert {record["conv-id"] for record in found} == {stream_id(news, client)}
    assert talk.texts(await api.call("GET", HISTORY, {"convid": news})) == ["to all"]
    for unknown in ("0" * 32, stream_id(news, "nobody"), "0" * 24, f"{'1' * 24}00000000"):
        assert await api.refused("GET", HISTORY, {"convid": unknown}) == (400, 4303)


async def test_history_by_a_signature(
    api: Rest, engine: Engine, app: App, answered: Answered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the app's key: of one conversation, for its members, in both orders of what is signed."""
    monkeypatch.setattr(app, "settings", dataclasses.replace(app.settings, sign_history=True))
    cid, news = await talk.group(engine, app, "ann", "bob"), await talk.service(engine, app)
    await kept(api, cid, "x")
    await kept(api, news, "y", "app", to_peers=["ann"])
    at, headers = engine.clock.now(), {"X-LC-Id": app.id, "X-LC-Key": app.app_key}

    async def read(client: str, convid: str, order: str, name: str = "peerid") -> tuple[int, Any]:
        text = order.format(app=app.id, client=client, convid=convid, at=at)
        signature = hmac.digest(app.master_key.encode(), text.encode(), "sha1").hex()
        query = f"convid={convid}&{name}={client}&nonce=n&signature_ts={at}&signature={signature}"
        answer = await answered("GET", f"{HISTORY}?{query}", headers)
        found = answer.json()
        return answer.status_code, talk.texts(found) if answer.status_code == 200 else found["code"]

    documented, of_sample = "{app}:{client}:{convid}:n:{at}", "{app}:{client}:{convid}:{at}:n"
    for order in (documented, of_sample):
        assert await read("ann", cid, order) == (200, ["x"])
        assert await read("ann", cid, order, "client_id") == (200, ["x"])
    assert await read("eve", cid, documented) == (400, 4312)
    assert await read("ann", cid, "{app}:bob:{convid}:n:{at}") == (401, 4302)
    assert await read("ann", stream_id(news, "ann"), documented) == (200, ["y"])
    assert await read("ann", news, documented) == (200, ["y"])
    assert await read("bob", stream_id(news, "ann"), documented) == (400, 4312)
    quiet = await talk.service(engine, app, "ann", "bob")  # nobody has been told anything alone there
    assert await read("ann", stream_id(quiet, "ann"), documented) == (200, [])
    assert await read("bob", stream_id(quiet, "ann"), documented) == (400, 4303)  # others are not looked through
    for query in ("", "?from=ann", "?peerid=ann"):
        answer = await answered("GET", f"{HISTORY}{query}", headers)
        assert (answer.status_code, answer.json()["code"]) == (400, 1)


# deleting and rewriting


@pytest.mark.parametrize("in_body", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
async def test_deleting(version: str, in_body: bool, api: Rest, engine: Engine, app: App, events: list[Event]) -> None:
    cid, news = await talk.group(engine, app, "ann", "bob"), await talk.service(engine, app)
    said = [(cid, "ann", await kept(api, cid, "x"))]
    told = await kept(api, news, "y", "app", to_peers=["ann", "bob"])
    said.append((stream_id(news, "ann"), "app", told))
    events.clear()
    for convid, sender, made in said:
        which = {"convid": convid, "msgid": made["msg-id"], "timestamp": made["timestamp"], "from": sender}
        wrong = {**which, "from": "eve"}
        path = f"{version}/rtm/messages/logs"
        assert await api.refused("DELETE", path, wrong) == (400, 4404)
        call = api.call("DELETE", path, **which) if in_body else api.call("DELETE", path, which)
        assert await call == {}
        assert await api.call("GET", HISTORY, {"convid": convid}) == []
    assert talk.texts(await api.call("GET", HISTORY, {"convid": stream_id(news, "bob")})) == ["y"]
    assert events == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_rewriting_a_record(version: str, api: Rest, engine: Engine, app: App, events: list[Event]) -> None:
    """As it was read, with other data; nobody is told and it is no edit."""
    cid, news = await talk.group(engine, app, "ann", "bob"), await talk.service(engine, app)
    await kept(api, cid, "x")
    await kept(api, news, "y", "app", to_peers=["ann"])
    events.clear()
    for record in await api.call("GET", HISTORY):
        new = {**record, "data": "other"}
        assert await api.call("PUT", f"{version}/rtm/messages/logs", **new) == {}
        (found,) = await api.call("GET", HISTORY, {"convid": record["conv-id"]})
        assert found == new
        binary = {**record, "data": base64.b64encode(b"\x00").decode(), "bin": True}
        assert await api.call("PUT", f"{version}/rtm/messages/logs", **binary) == {}
        (found,) = await api.call("GET", HISTORY, {"convid": record["conv-id"]})
        assert found == binary
        for wrong in ({"msg-id": "0" * 22}, {"timestamp": 1}, {"from": "eve"}):
            assert await api.refused("PUT", LOGS, **{**new, **wrong}) == (400, 4404)
        assert await api.refused("PUT", LOGS, **{**new, "bin": True, "data": "?"}) == (400, 1)
        assert await api.refused("PUT", LOGS, **{**new, "data": "x" * 5_121}) == (400, 4109)
    assert events == []


# editing


@pytest.mark.parametrize("version", VERSIONS)
async def test_editing_and_recalling(version: str, api: Rest, engine: Engine, app: App, events: list[Event]) -> None:
    path = f"{version}/rtm/patch/message"
    for cid in (await talk.group(engine, app, "ann", "bob"), await talk.room(engine, app)):
        made = await kept(api, cid, "one")
        which = {"conv_id": cid, "msg_id": made["msg-id"], "timestamp": made["timestamp"], "from_peer": "ann"}
        events.clear()
        assert await api.call("POST", path, **which, message="two") == {"result": {}}
        assert talk.texts(await api.call("GET", HISTORY, {"convid": cid})) == ["two"]
        assert await api.call("POST", path, **which, message="three", recall=True) == {"result": {}}
        (record,) = await api.call("GET", HISTORY, {"convid": cid})
        assert record["recall"]
        assert [event.message.recalled for event in events if isinstance(event, MessagePatched)] == [False, True]
        assert await api.refused("POST", path, **which, message="four") == (400, 4404)


@pytest.mark.parametrize(
    "clients",
    ["ann,bob", "ann, bob", ["ann", "bob"], ["ann", "bob"] + ["ann"] * 30, "ann,bob" + ",ann" * 30],
)
async def test_editing_what_some_clients_were_told(clients: Any, api: Rest, engine: Engine, app: App) -> None:
    """Names in an array or between commas; too many are left out."""
    news = await talk.service(engine, app)
    made = await kept(api, news, "one", "app", to_peers=["ann", "bob"])
    which = {"conv_id": news, "msg_id": made["msg-id"], "timestamp": made["timestamp"], "from_peer": "app"}
    assert await api.call("POST", PATCH, **which, message="two", to_peers=clients) == {"result": {}}
    for client in ("ann", "bob"):
        assert talk.texts(await api.call("GET", HISTORY, {"convid": stream_id(news, client)})) == ["two"]
    assert await api.refused("POST", PATCH, **which, message="three") == (400, 4404)


async def test_editing_what_all_subscribers_were_told(api: Rest, engine: Engine, app: App) -> None:
    news = await talk.service(engine, app, "ann")
    body = {"from_peer": "app", "conv_id": news, "message": "one"}
    made = await api.call("POST", "/1.1/rtm/broadcast/subscriber", **body)
    which = {"msg_id": made["msg-id"], "timestamp": made["timestamp"]}
    assert await api.call("POST", PATCH, **{**body, "message": "two"}, **which) == {"result": {}}
    assert talk.texts(await api.call("GET", HISTORY, {"convid": news})) == ["two"]


# what is wrong

NAMES: list[Any] = [None, 1, True, [], "", "x" * 65]
TIMES: list[Any] = [None, "", "x", -1, 1.5, True, []]
BODIES: list[Any] = [None, 1, True, []]
RIGHT: dict[str, dict[str, Any]] = {
    f"POST {SEND}": {"from_peer": "ann", "message": "x"},
    f"POST {PATCH}": {"from_peer": "ann", "message": "x", "msg_id": "x", "timestamp": 1},
    "POST /1.1/rtm/broadcast/subscriber": {"from_peer": "ann", "message": "x"},
    f"DELETE {LOGS}": {"msgid": "x", "timestamp": 1, "from": "ann"},
    f"PUT {LOGS}": {"msg-id": "x", "timestamp": 1, "from": "ann", "data": "x"},
}
WRONG_VALUES = {
    **dict.fromkeys(["from_peer", "from", "msg_id", "msgid", "msg-id"], NAMES),
    "timestamp": TIMES,
    "message": BODIES,
    "data": BODIES,
}


@pytest.mark.parametrize("call", RIGHT)
async def test_wrong_parameters(call: str, api: Rest, engine: Engine, app: App, events: list[Event]) -> None:
    """Missing, or of a wrong type; and a conversation that is missing, wrong or unknown."""
    cid = await talk.service(engine, app) if "subscriber" in call else await talk.group(engine, app, "ann")
    method, path = call.split()
    name = {"DELETE": "convid", "PUT": "to"}.get(method, "conv_id")
    right = {**RIGHT[call], name: cid}
    events.clear()
    for key in RIGHT[call]:
        for value in WRONG_VALUES[key]:
            assert await api.refused(method, path, **{**right, key: value}) == (400, 1), (key, value)
        assert await api.refused(method, path, **{k: v for k, v in right.items() if k != key}) == (400, 1), key
    for value in [None, 1, [], ""]:
        assert await api.refused(method, path, **{**right, name: value}) == (400, 1)
    unknown = 4401 if "messages" in path.split("/")[-1:] or "subscriber" in path else 4303
    assert await api.refused(method, path, **{**right, name: "0" * 24}) == (400, unknown)
    assert events == []


@pytest.mark.parametrize("value", [1, [1], [""], "", "x" * 65, {}])
async def test_wrong_clients(value: Any, api: Rest, engine: Engine, app: App) -> None:
    news = await talk.service(engine, app)
    body = {"from_peer": "app", "conv_id": news, "message": "x", "to_peers": value}
    assert await api.refused("POST", SEND, **body) == (400, 1)
    assert await api.refused("POST", PATCH, **body, msg_id="x", timestamp=1) == (400, 1)


async def test_the_same_words_as_clients_in_the_newer_calls(api: Rest, engine: Engine, app: App) -> None:
    """Both see each other's messages."""
    cid = await talk.group(engine, app, "ann")
    where = f"/1.2/rtm/conversations/{cid}/messages"
    await kept(api, cid, "old")
    await asyncio.gather(*(api.call("POST", where, from_client="ann", message="new") for _ in range(3)))
    assert sorted(talk.texts(await api.call("GET", where))) == ["new"] * 3 + ["old"]
    assert await api.call("GET", where) == await api.call("GET", HISTORY, {"convid": cid})
