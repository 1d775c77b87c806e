"""The HTTP server on a real socket: idle connections, calls in progress at the end, malformed requests."""

import asyncio
import contextlib
import gc
import json
import re
import resource
import socket
import weakref
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from litestar.types import Receive, Scope, Send

from hongyan.api import server
from hongyan.api.server import HttpServer, OnePiece
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


class Echo:
    """An application that answers with what it was called with; a path that says `slow` waits until it may."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.may_answer = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body, more = body + event["body"], event["more_body"]
        self.called.append(scope["path"])
        if "slow" in scope["path"]:
            await self.may_answer.wait()
        answer = f"[{scope['path']} {body.decode()}]".encode()
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[typeddict-item]
        await send({"type": "http.response.body", "body": answer, "more_body": False})


class Parts:
    """An application that answers in two parts, and fails between them if the path says so."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":  # type: ignore[typeddict-item]
            await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})  # type: ignore[typeddict-item]
        if "fail" in scope["path"]:
            raise RuntimeError("between head and body")
        await send({"type": "http.response.body", "body": b"on", "more_body": True})
        await send({"type": "http.response.body", "body": b"ce", "more_body": False})


class Writes:
    """A transport that keeps what is written to it, call by call."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.is_over = False

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def writelines(self, data: Iterable[bytes]) -> None:
        self.calls.append(b"".join(data))

    def is_closing(self) -> bool:
        return self.is_over

    def close(self) -> None:
        self.is_over = True


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


@pytest.fixture
async def echo() -> AsyncIterator[tuple[HttpServer, Echo]]:
    """A running server and what it serves."""
    app = Echo()
    made = HttpServer(app, bind("127.0.0.1", 0, "http_port"), None, stop_timeout=30)
    await made.start()
    yield made, app
    app.may_answer.set()
    await made.stop()


@pytest.fixture
async def parts() -> AsyncIterator[HttpServer]:
    http = HttpServer(Parts(), bind("127.0.0.1", 0, "http_port"), None, stop_timeout=5)
    await http.start()
    yield http
    await http.stop()


def look_again(http: HttpServer) -> None:
    """Have the one connection looked at after the limit of now: it is idle until its first call has come."""
    (protocol,) = http._server.server_state.connections
    protocol._watching.cancel()
    protocol._watch()


async def until_its_end(reader: asyncio.StreamReader) -> bytes:
    """What comes; the end is a reset if there was more to read for the server."""
    told = b""
    with contextlib.suppress(ConnectionResetError):
        while part := await reader.read(65_536):
            told += part
    return told


def call(path: str, body: str = "", *fields: str) -> bytes:
    """A call with a body and further header fields."""
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *fields]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def answers(told: bytes) -> list[str]:
    """What `Echo` has answered."""
    return re.findall(r"\[(.*?)\]", told.decode())


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


async def test_a_connection_is_kept_for_the_next_call(http: HttpServer, app: Slow) -> None:
    app.may_answer.set()
    async with connected(http) as (reader, writer):
        for _ in range(2):
            writer.write(GET)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
            (protocol,) = http._server.server_state.connections
            for _ in range(2):  # as often as it takes to find one idle whose first call does not come
                protocol._check()
    await http.stop()


async def test_a_connection_is_not_kept_for_ever(http: HttpServer, app: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http._server.config, "timeout_keep_alive", 0.05)
    app.may_answer.set()
    async with connected(http) as (reader, writer):
        writer.write(GET)
        assert (await reader.read()).endswith(b"ok")
    await http.stop()


async def test_a_long_call_is_not_idle(http: HttpServer, app: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(http) as (reader, writer):
        writer.write(GET)
        await app.called.wait()
        monkeypatch.setattr(server, "IDLE_LIMIT", 0.01)
        look_again(http)
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
        assert (await until_its_end(reader)).startswith(b"HTTP/1.1 400")
    app.may_answer.set()
    await http.stop()


async def test_what_stands_between_the_parts_of_a_body_has_an_end(http: HttpServer, app: Slow) -> None:
    async with connected(http) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        await app.called.wait()
        writer.write(b"x" * 70_000)
        assert (await until_its_end(reader)).startswith(b"HTTP/1.1 400")
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
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert json.loads(body).keys() == {"code", "error"}
    await http.stop()


HOSTS = {
    "one": (b"HTTP/1.1\r\nHost: localhost", True),
    "one of an old client": (b"HTTP/1.0\r\nHost: localhost", True),
    "none of an old client": (b"HTTP/1.0", True),
    "none": (b"HTTP/1.1", False),
    "two": (b"HTTP/1.1\r\nHost: localhost\r\nhost: localhost", False),
    "two of an old client": (b"HTTP/1.0\r\nHost: a\r\nX: y\r\nHost: b", False),
}


@pytest.mark.parametrize(("head", "is_taken"), HOSTS.values(), ids=HOSTS)
async def test_a_call_is_to_one_host(echo: tuple[HttpServer, Echo], head: bytes, is_taken: bool) -> None:
    """Two programs on the way of a call could take different ones for it."""
    async with connected(echo[0]) as (reader, writer):
        writer.write(b"GET / " + head + b"\r\nConnection: close\r\n\r\n")
        told = await asyncio.wait_for(reader.read(), 10)
    assert told.startswith(b"HTTP/1.1 200" if is_taken else b"HTTP/1.1 400")
    assert (b"`Host`" in told) == (not is_taken)
    assert echo[1].called == (["/"] if is_taken else [])


OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")


@pytest.mark.parametrize("at", [0, 3, 20])
async def test_who_offers_another_protocol_is_served_in_this_one(echo: tuple[HttpServer, Echo], at: int) -> None:
    """Java's HttpClient does so with its first call to any server."""
    offered = call("/1", "first", *OFFER)
    async with connected(echo[0]) as (reader, writer):
        writer.write(offered[: len(offered) - at])
        await writer.drain()
        told = b"" if at else await reader.readuntil(b"first]")
        writer.write(offered[len(offered) - at :] + call("/2", "second", *OFFER) + call("/3", "third"))
        told += await reader.readuntil(b"third]")
    assert answers(told) == ["/1 first", "/2 second", "/3 third"]


async def test_a_body_after_an_offer_is_not_the_next_call(echo: tuple[HttpServer, Echo]) -> None:
    hidden = call("/hidden")
    async with connected(echo[0]) as (reader, writer):
        writer.write(call("/1", hidden.decode(), *OFFER)[: -len(hidden)])
        while not echo[0]._server.server_state.tasks:
            await asyncio.sleep(0)
        writer.write(hidden)
        await reader.readuntil(b"]")
    assert echo[1].called == ["/1"]


async def test_nothing_is_tunnelled(echo: tuple[HttpServer, Echo]) -> None:
    async with connected(echo[0]) as (reader, writer):
        writer.write(b"CONNECT / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")


async def test_of_many_calls_at_once_some_are_answered_and_no_more_are_kept(echo: tuple[HttpServer, Echo]) -> None:
    async with connected(echo[0]) as (reader, writer):
        writer.write(call("/slow") + b"".join(call(f"/{number}") for number in range(100)))
        while not echo[1].called:
            await asyncio.sleep(0)
        (protocol,) = echo[0]._server.server_state.connections
        assert len(protocol.pipeline) == server.WAITING_MAX
        echo[1].may_answer.set()
        told = answers(await reader.read())
    assert told == ["/slow ", *(f"/{number} " for number in range(server.WAITING_MAX))]
    assert len(echo[1].called) == len(told)


@pytest.mark.parametrize("rest", [b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000])
async def test_what_came_whole_is_answered_before_what_is_broken_ends_the_connection(
    echo: tuple[HttpServer, Echo], rest: bytes
) -> None:
    """It has been done: who is told otherwise does it again."""
    async with connected(echo[0]) as (reader, writer):
        writer.write(call("/slow", "done"))
        while not echo[1].called:
            await asyncio.sleep(0)
        writer.write(rest)
        (protocol,) = echo[0]._server.server_state.connections
        while not (protocol._is_over or protocol.transport.is_closing()):
            await asyncio.sleep(0)
        echo[1].may_answer.set()
        assert answers(await until_its_end(reader)) == ["/slow done"]


async def test_nothing_is_left_of_a_connection_whose_calls_waited(echo: tuple[HttpServer, Echo]) -> None:
    connections = echo[0]._server.server_state.connections
    gc.collect()
    gc.disable()
    try:
        async with connected(echo[0]) as (_, writer):
            writer.write(call("/slow") + call("/1") * 5)
            while not echo[1].called:
                await asyncio.sleep(0)
            protocol = weakref.ref(*connections)
        while connections:
            await asyncio.sleep(0)
        echo[1].may_answer.set()
        while echo[0]._server.server_state.tasks:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert protocol() is None
    finally:
        gc.enable()


async def test_a_body_that_does_not_come_is_not_waited_for(
    echo: tuple[HttpServer, Echo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE_LIMIT", 0.05)
    async with connected(echo[0]) as (reader, writer):
        writer.write(call("/1", "body")[:-1])
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    assert echo[1].called == []


@pytest.mark.parametrize(
    ("request_line", "fields", "before", "body"),
    [
        ("GET / HTTP/1.1", "", b"", b"once"),
        ("HEAD / HTTP/1.1", "", b"", b""),
        ("POST / HTTP/1.1", "Content-Length: 0\r\nExpect: 100-continue\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"once"),
        ("GET /fail HTTP/1.1", "", b"", b""),
    ],
)
async def test_a_head_is_told_with_what_follows_or_without(
    parts: HttpServer, request_line: str, fields: str, before: bytes, body: bytes
) -> None:
    async with connected(parts) as (reader, writer):
        writer.write(f"{request_line}\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n".encode())
        told = await asyncio.wait_for(reader.read(), 10)
    assert told.startswith(before + b"HTTP/1.1 200 OK\r\n")
    assert told.partition(b"content-length: 4\r\n")[2].partition(b"\r\n\r\n")[2] == body


def test_an_answer_leaves_in_one_piece() -> None:
    writes = Writes()
    answer = OnePiece(cast("asyncio.Transport", writes))
    for part in (b"head ", b"body ", b"more"):
        answer.write(part)
    assert writes.calls == [b"head body ", b"more"]


@pytest.mark.parametrize(("is_over", "told"), [(False, [b"head"]), (True, [])])
def test_a_head_without_body_is_told_at_the_end(is_over: bool, told: list[bytes]) -> None:
    writes = Writes()
    answer = OnePiece(cast("asyncio.Transport", writes))
    answer.write(b"head")
    writes.is_over = is_over
    answer.close()
    answer.close()
    assert (writes.calls, writes.is_over) == (told, True)


# readers

PIECE, PIECES = bytes(65_536), 256


class Long:
    """An application whose answers are larger than what kernels hold, in pieces or as one; it counts those at work."""

    def __init__(self) -> None:
        self.at_work = 0

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        length = [(b"content-length", b"%d" % (len(PIECE) * PIECES))]
        self.at_work += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": length})  # type: ignore[typeddict-item]
            if scope["path"] == "/one":
                await send({"type": "http.response.body", "body": PIECE * PIECES, "more_body": False})
                return
            for number in range(PIECES):
                await send({"type": "http.response.body", "body": PIECE, "more_body": number < PIECES - 1})
        finally:
            self.at_work -= 1


@pytest.fixture
async def long() -> AsyncIterator[tuple[HttpServer, Long]]:
    app = Long()
    made = HttpServer(app, bind("127.0.0.1", 0, "http_port"), None, stop_timeout=5)
    await made.start()
    yield made, app
    await made.stop()


@asynccontextmanager
async def reading(http: HttpServer, path: str) -> AsyncIterator[socket.socket]:
    """A connection over which an answer of `Long` begins to come, and whose kernel holds little of it."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, len(PIECE))
        await loop.sock_connect(connection, ("127.0.0.1", http.port))
        await loop.sock_sendall(connection, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (await loop.sock_recv(connection, 1)) == b"H"
        yield connection


@pytest.mark.parametrize("rate", [2_048, 10**9], ids=["takes nothing", "takes too little"])
@pytest.mark.parametrize("path", ["/pieces", "/one"])
async def test_a_slow_reader_does_not_hold_its_place_for_ever(
    long: tuple[HttpServer, Long], monkeypatch: pytest.MonkeyPatch, path: str, rate: int
) -> None:
    monkeypatch.setattr(server, "READ_RATE_MIN", rate)
    http, app = long
    connections = http._server.server_state.connections
    async with reading(http, path) as connection:
        monkeypatch.setattr(server, "IDLE_LIMIT", 0.05)
        look_again(http)
        while connections:
            if rate > 2_048:
                with contextlib.suppress(ConnectionError):
                    await asyncio.get_running_loop().sock_recv(connection, 1)
            await asyncio.sleep(0)
    while app.at_work:
        await asyncio.sleep(0)


@pytest.mark.parametrize("path", ["/pieces", "/one"])
async def test_a_reader_that_takes_enough_gets_all(
    long: tuple[HttpServer, Long], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It is looked at after each mebibyte, of which half would do."""
    monkeypatch.setattr(server, "READ_RATE_MIN", 2**19 / server.IDLE_LIMIT)
    loop, taken, looked = asyncio.get_running_loop(), 1, 0
    async with reading(long[0], path) as connection:
        (protocol,) = long[0]._server.server_state.connections
        while part := await loop.sock_recv(connection, len(PIECE)):
            taken += len(part)
            if taken >> 20 > looked and protocol in long[0]._server.server_state.connections:
                looked += 1
                protocol._watching.cancel()
                protocol._check()
            if taken > len(PIECE) * PIECES:
                break
    assert taken > len(PIECE) * PIECES
    assert looked > 8
