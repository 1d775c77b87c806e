"""`goaway`: clients are asked to reconnect, by and by (reference 1.10)."""

import asyncio
import json
from collections.abc import Callable

import pytest

from hongyan.wire.messages2_pb2 import CommandType, GenericCommand
from tests.gateway.talk import people
from tests.support.client import BASE64, Connection, connect
from tests.support.server import Server


async def go_away(server: Server, *arguments: str) -> object:
    """Have the operator's command run; what it prints."""
    return json.loads(await asyncio.to_thread(server.hongyan, "goaway", *arguments))


@pytest.mark.covers("goaway")
async def test_every_connection_is_asked_and_stays_open(server_factory: Callable[..., Server]) -> None:
    server: Server = server_factory()
    server.start()
    async with connect(server) as one, connect(server, BASE64) as other, connect(server) as silent:
        tom = await one.open("tom")
        await one.open("jerry")
        spike = await other.open("spike")
        await silent.echo()
        assert await go_away(server, "--over", "0") == {"asked": 3, "over": 0}
        for connection in (one, other, silent):
            assert_plain(await connection.expect("goaway"))
        for session in (tom, spike):
            assert await session.start()
        for connection in (one, other, silent):
            assert not [push for push in connection.pushes if push.cmd == CommandType.goaway]


def assert_plain(push: GenericCommand) -> None:
    """No serial, no operation, no client, no sub-message."""
    assert {field.name for field, _ in push.ListFields()} == {"cmd", "service", "serverTs"}
    assert push.service == 2


async def test_they_are_asked_one_after_the_other(server_factory: Callable[..., Server]) -> None:
    """The last one's turn would be in a day: a stop does not wait for it, another command takes its place."""
    server: Server = server_factory()
    server.start()
    connections = [await Connection.connect(server) for _ in range(5)]
    for connection in connections:
        await connection.echo()
    assert await go_away(server, "--over", "86400") == {"asked": 5, "over": 86400}
    asked = asyncio.as_completed([expect(connection) for connection in connections])
    first = await next(asked)
    for connection in connections:
        await connection.echo()
    assert [each for each in connections if each is not first and each.pushes] == []
    assert await go_away(server, "--over", "0") == {"asked": 5, "over": 0}
    assert set([await each for each in asked]) == set(connections) - {first}
    await first.expect("goaway")
    await go_away(server, "--over", "86400")
    assert await asyncio.to_thread(server.stop) == 0
    for connection in connections:
        await connection.close()


async def expect(connection: Connection) -> Connection:
    await connection.expect("goaway")
    return connection


async def test_who_has_gone_meanwhile_is_not_asked(server_factory: Callable[..., Server]) -> None:
    server: Server = server_factory()
    server.start()
    async with connect(server) as staying:
        await staying.open(people("tom")[0])
        async with connect(server) as leaving:
            await leaving.echo()
            await go_away(server, "--over", "1")
        assert await expect(staying) is staying
        await staying.echo()
    assert await go_away(server) == {"asked": 0, "over": 30}
