"""A small client of the realtime protocol, on a websocket library that the server does not use.

It adds nothing to the protocol: a test sees the commands as they came. One `Connection` carries any number of
`Session`s; pushes, and replies nobody waits for, stay in `Connection.pushes`, oldest first, until `expect`
takes them.

    async with connect(server) as connection:
        tom = await connection.open("tom")
        conversation = await tom.start("jerry")
        ack = await tom.send(conversation, "hello")
"""

import asyncio
import base64
import contextlib
import itertools
import json
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from hongyan.wire.messages2_pb2 import (
    AckCommand,
    CommandType,
    GenericCommand,
    LogItem,
    LogsCommand,
    OpType,
)
from tests.support import wire_record

BINARY = "lc.protobuf2.3"
BASE64 = "lc.proto2base64.3"
PAGE = 100
"""Messages asked for at once by `Session.history`; the most that the protocol allows."""
ABNORMAL = 1006
"""The close code of a connection that ended without a close frame (RFC 6455, 7.4.1)."""
TIMEOUT = 60.0
"""Seconds after which a missing answer is an error; far more than any answer takes."""
CAPABILITIES = 0xBB
"""The capability bits that the JavaScript SDK 5 sends when it opens a session."""


class App(Protocol):
    """The app a connection speaks for."""

    @property
    def id(self) -> str: ...


class Gateway(Protocol):
    """What `connect` needs to know of a server."""

    @property
    def gateway_url(self) -> str: ...
    @property
    def app(self) -> App: ...
    @property
    def ssl_context(self) -> ssl.SSLContext | None: ...


class Refused(Exception):
    """The server answered with an error, in an `error` command or in a failing `ack`."""

    def __init__(self, code: int, reason: str, answer: GenericCommand) -> None:
        super().__init__(f"{code} {reason} {answer.errorMessage.detail}".rstrip())
        self.code = code
        self.reason = reason
        self.answer = answer


class ConnectionLost(Exception):
    """The websocket was closed, with ABNORMAL when no close frame came."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"connection closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


def command(cmd: str, op: str | None = None, peer: str | None = None, **fields: Any) -> GenericCommand:
    """A command by the schema's names; `fields` are those of its sub-message, which is set even when empty.

    A field named like a Python keyword is given in a mapping: `command("rcp", **{"from": "tom"})`.
    """
    built = GenericCommand(cmd=cmd, op=op, peerId=peer)
    name = f"{cmd}Message"
    if name in GenericCommand.DESCRIPTOR.fields_by_name:
        part = getattr(built, name)
        part.SetInParent()
        part.MergeFrom(type(part)(**fields))
    return built


def named(command: GenericCommand) -> str:
    """The command's name as the reference writes it: `direct`, `conv/started`."""
    name = CommandType.Name(command.cmd)
    return f"{name}/{OpType.Name(command.op)}" if command.HasField("op") else name


def frame(opcode: int, data: bytes, *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """The bytes of one websocket frame (RFC 6455, 5.2), legal or not; the masking key is zero."""
    first = fin << 7 | rsv << 4 | opcode
    size = len(data)
    if size < 126:
        head = struct.pack("!BB", first, masked << 7 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, masked << 7 | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked << 7 | 127, size)
    return head + bytes(4 * masked) + data


@contextlib.asynccontextmanager
async def connect(server: Gateway, subprotocol: str = BINARY, **options: Any) -> AsyncIterator["Connection"]:
    """A connection to the server's gateway, closed at the end; `options` go to the websocket library."""
    connection = await Connection.connect(server, subprotocol, **options)
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def login(server: Gateway, peer: str, subprotocol: str = BINARY) -> AsyncIterator["Session"]:
    """A session on a connection of its own."""
    async with connect(server, subprotocol) as connection:
        yield await connection.open(peer)


class Connection:
    """One websocket; carries any number of sessions."""

    def __init__(self, socket: ClientConnection, app_id: str, text: bool) -> None:
        self.socket = socket
        self.app_id = app_id
        self.pushes: list[GenericCommand] = []
        self._text = text
        self._open = True
        self._serials = itertools.count(1)
        self._replies: dict[int, asyncio.Future[GenericCommand | None]] = {}
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, server: Gateway, subprotocol: str = BINARY, **options: Any) -> "Connection":
        """Opens the websocket; raises what `websockets` raises when the server refuses it."""
        socket = await open_websocket(
            server.gateway_url,
            **{
                "subprotocols": [Subprotocol(subprotocol)],
                "ssl": server.ssl_context,
                "compression": None,
                "proxy": None,
                "ping_interval": None,
                "max_size": None,
                "max_queue": None,
                **options,
            },
        )
        return cls(socket, server.app.id, text="base64" in subprotocol)

    async def open(self, peer: str | None, **fields: Any) -> "Session":
        """Opens a session; `fields` are those of the session message. Raises Refused."""
        request = command("session", "open", peer, **{"ua": "test", "r": False, "configBitmap": CAPABILITIES, **fields})
        request.appId = self.app_id
        opened = await self.request(request)
        return Session(self, opened)

    async def request(self, request: GenericCommand) -> GenericCommand:
        """Sends the command with a fresh serial and returns its reply. Raises Refused and ConnectionLost."""
        serial = request.i = next(self._serials)
        reply = self._replies[serial] = asyncio.get_running_loop().create_future()
        try:
            await self.send(request)
            async with _patience(f"reply to {named(request)}"):
                answer = await reply
        finally:
            del self._replies[serial]
        if answer is None:
            raise await self.closed()
        return _accepted(answer)

    async def send(self, request: GenericCommand) -> None:
        """Sends a command as it is. Raises ConnectionLost."""
        wire_record.note(request)
        data = request.SerializeToString()
        await self.send_raw(base64.b64encode(data).decode() if self._text else data)

    async def send_raw(self, data: bytes | str) -> None:
        """Sends one websocket message, binary or text. Raises ConnectionLost."""
        try:
            await self.socket.send(data)
        except ConnectionClosed:
            raise await self.closed() from None

    def write(self, data: bytes) -> None:
        """Puts bytes on the stream below the websocket; see `frame`."""
        self.socket.transport.write(data)

    async def echo(self) -> None:
        """A round trip: what the server sent this connection before it has arrived when this returns."""
        await self.request(command("echo"))

    async def expect(self, wanted: Callable[[GenericCommand], bool] | str) -> GenericCommand:
        """Takes the oldest push that is wanted, by a predicate or by name (`conv/joined`); waits for it."""

        def matches(push: GenericCommand) -> bool:
            return named(push) == wanted if isinstance(wanted, str) else wanted(push)

        async with _patience(f"push {wanted}"), self._news:
            await self._news.wait_for(lambda: not self._open or any(map(matches, self.pushes)))
        for place, push in enumerate(self.pushes):
            if matches(push):
                return self.pushes.pop(place)
        raise await self.closed()

    async def closed(self) -> ConnectionLost:
        """Waits until the websocket is closed, and says how."""
        async with _patience("close of the connection"):
            await self.socket.wait_closed()
            await self._reader
        return ConnectionLost(self.socket.close_code or ABNORMAL, self.socket.close_reason or "")

    async def close(self) -> None:
        """Closes the websocket; does nothing when it is closed."""
        await self.socket.close()
        await self._reader

    def abort(self) -> None:
        """Drops the TCP connection without a close frame, like a phone that loses its network."""
        self.socket.transport.abort()

    def pause_reading(self) -> None:
        """Stops taking bytes from the socket, like a slow reader."""
        self.socket.transport.pause_reading()

    def resume_reading(self) -> None:
        """Takes bytes from the socket again."""
        self.socket.transport.resume_reading()

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for data in self.socket:
                await self._receive(_decode(data))
        for reply in self._replies.values():
            if not reply.done():
                reply.set_result(None)
        async with self._news:
            self._open = False
            self._news.notify_all()

    async def _receive(self, received: GenericCommand) -> None:
        wire_record.note(received)
        reply = self._replies.get(received.i) if received.HasField("i") else None
        if reply is not None and not reply.done():
            reply.set_result(received)
            return
        async with self._news:
            self.pushes.append(received)
            self._news.notify_all()


class Session:
    """One client id opened on a connection."""

    def __init__(self, connection: Connection, opened: GenericCommand) -> None:
        self.connection = connection
        self.peer = opened.peerId
        self.opened = opened
        self.token = opened.sessionMessage.st

    async def request(self, cmd: str, op: str | None = None, **fields: Any) -> GenericCommand:
        """Sends a command of this session and returns its reply. Raises Refused and ConnectionLost."""
        return await self.connection.request(command(cmd, op, self.peer, **fields))

    async def post(self, cmd: str, op: str | None = None, **fields: Any) -> None:
        """Sends a command that wants no reply, such as `ack` and `read`."""
        await self.connection.send(command(cmd, op, self.peer, **fields))

    async def expect(self, name: str) -> GenericCommand:
        """Takes the oldest push of this name to this session; waits for it."""
        return await self.connection.expect(lambda push: push.peerId == self.peer and named(push) == name)

    async def start(self, *members: str, **fields: Any) -> str:
        """Starts a conversation with the members and this client; returns its id."""
        reply = await self.request("conv", "start", m=[self.peer, *members], **fields)
        return reply.convMessage.cid

    async def send(self, conversation: str, text: str, **fields: Any) -> AckCommand:
        """Sends a message; returns its ack (`uid`, `t`). `fields` are those of the direct message."""
        reply = await self.request("direct", cid=conversation, msg=text, **fields)
        return reply.ackMessage

    async def query(self, where: Mapping[str, Any], **fields: Any) -> list[dict[str, Any]]:
        """The rows of the conversations that meet the condition."""
        reply = await self.request("conv", "query", where={"data": json.dumps(where)}, **fields)
        rows: list[dict[str, Any]] = json.loads(reply.convMessage.results.data)
        return rows

    async def logs(self, conversation: str, **fields: Any) -> list[LogItem]:
        """One page of history, oldest first; `fields` are those of the logs message."""
        reply = await self.request("logs", cid=conversation, **fields)
        return list(reply.logsMessage.logs)

    async def history(self, conversation: str) -> list[LogItem]:
        """The whole history, oldest first, read page by page from the beginning."""
        found: list[LogItem] = []
        start: dict[str, Any] = {}
        while True:
            page = await self.logs(conversation, l=PAGE, direction=LogsCommand.QueryDirection.Value("NEW"), **start)
            assert not found or not page or found[-1].timestamp < page[0].timestamp, "pages overlap"
            found += page
            if len(page) < PAGE:
                return found
            start = {"t": page[-1].timestamp, "mid": page[-1].msgId}

    async def read(self, conversation: str, **fields: Any) -> None:
        """Marks the conversation read, up to `mid` and `timestamp` if given; the server sends no reply."""
        await self.post("read", convs=[{"cid": conversation, **fields}])

    async def refresh(self) -> str:
        """A fresh session token."""
        reply = await self.request("session", "refresh", st=self.token)
        self.token = reply.sessionMessage.st
        return self.token

    async def close(self) -> GenericCommand:
        """Closes the session (not the connection); returns the reply."""
        return await self.request("session", "close")


@contextlib.asynccontextmanager
async def _patience(awaited: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(TIMEOUT):
            yield
    except TimeoutError:
        raise AssertionError(f"no {awaited} within {TIMEOUT:g} s") from None


def _decode(data: bytes | str) -> GenericCommand:
    return GenericCommand.FromString(base64.b64decode(data, validate=True) if isinstance(data, str) else data)


def _accepted(answer: GenericCommand) -> GenericCommand:
    error, ack = answer.errorMessage, answer.ackMessage
    if answer.HasField("errorMessage"):
        raise Refused(error.code, error.reason, answer)
    if ack.HasField("code") or ack.HasField("appCode"):
        raise Refused(ack.code, ack.reason, answer)
    return answer
