"""Hearing DingTalk by a connection of our own (stream mode, reference 2.7), where it can reach no address of ours."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import structlog
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from hongyan.hub.connector import Event, Outcome, Problem
from hongyan.hub.connectors.dingtalk.api import V1_HOST
from hongyan.hub.connectors.dingtalk.credentials import AppCredentials
from hongyan.hub.connectors.dingtalk.errors import v1_answer
from hongyan.hub.connectors.dingtalk.inbound import Inbound
from hongyan.hub.http import Http
from hongyan.hub.surroundings import Surroundings
from hongyan.outbound import OutboundError

SAID, PRESSED = "/v1.0/im/bot/messages/get", "/v1.0/card/instances/callback"
SUBSCRIPTIONS = [
    {"type": "EVENT", "topic": "*"},
    {"type": "CALLBACK", "topic": SAID},
    {"type": "CALLBACK", "topic": PRESSED},
]
#: Waits between tries (s); silence after which the connection is tried; bytes of a frame, and frames that may wait.
WAIT_MIN, WAIT_MAX, IDLE, FRAME_MAX, WAITING = 1.0, 60.0, 60.0, 1_048_576, 1000
#: Bytes of all frames that wait.
BYTES_WAITING = 4 * FRAME_MAX

_log = structlog.get_logger(__name__)


class Stream:
    """`tell` is awaited before DingTalk is told that something was heard: what was not is told again."""

    def __init__(
        self,
        credentials: AppCredentials,
        around: Surroundings,
        inbound: Inbound,
        tell: Callable[[Event], Awaitable[None]],
    ) -> None:
        self._credentials = credentials
        self._around = around
        self._http = Http(around.outbound, credentials.base_url or V1_HOST)
        self._inbound = inbound
        self._tell = tell

    async def run(self) -> None:
        """Until it is cancelled, connection after connection. Raises Problem if the credentials are bad."""
        wait = WAIT_MIN
        while True:
            began, after = self._around.steady(), None
            try:
                await self._listen(await self._open())
            except Problem as problem:
                if problem.outcome is Outcome.BAD_CREDENTIAL:
                    raise
                after = problem.after
            if self._around.steady() - began >= WAIT_MAX:  # it was good: the next try is not one of many
                wait = WAIT_MIN
            await asyncio.sleep(after or wait)
            wait = min(wait * 2, WAIT_MAX)

    async def _open(self) -> str:
        """The address of a connection, good once."""
        body = {
            "clientId": self._credentials.app_key,
            "clientSecret": self._credentials.app_secret,
            "subscriptions": SUBSCRIPTIONS,
            "ua": "hongyan",
        }
        answer = v1_answer(await self._http.post("/v1.0/gateway/connections/open", body))
        endpoint, ticket = answer.get("endpoint"), answer.get("ticket")
        if not isinstance(endpoint, str) or not isinstance(ticket, str) or not endpoint.startswith(("ws://", "wss://")):
            raise Problem(Outcome.TRANSIENT, "DingTalk gives no address of a stream")
        return f"{endpoint}?{urlencode({'ticket': ticket})}"

    async def _listen(self, url: str) -> None:
        """Until the connection is closed."""
        transport, listener = await self._connect(url)
        try:
            while (frame := await listener.next()) is not None:
                answer, last = await self._heard(frame)
                transport.send(WSMsgType.TEXT, msgspec.json.encode(answer))
                if last:
                    return
        finally:
            transport.disconnect()
            await transport.wait_disconnected()

    async def _connect(self, url: str) -> "tuple[WSTransport, _Listener]":
        try:
            target = urlsplit(url)
            port = target.port or (443 if target.scheme == "wss" else 80)
            sock = await self._around.outbound.dial(target.hostname or "", port)
        except (OutboundError, ValueError) as error:
            raise Problem(Outcome.TRANSIENT, f"no stream could be opened: {error}") from None
        try:
            transport, listener = await ws_connect(
                _Listener,
                url,
                max_redirects=0,
                max_frame_size=FRAME_MAX,
                enable_auto_ping=True,
                auto_ping_idle_timeout=IDLE,
                socket_factory=lambda _: sock,
            )
        except (WSError, OSError, TimeoutError, ValueError) as error:
            sock.close()
            raise Problem(Outcome.TRANSIENT, f"no stream could be opened: {type(error).__name__}") from None
        assert isinstance(listener, _Listener)
        return transport, listener

    async def _heard(self, raw: bytes) -> tuple[dict[str, Any], bool]:
        """What to answer to a frame, and whether DingTalk wants another connection."""
        try:
            frame = msgspec.json.decode(raw, type=_Frame)
        except msgspec.MsgspecError:
            return _answer("", 400, "the frame can't be read", "{}"), False
        message_id, topic = frame.header("messageId"), frame.header("topic")
        if frame.type == "SYSTEM":
            return _answer(message_id, 200, "OK", frame.data), topic == "disconnect"
        try:
            event = self._event(frame, topic, message_id)
        except (Problem, msgspec.MsgspecError):
            return _answer(message_id, 400, "the data can't be read", "{}"), False
        if event is None:
            return _answer(message_id, 404, "nobody listens to this", "{}"), False
        try:
            await self._tell(event)
        except Exception:
            _log.exception("dingtalk_event_failed", topic=topic)
            return _answer(message_id, 500, "try again", "{}"), False
        return _answer(message_id, 200, "OK", '{"response":{}}'), False

    def _event(self, frame: "_Frame", topic: str, message_id: str) -> Event | None:
        body = msgspec.json.decode(frame.data, type=dict[str, Any])
        if frame.type == "EVENT":
            name = frame.header("eventType")
            born = {"TimeStamp": frame.header("eventBornTime")}
            return self._inbound.happened(name, {**born, **body}, frame.header("eventId") or message_id)
        if topic == SAID:
            return self._inbound.said(body)
        if topic == PRESSED:
            return self._inbound.acted(body, message_id, self._around.wall())
        return None


class _Frame(msgspec.Struct):
    type: str
    headers: dict[str, Any]
    data: str = "{}"

    def header(self, name: str) -> str:
        return str(self.headers.get(name) or "")


class _Listener(WSListener):
    """Hands out whole messages, and None when the connection has closed."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._parts = bytearray()
        self._waiting = 0

    async def next(self) -> bytes | None:
        frame = await self.frames.get()
        self._waiting -= len(frame or b"")
        return frame

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            self._parts += frame.get_payload_as_memoryview()
            waiting = self._waiting + len(self._parts)
            if len(self._parts) > FRAME_MAX or self.frames.qsize() > WAITING or waiting > BYTES_WAITING:
                transport.disconnect()
            elif frame.fin:
                self._waiting = waiting
                self.frames.put_nowait(bytes(self._parts))
                self._parts.clear()
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.frames.put_nowait(None)


def _answer(message_id: str, code: int, message: str, data: str) -> dict[str, Any]:
    headers = {"contentType": "application/json", "messageId": message_id}
    return {"code": code, "headers": headers, "message": message, "data": data}
