"""Everything that the server knows is what the model knows, whoever asks."""

from collections.abc import Awaitable

from tests.model.actor import unread_of
from tests.model.history import check_history
from tests.model.logins import check_counts, check_missed
from tests.model.model import Conversation, Model
from tests.model.world import World
from tests.support.client import BINARY, Refused, Session, connect, named

OLD_MODE = "lc.protobuf2.1"
NO_HISTORY = 4312
NO_MEMBER = 4317


async def look(world: World, page: int) -> None:
    """As a new device of each client, in both modes; history also in pages of this size."""
    expected = {conversation.id: set(conversation.members) for conversation in world.conversations}
    members = await world.members_there()
    assert members == expected, f"the members are {members} instead of {expected}"
    colors = {id: row.get("color", "") for id, row in (await world.rows_there()).items()}
    assert colors == {conversation.id: conversation.color for conversation in world.conversations}
    async with connect(world.server, BINARY) as new, connect(world.server, OLD_MODE) as old:
        for client in world.clients:
            await _look_as(world, await new.open(client), page)
            await _look_at_missed(world, await old.open(client))


async def _look_as(world: World, session: Session, page: int) -> None:
    await world.reach(session)
    pushes, session.connection.pushes = session.connection.pushes, []
    assert {named(push) for push in pushes} <= {"unread"}
    unread = {item.cid: unread_of(item) for push in pushes for item in push.unreadMessage.convs}
    check_counts(session.peer, unread, world.model.unread(session.peer), told_all=True)
    for conversation in world.conversations:
        if session.peer in conversation.members:
            await check_history(session, conversation, page)
            await _check_marks(world.model, session, conversation)
            await _check_standings(session, conversation)
        else:
            await _refused(NO_HISTORY, session.logs(conversation.id))
            await _refused(NO_MEMBER, session.request("conv", "max_read", cid=conversation.id))
    await session.close()


async def _look_at_missed(world: World, session: Session) -> None:
    await world.reach(session)
    pushes, session.connection.pushes = session.connection.pushes, []
    assert {named(push) for push in pushes} <= {"direct"}
    check_missed(session.peer, [push.directMessage for push in pushes], world.model.missed(session.peer))
    await session.close()


async def _check_marks(model: Model, session: Session, conversation: Conversation) -> None:
    reply = await session.request("conv", "max_read", cid=conversation.id, queryAllMembers=True)
    marks = {each.pid: each for each in reply.convMessage.maxReadTuples}
    for client in conversation.members.keys() - {session.peer}:
        told = marks.pop(client, None)
        read, acked = (told.maxReadTimestamp, told.maxAckTimestamp) if told else (0, 0)
        assert read == model.read_mark(conversation, client), f"{client} has read up to {read}"
        assert acked in model.ack_marks(conversation, client), f"{client} has received up to {acked}"
    assert not marks, f"marks of {list(marks)}, who are no members"


async def _check_standings(session: Session, conversation: Conversation) -> None:
    silenced = await session.request("conv", "query_shutup", cid=conversation.id)
    assert set(silenced.convMessage.m) == conversation.standings.silenced
    blocked = await session.request("blacklist", "query", srcCid=conversation.id)
    assert set(blocked.blacklistMessage.blockedPids) == conversation.standings.blocked


async def _refused(code: int, request: Awaitable[object]) -> None:
    try:
        await request
    except Refused as refusal:
        if refusal.code != code:
            raise
    else:
        raise AssertionError("a stranger was answered")
