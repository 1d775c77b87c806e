"""Hearing DingTalk by a connection of our own (stream mode, reference 2.7), where it can reach no address of ours."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
import structlog

from hongyan.hub.connector import MISSHAPEN, Event, Outcome, Problem
from hongyan.hub.connectors.dingtalk.api import V1_HOST
from hongyan.hub.connectors.dingtalk.credentials import AppCredentials
from hongyan.hub.connectors.dingtalk.errors import v1_answer
from hongyan.hub.connectors.dingtalk.inbound import Inbound
from hongyan.hub.http import Http
from hongyan.hub.surroundings import Surroundings
from hongyan.hub.websocket import connected, keep_listening

SAID, PRESSED = "/v1.0/im/bot/messages/get", "/v1.0/card/instances/callback"
SUBSCRIPTIONS = [
    {"type": "EVENT", "topic": "*"},
    {"type": "CALLBACK", "topic": SAID},
    {"type": "CALLBACK", "topic": PRESSED},
]

#: What reading raises: the first two by JSON itself.
_UNREADABLE = (msgspec.MsgspecError, RecursionError, *MISSHAPEN)

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
        await keep_listening(self._listen, self._around.steady)

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
        if not isinstance(endpoint, str) or not isinstance(ticket, str):
            raise Problem(Outcome.TRANSIENT, "DingTalk gives no address of a stream")
        return f"{endpoint}?{urlencode({'ticket': ticket})}"

    async def _listen(self) -> None:
        """Until the connection is closed."""
        async with connected(self._around.outbound, await self._open()) as socket:
            while (frame := await socket.receive()) is not None:
                answer, last = await self._heard(frame)
                socket.send(msgspec.json.encode(answer))
                if last:
                    return

    async def _heard(self, raw: bytes) -> tuple[dict[str, Any], bool]:
        """What to answer to a frame, and whether DingTalk wants another connection."""
        try:
            frame = msgspec.json.decode(raw, type=_Frame)
        except _UNREADABLE:
            return _answer("", 400, "the frame can't be read", "{}"), False
        message_id, topic = frame.header("messageId"), frame.header("topic")
        if frame.type == "SYSTEM":
            return _answer(message_id, 200, "OK", frame.data), topic == "disconnect"
        try:
            event = self._event(frame, topic, message_id)
        except (Problem, *_UNREADABLE):
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


def _answer(message_id: str, code: int, message: str, data: str) -> dict[str, Any]:
    headers = {"contentType": "application/json", "messageId": message_id}
    return {"code": code, "headers": headers, "message": message, "data": data}
