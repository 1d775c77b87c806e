"""`session`: log in, log out, who is online (reference 1.8, 3.4, 3.5)."""

import asyncio

import pytest

from tests.gateway.apps import STRICT, into
from tests.gateway.handlers.refusals import REQUIRED, refusal
from tests.gateway.raw import message
from tests.gateway.talk import clients, numbered, open_command, people, push_names, pushes, replies, settle, texts
from tests.support.client import Connection, Refused, Session, command, connect, named
from tests.support.server import Server

# opening


@pytest.mark.parametrize("peer", ["Tom", " tom ", "鸿雁", "a/b:c?", "🦢" * 64, "x" * 64])
@pytest.mark.covers(
    "session/open",
    "session/opened",
    "GenericCommand.cmd",
    "GenericCommand.op",
    "GenericCommand.peerId",
    "SessionCommand.st",
)
async def test_opened_returns_the_client_id_verbatim(server: Server, peer: str) -> None:
    async with connect(server) as connection:
        opened = (await connection.open(peer)).opened
        assert named(opened) == "session/opened"
        assert opened.HasField("cmd")
        assert (opened.peerId, opened.service, opened.HasField("i")) == (peer, 2, True)
        assert opened.serverTs > 1_600_000_000_000
        message = opened.sessionMessage
        assert (bool(message.st), message.stTtl) == (True, 172_800)
        assert not message.HasField("code")


@pytest.mark.covers("session/opened")
async def test_opened_comes_before_anything_else(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        (jerry,) = people("jerry")
        await tom.send(await tom.start(jerry), "hi")
        async with connect(server) as connection:
            await connection.send(numbered(7, open_command(server, jerry)))
            await connection.expect("unread")
            assert [named(push) for push in connection.pushes] == ["session/opened"]


async def test_anonymous_login_gets_an_id(server: Server) -> None:
    async with connect(server) as connection:
        first, second = await connection.open(None), await connection.open(None)
        assert 1 <= len(first.peer) <= 64
        assert first.peer != second.peer
        assert await first.start()


async def test_a_client_id_has_at_most_64_characters(server: Server) -> None:
    async with connect(server) as connection:
        assert await refusal(connection.open("x" * 65)) == (4103, "INVALID_LOGIN")
        await connection.open(people("tom")[0])


@pytest.mark.covers("GenericCommand.appId")
async def test_unknown_app_is_refused_and_the_connection_closed(server: Server) -> None:
    async with connect(server) as connection:
        request = open_command(server, "tom")
        request.appId = "unknown"
        assert await refusal(connection.request(request)) == (4100, "APP_NOT_AVAILABLE")
        assert (await connection.closed()).code == 4100


async def test_the_first_thing_wrong_with_a_login_is_told_inferred(server: Server) -> None:
    """The app before the client, the client before its token."""
    (tom,) = people("tom")
    async with connect(server) as connection:
        assert await refusal(connection.open(tom, st="bad")) == (4112, "SESSION_TOKEN_EXPIRED")
        assert await refusal(connection.open("x" * 65, st="bad")) == (4103, "INVALID_LOGIN")
        request = open_command(server, "x" * 65, st="bad")
        request.appId = "unknown"
        assert await refusal(connection.request(request)) == (4100, "APP_NOT_AVAILABLE")


async def test_opened_tells_no_time_of_edits_inferred(server: Server) -> None:
    """Java would take it for its own, whatever it has seen."""
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0], lastPatchTime=1)
        assert not tom.opened.sessionMessage.HasField("lastPatchTime")


async def test_apps_are_separate(server: Server) -> None:
    async with clients(server, "tom") as (tom,), connect(into(server, STRICT)) as connection:
        other = await connection.open(tom.peer)
        conversation = await other.start("jerry")
        with pytest.raises(Refused, match="4401"):
            await tom.send(conversation, "hi")
        assert await push_names(tom) == []


async def test_many_logins_at_once_on_one_connection(server: Server) -> None:
    names = people(*(f"client{number}" for number in range(20)))
    async with connect(server) as connection:
        answers = await replies(connection, [open_command(server, name) for name in names])
        assert [answer.peerId for answer in answers] == names


async def test_a_connection_carries_a_limited_number_of_sessions(server: Server) -> None:
    names = people(*(f"client{number}" for number in range(256)))
    async with connect(server) as connection:
        await replies(connection, [open_command(server, name) for name in names])
        assert (await refusal(connection.open("one-more")))[0] == 4318
        await connection.open(names[0])


async def test_a_second_login_on_the_same_connection_replaces_the_first(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await jerry.start(tom.peer)
        await pushes(tom)  # or what comes of it would be taken for what `settle` waits for
        again = await tom.connection.open(tom.peer)
        await settle(again)
        await jerry.send(conversation, "once")
        assert await texts(again) == ["once"]
        await again.close()
        assert await refusal(tom.connection.request(command("session", "query", tom.peer))) == REQUIRED


# which session a command means


@pytest.mark.covers("GenericCommand.peerId")
async def test_without_a_client_id_the_first_session_is_meant(server: Server) -> None:
    tom, jerry = people("tom", "jerry")
    async with connect(server) as connection:
        await connection.open(tom)
        await connection.open(jerry)
        answer = await connection.request(command("conv", "start"))
        assert answer.peerId == tom


async def test_when_the_first_session_is_closed_the_oldest_is_meant_inferred(server: Server) -> None:
    tom, jerry, spike = people("tom", "jerry", "spike")
    async with connect(server) as connection:
        first = await connection.open(tom)
        await connection.open(jerry)
        await connection.open(spike)
        await first.close()
        assert (await connection.request(command("conv", "start"))).peerId == jerry


@pytest.mark.parametrize(
    ("cmd", "op"),
    [
        ("session", "close"),
        ("session", "query"),
        ("session", "refresh"),
        ("conv", "start"),
        ("conv", "query"),
        ("direct", None),
        ("ack", None),
        ("read", None),
        ("logs", None),
    ],
)
@pytest.mark.covers("error", "GenericCommand.errorMessage")
async def test_a_command_needs_its_session(server: Server, cmd: str, op: str | None) -> None:
    """Before any login, and for a client that is not logged in here; without a serial there is no answer."""
    async with connect(server) as connection:
        assert await refusal(connection.request(command(cmd, op))) == REQUIRED
        assert await refusal(connection.request(command(cmd, op, "tom"))) == REQUIRED
        await connection.send(command(cmd, op))
        await connection.open(people("tom")[0])
        with pytest.raises(Refused) as refused:
            await connection.request(command(cmd, op, "stranger"))
        assert (refused.value.code, refused.value.answer.peerId) == (4105, "stranger")
        await connection.echo()
        assert {named(push) for push in connection.pushes} <= {"unread"}


async def test_answers_to_requests_without_a_serial_are_left_out(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        await tom.expect("conv/members_joined")
        await pushes(tom)
        for request in (
            command("direct", cid=conversation, msg="hi"),
            command("direct", cid="unknown", msg="hi"),
            command("logs", cid=conversation),
            command("logs", cid="unknown"),
            command("conv", "query"),
            command("conv", "add", cid="unknown"),
            command("conv", "start", m=[""]),
            command("session", "query", sessionPeerIds=["tom"]),
            command("session", "refresh"),
            command("session", "refresh", st="bad"),
            command("session", "upload"),
            command("goaway"),
        ):
            await tom.connection.send(request)
        await tom.send(conversation, "last")
        assert len(await tom.history(conversation)) == 2
        assert await push_names(tom) == []


# close


async def test_close_leaves_the_other_sessions_of_the_connection(server: Server) -> None:
    async with clients(server, "tom", "spike") as (tom, spike):
        jerry = await tom.connection.open(people("jerry")[0])
        await settle(jerry)
        conversation = await spike.start(tom.peer, jerry.peer)
        await tom.close()
        await spike.send(conversation, "still there?")
        received = [(push.peerId, push.directMessage.msg) for push in await pushes(jerry) if named(push) == "direct"]
        assert received == [(jerry.peer, "still there?")]


async def test_a_closed_session_is_told_nothing_more(server: Server) -> None:
    """Also not what its login was still about to be told."""
    async with clients(server, "tom") as (tom,), connect(server) as connection:
        (jerry,) = people("jerry")
        await tom.send(await tom.start(jerry), "hi")
        requests = open_command(server, jerry), command("session", "close", jerry), command("echo")
        connection.write(b"".join(message(numbered(-1, each)) for each in requests))  # before it is told anything
        spike = await connection.open(people("spike")[0])
        await settle_after(spike, connection)
        assert [named(push) for push in connection.pushes if push.peerId == jerry] == [
            "session/opened",
            "session/closed",
        ]


async def settle_after(session: Session, connection: Connection) -> None:
    """Like `settle`, but keeps what has come."""
    await session.start()
    await session.expect("conv/members_joined")
    await connection.echo()


# query


@pytest.mark.covers(
    "session/query", "session/query_result", "SessionCommand.sessionPeerIds", "SessionCommand.onlineSessionPeerIds"
)
async def test_query_tells_who_is_online_in_the_order_asked(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        asked = ["nobody", jerry.peer, tom.peer, "nobody-else"]
        answer = await tom.request("session", "query", sessionPeerIds=asked)
        assert named(answer) == "session/query_result"
        assert list(answer.sessionMessage.onlineSessionPeerIds) == [jerry.peer, tom.peer]


async def test_query_looks_at_twenty_ids(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        nobody = [f"nobody{number}" for number in range(19)]
        for asked, online in (([*nobody, tom.peer], [tom.peer]), ([*nobody, "one-more", tom.peer], [])):
            answer = await tom.request("session", "query", sessionPeerIds=asked)
            assert list(answer.sessionMessage.onlineSessionPeerIds) == online


@pytest.mark.parametrize("way", ["session", "connection", "abort"])
async def test_who_leaves_is_offline(server: Server, way: str) -> None:
    async with clients(server, "tom") as (tom,), connect(server) as connection:
        jerry = await connection.open(people("jerry")[0])
        assert await online(tom, jerry.peer)
        if way == "session":
            await jerry.close()
            assert not await online(tom, jerry.peer)
            return
        await connection.close() if way == "connection" else connection.abort()
        async with asyncio.timeout(30):
            while await online(tom, jerry.peer):
                await asyncio.sleep(0.01)


async def online(asking: Session, peer: str) -> bool:
    answer = await asking.request("session", "query", sessionPeerIds=[peer])
    return list(answer.sessionMessage.onlineSessionPeerIds) == [peer]
