"""LiveQuery on the websocket, subscriptions over HTTP; and the push login of Java (reference 3.23, 8.5, 10.4)."""

import itertools
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from hongyan.wire.messages2_pb2 import GenericCommand, SystemInfo
from tests.gateway.apps import STRICT, into
from tests.gateway.talk import clients, people, push_names, settled
from tests.gateway.test_unused import fill
from tests.support.client import (
    BASE64,
    BINARY,
    TIMEOUT,
    Connection,
    ConnectionLost,
    Refused,
    Session,
    command,
    connect,
    named,
)
from tests.support.server import App, Server

LIVE_QUERY = 1


def a_login(app: App, id: str, **fields: Any) -> GenericCommand:
    return GenericCommand(cmd="login", appId=app.id, installationId=id, service=LIVE_QUERY, **fields)


def a_logout(app: App, id: str) -> GenericCommand:
    return GenericCommand(cmd="logout", appId=app.id, installationId=id, service=LIVE_QUERY)


def new_id() -> str:
    return str(uuid.uuid4())


@asynccontextmanager
async def listening(server: Server, id: str, subprotocol: str = BINARY) -> AsyncIterator[Connection]:
    """A connection for LiveQuery alone."""
    async with connect(server, subprotocol) as connection:
        await connection.request(a_login(server.app, id))
        yield connection


async def call(
    server: Server, path: str, body: object, reader: Session | None = None, master: bool = False, app: App | None = None
) -> httpx.Response:
    """A call of an SDK: as the client, with the master key, or with the app key alone."""
    app = app or server.app
    headers = {"X-LC-Id": app.id, "X-LC-Key": f"{app.master_key},master" if master else app.key}
    query = {}
    if reader is not None:
        headers["X-LC-IM-Session-Token"] = reader.token
        query["client_id"] = reader.peer
    async with httpx.AsyncClient(trust_env=False, verify=server.ssl_context or False, timeout=TIMEOUT) as client:
        return await client.post(f"{server.http_url}/1.1/LiveQuery/{path}", params=query, headers=headers, json=body)


async def subscribe(
    server: Server, id: str, where: object = None, reader: Session | None = None, **query: object
) -> str:
    """Subscribes as the client, or else with the master key; the id of the query."""
    asked = {"query": {"className": "_Conversation", "where": where or {}, **query}, "id": id}
    answer = await call(server, "subscribe", asked, reader, master=reader is None)
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == id
    query_id: str = answer.json()["query_id"]
    return query_id


async def news(connection: Connection) -> dict[str, Any]:
    """The next push of LiveQuery."""
    push = await connection.expect("data")
    assert (push.service, push.HasField("i"), push.HasField("peerId")) == (LIVE_QUERY, False, False)
    assert push.serverTs > 0
    (id,), (message,) = push.dataMessage.ids, push.dataMessage.msg
    ack = GenericCommand(cmd="ack", appId=connection.app_id, installationId=push.installationId, service=LIVE_QUERY)
    ack.ackMessage.ids.append(id)
    await connection.send(ack)
    told: dict[str, Any] = json.loads(message.data)
    return told


async def ops(connection: Connection, count: int) -> list[tuple[str, str]]:
    """The next pushes: what happened to which conversation."""
    told = [await news(connection) for _ in range(count)]
    return [(one["op"], one["object"]["objectId"]) for one in told]


@pytest.mark.covers("login", "loggedin", "logout", "loggedout", "GenericCommand.installationId")
@pytest.mark.covers("GenericCommand.clientTs")
@pytest.mark.parametrize("subprotocol", [BINARY, BASE64])
async def test_a_subscription_id_logs_in_and_out(server: Server, subprotocol: str) -> None:
    id = new_id()
    async with connect(server, subprotocol) as connection:
        for _ in range(2):  # a second time, too
            answer = await connection.request(a_login(server.app, id, clientTs=1_700_000_000_000))
            assert (named(answer), answer.service, answer.installationId) == ("loggedin", LIVE_QUERY, id)
        answer = await connection.request(a_logout(server.app, id))
        assert (named(answer), answer.service, answer.installationId) == ("loggedout", LIVE_QUERY, id)
        with pytest.raises(Refused) as refused:
            await connection.request(a_logout(server.app, id))
        assert (refused.value.code, refused.value.answer.service) == (4105, LIVE_QUERY)
        assert refused.value.answer.installationId == id
        assert await pushes_of(connection) == []


async def pushes_of(connection: Connection) -> list[str]:
    await connection.echo()
    return [named(push) for push in connection.pushes]


@pytest.mark.covers("data", "GenericCommand.dataMessage", "DataCommand.ids", "DataCommand.msg")
@pytest.mark.covers("AckCommand.ids")
async def test_changes_of_conversations_are_told_inferred(server: Server) -> None:
    id, color = new_id(), new_id()
    async with listening(server, id) as listener, clients(server, "tom", "jerry") as (tom, jerry):
        query = await subscribe(server, id, {"attr.color": color, "m": tom.peer})
        attr = {"data": json.dumps({"name": "friends", "attr": {"color": color}, "rank": 1})}
        cid = await tom.start(jerry.peer, attr=attr)
        told = await news(listener)
        row = told["object"]
        assert told == {"op": "create", "query_id": query, "object": row}
        assert row == {
            "className": "_Conversation",
            "objectId": cid,
            "name": "friends",
            "attr": {"color": color},
            "rank": 1,
            "c": tom.peer,
            "m": row["m"],
            "mu": [],
            "createdAt": row["createdAt"],
            "updatedAt": row["updatedAt"],
        }
        assert set(row["m"]) == {tom.peer, jerry.peer}
        await change(tom, cid, {"name": "enemies", "rank": {"__op": "Increment", "amount": 1}})
        told = await news(listener)
        assert (told["op"], told["updatedKeys"]) == ("update", ["name", "rank"])
        assert (told["object"]["name"], told["object"]["rank"]) == ("enemies", 2)
        await change(tom, cid, {"attr.color": "none"})
        told = await news(listener)
        assert (told["op"], told["updatedKeys"]) == ("leave", ["attr"])
        assert told["object"]["attr"] == {"color": "none"}
        await change(tom, cid, {"name": "nobody looks"})
        await change(tom, cid, {"attr.color": color})
        assert await ops(listener, 1) == [("enter", cid)]
        await tom.request("conv", "remove", cid=cid, m=[tom.peer])
        told = await news(listener)
        assert (told["op"], told["object"]["m"]) == ("leave", [jerry.peer])
        # what comes while the server looks is told by the next look, although this one may have seen it
        assert [key for key in told["updatedKeys"] if key not in ("name", "attr")] == ["m"]
        assert await pushes_of(listener) == []


async def change(session: Session, cid: str, changes: object) -> None:
    await session.request("conv", "update", cid=cid, attr={"data": json.dumps(changes)})


async def test_messages_are_not_told_inferred(server: Server) -> None:
    id = new_id()
    async with listening(server, id) as listener, clients(server, "tom") as (tom,):
        await subscribe(server, id, {"m": tom.peer})
        cid = await tom.start()
        assert await ops(listener, 1) == [("create", cid)]
        await tom.send(cid, "hello")
        await change(tom, cid, {"name": "later"})
        told = await news(listener)
        assert (told["op"], told["updatedKeys"]) == ("update", ["name"])
        assert told["object"]["lm"]["__type"] == "Date"


async def test_it_shares_a_connection_with_sessions(server: Server) -> None:
    id = new_id()
    async with clients(server, "tom") as (tom,):
        await tom.connection.request(a_login(server.app, id))
        await subscribe(server, id, {"m": tom.peer}, tom)
        cid = await tom.start()
        assert await ops(tom.connection, 1) == [("create", cid)]
        await tom.connection.request(a_logout(server.app, id))
        await change(tom, cid, {"name": "unheard"})
        assert await tom.start()
        assert "data" not in await push_names(tom)


async def test_a_client_sees_its_own_conversations_only_inferred(server: Server) -> None:
    id = new_id()
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        listener = tom.connection
        await listener.request(a_login(server.app, id))
        everything = await subscribe(server, id, {}, tom)
        of_jerry = await subscribe(server, id, {"m": jerry.peer}, tom)
        assert everything != of_jerry
        foreign = await jerry.start(spike.peer)
        shared = await jerry.start(tom.peer, attr={"data": json.dumps({"attr": {"secret": "no more"}})})
        told = [await news(listener) for _ in range(2)]
        assert {(one["op"], one["object"]["objectId"], one["query_id"]) for one in told} == {
            ("create", shared, everything),
            ("create", shared, of_jerry),
        }
        await jerry.request("conv", "add", cid=foreign, m=[tom.peer])
        assert await ops(listener, 2) == [("enter", foreign)] * 2
        await jerry.request("conv", "remove", cid=shared, m=[tom.peer])
        for told_once in [await news(listener), await news(listener)]:
            assert told_once["op"] == "leave"
            assert told_once["object"] == {"className": "_Conversation", "objectId": shared}
        await change(jerry, shared, {"name": "secret"})
        await change(jerry, foreign, {"name": "shared"})
        assert await ops(listener, 2) == [("update", foreign)] * 2


async def test_only_the_member_hears_that_it_muted(server: Server) -> None:
    ids = [new_id(), new_id()]
    async with clients(server, "tom", "jerry") as (tom, jerry):
        for session, id in zip([tom, jerry], ids, strict=True):
            await session.connection.request(a_login(server.app, id))
            await subscribe(server, id, {}, session)
        muted = await subscribe(server, ids[0], {"mu": tom.peer}, tom)
        cid = await tom.start(jerry.peer)
        assert await ops(tom.connection, 1) == [("create", cid)]
        assert await ops(jerry.connection, 1) == [("create", cid)]
        await tom.request("conv", "mute", cid=cid)
        told = {one["query_id"]: one for one in [await news(tom.connection), await news(tom.connection)]}
        assert told[muted]["op"] == "enter"
        assert {tuple(one["object"]["mu"]) for one in told.values()} == {(tom.peer,)}
        assert {tuple(one["updatedKeys"]) for one in told.values()} == {("mu",)}
        heard = await news(jerry.connection)
        assert (heard["op"], heard["object"]["mu"]) == ("update", [])


async def test_keys_choose_what_is_told(server: Server) -> None:
    id = new_id()
    async with listening(server, id) as listener, clients(server, "tom") as (tom,):
        listed = await subscribe(server, id, {"m": tom.peer}, keys=["name", "attr.color", "attr.none", "name.first"])
        text = await subscribe(server, id, {"m": tom.peer}, keys="-m, -attr.size,-objectId")
        attr = {"name": "n", "attr": {"color": "red", "size": 1}, "rank": 1}
        cid = await tom.start(attr={"data": json.dumps(attr)})
        told = {one["query_id"]: one["object"] for one in [await news(listener), await news(listener)]}
        always = {"className", "objectId", "createdAt", "updatedAt"}
        assert set(told[listed]) == {"name", "attr", *always}
        assert (told[listed]["objectId"], told[listed]["attr"]) == (cid, {"color": "red"})
        assert set(told[text]) == {"name", "attr", "rank", "c", "mu", *always}
        assert told[text]["attr"] == {"color": "red"}


async def test_subscriptions_outlive_a_connection_and_end_with_a_logout(server: Server) -> None:
    id = new_id()
    async with clients(server, "tom") as (tom,):
        async with listening(server, id) as listener:
            query = await subscribe(server, id, {"m": tom.peer})
            listener.abort()
            await listener.closed()
        async with listening(server, id) as listener:
            cid = await tom.start()
            assert (await news(listener))["query_id"] == query
            assert await subscribe(server, id, {"m": tom.peer}) == query  # as SDKs do after a reconnect
            await listener.request(a_logout(server.app, id))
            await listener.request(a_login(server.app, id))
            again = await subscribe(server, id, {"m": tom.peer, "name": "again"})
            assert again != query
            await change(tom, cid, {"name": "again"})
            told = await news(listener)
            assert (told["op"], told["query_id"]) == ("enter", again)


async def test_who_logs_in_last_is_told_inferred(server: Server) -> None:
    """A connection that was lost without notice keeps nothing from the next one, nor ends anything later."""
    id = new_id()
    async with clients(server, "tom") as (tom,), listening(server, id) as old, listening(server, id) as new:
        await subscribe(server, id, {"m": tom.peer})
        cid = await tom.start()
        assert await ops(new, 1) == [("create", cid)]
        assert named(await old.request(a_logout(server.app, id))) == "loggedout"
        await change(tom, cid, {"name": "heard"})
        assert await ops(new, 1) == [("update", cid)]
        assert await pushes_of(old) == []


async def test_ids_of_apps_are_apart(server: Server) -> None:
    id = new_id()
    async with listening(server, id) as listener, settled(server, *people("tom")) as tom:
        async with connect(into(server, STRICT)) as other:
            await other.request(a_login(STRICT, id))
            await subscribe(server, id, {"m": tom.peer})
            cid = await tom.start()
            assert await ops(listener, 1) == [("create", cid)]
            await other.request(a_logout(STRICT, id))
            assert await pushes_of(other) == []
        await change(tom, cid, {"name": "still"})
        assert await ops(listener, 1) == [("update", cid)]


async def test_unsubscribing_ends_ones_own_query_alone(server: Server) -> None:
    id = new_id()
    async with listening(server, id) as listener, clients(server, "tom", "jerry") as (tom, jerry):
        query = await subscribe(server, id, {"m": tom.peer})
        for reader, asked in [(jerry, query), (tom, query), (None, "none"), (None, "")]:
            body = {"id": id, "query_id": asked}
            answer = await call(server, "unsubscribe", body, reader, master=reader is None)
            assert (answer.status_code, answer.json()) == (200, {})
        cid = await tom.start()
        assert await ops(listener, 1) == [("create", cid)]
        answer = await call(server, "unsubscribe", {"id": id, "query_id": query}, master=True)
        assert (answer.status_code, answer.json()) == (200, {})
        await subscribe(server, id, {"name": cid})
        await change(tom, cid, {"name": cid})
        assert await ops(listener, 1) == [("enter", cid)]


async def test_a_logout_of_the_client_ends_what_it_let_see_inferred(server: Server) -> None:
    id = new_id()
    async with listening(server, id) as listener, clients(server, "tom", "jerry") as (tom, jerry):
        await subscribe(server, id, {}, jerry)
        cid = await tom.start(jerry.peer)
        assert await ops(listener, 1) == [("create", cid)]
        await jerry.request("session", "close")
        await subscribe(server, id, {"name": cid})
        await change(tom, cid, {"name": cid})
        assert await ops(listener, 1) == [("enter", cid)]
        assert await pushes_of(listener) == []


@pytest.mark.covers("GenericCommand.loginMessage", "GenericCommand.loggedinMessage", "LoginCommand.systemInfo")
@pytest.mark.covers("LoggedinCommand.pushDisabled")
@pytest.mark.parametrize("service", [None, 0])
async def test_the_push_login_of_java_hears_that_there_is_no_push(server: Server, service: int | None) -> None:
    request = GenericCommand(cmd="login", appId=server.app.id, installationId="java", service=service)
    system = SystemInfo()
    fill(system, "secret")
    request.loginMessage.systemInfo.CopyFrom(system)
    async with connect(server) as connection:
        await connection.send(request)
        answer = await connection.expect("loggedin")
        assert (answer.HasField("service"), answer.service, answer.HasField("i")) == (True, 0, False)
        assert answer.loggedinMessage.pushDisabled is True
        assert b"secret" not in answer.SerializeToString()
        numbered = await connection.request(request)
        assert named(numbered) == "loggedin"
        session = await connection.open(*people("tom"))
        await connection.send(request)
        await connection.expect("loggedin")
        assert await session.start()


BAD_LOGINS = {
    "an unknown app": ({"appId": "nowhere"}, 4100),
    "no app": ({"appId": ""}, 4100),
    "no id": ({"installationId": ""}, 4103),
    "a long id": ({"installationId": "x" * 129}, 4103),
}


@pytest.mark.parametrize(("fields", "code"), BAD_LOGINS.values(), ids=BAD_LOGINS)
async def test_a_bad_login_gets_one_error(server: Server, fields: dict[str, str], code: int) -> None:
    request = a_login(server.app, new_id())
    for name, value in fields.items():
        setattr(request, name, value)
    async with connect(server) as connection:
        with pytest.raises(Refused) as refused:
            await connection.request(request)
        assert (refused.value.code, refused.value.answer.service) == (code, LIVE_QUERY)
        assert await pushes_of(connection) == []
        await connection.request(a_login(server.app, new_id()))


async def test_a_login_for_another_app_than_the_sessions_is_refused(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        with pytest.raises(Refused) as refused:
            await tom.connection.request(a_login(STRICT, new_id()))
        assert refused.value.code == 4100
        named_no_app = a_login(server.app, new_id())
        named_no_app.ClearField("appId")
        await tom.connection.request(named_no_app)
        assert await tom.start()


async def test_without_a_serial_there_is_no_error(server: Server) -> None:
    """One would end a JS client; a push login for an unknown app is closed with the reason."""
    id = new_id()
    async with clients(server, "tom") as (tom,):
        for request in [a_logout(server.app, id), a_login(STRICT, id), a_login(server.app, "")]:
            await tom.connection.send(request)
        assert await push_names(tom) == []
        ack = GenericCommand(cmd="ack", appId=server.app.id, installationId=id, service=LIVE_QUERY)
        ack.ackMessage.ids.append("x")
        await tom.connection.send(ack)
        assert await push_names(tom) == []
    async with connect(server) as connection:
        await connection.send(ack)
        await connection.send(GenericCommand(cmd="login", appId="nowhere", installationId="java"))
        assert (await connection.closed()).code == 4100


@pytest.mark.covers("DataCommand.offline")
async def test_what_only_servers_say_is_refused(server: Server) -> None:
    async with listening(server, new_id()) as connection:
        for request in [command("loggedin"), command("loggedout"), command("data", offline=True)]:
            with pytest.raises(Refused) as refused:
                await connection.request(request)
            assert refused.value.code == 4114


async def test_a_connection_listens_for_a_few_ids(server: Server) -> None:
    async with connect(server) as connection:
        ids = [new_id() for _ in range(20)]
        for id in ids:
            await connection.request(a_login(server.app, id))
        with pytest.raises(Refused) as refused:
            await connection.request(a_login(server.app, new_id()))
        assert refused.value.code == 4318
        await connection.request(a_login(server.app, ids[0]))
        await connection.request(a_logout(server.app, ids[0]))
        await connection.request(a_login(server.app, new_id()))


async def test_logins_of_a_connection_are_limited(server: Server) -> None:
    id = new_id()
    async with connect(into(server, STRICT)) as connection:

        async def log_in_for_ever() -> None:
            for number in itertools.count():
                logins.append(number)
                await connection.request(a_login(STRICT, id))

        logins: list[int] = []
        with pytest.raises(Refused) as refused:
            await log_in_for_ever()
        assert refused.value.code == 4318
        assert len(logins) > 60


async def test_a_slow_listener_costs_its_own_connection(server: Server) -> None:
    id, big = new_id(), "x" * 30_000
    async with clients(server, "tom") as (tom,), connect(server, max_queue=1) as slow, connect(server) as quick:
        await slow.request(a_login(server.app, id))
        other = new_id()
        await quick.request(a_login(server.app, other))
        for _id in (id, other):
            await subscribe(server, _id, {"m": tom.peer}, tom, keys=["rank"])
        for number in range(19):
            await subscribe(server, id, {"m": tom.peer}, tom, keys=["attr", str(number)])
        slow.pause_reading()
        cid = await tom.start(attr={"data": json.dumps({"attr": {"big": big}, "rank": 0})})
        assert await ops(quick, 1) == [("create", cid)]
        rank = 0
        before = server.log.count("a slow peer was cut off")
        while server.log.count("a slow peer was cut off") == before:
            rank += 1
            await change(tom, cid, {"rank": rank})
            while (await news(quick))["object"]["rank"] != rank:
                pass
        slow.resume_reading()
        with pytest.raises(ConnectionLost):
            raise await slow.closed()
        assert await tom.start()


async def test_only_listening_is_enough_of_a_login(server_factory: Callable[..., Server]) -> None:
    server = server_factory(environment={"HONGYAN_GATEWAY_LOGIN_TIMEOUT": "3"})
    server.start()
    async with listening(server, new_id()) as listener, connect(server) as java:
        await java.send(GenericCommand(cmd="login", appId=server.app.id, installationId="java"))
        await java.expect("loggedin")
        async with connect(server) as silent:
            assert (await silent.closed()).code == 4108
        await java.echo()
        await listener.echo()


async def test_an_id_that_turns_to_another_app_leaves_nothing_behind(server: Server) -> None:
    """Its subscriptions in the first app end, as by a logout."""
    id = new_id()
    async with connect(server) as connection:
        await connection.request(a_login(server.app, id))
        first_query = await subscribe(server, id)
        await connection.request(a_login(STRICT, id))
        assert await subscribe(server, id) != first_query
