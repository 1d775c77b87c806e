"""Connections of our own to platforms: bounded, and to addresses that may be called."""

import asyncio
import base64
import hashlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSMsgType as Kind
from aiohttp import web
from picows import WSMsgType

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.websocket import BINARY, MESSAGE_MAX, TEXT, Refused, Websocket, backoff, connected, keep_listening
from hongyan.outbound import Outbound
from tests.support.hub import LOOPBACK
from tests.support.server import Certificate

Script = Callable[[web.WebSocketResponse], Awaitable[None]]


class Platform:
    """Does what a test says with each connection; `ended` are those that have ended."""

    def __init__(self) -> None:
        self.url = ""
        self.script: Script = self.wait
        self.ended = asyncio.Semaphore(0)
        self.heard: list[str | bytes] = []

    async def wait(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            assert message.type in (Kind.TEXT, Kind.BINARY)
            self.heard.append(message.data)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        try:
            await self.script(socket)
        finally:
            self.ended.release()
        return socket

    @asynccontextmanager
    async def served(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Its port."""
        application = web.Application()
        application.router.add_get("/", self.serve)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield runner.addresses[0][1]
        await runner.cleanup()


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    made = Platform()
    async with made.served() as port:
        made.url = f"ws://127.0.0.1:{port}/"
        yield made


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    made = Outbound(LOOPBACK)
    yield made
    await made.close()


def accepted(request: bytes) -> bytes:
    """The answer that opens a websocket (RFC 6455, 4.2.2)."""
    found = re.search(rb"Sec-WebSocket-Key: (\S+)", request, re.IGNORECASE)
    assert found
    key = base64.b64encode(hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return head + b"Sec-WebSocket-Accept: " + key + b"\r\n\r\n"


@pytest.mark.parametrize(("kind", "sent"), [(TEXT, "grüß"), (BINARY, b"\xff\x00")])
async def test_whole_messages_are_handed_out(
    platform: Platform, outbound: Outbound, kind: WSMsgType, sent: str | bytes
) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await (socket.send_bytes(sent) if isinstance(sent, bytes) else socket.send_str(sent))
        await platform.wait(socket)

    platform.script = script
    raw = sent if isinstance(sent, bytes) else sent.encode()
    async with connected(outbound, platform.url, kind) as socket:
        assert await socket.receive() == raw
        socket.send(raw)
    await platform.ended.acquire()
    assert platform.heard == [sent]


@pytest.mark.parametrize(("host", "reason"), [("localhost", ""), ("other.localhost", "SSLCertVerificationError")])
async def test_over_tls_the_certificate_is_that_of_the_name(
    platform: Platform, certificate: Certificate, host: str, reason: str
) -> None:
    """The connection goes to an address that was looked up before."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate.certificate, certificate.key)
    trusting = ssl.create_default_context(cafile=certificate.authority)

    async def resolve(name: str) -> list[str]:
        return ["127.0.0.1"]

    outbound = Outbound(LOOPBACK, resolve, trusting)
    async with platform.served(server) as port:
        url = f"wss://{host}:{port}/"
        if reason:
            with pytest.raises(Refused, match=reason):
                await connected(outbound, url).__aenter__()
        else:
            async with connected(outbound, url) as socket:
                socket.send(b"hello")
            await platform.ended.acquire()
            assert platform.heard == ["hello"]
    await outbound.close()


async def test_its_end_is_told(platform: Platform, outbound: Outbound) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await socket.close()

    platform.script = script
    async with connected(outbound, platform.url) as socket:
        assert await socket.receive() is None
        socket.send(b"too late")


@pytest.mark.parametrize("sent", ["x" * (MESSAGE_MAX + 1), b"of the other kind"], ids=["oversized", "binary"])
async def test_who_sends_what_is_not_wanted_is_left(platform: Platform, outbound: Outbound, sent: str | bytes) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await (socket.send_bytes(sent) if isinstance(sent, bytes) else socket.send_str(sent))
        await platform.wait(socket)

    platform.script = script
    async with connected(outbound, platform.url) as socket:
        assert await socket.receive() is None
        await platform.ended.acquire()


async def test_cancellation_closes_it(platform: Platform, outbound: Outbound) -> None:
    open_ = asyncio.Event()

    async def listen() -> None:
        async with connected(outbound, platform.url) as socket:
            open_.set()
            await socket.receive()

    task = asyncio.create_task(keep_listening(listen, asyncio.get_running_loop().time))
    await open_.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await platform.ended.acquire()


async def test_cancellation_while_it_opens_leaves_none(outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side takes its time to say yes; when it does, nobody is there any more."""
    monkeypatch.setattr("hongyan.hub.websocket.IDLE", 10_000.0)  # no ping finds out
    asked, answer, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await answer.wait()
        writer.write(accepted(request))
        await reader.read()  # to its end
        writer.close()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    async def listen() -> None:
        async with connected(outbound, url):
            raise AssertionError("it was opened")

    task = asyncio.create_task(listen())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    answer.set()
    await ended.wait()
    server.close()


async def test_a_connection_that_is_refused_tells_the_headers(platform: Platform, outbound: Outbound) -> None:
    with pytest.raises(Refused, match="no connection could be opened") as caught:
        async with connected(outbound, platform.url + "nowhere?ticket=secret"):
            raise AssertionError("it was opened")
    assert "server" in caught.value.headers
    assert caught.value.outcome is Outcome.TRANSIENT
    assert "secret" not in caught.value.reason


@pytest.mark.parametrize(
    ("url", "outcome"),
    [
        ("http://127.0.0.1/?secret", Outcome.TRANSIENT),
        ("ws://?secret", Outcome.TRANSIENT),
        ("ws://[x/?secret", Outcome.TRANSIENT),
        ("ws://127.0.0.1:99999/?secret", Outcome.TRANSIENT),
        ("ws://127.0.0.1:1/?secret", Outcome.TRANSIENT),
        ("ws://10.1.2.3/?secret", Outcome.BAD_CREDENTIAL),
        ("wss://[fd00::1]/?secret", Outcome.BAD_CREDENTIAL),
    ],
)
async def test_addresses_that_lead_nowhere(outbound: Outbound, url: str, outcome: Outcome) -> None:
    with pytest.raises(Problem) as caught:
        async with connected(outbound, url):
            raise AssertionError("it was opened")
    assert caught.value.outcome is outcome
    assert "secret" not in caught.value.reason


class Wire:
    """A transport that is asked to end, and a frame of it."""

    def __init__(self, size: int, kind: WSMsgType = TEXT) -> None:
        self.msg_type, self.fin, self.is_open = kind, True, True
        self._payload = memoryview(bytes(size))

    def get_payload_as_memoryview(self) -> memoryview:
        return self._payload

    def disconnect(self) -> None:
        self.is_open = False


async def test_what_waits_is_bounded_by_its_bytes() -> None:
    socket, wire = Websocket(TEXT), Wire(MESSAGE_MAX)
    for _ in range(4):
        socket.on_ws_frame(wire, wire)  # type: ignore[arg-type]
    assert wire.is_open
    assert await socket.receive() is not None
    socket.on_ws_frame(wire, wire)  # type: ignore[arg-type]
    assert wire.is_open
    socket.on_ws_frame(wire, wire)  # type: ignore[arg-type]
    assert not wire.is_open


async def test_a_message_in_pieces_is_bounded_by_its_bytes() -> None:
    socket, wire = Websocket(BINARY), Wire(MESSAGE_MAX, BINARY)
    wire.fin = False
    socket.on_ws_frame(wire, wire)  # type: ignore[arg-type]
    assert wire.is_open
    more = Wire(1, WSMsgType.CONTINUATION)
    socket.on_ws_frame(wire, more)  # type: ignore[arg-type]
    assert not wire.is_open


def test_waits_grow_up_to_a_minute() -> None:
    assert [backoff(tries) for tries in (0, 1, 2, 5, 6, 10_000)] == [1, 2, 4, 32, 60, 60]


async def test_tries_that_last_start_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now, tries, slept = 0.0, iter([0.0, 0.0, 100.0, 0.0]), list[float]()

    async def listen() -> None:
        nonlocal now
        lasted = next(tries, None)
        if lasted is None:
            raise Problem(Outcome.BAD_CREDENTIAL, "enough")
        now += lasted
        if lasted == 0.0 and len(slept) == 1:
            raise Problem(Outcome.THROTTLED, "later", after=7.0)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("hongyan.hub.websocket.asyncio.sleep", sleep)
    with pytest.raises(Problem, match="enough"):
        await keep_listening(listen, lambda: now)
    assert slept == [1.0, 7.0, 1.0, 2.0]
