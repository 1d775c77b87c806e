"""The test client itself, against sample frames of the protocol and a scripted gateway."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Opcode
from websockets.typing import Subprotocol

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.support.client import (
    BASE64,
    BINARY,
    Connection,
    ConnectionLost,
    Refused,
    command,
    connect,
    frame,
    named,
)
from tests.support.server import TEST_APP, App

OPENED = bytes.fromhex("080010052203746f6d280140024880d095ffbc31b206085203746f6b58901c")
ACK = bytes.fromhex("08032203746f6d280240024881d095ffbc31ca060b2881d095ffbc3132026d31")
DIRECT = bytes.fromhex("08022203746f6d2802c2061e0a0268695a18363566303030303030303030303030303030303030303031")


@dataclass
class ScriptedGateway:
    gateway_url: str
    app: App = TEST_APP
    ssl_context: ssl.SSLContext | None = None


Script = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script, subprotocol: str = BINARY) -> AsyncIterator[Connection]:
    """A connection to a gateway that does what the script says."""
    async with serve(script, "127.0.0.1", 0, subprotocols=[Subprotocol(subprotocol)]) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(ScriptedGateway(f"ws://127.0.0.1:{port}"), subprotocol) as connection:
            yield connection


async def tom_is_answered(gateway: ServerConnection) -> None:
    """Opens the session, acknowledges the message, refuses the query and pushes a message."""
    await gateway.recv()
    await gateway.send(OPENED)
    await gateway.send(command("direct", peer="tom", msg="early").SerializeToString())
    assert await gateway.recv() == DIRECT
    await gateway.send(ACK)
    await gateway.recv()
    refusal = command("error", peer="tom", code=4303, reason="CONVERSATION_NOT_FOUND")
    refusal.i = 3
    await gateway.send(refusal.SerializeToString())
    await gateway.close(4107, "READ_TIMEOUT")


async def test_session_sends_and_reads_the_sample_frames() -> None:
    async with scripted(tom_is_answered) as connection:
        tom = await connection.open("tom")
        assert (tom.peer, tom.token) == ("tom", "tok")
        ack = await tom.send("65f000000000000000000001", "hi")
        assert (ack.uid, ack.t) == ("m1", 1700000000001)
        with pytest.raises(Refused, match="4303 CONVERSATION_NOT_FOUND"):
            await tom.query({})
        assert (await tom.expect("direct")).directMessage.msg == "early"
        lost = await connection.closed()
        assert (lost.code, lost.reason) == (4107, "READ_TIMEOUT")
        with pytest.raises(ConnectionLost):
            await tom.send("65f000000000000000000001", "too late")
        with pytest.raises(ConnectionLost):
            await tom.expect("direct")


async def test_pending_request_fails_when_the_connection_is_lost() -> None:
    async def drop(gateway: ServerConnection) -> None:
        await gateway.recv()
        gateway.transport.abort()

    async with scripted(drop) as connection:
        with pytest.raises(ConnectionLost) as lost:
            await connection.open("tom")
        assert lost.value.code == 1006


async def test_base64_protocol_speaks_text() -> None:
    async def echo(gateway: ServerConnection) -> None:
        received = await gateway.recv()
        assert isinstance(received, str)
        assert named(GenericCommand.FromString(base64.b64decode(received))) == "echo"
        await gateway.send(received)
        await gateway.wait_closed()

    async with scripted(echo, BASE64) as connection:
        await connection.echo()
        assert connection.pushes == []


async def test_raw_frames_reach_the_gateway_as_written() -> None:
    received: asyncio.Queue[bytes | str] = asyncio.Queue()

    async def listen(gateway: ServerConnection) -> None:
        async for message in gateway:
            received.put_nowait(message)

    async with scripted(listen) as connection:
        connection.write(frame(Opcode.BINARY, b"one ", fin=False))
        connection.write(frame(Opcode.CONT, b"message"))
        connection.write(frame(Opcode.TEXT, b"t" * 300) + frame(Opcode.TEXT, b"t" * 70_000))
        assert await received.get() == b"one message"
        assert [len(await received.get()) for _ in range(2)] == [300, 70_000]
        connection.write(frame(Opcode.BINARY, b"", rsv=4))
        assert (await connection.closed()).code == 1002


def test_command_sets_what_the_sample_frames_set() -> None:
    opened = command("session", "opened", "tom", st="tok", stTtl=3600)
    opened.i, opened.service, opened.serverTs = 1, 2, 1700000000000
    assert opened.SerializeToString() == OPENED
    assert command("session", "close", "tom").HasField("sessionMessage")
    assert named(command("conv", "start")) == "conv/start"
