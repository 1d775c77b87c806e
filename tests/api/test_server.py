"""The HTTP server on a real socket: idle connections, calls in progress at the end, malformed requests."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from litestar.types import Receive, Scope, Send

from hongyan.api import server
from hongyan.api.server import HttpServer
from hongyan.listen import bind

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Slow:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.called.set()
        await self.may_answer.wait()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[typeddict-item]
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(http: HttpServer) -> AsyncIterator[Streams]:
    """A connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
    yield reader, writer
    writer.close()


@pytest.fixture
def app() -> Slow:
    return Slow()


@pytest.fixture
async def http(app: Slow) -> HttpServer:
    """A running server; each test stops it."""
    made = HttpServer(app, bind("127.0.0.1", 0, "http_port"), None, stop_timeout=30)
    await made.start()
    return made


async def test_a_call_in_progress_is_answered_before_the_end(http: HttpServer, app: Slow) -> None:
    async with connected(http) as (reader, writer):
        writer.write(GET)
        await app.called.wait()
        stopping = asyncio.create_task(http.stop())
        app.may_answer.set()
        assert (await reader.read()).endswith(b"\r\n\r\nok")
        await stopping


async def test_a_stopped_server_takes_no_connections(http: HttpServer) -> None:
    port = http.port
    await http.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET + GET[:20]])
async def test_a_connection_that_asks_for_nothing_is_closed(
    http: HttpServer, app: Slow, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server, "IDLE_LIMIT", 0.05)
    app.may_answer.set()
    async with connected(http) as (reader, writer):
        writer.write(sent)
        await reader.read()
    await http.stop()


async def test_a_long_call_is_not_idle(http: HttpServer, app: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_LIMIT", 0.01)
    async with connected(http) as (reader, writer):
        writer.write(GET)
        await app.called.wait()
        asyncio.get_running_loop().call_later(0.1, app.may_answer.set)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    await http.stop()


async def test_one_connection_too_many_is_closed(http: HttpServer, app: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SHARE", resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
    app.may_answer.set()
    async with connected(http) as (reader, writer), connected(http):
        async with connected(http) as (refused, _):
            assert await refused.read() == b""
        writer.write(GET)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    await http.stop()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 100_000,
        b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000,
    ],
)
async def test_a_head_has_an_end(http: HttpServer, app: Slow, head: bytes) -> None:
    async with connected(http) as (reader, writer):
        writer.write(head)
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
    app.may_answer.set()
    await http.stop()


async def test_what_stands_between_the_parts_of_a_body_has_an_end(http: HttpServer, app: Slow) -> None:
    async with connected(http) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        await app.called.wait()
        writer.write(b"x" * 70_000)
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
    app.may_answer.set()
    await http.stop()


async def test_a_long_body_is_no_head(http: HttpServer, app: Slow) -> None:
    app.may_answer.set()
    async with connected(http) as (reader, writer):
        for body in (b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000, b"Content-Length: 2\r\n\r\nok"):
            writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\n" + body)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    await http.stop()


@pytest.mark.parametrize("sent", [b"\x00\xff\r\n\r\n", b"GET /\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"])
async def test_what_is_no_request_is_refused(http: HttpServer, sent: bytes) -> None:
    async with connected(http) as (reader, writer):
        writer.write(sent)
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
    await http.stop()
