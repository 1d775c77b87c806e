"""`patch`: editing and recalling, live and after a login (reference 3.21, 4.1, 4.3)."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hongyan.wire.messages2_pb2 import AckCommand, GenericCommand, PatchItem
from tests.gateway.apps import STRICT, into
from tests.gateway.handlers.conversations import row
from tests.gateway.handlers.refusals import refusal
from tests.gateway.raw import message, websocket
from tests.gateway.talk import (
    clients,
    login_pushes,
    numbered,
    open_command,
    people,
    push_names,
    pushes,
    replies,
    settle,
    settled,
    told,
)
from tests.support.client import BASE64, CAPABILITIES, PAGE, Connection, Session, command, connect, named
from tests.support.server import Server

RECALLED = '{"_lctype":-127}'
PUSH_MODE = "lc.protobuf2.1"
WITH_LAST_MESSAGE = 2
TOO_MANY = 4318


def item(conversation: str, ack: AckCommand, **fields: Any) -> dict[str, Any]:
    """What one message is to become."""
    return {"cid": conversation, "mid": ack.uid, "timestamp": ack.t, **fields}


def patch(conversation: str, ack: AckCommand, **fields: Any) -> GenericCommand:
    return command("patch", "modify", patches=[item(conversation, ack, **fields)])


def modified(reply: GenericCommand) -> int:
    """The time of the edit that the reply tells."""
    assert named(reply) == "patch/modified"
    assert (reply.patchMessage.HasField("lastPatchTime"), len(reply.patchMessage.patches)) == (True, 0)
    return reply.patchMessage.lastPatchTime


async def edit(session: Session, conversation: str, ack: AckCommand, **fields: Any) -> int:
    return modified(await session.request("patch", "modify", patches=[item(conversation, ack, **fields)]))


async def make(session: Session, requests: list[GenericCommand]) -> None:
    """Make many edits; those refused because there are more than milliseconds, again."""
    while requests:
        answers = await replies(session.connection, requests)
        again = {answer.i for answer in answers if answer.errorMessage.code == TOO_MANY}
        assert all(answer.i in again or modified(answer) for answer in answers)
        requests = [request for request in requests if request.i in again]


def pushed(push: GenericCommand) -> PatchItem:
    """The one edit of a push."""
    (only,) = push.patchMessage.patches
    assert (push.HasField("i"), push.service, push.serverTs) == (False, 2, only.patchTimestamp)
    return only


async def heard(session: Session) -> PatchItem:
    return pushed(await session.expect("patch/modify"))


def edits_in(told: list[GenericCommand]) -> list[PatchItem]:
    return [pushed(push) for push in told if named(push) == "patch/modify"]


async def edits_at_login(
    server: Server, peer: str, subprotocol: str = "lc.protobuf2.3", **fields: Any
) -> list[PatchItem]:
    """What a login of its own is told of edits, before all else."""
    async with connect(server, subprotocol) as connection:
        told = await login_pushes(await connection.open(peer, **fields))
    names = [named(push) for push in told]
    assert names == sorted(names, key=lambda name: name != "patch/modify")
    assert {push.peerId for push in told} <= {peer}
    return edits_in(told)


# live


@pytest.mark.covers(
    "patch/modify",
    "patch/modified",
    "GenericCommand.patchMessage",
    "PatchCommand.patches",
    "PatchCommand.lastPatchTime",
    "PatchItem.cid",
    "PatchItem.mid",
    "PatchItem.timestamp",
    "PatchItem.from",
    "PatchItem.patchTimestamp",
    "PatchItem.data",
)
async def test_members_and_the_author_s_other_devices_are_told(server: Server) -> None:
    async with clients(server, "tom", "jerry", "eve") as (tom, jerry, eve), settled(server, tom.peer) as pad:
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "helo")
        for session in (tom, jerry, pad):
            await pushes(session)
        at = await edit(tom, conversation, ack, data="hello")
        assert at > ack.t
        for session in (jerry, pad):
            push = await session.expect("patch/modify")
            assert push.peerId == session.peer
            only = pushed(push)
            assert (only.cid, only.mid, only.timestamp) == (conversation, ack.uid, ack.t)
            assert (getattr(only, "from"), only.patchTimestamp, only.data) == (tom.peer, at, "hello")
            absent = ("recall", "binaryMsg", "mentionAll", "patchCode", "patchReason")
            assert [field for field in absent if only.HasField(field)] == []
            assert list(only.mentionPids) == []
        for session in (tom, jerry, pad, eve):
            assert await push_names(session) == []


async def test_another_client_on_the_author_s_connection_is_told_after_the_answer(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        jerry = await tom.connection.open(people("jerry")[0])
        await settle(jerry)
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "one")
        await pushes(tom)
        request = patch(conversation, ack, data="two")
        request.peerId = tom.peer
        names = [(named(push), push.peerId) for push in await told(tom, request)]
        assert names[:2] == [("patch/modified", tom.peer), ("patch/modify", jerry.peer)]


@pytest.mark.parametrize("body", [{}, {"data": RECALLED}, {"data": "still here", "mentionAll": True}])
@pytest.mark.parametrize("before", [{"msg": "secret"}, {"binaryMsg": b"\xff"}])
@pytest.mark.covers("patch/modify", "PatchItem.recall", "LogItem.patchTimestamp")
async def test_a_recall_leaves_no_content(server: Server, before: dict[str, Any], body: dict[str, Any]) -> None:
    """JS recalls without a body, others send what is to remain."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        sent = await tom.request("direct", cid=conversation, mentionPids=[jerry.peer], **before)
        ack = sent.ackMessage
        at = await edit(tom, conversation, ack, recall=True, mentionPids=[jerry.peer], **body)
        only = await heard(jerry)
        assert (only.mid, only.recall, only.data, only.patchTimestamp) == (ack.uid, True, RECALLED, at)
        assert (only.HasField("binaryMsg"), only.HasField("mentionAll"), list(only.mentionPids)) == (False, False, [])
        (kept,) = await jerry.logs(conversation)
        assert (kept.msgId, kept.data, kept.bin, kept.patchTimestamp) == (ack.uid, RECALLED, False, at)
        assert list(kept.mentionPids) == []


async def test_a_recalled_message_stays_so_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "secret")
        at = await edit(tom, conversation, ack, recall=True)
        assert await edit(tom, conversation, ack, recall=True) == at
        again = tom.connection.request(patch(conversation, ack, data="back"))
        assert await refusal(again) == (4404, "MESSAGE_NOT_FOUND")
        await heard(jerry)
        assert "patch/modify" not in await push_names(jerry)


@pytest.mark.covers("PatchItem.mentionPids", "PatchItem.mentionAll")
async def test_mentions_are_replaced(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "hi", mentionAll=True)
        await edit(tom, conversation, ack, data="hi", mentionPids=[jerry.peer, "spike"])
        only = await heard(jerry)
        assert (list(only.mentionPids), only.HasField("mentionAll")) == ([jerry.peer, "spike"], False)
        await edit(tom, conversation, ack, data="hi", mentionAll=True)
        only = await heard(jerry)
        assert (list(only.mentionPids), only.mentionAll) == ([], True)
        (kept,) = await jerry.logs(conversation)
        assert (list(kept.mentionPids), kept.mentionAll) == ([], True)


@pytest.mark.parametrize("subprotocol", ["lc.protobuf2.3", BASE64])
@pytest.mark.parametrize("before", [{"msg": "text"}, {"binaryMsg": b"\0"}])
@pytest.mark.covers("PatchItem.binaryMsg")
async def test_binary_edits(server: Server, subprotocol: str, before: dict[str, Any]) -> None:
    async with clients(server, "tom", "jerry", subprotocol=subprotocol) as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = (await tom.request("direct", cid=conversation, **before)).ackMessage
        await edit(tom, conversation, ack, binaryMsg=b"\0\xff\xfe")
        only = await heard(jerry)
        assert (only.binaryMsg, only.HasField("data")) == (b"\0\xff\xfe", False)
        (kept,) = await jerry.logs(conversation)
        assert (kept.data, kept.bin) == ("AP/+", True)
        await edit(tom, conversation, ack, binaryMsg=b"")
        assert (await heard(jerry)).HasField("binaryMsg")
        await edit(tom, conversation, ack, data="text again 鸿雁")
        only = await heard(jerry)
        assert (only.data, only.HasField("binaryMsg")) == ("text again 鸿雁", False)


@pytest.mark.parametrize("subprotocol", ["lc.protobuf2.3", BASE64])
async def test_bytes_where_text_belongs_are_a_binary_message(server: Server, subprotocol: str) -> None:
    """So Java edits one."""
    async with clients(server, "tom", "jerry", subprotocol=subprotocol) as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = (await tom.request("direct", cid=conversation, binaryMsg=b"\0")).ackMessage
        raw = PatchItem(**item(conversation, ack)).SerializeToString() + b"\x2a\x03\xff\xc0\x80"
        request = command("patch", "modify", tom.peer)
        request.patchMessage.patches.append(PatchItem.FromString(raw))
        assert b"\x2a\x03\xff\xc0\x80" in request.SerializeToString()
        modified(await tom.connection.request(request))
        only = await heard(jerry)
        assert (only.binaryMsg, only.HasField("data")) == (b"\xff\xc0\x80", False)


async def test_clients_that_do_not_want_edits_are_told_none(server: Server) -> None:
    """They see them in history."""
    async with clients(server, "tom") as (tom,), connect(server) as connection:
        old = await connection.open(people("old")[0], configBitmap=CAPABILITIES & ~0x01)
        await settle(old)
        conversation = await tom.start(old.peer)
        ack = await tom.send(conversation, "one")
        await pushes(old)
        at = await edit(tom, conversation, ack, data="two")
        assert await push_names(old) == []
        (kept,) = await old.logs(conversation)
        assert (kept.data, kept.patchTimestamp) == ("two", at)
        own = await old.send(conversation, "mine")
        await edit(old, conversation, own, data="mine too")
        assert (await heard(tom)).data == "mine too"


async def test_who_has_left_is_told_nothing(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "one")
        await tom.request("conv", "remove", cid=conversation, m=[jerry.peer])
        await pushes(jerry)
        await edit(tom, conversation, ack, data="two")
        assert await push_names(jerry) == []


async def test_one_command_may_edit_several_messages(server: Server) -> None:
    """All or none; one push for each."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        one, two = await tom.start(jerry.peer), await tom.start(jerry.peer)
        first, second = await tom.send(one, "1"), await tom.send(two, "2")
        foreign = await jerry.send(two, "3")
        both = [item(one, first, data="one"), item(two, second, recall=True)]
        request = tom.request("patch", "modify", patches=[*both, item(two, foreign, data="x")])
        assert await refusal(request) == (4403, "MESSAGE_OWNERSHIP_REQUIRED")
        assert (await jerry.logs(one))[0].data == "1"
        at = modified(await tom.request("patch", "modify", patches=both, lastPatchTime=1))
        told = [await heard(jerry), await heard(jerry)]
        assert [(only.cid, only.data) for only in told] == [(one, "one"), (two, RECALLED)]
        assert told[0].patchTimestamp < told[1].patchTimestamp == at
        assert "patch/modify" not in await push_names(jerry)


async def test_an_edit_without_a_serial_is_made_and_not_answered(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "one")
        await pushes(tom)
        await tom.post("patch", "modify", patches=[item(conversation, ack, data="two")])
        assert (await heard(jerry)).data == "two"
        await tom.post("patch", "modify", patches=[item(conversation, ack)])
        assert await push_names(tom) == []


@pytest.mark.covers("patch/modified")
async def test_a_confirmation_is_not_answered(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "one")
        for session in (tom, jerry):
            await pushes(session)
        await tom.post("patch", "modified", lastPatchTime=ack.t, patches=[item(conversation, ack, data="two")])
        assert (await push_names(tom), await push_names(jerry)) == ([], [])
        assert (await jerry.logs(conversation))[0].data == "one"


async def test_edits_in_a_row_are_told_in_their_order(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "0")
        requests = [patch(conversation, ack, data=str(number)) for number in range(1, 50)]
        times = [modified(reply) for reply in await replies(tom.connection, requests)]
        assert times == sorted(set(times))
        told = [await heard(jerry) for _ in requests]
        assert [only.data for only in told] == [str(number) for number in range(1, 50)]
        assert [only.patchTimestamp for only in told] == times


# refusals


async def test_only_the_author_edits(server: Server) -> None:
    async with clients(server, "tom", "jerry", "eve") as (tom, jerry, eve):
        conversation, other = await tom.start(jerry.peer), await tom.start(jerry.peer)
        ack = await tom.send(conversation, "one")
        for session in (tom, jerry):
            await pushes(session)
        for fields in ({"data": "x"}, {"recall": True}):
            cases = [
                (jerry, item(conversation, ack, **fields), (4403, "MESSAGE_OWNERSHIP_REQUIRED")),
                (eve, item(conversation, ack, **fields), (4401, "INVALID_MESSAGING_TARGET")),
                (tom, item("unknown", ack, **fields), (4401, "INVALID_MESSAGING_TARGET")),
                (tom, item(other, ack, **fields), (4404, "MESSAGE_NOT_FOUND")),
                (tom, item(conversation, ack, **{**fields, "timestamp": ack.t + 1}), (4404, "MESSAGE_NOT_FOUND")),
                (tom, item(conversation, ack, **{**fields, "timestamp": -(2**63)}), (4404, "MESSAGE_NOT_FOUND")),
                (tom, item(conversation, ack, **{**fields, "mid": "x" * 22}), (4404, "MESSAGE_NOT_FOUND")),
                (tom, {"cid": conversation, **fields}, (4404, "MESSAGE_NOT_FOUND")),
            ]
            for session, wanted, error in cases:
                assert await refusal(session.request("patch", "modify", patches=[wanted])) == error
        assert await push_names(jerry) == []
        (kept,) = await jerry.logs(conversation)
        assert (kept.data, kept.HasField("patchTimestamp")) == ("one", False)


async def test_a_message_that_is_kept_nowhere_can_not_be_edited(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "typing", transient=True)
        request = tom.request("patch", "modify", patches=[item(conversation, ack, recall=True)])
        assert await refusal(request) == (4404, "MESSAGE_NOT_FOUND")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"data": "x" * 5_121}, (4109, "FRAME_TOO_LONG")),
        ({"binaryMsg": b"x" * 5_121}, (4109, "FRAME_TOO_LONG")),
        ({"data": "鸿" * 1_707}, (4109, "FRAME_TOO_LONG")),
        ({"data": "x", "mentionPids": ["y" * 64] * 100}, (4109, "FRAME_TOO_LONG")),
        ({"data": "x", "mentionPids": [""]}, (4301, "CONVERSATION_API_FAILED")),
        ({"data": "x", "mentionPids": ["y" * 65]}, (4301, "CONVERSATION_API_FAILED")),
        ({}, (4114, "UNPARSEABLE_RAW_MESSAGE")),
        ({"mentionAll": True}, (4114, "UNPARSEABLE_RAW_MESSAGE")),
    ],
)
async def test_what_can_not_be_sent_can_not_be_edited_in(
    server: Server, fields: dict[str, Any], error: tuple[int, str]
) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "one")
        await pushes(jerry)
        assert await refusal(tom.connection.request(patch(conversation, ack, **fields))) == error
        assert await push_names(jerry) == []
        assert (await jerry.logs(conversation))[0].data == "one"
        await edit(tom, conversation, ack, data="x" * 5_120)


@pytest.mark.parametrize("op", [None, "modified", "add", "upload"])
async def test_unknown_operations_are_errors(server: Server, op: str | None) -> None:
    async with clients(server, "tom") as (tom,):
        assert await refusal(tom.request("patch", op)) == (4114, "UNPARSEABLE_RAW_MESSAGE")


async def test_a_patch_of_nothing_or_of_too_much_is_an_error(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        ack = await tom.send(conversation, "one")
        assert await refusal(tom.request("patch", "modify")) == (4114, "UNPARSEABLE_RAW_MESSAGE")
        many = [item(conversation, ack, data="two")] * 31
        error = (4318, "CONVERSATION_API_QUOTA_EXCEEDED")
        assert await refusal(tom.request("patch", "modify", patches=many)) == error
        assert (await tom.logs(conversation))[0].data == "one"
        modified(await tom.request("patch", "modify", patches=many[:30]))


async def test_editing_needs_a_session(server: Server) -> None:
    async with connect(server) as connection:
        ack = AckCommand(uid="x" * 22, t=1)
        assert await refusal(connection.request(patch("any", ack, data="x"))) == (4105, "SESSION_REQUIRED")


async def test_an_app_without_editing_says_so_and_limits_the_rate_all_the_same(server: Server) -> None:
    """Each message of a command counts."""
    async with connect(into(server, STRICT)) as connection:
        tom = await connection.open(people("tom")[0])
        conversation = await tom.start()
        ack = await tom.send(conversation, "one")
        edits, recalls = [patch(conversation, ack, **fields) for fields in ({"data": "two"}, {"recall": True})]
        assert await refusal(connection.request(edits)) == (4406, "MESSAGE_EDIT_DISABLED")
        assert await refusal(connection.request(recalls)) == (4407, "MESSAGE_RECALL_DISABLED")
        ten = command("patch", "modify", patches=[item(conversation, ack, recall=True)] * 10)
        answers = [await refusal(connection.request(ten)) for _ in range(5)]
        assert (4318, "CONVERSATION_API_QUOTA_EXCEEDED") in answers
        assert answers[0] == (4407, "MESSAGE_RECALL_DISABLED")
        assert (await tom.logs(conversation))[0].data == "one"


# how others see it


@pytest.mark.covers("UnreadTuple.patchTimestamp")
async def test_counts_and_queries_show_the_new_body_and_count_the_same_inferred(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        edited, recalled = await tom.start(jerry), await tom.start(jerry)
        for conversation in (edited, recalled):
            await tom.send(conversation, "first")
        times = {
            edited: await edit(tom, edited, await tom.send(edited, "one"), data="two"),
            recalled: await edit(tom, recalled, await tom.send(recalled, "one"), recall=True),
        }
        bodies = {edited: "two", recalled: RECALLED}
        async with connect(server) as connection:
            session = await connection.open(jerry)
            told = await login_pushes(session)
            tuples = {each.cid: each for push in told for each in push.unreadMessage.convs}
            for conversation, body in bodies.items():
                each = tuples[conversation]
                assert (each.unread, each.data, each.patchTimestamp) == (2, body, times[conversation])
                (found,) = await session.query({"objectId": conversation}, flag=WITH_LAST_MESSAGE)
                assert (found["msg"], found["patch_timestamp"]) == (body, times[conversation])
            assert "msg" not in await row(tom, edited)
            assert [entry.data for entry in await session.logs(recalled, lctype=-127)] == [RECALLED]


# after a login


@pytest.mark.covers("SessionCommand.lastPatchTime")
async def test_edits_missed_are_told_before_the_counts_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        one, two, foreign = await tom.start(jerry.peer), await tom.start(jerry.peer), await tom.start()
        acks = [(cid, await tom.send(cid, str(number))) for number in range(3) for cid in (one, two, foreign)]
        times = [await edit(tom, cid, ack, data=f"new {ack.uid}") for cid, ack in acks[:6]]
        times += [await edit(tom, cid, ack, recall=True) for cid, ack in acks[6:]]
        expected = [
            (cid, ack.uid, ack.t, tom.peer, at) for (cid, ack), at in zip(acks, times, strict=True) if cid != foreign
        ]
        for since, missed in ((acks[0][1].t, expected), (times[0], expected[1:]), (times[-1], []), (2**63 - 1, [])):
            found = await edits_at_login(server, jerry.peer, lastPatchTime=since)
            assert [(e.cid, e.mid, e.timestamp, getattr(e, "from"), e.patchTimestamp) for e in found] == missed
        found = await edits_at_login(server, jerry.peer, lastPatchTime=acks[0][1].t)
        assert [each.data for each in found if not each.recall] == [
            f"new {ack.uid}" for _, ack in acks[:6] if _ != foreign
        ]
        assert [each.data for each in found if each.recall] == [RECALLED] * 2


@pytest.mark.parametrize(
    "fields", [{}, {"lastPatchTime": 0}, {"lastPatchTime": -1}, {"lastPatchTime": 1, "configBitmap": 0xBA}]
)
async def test_who_asks_for_no_edits_is_told_none_at_the_login(server: Server, fields: dict[str, Any]) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await edit(tom, conversation, await tom.send(conversation, "one"), data="two")
        assert await edits_at_login(server, jerry.peer, **fields) == []


async def test_clients_without_counts_are_told_of_edits_too(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "one")
        await edit(tom, conversation, ack, binaryMsg=b"\xff")
        (only,) = await edits_at_login(server, jerry.peer, PUSH_MODE, lastPatchTime=ack.t)
        assert (only.mid, only.binaryMsg, only.HasField("data")) == (ack.uid, b"\xff", False)


async def test_a_reopen_asks_for_edits_with_the_capabilities_of_its_token(server: Server) -> None:
    async with clients(server, "tom") as (tom,), connect(server) as connection:
        jerry = await connection.open(people("jerry")[0])
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "one")
        await edit(tom, conversation, ack, data="two")
        request = open_command(server, jerry.peer, r=True, st=jerry.token, lastPatchTime=ack.t)
        async with connect(server) as again:
            session = Session(again, await again.request(request))
            assert [only.data for only in edits_in(await login_pushes(session))] == ["two"]


async def test_a_message_edited_often_is_told_once(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "0")
        for number in range(5):
            at = await edit(tom, conversation, ack, data=str(number))
        (only,) = await edits_at_login(server, jerry.peer, lastPatchTime=ack.t)
        assert (only.data, only.patchTimestamp) == ("4", at)


async def test_many_edits_reach_a_slow_client_whole(server: Server) -> None:
    """More than an outbox holds: they come as fast as they are taken."""
    count, size = 1_200, 5_120
    async with clients(server, "tom") as (tom,), websocket(server, receive_buffer=8_192) as slow:
        (peer,) = people("slow")
        conversation = await tom.start(peer)
        acks: list[AckCommand] = []
        for _ in range(0, count, PAGE):
            sent = await replies(tom.connection, [command("direct", cid=conversation, msg="x") for _ in range(PAGE)])
            acks += [reply.ackMessage for reply in sent]
            await make(tom, [patch(conversation, ack, data=ack.uid.ljust(size)) for ack in acks[-PAGE:]])
        opened = open_command(server, peer, configBitmap=0x01, lastPatchTime=acks[0].t)
        slow.writer.transport.pause_reading()
        await slow.send(message(numbered(1, opened)))
        for _ in range(50):
            await tom.send(conversation, "the server has time for others")
        slow.writer.transport.resume_reading()
        found: list[str] = []
        while len(found) < count:
            push = GenericCommand.FromString((await slow.frame())[1])
            found += [only.mid for only in push.patchMessage.patches]
        assert sorted(found) == sorted(ack.uid for ack in acks)


async def test_an_edit_during_a_login_is_told_once_and_in_order(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        (jerry,) = people("jerry")
        conversation = await tom.start(jerry)
        acks = [await tom.send(conversation, str(number)) for number in range(8)]
        since = acks[-1].t
        for number in range(15):
            async with connect(server) as connection:
                before = [patch(conversation, ack, data=f"{number} before") for ack in acks]
                times = [modified(reply) for reply in await replies(tom.connection, before[:6])]
                requests = [patch(conversation, ack, data=f"{number} during") for ack in acks[4:]]
                editing = asyncio.ensure_future(replies(tom.connection, requests))
                session = await connection.open(jerry, lastPatchTime=since)
                times += [modified(reply) for reply in await editing]
                found = [only.patchTimestamp for only in edits_in(await login_pushes(session))]
            assert found == sorted(set(found))
            assert set(found) <= set(times)
            assert set(found) >= {*times[:4], *times[6:]}  # the others were edited again
            since = times[-1]


async def test_a_message_edited_while_it_is_delivered_ends_as_edited(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        (jerry,) = people("jerry")
        conversation = await tom.start(jerry)

        async def say_and_edit(number: int) -> AckCommand:
            ack = await tom.send(conversation, f"{number}")
            await edit(tom, conversation, ack, data=f"{number} edited")
            return ack

        for number in range(20):
            async with connect(server) as connection:
                talking = asyncio.ensure_future(say_and_edit(number))
                session = await connection.open(jerry)
                ack = await talking
                bodies = [body for push in await login_pushes(session) for body in _bodies(push, ack.uid)]
            assert bodies[-1] == f"{number} edited"
            assert bodies.count(f"{number}") <= 1


def _bodies(push: GenericCommand, mid: str) -> list[str]:
    """What a push says that the message says."""
    direct, patches, tuples = push.directMessage, push.patchMessage.patches, push.unreadMessage.convs
    said = [direct.msg] if direct.id == mid else []
    return said + [each.data for each in itertools.chain(patches, tuples) if each.mid == mid]


# the time of `opened`, with which JS asks next time


async def test_who_comes_back_to_missed_edits_keeps_its_time_until_they_have_come(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "one")
        at = await edit(tom, conversation, ack, data="two")
        while (await tom.connection.request(command("echo"))).serverTs <= at:
            pass  # edits may be ahead of the clock
        for reopen, wanted, same in (
            (True, {"lastPatchTime": ack.t}, True),
            (True, {"lastPatchTime": at}, False),
            (True, {"lastPatchTime": 2**63 - 1}, False),
            (True, {"lastPatchTime": ack.t, "configBitmap": 0xBA}, False),
            (True, {}, False),
            (False, {"lastPatchTime": ack.t}, False),
        ):
            async with connect(server) as connection:
                opened = (await connection.open(jerry.peer, r=reopen, **wanted)).opened
                assert (opened.serverTs == ack.t) == same
                assert same or opened.serverTs >= at


class Page:
    """A JS page of one conversation, as far as edits go: its times are those that JS keeps."""

    def __init__(self, server: Server, peer: str) -> None:
        self.server = server
        self.peer = peer
        self.cursor = 0
        self.seen: dict[str, str] = {}

    async def visit(self, wait: Callable[[Connection], Awaitable[None]]) -> None:
        """Log in, take what has come by the time `wait` is over, lose the line."""
        async with connect(self.server) as connection:
            opened = (await connection.open(self.peer, r=self.cursor > 0, lastPatchTime=self.cursor)).opened
            self.cursor = opened.serverTs
            await wait(connection)
            for only in edits_in(connection.pushes):
                assert only.patchTimestamp > 0
                self.seen[only.mid] = only.data
                self.cursor = max(self.cursor, only.patchTimestamp)
            connection.abort()


async def test_a_client_that_loses_its_line_at_any_moment_misses_no_edit(server: Server) -> None:
    chance = random.Random(7)
    async with clients(server, "tom") as (tom,):
        (jerry,) = people("jerry")
        conversation = await tom.start(jerry)
        acks = [await tom.send(conversation, "0") for _ in range(100)]
        page = Page(server, jerry)
        await page.visit(lambda connection: connection.echo())
        expected: dict[str, str] = {}

        async def edit_all() -> None:
            for number in range(1, 200):
                some = chance.sample(acks, chance.choice([1, 2, 10]))
                await make(tom, [patch(conversation, ack, data=f"{number}") for ack in some])
                expected.update((ack.uid, f"{number}") for ack in some)

        async def moment(connection: Connection) -> None:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            if chance.random() < 0.3:
                await connection.echo()

        editing = asyncio.ensure_future(edit_all())
        while not editing.done():
            await page.visit(moment)
        await editing
        await page.visit(lambda connection: login_pushes_kept(connection, jerry))
        assert page.seen == expected


async def login_pushes_kept(connection: Connection, peer: str) -> None:
    """Wait until all that the login pushes has come; leave it there."""
    await connection.request(command("conv", "start", peer, m=[peer]))
    await connection.expect("conv/members_joined")
