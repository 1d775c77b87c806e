"""What one process of the load generator does in `idle`: connect, open sessions, and stay."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from hongyan.bench.client import Client, Target
from hongyan.bench.workers import Link

READ_BUFFER = 256
AT_ONCE = 64
REPORT_EVERY = 50
#: Sessions opened before the measurement, so that what a server allocates once is not counted.
WARM_UP = 50


@dataclass(frozen=True)
class IdlePlan:
    """`sessions` connections with one session each."""

    target: Target
    name: str
    sessions: int
    first_connection: int = 0


@dataclass
class IdleResult:
    """Times in ms of every connection (TCP, TLS, websocket) and every session/open; how many lived."""

    connect_ms: list[float] = field(default_factory=list)
    open_ms: list[float] = field(default_factory=list)
    alive: int = 0


async def idle_load(plan: IdlePlan, link: Link) -> IdleResult:
    """Gates before connecting, before opening and before the end, when every session must answer an echo."""
    result = IdleResult()
    tls = plan.target.tls()
    clients = [Client(f"{plan.name}-{number:06d}") for number in range(plan.sessions + WARM_UP)]

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
