"""A conversation of thousands, some of them online."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.gateway.apps import into
from tests.gateway.handlers.conversations import row
from tests.gateway.talk import clients, login_pushes, settled
from tests.support.client import Refused, Session, command, connect
from tests.support.server import App, Server

MEMBERS = 5_000
ONLINE = 40
STEP = 1_000
"""Ids of 1,000 members fit a frame."""


@pytest.fixture(scope="module")
def app(shared_server: Server) -> App:
    made = App("large-app", "large-key", "large-master-key")
    return shared_server.create_app(made, limits="off", members_max=str(MEMBERS))


async def grow(owner: Session, members: list[str]) -> str:
    """A conversation of the owner and these."""
    conversation = await owner.start(*members[:STEP])
    for start in range(STEP, len(members), STEP):
        reply = await owner.request("conv", "add", cid=conversation, m=members[start : start + STEP])
        assert len(reply.convMessage.allowedPids) == len(members[start : start + STEP])
    return conversation


async def test_a_conversation_of_five_thousand(server: Server, app: App) -> None:
    members = [f"member-{number}" for number in range(MEMBERS - 1)]
    door = into(server, app)
    async with AsyncExitStack() as stack:
        (owner,) = await stack.enter_async_context(clients(door, "owner"))
        online = [await stack.enter_async_context(settled(door, name)) for name in members[:: MEMBERS // ONLINE]]
        conversation = await grow(owner, members)
        with pytest.raises(Refused, match="4304 CONVERSATION_FULL"):
            await owner.request("conv", "add", cid=conversation, m=["one-more"])

        sent = await owner.send(conversation, "to all")
        for push in await asyncio.gather(*(session.expect("direct") for session in online)):
            assert (push.directMessage.id, push.directMessage.cid) == (sent.uid, conversation)

        assert set((await row(owner, conversation))["m"]) == {owner.peer, *members}
        (compact,) = await owner.query({"objectId": conversation}, flag=1)
        assert compact["m"] == []
        async with connect(door) as connection:
            late = await connection.open(members[1])
            unread = [item for push in await login_pushes(late) for item in push.unreadMessage.convs]
            assert [(item.cid, item.unread, item.mid) for item in unread] == [(conversation, 1, sent.uid)]

        removed = set(members[:STEP])
        reply = await owner.request("conv", "remove", cid=conversation, m=members[:STEP])
        assert set(reply.convMessage.allowedPids) == removed
        gone = online[0]
        await gone.expect("conv/left")
        last = await owner.send(conversation, "to who is left")
        staying = [session for session in online if session.peer not in removed]
        for push in await asyncio.gather(*(session.expect("direct") for session in staying)):
            assert push.directMessage.id == last.uid
        await gone.connection.echo()
        assert not [push for push in gone.connection.pushes if push.HasField("directMessage")]
        with pytest.raises(Refused, match="4401"):
            await gone.connection.request(command("direct", peer=gone.peer, cid=conversation, msg="still here"))
        assert len((await row(owner, conversation))["m"]) == MEMBERS - STEP
