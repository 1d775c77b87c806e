"""`logs`: history (reference 3.20)."""

import asyncio
import base64
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from hongyan.wire.messages2_pb2 import AckCommand, LogItem, LogsCommand
from tests.gateway.talk import clients, replies
from tests.support.client import Refused, Session, command, named
from tests.support.server import Server

OLD, NEW = LogsCommand.OLD, LogsCommand.NEW
NORMAL = 1


class Bound(NamedTuple):
    """An end of a range: a time (0: none), a message id, and whether what is exactly there belongs to it."""

    time: int
    message: str
    included: bool


def expected_page(times: Sequence[int], direction: int, start: Bound, end: Bound, limit: int) -> list[int]:
    """The reference's rules, walked message by message; `times` ascend and are all different."""
    forward = 1 if direction == NEW else -1
    found: list[int] = []
    for time in times[::forward]:
        from_start = forward * (time - start.time)
        to_end = forward * (end.time - time)
        if start.time and (from_start < 0 or (from_start == 0 and not start.included)):
            continue
        if end.time and (to_end < 0 or (to_end == 0 and not end.included)):
            break
        if len(found) == limit:
            break
        found.append(time)
    return sorted(found)


def bounds(acks: Sequence[AckCommand]) -> list[Bound]:
    """No bound, bounds at messages by time alone and with their id, bounds beside messages and beyond all."""
    first, middle, last = acks[0], acks[3], acks[-1]
    places = [(0, ""), (first.t - 1, ""), (first.t, ""), (middle.t, ""), (middle.t + 1, ""), (last.t + 1, "")]
    places += [(ack.t, ack.uid) for ack in (first, middle, last)]
    return [Bound(*place, included) for place in places for included in (False, True)]


async def talked(tom: Session, count: int) -> tuple[str, list[AckCommand]]:
    """A conversation in which so many messages were sent, and their acks."""
    conversation = await tom.start()
    requests = [command("direct", peer=tom.peer, cid=conversation, msg=str(number)) for number in range(count)]
    return conversation, [answer.ackMessage for answer in await replies(tom.connection, requests)]


@pytest.mark.parametrize("direction", [OLD, NEW], ids=["OLD", "NEW"])
@pytest.mark.covers(
    "LogsCommand.t",
    "LogsCommand.mid",
    "LogsCommand.tIncluded",
    "LogsCommand.tt",
    "LogsCommand.tmid",
    "LogsCommand.ttIncluded",
    "LogsCommand.direction",
)
async def test_every_combination_of_bounds(server: Server, direction: int) -> None:
    async with clients(server, "tom") as (tom,):
        conversation, acks = await talked(tom, 8)
        await talked(tom, 8)
        times = [ack.t for ack in acks]
        assert len(set(times)) == 8

        async def check(start: Bound, end: Bound, limit: int) -> None:
            page = await tom.logs(
                conversation,
                direction=direction,
                limit=limit,
                t=start.time,
                mid=start.message,
                tIncluded=start.included,
                tt=end.time,
                tmid=end.message,
                ttIncluded=end.included,
            )
            found = [item.timestamp for item in page]
            assert found == expected_page(times, direction, start, end, limit), (start, end, limit)

        some = bounds(acks)
        await asyncio.gather(*(check(*query) for query in itertools.product(some, some, (1, 3, 100))))


async def test_an_id_from_elsewhere_stands_for_its_time_alone_inferred(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation, acks = await talked(tom, 5)
        for included, count in ((True, 3), (False, 2)):
            page = await tom.logs(conversation, t=acks[2].t, mid="elsewhere", tIncluded=included)
            assert [item.msgId for item in page] == [ack.uid for ack in acks[:count]]


@pytest.mark.covers("LogsCommand.direction")
async def test_pages_follow_each_other_without_gap_or_repetition(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation, acks = await talked(tom, 50)
        ids = [ack.uid for ack in acks]
        for direction in (OLD, NEW):
            pages: list[list[LogItem]] = []
            place: dict[str, Any] = {}
            while page := await tom.logs(conversation, direction=direction, limit=7, **place):
                pages.append(page)
                edge = page[-1] if direction == NEW else page[0]
                place = {"t": edge.timestamp, "mid": edge.msgId}
            in_time = pages if direction == NEW else pages[::-1]
            assert [item.msgId for page in in_time for item in page] == ids


@pytest.mark.covers("logs", "GenericCommand.logsMessage", "LogsCommand.cid", "LogsCommand.logs")
async def test_reply_has_no_op_and_names_the_conversation(server: Server) -> None:
    """C# sends an op with the request."""
    async with clients(server, "tom") as (tom,):
        conversation, acks = await talked(tom, 1)
        for op in (None, "open"):
            reply = await tom.request("logs", op, cid=conversation)
            assert (named(reply), reply.peerId, reply.service) == ("logs", tom.peer, 2)
            assert (reply.logsMessage.cid, len(reply.logsMessage.logs)) == (conversation, 1)
        reply = await tom.request("logs", cid=conversation, t=acks[0].t)
        assert reply.HasField("logsMessage")
        assert len(reply.logsMessage.logs) == 0


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({}, 20),
        ({"limit": 0}, 20),
        ({"l": 0}, 0),
        pytest.param({"l": 30}, 30, marks=pytest.mark.covers("LogsCommand.l")),
        pytest.param({"limit": 30}, 30, marks=pytest.mark.covers("LogsCommand.limit")),
        ({"l": 100}, 100),
        ({"l": 1000}, 100),
        ({"limit": 2**31 - 1}, 100),
        ({"l": -1}, 0),
        ({"limit": -1}, 0),
    ],
)
async def test_page_size(server: Server, fields: dict[str, int], count: int) -> None:
    async with clients(server, "tom") as (tom,):
        conversation, acks = await talked(tom, 105)
        page = await tom.logs(conversation, **fields)
        assert [item.msgId for item in page] == [ack.uid for ack in acks[len(acks) - count :]]


@pytest.mark.covers(
    "LogItem.from",
    "LogItem.data",
    "LogItem.timestamp",
    "LogItem.msgId",
    "LogItem.mentionPids",
    "LogItem.mentionAll",
    "LogItem.bin",
    "LogItem.convType",
)
async def test_an_item_is_the_message_as_it_was_sent(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        text = await tom.send(conversation, "鸿雁", mentionPids=[jerry.peer])
        binary = (await tom.request("direct", cid=conversation, binaryMsg=b"\0\xff", mentionAll=True)).ackMessage
        first, second = await jerry.history(conversation)
        assert (first.msgId, first.timestamp, getattr(first, "from")) == (text.uid, text.t, tom.peer)
        assert (first.data, first.bin, list(first.mentionPids)) == ("鸿雁", False, [jerry.peer])
        assert (second.msgId, base64.b64decode(second.data), second.bin) == (binary.uid, b"\0\xff", True)
        assert (second.mentionAll, second.convType) == (True, NORMAL)
        assert not any(first.HasField(field) for field in ("ackAt", "readAt", "patchTimestamp", "mentionAll", "bin"))


@pytest.mark.covers("LogsCommand.lctype")
async def test_messages_of_a_type(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        bodies = ['{"_lctype":-1}', '{"_lctype":-2}', '{"_lctype":7}', "plain", "[]", '{"_lctype":"7"}', "7", "{"]
        for body in bodies:
            await tom.send(conversation, body)
        await tom.request("direct", cid=conversation, binaryMsg=b'{"_lctype":7}')
        for lctype, found in ((-1, bodies[:1]), (7, bodies[2:3]), (5, [])):
            assert [item.data for item in await tom.logs(conversation, lctype=lctype)] == found
        assert len(await tom.logs(conversation)) == len(bodies) + 1


async def test_members_alone_read_the_history(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation, _ = await talked(tom, 1)
        with pytest.raises(Refused, match="4312 CONVERSATION_LOG_REJECTED"):
            await jerry.logs(conversation)
        await jerry.request("conv", "add", cid=conversation, m=[jerry.peer])
        assert len(await jerry.logs(conversation)) == 1


async def test_history_of_an_unknown_conversation_inferred(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        for unknown in ("65f000000000000000000001", "", "_tmp:1"):
            with pytest.raises(Refused, match="4303 CONVERSATION_NOT_FOUND"):
                await tom.logs(unknown)


@pytest.mark.parametrize("time", [-1, 1, 2**63 - 1, -(2**63)])
async def test_extreme_times_are_answered(server: Server, time: int) -> None:
    async with clients(server, "tom") as (tom,):
        conversation, acks = await talked(tom, 3)
        times = [ack.t for ack in acks]
        for direction in (OLD, NEW):
            found = await tom.logs(conversation, t=time, direction=direction)
            assert [item.timestamp for item in found] == expected_page(
                times, direction, Bound(time, "", False), Bound(0, "", False), 20
            )
