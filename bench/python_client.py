"""How fast two Python clients talk: `PYTHONPATH=sdk/python/src .venv/bin/python bench/python_client.py [MESSAGES]`.

Both run in this process, the server in its own. Each message is on the server's disk before `send` returns, and is
counted when the other client's code has taken it.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from hongyan_client import Client, MessageReceived, Text

from hongyan.bench import servers

AT_ONCE = 50
#: A single conversation takes a thousand messages a second for long.
CONVERSATIONS = 10


class Figures(NamedTuple):
    """`in_order` tells whether everything came once and in order; the processor time is that of both clients."""

    messages: int
    in_order: bool
    seconds: float
    microseconds_of_cpu: float


async def talk(url: str, app_id: str, messages: int) -> Figures:
    """One client sends, up to `AT_ONCE` messages ahead of the acknowledgements; the other takes them."""
    async with (
        Client.open(url, app_id=app_id, client_id="tom") as tom,
        Client.open(url, app_id=app_id, client_id="jerry", max_events=messages) as jerry,
    ):
        chats = [await tom.create_conversation("jerry", unique=False) for _ in range(CONVERSATIONS)]
        taken: list[int] = []

        async def take() -> None:
            async for event in jerry.events():
                if isinstance(event, MessageReceived) and isinstance(event.message.content, Text):
                    taken.append(int(event.message.content.text))
                    if len(taken) == messages:
                        return

        taking = asyncio.create_task(take())
        started, cpu = time.perf_counter(), time.process_time()
        for first in range(0, messages, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, messages))
            await asyncio.gather(*(chats[number % CONVERSATIONS].send(str(number)) for number in numbers))
        await taking
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Figures(messages, _in_order(taken, messages), seconds, cpu / messages * 1e6)


def _in_order(taken: list[int], messages: int) -> bool:
    """Whether each conversation brought its messages once and in order."""
    flows = [[number for number in taken if number % CONVERSATIONS == place] for place in range(CONVERSATIONS)]
    return flows == [list(range(place, messages, CONVERSATIONS)) for place in range(CONVERSATIONS)]


def measure(messages: int) -> Figures:
    """`talk` with a server of its own."""
    with tempfile.TemporaryDirectory() as folder, servers.hongyan(Path(folder), None) as server:
        return asyncio.run(talk(server.target.url, server.target.app_id, messages))


if __name__ == "__main__":
    found = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    order = "once and in order" if found.in_order else "NOT once and in order"
    print(f"{found.messages / found.seconds:,.0f} messages/s, {order};", end=" ")
    print(f"{found.microseconds_of_cpu:,.0f} µs of the two clients' processor time each")
    sys.exit(not found.in_order)
