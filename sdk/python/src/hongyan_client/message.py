"""A message, from wherever it came: pushed, read from history, or just sent."""

import base64
import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hongyan_client.content import Content, Recalled, decode
from hongyan_client.messages2_pb2 import DirectCommand, LogItem, PatchItem, UnreadTuple


@dataclass(frozen=True, slots=True)
class Message:
    """`timestamp` and the other times are milliseconds since 1970, as on the wire.

    `delivered_at` and `read_at` are known of messages from history only.
    """

    id: str
    conversation_id: str
    sender: str
    timestamp: int
    content: Content
    transient: bool = False
    mentions: tuple[str, ...] = ()
    mention_all: bool = False
    edited_at: int | None = None
    delivered_at: int | None = None
    read_at: int | None = None

    @property
    def sent_at(self) -> datetime:
        return datetime.fromtimestamp(self.timestamp / 1000, UTC)

    @property
    def recalled(self) -> bool:
        return isinstance(self.content, Recalled)


def from_push(pushed: DirectCommand) -> Message:
    """The message of a `direct` push."""
    return Message(
        id=pushed.id,
        conversation_id=pushed.cid,
        sender=pushed.fromPeerId,
        timestamp=pushed.timestamp,
        content=decode(pushed.binaryMsg if pushed.HasField("binaryMsg") else pushed.msg),
        transient=pushed.transient,
        mentions=tuple(pushed.mentionPids),
        mention_all=pushed.mentionAll,
        edited_at=pushed.patchTimestamp or None,
    )


def from_history(conversation_id: str, item: LogItem) -> Message:
    """The message of an item of `logs`."""
    return Message(
        id=item.msgId,
        conversation_id=conversation_id,
        sender=getattr(item, "from"),
        timestamp=item.timestamp,
        content=decode(base64.b64decode(item.data) if item.bin else item.data),
        mentions=tuple(item.mentionPids),
        mention_all=item.mentionAll,
        edited_at=item.patchTimestamp or None,
        delivered_at=item.ackAt or None,
        read_at=item.readAt or None,
    )


def from_unread(told: UnreadTuple) -> Message | None:
    """The last message that an unread count speaks of."""
    if not told.mid:
        return None
    return Message(
        id=told.mid,
        conversation_id=told.cid,
        sender=getattr(told, "from"),
        timestamp=told.timestamp,
        content=decode(told.binaryMsg if told.HasField("binaryMsg") else told.data),
        edited_at=told.patchTimestamp or None,
    )


def from_patch(patch: PatchItem) -> Message:
    """The message as it is after an edit."""
    data: Any = patch.data
    if patch.HasField("binaryMsg"):
        content: Content = decode(patch.binaryMsg)
    elif patch.recall:
        content = Recalled()
    else:
        content = decode(data)  # bytes, if it is a binary edit of the Java SDK
    return Message(
        id=patch.mid,
        conversation_id=patch.cid,
        sender=getattr(patch, "from"),
        timestamp=patch.timestamp,
        content=content,
        mentions=tuple(patch.mentionPids),
        mention_all=patch.mentionAll,
        edited_at=patch.patchTimestamp or None,
    )


def edited(message: Message, content: Content, at: int | None) -> Message:
    """The message with another content."""
    return dataclasses.replace(message, content=content, edited_at=at)
