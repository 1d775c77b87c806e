"""`conv/update`, `mute`, `unmute`, `count`, `members`, `is_member` (reference 3.11, 3.12)."""

import json
from typing import Any

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.handlers.conversations import names, row
from tests.gateway.talk import clients, people, push_names, pushes, settled, told
from tests.support.client import Refused, Session, command, login, named
from tests.support.server import Server

DROPPABLE = 2
UNKNOWN = ["65f000000000000000000001", "", "_tmp:1", "x" * 10_000]


def update(session: Session, conversation: str, changes: Any) -> GenericCommand:
    text = changes if isinstance(changes, str) else json.dumps(changes)
    return command("conv", "update", session.peer, cid=conversation, attr={"data": text})


async def updated(session: Session, conversation: str, changes: Any) -> GenericCommand:
    """The reply to an update."""
    return await session.connection.request(update(session, conversation, changes))


# update


@pytest.mark.covers("conv/update", "conv/updated", "ConvCommand.attrModified")
async def test_an_update_is_answered_and_told_to_every_other_session(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike), settled(server, tom.peer) as tablet:
        conversation = await tom.start(jerry.peer, attr={"data": '{"name":"a","attr":{"x":1,"y":2},"colour":"red"}'})
        for session in (tom, tablet, jerry):
            await pushes(session)
        changes = {"attr.x": {"__op": "Increment", "amount": 2}, "colour": {"__op": "Delete"}, "name": "名"}
        own = await told(tom, update(tom, conversation, changes))
        assert names(own) == ["conv/updated"]
        reply = own[0].convMessage
        assert reply.cid == conversation
        assert json.loads(reply.attr.data) == changes
        assert json.loads(reply.attrModified.data) == {"attr": {"x": 3, "y": 2}, "name": "名"}
        for session in (tablet, jerry):
            (push,) = [each for each in await pushes(session) if each.convMessage.cid == conversation]
            assert (named(push), push.HasField("i"), push.notificationType) == ("conv/updated", False, DROPPABLE)
            message = push.convMessage
            assert (message.cid, message.initBy, message.udate) == (conversation, tom.peer, reply.udate)
            assert (message.attr, message.attrModified) == (reply.attr, reply.attrModified)
            assert push.serverTs > 0
        assert await push_names(spike) == []
        kept = await row(jerry, conversation)
        assert (kept["name"], kept["attr"], kept["updatedAt"]) == ("名", {"x": 3, "y": 2}, reply.udate)
        assert "colour" not in kept


async def test_dates_come_back_as_they_were(server: Server) -> None:
    date = {"__type": "Date", "iso": "2026-01-31T08:00:00.000Z"}
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        reply = await updated(tom, conversation, {"when": date, "attr.when": date})
        assert json.loads(reply.convMessage.attrModified.data) == {"when": date, "attr": {"when": date}}
        kept = await row(tom, conversation)
        assert (kept["when"], kept["attr"]) == (date, {"when": date})


async def test_update_times_increase_with_every_update(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        started = await tom.request("conv", "start")
        times = [started.convMessage.cdate]
        for number in range(20):
            times.append((await updated(tom, started.convMessage.cid, {"n": number})).convMessage.udate)
        assert times == sorted(set(times))


async def test_updating_an_unknown_conversation(server: Server) -> None:
    """Even when what to change is missing, too."""
    async with clients(server, "tom") as (tom,):
        for unknown in UNKNOWN:
            with pytest.raises(Refused, match="4303 CONVERSATION_NOT_FOUND"):
                await tom.request("conv", "update", cid=unknown)
            with pytest.raises(Refused, match="4303 CONVERSATION_NOT_FOUND"):
                await updated(tom, unknown, {"a": 1})


async def test_only_members_update(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer)
        await tom.request("conv", "remove", cid=conversation, m=[jerry.peer])
        before = await row(tom, conversation)
        for session in (jerry, spike):
            for changes in ({"a": 1}, "{"):
                with pytest.raises(Refused, match="4309 CONVERSATION_UPDATE_REJECTED"):
                    await updated(session, conversation, changes)
        assert await row(tom, conversation) == before


async def test_an_update_of_nothing_succeeds_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await pushes(jerry)
        before = await row(tom, conversation)
        bare = command("conv", "update", tom.peer, cid=conversation)
        for request in (bare, update(tom, conversation, ""), update(tom, conversation, {})):
            reply = (await tom.connection.request(request)).convMessage
            assert (reply.cid, reply.udate) == (conversation, before["updatedAt"])
            assert (reply.attr.data, reply.attrModified.data) == ("{}", "{}")
        assert await row(tom, conversation) == before
        assert await push_names(jerry) == []


@pytest.mark.parametrize(
    "changes",
    [
        "{",
        "[]",
        {"name": 1},
        {"attr": [1]},
        {"colour.x": 1},
        {"a": 1, "colour": {"__op": "Add", "objects": [1]}},
        {"a": {"__op": "Explode"}},
        {"a": "x" * 65_000, "b": "y" * 300},
        {"__proto__.polluted": 1},
    ],
)
async def test_what_cannot_be_done_changes_nothing(server: Server, changes: Any) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer, attr={"data": json.dumps({"colour": "red", "big": "z" * 500})})
        await pushes(jerry)
        before = await row(tom, conversation)
        with pytest.raises(Refused, match="4306 CONVERSATION_UPDATE_FAILED"):
            await updated(tom, conversation, changes)
        assert await row(tom, conversation) == before
        assert await push_names(jerry) == []


@pytest.mark.parametrize("key", ["m", "mu", "c", "lm", "tr", "sys", "unique", "uniqueId", "objectId", "updatedAt"])
async def test_what_the_server_owns_is_refused_inferred(server: Server, key: str) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        before = await row(tom, conversation)
        with pytest.raises(Refused, match="4306 CONVERSATION_UPDATE_FAILED"):
            await updated(tom, conversation, {key: ["eve"], "fine": 1})
        assert await row(tom, conversation) == before


# mute and unmute


@pytest.mark.covers("conv/mute", "conv/unmute", "conv/updated")
async def test_muting_is_ones_own_and_told_to_nobody(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry), settled(server, tom.peer) as tablet:
        conversation = await tom.start(jerry.peer)
        for session in (tom, tablet, jerry):
            await pushes(session)
        before = (await row(tom, conversation))["updatedAt"]
        times = [before]
        for op, shown in (("mute", [tom.peer]), ("unmute", [])):
            reply = await tom.request("conv", op, cid=conversation)
            assert (named(reply), reply.convMessage.cid) == ("conv/updated", conversation)
            times.append(reply.convMessage.udate)
            kept = await row(tom, conversation)
            assert (kept["mu"], kept["updatedAt"]) == (shown, reply.convMessage.udate)
        assert times == sorted(set(times))
        for session in (tom, tablet, jerry):
            assert await push_names(session) == []


async def test_muting_or_unmuting_again_succeeds_and_changes_nothing_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await pushes(jerry)
        for op in ("mute", "unmute"):
            first = (await tom.request("conv", op, cid=conversation)).convMessage
            before = await row(tom, conversation)
            again = await tom.request("conv", op, cid=conversation)
            assert (named(again), again.convMessage) == ("conv/updated", first)
            assert await row(tom, conversation) == before
        assert await push_names(jerry) == []


async def test_of_those_who_muted_each_is_named_to_itself_only_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike", "eve") as (tom, jerry, spike, eve):
        conversation = await tom.start(jerry.peer, spike.peer)
        for session in (tom, jerry):
            await session.request("conv", "mute", cid=conversation)
        shown = [(await row(session, conversation))["mu"] for session in (tom, jerry, spike, eve)]
        assert shown == [[tom.peer], [jerry.peer], [], []]


@pytest.mark.parametrize("op", ["mute", "unmute"])
async def test_only_members_mute(server: Server, op: str) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start()
        with pytest.raises(Refused, match="4317 CONVERSATION_MEMBERSHIP_REQUIRED"):
            await jerry.request("conv", op, cid=conversation)
        for unknown in UNKNOWN:
            with pytest.raises(Refused, match="4303 CONVERSATION_NOT_FOUND"):
                await jerry.request("conv", op, cid=unknown)


async def test_a_muted_conversation_goes_on(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await jerry.request("conv", "mute", cid=conversation)
        await tom.send(conversation, "hello")
        assert (await jerry.expect("direct")).directMessage.msg == "hello"
        await jerry.connection.close()
        async with login(server, jerry.peer) as back:
            push = await back.expect("unread")
            assert [(each.cid, each.unread) for each in push.unreadMessage.convs] == [(conversation, 1)]


# count, members, is_member


@pytest.mark.covers("conv/count", "conv/result", "ConvCommand.count")
async def test_anybody_may_count(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start("spike", "butch")
        reply = await jerry.request("conv", "count", cid=conversation)
        assert (named(reply), reply.convMessage.cid, reply.convMessage.count) == ("conv/result", conversation, 3)
        await tom.request("conv", "remove", cid=conversation, m=["spike"])
        assert (await jerry.request("conv", "count", cid=conversation)).convMessage.count == 2
        for unknown in UNKNOWN:
            with pytest.raises(Refused, match="4303 CONVERSATION_NOT_FOUND"):
                await jerry.request("conv", "count", cid=unknown)


async def test_only_chat_rooms_tell_who_is_online(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        with pytest.raises(Refused, match="4316 TRANSIENT_CONVERSATION_REQUIRED"):
            await tom.request("conv", "members", cid=conversation, limit=50)
        for unknown in UNKNOWN:
            with pytest.raises(Refused, match="4303 CONVERSATION_NOT_FOUND"):
                await tom.request("conv", "members", cid=unknown)


@pytest.mark.covers("conv/is_member", "ConvCommand.cids")
async def test_whether_one_is_a_member_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        (spike,) = people("spike")
        own, others = await tom.start(jerry.peer), await tom.start(spike)
        reply = await jerry.request("conv", "is_member", cids=[own, others, *UNKNOWN[:3]])
        assert named(reply) == "conv/is_member"
        expected = {own: True, others: False, **dict.fromkeys(UNKNOWN[:3], False)}
        assert json.loads(reply.convMessage.results.data) == expected
        alone = await jerry.request("conv", "is_member", cid=own)
        assert (json.loads(alone.convMessage.results.data), alone.convMessage.cid) == ({own: True}, own)
        await tom.request("conv", "remove", cid=own, m=[jerry.peer])
        after = await jerry.request("conv", "is_member", cids=[own])
        assert json.loads(after.convMessage.results.data) == {own: False}


async def test_membership_of_too_many_at_once(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        reply = await tom.request("conv", "is_member", cids=[str(number) for number in range(100)])
        assert len(json.loads(reply.convMessage.results.data)) == 100
        with pytest.raises(Refused, match="4301 CONVERSATION_API_FAILED"):
            await tom.request("conv", "is_member", cids=[str(number) for number in range(101)])
