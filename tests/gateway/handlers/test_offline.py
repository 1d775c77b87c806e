"""What clients of protocol version 1 missed is pushed to them after the login (reference 4.2)."""

import asyncio

import pytest

from hongyan.wire.messages2_pb2 import DirectCommand
from tests.gateway.talk import clients, login_pushes, people, replies, settled
from tests.support.client import BINARY, Session, command, connect, named
from tests.support.server import Server

PUSH_MODES = ["lc.protobuf2.1", "lc.proto2base64.1"]
PUSH = PUSH_MODES[0]


async def offline(server: Server, peer: str, subprotocol: str = PUSH, ack: bool = False) -> list[DirectCommand]:
    """What a login is told; acknowledged, if so wished."""
    async with connect(server, subprotocol) as connection:
        session = await connection.open(peer)
        told = await login_pushes(session)
        assert {named(push) for push in told} <= {"direct"}
        assert {(push.peerId, push.service, push.HasField("i")) for push in told} <= {(peer, 2, False)}
        messages = [push.directMessage for push in told]
        assert all(message.offline for message in messages)
        if ack:
            for message in messages:
                await session.post("ack", cid=message.cid, mid=message.id)
            await took_effect(session)
        return messages


async def took_effect(session: Session) -> None:
    await session.request("conv", "max_read", cid=await session.start())


@pytest.mark.parametrize("subprotocol", PUSH_MODES)
@pytest.mark.covers("DirectCommand.offline", "DirectCommand.hasMore")
async def test_missed_messages_come_oldest_first_until_they_are_acknowledged(server: Server, subprotocol: str) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        sent = [await tom.send(conversation, text) for text in ("one", "two", "three")]
        for ack in (False, True):
            told = await offline(server, jerry, subprotocol, ack=ack)
            assert [(item.msg, item.id, item.timestamp) for item in told] == [
                (text, message.uid, message.t) for text, message in zip(("one", "two", "three"), sent, strict=True)
            ]
            assert [item.hasMore for item in told] == [True, True, False]
            assert {(item.cid, item.fromPeerId, item.convType) for item in told} == {(conversation, tom.peer, 1)}
        assert await offline(server, jerry, subprotocol) == []


async def test_every_property_of_a_message_comes_along(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        await tom.request("direct", cid=conversation, binaryMsg=b"\0\xff", mentionAll=True, r=True)
        await tom.send(conversation, "look", mentionPids=[jerry])
        await tom.send(conversation, "typing", transient=True)
        binary, text = await offline(server, jerry)
        assert (binary.binaryMsg, binary.mentionAll, binary.HasField("msg")) == (b"\0\xff", True, False)
        assert (text.msg, list(text.mentionPids), text.HasField("transient")) == ("look", [jerry], False)


@pytest.mark.covers("DirectCommand.hasMore")
async def test_twenty_of_a_conversation_and_then_the_rest(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        await replies(tom.connection, [command("direct", cid=conversation, msg=str(n)) for n in range(30)])
        told = await offline(server, jerry, ack=True)
        assert [item.msg for item in told] == [str(n) for n in range(20)]
        assert all(item.hasMore for item in told)
        told = await offline(server, jerry, ack=True)
        assert [item.msg for item in told] == [str(n) for n in range(20, 30)]
        assert not told[-1].hasMore


@pytest.mark.covers("DirectCommand.patchTimestamp")
async def test_an_edited_message_is_told_as_it_is_now(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        ack = await tom.send(conversation, "one")
        change = {"cid": conversation, "mid": ack.uid, "timestamp": ack.t, "data": "two"}
        at = (await tom.request("patch", "modify", patches=[change])).patchMessage.lastPatchTime
        (only,) = await offline(server, jerry)
        assert (only.id, only.timestamp, only.msg, only.patchTimestamp) == (ack.uid, ack.t, "two", at)


async def test_no_own_messages(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await jerry.send(conversation, "mine")
        await tom.send(conversation, "yours")
        assert [item.msg for item in await offline(server, jerry.peer)] == ["yours"]


async def test_a_message_is_told_once_while_it_is_on_its_way(server: Server) -> None:
    """Messages are sent all the time while the client logs in: each comes once, in order."""
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        for round_ in range(10):
            first = asyncio.ensure_future(
                replies(tom.connection, [command("direct", cid=conversation, msg=f"{round_}.{n}") for n in range(15)])
            )
            async with connect(server, PUSH) as connection:
                session = await connection.open(jerry)
                got: list[str] = []
                while len(got) < 15:
                    push = await session.expect("direct")
                    got.append(push.directMessage.msg)
                    await session.post("ack", cid=conversation, mid=push.directMessage.id)
                await first
                await took_effect(session)
            assert got == [f"{round_}.{n}" for n in range(15)]
        assert await offline(server, jerry) == []


async def test_inferred_the_two_modes_are_independent_views(server: Server) -> None:
    """Acknowledging lowers no count, reading acknowledges nothing."""
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        await tom.send(conversation, "one")
        await offline(server, jerry, ack=True)
        async with connect(server, BINARY) as connection:
            told = await login_pushes(await connection.open(jerry))
            assert [item.unread for push in told for item in push.unreadMessage.convs] == [1]
        await tom.send(conversation, "two")
        async with settled(server, jerry) as session:
            await session.read(conversation)
            await session.expect("unread")
        assert [item.msg for item in await offline(server, jerry)] == ["two"]


async def test_a_read_mark_tells_such_a_client_nothing(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,), settled(server, jerry, PUSH) as session:
        conversation = await tom.start(jerry)
        await tom.send(conversation, "one")
        await session.expect("direct")
        await session.read(conversation)
        await took_effect(session)
        assert [named(push) for push in session.connection.pushes if named(push) == "unread"] == []


async def test_fifty_conversations_of_large_messages(server: Server) -> None:
    """Five megabytes, to a client that takes its time: more than an outbox holds at once."""
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversations = [await tom.start(jerry) for _ in range(52)]
        for conversation in conversations:
            await replies(tom.connection, [command("direct", cid=conversation, msg="x" * 4_900) for _ in range(20)])
        async with connect(server, PUSH) as connection:
            session = await connection.open(jerry)
            connection.pause_reading()
            await tom.connection.echo()
            connection.resume_reading()
            told = await login_pushes(session)
        assert len(told) == 50 * 20
        assert list(dict.fromkeys(push.directMessage.cid for push in told)) == conversations[2:]
