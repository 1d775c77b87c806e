"""`logs`: history (reference 3.20)."""

import asyncio
import base64

from hongyan.engine.history import LIMIT_DEFAULT, LIMIT_MAX
from hongyan.engine.limits import Operation
from hongyan.engine.values import Conversation, HistoryRange, Message
from hongyan.gateway.connection import Connection
from hongyan.gateway.limits import check_limit
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, LogItem, LogsCommand

#: A page with more bytes or characters of content is put together in a thread.
LARGE = 262_144


def handle(connection: Connection, session: Session, command: GenericCommand) -> None:
    check_limit(connection, session.app, session.client, Operation.READ)
    connection.run(command, _answer(connection, session, command))


async def _answer(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked = command.logsMessage
    async with connection.reads:
        conversation, messages = await connection.gateway.engine.history.page(
            session.app, session.client, asked.cid, _range(asked)
        )
        large = sum(len(message.content) for message in messages) > LARGE
        items = await asyncio.to_thread(_items, conversation, messages) if large else _items(conversation, messages)
    logs = LogsCommand(cid=asked.cid, logs=items)
    connection.reply(command, GenericCommand(cmd=CommandType.logs, logsMessage=logs))


def _items(conversation: Conversation, messages: list[Message]) -> list[LogItem]:
    return [_item(conversation, message) for message in messages]


def _range(asked: LogsCommand) -> HistoryRange:
    return HistoryRange(
        limit=_limit(asked),
        newer=asked.direction == LogsCommand.NEW,
        start=asked.t or None,
        start_id=asked.mid,
        start_included=asked.tIncluded,
        end=asked.tt or None,
        end_id=asked.tmid,
        end_included=asked.ttIncluded,
        lctype=asked.lctype if asked.HasField("lctype") else None,
    )


def _limit(asked: LogsCommand) -> int:
    """JS means none by `l` = 0; other SDKs mean the default by `limit` = 0."""
    if asked.HasField("l"):
        return max(0, min(asked.l, LIMIT_MAX))
    return max(0, min(asked.limit or LIMIT_DEFAULT, LIMIT_MAX))


def _item(conversation: Conversation, message: Message) -> LogItem:
    item = LogItem(
        msgId=message.id,
        timestamp=message.timestamp,
        convType=int(conversation.kind),
        mentionPids=message.mentions,
    )
    setattr(item, "from", message.sender)
    if isinstance(message.content, bytes):
        item.data, item.bin = base64.b64encode(message.content).decode("ascii"), True
    else:
        item.data = message.content
    if message.mention_all:
        item.mentionAll = True
    if message.patched_at:
        item.patchTimestamp = message.patched_at
    if message.acked_at:
        item.ackAt = message.acked_at
    if message.read_at:
        item.readAt = message.read_at
    return item
