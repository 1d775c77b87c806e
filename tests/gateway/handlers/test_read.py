"""Unread counts after the login, and `read` (reference 3.19, 4.2)."""

import asyncio
from typing import Any

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand, UnreadTuple
from tests.gateway.talk import clients, login_pushes, numbered, people, push_names, pushes, replies, settle
from tests.support.client import Refused, Session, command, connect, named
from tests.support.server import Server

NORMAL = 1


async def unread_at_login(server: Server, peer: str, **fields: Any) -> tuple[dict[str, UnreadTuple], int]:
    """What a login is told: the tuples by conversation, and the time to say at the next login."""
    async with connect(server) as connection:
        told = await login_pushes(await connection.open(peer, **fields))
        assert {named(push) for push in told} <= {"unread"}
        assert {push.peerId for push in told} <= {peer}
        tuples = {item.cid: item for push in told for item in push.unreadMessage.convs}
        return tuples, max((push.unreadMessage.notifTime for push in told), default=0)


async def marked(session: Session, **fields: Any) -> UnreadTuple:
    """The state that the session is told after its `read`."""
    await session.post("read", **fields)
    push = await session.expect("unread")
    assert (push.HasField("i"), push.service, push.peerId) == (False, 2, session.peer)
    assert push.unreadMessage.notifTime > 0
    (item,) = push.unreadMessage.convs
    return item


# after the login


@pytest.mark.covers(
    "unread",
    "GenericCommand.unreadMessage",
    "UnreadCommand.convs",
    "UnreadTuple.cid",
    "UnreadTuple.unread",
    "UnreadTuple.mid",
    "UnreadTuple.timestamp",
    "UnreadTuple.from",
    "UnreadTuple.data",
    "UnreadTuple.convType",
)
async def test_unread_messages_are_counted_at_the_login(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        await tom.send(conversation, "one")
        ack = await tom.send(conversation, "two")
        tuples, _ = await unread_at_login(server, jerry)
        item = tuples[conversation]
        assert (item.unread, item.mentioned, item.convType) == (2, False, NORMAL)
        assert (item.mid, item.timestamp, getattr(item, "from")) == (ack.uid, ack.t, tom.peer)
        assert (item.data, item.HasField("binaryMsg"), item.HasField("patchTimestamp")) == ("two", False, False)


@pytest.mark.covers("UnreadTuple.binaryMsg")
async def test_a_binary_message_is_binary_in_the_count(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        await tom.request("direct", cid=conversation, binaryMsg=b"\0\xff")
        tuples, _ = await unread_at_login(server, jerry)
        assert (tuples[conversation].binaryMsg, tuples[conversation].HasField("data")) == (b"\0\xff", False)


async def test_nothing_unread_is_told_of_no_conversation_inferred(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        await tom.start(jerry)
        await tom.send(await tom.start(jerry), "typing", transient=True)
        async with connect(server) as connection:
            (told,) = await login_pushes(await connection.open(jerry))
        assert (len(told.unreadMessage.convs), told.unreadMessage.notifTime > 0) == (0, True)
        async with connect(server) as connection:
            since = told.unreadMessage.notifTime
            assert await login_pushes(await connection.open(jerry, lastUnreadNotifTime=since)) == []


async def test_own_messages_are_not_counted(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await jerry.send(conversation, "mine")
        await tom.send(conversation, "yours")
        await jerry.send(conversation, "mine again")
        tuples, _ = await unread_at_login(server, jerry.peer)
        assert (tuples[conversation].unread, tuples[conversation].data) == (1, "mine again")


@pytest.mark.parametrize(("mention", "mentioned"), [("me", True), ("all", True), ("other", False)])
@pytest.mark.covers("UnreadTuple.mentioned")
async def test_unread_mentions_are_told(server: Server, mention: str, mentioned: bool) -> None:
    (jerry,) = people("jerry")
    fields = {"me": {"mentionPids": [jerry]}, "all": {"mentionAll": True}, "other": {"mentionPids": ["spike"]}}
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        await tom.send(conversation, "look", **fields[mention])
        await tom.send(conversation, "later")
        tuples, _ = await unread_at_login(server, jerry)
        assert tuples[conversation].mentioned == mentioned


async def test_messages_before_one_joined_are_not_counted(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start()
        await tom.send(conversation, "before")
        await jerry.request("conv", "add", cid=conversation, m=[jerry.peer])
        await tom.send(conversation, "after")
        assert (await unread_at_login(server, jerry.peer))[0][conversation].unread == 1


async def test_messages_received_online_count_until_they_are_read(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.send(conversation, "one")
        await jerry.post("ack", cid=conversation, mid="any")
        await tom.send(conversation, "two")
        await jerry.expect("direct")
        assert (await unread_at_login(server, jerry.peer))[0][conversation].unread == 2


async def test_the_count_ends_at_a_hundred(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        messages = [command("direct", cid=conversation, msg=str(number)) for number in range(120)]
        await replies(tom.connection, messages)
        tuples, _ = await unread_at_login(server, jerry)
        assert (tuples[conversation].unread, tuples[conversation].data) == (100, "119")


async def test_the_latest_fifty_conversations_are_told(server: Server) -> None:
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        starts = await replies(tom.connection, [command("conv", "start", m=[jerry]) for _ in range(55)])
        ids = [answer.convMessage.cid for answer in starts]
        early = [(await tom.send(conversation, "hi")).t for conversation in ids[:5]]
        while (await tom.send(ids[5], "hi")).t <= max(early):
            pass
        await replies(tom.connection, [command("direct", cid=conversation, msg="hi") for conversation in ids[6:]])
        tuples, _ = await unread_at_login(server, jerry)
        assert tuples.keys() == set(ids[5:])


@pytest.mark.covers("UnreadCommand.notifTime", "SessionCommand.lastUnreadNotifTime")
async def test_with_a_cursor_only_what_changed_later_is_told(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        old, new, read_elsewhere = [await tom.start(jerry.peer) for _ in range(3)]
        for conversation in (old, read_elsewhere):
            await tom.send(conversation, "hi")
        first, cursor = await unread_at_login(server, jerry.peer)
        assert first.keys() == {old, read_elsewhere}
        await tom.send(new, "news")
        await marked(jerry, convs=[{"cid": read_elsewhere}])
        tuples, later = await unread_at_login(server, jerry.peer, lastUnreadNotifTime=cursor)
        assert {cid: item.unread for cid, item in tuples.items()} == {new: 1, read_elsewhere: 0}
        assert later > cursor
        assert (await unread_at_login(server, jerry.peer, lastUnreadNotifTime=2**62))[0] == {}


async def test_a_message_during_the_login_is_counted_once(server: Server) -> None:
    """Clients add one to the count for each message they receive."""
    (jerry,) = people("jerry")
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start(jerry)
        for known in range(0, 60, 5):
            async with connect(server) as connection:
                sending = [asyncio.ensure_future(tom.send(conversation, "hi")) for _ in range(5)]
                session = await connection.open(jerry)
                await asyncio.gather(*sending)
                told = await login_pushes(session)
                direct = sum(named(push) == "direct" for push in told)
                counted = sum(item.unread for push in told for item in push.unreadMessage.convs)
                assert direct + counted == known + 5


# read


@pytest.mark.covers("read", "GenericCommand.readMessage", "ReadCommand.convs")
async def test_all_sessions_of_the_reader_are_told_and_nobody_else(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry), connect(server) as connection:
        pad = await connection.open(jerry.peer)
        await settle(pad)
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "hi")
        for session in (tom, jerry, pad):
            await pushes(session)
        await jerry.read(conversation, mid=ack.uid, timestamp=ack.t)
        for session in (jerry, pad):
            push = await session.expect("unread")
            (item,) = push.unreadMessage.convs
            assert (item.cid, item.unread, item.mentioned) == (conversation, 0, False)
            assert (item.mid, item.timestamp) == (ack.uid, ack.t)
        assert await push_names(tom) == []
        assert (await unread_at_login(server, jerry.peer))[0] == {}


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("conv", marks=pytest.mark.covers("ReadCommand.convs")),
        "time",
        "id",
        pytest.param("cid", marks=pytest.mark.covers("ReadCommand.cid")),
        pytest.param("cids", marks=pytest.mark.covers("ReadCommand.cids")),
    ],
)
async def test_every_form_of_reading_everything(server: Server, form: str) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.send(conversation, "one", mentionAll=True)
        ack = await tom.send(conversation, "two")
        fields: dict[str, dict[str, Any]] = {
            "conv": {"convs": [{"cid": conversation}]},
            "time": {"convs": [{"cid": conversation, "timestamp": ack.t + 60_000}]},
            "id": {"convs": [{"cid": conversation, "mid": ack.uid, "timestamp": ack.t}]},
            "cid": {"cid": conversation},
            "cids": {"cids": [conversation]},
        }
        item = await marked(jerry, **fields[form])
        assert (item.cid, item.unread, item.mentioned) == (conversation, 0, False)


async def test_who_had_nothing_unread_hears_what_another_device_has_read_inferred(server: Server) -> None:
    """The first login tells the time from which the next can ask: an SDK keeps counting from what it had."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        nothing, since = await unread_at_login(server, jerry.peer)
        assert nothing == {}
        assert since > 0
        await tom.send(conversation, "read elsewhere")
        await marked(jerry, convs=[{"cid": conversation}])
        told, _ = await unread_at_login(server, jerry.peer, lastUnreadNotifTime=since)
        assert {cid: item.unread for cid, item in told.items()} == {conversation: 0}


@pytest.mark.covers("ReadTuple.cid", "ReadTuple.mid", "ReadTuple.timestamp", "UnreadTuple.mentioned")
async def test_reading_up_to_a_message_leaves_the_later_ones(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        acks = [await tom.send(conversation, str(number), mentionAll=number == 3) for number in range(5)]
        item = await marked(jerry, convs=[{"cid": conversation, "mid": acks[1].uid, "timestamp": acks[1].t}])
        assert (item.unread, item.mentioned, item.mid) == (3, True, acks[4].uid)
        assert (await unread_at_login(server, jerry.peer))[0][conversation].unread == 3
        item = await marked(jerry, convs=[{"cid": conversation, "timestamp": acks[3].t}])
        assert (item.unread, item.mentioned) == (1, False)


async def test_the_mark_moves_forward_only(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        acks = [await tom.send(conversation, str(number)) for number in range(4)]
        assert (await marked(jerry, convs=[{"cid": conversation, "timestamp": acks[2].t}])).unread == 1
        assert (await marked(jerry, convs=[{"cid": conversation, "timestamp": acks[0].t}])).unread == 1
        assert (await marked(jerry, convs=[{"cid": conversation, "timestamp": 1}])).unread == 1


async def test_own_messages_after_the_mark_are_not_counted(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        first = await tom.send(conversation, "one")
        await jerry.send(conversation, "mine")
        await tom.send(conversation, "two")
        assert (await marked(jerry, convs=[{"cid": conversation, "timestamp": first.t}])).unread == 1


async def test_a_conversation_named_often_is_marked_once(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        first, last = await tom.start(jerry.peer), await tom.start(jerry.peer)
        await pushes(jerry)
        times = [{"cid": first, "timestamp": n} for n in range(1, 200)]
        await jerry.post("read", convs=times, cids=[first, last])
        told = [(await jerry.expect("unread")).unreadMessage.convs[0].cid for _ in range(2)]
        assert told == [first, last]
        assert await pushes(jerry) == []


async def test_one_command_marks_many_conversations(server: Server) -> None:
    """One that the reader has left doesn't keep the others unread."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        ids = [await tom.start(jerry.peer) for _ in range(3)]
        foreign = await tom.start()
        for conversation in ids:
            await tom.send(conversation, "hi")
        await pushes(jerry)
        await jerry.post("read", convs=[{"cid": cid} for cid in (ids[0], foreign, ids[1], "unknown", ids[2])])
        told = [await jerry.expect("unread") for _ in range(3)]
        assert [item.cid for push in told for item in push.unreadMessage.convs] == ids
        assert await push_names(jerry) == []


async def test_read_is_answered_only_when_it_is_refused_and_asks(server: Server) -> None:
    """Java puts a serial on it and ignores what comes."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await pushes(jerry)
        await jerry.connection.send(numbered(-3, command("read", peer=jerry.peer, cid=conversation)))
        assert not (await jerry.expect("unread")).HasField("i")
        with pytest.raises(Refused, match="4317 CONVERSATION_MEMBERSHIP_REQUIRED"):
            await jerry.request("read", cid=await tom.start())
        assert await push_names(jerry) == []


async def test_marks_of_a_client_without_unread_messages_do_nothing_harmful(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        await tom.expect("conv/members_joined")
        await pushes(tom)
        for timestamp in (0, -1, 2**63 - 1, -(2**63)):
            item = await marked(tom, convs=[{"cid": conversation, "timestamp": timestamp, "mid": "x"}])
            assert (item.cid, item.unread) == (conversation, 0)
        request: GenericCommand = command("read", peer=tom.peer)
        await tom.connection.send(request)
        assert await push_names(tom) == []
