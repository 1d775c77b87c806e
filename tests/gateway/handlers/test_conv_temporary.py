"""Temporary conversations on the wire (reference 3.8, 4.1, 6.1)."""

import json
from typing import Any

import pytest

from hongyan.engine.values import TEMPORARY_PREFIX
from tests.gateway.apps import STRICT, into
from tests.gateway.handlers.conversations import names, row
from tests.gateway.handlers.refusals import refusal
from tests.gateway.handlers.test_offline import offline
from tests.gateway.talk import clients, login_pushes, people, push_names, pushes, settle, settled, told
from tests.gateway.test_missed_notifications import missed
from tests.support.client import CAPABILITIES, Session, command, connect, login, named
from tests.support.server import Server

KNOWS_TEMPORARY = 0x02
DAY = 86_400


async def start(session: Session, *members: str, ttl: int | None = None, **fields: Any) -> str:
    more = {} if ttl is None else {"tempConvTTL": ttl}
    return await session.start(*members, tempConv=True, **more, **fields)


async def found(session: Session, *ids: str, **fields: Any) -> list[dict[str, Any]]:
    """The rows of these ids."""
    reply = await session.request("conv", "query", tempConvIds=list(ids), **fields)
    rows: list[dict[str, Any]] = json.loads(reply.convMessage.results.data)
    return rows


@pytest.mark.covers("ConvCommand.tempConv", "ConvCommand.tempConvTTL", "ConvCommand.existing")
async def test_started_tells_the_lifetime_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        reply = await tom.request("conv", "start", m=[jerry.peer], tempConv=True, tempConvTTL=600)
        started = reply.convMessage
        assert named(reply) == "conv/started"
        assert started.cid.startswith(TEMPORARY_PREFIX)
        assert started.tempConvTTL == 600
        assert not started.HasField("existing")
        assert not started.HasField("uniqueId")
        again = (await jerry.request("conv", "start", m=[tom.peer], tempConv=True, tempConvTTL=60)).convMessage
        assert (again.cid, again.existing, again.cdate) == (started.cid, True, started.cdate)
        assert 590 < again.tempConvTTL <= 600  # what is left of it


@pytest.mark.parametrize("ttl", [None, 0, -1, DAY + 1, 2**31 - 1])
async def test_a_lifetime_is_a_day_at_most(server: Server, ttl: int | None) -> None:
    async with clients(server, "tom") as (tom,):
        more = {} if ttl is None else {"tempConvTTL": ttl}
        reply = await tom.request("conv", "start", m=people("jerry"), tempConv=True, **more)
        assert reply.convMessage.tempConvTTL == DAY


async def test_the_members_are_told_of_what_kind_it_is(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        request = command("conv", "start", tom.peer, m=[jerry.peer], tempConv=True, tempConvTTL=600)
        received = await told(tom, request)
        assert names(received) == ["conv/started", "conv/joined", "conv/members_joined"]
        of_jerry = await pushes(jerry)
        assert names(of_jerry) == ["conv/joined", "conv/members_joined"]
        for push in [*received[1:], *of_jerry]:
            change = push.convMessage
            assert (change.cid, change.initBy) == (received[0].convMessage.cid, tom.peer)
            assert (change.tempConv, change.tempConvTTL) == (True, 600)
        await jerry.request("conv", "start", m=[tom.peer], tempConv=True)
        assert await push_names(tom) == await push_names(jerry) == []


async def test_a_normal_conversation_has_no_such_fields(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        received = await told(tom, command("conv", "start", tom.peer))
        for push in received:
            assert not push.convMessage.HasField("tempConv")
            assert not push.convMessage.HasField("tempConvTTL")
        assert not {"temp", "ttl", "tempConv", "tempConvTTL"} & (await row(tom, received[0].convMessage.cid)).keys()


async def test_a_temporary_conversation_goes_before_a_unique_one(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        (jerry,) = people("jerry")
        reply = (await tom.request("conv", "start", m=[jerry], tempConv=True, unique=True)).convMessage
        assert reply.cid.startswith(TEMPORARY_PREFIX)
        assert not reply.HasField("uniqueId")
        unique = (await tom.request("conv", "start", m=[jerry], unique=True)).convMessage
        assert not unique.HasField("existing")
        assert not unique.HasField("tempConvTTL")


@pytest.mark.covers("ConvCommand.tempConvIds")
async def test_a_row_carries_all_the_names_sdks_look_for_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry", "eve") as (tom, jerry, eve):
        attributes = {"data": json.dumps({"name": "n", "attr": {"a": 1}, "ttl": 5, "tempConv": False})}
        conversation = await start(tom, jerry.peer, ttl=600, attr=attributes)
        (shown,) = await found(jerry, conversation, "_tmp:absent")
        ttl = shown["ttl"]
        assert 590 < ttl <= 600
        assert shown == {
            "objectId": conversation,
            "c": tom.peer,
            "m": [tom.peer, jerry.peer] if tom.peer < jerry.peer else [jerry.peer, tom.peer],
            "name": "n",
            "attr": {"a": 1},
            "temp": True,
            "ttl": ttl,
            "tempConv": True,
            "tempConvTTL": ttl,
            "conv_type": 4,
            "createdAt": shown["createdAt"],
            "updatedAt": shown["createdAt"],
        }
        await tom.send(conversation, "hi")
        (shown,) = await found(jerry, conversation, flag=2, where={"data": "["})
        assert (shown["msg"], shown["msg_from"]) == ("hi", tom.peer)
        assert await found(eve, conversation) == []
        assert await tom.query({"objectId": conversation}) == await tom.query({"conv_type": 4}) == []


async def test_it_is_found_by_a_thousand_ids_at_most(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await start(tom)
        assert len(await found(tom, *[conversation] * 1000)) == 1
        assert (await refusal(tom.request("conv", "query", tempConvIds=["_tmp:a"] * 1001)))[0] == 4310


async def test_messages_go_their_usual_ways(server: Server) -> None:
    async with clients(server, "tom", "jerry", "eve") as (tom, jerry, eve):
        conversation = await start(tom, jerry.peer)
        await pushes(jerry)
        ack = await tom.send(conversation, "hi", r=True)
        (direct,) = await pushes(jerry)
        message = direct.directMessage
        assert (message.cid, message.msg, message.id, message.convType) == (conversation, "hi", ack.uid, 4)
        await jerry.read(conversation)
        unread = (await jerry.expect("unread")).unreadMessage
        assert [(item.cid, item.unread, item.convType) for item in unread.convs] == [(conversation, 0, 4)]
        assert (await tom.expect("rcp")).rcpMessage.read
        (item,) = await jerry.logs(conversation)
        assert (item.msgId, item.convType) == (ack.uid, 4)
        await tom.request(
            "patch", "modify", patches=[{"cid": conversation, "mid": ack.uid, "timestamp": ack.t, "data": b"new"}]
        )
        assert (await jerry.expect("patch/modify")).patchMessage.patches[0].data == "new"
        assert await push_names(eve) == []


REFUSED = [
    (("conv", "add"), {"m": ["x"]}, (4307, "CONVERSATION_READ_ONLY")),
    (("conv", "remove"), {"m": ["x"]}, (4307, "CONVERSATION_READ_ONLY")),
    (("conv", "update"), {"attr": {"data": '{"name":"n"}'}}, (4307, "CONVERSATION_READ_ONLY")),
    (("conv", "mute"), {}, (4314, "NORMAL_CONVERSATION_REQUIRED")),
    (("conv", "unmute"), {}, (4314, "NORMAL_CONVERSATION_REQUIRED")),
    (("conv", "members"), {}, (4316, "TRANSIENT_CONVERSATION_REQUIRED")),
]


@pytest.mark.parametrize(("asked", "fields", "answer"), REFUSED)
async def test_what_is_not_for_temporary_conversations(
    server: Server, asked: tuple[str, str], fields: dict[str, Any], answer: tuple[int, str]
) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await start(tom, jerry.peer)
        assert await refusal(tom.request(*asked, cid=conversation, **fields)) == answer


NOT_FOR_STRANGERS = [
    (("direct",), {"msg": "hi"}, (4303, "CONVERSATION_NOT_FOUND")),
    (("direct",), {"msg": "hi", "transient": True}, (4303, "CONVERSATION_NOT_FOUND")),
    (("logs",), {}, (4312, "CONVERSATION_LOG_REJECTED")),
    (("conv", "count"), {}, (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")),
    (("conv", "max_read"), {}, (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")),
    (("conv", "mute"), {}, (4317, "CONVERSATION_MEMBERSHIP_REQUIRED")),
    (("conv", "add"), {"m": ["x"]}, (4307, "CONVERSATION_READ_ONLY")),
]


@pytest.mark.parametrize(("asked", "fields", "answer"), NOT_FOR_STRANGERS)
async def test_what_strangers_are_told(
    server: Server, asked: tuple[str, ...], fields: dict[str, Any], answer: tuple[int, str]
) -> None:
    async with clients(server, "tom", "jerry", "eve") as (tom, jerry, eve):
        conversation = await start(tom, jerry.peer)
        assert await refusal(eve.request(*asked, cid=conversation, **fields)) == answer


UNKNOWN = [
    ("direct",),
    ("logs",),
    *(("conv", op) for op in ("add", "remove", "update", "mute", "unmute", "count", "members", "max_read")),
]


@pytest.mark.parametrize("asked", UNKNOWN)
async def test_an_id_of_none_is_not_found(server: Server, asked: tuple[str, ...]) -> None:
    """SDKs take it for one that has ended."""
    async with clients(server, "tom") as (tom,):
        answer = await refusal(tom.request(*asked, cid="_tmp:65f000000000000000000001"))
        assert answer == (4303, "CONVERSATION_NOT_FOUND")


async def test_an_edit_of_none_is_not_found(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        patch = {"cid": "_tmp:65f000000000000000000001", "mid": "x" * 22, "timestamp": 1, "data": b"new"}
        assert await refusal(tom.request("patch", "modify", patches=[patch])) == (4303, "CONVERSATION_NOT_FOUND")


async def test_what_cannot_be_started(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        for fields, code in (
            ({"m": people(*"abcdefghij")}, 4304),
            ({"m": [""]}, 4301),
            ({"m": ["x" * 65]}, 4301),
            ({"attr": {"data": "["}}, 4301),
            ({"attr": {"data": '{"name":1}'}}, 4301),
        ):
            assert (await refusal(tom.request("conv", "start", tempConv=True, **fields)))[0] == code
        assert await push_names(tom) == []
        assert (await start(tom, *people(*"abcdefghi"))).startswith(TEMPORARY_PREFIX)


async def test_it_needs_no_room_of_a_normal_one(server: Server) -> None:
    """The app's number of members is that of normal conversations."""
    async with settled(into(server, STRICT), people("tom")[0]) as tom:
        assert (await start(tom, *people("a", "b", "c", "d"))).startswith(TEMPORARY_PREFIX)


async def test_clients_that_do_not_know_the_kind_hear_nothing_of_it_inferred(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,), connect(server) as old, settled(server, jerry) as new:
        session = await old.open(jerry, configBitmap=CAPABILITIES & ~KNOWS_TEMPORARY)
        await settle(session)
        await pushes(new)
        conversation = await start(tom, jerry)
        ack = await tom.send(conversation, "hi", r=True)
        await tom.send(conversation, "typing", transient=True)
        patch = {"cid": conversation, "mid": ack.uid, "timestamp": ack.t, "data": b"new"}
        await tom.request("patch", "modify", patches=[patch])
        await new.read(conversation)
        await new.expect("unread")
        own = await session.request("direct", cid=conversation, msg="of the old one", r=True)
        assert own.ackMessage.uid
        await tom.read(conversation)
        await tom.expect("unread")
        assert await push_names(new) == [
            "conv/joined",
            "conv/members_joined",
            "direct",
            "direct",
            "patch/modify",
            "direct",
            "rcp",
        ]
        assert await push_names(session) == []
        # a normal one is told as ever
        await tom.start(jerry)
        assert await push_names(session) == ["conv/joined", "conv/members_joined"]


async def test_such_clients_are_told_nothing_of_it_after_a_login_either(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        temporary, normal = await start(tom, jerry), await tom.start(jerry)
        for conversation in (temporary, normal):
            ack = await tom.send(conversation, "hi")
            patch = {"cid": conversation, "mid": ack.uid, "timestamp": ack.t, "data": b"new"}
            await tom.request("patch", "modify", patches=[patch])
        for bitmap, told_of in ((CAPABILITIES, {temporary, normal}), (CAPABILITIES & ~KNOWS_TEMPORARY, {normal})):
            async with connect(server) as connection:
                session = await connection.open(jerry, configBitmap=bitmap, lastPatchTime=ack.t - 60_000)
                received = await login_pushes(session)
                unread = [item.cid for push in received for item in push.unreadMessage.convs]
                edited = [item.cid for push in received for item in push.patchMessage.patches]
                assert set(unread) == set(edited) == told_of
                missing = await missed(server, session, ack.t - 60_000)
                items = [*missing["permanent"]["notifications"], *missing["droppable"]["notifications"]]
                assert {item["cid"] for item in items if item["cid"] in (temporary, normal)} == told_of
        assert {message.cid for message in await offline(server, jerry)} == {temporary, normal}


async def test_missed_notifications_say_of_what_kind_it_is(server: Server) -> None:
    (jerry,) = people("jerry")
    async with login(server, jerry) as session:
        since = session.opened.serverTs
    async with clients(server, "tom") as (tom,):
        conversation = await start(tom, jerry, ttl=600)
        told_later = await missed(server, session, since)
        for item in [*told_later["permanent"]["notifications"], *told_later["droppable"]["notifications"]]:
            assert (item["cid"], item["tempConv"]) == (conversation, True)
            assert 590 < item["tempConvTTL"] <= 600
