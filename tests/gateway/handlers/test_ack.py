"""`ack` and the receipts it gives, `conv/max_read` (reference 3.12, 3.17, 3.18)."""

import pytest

from hongyan.wire.messages2_pb2 import GenericCommand, MaxReadTuple, RcpCommand
from tests.gateway.talk import clients, people, push_names, pushes, settle
from tests.support.client import Refused, Session, connect, login, named
from tests.support.server import Server

ALL_BITS = 0xFF
DROPPABLE = 2


async def delivered(sender: Session) -> RcpCommand:
    push = await sender.expect("rcp")
    assert (push.HasField("i"), push.service, push.notificationType) == (False, 2, DROPPABLE)
    assert push.serverTs == push.rcpMessage.t
    return push.rcpMessage


async def receipts(session: Session) -> list[str]:
    """Ids in the receipts that have come."""
    return [push.rcpMessage.id for push in await pushes(session) if named(push) == "rcp"]


async def synced(session: Session, conversation: str) -> None:
    """Everything the session said before has taken effect: a read mark is written after it and answered."""
    await session.read(conversation, timestamp=1)
    await session.expect("unread")


async def max_read(session: Session, conversation: str, **fields: bool) -> GenericCommand:
    reply = await session.request("conv", "max_read", cid=conversation, **fields)
    assert named(reply) == "conv/max_read"
    assert reply.convMessage.cid == conversation
    return reply


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("mid", marks=pytest.mark.covers("AckCommand.mid")),
        pytest.param("range", marks=pytest.mark.covers("AckCommand.fromts", "AckCommand.tots")),
        pytest.param("until", marks=pytest.mark.covers("AckCommand.tots")),
    ],
)
@pytest.mark.covers(
    "ack",
    "rcp",
    "GenericCommand.rcpMessage",
    "AckCommand.cid",
    "DirectCommand.r",
    "RcpCommand.id",
    "RcpCommand.cid",
    "RcpCommand.t",
    "RcpCommand.from",
    "LogItem.ackAt",
)
async def test_the_sender_learns_that_a_message_arrived(server: Server, form: str) -> None:
    """As Swift, JavaScript and Java say it."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        sent = await tom.send(conversation, "hello", r=True)
        said = {
            "mid": {"mid": sent.uid},
            "range": {"fromts": sent.t, "tots": sent.t},
            "until": {"tots": sent.t},
        }
        await jerry.post("ack", cid=conversation, **said[form])
        rcp = await delivered(tom)
        assert (rcp.id, rcp.cid, getattr(rcp, "from")) == (sent.uid, conversation, jerry.peer)
        assert rcp.t >= sent.t
        assert not rcp.HasField("read")
        (logged,) = await tom.logs(conversation)
        assert (logged.ackAt, logged.HasField("readAt")) == (rcp.t, False)


async def test_no_receipt_without_asking(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        sent = await tom.send(conversation, "hello")
        await jerry.post("ack", cid=conversation, mid=sent.uid)
        await synced(jerry, conversation)
        assert await receipts(tom) == []
        (logged,) = await tom.logs(conversation)
        assert logged.ackAt >= sent.t


async def test_all_devices_of_the_sender_hear_of_it(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry), login(server, tom.peer) as laptop:
        conversation = await tom.start(jerry.peer)
        sent = await tom.send(conversation, "hello", r=True)
        await jerry.post("ack", cid=conversation, mid=sent.uid)
        assert [(await delivered(session)).id for session in (tom, laptop)] == [sent.uid, sent.uid]


async def test_an_acknowledgement_on_every_device_gives_one_receipt(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry), login(server, jerry.peer) as laptop:
        conversation = await tom.start(jerry.peer)
        sent = await tom.send(conversation, "hello", r=True)
        for session in (jerry, laptop, jerry):
            await session.post("ack", cid=conversation, mid=sent.uid)
            await synced(session, conversation)
        assert await receipts(tom) == [sent.uid]


@pytest.mark.parametrize(("bits", "told"), [(0xBB, False), (ALL_BITS, True)])
async def test_inferred_group_receipts_only_for_senders_that_want_them(server: Server, bits: int, told: bool) -> None:
    (peer,) = people("tom")
    async with connect(server) as connection, clients(server, "jerry", "spike") as (jerry, spike):
        tom = await connection.open(peer, configBitmap=bits)
        await settle(tom)
        conversation = await tom.start(jerry.peer, spike.peer)
        sent = await tom.send(conversation, "hello", r=True)
        await jerry.post("ack", cid=conversation, mid=sent.uid)
        await synced(jerry, conversation)
        assert await receipts(tom) == ([sent.uid] if told else [])


async def test_inferred_ack_before_the_receipt(server: Server) -> None:
    """A receiver that answers in the same moment is not heard before the sender's own `ack`."""
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        acks = await tom.send(conversation, "hello", r=True)
        await jerry.post("ack", cid=conversation, tots=(1 << 62))
        assert (await delivered(tom)).id == acks.uid


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"mid": "x" * 22},
        {"mid": "short"},
        {"fromts": 5},
        {"tots": -(1 << 63)},
        {"fromts": 1 << 62, "tots": 1},
        {"ids": ["a", "b"]},
    ],
)
async def test_what_can_not_be_understood_is_ignored(server: Server, strange: dict[str, object]) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.send(conversation, "hello", r=True)
        await pushes(jerry)
        await jerry.post("ack", cid=conversation, **strange)
        await synced(jerry, conversation)
        assert await receipts(tom) == []
        assert await push_names(jerry) == []


async def test_strangers_acknowledge_nothing(server: Server) -> None:
    async with clients(server, "tom", "jerry", "mallory") as (tom, jerry, mallory):
        conversation = await tom.start(jerry.peer)
        sent = await tom.send(conversation, "hello", r=True)
        for cid in (conversation, "65f000000000000000000001", ""):
            await mallory.post("ack", cid=cid, mid=sent.uid)
        await synced(mallory, await mallory.start())
        assert await receipts(tom) == []
        assert (await tom.logs(conversation))[0].HasField("ackAt") is False


async def test_a_sender_who_has_left_is_told_nothing_any_more(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        sent = await tom.send(conversation, "hello", r=True)
        await tom.request("conv", "remove", cid=conversation, m=[tom.peer])
        await jerry.post("ack", cid=conversation, mid=sent.uid)
        await synced(jerry, conversation)
        await jerry.read(conversation)
        await jerry.expect("unread")
        assert await receipts(tom) == []


# read receipts


@pytest.mark.covers("rcp", "RcpCommand.read", "LogItem.readAt")
async def test_the_sender_learns_that_messages_were_read(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.send(conversation, "one", r=True)
        newest = await tom.send(conversation, "two", r=True)
        await tom.send(conversation, "three")
        await jerry.read(conversation)
        rcp = await delivered(tom)
        assert (rcp.id, rcp.cid, rcp.read, getattr(rcp, "from")) == (newest.uid, conversation, True, jerry.peer)
        await jerry.read(conversation)
        await synced(jerry, conversation)
        assert await receipts(tom) == []
        logged = await tom.logs(conversation)
        assert [item.readAt for item in logged] == [rcp.t] * 3


async def test_a_reader_alone_in_the_conversation_gives_no_receipts(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        conversation = await tom.start(jerry.peer)
        await tom.send(conversation, "one", r=True)
        await tom.read(conversation)
        await synced(tom, conversation)
        assert await receipts(tom) == []


# max_read


@pytest.mark.covers(
    "conv/max_read",
    "ConvCommand.maxReadTimestamp",
    "ConvCommand.maxAckTimestamp",
    "ConvCommand.queryAllMembers",
    "ConvCommand.maxReadTuples",
    "MaxReadTuple.pid",
    "MaxReadTuple.maxAckTimestamp",
    "MaxReadTuple.maxReadTimestamp",
)
async def test_max_read_tells_the_furthest_marks_of_the_others(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer, spike.peer)
        first, second = await tom.send(conversation, "one"), await tom.send(conversation, "two")
        nothing = (await max_read(tom, conversation)).convMessage
        assert not nothing.HasField("maxAckTimestamp")
        assert not nothing.HasField("maxReadTimestamp")
        await jerry.post("ack", cid=conversation, mid=second.uid)
        await jerry.read(conversation, timestamp=first.t)
        await spike.post("ack", cid=conversation, mid=first.uid)
        await synced(spike, conversation)
        await synced(jerry, conversation)
        marks = (await max_read(tom, conversation)).convMessage
        assert (marks.maxAckTimestamp, marks.maxReadTimestamp) == (second.t, first.t)
        each = (await max_read(tom, conversation, queryAllMembers=True)).convMessage
        assert not each.HasField("maxReadTimestamp")
        assert {item.pid: item for item in each.maxReadTuples} == {
            jerry.peer: MaxReadTuple(pid=jerry.peer, maxAckTimestamp=second.t, maxReadTimestamp=first.t),
            spike.peer: MaxReadTuple(pid=spike.peer, maxAckTimestamp=first.t),
        }
        assert (await max_read(jerry, conversation)).convMessage.maxAckTimestamp == first.t


async def test_max_read_is_for_members(server: Server) -> None:
    async with clients(server, "tom", "mallory") as (tom, mallory):
        conversation = await tom.start()
        for cid, code in ((conversation, 4317), ("65f000000000000000000001", 4303), ("", 4303)):
            with pytest.raises(Refused) as refusal:
                await mallory.request("conv", "max_read", cid=cid)
            assert refusal.value.code == code
