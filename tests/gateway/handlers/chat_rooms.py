"""Chat rooms as tests use them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.talk import settle
from tests.support.client import Gateway, Session, command, connect

HIGH, NORMAL, LOW = 1, 2, 3


async def make(session: Session, **fields: Any) -> str:
    """A chat room with the session in it; its id."""
    return (await session.request("conv", "start", transient=True, **fields)).convMessage.cid


async def join(session: Session, room: str) -> GenericCommand:
    return await session.request("conv", "add", cid=room, m=[session.peer])


async def leave(session: Session, room: str) -> GenericCommand:
    return await session.request("conv", "remove", cid=room, m=[session.peer])


async def count(session: Session, room: str) -> int:
    return (await session.request("conv", "count", cid=room)).convMessage.count


async def say(session: Session, room: str, text: str, priority: int | None = None) -> GenericCommand:
    request = command("direct", None, session.peer, cid=room, msg=text)
    if priority is not None:
        request.priority = priority
    return await session.connection.request(request)


@asynccontextmanager
async def device(server: Gateway, peer: str, **fields: Any) -> AsyncIterator[Session]:
    """A session on its own connection, opened with these fields, after what the login pushes."""
    async with connect(server) as connection:
        session = await connection.open(peer, **fields)
        await settle(session)
        yield session
