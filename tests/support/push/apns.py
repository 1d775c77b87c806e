"""Apple's push service: HTTP/2 only, with tokens (see hongyan.push.apns for where each rule stands)."""

import asyncio
import json
import re
import ssl
import time
import uuid
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from hongyan.engine.pushing import Device
from tests.support.push.emulator import Emulator, Reply, Request, need

TEAM, KEY_ID, TOPIC = "TEAM123456", "KEY1234567", "com.example.chat"
TOKEN_AGE_MAX, TOKEN_AGE_LEAST = 3_600, 1_200
_TYPES = {"alert", "background", "voip", "complication", "fileprovider", "mdm", "liveactivity", "location"}
_KEYS = {"alert", "badge", "sound", "category", "thread-id", "content-available", "mutable-content"}


def _reply(status: int, reason: str) -> Reply:
    return Reply(status, {"reason": reason})


class Apns(Emulator):
    adapter = "apns"
    device = Device("ios", "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0")

    def __init__(self) -> None:
        super().__init__()
        self.key = ECKey.generate_key("P-256", private=True)
        self.tls: ssl.SSLContext | None = None
        self.requests: list[Request] = []
        self.now = time.time
        self.connections = 0
        self._listening: asyncio.Server | None = None
        self._connections: set[asyncio.BaseTransport] = set()
        self._latest = ("", 0)

    @property
    def credentials(self) -> dict[str, Any]:
        pem = self.key.as_pem(private=True).decode()
        return {"base_url": self.url, "team_id": TEAM, "key_id": KEY_ID, "key": pem, "topic": TOPIC}

    @property
    def wrong_credentials(self) -> dict[str, Any]:
        return {**self.credentials, "key": ECKey.generate_key("P-256", private=True).as_pem(private=True).decode()}

    @property
    def secrets(self) -> list[str]:
        return [self.key.as_pem(private=True).decode().splitlines()[1]]

    def limited(self) -> Reply:
        return _reply(429, "TooManyRequests")

    def deliver(self, request: Request) -> Reply:
        self.requests.append(request)
        headers = request.headers
        self._check_token(headers.get("authorization", ""))
        token = request.path.removeprefix("/3/device/")
        need(request.path.startswith("/3/device/"), _reply(404, "BadPath"))
        need(re.fullmatch(r"[0-9a-f]{64}", token), _reply(400, "BadDeviceToken"))
        topic = headers.get("apns-topic")
        need(topic, _reply(400, "MissingTopic"))
        need(topic == TOPIC, _reply(400, "DeviceTokenNotForTopic"))
        need(headers.get("apns-push-type") in _TYPES, _reply(400, "InvalidPushType"))
        need(headers.get("apns-priority") in ("1", "5", "10"), _reply(400, "BadPriority"))
        need(headers.get("apns-expiration", "").isdigit(), _reply(400, "BadExpirationDate"))
        need(len(headers.get("apns-collapse-id", "").encode()) <= 64, _reply(400, "BadCollapseId"))
        need(str(uuid.UUID(headers["apns-id"])) == headers["apns-id"], _reply(400, "BadMessageId"))
        need(request.body, _reply(400, "PayloadEmpty"))
        need(len(request.body) <= 4096, _reply(413, "PayloadTooLarge"))
        aps = json.loads(request.body)["aps"]
        assert isinstance(aps, dict)
        if headers["apns-push-type"] == "background":
            need(headers["apns-priority"] == "5", _reply(400, "BadPriority"))
        gone = Reply(410, {"reason": "Unregistered", "timestamp": 1_700_000_000_000})
        need(token == self.device.token, gone)
        alert = aps.get("alert", "")
        alert = {"body": alert} if isinstance(alert, str) else alert
        self.shown.append((alert.get("title", ""), alert.get("body", "")))
        self.delivered.append(json.loads(request.body))
        return Reply(200, headers={"apns-id": headers["apns-id"]})

    def _check_token(self, given: str) -> None:
        kind, _, text = given.partition(" ")
        need(kind == "bearer", _reply(403, "MissingProviderToken"))
        try:
            token = jwt.decode(text, self.key, ["ES256"])
        except JoseError:
            need(False, _reply(403, "InvalidProviderToken"))
        need(token.header.get("kid") == KEY_ID, _reply(403, "InvalidProviderToken"))
        need(token.claims.get("iss") == TEAM, _reply(403, "InvalidProviderToken"))
        made = token.claims.get("iat")
        assert isinstance(made, int)
        need(0 <= self.now() - made <= TOKEN_AGE_MAX, _reply(403, "ExpiredProviderToken"))
        before, before_at = self._latest
        if text != before:
            need(not before or made - before_at >= TOKEN_AGE_LEAST, _reply(429, "TooManyProviderTokenUpdates"))
            self._latest = (text, made)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, ssl=self.tls)
        port = self._listening.sockets[0].getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{port}"

    async def stop(self) -> None:
        assert self._listening is not None
        self._listening.close()
        for transport in self._connections:
            transport.close()
        await self._listening.wait_closed()


class _Connection(asyncio.Protocol):
    """Reads requests and writes the emulator's answers, as far as the other side's windows let it."""

    def __init__(self, emulator: Apns) -> None:
        self._emulator = emulator
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._headers: dict[int, dict[str, str]] = {}
        self._bodies: dict[int, bytearray] = {}
        self._waiting: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._emulator._connections.add(transport)
        self._emulator.connections += 1
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        self._emulator._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            self._flush()
            self._transport.close()
            return
        for event in events:
            if isinstance(event, RequestReceived):
                self._headers[event.stream_id] = dict(event.headers)  # type: ignore[arg-type]
                self._bodies[event.stream_id] = bytearray()
            elif isinstance(event, DataReceived):
                self._bodies[event.stream_id] += event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                self._answer(event.stream_id)
            elif isinstance(event, StreamReset):
                self._waiting.pop(event.stream_id, None)
            elif isinstance(event, WindowUpdated):
                self._write_waiting()
        self._flush()

    def _answer(self, stream: int) -> None:
        headers = self._headers.pop(stream)
        request = Request(headers[":path"], headers, bytes(self._bodies.pop(stream)))
        if self._emulator.mood == "silence":
            return
        reply = self._emulator.answer(request)
        fields = [(":status", str(reply.status)), *((key.lower(), value) for key, value in reply.headers.items())]
        self._h2.send_headers(stream, fields, end_stream=not reply.body)
        if reply.body:
            self._waiting[stream] = reply.body
            self._write_waiting()

    def _write_waiting(self) -> None:
        for stream in list(self._waiting):
            rest = self._waiting[stream]
            size = min(self._h2.local_flow_control_window(stream), len(rest), self._h2.max_outbound_frame_size)
            while size > 0:
                self._h2.send_data(stream, rest[:size], end_stream=size == len(rest))
                rest = rest[size:]
                size = min(self._h2.local_flow_control_window(stream), len(rest), self._h2.max_outbound_frame_size)
            self._waiting[stream] = rest
            if not rest:
                del self._waiting[stream]

    def _flush(self) -> None:
        self._transport.write(self._h2.data_to_send())
