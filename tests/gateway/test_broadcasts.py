"""Broadcasts to all clients of an app: who hears them, when, and how often."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.gateway.talk import login_pushes, texts
from tests.support.client import BINARY, Session, connect, login, named
from tests.support.rest import Rest, Service, rest
from tests.support.server import Server

NEW = "/1.2/rtm/broadcasts"
PUSH_MODE = "lc.protobuf2.1"
LEAD = 5_000
"""Milliseconds that a call may take until the server has it: what it asks for must lie in the future."""


@pytest.fixture
def server(server_factory: Callable[..., Server]) -> Server:
    """A server of its own: every client of an app is told."""
    made = server_factory()
    made.start()
    return made


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Rest]:
    async with rest(server) as made:
        yield made


@pytest.fixture
async def news(api: Rest) -> Service:
    return await api.service()


async def say(api: Rest, news: Service, text: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = await api.call("POST", NEW, from_client="app", conv_id=news.id, message=text, **more)
    return made


async def told(session: Session) -> list[str]:
    """The texts that a new session is told after its login."""
    return [push.directMessage.msg for push in await login_pushes(session) if named(push) == "direct"]


async def at_login(server: Server, client: str, subprotocol: str = BINARY) -> list[str]:
    async with login(server, client, subprotocol) as session:
        return await told(session)


async def test_everybody_online_is_told_at_once(server: Server, api: Rest, news: Service) -> None:
    """Subscribed or not, on each device, once."""
    await news.subscribe("ann")
    async with login(server, "ann") as ann, login(server, "ann") as tablet, login(server, "bob") as bob:
        for session in (ann, tablet, bob):
            assert await told(session) == []
        made = await say(api, news, "hello")
        for session in (ann, tablet, bob):
            push = await session.expect("direct")
            message = push.directMessage
            assert (message.cid, message.id, message.fromPeerId) == (news.id, made["msg-id"], "app")
            assert (message.msg, message.timestamp, message.convType) == ("hello", made["timestamp"], 3)
            assert not message.offline
            assert await texts(session) == []
            assert [item.data for item in await session.logs(news.id)] == ["hello"]
    for client in ("ann", "bob"):
        assert await at_login(server, client) == []


@pytest.mark.parametrize("subprotocol", [BINARY, PUSH_MODE])
async def test_who_was_away_is_told_at_the_next_login(
    server: Server, api: Rest, news: Service, subprotocol: str
) -> None:
    """All since, in order, once; also after the server was killed. Who is new hears the newest only."""
    assert await at_login(server, "ann", subprotocol) == []
    for text in ("one", "two"):
        await say(api, news, text)
    await api.call("GET", "/1.2/rtm/stats")  # who came within the last second is noted now
    server.kill()
    server.start()
    async with login(server, "ann", subprotocol) as ann:
        await ann.start()
        await ann.expect("conv/members_joined")
        found = [push for push in ann.connection.pushes if named(push) == "direct"]
        assert [push.directMessage.msg for push in found] == ["one", "two"]
        assert {push.directMessage.offline for push in found} == {subprotocol == PUSH_MODE}
    assert await at_login(server, "ann", subprotocol) == []
    assert await at_login(server, "new", subprotocol) == ["two"]
    assert await at_login(server, "new", subprotocol) == []


async def test_who_was_online_is_not_told_again_after_a_kill(server: Server, api: Rest, news: Service) -> None:
    async with login(server, "ann") as ann:
        assert await told(ann) == []
        await say(api, news, "one")
        await ann.expect("direct")
    server.kill()
    server.start()
    assert await at_login(server, "ann") == []


async def test_an_edit_is_for_who_has_not_heard_it(server: Server, api: Rest, news: Service) -> None:
    async with login(server, "ann") as ann:
        assert await told(ann) == []
        made = await say(api, news, "one")
        await ann.expect("direct")
        edit = {"from_client": "app", "timestamp": made["timestamp"], "message": "two"}
        await api.call("PUT", f"{news.path}/messages/{made['msg-id']}", **edit)
        assert await texts(ann) == []
        assert [item.data for item in await ann.logs(news.id)] == ["two"]
    assert await at_login(server, "bob") == ["two"]


async def test_a_deleted_one_is_told_to_nobody(server: Server, api: Rest, news: Service) -> None:
    await say(api, news, "one")
    made = await say(api, news, "two")
    await api.call("DELETE", f"{NEW}/{made['msg-id']}")
    assert await at_login(server, "bob") == ["one"]


async def test_one_that_is_over_is_told_to_nobody(server: Server, api: Rest, news: Service) -> None:
    async with login(server, "clock") as session:
        end = (await session.send(await session.start(), "x")).t + LEAD
        await say(api, news, "short", valid_till=end)
        await say(api, news, "long")
        while (await session.send(await session.start(), "x")).t <= end:
            await asyncio.sleep(0.05)
    async with rest(server) as again:
        assert [each["data"] for each in await again.call("GET", NEW, {"conv_id": news.id})] == ["long"]
    assert await at_login(server, "bob") == ["long"]


async def test_a_transient_one_is_for_who_is_online(server: Server, api: Rest, news: Service) -> None:
    async with login(server, "ann") as ann:
        assert await told(ann) == []
        await say(api, news, "now", transient=True)
        push = await ann.expect("direct")
        assert (push.directMessage.msg, push.directMessage.transient) == ("now", True)
        assert await ann.logs(news.id) == []
    assert await at_login(server, "bob") == []


async def test_who_logs_in_meanwhile_hears_each_once(server: Server, api: Rest, news: Service) -> None:
    """Broadcasts and logins at the same time: nothing is lost or told twice, and the order is kept."""
    for client in ("ann", "bob", "cem", "dan"):
        await at_login(server, client)

    async def come(client: str) -> list[str]:
        async with connect(server) as connection:
            session = await connection.open(client)
            while len(connection.pushes) < 8 or connection.pushes[-1].directMessage.msg != "7":
                await connection.echo()
            return [push.directMessage.msg for push in connection.pushes if named(push) == "direct" and session]

    async def make() -> None:
        for number in range(8):
            await say(api, news, str(number))

    found = await asyncio.gather(make(), *(come(client) for client in ("ann", "bob", "cem", "dan")))
    for heard in found[1:]:
        assert heard == [str(number) for number in range(8)]
