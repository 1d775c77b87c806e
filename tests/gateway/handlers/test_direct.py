"""`direct`: messages and their acknowledgements (reference 3.16, 3.17)."""

import asyncio
import json

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.apps import STRICT, into
from tests.gateway.talk import clients, login_pushes, numbered, people, push_names, pushes, replies, settle, texts
from tests.support.client import Refused, Session, command, connect, named
from tests.support.server import Server

NORMAL = 1


async def received(session: Session) -> GenericCommand:
    """The one message that has come."""
    (push,) = [push for push in await pushes(session) if named(push) == "direct"]
    return push


async def failure(session: Session, **fields: object) -> GenericCommand:
    """The failing `ack` of a message."""
    with pytest.raises(Refused) as refused:
        await session.request("direct", **fields)
    assert named(refused.value.answer) == "ack"
    return refused.value.answer


# who is told what


@pytest.mark.covers("ack", "GenericCommand.ackMessage", "AckCommand.uid", "AckCommand.t")
async def test_ack_says_id_and_time_and_nothing_of_failure(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        conversation = await tom.start()
        answer = await tom.request("direct", cid=conversation, msg="hi")
        ack = answer.ackMessage
        assert (named(answer), answer.peerId, answer.service) == ("ack", tom.peer, 2)
        assert answer.serverTs > 0
        assert ack.uid
        assert ack.t > 1_600_000_000_000
        assert ack.cid in ("", conversation)
        assert not any(ack.HasField(field) for field in ("code", "reason", "appCode", "appMsg"))


@pytest.mark.covers(
    "direct",
    "GenericCommand.directMessage",
    "DirectCommand.msg",
    "DirectCommand.cid",
    "DirectCommand.id",
    "DirectCommand.timestamp",
    "DirectCommand.fromPeerId",
    "DirectCommand.convType",
)
async def test_members_receive_the_message_with_the_ack_s_id_and_time(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = await tom.send(conversation, "你好 🪿", r=True)
        push = await received(jerry)
        message = push.directMessage
        assert (push.peerId, push.service, push.HasField("i")) == (jerry.peer, 2, False)
        assert push.serverTs > 0
        assert (message.id, message.timestamp, message.cid) == (ack.uid, ack.t, conversation)
        assert (message.msg, message.fromPeerId, message.convType) == ("你好 🪿", tom.peer, NORMAL)
        absent = ("binaryMsg", "offline", "hasMore", "transient", "mentionAll", "patchTimestamp")
        assert not any(message.HasField(field) for field in absent)


@pytest.mark.covers("direct")
async def test_every_session_but_the_sending_one_receives_it(server: Server) -> None:
    """Also the sender's other devices, and other clients on the sender's connection."""
    async with clients(server, "tom", "jerry") as (tom, jerry), connect(server) as pad_connection:
        pad = await pad_connection.open(tom.peer)
        await settle(pad)
        spike = await tom.connection.open(people("spike")[0])
        await settle(spike)
        conversation = await tom.start(jerry.peer, spike.peer)
        for session in (tom, jerry, pad):
            await pushes(session)
        await tom.send(conversation, "hi")
        own = await pushes(tom)
        assert [(push.peerId, push.directMessage.msg) for push in own] == [(spike.peer, "hi")]
        for session in (jerry, pad):
            push = await received(session)
            assert (push.peerId, push.directMessage.fromPeerId) == (session.peer, tom.peer)


async def test_strangers_receive_nothing(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        await tom.send(await tom.start(jerry.peer), "hi")
        assert await push_names(spike) == []


async def test_messages_arrive_in_order_with_increasing_times_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await pushes(jerry)
        requests = [command("direct", cid=conversation, msg=str(number)) for number in range(200)]
        acks = [answer.ackMessage for answer in await replies(tom.connection, requests)]
        times = [ack.t for ack in acks]
        assert times == sorted(set(times))
        messages = [push.directMessage for push in await pushes(jerry)]
        assert [message.msg for message in messages] == [str(number) for number in range(200)]
        assert [(message.id, message.timestamp) for message in messages] == [(ack.uid, ack.t) for ack in acks]


async def test_two_senders_are_seen_in_one_order(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer, spike.peer)
        for session in (tom, jerry, spike):
            await pushes(session)
        sending = (
            sender.send(conversation, f"{sender.peer} {number}") for number in range(50) for sender in (tom, jerry)
        )
        await asyncio.gather(*sending)
        order = [item.data for item in await tom.history(conversation)]
        assert await texts(spike) == order
        assert await texts(tom) == [text for text in order if text.startswith(jerry.peer)]


# content


@pytest.mark.covers(
    "DirectCommand.mentionPids", "DirectCommand.mentionAll", "LogItem.mentionPids", "LogItem.mentionAll"
)
async def test_mentions_are_passed_on(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await pushes(jerry)
        await tom.send(conversation, "you", mentionPids=[jerry.peer, "spike"])
        assert list((await received(jerry)).directMessage.mentionPids) == [jerry.peer, "spike"]
        await tom.send(conversation, "all", mentionAll=True)
        assert (await received(jerry)).directMessage.mentionAll
        items = await tom.history(conversation)
        assert [(list(item.mentionPids), item.mentionAll) for item in items] == [
            ([jerry.peer, "spike"], False),
            ([], True),
        ]


@pytest.mark.parametrize("content", [b"\0\xff\xfe", b"", bytes(range(256))])
@pytest.mark.covers("DirectCommand.binaryMsg")
async def test_binary_content_is_passed_on(server: Server, content: bytes) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.request("direct", cid=conversation, binaryMsg=content)
        message = (await received(jerry)).directMessage
        assert message.HasField("binaryMsg")
        assert (message.binaryMsg, message.HasField("msg")) == (content, False)


@pytest.mark.parametrize("text", ["", "\0", "{}", '{"_lctype": -1, "_lctext": "hi"}', " \n\t", "a" * 5_000])
@pytest.mark.covers("DirectCommand.msg")
async def test_text_is_passed_on_as_it_is(server: Server, text: str) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.send(conversation, text)
        assert (await received(jerry)).directMessage.msg == text
        assert [item.data for item in await jerry.history(conversation)] == [text]


@pytest.mark.covers("DirectCommand.fromPeerId")
async def test_the_sender_is_who_is_logged_in(server: Server) -> None:
    """C# says who it is; nobody is believed."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.send(conversation, "hi", fromPeerId="the-boss", id="x", timestamp=1)
        assert (await received(jerry)).directMessage.fromPeerId == tom.peer


async def test_a_message_without_a_serial_is_delivered_without_an_ack(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        for session in (tom, jerry):
            await pushes(session)
        await tom.post("direct", cid=conversation, msg="no ack")
        await tom.send(conversation, "ack")
        assert await push_names(tom) == []
        assert await texts(jerry) == ["no ack", "ack"]


# transient


@pytest.mark.covers("DirectCommand.transient")
async def test_transient_messages_reach_who_is_online_and_are_kept_nowhere(server: Server) -> None:
    (spike,) = people("spike")
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer, spike)
        ack = await tom.send(conversation, "typing", transient=True)
        message = (await received(jerry)).directMessage
        assert (message.msg, message.transient, message.id, message.timestamp) == ("typing", True, ack.uid, ack.t)
        assert await tom.history(conversation) == []
        await jerry.read(conversation)
        assert (await jerry.expect("unread")).unreadMessage.convs[0].unread == 0
    async with connect(server) as connection:
        told = await login_pushes(await connection.open(spike))
        assert {named(push) for push in told} == {"unread"}
        assert [item for push in told for item in push.unreadMessage.convs] == []


@pytest.mark.parametrize(("bitmap", "acknowledged"), [(0x08, True), (0xB3, False), (0, False)])
async def test_transient_messages_are_acknowledged_to_those_who_know(
    server: Server, bitmap: int, acknowledged: bool
) -> None:
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0], configBitmap=bitmap)
        conversation = await tom.start()
        request = command("direct", peer=tom.peer, cid=conversation, msg="typing", transient=True)
        await connection.send(numbered(-3, request))
        await tom.send(conversation, "lasting")
        assert any(push.HasField("i") and push.i == -3 for push in connection.pushes) == acknowledged


# sending again


@pytest.mark.covers("DirectCommand.dt")
async def test_sending_again_with_the_same_token_returns_the_first_result_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        first = await tom.send(conversation, "once", dt="t-1")
        again = await tom.send(conversation, "once", dt="t-1")
        assert (again.uid, again.t) == (first.uid, first.t)
        at_once = [command("direct", peer=tom.peer, cid=conversation, msg="x", dt="t-2") for _ in range(5)]
        answers = [answer.ackMessage for answer in await replies(tom.connection, at_once)]
        assert len({(ack.uid, ack.t) for ack in answers}) == 1
        assert await texts(jerry) == ["once", "x"]
        assert len(await tom.history(conversation)) == 2


async def test_a_reconnected_client_s_resend_is_recognised(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        first = await tom.send(conversation, "once", dt="t")
        tom.connection.abort()
        async with connect(server) as connection:
            again = await connection.open(tom.peer, r=True, st=tom.token)
            assert (await again.send(conversation, "once", dt="t")).uid == first.uid
        assert await texts(jerry) == ["once"]


@pytest.mark.covers("DirectCommand.dt")
async def test_a_token_is_one_client_s_in_one_conversation(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        one, other = await tom.start(jerry.peer), await tom.start(jerry.peer)
        sent = [
            await tom.send(one, "a", dt="t"),
            await tom.send(other, "b", dt="t"),
            await jerry.send(one, "c", dt="t"),
        ]
        assert len({ack.uid for ack in sent}) == 3
        assert await texts(jerry) == ["a", "b"]


# refusals


@pytest.mark.covers("AckCommand.code", "AckCommand.reason")
async def test_unknown_conversations_and_strangers_are_refused_alike(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start()
        for unknown in (conversation, "65f000000000000000000001", "x" * 10_000):
            for fields in ({"msg": "hi"}, {"msg": "hi", "transient": True}, {"binaryMsg": b"hi"}):
                answer = await failure(jerry, cid=unknown, **fields)
                ack = answer.ackMessage
                assert (ack.code, ack.reason) == (4401, "INVALID_MESSAGING_TARGET")
                assert (answer.peerId, ack.HasField("appCode")) == (jerry.peer, False)
        assert await texts(tom) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"msg": "x" * 5_121},
        {"msg": "鸿" * 1_707},
        {"binaryMsg": bytes(5_121)},
        {"msg": "x" * 5_000, "mentionPids": ["y" * 64] * 2},
        {"msg": "x" * 5_000, "dt": "y" * 121},
        {"msg": "x" * 5_000, "pushData": json.dumps({"alert": "y" * 200})},
        {"msg": "x" * 60_000, "transient": True},
    ],
    ids=["text", "Chinese", "binary", "mentions", "token", "push data", "transient"],
)
async def test_a_long_message_is_refused_and_the_connection_lives_inferred(
    server: Server, fields: dict[str, object]
) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        ack = (await failure(tom, cid=conversation, **fields)).ackMessage
        assert (ack.code, ack.reason) == (4109, "FRAME_TOO_LONG")
        await tom.send(conversation, "x" * 5_120)
        assert [len(text) for text in await texts(jerry)] == [5_120]


async def test_the_size_of_a_message_is_the_app_s_choice(server: Server) -> None:
    async with connect(into(server, STRICT)) as connection:
        tom = await connection.open(people("tom")[0])
        conversation = await tom.start()
        await tom.send(conversation, "x" * 100)
        assert (await failure(tom, cid=conversation, msg="x" * 101)).ackMessage.code == 4109


@pytest.mark.covers("DirectCommand.pushData")
async def test_data_for_push_reaches_no_receiver(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.send(conversation, "hi", pushData='{"alert": "hi"}')
        assert not (await jerry.expect("direct")).directMessage.HasField("pushData")


async def test_a_message_without_a_conversation_is_an_error_inferred(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        for fields in ({"msg": "hi"}, {"cid": "", "msg": "hi"}, {}):
            with pytest.raises(Refused, match="4114 UNPARSEABLE_RAW_MESSAGE"):
                await tom.request("direct", **fields)


# a client's own ack


@pytest.mark.parametrize("fields", [{"mid": "m"}, {"fromts": 1, "tots": 2}, {"ids": ["a"]}, {"cid": "unknown"}, {}])
async def test_a_client_s_ack_is_not_answered(server: Server, fields: dict[str, object]) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.send(conversation, "hi")
        for session in (tom, jerry):
            await pushes(session)
        request = command("ack", peer=jerry.peer, **{"cid": conversation, **fields})
        await jerry.connection.send(request)
        await jerry.connection.send(numbered(-3, request))
        assert await push_names(jerry) == []
        assert await push_names(tom) == []
