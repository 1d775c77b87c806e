"""`conv/query` (reference 3.10, 6)."""

import asyncio
import base64
import re
from typing import Any

import pytest

from tests.gateway.talk import clients, people
from tests.support.client import Refused, Session, named
from tests.support.server import Server

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
COMPACT, WITH_LAST_MESSAGE = 1, 2


async def found(session: Session, where: dict[str, Any], **fields: Any) -> list[str]:
    """Ids of the conversations that meet the condition."""
    return [row["objectId"] for row in await session.query(where, **fields)]


@pytest.mark.covers("conv/query", "conv/results", "ConvCommand.results")
async def test_a_row_has_the_shape_sdks_expect(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        (row,) = await tom.query({"objectId": conversation})
        assert row.pop("createdAt") == row.pop("updatedAt")
        expected = {"objectId": conversation, "c": tom.peer, "m": [jerry.peer, tom.peer], "mu": [], "conv_type": 1}
        assert row == expected
        ack = await tom.send(conversation, "hi")
        (row,) = await tom.query({"objectId": conversation})
        assert row["lm"]["__type"] == "Date"
        assert TIME.fullmatch(row["lm"]["iso"])
        assert row["lm"]["iso"].endswith(f".{ack.t % 1000:03}Z")
        assert "msg" not in row


@pytest.mark.covers("conv/results")
async def test_reply_is_results_with_the_client(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        reply = await tom.request("conv", "query")
        assert (named(reply), reply.peerId, reply.service) == ("conv/results", tom.peer, 2)


@pytest.mark.covers("ConvCommand.where", "JsonObjectMessage.data")
async def test_anybody_finds_a_conversation_by_its_id(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        ids = [await tom.start() for _ in range(3)]
        assert await found(jerry, {"objectId": ids[0]}) == [ids[0]]
        assert sorted(await found(jerry, {"objectId": {"$in": [*ids, "unknown"]}})) == sorted(ids)
        assert await found(jerry, {"objectId": "unknown"}) == []
        assert await found(jerry, {"objectId": {"$in": []}}) == []


async def test_without_a_condition_the_own_conversations_are_meant(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        shared = await tom.start(jerry.peer)
        other = await tom.start()
        assert shared in await found(jerry, {})
        assert other not in await found(jerry, {})
        reply = await jerry.request("conv", "query")
        assert shared in reply.convMessage.results.data


@pytest.mark.covers("ConvCommand.where")
async def test_conversations_by_their_members(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        jerry, spike = people("jerry", "spike")
        pair = await tom.start(jerry)
        three = await tom.start(jerry, spike)
        assert sorted(await found(tom, {"m": jerry})) == sorted([pair, three])
        assert await found(tom, {"m": spike}) == [three]
        assert sorted(await found(tom, {"m": {"$in": [spike, jerry]}})) == sorted([pair, three])
        assert await found(tom, {"m": {"$all": [jerry, tom.peer], "$size": 2}}) == [pair]
        assert await found(tom, {"m": {"$all": [spike, jerry]}}) == [three]
        assert await found(tom, {"m": "nobody"}) == []


async def test_conversations_by_other_fields(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        (name,) = people("name")
        plain = await tom.start("jerry", attr={"data": f'{{"name": "{name}"}}'})
        unique = await tom.start("jerry", unique=True)
        assert await found(tom, {"name": name}) == [plain]
        assert await found(tom, {"m": tom.peer, "unique": True}) == [unique]
        assert unique not in await found(tom, {"c": tom.peer, "unique": False})
        assert await found(tom, {"m": tom.peer, "tr": True}) == []
        assert await found(tom, {"m": tom.peer, "sys": True}) == []


@pytest.mark.covers("ConvCommand.limit", "ConvCommand.skip")
async def test_pages(server: Server) -> None:
    """Ten rows unless asked otherwise; a limit of 0 is none."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        ids = [await tom.start(jerry.peer) for _ in range(12)]
        everything = {"m": {"$all": [tom.peer, jerry.peer]}}
        newest_first = ids[::-1]
        assert await found(tom, everything) == newest_first[:10]
        assert await found(tom, everything, limit=0) == []
        assert await found(tom, everything, limit=1000) == newest_first
        assert await found(tom, everything, limit=5, skip=10) == newest_first[10:]
        assert await found(tom, everything, skip=100) == []


@pytest.mark.covers("ConvCommand.sort")
async def test_order(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        everything = {"m": {"$all": [tom.peer, jerry.peer]}}
        first, second, third = [await tom.start(jerry.peer) for _ in range(3)]
        await tom.send(second, "hi")
        assert await found(tom, everything, sort="-lm,createdAt") == [second, first, third]
        assert await found(tom, everything, sort="createdAt") == [first, second, third]
        assert await found(tom, everything, sort="-updatedAt") == [third, second, first]


async def test_default_order_is_the_latest_message_then_the_latest_made_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        first, second, third = [await tom.start(jerry.peer) for _ in range(3)]
        await tom.send(first, "hi")
        assert await found(tom, {"m": {"$all": [tom.peer, jerry.peer]}}) == [first, third, second]


@pytest.mark.covers("ConvCommand.flag")
async def test_compact_rows_have_no_members(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start("jerry")
        (row,) = await tom.query({"objectId": conversation}, flag=COMPACT)
        assert not row.get("m")
        assert row["objectId"] == conversation


@pytest.mark.covers("ConvCommand.flag")
async def test_the_last_message_comes_when_asked_for(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        (row,) = await tom.query({"objectId": conversation}, flag=WITH_LAST_MESSAGE)
        assert "msg" not in row
        await tom.send(conversation, "old")
        ack = await tom.send(conversation, "new", mentionAll=True, mentionPids=[jerry.peer])
        (row,) = await tom.query({"objectId": conversation}, flag=WITH_LAST_MESSAGE)
        assert (row["msg"], row["bin"], row["msg_mid"]) == ("new", False, ack.uid)
        assert (row["msg_from"], row["msg_timestamp"]) == (tom.peer, ack.t)
        assert (row["mention_all"], row["mention_pids"]) == (True, [jerry.peer])
        await tom.request("direct", cid=conversation, binaryMsg=b"\0\xff")
        (row,) = await tom.query({"objectId": conversation}, flag=COMPACT | WITH_LAST_MESSAGE)
        assert (base64.b64decode(row["msg"]), row["bin"]) == (b"\0\xff", True)


async def test_the_last_message_is_for_members(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start()
        await tom.send(conversation, "private")
        reply = await jerry.request(
            "conv", "query", where={"data": f'{{"objectId": "{conversation}"}}'}, flag=WITH_LAST_MESSAGE
        )
        assert conversation in reply.convMessage.results.data
        assert "private" not in reply.convMessage.results.data


async def test_there_are_no_temporary_conversations_yet(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        reply = await tom.request("conv", "query", tempConvIds=["_tmp:1", "_tmp:2"])
        assert reply.convMessage.results.data == "[]"


@pytest.mark.parametrize(
    "fields",
    [
        {"where": {"data": "{"}},
        {"where": {"data": "[]"}},
        {"where": {"data": '"x"'}},
        {"where": {"data": '{"color": "red"}'}},
        {"where": {"data": '{"m": 5}'}},
        {"where": {"data": '{"m": null}'}},
        {"where": {"data": '{"m": {"$regex": "x"}}'}},
        {"where": {"data": '{"m": {"$size": 1e30}}'}},
        {"where": {"data": '{"m": {"$size": 99999999999999999999}}'}},
        {"where": {"data": '{"m": {"$size": true}}'}},
        {"where": {"data": '{"m": {"$in": "tom"}}'}},
        {"where": {"data": '{"m": {"$all": [1]}}'}},
        {"where": {"data": '{"m": {"$in": [' + '"x",' * 1000 + '"x"]}}'}},
        {"where": {"data": '{"c": "\\ud800"}'}},
        {"where": {"data": '{"unique": "yes"}'}},
        {"where": {"data": "[" * 60_000}},
        {"where": {"data": "9" * 5_000}},
        {"sort": "color"},
        {"sort": "-"},
        {"sort": ",".join(["lm"] * 5_000)},
    ],
    ids=lambda fields: str(fields)[:60],
)
async def test_what_cannot_be_asked_is_refused(server: Server, fields: dict[str, Any]) -> None:
    async with clients(server, "tom") as (tom,):
        with pytest.raises(Refused, match="4310 CONVERSATION_QUERY_FAILED"):
            await tom.request("conv", "query", **fields)


@pytest.mark.parametrize("fields", [{"limit": -1}, {"limit": 2**31 - 1}, {"skip": -1}, {"skip": 2**31 - 1}])
async def test_extreme_pages_are_answered(server: Server, fields: dict[str, int]) -> None:
    async with clients(server, "tom") as (tom,):
        assert isinstance(await tom.query({}, **fields), list)


async def test_many_queries_at_once_are_all_answered(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        answers = await asyncio.gather(*(found(tom, {"objectId": conversation}) for _ in range(300)))
        assert answers == [[conversation]] * 300
