"""Clients that the application logs out: what they are told, and that nothing from before lets them in again."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.gateway import signing
from tests.gateway.handlers.refusals import EXPIRED, REQUIRED, refusal
from tests.gateway.talk import clients, people, pushes, settled
from tests.support.client import connect, login
from tests.support.rest import Rest, rest
from tests.support.server import App, Server

SIGNED = App("signed-app", "signed-key", "signed-master-key")


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Rest]:
    async with rest(server) as made:
        yield made


async def kick(api: Rest, client: str, **body: str) -> None:
    assert await api.call("POST", f"/1.2/rtm/clients/{client}/kick", **body) == {}


@pytest.mark.parametrize(("body", "reason"), [({"reason": "bye"}, "bye"), ({}, "KICKED_BY_APP")])
async def test_all_sessions_are_closed_with_the_reason(
    server: Server, api: Rest, body: dict[str, str], reason: str
) -> None:
    """The connections stay open, and other clients on them (reference 3.5)."""
    tom, jerry = people("tom", "jerry")
    async with connect(server) as phone, settled(server, tom) as tablet:
        on_phone, other = await phone.open(tom), await phone.open(jerry)
        await kick(api, tom, **body)
        for connection in (phone, tablet.connection):
            closed = await connection.expect("session/closed")
            assert (closed.sessionMessage.code, closed.sessionMessage.reason) == (4115, reason)
            assert (closed.peerId, closed.HasField("i")) == (tom, False)
        assert await refusal(on_phone.request("conv", "query")) == REQUIRED
        assert await other.start()
        online = await api.call("POST", "/1.2/rtm/clients/check-online", client_ids=[tom, jerry])
        assert online == {"results": [jerry]}
        assert await refusal(phone.open(tom, r=True, st=on_phone.token)) == EXPIRED
        assert await (await phone.open(tom)).start()


async def test_a_token_of_a_client_that_was_away_is_void_too(server: Server, api: Rest) -> None:
    (tom,) = people("tom")
    async with login(server, tom) as session:
        token = session.token
    await kick(api, tom)
    async with connect(server) as connection:
        assert await refusal(connection.open(tom, r=True, st=token)) == EXPIRED


async def test_no_will_is_left(server: Server, api: Rest) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        cid = await tom.start(jerry.peer)
        await tom.post("direct", cid=cid, msg="gone", will=True)
        await tom.connection.echo()
        await pushes(jerry)
        await kick(api, tom.peer)
        await tom.expect("session/closed")
        assert await pushes(jerry) == []


async def test_others_are_left_alone(server: Server, api: Rest) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        await kick(api, tom.peer)
        await kick(api, people("nobody")[0])
        await tom.expect("session/closed")
        assert await pushes(jerry) == []
        assert await jerry.start()


async def test_signatures_from_before_are_void_also_after_a_restart(server_factory: Callable[..., Server]) -> None:
    server = server_factory()
    server.app = SIGNED
    server.create_app(SIGNED, sign_login="on", limits="off")
    server.start()
    old = signing.login(SIGNED, "tom")
    async with connect(server) as connection, rest(server) as api:
        await connection.open("tom", **old)
        await kick(api, "tom", reason="bye")
        await connection.expect("session/closed")
        assert (await refusal(connection.open("tom", **old)))[0] == 4102
    server.kill()
    server.start()
    async with connect(server) as connection:
        assert (await refusal(connection.open("tom", **old)))[0] == 4102
        new = signing.login(SIGNED, "tom")
        await asyncio.wait_for(connection.open("tom", **new), 30)
