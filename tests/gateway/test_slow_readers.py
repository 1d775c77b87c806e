"""What a peer that reads too slowly is not told of chat rooms."""

from types import SimpleNamespace
from typing import Any

import pytest

from hongyan.config import GatewayOptions
from hongyan.engine.values import Priority
from hongyan.gateway.connection import OUTBOX_FOR, Connection
from hongyan.wire.messages2_pb2 import GenericCommand
from hongyan.wire.subprotocol import SUPPORTED
from tests.gateway.handlers.chat_rooms import HIGH, LOW, join, make, say
from tests.gateway.raw import message, websocket
from tests.gateway.talk import clients, numbered, open_command, people, texts
from tests.support.client import command
from tests.support.server import Server

FRAME = bytes(1_000)


class Wire:
    """A socket that takes nothing: so many bytes wait for it."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self.closed: list[int] = []
        self.underlying_transport = self
        self.is_disconnected = self.is_close_frame_sent = False

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def write(self, data: bytes) -> None:
        self.waiting += len(data)

    def pause_reading(self) -> None: ...

    def send_close(self, code: int, reason: bytes) -> None:
        self.closed.append(code)


def connection(waiting: int) -> tuple[Connection, Wire]:
    loop = SimpleNamespace(time=lambda: 0.0, call_later=lambda *_: None)
    gateway: Any = SimpleNamespace(
        loop=loop,
        options=GatewayOptions(),
        flusher=SimpleNamespace(add=lambda flush: None),
        left_out=0,
        slow_peers=0,
        frames_out=0,
        writes_out=0,
    )
    made, wire = Connection(gateway, SUPPORTED["lc.protobuf2.3"]), Wire(waiting)
    made._transport = wire  # type: ignore[assignment]
    made.pause_writing()
    return made, wire


@pytest.mark.parametrize("priority", [Priority.NORMAL, Priority.LOW])
def test_what_may_be_left_out_is_left_out_over_its_bound(priority: Priority) -> None:
    slow, wire = connection(OUTBOX_FOR[priority] - len(FRAME))
    assert [slow.offer(FRAME, priority) for _ in range(4)] == [True, True, False, False]
    assert (slow.gateway.left_out, wire.closed) == (2, [])
    slow._flush()
    assert not slow.offer(FRAME, priority)
    wire.waiting = 0
    assert slow.offer(FRAME, priority)


def test_what_matters_most_is_told_until_the_peer_is_given_up() -> None:
    slow, wire = connection(OUTBOX_FOR[Priority.LOW] + 1)
    assert [slow.offer(FRAME, priority) for priority in Priority] == [True, True, False]
    wire.waiting = OUTBOX_FOR[Priority.NORMAL] + 1
    assert [slow.offer(FRAME, priority) for priority in Priority] == [True, False, False]
    wire.waiting = OUTBOX_FOR[Priority.HIGH] + 1
    assert [slow.offer(FRAME, priority) for priority in (Priority.LOW, Priority.NORMAL)] == [False, False]
    assert wire.closed == []
    assert not slow.offer(FRAME, Priority.HIGH)
    assert (wire.closed, slow.gateway.slow_peers) == ([1008], 1)


def test_a_peer_that_reads_gets_everything() -> None:
    quick, _ = connection(0)
    quick.resume_writing()
    assert all(quick.offer(bytes(10_000), Priority.LOW) for _ in range(100))
    assert quick.gateway.left_out == 0


async def test_a_room_of_slow_readers_costs_the_others_nothing(server: Server) -> None:
    """They lose messages, stay, and the last in the room hears everything in order."""
    async with clients(server, "tom", "jerry") as (tom, jerry), websocket(server, receive_buffer=8_192) as slow:
        await slow.send(message(numbered(0, open_command(server, people("slow")[0]))))
        peer = GenericCommand.FromString((await slow.frame())[1]).peerId
        room = await make(tom)
        await slow.send(message(numbered(1, command("conv", "add", peer, cid=room, m=[peer]))))
        while GenericCommand.FromString((await slow.frame())[1]).i != 1:
            continue
        await join(jerry, room)
        slow.writer.transport.pause_reading()
        before = left_out(server)
        said = []
        while left_out(server) < before + 10:
            for priority in (HIGH, LOW, LOW, LOW, LOW, LOW, LOW, LOW, LOW, LOW):
                said.append(f"{len(said)} ".ljust(4_000, "x"))
                await say(tom, room, said[-1], priority)
        assert await texts(jerry) == said
        assert (await tom.request("conv", "count", cid=room)).convMessage.count == 3


def left_out(server: Server) -> int:
    """The messages left out for slow readers so far, as the server counts them."""
    _, body = server.get("/metrics")
    name = "hongyan_chat_room_deliveries_left_out_total "
    (line,) = [line for line in body.decode().splitlines() if line.startswith(name)]
    return int(float(line.removeprefix(name)))
