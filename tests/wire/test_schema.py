"""The schema against the tables of the protocol reference (sections 2.1 to 2.4), written out again here."""

import pytest
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from hongyan.wire import messages2_pb2
from hongyan.wire.messages2_pb2 import GenericCommand, LogsCommand, PatchItem

ENUMS = {
    "CommandType": "session conv direct ack rcp unread logs error login data room read presence report echo"
    " loggedin logout loggedout patch pubsub blacklist goaway",
    "OpType": "1=open add remove close opened closed query query_result conflict added removed refresh refreshed"
    " 30=start started joined members_joined 39=left members_left 42=results count result update updated mute"
    " unmute status members max_read is_member member_info_update member_info_updated member_info_changed expire"
    " 80=join invite leave kick reject invited kicked 100=upload uploaded"
    " 120=subscribe subscribed unsubscribe unsubscribed is_subscribed 150=modify modified"
    " 170=block unblock blocked unblocked members_blocked members_unblocked check_block check_result"
    " 180=add_shutup remove_shutup query_shutup shutup_added shutup_removed shutup_result shutuped unshutuped"
    " members_shutuped members_unshutuped check_shutup",
    "StatusType": "1=on off",
    "DeviceType": "unknown android ios",
}
"""Numbers count on from the last; the first is 0."""

MESSAGES = {
    "GenericCommand": "cmd:CommandType op:OpType appId:str peerId:str i:i32 installationId:str priority:i32"
    " service:i32 serverTs:i64 clientTs:i64 notificationType:i32 100=loginMessage:LoginCommand"
    " dataMessage:DataCommand sessionMessage:SessionCommand errorMessage:ErrorCommand directMessage:DirectCommand"
    " ackMessage:AckCommand unreadMessage:UnreadCommand readMessage:ReadCommand rcpMessage:RcpCommand"
    " logsMessage:LogsCommand convMessage:ConvCommand roomMessage:RoomCommand presenceMessage:PresenceCommand"
    " reportMessage:ReportCommand patchMessage:PatchCommand pubsubMessage:PubsubCommand"
    " blacklistMessage:BlacklistCommand loggedinMessage:LoggedinCommand",
    "JsonObjectMessage": "data:!str",
    "SessionCommand": "t:i64 n:str s:str ua:str r:bool tag:str deviceId:str sessionPeerIds:*str"
    " onlineSessionPeerIds:*str st:str stTtl:i32 code:i32 reason:str deviceToken:str sp:bool detail:str"
    " lastUnreadNotifTime:i64 lastPatchTime:i64 configBitmap:i64 systemInfo:SystemInfo",
    "ErrorCommand": "code:!i32 reason:!str appCode:i32 detail:str pids:*str appMsg:str",
    "DirectCommand": "msg:str uid:str fromPeerId:str timestamp:i64 offline:bool hasMore:bool toPeerIds:*str"
    " 10=r:bool cid:str id:str transient:bool dt:str roomId:str pushData:str will:bool patchTimestamp:i64"
    " binaryMsg:bytes mentionPids:*str mentionAll:bool convType:i32",
    "AckCommand": "code:i32 reason:str mid:str cid:str t:i64 uid:str fromts:i64 tots:i64 type:str ids:*str"
    " appCode:i32 appMsg:str",
    "UnreadCommand": "convs:*UnreadTuple notifTime:i64",
    "UnreadTuple": "cid:!str unread:!i32 mid:str timestamp:i64 from:str data:str patchTimestamp:i64"
    " mentioned:bool binaryMsg:bytes convType:i32",
    "ConvCommand": "m:*str transient:bool unique:bool cid:str cdate:str initBy:str sort:str limit:i32 skip:i32"
    " flag:i32 count:i32 udate:str t:i64 n:str s:str statusSub:bool statusPub:bool statusTTL:i32 uniqueId:str"
    " targetClientId:str maxReadTimestamp:i64 maxAckTimestamp:i64 queryAllMembers:bool maxReadTuples:*MaxReadTuple"
    " cids:*str info:ConvMemberInfo tempConv:bool tempConvTTL:i32 tempConvIds:*str allowedPids:*str"
    " failedPids:*ErrorCommand existing:bool 40=next:str 100=results:JsonObjectMessage where:JsonObjectMessage"
    " 103=attr:JsonObjectMessage attrModified:JsonObjectMessage",
    "ConvMemberInfo": "pid:str role:str infoId:str",
    "MaxReadTuple": "pid:str maxAckTimestamp:i64 maxReadTimestamp:i64",
    "LogsCommand": "cid:str l:i32 limit:i32 t:i64 tt:i64 tmid:str mid:str checksum:str stored:bool"
    " direction:QueryDirection tIncluded:bool ttIncluded:bool lctype:i32 105=logs:*LogItem",
    "LogItem": "from:str data:str timestamp:i64 msgId:str ackAt:i64 readAt:i64 patchTimestamp:i64 mentionAll:bool"
    " mentionPids:*str bin:bool convType:i32",
    "RcpCommand": "id:str cid:str t:i64 read:bool from:str",
    "ReadCommand": "cid:str cids:*str convs:*ReadTuple",
    "ReadTuple": "cid:!str timestamp:i64 mid:str",
    "PatchCommand": "patches:*PatchItem lastPatchTime:i64",
    "PatchItem": "cid:str mid:str timestamp:i64 recall:bool data:str patchTimestamp:i64 from:str binaryMsg:bytes"
    " mentionAll:bool mentionPids:*str patchCode:i64 patchReason:str",
    "BlacklistCommand": "srcCid:str toPids:*str srcPid:str toCids:*str limit:i32 next:str 8=blockedPids:*str"
    " blockedCids:*str allowedPids:*str failedPids:*ErrorCommand t:i64 n:str s:str",
    "DataCommand": "ids:*str msg:*JsonObjectMessage offline:bool",
    "ReportCommand": "initiative:bool type:str data:str",
    "PresenceCommand": "status:StatusType sessionPeerIds:*str cid:str",
    "RoomCommand": "roomId:str s:str t:i64 n:str transient:bool roomPeerIds:*str byPeerId:str",
    "PubsubCommand": "cid:str cids:*str topic:str subtopic:str topics:*str subtopics:*str results:JsonObjectMessage",
    "LoginCommand": "systemInfo:SystemInfo",
    "LoggedinCommand": "pushDisabled:bool",
    "SystemInfo": "deviceType:DeviceType osVersion:SemanticVersion androidVersion:AndroidVersion isEmulator:bool",
    "SemanticVersion": "major:i32 minor:i32 patch:i32 preRelease:str build:str",
    "AndroidVersion": "codename:str apiLevel:str",
}
"""Numbers count on from the last; the first is 1. `*` repeated, `!` required, otherwise optional."""

TYPES = {
    FieldDescriptor.TYPE_INT32: "i32",
    FieldDescriptor.TYPE_INT64: "i64",
    FieldDescriptor.TYPE_STRING: "str",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_BYTES: "bytes",
}


def expand(table: str, first: int) -> dict[int, str]:
    """Number to name of a table."""
    number, numbered = first - 1, {}
    for entry in table.split():
        given, _, name = entry.rpartition("=")
        number = int(given) if given else number + 1
        numbered[number] = name
    return numbered


def described(field: FieldDescriptor) -> str:
    mark = "*" if field.is_repeated else "!" if field.is_required else ""
    named = field.message_type or field.enum_type
    return f"{field.name}:{mark}{named.name if named else TYPES[field.type]}"


def test_the_package_has_the_messages_and_enums_of_the_reference() -> None:
    file = messages2_pb2.DESCRIPTOR
    assert file.package == "push_server.messages2"
    assert set(file.message_types_by_name) == set(MESSAGES)
    assert set(file.enum_types_by_name) == set(ENUMS)


@pytest.mark.parametrize("name", ENUMS)
def test_enum_numbers(name: str) -> None:
    enum: EnumDescriptor = messages2_pb2.DESCRIPTOR.enum_types_by_name[name]
    first = 1 if "=" in ENUMS[name].split()[0] else 0
    assert {value.number: value.name for value in enum.values} == expand(ENUMS[name], first)


@pytest.mark.parametrize("name", MESSAGES)
def test_message_fields(name: str) -> None:
    message = messages2_pb2.DESCRIPTOR.message_types_by_name[name]
    assert {field.number: described(field) for field in message.fields} == expand(MESSAGES[name], 1)


def test_history_is_read_backward_unless_the_direction_says_otherwise() -> None:
    assert LogsCommand.QueryDirection.items() == [("OLD", 1), ("NEW", 2)]
    assert LogsCommand().direction == LogsCommand.OLD


@pytest.mark.parametrize("field", ["cmd", "op"])
def test_unknown_enum_numbers_are_as_if_absent(field: str) -> None:
    tag = {"cmd": 0x08, "op": 0x10}[field]
    assert not GenericCommand.FromString(bytes([tag, 99])).HasField(field)


def test_presence_is_kept_for_fields_with_their_default() -> None:
    command = GenericCommand(cmd="session", i=0, ackMessage={"code": 0})
    assert command.SerializeToString() == b"\x08\x00\x28\x00\xca\x06\x02\x08\x00"
    assert not GenericCommand.FromString(b"\x08\x00").HasField("i")


def test_text_is_utf8_or_the_command_undecodable() -> None:
    with pytest.raises(DecodeError):
        GenericCommand.FromString(b"\x22\x02\xff\xfe")


def test_the_text_of_an_edit_may_be_bytes() -> None:
    item = PatchItem.FromString(b"\x2a\x02\xff\xfe\x12\x02m1")
    assert (item.data, item.mid) == (b"\xff\xfe", "m1")
    assert PatchItem.FromString(item.SerializeToString()) == item


def test_the_text_of_an_edit_is_text_where_it_is_utf8() -> None:
    assert PatchItem.FromString(b"\x2a\x03\xe9\xb8\xbf").data == "鸿"
