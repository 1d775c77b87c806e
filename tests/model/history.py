"""History as the model has it, page by page in both directions."""

import base64
from collections.abc import Sequence
from typing import Any

from hongyan.wire.messages2_pb2 import LogItem, LogsCommand
from tests.model.compare import difference
from tests.model.model import Content, Conversation, Message
from tests.support.client import Session

OLD, NEW = LogsCommand.QueryDirection.Value("OLD"), LogsCommand.QueryDirection.Value("NEW")


async def check_history(session: Session, conversation: Conversation, page: int) -> None:
    """Every message once and in order, forwards in large pages and backwards in pages of this size."""
    forwards, backwards = await session.history(conversation.id), await _backwards(session, conversation.id, page)
    assert forwards == backwards, "history is another from its end"
    expected = [_expected(message) for message in conversation.messages]
    found = [_found(item) for item in forwards]
    assert found == expected, f"{session.peer} reads {difference(found, expected)}"


async def _backwards(session: Session, conversation: str, size: int) -> Sequence[LogItem]:
    found: list[LogItem] = []
    start: dict[str, Any] = {}
    while True:
        page = await session.logs(conversation, l=size, direction=OLD, **start)
        assert len(page) <= size
        found = page + found
        if len(page) < size:
            return found
        start = {"t": page[0].timestamp, "mid": page[0].msgId}


def item_content(item: LogItem) -> Content:
    return base64.b64decode(item.data, validate=True) if item.bin else item.data


def _found(item: LogItem) -> tuple[object, ...]:
    mentions = frozenset(item.mentionPids)
    times = bool(item.ackAt), bool(item.readAt)
    said = (item.msgId, item.timestamp, getattr(item, "from"), item_content(item), mentions, item.mentionAll)
    return (*said, *times, item.patchTimestamp)


def _expected(message: Message) -> tuple[object, ...]:
    return (*message.told()[1:], message.acked, message.read, message.patched_at)
