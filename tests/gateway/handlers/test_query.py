"""`conv/query` (reference 3.10, 6)."""

import asyncio
import base64
import json
import re
from typing import Any

import pytest

from tests.gateway.talk import clients, people
from tests.support.client import Refused, Session, named
from tests.support.rest import passed
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


async def start_with(session: Session, **attributes: Any) -> str:
    """A conversation with these columns, and the client's id in a column `of`."""
    return await session.start(attr={"data": json.dumps({"of": session.peer, **attributes})})


KEYS = ["color", "a b", 'q"', "\\", "名", "'; DROP TABLE member; --", "[0]", "$", "%", "😀"]


@pytest.mark.parametrize("key", [key for key in KEYS if not key.startswith("$")])
async def test_custom_keys_are_only_keys(server: Server, key: str) -> None:
    """Whatever stands in a key or a value, it is compared and nothing else."""
    async with clients(server, "tom") as (tom,):
        mine = {"of": tom.peer}
        one = await start_with(tom, **{key: "'\"\\", "attr": {key: {key: 1}}})
        other = await start_with(tom, **{f"{key}.": "'\"\\", "attr": {f"{key}x": 1}})
        assert await found(tom, mine | {key: "'\"\\"}) == [one]
        assert await found(tom, mine | {key: {"$exists": False}}) == [other]
        assert await found(tom, mine | {f"attr.{key}.{key}": 1}) == [one]
        assert await found(tom, mine | {f"attr.{key}": {"$ne": {key: 1}}}) == [other]
        assert await found(tom, mine, sort=f"-{key}") == [one, other]


async def test_conditions_on_attributes(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        now = {"__type": "Date", "iso": "2027-01-15T08:00:00.000Z"}
        red = await start_with(tom, name="Red room", attr={"color": "red", "size": 3}, tags=["a", "b"], due=now)
        blue = await start_with(tom, name="blue.", attr={"color": "blue", "size": 10}, tags=[], pinned=True)

        async def answer(where: dict[str, Any]) -> list[str]:
            """Anybody may ask."""
            return await found(jerry, {"of": tom.peer, **where}, sort="attr.size")

        assert await answer({"attr.color": "red"}) == [red]
        assert await answer({"attr.size": {"$gt": 3, "$lte": 10}}) == [blue]
        assert await answer({"attr.size": "3"}) == []
        assert await answer({"attr": {"size": 10, "color": "blue"}}) == [blue]
        assert await answer({"tags": "b"}) == [red]
        assert await answer({"tags": {"$size": 0}}) == [blue]
        assert await answer({"tags": {"$all": ["b", "a"]}}) == [red]
        assert await answer({"pinned": {"$ne": True}}) == [red]
        assert await answer({"due": {"$lte": now}}) == [red]
        assert await answer({"name": {"$regex": r"\Q.\E$"}}) == [blue]
        assert await answer({"name": {"$regex": "^r.*M$", "$options": "i"}}) == [red]
        assert await answer({"$or": [{"attr.color": "red"}, {"pinned": True}]}) == [red, blue]
        assert await answer({"$and": [{"tags": "a"}, {"tags": "b"}]}) == [red]
        assert await answer({"attr.color": {"$in": ["blue", "green"]}}) == [blue]
        assert await answer({"attr.color": {"$nin": ["blue", "green"]}}) == [red]
        assert await found(jerry, {"of": tom.peer}, sort="-attr.size") == [blue, red]


async def test_times_are_exact_to_the_millisecond(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        ack = await tom.send(conversation, "hi")
        (row,) = await tom.query({"objectId": conversation})
        for key, iso in (("createdAt", row["createdAt"]), ("updatedAt", row["updatedAt"]), ("lm", row["lm"]["iso"])):
            date = {"__type": "Date", "iso": iso}
            assert await found(tom, {"objectId": conversation, key: date}) == [conversation]
            assert await found(tom, {"objectId": conversation, key: {"$gte": date, "$lte": date}}) == [conversation]
            assert await found(tom, {"objectId": conversation, key: {"$gt": date}}) == []
            assert await found(tom, {"objectId": conversation, key: {"$lt": date}}) == []
        assert await found(tom, {"objectId": conversation, "createdAt": row["createdAt"]}) == [conversation]
        assert await found(tom, {"objectId": conversation, "lm": ack.t}) == []


async def test_values_of_another_type_do_not_match(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await start_with(tom, name="1", number=1)
        for key, value in (("name", 1), ("m", 5), ("m", None), ("number", "1"), ("number", True), ("unique", "false")):
            assert await found(tom, {"of": tom.peer, key: value}) == [], (key, value)
            assert await found(tom, {"of": tom.peer, key: {"$ne": value}}) == [conversation], (key, value)


async def test_the_other_kinds_are_told_apart(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        for where in ({"conv_type": 1}, {"tr": {"$ne": True}}, {"sys": {"$exists": False}}, {"tr": False}):
            assert await found(tom, {"objectId": conversation, **where}) == [conversation], where
        for where in ({"conv_type": 2}, {"tr": True}, {"sys": {"$exists": True}}):
            assert await found(tom, {"objectId": conversation, **where}) == [], where


async def test_any_other_condition_is_about_all_conversations(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start()
        assert conversation in await found(
            jerry, {"m": {"$ne": jerry.peer}}, limit=1000, sort="-createdAt", flag=COMPACT
        )


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


async def started_later(session: Session, member: str) -> str:
    """A conversation that has the millisecond in which it is made for itself: it alone decides the order."""
    reply = await session.request("conv", "start", m=[member])
    await passed(reply.serverTs)
    return reply.convMessage.cid


@pytest.mark.covers("ConvCommand.sort")
async def test_order(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        everything = {"m": {"$all": [tom.peer, jerry.peer]}}
        first, second, third = [await started_later(tom, jerry.peer) for _ in range(3)]
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
        {"where": {"data": '{"m": {"$size": 1e30}}'}},
        {"where": {"data": '{"m": {"$size": 99999999999999999999}}'}},
        {"where": {"data": '{"m": {"$size": true}}'}},
        {"where": {"data": '{"m": {"$in": "tom"}}'}},
        {"where": {"data": '{"m": {"$in": [' + '"x",' * 1000 + '"x"]}}'}},
        {"where": {"data": '{"c": "\\ud800"}'}},
        {"where": {"data": '{"createdAt": {"$gt": "yesterday"}}'}},
        {"where": {"data": '{"lm": {"$gt": {"__type": "Date", "iso": ""}}}'}},
        {"where": {"data": '{"a": {"$regex": "("}}'}},
        {"where": {"data": '{"a": {"$regex": "(?<=x)a"}}'}},
        {"where": {"data": '{"a": {"$nearSphere": {"__type": "GeoPoint", "latitude": 1, "longitude": 1}}}'}},
        {"where": {"data": '{"$where": "1"}'}},
        {"where": {"data": '{"$or": []}'}},
        {"where": {"data": '{"$or":[' * 90 + '{"a": 1}' + "]}" * 90}},
        {"where": {"data": json.dumps({"$or": [{"a": n} for n in range(1_000)]})}},
        {"where": {"data": json.dumps({"a": {"$in": [[n] for n in range(1_000)]}})}},
        {"where": {"data": json.dumps({"x" * 10_000: 1})}},
        {"where": {"data": json.dumps({".".join("x" * 1_000): 1})}},
        {"where": {"data": "[" * 60_000}},
        {"where": {"data": "9" * 5_000}},
        {"sort": "m"},
        {"sort": "-"},
        {"skip": 2**31 - 1},
        {"sort": ",".join(["lm"] * 5_000)},
    ],
    ids=lambda fields: str(fields)[:60],
)
async def test_what_cannot_be_asked_is_refused(server: Server, fields: dict[str, Any]) -> None:
    async with clients(server, "tom") as (tom,):
        with pytest.raises(Refused, match="4310 CONVERSATION_QUERY_FAILED"):
            await tom.request("conv", "query", **fields)


@pytest.mark.parametrize("fields", [{"limit": -1}, {"limit": 2**31 - 1}, {"skip": -1}, {"skip": 100_000}])
async def test_extreme_pages_are_answered(server: Server, fields: dict[str, int]) -> None:
    async with clients(server, "tom") as (tom,):
        assert isinstance(await tom.query({}, **fields), list)


async def test_many_queries_at_once_are_all_answered(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        answers = await asyncio.gather(*(found(tom, {"objectId": conversation}) for _ in range(300)))
        assert answers == [[conversation]] * 300
