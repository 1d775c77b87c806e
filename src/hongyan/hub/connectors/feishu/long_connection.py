"""Hearing Feishu by a connection of our own (its long connection), where it can reach no address of ours."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import msgspec
import structlog
from google.protobuf.message import DecodeError
from msgspec import Meta, Struct

from hongyan.hub.connector import Event, Outcome, Problem, nothing_said
from hongyan.hub.connectors.feishu import errors
from hongyan.hub.connectors.feishu.api import data
from hongyan.hub.connectors.feishu.credentials import CHINA, AppCredentials
from hongyan.hub.connectors.feishu.inbound import Inbound
from hongyan.hub.connectors.feishu.long_connection_pb2 import Frame, Header
from hongyan.hub.http import Http, json_object
from hongyan.hub.surroundings import Surroundings
from hongyan.hub.websocket import BINARY, MESSAGE_MAX, Refused, Websocket, backoff, connected, keep_listening

CONTROL, DATA = 0, 1
#: Parts of a message, messages of which parts are kept, their bytes, and for how long (s), as Feishu's own SDKs.
PARTS_MAX, PARTLY_MAX, PARTS_BYTES, PARTS_TIME = 1000, 100, 4 * MESSAGE_MAX, 5.0
Seconds = Annotated[int, Meta(ge=0, le=3600)]
Interval = Annotated[int, Meta(ge=1, le=3600)]

_log = structlog.get_logger(__name__)


class Config(Struct, frozen=True, rename="pascal"):
    """How Feishu wants a connection to be held (s): after its end a moment up to the nonce, then tries at intervals."""

    ping_interval: Interval = 120
    reconnect_interval: Interval = 120
    reconnect_nonce: Seconds = 30

    def wait(self, tries: int) -> float:
        """Servers of Feishu that end their connections are not asked for new ones by all apps at once."""
        return self.reconnect_interval if tries else random.uniform(0, self.reconnect_nonce)


class LongConnection:
    """`tell` is awaited before Feishu is told that something was heard: what was not is told again."""

    def __init__(
        self,
        credentials: AppCredentials,
        around: Surroundings,
        inbound: Inbound,
        tell: Callable[[Event], Awaitable[None]],
    ) -> None:
        self._credentials = credentials
        self._around = around
        self._http = Http(around.outbound, credentials.base_url or CHINA)
        self._inbound = inbound
        self._tell = tell
        self._config: Config | None = None
        self._parts = Parts(around.steady)

    async def run(self) -> None:
        """Until it is cancelled, connection after connection. Raises Problem if the credentials are bad."""
        await keep_listening(self._listen, self._around.steady, self._wait)

    def _wait(self, tries: int) -> float:
        return backoff(tries) if self._config is None else self._config.wait(tries)

    async def _open(self) -> str:
        """The address of a connection."""
        given = self._credentials
        body = {"AppID": given.app_id, "AppSecret": given.app_secret}
        with nothing_said():
            answer = await self._http.post("/callback/ws/endpoint", body)
            errors.check_connection(errors.code_of(answer) or 0, errors.words(answer, (given.app_secret,)))
            errors.check(answer, (given.app_secret,), once=True)
        found = data(answer.json or {})
        if not isinstance(found.get("URL"), str):
            raise Problem(Outcome.TRANSIENT, "Feishu gives no address of a connection")
        self._configure(found.get("ClientConfig"))
        return str(found["URL"])

    def _configure(self, told: object) -> None:
        """What makes no sense changes nothing."""
        try:
            self._config = msgspec.convert(told, Config)
        except msgspec.ValidationError:
            self._config = self._config or Config()

    async def _listen(self) -> None:
        """Until the connection is closed. Raises Problem for what is no frame of Feishu."""
        url = await self._open()
        try:
            async with connected(self._around.outbound, url, BINARY) as socket:
                pings = asyncio.create_task(self._ping(socket, _service(url)))
                try:
                    while (raw := await socket.receive()) is not None:
                        await self._take(_frame(raw), socket)
                finally:
                    pings.cancel()
        except Refused as refused:
            code, words = _refusal(refused.headers)
            errors.check_connection(code, words or refused.reason)
            raise

    async def _ping(self, socket: Websocket, service: int) -> None:
        while True:
            headers = [Header(key="type", value="ping")]
            socket.send(Frame(SeqID=0, LogID=0, service=service, method=CONTROL, headers=headers).SerializeToString())
            await asyncio.sleep((self._config or Config()).ping_interval)

    async def _take(self, frame: Frame, socket: Websocket) -> None:
        headers = {each.key: each.value for each in frame.headers}
        type_ = headers.get("type")
        if frame.method == CONTROL and type_ == "pong" and frame.payload:
            self._configure(json_object(frame.payload))
        if frame.method != DATA or type_ not in ("event", "card"):
            return
        began, message_id = self._around.steady(), headers.get("message_id", "")
        payload = self._parts.add(message_id, _number(headers, "sum", 1), _number(headers, "seq", 0), frame.payload)
        if payload is None:
            return
        frame.payload = msgspec.json.encode({"code": await self._keep(payload, message_id)})
        took = round((self._around.steady() - began) * 1000)
        frame.headers.append(Header(key="biz_rt", value=str(took)))
        socket.send(frame.SerializeToString())

    async def _keep(self, payload: bytes, message_id: str) -> int:
        """The code that is answered."""
        try:
            for event in await self._inbound.heard(payload, message_id):
                await self._tell(event)
        except Problem as problem:
            _log.warning("feishu_event_refused", reason=problem.reason)
        except Exception:
            _log.exception("feishu_event_failed")
        else:
            return 200
        return 500


@dataclass(slots=True)
class _Partly:
    count: int
    until: float
    parts: dict[int, bytes] = field(default_factory=dict)
    size: int = 0

    def add(self, number: int, part: bytes) -> None:
        self.size += len(part) - len(self.parts.get(number, b""))
        self.parts[number] = part


class Parts:
    """Of messages that come in several frames. What is too late or too much is forgotten: nothing is answered, and
    Feishu tells it again.
    """

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._partly: dict[str, _Partly] = {}

    def add(self, message_id: str, count: int, number: int, part: bytes) -> bytes | None:
        """The message, if this was all that was missing of it. Raises Problem for a part that none can have."""
        if not 0 <= number < count <= PARTS_MAX:
            raise _garbage()
        if count == 1:
            return part
        now = self._steady()
        for id in [id for id, each in self._partly.items() if each.until <= now]:
            del self._partly[id]
        found = self._partly.get(message_id)
        if found is None or found.count != count:
            found = self._partly[message_id] = _Partly(count, now + PARTS_TIME)
        found.add(number, part)
        if len(found.parts) == count:
            del self._partly[message_id]
            return b"".join(found.parts[each] for each in range(count))
        while len(self._partly) > PARTLY_MAX or sum(each.size for each in self._partly.values()) > PARTS_BYTES:
            del self._partly[next(iter(self._partly))]  # the oldest
        return None


def _frame(raw: bytes) -> Frame:
    """Raises Problem."""
    try:
        return Frame.FromString(raw)
    except DecodeError:
        raise _garbage() from None


def _garbage() -> Problem:
    return Problem(Outcome.TRANSIENT, "what comes over the connection is not from Feishu")


def _number(headers: Mapping[str, str], name: str, otherwise: int) -> int:
    text = headers.get(name, "")
    if not text:
        return otherwise
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise _garbage()
    return int(text)


def _service(url: str) -> int:
    """The number that pings carry."""
    (text, *_) = parse_qs(urlsplit(url).query).get("service_id", ["0"])
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _refusal(headers: Mapping[str, str]) -> tuple[int, str]:
    """The code of a connection that is refused, and Feishu's words."""
    codes = [headers.get(name, "") for name in ("handshake-autherrcode", "handshake-status")]
    known = [int(each) for each in codes if each.isascii() and each.isdecimal() and len(each) < 12]
    return (known[0] if known else 0), headers.get("handshake-msg", "")
