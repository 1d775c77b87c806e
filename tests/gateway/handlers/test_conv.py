"""`conv/start`, `add` and `remove`, and who is told (reference 3.7 to 3.9, 3.15)."""

import json
import re

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.apps import STRICT, into
from tests.gateway.talk import clients, people, push_names, pushes, replies, texts, told
from tests.support.client import Refused, Session, command, connect, named
from tests.support.server import Server

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PERMANENT, DROPPABLE = 1, 2


def names(received: list[GenericCommand]) -> list[str]:
    return [named(push) for push in received]


async def row(session: Session, conversation: str) -> dict[str, object]:
    (found,) = await session.query({"objectId": conversation})
    return found


# start


async def test_started_says_what_a_new_conversation_is(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        reply = await tom.request("conv", "start", m=people("jerry"))
        assert (named(reply), reply.peerId, reply.service) == ("conv/started", tom.peer, 2)
        assert reply.serverTs > 0
        started = reply.convMessage
        assert re.fullmatch("[0-9a-f]{24}", started.cid)
        assert TIME.fullmatch(started.cdate)
        assert not started.HasField("uniqueId")
        assert not started.HasField("existing")
        made = await row(tom, started.cid)
        assert made["createdAt"] == made["updatedAt"] == started.cdate


async def test_start_tells_the_creator_after_the_reply_and_every_member(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        request = command("conv", "start", tom.peer, m=[jerry.peer])
        received = await told(tom, request)
        assert names(received) == ["conv/started", "conv/joined", "conv/members_joined"]
        for push in [*received[1:], *await pushes(jerry)]:
            change = push.convMessage
            assert (change.cid, change.initBy) == (received[0].convMessage.cid, tom.peer)
            assert change.udate == received[0].convMessage.cdate
            assert (push.service, push.HasField("i")) == (2, False)
            assert push.serverTs > 0
            if named(push) == "conv/members_joined":
                assert sorted(change.m) == sorted([tom.peer, jerry.peer])
        assert await push_names(spike) == []


async def test_each_member_gets_its_own_copy_per_session(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry), connect(server) as connection:
        pad = await connection.open(jerry.peer)
        await tom.start(jerry.peer)
        for session in (jerry, pad):
            joined = await session.expect("conv/joined")
            assert joined.peerId == jerry.peer


async def test_members_are_the_asked_and_the_creator_once_each(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        jerry, spike = people("jerry", "spike")
        reply = await tom.request("conv", "start", m=[jerry, spike, jerry])
        members = (await row(tom, reply.convMessage.cid))["m"]
        assert isinstance(members, list)
        assert sorted(members) == sorted([tom.peer, jerry, spike])


async def test_unique_finds_the_conversation_of_the_same_members_without_a_word(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        (first,) = (await told(tom, command("conv", "start", tom.peer, m=[jerry.peer], unique=True)))[:1]
        await pushes(jerry)
        again = command("conv", "start", tom.peer, m=[jerry.peer, tom.peer], unique=True)
        (second,) = await told(tom, again)
        third = await jerry.request("conv", "start", m=[tom.peer], unique=True)
        assert await push_names(jerry) == []
        for found in (second.convMessage, third.convMessage):
            assert (found.cid, found.cdate) == (first.convMessage.cid, first.convMessage.cdate)
            assert found.existing
            assert re.fullmatch("[0-9a-f]{32}", found.uniqueId)
        assert first.convMessage.uniqueId == second.convMessage.uniqueId
        assert not first.convMessage.HasField("existing")


async def test_unique_is_one_conversation_per_set_of_current_members(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        (spike,) = people("spike")
        plain = await tom.start(jerry.peer)
        pair = await tom.start(jerry.peer, unique=True)
        three = await tom.start(jerry.peer, spike, unique=True)
        assert len({plain, pair, three}) == 3
        await jerry.request("conv", "remove", cid=three, m=[jerry.peer])
        assert await tom.start(jerry.peer, spike, unique=True) not in (pair, three)
        assert await tom.start(jerry.peer, unique=True) == pair


async def test_unique_asked_many_times_at_once_is_made_once(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        asked = [command("conv", "start", tom.peer, m=[jerry.peer], unique=True) for _ in range(10)]
        answers = await replies(tom.connection, asked)
        assert len({answer.convMessage.cid for answer in answers}) == 1
        assert [answer.convMessage.existing for answer in answers] == [False] + [True] * 9


async def test_attributes_are_kept_as_written(server: Server) -> None:
    given = {"name": "群聊", "attr": {"color": "red", "n": [1, {"deep": None}]}, "level": 3, "attributes": {"a": 1}}
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(attr={"data": json.dumps(given)})
        made = await row(tom, conversation)
        assert {key: made[key] for key in given} == given


async def test_reserved_attributes_are_ignored_inferred(server: Server) -> None:
    reserved = {"objectId": "x", "m": ["x"], "mu": ["x"], "c": "x", "lm": 1, "tr": True, "sys": True, "temp": True}
    reserved |= {"unique": True, "uniqueId": "x", "createdAt": "x", "updatedAt": "x", "ttl": 1, "conv_type": 4}
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(attr={"data": json.dumps(reserved)})
        made = await row(tom, conversation)
        assert (made["objectId"], made["c"], made["m"]) == (conversation, tom.peer, [tom.peer])
        assert not {"tr", "sys", "temp", "unique", "uniqueId", "ttl", "lm"} & made.keys()
        assert made["conv_type"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '"text"',
        '{"name": 5}',
        '{"attr": []}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"a": ' + "[" * 500 + "]" * 500 + "}",
        "[" * 30_000,
    ],
)
async def test_bad_attributes_make_nothing(server: Server, text: str) -> None:
    async with clients(server, "tom") as (tom,):
        before = len(await tom.query({}, limit=1000))
        with pytest.raises(Refused, match="4301"):
            await tom.start(attr={"data": text})
        assert len(await tom.query({}, limit=1000)) == before


@pytest.mark.parametrize("members", [[""], ["x" * 65], ["ok", ""]])
async def test_impossible_members_are_refused(server: Server, members: list[str]) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        for op, fields in (("start", {}), ("add", {"cid": conversation}), ("remove", {"cid": conversation})):
            with pytest.raises(Refused, match="4301"):
                await tom.request("conv", op, m=members, **fields)


async def test_a_conversation_has_a_limited_number_of_members(server: Server) -> None:
    async with connect(into(server, STRICT)) as connection:
        tom = await connection.open(people("tom")[0])
        with pytest.raises(Refused, match="4304 CONVERSATION_FULL"):
            await tom.start("b", "c", "d")
        conversation = await tom.start("b", "c")
        with pytest.raises(Refused, match="4304 CONVERSATION_FULL"):
            await tom.request("conv", "add", cid=conversation, m=["d"])
        await tom.request("conv", "add", cid=conversation, m=["b"])


# add and join


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


async def test_kinds_of_notification_inferred(server: Server) -> None:
    """What a client missed for itself is kept for it, what others missed is not."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.request("conv", "remove", cid=conversation, m=[jerry.peer])
        for push in [*await pushes(tom), *await pushes(jerry)]:
            kind = PERMANENT if named(push) in ("conv/joined", "conv/left") else DROPPABLE
            assert push.notificationType == kind
