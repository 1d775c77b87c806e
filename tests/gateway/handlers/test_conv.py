"""`conv/start`, and who is told (reference 3.8, 3.15)."""

import json
import re

import pytest

from tests.gateway.apps import STRICT, into
from tests.gateway.handlers.conversations import names, row
from tests.gateway.talk import clients, people, push_names, pushes, replies, told
from tests.support.client import Refused, command, connect, named
from tests.support.server import Server

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

# start


@pytest.mark.covers(
    "conv/start",
    "conv/started",
    "GenericCommand.service",
    "GenericCommand.serverTs",
    "GenericCommand.convMessage",
    "ConvCommand.cid",
    "ConvCommand.cdate",
)
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


@pytest.mark.covers("conv/joined", "conv/members_joined", "ConvCommand.m", "ConvCommand.initBy", "ConvCommand.udate")
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


@pytest.mark.covers("ConvCommand.m")
async def test_members_are_the_asked_and_the_creator_once_each(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        jerry, spike = people("jerry", "spike")
        reply = await tom.request("conv", "start", m=[jerry, spike, jerry])
        members = (await row(tom, reply.convMessage.cid))["m"]
        assert isinstance(members, list)
        assert sorted(members) == sorted([tom.peer, jerry, spike])


@pytest.mark.covers("ConvCommand.unique", "ConvCommand.uniqueId", "ConvCommand.existing")
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


@pytest.mark.covers("ConvCommand.unique")
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


@pytest.mark.covers("ConvCommand.attr", "JsonObjectMessage.data")
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
