"""The server is killed, or the power fails, at random moments while clients send without pause."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.faults.disk import Disk
from tests.faults.traffic import Sender, check_histories
from tests.support.client import login
from tests.support.server import Server

CRASHES = 10
CONVERSATIONS = 4
PEERS = ("ann", "bob", "cem", "dan")
SYNC_DELAY = 5
"""Milliseconds that a sync takes longer, so that many a power loss falls between a write and its sync."""
LONGEST_ROUND = 0.5
"""Seconds between the first new message of a round and its crash, at most."""


@dataclass
class Crash:
    """A server and a way to end it without warning; afterwards it can be started again."""

    server: Server
    crash: Callable[[], None]


@pytest.fixture
def killed(server: Server) -> Crash:
    return Crash(server, server.kill)


@pytest.fixture
def power_lost(server_on_disk: tuple[Server, Disk]) -> Crash:
    server, disk = server_on_disk
    disk.sync_delay = SYNC_DELAY

    def lose_power() -> None:
        server.kill()
        disk.lose_power()

    return Crash(server, lose_power)


async def start_conversations(server: Server) -> list[str]:
    async with login(server, PEERS[0]) as session:
        return [await session.start(*PEERS[1:]) for _ in range(CONVERSATIONS)]


async def crash_while_sending(target: Crash, senders: list[Sender], seconds: float) -> None:
    """Crashes the server some time after each sender got a new message through, and starts it again."""
    async with asyncio.TaskGroup() as group:
        for sender in senders:
            group.create_task(sender.send_until_lost(target.server))
        for sender in senders:
            await sender.fresh_ack.wait()
        await asyncio.sleep(seconds)
        target.crash()
    await asyncio.to_thread(target.server.start)


async def crash_again_and_again(target: Crash) -> None:
    conversations = await start_conversations(target.server)
    senders = [Sender(peer, conversations) for peer in PEERS]
    for _ in range(CRASHES):
        await crash_while_sending(target, senders, random.uniform(0, LONGEST_ROUND))
    await asyncio.gather(*(sender.settle(target.server) for sender in senders))
    await check_histories(target.server, senders)


async def test_kill_loses_and_doubles_nothing_acknowledged(killed: Crash) -> None:
    await crash_again_and_again(killed)


async def test_power_loss_loses_and_doubles_nothing_acknowledged(power_lost: Crash) -> None:
    await crash_again_and_again(power_lost)
