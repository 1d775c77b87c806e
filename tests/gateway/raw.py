"""A websocket peer made of bytes, for what a websocket library would not send, or not so often."""

import asyncio
import contextlib
import resource
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.support.client import BINARY, frame
from tests.support.server import HOST

TEXT, DATA, CLOSE, PING, PONG = 1, 2, 8, 9, 10
NORMAL = struct.pack("!H", 1000)
PATIENCE = 60.0


class Port(Protocol):
    """What there is to know about a server."""

    gateway_port: int


def upgrade_request(headers: Mapping[str, str | None] | None = None) -> bytes:
    """The request for a websocket; `headers` replace the usual ones, None leaves one out."""
    usual = {
        "Host": HOST,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": BINARY,
    }
    lines = [f"{name}: {value}\r\n" for name, value in (usual | dict(headers or {})).items() if value is not None]
    return f"GET / HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1")


def message(command: GenericCommand) -> bytes:
    """A command as a masked binary frame."""
    return frame(DATA, command.SerializeToString())


class Peer:
    """One TCP connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send what the server still takes."""
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def head(self) -> bytes:
        """The head of the HTTP answer."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        async with asyncio.timeout(PATIENCE):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(size)

    async def close_code(self) -> int:
        """The code of the next close frame; what comes before it is left out."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")


@contextlib.asynccontextmanager
async def tcp(server: Port, receive_buffer: int | None = None, port: int | None = None) -> AsyncIterator[Peer]:
    """A TCP connection that has said nothing yet; its kernel takes that many bytes for it, if given.

    It goes to the gateway if no other port is given.
    """
    raw = socket.socket()
    if receive_buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (HOST, port or server.gateway_port))
    reader, writer = await asyncio.open_connection(sock=raw)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def websocket(server: Port, subprotocol: str = BINARY, receive_buffer: int | None = None) -> AsyncIterator[Peer]:
    """A connection after the upgrade."""
    async with tcp(server, receive_buffer) as peer:
        await peer.send(upgrade_request({"Sec-WebSocket-Protocol": subprotocol}))
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        yield peer


def raise_descriptors() -> int:
    """Let this process open as many files as it may; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
