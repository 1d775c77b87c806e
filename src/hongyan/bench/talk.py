"""The roles of a talking load: speakers, listeners that count, and probes that read what they receive."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from picows import WSFrame, WSTransport

from hongyan.bench.client import Client
from hongyan.bench.frames import FIRST_SERIAL, receipt, sent_at
from hongyan.bench.workers import Window
from hongyan.wire import messages2_pb2 as pb

PACE_TICK = 0.001
CATCH_UP_TIMEOUT = 20.0
NEVER = Window(0, 0)


class Patched(Protocol):
    """A serialised message in which serial and time are patched."""

    def at(self, serial: int, now: int) -> bytearray:
        """The bytes with this serial, sent at `now` (monotonic ns)."""


@dataclass
class TalkResult:
    """What happened. `sent` to `faults` cover the whole run, the rest only the window; times are in ms."""

    sent: int = 0
    acked: int = 0
    delivered: int = 0
    expected: int = 0
    frame_bytes: int = 0
    faults: list[str] = field(default_factory=list)
    deliveries: int = 0
    reads: int = 0
    ack_ms: list[float] = field(default_factory=list)
    delivery_ms: list[float] = field(default_factory=list)

    def add(self, other: Self) -> None:
        """Sum the counts and join the lists; `frame_bytes` is a size and keeps the larger."""
        for name, value in vars(other).items():
            mine = getattr(self, name)
            setattr(self, name, max(mine, value) if name == "frame_bytes" else mine + value)


class Listener(Client):
    """A member that only counts."""

    def __init__(self, peer: str) -> None:
        super().__init__(peer)
        self.frames = 0
        self.bytes = 0
        self.reads = 0

    def count(self, frame: WSFrame) -> None:
        """One delivery; no look inside."""
        self.frames += 1
        self.bytes += frame.payload_size
        self.reads += frame.last_in_buffer

    async def catch_up(self, frames: int) -> None:
        """Wait, but not for ever, until `frames` deliveries are here: an echo's answer comes behind them."""
        self.on_frame = self._count_or_decode
        deadline = time.monotonic() + CATCH_UP_TIMEOUT
        while not self.lost:
            await self.echo()
            if self.frames >= frames or time.monotonic() > deadline:
                return

    def _count_or_decode(self, frame: WSFrame) -> None:
        command = pb.GenericCommand.FromString(frame.get_payload_as_bytes())
        (self._decode if command.cmd == pb.echo else self.count)(frame)


class Probe(Listener):
    """A listener that reads every message for order, repetition and delay, and acknowledges it if told to."""

    def __init__(self, peer: str, result: TalkResult, *, acknowledges: bool = False) -> None:
        super().__init__(peer)
        self.result = result
        self.acknowledges = acknowledges
        self.window = NEVER
        self.latest = 0

    def count(self, frame: WSFrame) -> None:
        """One delivery, looked at."""
        super().count(frame)
        now = time.monotonic_ns()
        message = pb.GenericCommand.FromString(frame.get_payload_as_bytes()).directMessage
        sent = sent_at(message.msg)
        if sent <= self.latest:
            self.result.faults.append(f"{self.peer} received a message twice or out of order")
        self.latest = sent
        if self.window.contains(now):
            self.result.delivery_ms.append((now - sent) / 1e6)
        if self.acknowledges:
            self.send(receipt(self.peer, message.cid, message.id))


class Talker:
    """A connection that talks, of whatever kind: what is sent, when, and what of it is acknowledged.

    `done` is set when the window is over and everything sent is acknowledged.
    """

    peer: str
    send: Callable[[bytearray], None]

    def __init__(self, result: TalkResult) -> None:
        self.result = result
        self.window = NEVER
        self.done = asyncio.Event()
        self.sent = 0
        self.acked = 0
        self._message: Patched
        self._pending: dict[int, int] = {}
        self._one_by_one = True

    def prepare(self, message: Patched, window: Window) -> None:
        """What to say, and when."""
        self._message, self.window = message, window

    def begin(self, in_flight: int) -> None:
        """Start with `in_flight` messages; each acknowledgement brings the next until the window ends."""
        for _ in range(in_flight):
            self._talk(time.monotonic_ns())

    def talk_once(self, due: int) -> None:
        """As `Paced` says."""
        self._one_by_one = False
        self._talk(due)

    def finish(self) -> None:
        """As `Paced` says."""
        if not self._pending:
            self.done.set()

    def _talk(self, due: int) -> None:
        serial = FIRST_SERIAL + self.sent
        self._pending[serial] = due
        self.sent += 1
        self.send(self._message.at(serial, due))

    def acknowledge(self, serial: int, reply: object) -> None:
        """Message `serial` is acknowledged by `reply`, which is a fault if it was not waited for."""
        now = time.monotonic_ns()
        if serial not in self._pending:
            self.refuse(reply)
            return
        sent = self._pending.pop(serial)
        self.acked += 1
        if self.window.contains(now):
            self.result.ack_ms.append((now - sent) / 1e6)
        if now >= self.window.end * 1e9:
            self.finish()
        elif self._one_by_one:
            self._talk(now)

    def refuse(self, reply: object) -> None:
        """Something else came instead of an acknowledgement."""
        self.result.faults.append(f"{self.peer} expected an acknowledgement and got: {reply!s:.200}")
        self.done.set()


class Speaker(Client, Talker):
    """The member that talks."""

    def __init__(self, peer: str, result: TalkResult) -> None:
        Client.__init__(self, peer)
        Talker.__init__(self, result)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Called by picows; nothing more can be acknowledged."""
        super().on_ws_disconnected(transport)
        self.done.set()

    def prepare(self, message: Patched, window: Window) -> None:
        """What to say, and when."""
        super().prepare(message, window)
        self.on_frame = self._on_ack

    def _on_ack(self, frame: WSFrame) -> None:
        reply = pb.GenericCommand.FromString(frame.get_payload_as_bytes())
        if reply.cmd != pb.ack or reply.ackMessage.HasField("code"):
            self.refuse(reply)
        else:
            self.acknowledge(reply.i, reply)


class Paced(Protocol):
    """Who talks by the clock."""

    def talk_once(self, due: int) -> None:
        """Send one message whose latency counts from `due` (monotonic ns); its ack brings no other."""

    def finish(self) -> None:
        """Nothing more will be sent by `talk_once`."""


async def pace(speakers: Sequence[Paced], rate: float, window: Window) -> None:
    """Send `rate` messages a second in turn until the window ends, whatever the answers do."""
    start = time.monotonic()
    count = 0
    while time.monotonic() < window.end:
        due = int((time.monotonic() - start) * rate)
        for number in range(count, due):
            speakers[number % len(speakers)].talk_once(int((start + number / rate) * 1e9))
        count = due
        await asyncio.sleep(PACE_TICK)
    for speaker in speakers:
        speaker.finish()
