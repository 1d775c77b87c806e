"""The server is killed while the engine of an app is told of what has happened."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.support.app_engine import AppEngine, app_engine
from tests.support.client import Session, login
from tests.support.server import Server

CONVERSATIONS, MESSAGES, AT_ONCE = 20, 500, 100
TOLD_BEFORE = 1_000
"""Deliveries that have been made, at least, when the server is killed."""


async def fill(session: Session) -> set[str]:
    """Send many messages; their ids."""
    ids: set[str] = set()
    for _ in range(CONVERSATIONS):
        conversation = await session.start("bob")
        for start in range(0, MESSAGES, AT_ONCE):
            sent = [session.send(conversation, str(number)) for number in range(start, start + AT_ONCE)]
            ids.update(ack.uid for ack in await asyncio.gather(*sent))
    return ids


async def heard(engine: AppEngine, wanted: set[str]) -> None:
    """Wait until the engine has been told of all of these messages."""
    missing, seen = set(wanted), 0
    async with asyncio.timeout(200):
        while missing:
            await engine.expect("messageSent", seen + 1)
            told = engine.of("messageSent")[seen:]
            missing.difference_update(params["msgId"] for params in told)
            seen += len(told)


@pytest.mark.timeout(300)
async def test_each_message_is_told_although_the_server_is_killed(server_factory: Callable[..., Server]) -> None:
    """10,000 wait; each is told at least once, with one id of its own at all attempts."""
    go_on = asyncio.Event()

    async def wait(params: object) -> None:
        await go_on.wait()

    async with app_engine(messageSent=wait) as engine:
        server: Server = server_factory(environment={"HONGYAN_ALLOWED_PRIVATE": "127.0.0.1"})
        server.start()
        server.hongyan("app", "set", server.app.id, f"hook_url={engine.url}")
        async with login(server, "ann") as session:
            sent = await fill(session)
            assert len(sent) == CONVERSATIONS * MESSAGES == 10_000
            go_on.set()
            await engine.expect("messageSent", TOLD_BEFORE)
            server.kill()
        before = len(engine.of("messageSent"))
        assert before < len(sent), "it was told of all before it was killed"
        await asyncio.to_thread(server.start)
        await heard(engine, sent)
        ids: dict[str, set[str]] = defaultdict(set)
        for call in engine.calls:
            if call.name == "_messageSent":
                ids[call.params["msgId"]].add(call.headers["x-request-id"])
        assert ids.keys() == sent
        assert all(len(own) == 1 for own in ids.values())
        assert len(set.union(*ids.values())) == len(sent)
