"""`conv/add` and `remove`: join, add, quit, remove, and who is told (reference 3.7, 3.9, 3.15)."""

import pytest

from tests.gateway.handlers.conversations import names, row
from tests.gateway.talk import clients, people, push_names, pushes, texts, told
from tests.support.client import Refused, command, connect, named
from tests.support.server import Server

PERMANENT, DROPPABLE = 1, 2


# add and join


@pytest.mark.covers(
    "conv/add",
    "conv/added",
    "conv/joined",
    "conv/members_joined",
    "ConvCommand.initBy",
    "ConvCommand.udate",
    "ConvCommand.allowedPids",
)
async def test_added_clients_are_told_and_every_member_too(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike", "butch") as (tom, jerry, spike, butch):
        conversation = await tom.start(jerry.peer)
        for session in (tom, jerry):
            await pushes(session)
        request = command("conv", "add", tom.peer, cid=conversation, m=[spike.peer])
        own = await told(tom, request)
        reply = own[0].convMessage
        assert names(own) == ["conv/added", "conv/members_joined"]
        assert (reply.cid, list(reply.allowedPids), list(reply.failedPids)) == (conversation, [spike.peer], [])
        new = await pushes(spike)
        assert sorted(names(new)) == ["conv/joined", "conv/members_joined"]
        other = await pushes(jerry)
        assert names(other) == ["conv/members_joined"]
        for push in [*own[1:], *new, *other]:
            assert (push.convMessage.udate, push.convMessage.initBy) == (reply.udate, tom.peer)
            assert list(push.convMessage.m) == ([spike.peer] if "members" in named(push) else [])
        assert (await row(tom, conversation))["updatedAt"] == reply.udate
        assert await push_names(butch) == []


async def test_anybody_may_join_who_knows_the_id(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start()
        own = await told(jerry, command("conv", "add", jerry.peer, cid=conversation, m=[jerry.peer]))
        assert names(own) == ["conv/added", "conv/joined", "conv/members_joined"]
        assert own[1].convMessage.initBy == jerry.peer
        assert "conv/members_joined" in await push_names(tom)
        await jerry.send(conversation, "hello")
        assert await texts(tom) == ["hello"]


async def test_strangers_add_nobody_else_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start()
        with pytest.raises(Refused, match="4317 CONVERSATION_MEMBERSHIP_REQUIRED"):
            await jerry.request("conv", "add", cid=conversation, m=[jerry.peer, "spike"])
        with pytest.raises(Refused, match="4317 CONVERSATION_MEMBERSHIP_REQUIRED"):
            await jerry.request("conv", "remove", cid=conversation, m=[tom.peer])
        assert (await row(tom, conversation))["m"] == [tom.peer]


@pytest.mark.parametrize(("op", "done"), [("add", "added"), ("remove", "removed")])
async def test_what_is_so_already_succeeds_without_a_push_inferred(server: Server, op: str, done: str) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer)
        before = (await row(tom, conversation))["updatedAt"]
        for session in (tom, jerry):
            await pushes(session)
        target = jerry.peer if op == "add" else spike.peer
        own = await told(tom, command("conv", op, tom.peer, cid=conversation, m=[target]))
        assert names(own) == [f"conv/{done}"]
        assert list(own[0].convMessage.allowedPids) == [target]
        assert (await row(tom, conversation))["updatedAt"] == before
        for session in (jerry, spike):
            assert await push_names(session) == []


@pytest.mark.covers("ConvCommand.allowedPids")
async def test_one_push_names_all_who_really_joined(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        butch, spike = people("butch", "spike")
        conversation = await tom.start(jerry.peer)
        await pushes(jerry)
        reply = await tom.request("conv", "add", cid=conversation, m=[jerry.peer, butch, spike, butch])
        assert list(reply.convMessage.allowedPids) == [jerry.peer, butch, spike]
        (push,) = await pushes(jerry)
        assert sorted(push.convMessage.m) == sorted([butch, spike])


@pytest.mark.parametrize(("bitmap", "listed"), [(0xBB, True), (0x0B, False)])
async def test_partial_results_are_for_those_who_know_them(server: Server, bitmap: int, listed: bool) -> None:
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0], configBitmap=bitmap)
        conversation = await tom.start()
        for op in ("add", "remove"):
            reply = await tom.request("conv", op, cid=conversation, m=["jerry"])
            assert bool(reply.convMessage.allowedPids) == listed


@pytest.mark.parametrize("op", ["add", "remove"])
async def test_changing_the_members_of_an_unknown_conversation(server: Server, op: str) -> None:
    async with clients(server, "tom") as (tom,):
        for unknown in ("65f000000000000000000001", "", "_tmp:1", "x" * 10_000):
            with pytest.raises(Refused, match="4303 CONVERSATION_NOT_FOUND"):
                await tom.request("conv", op, cid=unknown, m=[tom.peer])


# remove and quit


@pytest.mark.covers("conv/remove", "conv/removed", "conv/left", "conv/members_left")
async def test_removed_clients_are_told_and_the_remaining_members(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer, spike.peer)
        for session in (tom, jerry, spike):
            await pushes(session)
        own = await told(tom, command("conv", "remove", tom.peer, cid=conversation, m=[jerry.peer]))
        reply = own[0].convMessage
        assert names(own) == ["conv/removed", "conv/members_left"]
        assert (reply.cid, list(reply.allowedPids)) == (conversation, [jerry.peer])
        gone, left = await pushes(jerry), await pushes(spike)
        assert names(gone) == ["conv/left"]
        assert names(left) == ["conv/members_left"]
        for push in [own[1], *gone, *left]:
            assert (push.convMessage.udate, push.convMessage.initBy) == (reply.udate, tom.peer)
        assert list(left[0].convMessage.m) == [jerry.peer]


async def test_a_removed_member_receives_and_sends_nothing_more(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.send(conversation, "before")
        await tom.request("conv", "remove", cid=conversation, m=[jerry.peer])
        await tom.send(conversation, "after")
        assert await texts(jerry) == ["before"]
        with pytest.raises(Refused, match="4401 INVALID_MESSAGING_TARGET"):
            await jerry.send(conversation, "let me in")
        with pytest.raises(Refused, match="4312 CONVERSATION_LOG_REJECTED"):
            await jerry.logs(conversation)
        assert [item.data for item in await tom.history(conversation)] == ["before", "after"]
        assert (await row(jerry, conversation))["m"] == [tom.peer]


@pytest.mark.covers("conv/left")
async def test_who_quits_is_told_that_it_left_by_itself(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        for session in (tom, jerry):
            await pushes(session)
        own = await told(jerry, command("conv", "remove", jerry.peer, cid=conversation, m=[jerry.peer]))
        assert names(own) == ["conv/removed", "conv/left"]
        assert own[1].convMessage.initBy == jerry.peer
        (push,) = await pushes(tom)
        assert (named(push), list(push.convMessage.m)) == ("conv/members_left", [jerry.peer])


async def test_update_times_increase_with_every_change(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        started = await tom.request("conv", "start")
        times = [started.convMessage.cdate]
        for op in ["add", "remove"] * 10:
            reply = await tom.request("conv", op, cid=started.convMessage.cid, m=["jerry"])
            times.append(reply.convMessage.udate)
        assert times == sorted(set(times))


@pytest.mark.covers("GenericCommand.notificationType")
async def test_kinds_of_notification_inferred(server: Server) -> None:
    """What a client missed for itself is kept for it, what others missed is not."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.request("conv", "remove", cid=conversation, m=[jerry.peer])
        for push in [*await pushes(tom), *await pushes(jerry)]:
            kind = PERMANENT if named(push) in ("conv/joined", "conv/left") else DROPPABLE
            assert push.notificationType == kind
