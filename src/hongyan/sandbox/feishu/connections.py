"""Feishu's long connection: the frames, which are protocol buffers, and the connections that apps hold."""

import asyncio
import base64
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

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
    """Those of the app; it is told of an event over one of them. `opened`: there was one."""

    ping: int = 120
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    _sockets: list[web.WebSocketResponse] = field(default_factory=list)
    _waiting: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def any(self) -> bool:
        return bool(self._sockets)

    def config(self) -> dict[str, int]:
        return {"ReconnectCount": -1, "ReconnectInterval": 120, "ReconnectNonce": 30, "PingInterval": self.ping}

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        self.opened.set()
        try:
            async for message in socket:
                if message.type == WSMsgType.BINARY:
                    await self._heard(socket, decode(message.data))
        finally:
            self._sockets.remove(socket)
        return socket

    async def tell(self, event: bytes) -> tuple[int, str]:
        """The code and the data that the app answers. Raises ValueError if there is no connection."""
        if not self._sockets:
            raise ValueError("no app holds a long connection")
        id = f"sandbox-{next(self._numbers)}"
        headers = {"type": "event", "message_id": id, "trace_id": id, "sum": "1", "seq": "0"}
        waiting = self._waiting[id] = asyncio.get_running_loop().create_future()
        try:
            await self._sockets[-1].send_bytes(encode(Frame(DATA, headers, event)))
            async with asyncio.timeout(ANSWER):
                answer = await waiting
        except TimeoutError:
            return 504, ""
        finally:
            del self._waiting[id]
        data = answer.get("data")
        return int(answer.get("code", 0)), base64.b64decode(data).decode() if isinstance(data, str) else ""

    async def _heard(self, socket: web.WebSocketResponse, frame: Frame) -> None:
        if frame.method == CONTROL and frame.headers.get("type") == "ping":
            config = json.dumps(self.config()).encode()
            await socket.send_bytes(encode(Frame(CONTROL, {"type": "pong"}, config, frame.service)))
            return
        waiting = self._waiting.get(frame.headers.get("message_id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(json.loads(frame.payload))


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
