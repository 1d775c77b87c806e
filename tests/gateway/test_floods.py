"""More than a peer should send, or less than it should read: it costs that peer only."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.apps import STRICT, into
from tests.gateway.raw import DATA, PATIENCE, PING, Peer, message, websocket
from tests.gateway.talk import clients, numbered, open_command, people, pushes, replies, texts
from tests.support.client import Connection, Refused, command, connect, frame, named
from tests.support.server import Server

MEGABYTE = 1 << 20
SLOW_READER = 1008
ECHO = message(numbered(1, command("echo")))


def memory(server: Server) -> int:
    """Bytes of the server's process that are in memory."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


@contextlib.asynccontextmanager
async def unread(peer: Peer) -> AsyncIterator[None]:
    """The peer doesn't read meanwhile."""
    peer.writer.transport.pause_reading()
    yield
    peer.writer.transport.resume_reading()


async def pour(peer: Peer, data: bytes, most: int) -> None:
    """Send the bytes again and again until the server closes, at most about `most`."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while sent < most:
                peer.writer.write(data)
                await peer.writer.drain()
                sent += len(data)


# not reading

LONG = "x" * 1_000
FLOODS = {
    "echoes": message(numbered(1, command("echo", peer=LONG))) * 50,
    "pings": frame(PING, bytes(125)) * 500,
    "commands before a login": message(numbered(1, command("conv", "query", LONG))) * 50,
    "commands nobody knows": frame(DATA, b"\x08\x63\x28\x01") * 2_000,
}


@pytest.fixture
def hurried_server(server_factory: Callable[..., Server]) -> Server:
    """A server that reads as fast as a peer sends."""
    made: Server = server_factory(environment={"HONGYAN_GATEWAY_MAX_RATE": "1000000"})
    made.start()
    return made


async def test_floods_by_peers_who_do_not_read_end_with_their_connections(hurried_server: Server) -> None:
    """A neighbour is served meanwhile, and what waits for the peers does not pile up."""
    server = hurried_server
    before = memory(server)
    async with connect(server) as neighbour:
        floods = asyncio.gather(*(pour_unread(server, data) for data in FLOODS.values()))
        while not floods.done():
            await neighbour.echo()
        await floods
    assert memory(server) - before < 64 * MEGABYTE


async def pour_unread(server: Server, data: bytes) -> None:
    async with websocket(server) as peer, unread(peer):
        await pour(peer, data, 10_000 * MEGABYTE)


async def test_unanswered_commands_are_not_piled_up(server: Server) -> None:
    """With too many under way the server doesn't read on; in the end all are answered."""
    count = 5_000
    before = memory(server)
    async with clients(server, "tom") as (tom,), websocket(server) as peer:
        await peer.send(message(numbered(0, open_command(server, people("jerry")[0]))))
        asking = asyncio.create_task(ask_much(peer, count))
        serials = set()
        while len(serials) < count:
            opcode, payload = await peer.frame()
            answer = GenericCommand.FromString(payload)
            if opcode == DATA and answer.HasField("convMessage"):
                serials.add(answer.i)
        await asking
        await tom.connection.echo()
    assert memory(server) - before < 32 * MEGABYTE


async def ask_much(peer: Peer, count: int) -> None:
    for start in range(0, count, 500):
        asked = (command("conv", "query", limit=0) for _ in range(500))
        await peer.send(b"".join(message(numbered(serial, each)) for serial, each in enumerate(asked, start + 1)))


# taking all it can


RATE = 2_000
"""Frames per second and connection that are read by default, and at once."""
READ_AHEAD = 16_384
"""More frames than the server can have read when it stops to read."""


async def test_a_peer_that_sends_all_it_can_is_read_at_its_rate(server: Server) -> None:
    """It reads its answers, so nothing else stops it; neighbours have their turn."""
    async with connect(server) as neighbour, websocket(server) as peer:
        started = time.monotonic()
        flood = asyncio.create_task(pour(peer, ECHO * 10_000, 10_000 * MEGABYTE))
        answers = asyncio.create_task(count_answers(peer))
        for _ in range(1_000):
            await neighbour.echo()
        answers.cancel()
        flood.cancel()
        assert RATE <= await answers <= RATE * (1 + time.monotonic() - started) + READ_AHEAD


async def count_answers(peer: Peer) -> int:
    """How many answers to ECHO come until this is cancelled; all are of one size."""
    size = received = 2 + len((await peer.frame())[1])
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            received += len(await peer.reader.read(MEGABYTE))
    return received // size


async def test_what_a_peer_sent_too_fast_is_answered_later(server: Server) -> None:
    count = 2 * RATE + 100
    async with websocket(server) as peer:
        await peer.send(b"".join(message(numbered(serial, command("echo"))) for serial in range(1, count + 1)))
        answers = [GenericCommand.FromString((await peer.frame())[1]).i for _ in range(count)]
        assert answers == list(range(1, count + 1))


async def test_a_neighbours_read_does_not_wait_for_all_that_a_peer_asked_for(server: Server) -> None:
    count = 200
    async with clients(server, "tom", "jerry") as (tom, jerry):
        await replies(tom.connection, [command("conv", "start", tom.peer) for _ in range(1_000)])
        await pushes(tom)
        far = [command("conv", "query", tom.peer, skip=10_000) for _ in range(count)]
        for serial, request in enumerate(far, 1):
            await tom.connection.send(numbered(-serial, request))
        await tom.expect("conv/results")
        await jerry.query({})
        answered = [push for push in tom.connection.pushes if named(push) == "conv/results"]
        assert len(answered) < count // 2
        for _ in range(count - 1 - len(answered)):
            await tom.expect("conv/results")


# slow readers


async def test_a_slow_reader_is_cut_off_and_its_group_receives_everything(server: Server) -> None:
    count, size = 1_500, 5_000
    async with clients(server, "tom", "jerry") as (tom, jerry), websocket(server, receive_buffer=8_192) as slow:
        opened = command("session", "open", people("slow")[0])
        opened.appId = server.app.id
        await slow.send(message(numbered(0, opened)))
        peer = GenericCommand.FromString((await slow.frame())[1]).peerId
        conversation = await tom.start(jerry.peer, peer)
        await pushes(jerry)
        async with unread(slow):
            for start in range(0, count, 100):
                batch = [f"{number} ".ljust(size, "x") for number in range(start, start + 100)]
                requests = [command("direct", peer=tom.peer, cid=conversation, msg=text) for text in batch]
                await replies(tom.connection, requests)
                assert await texts(jerry) == batch
        assert await ended(slow) in (SLOW_READER, None)
    assert "slow peer" in server.log


async def ended(peer: Peer) -> int | None:
    """The code of the close frame; None if the connection was cut before it came."""
    try:
        return await peer.close_code()
    except (ConnectionError, asyncio.IncompleteReadError):
        return None


# rate limits

SPENT = 2
"""What logging in and starting a conversation takes of a client's rate."""
RATES: dict[str, tuple[int, int, str, Sequence[tuple[str, str | None]]]] = {
    "messages": (60, 4116, "MESSAGE_SENT_QUOTA_EXCEEDED", [("direct", None)]),
    "history": (120, 4318, "CONVERSATION_API_QUOTA_EXCEEDED", [("logs", None)]),
    "the rest": (
        30,
        4318,
        "CONVERSATION_API_QUOTA_EXCEEDED",
        [("conv", "query"), ("session", "query"), ("session", "refresh")],
    ),
}


@pytest.mark.parametrize("name", RATES)
async def test_rates_are_limited_per_client_with_a_clear_error(server: Server, name: str) -> None:
    rate, code, reason, kinds = RATES[name]
    async with connect(into(server, STRICT)) as connection:
        tom, jerry = [await connection.open(peer) for peer in people("tom", "jerry")]
        conversation = await tom.start()
        fields = {"direct": {"cid": conversation, "msg": "hi"}, "logs": {"cid": conversation}}
        asked = [command(cmd, op, tom.peer, **fields.get(cmd, {})) for cmd, op in kinds]
        answers = await until_refused(connection, asked)
        allowed = codes_of(answers).index(code)
        assert allowed >= rate - SPENT
        assert reason in (answers[allowed].errorMessage.reason, answers[allowed].ackMessage.reason)
        assert await jerry.start()


async def until_refused(connection: Connection, asked: Sequence[GenericCommand]) -> list[GenericCommand]:
    """The answers to these requests in their order, sent again and again until one is refused: rates refill."""
    answers: list[GenericCommand] = []
    while not any(codes_of(answers)):
        again = [GenericCommand.FromString(request.SerializeToString()) for request in asked for _ in range(50)]
        answers += sorted(await replies(connection, again), key=lambda answer: -answer.i)
    return answers


def code_of(answer: GenericCommand) -> int:
    return answer.errorMessage.code or answer.ackMessage.code


def codes_of(answers: Sequence[GenericCommand]) -> list[int]:
    return [code_of(answer) for answer in answers]


async def test_acknowledgements_in_conversations_not_in_memory_are_limited(server: Server) -> None:
    """Each costs a look into the database; those of messages that were just delivered cost none."""
    async with connect(into(server, STRICT)) as connection:
        tom = await connection.open(people("tom")[0])
        conversation = await tom.start()
        for _ in range(200):
            await tom.post("ack", cid=conversation, tots=1)
        assert await tom.logs(conversation) == []
        for number in range(200):
            await tom.post("ack", cid=f"unknown-{number}", tots=1)
        with pytest.raises(Refused, match="4318"):
            await tom.logs(conversation)


async def test_logins_are_limited_too(server: Server) -> None:
    async with connect(into(server, STRICT)) as connection:
        answers = await until_refused(connection, [open_command(into(server, STRICT), people("tom")[0])])
        assert codes_of(answers).index(4318) >= 30
        await connection.echo()


async def test_logins_of_one_connection_are_limited_whoever_they_are_for(server: Server) -> None:
    """Client ids cost nothing; logouts are counted but not refused, and other connections are not concerned."""
    async with connect(into(server, STRICT)) as connection:
        for peer in people(*"abcdefghijklmnopqrst"):
            await (await connection.open(peer)).close()
        others = people(*map(str, range(80)))
        answers = await replies(connection, [open_command(into(server, STRICT), peer) for peer in others])
        assert 20 <= codes_of(answers).index(4318) < 50
        last = GenericCommand(cmd="session", op="close", peerId=answers[0].peerId)
        assert not code_of(await connection.request(last))
    async with connect(into(server, STRICT)) as connection:
        await connection.open(people("tom")[0])


async def test_limits_set_while_clients_are_online_hold_at_once(server_factory: Callable[..., Server]) -> None:
    server: Server = server_factory()
    server.start()
    async with connect(server) as connection:
        tom = await connection.open("tom")
        server.hongyan("app", "set", server.app.id, "limits=on")
        answers = await replies(connection, [command("session", "query", tom.peer) for _ in range(50)])
        assert 4318 in codes_of(answers)
        server.hongyan("app", "set", server.app.id, "limits=off")
        assert await tom.start()


async def test_a_message_over_the_rate_is_not_sent(server: Server) -> None:
    async with connect(into(server, STRICT)) as connection:
        tom = await connection.open(people("tom")[0])
        conversation = await tom.start()
        asked = [command("direct", peer=tom.peer, cid=conversation, msg="hi") for _ in range(70)]
        sent = [answer.ackMessage.uid for answer in await replies(connection, asked) if not code_of(answer)]
        assert [item.msgId for item in await tom.logs(conversation, l=100)] == sent
