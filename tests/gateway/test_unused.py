"""What the schema has and no current SDK uses: commands are refused, fields are ignored (reference 2.4, 3.23)."""

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from hongyan.wire.messages2_pb2 import SystemInfo
from tests.gateway.talk import clients, people, push_names, pushes
from tests.support.client import Refused, command, connect, named
from tests.support.server import Server

COMMANDS = [
    *(("room", op) for op in ("join", "invite", "leave", "kick", "reject", "invited", "kicked")),
    *(("pubsub", op) for op in ("subscribe", "subscribed", "unsubscribe", "unsubscribed", "is_subscribed")),
    ("presence", None),
    ("conv", "status"),
    ("conv", "expire"),
    ("session", "conflict"),
]


def fill(message: Message, text: str) -> None:
    """Give every field a value: the text where it takes one, and 1."""
    for field in message.DESCRIPTOR.fields:
        value: Any = text if field.type == FieldDescriptor.TYPE_STRING else 1
        if field.message_type is not None:
            part = getattr(message, field.name)
            fill(part.add() if field.is_repeated else part, text)
        elif field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)


@pytest.mark.covers("room/join", "room/invite", "room/leave", "room/kick", "room/reject", "room/invited", "room/kicked")
@pytest.mark.covers("pubsub/subscribe", "pubsub/subscribed", "pubsub/unsubscribe", "pubsub/unsubscribed")
@pytest.mark.covers("pubsub/is_subscribed", "presence", "conv/status", "conv/expire", "session/conflict")
@pytest.mark.covers("GenericCommand.roomMessage", "GenericCommand.pubsubMessage", "GenericCommand.presenceMessage")
@pytest.mark.covers("RoomCommand.roomId", "RoomCommand.s", "RoomCommand.t", "RoomCommand.n", "RoomCommand.transient")
@pytest.mark.covers("RoomCommand.roomPeerIds", "RoomCommand.byPeerId")
@pytest.mark.covers("PubsubCommand.cid", "PubsubCommand.cids", "PubsubCommand.topic", "PubsubCommand.topics")
@pytest.mark.covers("PubsubCommand.subtopic", "PubsubCommand.subtopics", "PubsubCommand.results")
@pytest.mark.covers("PresenceCommand.status", "PresenceCommand.sessionPeerIds", "PresenceCommand.cid")
@pytest.mark.covers("ConvCommand.statusSub", "ConvCommand.statusPub", "ConvCommand.statusTTL")
async def test_commands_that_no_sdk_sends_are_refused_inferred(server: Server) -> None:
    async with clients(server, "tom", "jerry") as (tom, jerry):
        for cmd, op in COMMANDS:
            request = command(cmd, op, tom.peer)
            fill(getattr(request, f"{cmd}Message"), jerry.peer)
            with pytest.raises(Refused) as refused:
                await tom.connection.request(request)
            assert (refused.value.code, refused.value.reason) == (4114, "UNPARSEABLE_RAW_MESSAGE")
            assert refused.value.answer.peerId == tom.peer
        assert await push_names(tom) == []
        assert await push_names(jerry) == []
        assert await tom.start()


@pytest.mark.covers("SessionCommand.ua", "SessionCommand.sp", "SessionCommand.systemInfo")
@pytest.mark.covers("SystemInfo.deviceType", "SystemInfo.osVersion", "SystemInfo.androidVersion")
@pytest.mark.covers("SystemInfo.isEmulator", "AndroidVersion.codename", "AndroidVersion.apiLevel")
@pytest.mark.covers("SemanticVersion.major", "SemanticVersion.minor", "SemanticVersion.patch")
@pytest.mark.covers("SemanticVersion.preRelease", "SemanticVersion.build")
async def test_what_a_client_says_of_its_system_is_taken_and_not_told(server: Server) -> None:
    (tom,) = people("tom")
    async with connect(server) as connection:
        system = SystemInfo()
        fill(system, "secret")
        session = await connection.open(tom, ua="js/9.0.0 " + "secret" * 50, sp=True, systemInfo=system)
        assert session.peer == tom
        told = {field.name for field, _ in session.opened.sessionMessage.ListFields()}
        assert told == {"st", "stTtl"}
        assert b"secret" not in session.opened.SerializeToString()
        assert await session.start()


@pytest.mark.covers("DirectCommand.uid", "DirectCommand.roomId", "DirectCommand.toPeerIds")
@pytest.mark.covers("LogsCommand.checksum", "LogsCommand.stored", "AckCommand.type")
async def test_fields_that_no_sdk_uses_change_nothing(server: Server) -> None:
    async with clients(server, "tom", "jerry", "spike") as (tom, jerry, spike):
        conversation = await tom.start(jerry.peer)
        sent = await tom.send(conversation, "hi", r=True, uid="mine", roomId="room", toPeerIds=[spike.peer])
        (message,) = [push.directMessage for push in await pushes(jerry) if named(push) == "direct"]
        assert message.id == sent.uid != "mine"
        assert not message.HasField("uid")
        assert not message.HasField("roomId")
        assert list(message.toPeerIds) == []
        assert await push_names(spike) == []
        await jerry.post("ack", cid=conversation, mid=sent.uid, type="read")
        receipt = (await tom.expect("rcp")).rcpMessage
        assert (receipt.id, receipt.HasField("read")) == (sent.uid, False)
        page = await tom.logs(conversation, checksum="none", stored=False)
        assert [item.msgId for item in page] == [sent.uid]
