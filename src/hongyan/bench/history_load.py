"""What one process of the load generator does in `history`: ask for old pages, open sessions, say something first."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hongyan.bench.client import Client, Target
from hongyan.bench.history_layout import Layout, client_id, conversation_id, reader_id
from hongyan.bench.talk import TalkResult
from hongyan.bench.workers import Link, Window

READ_BUFFER = 65536
#: A server that starts is asked again after so long (s), and so often.
KNOCK, KNOCKS = 0.005, 10_000


@dataclass(frozen=True)
class AskPlan:
    """Clients `first` to `first + clients` ask, each for one answer after the other.

    A page has `limit` messages; the first message after a start has `size` bytes.
    """

    target: Target
    layout: Layout
    first: int
    clients: int
    limit: int = 0
    size: int = 0


async def page_load(plan: AskPlan, link: Link) -> TalkResult:
    """Readers ask for pages at random places of busy conversations."""
    result, layout = TalkResult(), plan.layout
    tls = plan.target.tls()
    readers = [Client(reader_id(plan.first + number)) for number in range(plan.clients)]
    for number, reader in enumerate(readers):
        await reader.connect(plan.target, tls, plan.first + number, READ_BUFFER)
        await reader.open(plan.target.app_id)
        await reader.told_unread.wait()

    async def ask(number: int) -> float:
        conversation = random.randrange(layout.clients)
        limit = min(plan.limit, layout.count(conversation))
        seq = random.randint(limit + 1, layout.count(conversation) + 1)
        due = [layout.time(conversation, seq) for seq in range(seq - limit, seq)]
        began = time.monotonic()
        times = await readers[number].page(conversation_id(conversation), layout.time(conversation, seq), plan.limit)
        took = time.monotonic() - began
        result.expected += limit
        result.delivered += len(times)
        if times != due:
            result.faults.append(f"a page of {conversation_id(conversation)} has other messages than were written")
        return took

    await _ask(plan.clients, ask, result, await link.gate())
    await asyncio.gather(*(reader.close() for reader in readers))
    return result


async def unread_load(plan: AskPlan, link: Link) -> TalkResult:
    """Random clients connect and open a session: from then until they are told what is unread counts."""
    result, layout = TalkResult(), plan.layout
    tls = plan.target.tls()

    async def ask(number: int) -> float:
        person = random.randrange(layout.clients)
        client = Client(client_id(person))
        await client.connect(plan.target, tls, plan.first + number, READ_BUFFER)
        began = time.monotonic()
        await client.open(plan.target.app_id)
        await client.told_unread.wait()
        took = time.monotonic() - began
        due, told = layout.unread_of(person), {place.cid: place.unread for place in client.unread.convs}
        result.expected += len(due)
        result.delivered += len(told)
        if told != due:
            result.faults.append(f"{client.peer} was told of other unread messages than there are")
        await client.close()
        return took

    await _ask(plan.clients, ask, result, await link.gate())
    return result


async def first_message(plan: AskPlan, link: Link) -> float:
    """When a client, who knocks until the server is there, has its first message acknowledged (monotonic seconds)."""
    tls = plan.target.tls()
    await link.gate()
    for _ in range(KNOCKS):
        client = Client(reader_id(plan.first))
        try:
            await client.connect(plan.target, tls, buffer=READ_BUFFER)
            break
        except OSError:
            await asyncio.sleep(KNOCK)
    await client.open(plan.target.app_id)
    await client.say(conversation_id(0), plan.size)
    now = time.monotonic()
    await client.close()
    return now


async def _ask(clients: int, ask: Callable[[int], Awaitable[float]], result: TalkResult, window: Window) -> None:
    """Every client asks again and again until the window ends."""

    async def go_on(number: int) -> None:
        while time.monotonic() < window.end:
            result.sent += 1
            took = await ask(number)
            result.acked += 1
            if window.contains(time.monotonic_ns()):
                result.ack_ms.append(took * 1e3)

    await asyncio.gather(*map(go_on, range(clients)))
