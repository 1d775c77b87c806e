"""Events as the commands that tell clients of them, without `peerId`: one encoding serves every receiver."""

from collections.abc import Iterator, Sequence
from typing import Any

from hongyan.engine.roles import NAMES
from hongyan.engine.values import (
    Conversation,
    ConversationKind,
    MemberInfo,
    Message,
    Missed,
    Receipt,
    Replacement,
    Unread,
    seconds_left,
)
from hongyan.gateway.connection import IM_SERVICE
from hongyan.wire.messages2_pb2 import (
    CommandType,
    ConvCommand,
    ConvMemberInfo,
    DirectCommand,
    GenericCommand,
    OpType,
    PatchCommand,
    PatchItem,
    RcpCommand,
    UnreadCommand,
    UnreadTuple,
)

#: `notificationType`: kept for clients that are offline, or not (reference 3.15).
PERMANENT, DROPPABLE = 1, 2
_DIRECT = CommandType.direct  # looking a name up in a protobuf enum takes a microsecond


def direct_command(conversation_id: str, kind: int, message: Message) -> GenericCommand:
    direct = DirectCommand(
        cid=conversation_id,
        id=message.id,
        fromPeerId=message.sender,
        timestamp=message.timestamp,
        convType=kind,
    )
    if isinstance(message.content, bytes):
        direct.binaryMsg = message.content
    else:
        direct.msg = message.content
    if message.transient:
        direct.transient = True
    if message.mention_all:
        direct.mentionAll = True
    if message.mentions:
        direct.mentionPids.extend(message.mentions)
    if message.patched_at:
        direct.patchTimestamp = message.patched_at
    return GenericCommand(cmd=_DIRECT, service=IM_SERVICE, serverTs=message.timestamp, directMessage=direct)


def offline_commands(missed: Missed) -> Iterator[GenericCommand]:
    """What a client missed in a conversation, message by message; `hasMore` while others follow or are kept."""
    for place, message in enumerate(missed.messages, 1):
        command = direct_command(missed.conversation_id, int(missed.kind), message)
        command.directMessage.offline = True
        if missed.more or place < len(missed.messages):
            command.directMessage.hasMore = True
        yield command


def conv_command(op: int, message: ConvCommand, at: int, notification: int) -> GenericCommand:
    return GenericCommand(
        cmd=CommandType.conv,
        op=op,  # type: ignore[arg-type]
        service=IM_SERVICE,
        serverTs=at,
        notificationType=notification,
        convMessage=message,
    )


def member_info(info: MemberInfo) -> ConvMemberInfo:
    """Who was never given a role has no id for it."""
    return ConvMemberInfo(pid=info.client, role=NAMES[info.role], infoId=info.id or None)


def kind_fields(conversation: Conversation, at: int) -> dict[str, Any]:
    """The fields of a `conv` push from which Java knows the kind of a conversation (reference 3.15)."""
    if conversation.kind is ConversationKind.CHATROOM:
        return {"transient": True}
    if conversation.expires_at is None:
        return {}
    return {"tempConv": True, "tempConvTTL": seconds_left(conversation.expires_at, at)}


def rcp_command(conversation_id: str, receipt: Receipt, reader: str, at: int, *, read: bool) -> GenericCommand:
    """`read` is left out of a delivery receipt: Java takes its presence for a read receipt (reference 2)."""
    rcp = RcpCommand(id=receipt.message_id, cid=conversation_id, t=at)
    setattr(rcp, "from", reader)
    if read:
        rcp.read = True
    return GenericCommand(
        cmd=CommandType.rcp, service=IM_SERVICE, serverTs=at, notificationType=DROPPABLE, rcpMessage=rcp
    )


def patch_command(conversation_id: str, message: Message, replaced: Replacement | None = None) -> GenericCommand:
    """One edit or recall: clients keep one per command (reference 3.21). `replaced`: not the author's own doing."""
    at = message.patched_at
    assert at is not None
    item = PatchItem(
        cid=conversation_id,
        mid=message.id,
        timestamp=message.timestamp,
        patchTimestamp=at,
        mentionPids=message.mentions,
    )
    setattr(item, "from", message.sender)
    if isinstance(message.content, bytes):
        item.binaryMsg = message.content
    else:
        item.data = message.content
    if message.recalled:
        item.recall = True
    if message.mention_all:
        item.mentionAll = True
    if replaced is not None and replaced.code is not None:
        item.patchCode = replaced.code
    if replaced is not None and replaced.reason:
        item.patchReason = replaced.reason
    return GenericCommand(
        cmd=CommandType.patch,
        op=OpType.modify,
        service=IM_SERVICE,
        serverTs=at,
        patchMessage=PatchCommand(patches=[item]),
    )


def unread_command(unread: Sequence[Unread], at: int, count_max: int) -> GenericCommand:
    """`count_max` caps the counts (reference 4.2)."""
    tuples = [_unread_tuple(item, count_max) for item in unread]
    return GenericCommand(cmd=CommandType.unread, unreadMessage=UnreadCommand(convs=tuples, notifTime=at))


def _unread_tuple(unread: Unread, count_max: int) -> UnreadTuple:
    answer = UnreadTuple(
        cid=unread.conversation_id,
        unread=min(unread.count, count_max),
        mentioned=unread.mentioned,
        convType=int(unread.kind),
    )
    last = unread.last_message
    if last is None:
        return answer
    answer.mid, answer.timestamp = last.id, last.timestamp
    setattr(answer, "from", last.sender)
    if isinstance(last.content, bytes):
        answer.binaryMsg = last.content
    else:
        answer.data = last.content
    if last.patched_at:
        answer.patchTimestamp = last.patched_at
    return answer
