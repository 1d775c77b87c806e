"""`echo`, the keep-alive (reference 1.5)."""

import pytest

from tests.gateway.raw import PING, PONG, websocket
from tests.gateway.talk import numbered, people
from tests.support.client import command, connect, frame
from tests.support.server import Server

SERIALS = [1, 0, -1, -65536, 2**31 - 1, -(2**31)]


@pytest.mark.parametrize("serial", SERIALS)
@pytest.mark.covers("echo", "GenericCommand.i", "GenericCommand.service", "GenericCommand.serverTs")
async def test_echo_returns_the_serial_before_and_after_login(server: Server, serial: int) -> None:
    async with connect(server) as connection:
        for _ in range(2):
            await connection.send(numbered(serial, command("echo")))
            answer = await connection.expect("echo")
            assert answer.HasField("i")
            assert (answer.i, answer.service) == (serial, 2)
            assert answer.serverTs > 0
            await connection.open(people("tom")[0])


async def test_echo_without_a_serial_is_answered_without_one(server: Server) -> None:
    """C# sends it so, with the app id for a client."""
    async with connect(server) as connection:
        await connection.send(command("echo", peer=server.app.id))
        answer = await connection.expect("echo")
        assert not answer.HasField("i")
        assert answer.peerId == server.app.id


async def test_websocket_pings_are_answered(server: Server) -> None:
    async with websocket(server) as peer:
        for payload in (b"", b"swift", b"p" * 125):
            await peer.send(frame(PING, payload))
            assert await peer.frame() == (PONG, payload)
