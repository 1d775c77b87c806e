"""The stream by which DingTalk tells an app that has no address: websockets that the app opens."""

import asyncio
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from hongyan.sandbox.emulator import Unheard

#: How long an app may take to acknowledge (s).
ACK = 10.0
Subscriptions = frozenset[tuple[str, str]]


@dataclass(eq=False)
class _Connection:
    socket: web.WebSocketResponse
    topics: Subscriptions
    acks: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)


class Streams:
    """The websockets that are open, and what each has subscribed to."""

    def __init__(self) -> None:
        self._tickets: dict[str, Subscriptions] = {}
        self._connections: list[_Connection] = []
        self._opened = 0
        self._changed = asyncio.Condition()

    def ticket(self, topics: set[tuple[Any, Any]]) -> str:
        """Good for one connection."""
        ticket = secrets.token_hex(16)
        self._tickets[ticket] = frozenset((str(kind), str(topic)) for kind, topic in topics)
        return ticket

    async def serve(self, request: web.Request) -> web.StreamResponse:
        topics = self._tickets.pop(request.query.get("ticket", ""), None)
        if topics is None:
            raise web.HTTPUnauthorized
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = _Connection(socket, topics)
        async with self._changed:
            self._connections.append(connection)
            self._opened += 1
            self._changed.notify_all()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    _acknowledged(connection, message.data)
        finally:
            self._connections.remove(connection)
        return socket

    async def connected(self, times: int = 1) -> None:
        """Wait until the app has connected so many times."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._opened >= times)

    async def push(
        self, kind: str, topic: str, data: dict[str, Any], headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Code and data of the acknowledgement. Raises ValueError if nobody listens, or answers."""
        for connection in self._connections:
            if kind == "SYSTEM" or (kind, topic) in connection.topics:
                return await _told(connection, kind, topic, data, headers or {})
        raise Unheard("the app has no stream open for this")

    async def send(self, frame: str) -> None:
        """A frame as it is, over the newest connection."""
        await self._connections[-1].socket.send_str(frame)

    async def ping(self) -> tuple[int, str]:
        return await self.push("SYSTEM", "ping", {"opaque": secrets.token_hex(8)})

    async def disconnect(self) -> tuple[int, str]:
        """Ask the app to connect anew."""
        return await self.push("SYSTEM", "disconnect", {"reason": "persistent connection reaches its time limit"})


async def _told(
    connection: _Connection, kind: str, topic: str, data: dict[str, Any], headers: dict[str, str]
) -> tuple[int, str]:
    message_id = secrets.token_hex(16)
    frame = {
        "specVersion": "1.0",
        "type": kind,
        "headers": {
            "appId": "sandbox",
            "connectionId": "sandbox",
            "contentType": "application/json",
            "messageId": message_id,
            "time": str(time.time_ns() // 1_000_000),
            "topic": topic,
            **headers,
        },
        "data": json.dumps(data, ensure_ascii=False),
    }
    answer = connection.acks[message_id] = asyncio.get_running_loop().create_future()
    try:
        await connection.socket.send_str(json.dumps(frame, ensure_ascii=False))
        async with asyncio.timeout(ACK):
            found = await answer
    except (TimeoutError, ConnectionError):
        raise ValueError("the app does not acknowledge what it is told") from None
    finally:
        connection.acks.pop(message_id, None)
    code = found.get("code")
    return code if isinstance(code, int) else 0, str(found.get("data", ""))


def _acknowledged(connection: _Connection, text: str) -> None:
    try:
        found = json.loads(text)
        waiting = connection.acks.get(found["headers"]["messageId"])
    except (ValueError, KeyError, TypeError):
        return
    if waiting is not None and not waiting.done():
        waiting.set_result(found)
