"""Feishu's long connection: the frames, which are protocol buffers, and the connections that apps hold."""

import asyncio
import base64
import itertools
import json
import secrets
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from hongyan.sandbox.emulator import Unheard

CONTROL, DATA = 0, 1
#: How long an app may take to answer (s).
ANSWER = 3.0


@dataclass
class Frame:
    """Numbers of the fields are those of the platform's own `Frame`."""

    method: int
    headers: dict[str, str]
    payload: bytes = b""
    service: int = 1
    sequence: int = 0
    log: int = 0


def encode(frame: Frame) -> bytes:
    out = bytearray()
    for number, value in ((1, frame.sequence), (2, frame.log), (3, frame.service), (4, frame.method)):
        out += _varint(number << 3) + _varint(value)
    for key, text in frame.headers.items():
        header = _bytes(1, key.encode()) + _bytes(2, text.encode())
        out += _bytes(5, header)
    return bytes(out + (_bytes(8, frame.payload) if frame.payload else b""))


def decode(data: bytes) -> Frame:
    """Raises ValueError."""
    frame = Frame(CONTROL, {})
    for number, value in _fields(data):
        match number, value:
            case 1, int():
                frame.sequence = value
            case 2, int():
                frame.log = value
            case 3, int():
                frame.service = value
            case 4, int():
                frame.method = value
            case 5, bytes():
                header = dict(_fields(value))
                key, text = header.get(1, b""), header.get(2, b"")
                if isinstance(key, bytes) and isinstance(text, bytes):
                    frame.headers[key.decode()] = text.decode()
            case 8, bytes():
                frame.payload = value
    return frame


@dataclass
class Connections:
    """Those of the app; it is told of an event over one of them. `opened`: there was one. `part_max` are the bytes of a
    message above which it comes in parts; `config` is how the app is to hold a connection.
    """

    config: dict[str, int] = field(
        default_factory=lambda: {
            "ReconnectCount": -1,
            "ReconnectInterval": 120,
            "ReconnectNonce": 30,
            "PingInterval": 120,
        }
    )
    part_max: int = 64 * 1024
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    pings: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _times: int = 0
    _tickets: set[str] = field(default_factory=set)
    _sockets: list[web.WebSocketResponse] = field(default_factory=list)
    _waiting: dict[str, asyncio.Future[Frame]] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def any(self) -> bool:
        return bool(self._sockets)

    def ticket(self) -> str:
        """Good for one connection."""
        ticket = secrets.token_hex(8)
        self._tickets.add(ticket)
        return ticket

    async def serve(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            said = {"handshake-status": "514", "handshake-msg": "ticket is invalid", "handshake-autherrcode": "0"}
            return web.Response(status=401, headers=said)
        self._tickets.remove(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async with self._changed:
            self._sockets.append(socket)
            self._times += 1
            self._changed.notify_all()
        self.opened.set()
        try:
            async for message in socket:
                if message.type == WSMsgType.BINARY:
                    await self._heard(socket, decode(message.data))
        finally:
            async with self._changed:
                self._sockets.remove(socket)
                self._changed.notify_all()
        return socket

    async def connected(self, times: int = 1) -> None:
        """Wait until the app has connected so many times."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._times >= times)

    async def left(self) -> None:
        """Wait until the app has no connection."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._sockets)

    async def pinged(self, times: int = 1) -> None:
        """Wait until the app has sent so many pings."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.pings >= times)

    async def close(self) -> None:
        """End the newest connection, as Feishu does now and then."""
        await self._sockets[-1].close()

    async def tell(self, event: bytes, kind: str = "event") -> tuple[int, str]:
        """The code and the data that the app answers. Raises Unheard."""
        answer = await self.push(*self.frames(event, kind))
        try:
            found = json.loads((await asyncio.wait_for(answer, ANSWER)).payload)
        except TimeoutError:
            return 504, ""
        data = found.get("data")
        return int(found.get("code", 0)), base64.b64decode(data).decode() if isinstance(data, str) else ""

    def frames(self, event: bytes, kind: str = "event") -> list[Frame]:
        """Of one message, in parts if it is long."""
        id = f"sandbox-{next(self._numbers)}"
        parts = [event[at : at + self.part_max] for at in range(0, len(event), self.part_max)] or [b""]
        common = {"type": kind, "message_id": id, "trace_id": id, "sum": str(len(parts))}
        return [Frame(DATA, {**common, "seq": str(number)}, part) for number, part in enumerate(parts)]

    async def push(self, *frames: Frame) -> asyncio.Future[Frame]:
        """The answer to come, by the message's id. Raises Unheard."""
        if not self._sockets:
            raise Unheard("no app holds a long connection, and no address is given")
        id = frames[0].headers["message_id"]
        answer = self._waiting[id] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _: self._waiting.pop(id, None))
        for frame in frames:
            await self.send(encode(frame))
        return answer

    async def send(self, raw: bytes | str) -> None:
        """Bytes as they are, over the newest connection."""
        socket = self._sockets[-1]
        await (socket.send_str(raw) if isinstance(raw, str) else socket.send_bytes(raw))

    async def _heard(self, socket: web.WebSocketResponse, frame: Frame) -> None:
        if frame.method == CONTROL and frame.headers.get("type") == "ping":
            config = json.dumps(self.config).encode()
            await socket.send_bytes(encode(Frame(CONTROL, {"type": "pong"}, config, frame.service)))
            async with self._changed:
                self.pings += 1
                self._changed.notify_all()
            return
        waiting = self._waiting.get(frame.headers.get("message_id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    found: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        key, at = _read(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _read(data, at)
            found.append((key >> 3, value))
        elif kind == 2:
            size, at = _read(data, at)
            if at + size > len(data):
                raise ValueError("a frame is cut")
            found.append((key >> 3, data[at : at + size]))
            at += size
        else:
            raise ValueError("a frame has a field of an unknown type")
    return found


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a frame is cut")
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
