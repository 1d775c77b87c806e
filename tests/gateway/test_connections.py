"""Connections that say nothing, come all at once, or find no descriptor left."""

import asyncio
import contextlib
import os
import resource
import select
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from websockets.exceptions import InvalidMessage, InvalidStatus

from hongyan.gateway.listener import ACCEPTED_AT_ONCE, Listener
from tests.gateway.raw import DATA, Peer, message, raise_descriptors, tcp, upgrade_request, websocket
from tests.gateway.talk import clients, numbered, people, settled, texts
from tests.support.client import Connection, ConnectionLost, command, connect, login
from tests.support.server import Server

ECHO = message(numbered(1, command("echo")))


# silence


@pytest.fixture
def hasty_server(server_factory: Callable[..., Server]) -> Server:
    """A server with little patience, but more than a busy machine keeps a test from running."""
    made: Server = server_factory(
        environment={"HONGYAN_GATEWAY_LOGIN_TIMEOUT": "5", "HONGYAN_GATEWAY_READ_TIMEOUT": "6"}
    )
    made.start()
    return made


async def test_silence_ends_a_connection_inferred(hasty_server: Server) -> None:
    """Without a login also one that talks; half-open ones end before they are a websocket."""
    half_requests = (b"", upgrade_request()[:50], b"GET / HTTP/1.1\r\n")
    async with contextlib.AsyncExitStack() as stack:
        stranger, silent, lively = [await stack.enter_async_context(connect(hasty_server)) for _ in range(3)]
        for connection in (silent, lively):
            await connection.open(people("tom")[0])
        half_open = [await stack.enter_async_context(tcp(hasty_server)) for _ in half_requests]
        for peer, data in zip(half_open, half_requests, strict=True):
            await peer.send(data)
        ends = asyncio.gather(stranger.closed(), silent.closed(), *(peer.rest() for peer in half_open))
        talking = asyncio.create_task(talk_on(stranger))
        while not ends.done():
            await lively.echo()
            await asyncio.sleep(0.05)
        no_login, nothing_received, *rests = await ends
        assert (no_login.code, no_login.reason.split(":")[0]) == (4108, "LOGIN_TIMEOUT")
        assert (nothing_received.code, nothing_received.reason.split(":")[0]) == (4107, "READ_TIMEOUT")
        assert rests == [b""] * len(half_open)
        await talking
        await lively.echo()


async def talk_on(connection: Connection) -> None:
    """Echo until the server ends it."""
    with contextlib.suppress(ConnectionLost):
        while True:
            await connection.echo()
            await asyncio.sleep(0.05)


async def test_what_is_not_tls_costs_its_connection_only(tls_server: Server) -> None:
    async with login(tls_server, "tom") as tom:
        conversation = await tom.start()
        for data in (upgrade_request(), b"\xff" * 100, b"\x16\x03\x01\x00\x05hello"):
            async with tcp(tls_server) as peer:
                await peer.send(data)
                await peer.rest()
        assert await tom.send(conversation, "unharmed")


# many


@pytest.fixture
def patient_server(server_factory: Callable[..., Server]) -> Server:
    """A server that waits for logins as long as it may take a busy machine to open thousands of connections."""
    made: Server = server_factory(environment={"HONGYAN_GATEWAY_LOGIN_TIMEOUT": "600"})
    made.start()
    return made


async def test_five_thousand_connections_at_once(patient_server: Server) -> None:
    server, count = patient_server, min(5_000, raise_descriptors() - 500)
    async with clients(server, "tom") as (tom,), crowd(server, count) as peers:
        for peer in peers:
            peer.writer.write(ECHO)
        answers = await asyncio.gather(*(peer.frame() for peer in peers))
        assert {opcode for opcode, _ in answers} == {DATA}
        conversation = await tom.start()
        assert await tom.send(conversation, "in the crowd")
    assert len(answers) == count


@contextlib.asynccontextmanager
async def crowd(server: Server, count: int) -> AsyncIterator[list[Peer]]:
    """So many websockets, opened as fast as they come; the server waits only so long for one that is half open."""
    async with contextlib.AsyncExitStack() as stack:
        turns = asyncio.Semaphore(100)

        async def one() -> Peer:
            async with turns:
                return await stack.enter_async_context(websocket(server))

        yield await asyncio.gather(*(one() for _ in range(count)))


# no descriptors left

DESCRIPTORS = 200
ROOM = DESCRIPTORS - 128
"""Websockets that a server with so few descriptors takes."""


@pytest.fixture
def small_server(server_factory: Callable[..., Server]) -> Server:
    """A server that may open few files."""
    made: Server = server_factory()
    made.create_app(made.app, limits="off")
    made.spawn()
    assert made.process is not None
    resource.prlimit(made.process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    made.wait_ready()
    return made


async def test_a_full_server_refuses_and_recovers(small_server: Server) -> None:
    async with settled(small_server, "tom") as tom, settled(small_server, "jerry") as jerry:
        conversation = await tom.start("jerry")
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(ROOM - 2):
                await stack.enter_async_context(connect(small_server))
            for _ in range(100):
                with pytest.raises(InvalidStatus, match="503"):
                    await Connection.connect(small_server)
            await tom.send(conversation, "while it is full")
            assert small_server.is_ready()
        async with asyncio.timeout(30):
            while not await takes_one(small_server):
                await asyncio.sleep(0.01)
        assert await texts(jerry) == ["while it is full"]


async def test_connections_that_say_nothing_leave_descriptors_for_the_others(small_server: Server) -> None:
    async with settled(small_server, "tom") as tom:
        conversation = await tom.start()
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2 * DESCRIPTORS):
                await stack.enter_async_context(tcp(small_server))
            for number in range(20):
                await tom.send(conversation, str(number))
            assert len(await tom.history(conversation)) == 20
            assert small_server.is_ready()
            assert small_server.get("/metrics")[0] == 200
        async with asyncio.timeout(30):
            while not await takes_one(small_server):
                await asyncio.sleep(0.01)


async def test_idle_http_connections_leave_descriptors_for_the_others(small_server: Server) -> None:
    async with settled(small_server, "tom") as tom:
        conversation = await tom.start()
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2 * DESCRIPTORS):
                await stack.enter_async_context(tcp(small_server, port=small_server.http_port))
            async with settled(small_server, "jerry"):
                await tom.send(conversation, "hello")
                assert len(await tom.history(conversation)) == 1


async def test_without_any_descriptor_left_connections_are_turned_away(small_server: Server) -> None:
    async with settled(small_server, "tom") as tom:
        limit_descriptors(small_server, len(descriptors(small_server)))
        async with contextlib.AsyncExitStack() as stack:
            peers = [await stack.enter_async_context(tcp(small_server)) for _ in range(50)]
            assert [await peer.rest() for peer in peers[-10:]] == [b""] * 10
            await tom.start()
        limit_descriptors(small_server, DESCRIPTORS)
        async with asyncio.timeout(30):
            while not await takes_one(small_server):
                await asyncio.sleep(0.01)


def descriptors(server: Server) -> list[str]:
    """What the server's process has open."""
    assert server.process is not None
    return os.listdir(f"/proc/{server.process.pid}/fd")


def limit_descriptors(server: Server, most: int) -> None:
    assert server.process is not None
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (most, DESCRIPTORS))


async def takes_one(server: Server) -> bool:
    """Whether the server takes one more connection."""
    try:
        async with connect(server) as connection:
            await connection.echo()
    except (InvalidStatus, InvalidMessage, ConnectionError):
        return False
    return True


def test_of_many_who_connect_at_once_only_some_are_taken_in_one_turn() -> None:
    """The others are not forgotten: the event loop asks again in its next turn, as the socket is still readable."""
    many = 2 * ACCEPTED_AT_ONCE + 5
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(Listener("127.0.0.1", 0, many, 1 << 20))
        listener.setblocking(False)
        for _ in range(many):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        turns: list[int] = []
        while sum(turns) < many:
            turns.append(0)
            with contextlib.suppress(BlockingIOError):
                while True:
                    stack.enter_context(listener.accept()[0])
                    turns[-1] += 1
        assert turns == [ACCEPTED_AT_ONCE, ACCEPTED_AT_ONCE, 5]
        stack.enter_context(socket.create_connection(listener.getsockname()))
        select.select([listener], [], [])
        stack.enter_context(listener.accept()[0])
