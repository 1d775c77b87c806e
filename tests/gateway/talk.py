"""Clients in pairs and groups, and what the server tells them unasked."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.support.client import BINARY, Connection, Gateway, Session, command, login, named

_numbers = itertools.count(1)


def people(*names: str) -> list[str]:
    """Client ids nobody had before."""
    number = next(_numbers)
    return [f"{name}-{number}" for name in names]


@asynccontextmanager
async def clients(server: Gateway, *names: str, subprotocol: str = BINARY) -> AsyncIterator[list[Session]]:
    """New clients, each logged in on its own connection and told everything it had to be told after the login."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(settled(server, peer, subprotocol)) for peer in people(*names)]


@asynccontextmanager
async def settled(server: Gateway, peer: str, subprotocol: str = BINARY) -> AsyncIterator[Session]:
    """A session on its own connection, after what the login pushes: from now on a round trip shows all pushes."""
    async with login(server, peer, subprotocol) as session:
        await settle(session)
        yield session


async def settle(session: Session) -> None:
    """Wait until what the login pushes has come, and drop it."""
    await login_pushes(session)


async def login_pushes(session: Session) -> list[GenericCommand]:
    """What the login pushes to the session, which must be new: an event of its own comes after it."""
    await session.start()
    await session.expect("conv/joined")
    await session.expect("conv/members_joined")
    return await pushes(session)


async def pushes(session: Session) -> list[GenericCommand]:
    """What the connection has received since the last call and was not awaited, oldest first."""
    await session.connection.echo()
    taken = session.connection.pushes[:]
    session.connection.pushes.clear()
    return taken


async def push_names(session: Session) -> list[str]:
    """`pushes` by name: `direct`, `conv/joined`."""
    return [named(push) for push in await pushes(session)]


async def texts(session: Session) -> list[str]:
    """The texts of the messages received since the last call."""
    return [push.directMessage.msg for push in await pushes(session) if named(push) == "direct"]


def numbered(serial: int, request: GenericCommand) -> GenericCommand:
    """The request with this serial; sent with `Connection.send`, its reply stays among the pushes, in its place."""
    request.i = serial
    return request


async def replies(connection: Connection, requests: Sequence[GenericCommand]) -> list[GenericCommand]:
    """Send all at once, serials -1, -2, …, and return the replies in the order they come."""
    serials = set()
    for serial, request in enumerate(requests, 1):
        await connection.send(numbered(-serial, request))
        serials.add(-serial)
    return [await connection.expect(lambda push: push.HasField("i") and push.i in serials) for _ in requests]


def open_command(server: Gateway, peer: str | None, **fields: object) -> GenericCommand:
    """`session/open` as nothing but these fields make it."""
    request = command("session", "open", peer, **fields)
    request.appId = server.app.id
    return request


async def told(session: Session, request: GenericCommand) -> list[GenericCommand]:
    """All that a change of our own makes the connection receive, the reply (serial -9) in its place."""
    await session.connection.send(numbered(-9, request))
    later = await session.start()
    await session.connection.expect(lambda push: push.convMessage.cid == later and bool(push.convMessage.m))
    return [push for push in await pushes(session) if push.convMessage.cid != later]
