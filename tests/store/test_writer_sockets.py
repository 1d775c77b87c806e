"""Group commit, seen from the sockets: what one commit tells a connection leaves in one system call."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest

from hongyan.bus.local import LocalBus
from hongyan.config import GatewayOptions
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.gateway.server import Gateway
from hongyan.store import Store
from hongyan.store.writer import Batch
from tests.store.steps import held
from tests.support.client import Connection, command, connect
from tests.support.client import Gateway as Address

RECEIVERS = 20
MESSAGES = 64


@pytest.fixture
async def gateway(store: Store) -> AsyncIterator[Gateway]:
    """The whole way of a message in this process: real sockets, on this event loop."""
    bus = LocalBus()
    engine = Engine(store, bus, Clock(), bytes(32))
    await engine.start()
    await engine.apps.create("test", id="test", settings={"limits": "off"})
    gateway = Gateway(engine, bus, GatewayOptions())
    await gateway.start("127.0.0.1", 0)
    yield gateway
    await gateway.drain(10)


@pytest.fixture
def address(gateway: Gateway) -> Iterator[Address]:
    return SimpleNamespace(
        gateway_url=f"ws://127.0.0.1:{gateway.port}", app=SimpleNamespace(id="test"), ssl_context=None
    )


async def test_one_write_per_connection_and_commit(store: Store, gateway: Gateway, address: Address) -> None:
    names = [f"receiver{n}" for n in range(RECEIVERS)]
    async with AsyncExitStack() as stack:
        sender, *receivers = [await stack.enter_async_context(connect(address)) for _ in range(RECEIVERS + 1)]
        ann = await sender.open("ann")
        sessions = [await receiver.open(name) for receiver, name in zip(receivers, names, strict=True)]
        conversation = await ann.start(*names)
        await asyncio.gather(*(session.expect("conv/members_joined") for session in sessions))
        await asyncio.gather(*(receiver.echo() for receiver in receivers))
        await asyncio.gather(*gateway.tasks)  # a session whose unread counts are on their way gets messages later

        commits: list[Batch] = []
        store.writer.on_batch = commits.append
        async with held(store):
            for number in range(MESSAGES):
                request = command("direct", None, "ann", cid=conversation, msg=str(number))
                request.i = -number
                await sender.send(request)
            await sender.echo()
            before = gateway.stats()
        await asyncio.gather(*(expect_all(connection, "direct") for connection in receivers))
        await expect_all(sender, "ack")
        after = gateway.stats()

    told = {name: after[name] - before[name] for name in ("deliveries", "frames_out", "writes_out")}
    assert [commit.messages for commit in commits if commit.messages] == [MESSAGES]
    assert told == {
        "deliveries": RECEIVERS * MESSAGES,
        "frames_out": (RECEIVERS + 1) * MESSAGES,
        "writes_out": RECEIVERS + 1,
    }


async def expect_all(connection: Connection, name: str) -> None:
    for _ in range(MESSAGES):
        await connection.expect(name)
