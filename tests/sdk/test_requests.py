"""What is asked of the server, against a scripted gateway."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hongyan_client import Failure, HongyanError, Marks, Message, Raw, Recalled, Text

from tests.sdk.gateway import START, Gateway, rows

SENT = Message("id1", "c1", "tom", START, Text("old"))


async def test_edit_and_recall(gateway: Gateway) -> None:
    gateway.answer("patch/modify", "patch", "modified", lastPatchTime=START + 5)
    async with gateway.open() as tom:
        conversation = tom.conversation("c1")
        changed = await conversation.edit(SENT, Raw("new"), mentions=["jerry"])
        assert (changed.content, changed.edited_at, changed.id) == (Raw("new"), START + 5, "id1")
        item = gateway.received[-1].patchMessage.patches[0]
        assert (item.cid, item.mid, item.timestamp, item.data) == ("c1", "id1", START, "new")
        assert list(item.mentionPids) == ["jerry"]
        assert (await conversation.recall(SENT)).content == Recalled()
        item = gateway.received[-1].patchMessage.patches[0]
        assert (item.recall, item.data) == (True, '{"_lctype": -127}')


async def test_update(gateway: Gateway) -> None:
    gateway.answer("conv/update", "conv", "updated", attrModified={"data": '{"attr": {"a": 2}, "name": "New"}'})
    async with gateway.open() as tom:
        conversation = tom.conversation("c1")
        await conversation.update(name="New", topic=None, **{"attr.a": 2})
        asked = json.loads(gateway.received[-1].convMessage.attr.data)
        assert asked == {"name": "New", "topic": {"__op": "Delete"}, "attr.a": 2}
        assert (conversation.name, conversation.attributes) == ("New", {"a": 2})


async def test_mute_count_members_and_membership(gateway: Gateway) -> None:
    gateway.answer("conv/mute", "conv", "updated")
    gateway.answer("conv/unmute", "conv", "updated")
    gateway.answer("conv/count", "conv", "result", count=7)
    gateway.answer("conv/members", "conv", "members", m=["jerry"])
    gateway.answer("conv/is_member", "conv", "is_member", results={"data": '{"c1": true}'})
    async with gateway.open() as tom:
        conversation = tom.conversation("c1")
        await conversation.mute()
        assert conversation.muted
        await conversation.unmute()
        assert not conversation.muted
        assert await conversation.count() == 7
        assert await conversation.online_members() == ["jerry"]
        assert await conversation.is_member()


async def test_receipt_marks(gateway: Gateway) -> None:
    gateway.answer("conv/max_read", "conv", "max_read", maxReadTimestamp=5, maxAckTimestamp=6)
    async with gateway.open() as tom:
        assert await tom.conversation("c1").receipts() == Marks(delivered=6, read=5)
        marks = [{"pid": "jerry", "maxAckTimestamp": 8, "maxReadTimestamp": 7}]
        gateway.answer("conv/max_read", "conv", "max_read", maxReadTuples=marks)
        assert await tom.conversation("c1").receipts_by_member() == {"jerry": Marks(8, 7)}
        assert gateway.received[-1].convMessage.queryAllMembers


async def test_members_for_whom_it_failed(gateway: Gateway) -> None:
    failed = [{"code": 4548, "reason": "BLOCKED_BY_CONV", "pids": ["spike"]}]
    gateway.answer("conv/add", "conv", "added", allowedPids=["jerry"], failedPids=failed)
    async with gateway.open() as tom:
        changed = await tom.conversation("c1").add("spike", "jerry")
        assert changed.done == ("jerry",)
        assert changed.failed == (Failure(4548, "BLOCKED_BY_CONV", ("spike",)),)
        gateway.answer("conv/add", "conv", "added", failedPids=failed)
        with pytest.raises(HongyanError, match="4548 BLOCKED_BY_CONV: spike"):
            await tom.conversation("c1").add("spike")


async def test_options_of_a_message(gateway: Gateway) -> None:
    gateway.answer("direct", "ack", uid="id1", t=START)
    async with gateway.open() as tom:
        sent = await tom.conversation("c1").send(
            "hi", receipt=True, will=True, mention_all=True, mentions=["jerry"], push_data={"alert": "雁"}, priority=1
        )
        asked = gateway.received[-1]
        direct = asked.directMessage
        assert json.loads(direct.msg) == {"_lctype": -1, "_lctext": "hi"}
        assert (direct.r, direct.will, direct.mentionAll, asked.priority) == (True, True, True, 1)
        assert (list(direct.mentionPids), json.loads(direct.pushData)) == (["jerry"], {"alert": "雁"})
        assert (sent.id, sent.timestamp, sent.sender) == ("id1", START, "tom")


async def test_a_refused_message_says_why(gateway: Gateway) -> None:
    refusal: dict[str, Any] = {"code": 4402, "reason": "MESSAGE_REJECTED_BY_APP", "appCode": 7, "appMsg": "not here"}
    gateway.answer("direct", "ack", uid="", t=START, **refusal)
    async with gateway.open() as tom:
        with pytest.raises(HongyanError) as refused:
            await tom.conversation("c1").send("hi")
    error = refused.value
    assert (error.code, error.reason, error.detail, error.app_code) == (4402, refusal["reason"], "not here", 7)


async def test_kinds_of_conversations(gateway: Gateway) -> None:
    gateway.answer("conv/start", "conv", "started", cid="c9", cdate="2026-01-12T08:00:00.000Z")
    async with gateway.open() as tom:
        await tom.create_conversation(chat_room=True)
        room = gateway.received[-1].convMessage
        assert (room.transient, room.unique, list(room.m)) == (True, False, [])
        await tom.create_conversation("jerry", temporary=True, ttl=60)
        brief = gateway.received[-1].convMessage
        assert (brief.tempConv, brief.tempConvTTL, list(brief.m)) == (True, 60, ["jerry", "tom"])
        made = await tom.create_conversation("jerry", name="Geese", attributes={"a": 1}, unique=False, topic="x")
        assert json.loads(gateway.received[-1].convMessage.attr.data) == {
            "name": "Geese",
            "attr": {"a": 1},
            "topic": "x",
        }
        assert made.created_at == datetime(2026, 1, 12, 8, tzinfo=UTC)
        gateway.answer("conv/query", "conv", "results", results={"data": '[{"objectId": "_tmp:1", "c": "jerry"}]'})
        assert (await tom.get_conversation("_tmp:1")).creator == "jerry"
        assert list(gateway.received[-1].convMessage.tempConvIds) == ["_tmp:1"]


async def test_a_query_is_built(gateway: Gateway) -> None:
    gateway.answers["conv/query"] = rows({"objectId": "c1", "m": ["tom"], "mu": ["tom"], "own": 1, "conv_type": 1})
    async with gateway.open() as tom:
        since = datetime(2026, 1, 12, 8, tzinfo=UTC)
        query = tom.query().where("own", 1).where("updatedAt", gte=since).where("attr.size", lt=9, exists=True)
        found = await query.members_include("jerry").where("m", size=2).sort("-lm", "name").skip(2).compact().first()
        assert found is not None
        assert (found.columns, found.muted, found.members) == ({"own": 1}, True, ("tom",))
        asked = gateway.received[-1].convMessage
        assert json.loads(asked.where.data) == {
            "own": 1,
            "updatedAt": {"$gte": {"__type": "Date", "iso": "2026-01-12T08:00:00.000Z"}},
            "attr.size": {"$lt": 9, "$exists": True},
            "m": {"$all": ["jerry"], "$size": 2},
        }
        assert (asked.sort, asked.skip, asked.limit, asked.flag) == ("-lm,name", 2, 1, 1)
        both = tom.query().where("m", "a").where("m", "b").condition()
        assert both == {"$and": [{"m": "a"}, {"m": "b"}]}
        with pytest.raises(ValueError, match="unknown operators"):
            tom.query().where("name", like="x")
        with pytest.raises(ValueError, match="give a value"):
            tom.query().where("name")


async def test_values_that_the_protocol_cannot_carry(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        with pytest.raises(ValueError, match="direct"):
            await tom.conversation("c1").send("hi", mentions=[5])  # type: ignore[list-item]
        with pytest.raises(ValueError, match="JSON"):
            await tom.conversation("c1").send(Text("x", {"a": object()}))
        assert gateway.names() == ["session/open"]
