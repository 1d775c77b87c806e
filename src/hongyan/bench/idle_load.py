"""What one process of the load generator does in `idle`: connect, open sessions, stay, and keep them alive."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from picows import WSFrame

from hongyan.bench import frames
from hongyan.bench.client import Client, Target
from hongyan.bench.workers import Link, Window

READ_BUFFER = 256
AT_ONCE = 64
REPORT_EVERY = 50
#: Sessions opened before the measurement, so that what a server allocates once is not counted.
WARM_UP = 50
#: The echoes that are due are sent so often (s): many processes share two cores.
PACE_TICK = 0.01
ECHO_TIMEOUT = 20.0
ECHO = frames.echo(1)


@dataclass(frozen=True)
class IdlePlan:
    """`sessions` connections with one session each, of which each sends an echo every `echo_every` seconds."""

    target: Target
    name: str
    sessions: int
    echo_every: float
    first_connection: int = 0


@dataclass
class IdleResult:
    """Times in ms of every connection (TCP, TLS, websocket) and every session/open; echoes; how many lived."""

    connect_ms: list[float] = field(default_factory=list)
    open_ms: list[float] = field(default_factory=list)
    echoes: int = 0
    answered: int = 0
    alive: int = 0


async def idle_load(plan: IdlePlan, link: Link) -> IdleResult:
    """Gates before connecting, opening, echoes (its value: a window) and the end, when all must answer an echo."""
    result = IdleResult()
    tls = plan.target.tls()
    clients = [Sleeper(f"{plan.name}-{number:06d}") for number in range(plan.sessions + WARM_UP)]

    async def connect(number: int) -> None:
        await clients[number].connect(plan.target, tls, plan.first_connection + number, READ_BUFFER)

    async def open_session(number: int) -> None:
        await clients[number].open(plan.target.app_id)

    async def check(number: int) -> None:
        await clients[number].echo()
        result.alive += 1

    for number in range(plan.sessions, plan.sessions + WARM_UP):
        await connect(number)
        await open_session(number)
    await link.gate()
    result.connect_ms = await each(plan.sessions, connect, link)
    await link.gate()
    result.open_ms = await each(plan.sessions, open_session, link)
    await KeepAlive(result).send(clients[: plan.sessions], plan.echo_every, await link.gate())
    await link.gate()
    await each(plan.sessions, check, link)
    return result


async def each(count: int, step: Callable[[int], Awaitable[None]], link: Link) -> list[float]:
    """Run `step` for 0 to `count` - 1, a bounded number at once; returns how long each took in ms."""
    times: list[float] = []
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            start = time.monotonic()
            await step(number)
            times.append((time.monotonic() - start) * 1e3)
            if len(times) % REPORT_EVERY == 0:
                link.progress(len(times))

    await asyncio.gather(*(work() for _ in range(min(AT_ONCE, count))))
    return times


class Sleeper(Client):
    """A session that only keeps itself alive."""

    def beat(self, on_answer: Callable[[WSFrame], None]) -> None:
        """Send an echo without waiting for its answer."""
        self.on_frame = on_answer
        self.send(ECHO)

    async def echo(self) -> None:
        """One echo, there and back."""
        self.on_frame = self._decode
        await super().echo()


class KeepAlive:
    """The echoes of a window."""

    def __init__(self, result: IdleResult) -> None:
        self._result = result
        self._over = False
        self._answered = asyncio.Event()

    async def send(self, sleepers: list[Sleeper], every: float, window: Window) -> None:
        """Spread them evenly, each client in turn, until the window ends; wait for the answers."""
        rate = len(sleepers) / every
        while (passed := time.monotonic() - window.start) < window.seconds:
            for number in range(self._result.echoes, int(max(0.0, passed) * rate)):
                sleepers[number % len(sleepers)].beat(self._count)
                self._result.echoes += 1
            await asyncio.sleep(PACE_TICK)
        self._over = True
        self._look()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), ECHO_TIMEOUT)

    def _count(self, _: WSFrame) -> None:
        self._result.answered += 1
        self._look()

    def _look(self) -> None:
        if self._over and self._result.answered == self._result.echoes:
            self._answered.set()
