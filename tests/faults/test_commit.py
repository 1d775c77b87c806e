"""What is told to clients is on disk: the moment of the commit, and a commit that fails."""

import asyncio

import pytest

from tests.faults.disk import Disk
from tests.support.client import ConnectionLost, Session, command, login, named
from tests.support.rest import rest
from tests.support.server import Server


async def texts(session: Session, conversation: str) -> list[str]:
    return [item.data for item in await session.history(conversation)]


def pushed_texts(session: Session) -> list[str]:
    return [push.directMessage.msg for push in session.connection.pushes if named(push) == "direct"]


async def test_nothing_is_told_before_the_commit_is_on_disk(server_on_disk: tuple[Server, Disk]) -> None:
    server, disk = server_on_disk
    async with login(server, "ann") as ann, login(server, "bob") as bob:
        conversation = await ann.start("bob")
        await bob.expect("conv/joined")  # so the login has told all that it had to
        with disk.gate():
            sending = asyncio.create_task(ann.send(conversation, "held"))
            await asyncio.to_thread(disk.wait_at_gate)
            await asyncio.gather(ann.connection.echo(), bob.connection.echo())
            assert not sending.done()
            assert pushed_texts(bob) == []
            assert await texts(bob, conversation) == []
        ack = await sending
        pushed = (await bob.expect("direct")).directMessage
        assert (pushed.msg, pushed.id, pushed.timestamp) == ("held", ack.uid, ack.t)
        assert await texts(bob, conversation) == ["held"]


async def test_message_killed_before_its_sync_was_never_told(server_on_disk: tuple[Server, Disk]) -> None:
    server, disk = server_on_disk
    async with login(server, "ann") as ann:
        conversation = await ann.start("bob")
        with disk.gate():
            sending = asyncio.create_task(ann.send(conversation, "held", dt="1"))
            await asyncio.to_thread(disk.wait_at_gate)
            server.kill()
        with pytest.raises(ConnectionLost):
            await sending
    disk.lose_power()
    await asyncio.to_thread(server.start)
    async with login(server, "ann") as ann:
        assert await texts(ann, conversation) == []
        await ann.send(conversation, "held", dt="1")
        assert await texts(ann, conversation) == ["held"]


async def test_messages_that_wait_for_a_commit_share_the_next(server_on_disk: tuple[Server, Disk]) -> None:
    server, disk = server_on_disk
    async with login(server, "ann") as ann:
        conversation = await ann.start("bob")
        await ann.send(conversation, "first")
        async with rest(server) as api:
            await api.call("GET", "/1.2/rtm/stats")  # who came is noted now, not by a sync that would be counted
        with disk.gate():
            sending = [asyncio.create_task(ann.send(conversation, "held"))]
            await asyncio.to_thread(disk.wait_at_gate)
            sending += [asyncio.create_task(ann.send(conversation, str(n))) for n in range(100)]
            await asyncio.create_task(ann.connection.echo())  # a task: tasks start in order, so it follows them
            before = disk.syncs
        acks = await asyncio.gather(*sending)
        assert disk.syncs - before == 2
        assert [ack.t for ack in acks] == sorted({ack.t for ack in acks})


async def test_of_one_commit_each_is_told_in_order(server_on_disk: tuple[Server, Disk]) -> None:
    """Who sent the second message has the first before the acknowledgement of its own."""
    server, disk = server_on_disk
    async with login(server, "ann") as ann, login(server, "bob") as bob:
        conversation = await ann.start("bob")
        for session in (ann, bob):
            await session.expect("conv/joined")  # so the logins have told all that they had to
        with disk.gate():
            sending = [asyncio.create_task(ann.send(conversation, "held"))]
            await asyncio.to_thread(disk.wait_at_gate)
            for number in range(10):
                for session in (ann, bob):
                    request = command("direct", peer=session.peer, cid=conversation, msg=f"{session.peer} {number}")
                    request.i = -1 - number
                    await session.connection.send(request)
                    await session.connection.echo()
        await asyncio.gather(*sending)
        for session in (ann, bob):
            await session.connection.expect(lambda push: push.HasField("i") and push.i == -10)  # the last is taken out
            await session.connection.echo()
            seen = [push for push in session.connection.pushes if named(push) in ("ack", "direct")]
            times = [push.ackMessage.t if named(push) == "ack" else push.directMessage.timestamp for push in seen]
            assert len(seen) >= 19
            assert times == sorted(times)


@pytest.mark.parametrize("power", ["kept", "lost"])
async def test_io_error_on_commit_ends_the_server(server_on_disk: tuple[Server, Disk], power: str) -> None:
    server, disk = server_on_disk
    async with login(server, "ann") as ann:
        conversation = await ann.start("bob")
        acks = [await ann.send(conversation, str(n)) for n in range(10)]
        disk.sync_fails = 1
        with pytest.raises(ConnectionLost):
            await ann.send(conversation, "last", dt="last")
    assert await asyncio.to_thread(server.wait) > 0
    assert "I/O error" in server.log.splitlines()[-1]
    disk.repair()
    if power == "lost":
        disk.lose_power()
    else:
        disk.settle()
    await asyncio.to_thread(server.start)
    async with login(server, "ann") as ann:
        acks.append(await ann.send(conversation, "last", dt="last"))
        history = await ann.history(conversation)
        assert [(item.msgId, item.timestamp) for item in history] == [(ack.uid, ack.t) for ack in acks]
