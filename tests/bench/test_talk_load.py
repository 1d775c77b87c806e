"""The load generator notices what a server does wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from picows import ws_create_server

from hongyan.bench import bare_server
from hongyan.bench.bare_server import Guest, Hall
from hongyan.bench.client import Target
from hongyan.bench.talk import TalkResult
from hongyan.bench.talk_load import TalkPlan, talk_load
from hongyan.bench.workers import Window

Put = Callable[..., None]


class OpenGate:
    """Takes the place of the pipe to the parent: the gate opens at once for a short window."""

    async def gate(self) -> Window:
        return Window.after(0.05, 0.5)

    def progress(self, count: int) -> None:
        self.count = count


@asynccontextmanager
async def serving(hall: Hall) -> AsyncIterator[Target]:
    server = await ws_create_server(hall.welcome, "127.0.0.1", 0)
    try:
        yield Target(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", "bench")
    finally:
        server.close()


async def run(hall: Hall, **changes: object) -> TalkResult:
    async with serving(hall) as target:
        plan = TalkPlan(target, "t", groups=2, members=3, size=200, **changes)  # type: ignore[arg-type]
        return await talk_load(plan, OpenGate())  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{}, {"in_flight": 8}, {"rate": 500.0}, {"receipts": True}], ids=str)
async def test_an_honest_server_passes(changes: dict[str, object]) -> None:
    result = await run(Hall(), **changes)
    assert result.faults == []
    assert 0 < result.acked == result.sent
    assert result.delivered == result.expected == 2 * result.acked
    assert 0 < result.reads <= result.deliveries <= result.delivered
    assert 0 < len(result.ack_ms) <= result.acked


class Cheat(Hall):
    """Does something else with the third message to one listener."""

    def __init__(self, cheat: Callable[["Cheat", Guest, tuple[bytes, ...]], None]) -> None:
        super().__init__()
        self.cheat = cheat
        self.messages = 0

    def put(self, guest: Guest, *parts: bytes) -> None:
        if guest.peer == "t-00000-0001" and b"_lctext" in parts[0]:
            self.messages += 1
            if self.messages == 3:
                self.cheat(self, guest, parts)
                return
        super().put(guest, *parts)


def lose(hall: Cheat, guest: Guest, parts: tuple[bytes, ...]) -> None:
    """The message never arrives."""


def repeat(hall: Cheat, guest: Guest, parts: tuple[bytes, ...]) -> None:
    """The message arrives twice."""
    Hall.put(hall, guest, *parts, *parts)


def shorten(hall: Cheat, guest: Guest, parts: tuple[bytes, ...]) -> None:
    """The message arrives without its receiver's id."""
    shared = parts[0][4:]
    Hall.put(hall, guest, bare_server._frame(shared))


def hang_up(hall: Cheat, guest: Guest, parts: tuple[bytes, ...]) -> None:
    """The connection ends."""
    guest.transport.send_close(1011)
    guest.transport.disconnect()


@pytest.mark.parametrize(
    ("cheat", "sentence"),
    [
        (lose, "received other than what was acknowledged"),
        (repeat, "received a message twice or out of order"),
        (shorten, "received other than what was acknowledged"),
        (hang_up, "t-00000-0001 was closed with 1011"),
    ],
)
async def test_a_cheating_server_is_caught(
    cheat: Callable[[Cheat, Guest, tuple[bytes, ...]], None], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.bench.talk.CATCH_UP_TIMEOUT", 0.2)
    result = await run(Cheat(cheat))
    assert any(sentence in fault for fault in result.faults)


async def test_a_refusal_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(guest: Guest, command: object) -> None:
        reply = bare_server._reply(guest, command, bare_server.pb.ack)  # type: ignore[arg-type]
        reply.ackMessage.code = 4401
        guest.hall.put(guest, bare_server._frame(reply.SerializeToString()))

    monkeypatch.setitem(bare_server.ANSWERS, bare_server.pb.direct, refuse)
    result = await asyncio.wait_for(run(Hall()), 10)
    assert any("4401" in fault for fault in result.faults)
    assert result.acked == 0 < result.sent
