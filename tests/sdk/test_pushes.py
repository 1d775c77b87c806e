"""What the server sends of itself becomes events, against a scripted gateway."""

import pytest
from hongyan_client import (
    Binary,
    Client,
    ClientClosed,
    Closed,
    Conflict,
    ConversationUpdated,
    Delivered,
    EventsDropped,
    Kicked,
    MembersJoined,
    MessageEdited,
    MessageRecalled,
    Raw,
    Read,
    Recalled,
    State,
    UnreadChanged,
)

from tests.sdk.gateway import START, Gateway
from tests.sdk.take import Events
from tests.support.client import command


async def test_receipts(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        events = Events(tom)
        await gateway.push("rcp", cid="c1", id="id1", t=5, **{"from": "jerry"})
        await gateway.push("rcp", cid="c1", id="id2", t=6, read=True, **{"from": "jerry"})
        conversation = tom.conversation("c1")
        assert await events.next(Delivered) == Delivered(conversation, "id1", "jerry", 5)
        assert await events.next(Read) == Read(conversation, "id2", "jerry", 6)


async def test_edits_and_recalls(gateway: Gateway) -> None:
    patch = {"cid": "c1", "mid": "id1", "timestamp": START, "from": "jerry"}
    async with gateway.open() as tom:
        events = Events(tom)
        for change in (
            {"data": "new", "patchTimestamp": START + 9},
            {"binaryMsg": b"\x01"},
            {"data": "***", "patchCode": -4408, "patchReason": "words"},
            {"recall": True, "data": '{"_lctype":-127}'},
        ):
            await gateway.push("patch", "modify", patches=[patch | change])
        text = await events.next(MessageEdited)
        assert (text.message.content, text.message.edited_at, text.code) == (Raw("new"), START + 9, None)
        assert (await events.next(MessageEdited)).message.content == Binary(b"\x01")
        masked = await events.next(MessageEdited)
        assert (masked.code, masked.reason) == (-4408, "words")
        assert (await events.next(MessageRecalled)).message.content == Recalled()


async def test_the_time_of_the_last_edit_is_told_at_the_next_login(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        events = Events(tom)
        await gateway.push("patch", "modify", patches=[{"cid": "c1", "mid": "i", "patchTimestamp": START + 500}])
        await gateway.push("unread", convs=[{"cid": "c1", "unread": 2}], notifTime=START + 600)
        assert (await events.next(UnreadChanged)).count == 2
        gateway.cut()
        again = (await gateway.expect("session/open", 2)).sessionMessage
        assert (again.lastPatchTime, again.lastUnreadNotifTime) == (START + 500, START + 600)


async def test_a_changed_conversation(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        events, conversation = Events(tom), tom.conversation("c1")
        conversation.attributes, conversation.columns = {"old": 1}, {"topic": "geese"}
        await gateway.push(
            "conv",
            "updated",
            cid="c1",
            initBy="jerry",
            udate="2026-01-12T08:00:00.000Z",
            attr={"data": '{"attr.colour": "grey", "name": "New", "topic": {"__op": "Delete"}}'},
            attrModified={"data": '{"attr": {"colour": "grey"}, "name": "New"}'},
        )
        told = await events.next(ConversationUpdated)
        assert (told.by, told.values) == ("jerry", {"attr": {"colour": "grey"}, "name": "New"})
        assert (conversation.name, conversation.attributes, conversation.columns) == ("New", {"colour": "grey"}, {})
        assert conversation.updated_at is not None


async def test_members_of_a_conversation_are_kept_up_to_date(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        events, conversation = Events(tom), tom.conversation("c1")
        await gateway.push("conv", "members_joined", cid="c1", m=["tom", "jerry"], initBy="jerry")
        await events.next(MembersJoined)
        assert conversation.members == ("tom", "jerry")
        await gateway.push("conv", "left", cid="c1", initBy="jerry")
        await events.next(Kicked)
        assert conversation.members == ("jerry",)


@pytest.mark.parametrize(("code", "kind"), [(4111, Conflict), (4115, Closed)])
async def test_the_server_closes_the_session(gateway: Gateway, code: int, kind: type[Closed]) -> None:
    async with gateway.open() as tom:
        await gateway.push("session", "closed", code=code, reason="WHY", detail="why")
        assert [event async for event in tom.events()] == [kind(code, "WHY", "why")]
        assert tom.state is State.CLOSED
        assert (await tom.closed()).code == code
        with pytest.raises(ClientClosed, match="WHY: why"):
            await tom.conversation("c1").send("hi")
    assert "session/close" not in gateway.names()


async def test_pushes_for_others_and_of_unknown_kinds_change_nothing(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        events = Events(tom)
        other = command("direct", peer="jerry", cid="c1", id="x", timestamp=START, msg="not yours")
        await gateway.sockets[-1].send(other.SerializeToString())
        await gateway.push("conv", "member_info_changed", cid="c1")
        await gateway.push("echo")
        await gateway.message(1)
        assert (await events.message()).id == "id1"


async def test_broken_pushes_do_not_stop_the_client(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    async with gateway.open() as tom:
        events = Events(tom)
        await gateway.push("conv", "updated", cid="c1", attr={"data": "{"})
        await gateway.message(1)
        assert (await events.message()).id == "id1"
        assert "could not be taken" in caplog.text
        await gateway.sockets[-1].send(b"\xff\xff")
        await gateway.expect("session/open", 2)


async def test_received_messages_are_acknowledged_in_ranges_once_taken(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        events = Events(tom)
        for number in range(1, 4):
            await gateway.message(number)
        await gateway.message(4, sender="tom")
        await gateway.message(5, "room", convType=2)
        await gateway.message(6, transient=True)
        await events.messages(6)
        ack = (await gateway.expect("ack")).ackMessage
        assert (ack.cid, ack.fromts, ack.tots) == ("c1", START + 1, START + 3)
    assert gateway.names().count("ack") == 1


async def test_acknowledgements_wait_for_a_connection(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        events = Events(tom)
        await gateway.message(1)
        await events.message()
        gateway.cut()
        await gateway.expect("session/open", 2)
        assert (await gateway.expect("ack")).ackMessage.tots == START + 1


async def test_too_many_events_are_left_out_and_counted(gateway: Gateway) -> None:
    async with gateway.open(max_events=3) as tom:
        for number in range(10):
            await gateway.push("rcp", cid="c1", id=f"id{number}", t=1, **{"from": "jerry"})
        gateway.answer("conv/count", "conv", "result", count=1)
        await tom.conversation("c1").count()
        events = Events(tom)
        assert (await events.next(EventsDropped)) == EventsDropped(7)


async def test_too_many_messages_are_left_out_and_counted_without_catching_up(gateway: Gateway) -> None:
    async with gateway.open(max_events=3, catch_up=False) as tom:
        await fill(gateway, tom, 10)
        events = Events(tom)
        assert [message.id for message in await events.messages(3)] == ["id0", "id1", "id2"]
        assert await events.next(EventsDropped) == EventsDropped(7)


async def test_repeated_pushes_are_told_once(gateway: Gateway) -> None:
    async with gateway.open() as tom:
        for number in (1, 2, 2, 1, 3):
            await gateway.message(number)
        events = Events(tom)
        assert [message.id for message in await events.messages(3)] == ["id1", "id2", "id3"]


async def fill(gateway: Gateway, tom: Client, count: int) -> None:
    """Pushes messages and waits until the client has read them all."""
    for number in range(count):
        await gateway.message(number)
    gateway.answer("session/query", "session", "query_result")
    await tom.online("anybody")
