"""The ceiling of `fanout`, `room` and `idle`: picows and uvloop with the same frames, and nothing behind them.

It answers session/open, conv/start, conv/add, echo and direct as the load generator needs them. What is sent to
a connection within one loop tick is gathered and written once.
"""

import asyncio
import ssl
import time
from collections.abc import Iterable
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from hongyan.bench import frames
from hongyan.wire import messages2_pb2 as pb

READ_BUFFER = 2048
TOKEN_OF_A_SESSION = "t" * 64


def serve(link: Connection, cert: str | None, key: str | None) -> None:
    """Run until the other end of `link` closes; sends the port first."""
    uvloop.run(_serve(link, cert, key))


async def _serve(link: Connection, cert: str | None, key: str | None) -> None:
    hall = Hall()
    server = await ws_create_server(
        hall.welcome,
        "127.0.0.1",
        0,
        ssl=_tls(cert, key),
        backlog=4096,
        read_buffer_init_size=READ_BUFFER,
        max_frame_size=65536,
    )
    link.send(server.sockets[0].getsockname()[1])
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(link.fileno(), closed.set)
    await closed.wait()


def _tls(cert: str | None, key: str | None) -> ssl.SSLContext | None:
    if cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


class Hall:
    """Every connection, conversation and unwritten byte of the server."""

    def __init__(self) -> None:
        self.guests: dict[str, Guest] = {}
        self.rooms: dict[str, list[Guest]] = {}
        self.waiting: list[Guest] = []
        self.ids = count(1)

    def welcome(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """A connection arrives: accept the subprotocol it offers."""
        headers = {"Sec-WebSocket-Protocol": frames.SUBPROTOCOL}
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), Guest(self))

    def put(self, guest: "Guest", *parts: bytes) -> None:
        """Leave bytes for a connection; they are written when this tick ends."""
        if not guest.outbox:
            if not self.waiting:
                asyncio.get_running_loop().call_soon(self.flush)
            self.waiting.append(guest)
        guest.outbox += parts

    def flush(self) -> None:
        """Write what this tick gathered, once per connection."""
        guests, self.waiting = self.waiting, []
        for guest in guests:
            parts, guest.outbox = guest.outbox, []
            guest.write(b"".join(parts))


class Guest(WSListener):
    """One connection."""

    __slots__ = ("hall", "outbox", "peer", "tail", "transport", "write")

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.outbox: list[bytes] = []
        self.peer = ""
        self.tail = b""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Called by picows."""
        self.transport = transport
        self.write: Any = transport.underlying_transport.write

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Called by picows."""
        self.write = _drop

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Called by picows."""
        if frame.msg_type == WSMsgType.BINARY:
            command = pb.GenericCommand.FromString(frame.get_payload_as_bytes())
            ANSWERS[command.cmd](self, command)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


def _drop(data: bytes) -> None:
    pass


def open_session(guest: Guest, command: pb.GenericCommand) -> None:
    """session/open → session/opened."""
    guest.peer = command.peerId
    guest.tail = pb.GenericCommand(peerId=guest.peer).SerializeToString()
    guest.hall.guests[guest.peer] = guest
    reply = _reply(guest, command, pb.session, pb.opened)
    reply.sessionMessage.st = TOKEN_OF_A_SESSION
    reply.sessionMessage.stTtl = 3600
    guest.hall.put(guest, _frame(reply.SerializeToString()))


def change_conversation(guest: Guest, command: pb.GenericCommand) -> None:
    """conv/start → conv/started, and a push to every member; conv/add of oneself → conv/added."""
    if command.op == pb.add:
        guest.hall.rooms[command.convMessage.cid].append(guest)
        reply = _reply(guest, command, pb.conv, pb.added)
        reply.convMessage.SetInParent()
        guest.hall.put(guest, _frame(reply.SerializeToString()))
        return
    hall, members = guest.hall, list(command.convMessage.m)
    cid = f"{next(hall.ids):024x}"
    hall.rooms[cid] = [hall.guests[member] for member in members] or [guest]
    reply = _reply(guest, command, pb.conv, pb.started)
    reply.convMessage.cid = cid
    hall.put(guest, _frame(reply.SerializeToString()))
    if not members:
        return
    push = pb.GenericCommand(cmd=pb.conv, op=pb.members_joined, service=frames.IM_SERVICE)
    push.convMessage.cid = cid
    push.convMessage.m.extend(members)
    _push(hall, hall.rooms[cid], push.SerializeToString())


def direct(guest: Guest, command: pb.GenericCommand) -> None:
    """direct → ack, and the message to every member but the sender."""
    hall, message, now = guest.hall, command.directMessage, time.time_ns() // 1_000_000
    uid = f"{next(hall.ids):032x}"
    reply = _reply(guest, command, pb.ack)
    reply.ackMessage.uid = uid
    reply.ackMessage.t = now
    hall.put(guest, _frame(reply.SerializeToString()))
    push = pb.GenericCommand(cmd=pb.direct, service=frames.IM_SERVICE, serverTs=now)
    push.directMessage.CopyFrom(
        pb.DirectCommand(msg=message.msg, cid=message.cid, id=uid, timestamp=now, fromPeerId=guest.peer, convType=1)
    )
    _push(hall, (member for member in hall.rooms[message.cid] if member is not guest), push.SerializeToString())


def echo(guest: Guest, command: pb.GenericCommand) -> None:
    """echo → echo."""
    guest.hall.put(guest, _frame(pb.GenericCommand(cmd=pb.echo, i=command.i).SerializeToString()))


def ignore(guest: Guest, command: pb.GenericCommand) -> None:
    """What wants no reply."""


ANSWERS = {
    pb.session: open_session,
    pb.conv: change_conversation,
    pb.direct: direct,
    pb.ack: ignore,
    pb.echo: echo,
}


def _reply(
    guest: Guest, command: pb.GenericCommand, cmd: pb.CommandType, op: pb.OpType | None = None
) -> pb.GenericCommand:
    now = time.time_ns() // 1_000_000
    return pb.GenericCommand(cmd=cmd, op=op, peerId=guest.peer, i=command.i, service=frames.IM_SERVICE, serverTs=now)


def _push(hall: Hall, guests: Iterable[Guest], shared: bytes) -> None:
    """One payload to many connections; the receiver's id is the tail that differs."""
    heads: dict[int, bytes] = {}
    for guest in guests:
        tail = guest.tail
        head = heads.get(len(tail))
        if head is None:
            head = heads[len(tail)] = _head(len(shared) + len(tail)) + shared
        if guest.outbox:
            guest.outbox.append(head)
            guest.outbox.append(tail)
        else:
            hall.put(guest, head, tail)


def _frame(payload: bytes) -> bytes:
    return _head(len(payload)) + payload


def _head(size: int) -> bytes:
    """The header of an unmasked binary frame (RFC 6455, section 5.2) for a payload below 64 KB."""
    return bytes((0x82, size)) if size < 126 else b"\x82\x7e" + size.to_bytes(2, "big")
