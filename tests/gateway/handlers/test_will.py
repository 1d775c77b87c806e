"""Will messages: what others hear when a client vanishes (reference 3.16)."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from hongyan.wire.messages2_pb2 import AckCommand, GenericCommand
from tests.gateway.apps import STRICT, into
from tests.gateway.talk import clients, people, replies, settle, settled, texts
from tests.support.client import ConnectionLost, Refused, Session, command, connect, login
from tests.support.server import Server

TAG = {"tag": "phone", "r": False}


async def leave(session: Session, conversation: str, text: str = "farewell", **fields: object) -> AckCommand:
    """Set a will."""
    return await session.send(conversation, text, will=True, **fields)


async def gone(asking: Session, peer: str) -> None:
    """Wait until the client is offline."""
    async with asyncio.timeout(30):
        while (await asking.request("session", "query", sessionPeerIds=[peer])).sessionMessage.onlineSessionPeerIds:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("way", ["abort", "close without a logout"])
@pytest.mark.covers("DirectCommand.will")
async def test_members_hear_the_will_of_a_client_that_vanishes(server: Server, way: str) -> None:
    async with clients(server, "jerry", "spike") as (jerry, spike), connect(server) as connection:
        tom = await connection.open(people("tom")[0])
        conversation = await tom.start(jerry.peer, spike.peer)
        ack = await leave(tom, conversation, mentionPids=[jerry.peer])
        assert not ack.HasField("code")
        assert await texts(jerry) == []
        connection.abort() if way == "abort" else await connection.close()
        for hearer in (jerry, spike):
            push = await hearer.expect("direct")
            message = push.directMessage
            assert (message.id, message.timestamp) == (ack.uid, ack.t)
            assert (message.cid, message.fromPeerId, message.msg) == (conversation, tom.peer, "farewell")
            assert list(message.mentionPids) == [jerry.peer]
            assert message.transient


async def test_a_silent_connection_leaves_its_will(server_factory: Callable[..., Server]) -> None:
    server: Server = server_factory(environment={"HONGYAN_GATEWAY_READ_TIMEOUT": "5"})
    server.start()
    async with login(server, "jerry") as jerry, login(server, "tom") as tom:
        alive = asyncio.create_task(keep_alive(jerry))
        conversation = await tom.start(jerry.peer)
        ack = await leave(tom, conversation)
        assert (await jerry.expect("direct")).directMessage.id == ack.uid
        assert (await tom.connection.closed()).code == 4107
        alive.cancel()


async def keep_alive(session: Session) -> None:
    with suppress(ConnectionLost):
        while True:
            await session.connection.echo()
            await asyncio.sleep(0.2)


async def test_a_will_leaves_no_trace_inferred(server: Server) -> None:
    (spike,) = people("spike")
    async with clients(server, "jerry") as (jerry,), connect(server) as connection:
        tom = await connection.open(people("tom")[0])
        conversation = await tom.start(jerry.peer, spike)
        await leave(tom, conversation)
        connection.abort()
        await jerry.expect("direct")
        assert await jerry.history(conversation) == []
        async with settled(server, spike) as late:
            assert await texts(late) == []


async def test_logging_out_drops_the_will(server: Server) -> None:
    async with clients(server, "jerry") as (jerry,), connect(server) as connection:
        tom = await connection.open(people("tom")[0])
        conversation = await tom.start(jerry.peer)
        await leave(tom, conversation)
        await tom.close()
        again = await connection.open(tom.peer)
        await leave(again, conversation, "second")
        connection.abort()
        assert (await jerry.expect("direct")).directMessage.msg == "second"
        assert await texts(jerry) == []


async def test_a_will_waits_until_the_client_has_no_session_left(server: Server) -> None:
    async with clients(server, "jerry") as (jerry,), connect(server) as phone, connect(server) as laptop:
        tom = await phone.open(people("tom")[0])
        other = await laptop.open(tom.peer)
        await settle(other)
        conversation = await tom.start(jerry.peer)
        ack = await leave(tom, conversation)
        await phone.close()
        await other.connection.echo()
        assert await texts(jerry) == []
        laptop.abort()
        assert (await jerry.expect("direct")).directMessage.id == ack.uid


async def test_who_is_logged_out_by_another_device_leaves_no_will(server: Server) -> None:
    async with clients(server, "jerry") as (jerry,), connect(server) as phone, connect(server) as laptop:
        tom = await phone.open(people("tom")[0], deviceId="d-1", **TAG)
        conversation = await tom.start(jerry.peer)
        await leave(tom, conversation)
        other = await laptop.open(tom.peer, deviceId="d-2", **TAG)
        await phone.expect("session/closed")
        phone.abort()
        await other.connection.echo()
        laptop.abort()
        await gone(jerry, tom.peer)
        assert await texts(jerry) == []


async def test_a_stop_of_the_server_is_nobodys_end(server_factory: Callable[..., Server]) -> None:
    server: Server = server_factory()
    server.start()
    async with connect(server) as one, connect(server) as other:
        tom, jerry = await one.open("tom"), await other.open("jerry")
        conversation = await tom.start("jerry")
        await jerry.start("tom")
        await leave(tom, conversation)
        await leave(jerry, conversation)
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        assert {(await each.closed()).code for each in (one, other)} == {1001}
        assert await stopping == 0
        assert not [push for each in (one, other) for push in each.pushes if push.HasField("directMessage")]


async def test_a_will_is_acknowledged_without_the_bit_for_transient_messages(server: Server) -> None:
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0], configBitmap=0)
        assert (await leave(tom, await tom.start(), transient=True)).uid


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"cid": "absent"}, 4401), ({"msg": "x" * 5_121}, 4109), ({"pushData": "x" * 5_121}, 4109), ({"cid": ""}, 4114)],
)
async def test_a_will_is_refused_like_a_message(server: Server, fields: dict[str, str], code: int) -> None:
    async with clients(server, "jerry") as (jerry,), connect(server) as connection:
        tom = await connection.open(people("tom")[0])
        conversation = await tom.start(jerry.peer)
        with pytest.raises(Refused) as refused:
            await tom.request("direct", **{"cid": conversation, "msg": "farewell", "will": True, **fields})
        assert refused.value.code == code
        connection.abort()
        await gone(jerry, tom.peer)
        assert await texts(jerry) == []


async def test_wills_count_as_messages(server: Server) -> None:
    async with connect(into(server, STRICT)) as connection:
        tom = await connection.open(people("tom")[0])
        conversation = await tom.start()
        will = command("direct", peer=tom.peer, cid=conversation, msg="farewell", will=True)
        answers = await replies(connection, [GenericCommand.FromString(will.SerializeToString()) for _ in range(80)])
        codes = [answer.ackMessage.code for answer in sorted(answers, key=lambda answer: -answer.i)]
        assert codes.index(4116) >= 60


async def test_a_will_of_a_client_that_vanishes_at_once_does_not_stay(server: Server) -> None:
    """Whether it is heard depends on who was first; afterwards it is gone."""
    async with clients(server, "jerry") as (jerry,):
        (tom,) = people("tom")
        conversation = await jerry.start(tom)
        async with connect(server) as connection:
            await connection.open(tom)
            await connection.send(command("direct", peer=tom, cid=conversation, msg="farewell", will=True))
            connection.abort()
            await gone(jerry, tom)
        await texts(jerry)
        async with connect(server) as connection:
            await connection.open(tom)
            connection.abort()
            await gone(jerry, tom)
        assert await texts(jerry) == []
