"""`conv`: attributes, muting, counting, asking for membership (reference 3.11, 3.12)."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from hongyan import errors
from hongyan.engine.chatrooms import SAMPLE_MAX
from hongyan.engine.info import Updated
from hongyan.engine.values import iso_time
from hongyan.errors import Refused
from hongyan.gateway.connection import Connection
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import CommandType, ConvCommand, GenericCommand, JsonObjectMessage, OpType


async def update(connection: Connection, session: Session, command: GenericCommand) -> None:
    """A small change of large attributes tells all members all of them: an app has a budget for that."""
    asked = command.convMessage
    if not connection.gateway.engine.changes.allow(session.app):
        raise Refused(errors.CONVERSATION_API_QUOTA_EXCEEDED, "the app changes too many attributes of large groups")

    def reply(updated: Updated) -> None:
        answer = ConvCommand(
            cid=updated.conversation_id,
            udate=iso_time(updated.updated_at),
            attr=JsonObjectMessage(data=updated.attr),
            attrModified=JsonObjectMessage(data=updated.modified),
        )
        connection.reply(command, conv_answer(OpType.updated, answer))

    info = connection.gateway.engine.info
    await info.update(session.app, session.client, asked.cid, asked.attr.data, session, reply)


async def mute(connection: Connection, session: Session, command: GenericCommand) -> None:
    def reply(conversation_id: str, updated_at: int) -> None:
        answer = ConvCommand(cid=conversation_id, udate=iso_time(updated_at))
        connection.reply(command, conv_answer(OpType.updated, answer))

    muted = command.op == OpType.mute
    await connection.gateway.engine.info.mute(session.app, session.client, command.convMessage.cid, muted, reply)


async def count(connection: Connection, session: Session, command: GenericCommand) -> None:
    conversation_id = command.convMessage.cid
    found = await connection.gateway.engine.info.count(session.app, session.client, conversation_id)
    connection.reply(command, conv_answer(OpType.result, ConvCommand(cid=conversation_id, count=found)))


async def members(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked = command.convMessage
    limit = asked.limit if asked.HasField("limit") else SAMPLE_MAX
    online = await connection.gateway.engine.info.online_members(session.app, asked.cid, limit)
    connection.reply(command, conv_answer(OpType.members, ConvCommand(cid=asked.cid, m=online)))


async def is_member(connection: Connection, session: Session, command: GenericCommand) -> None:
    """Of several conversations; whoever puts one into `cid` gets an answer, too."""
    asked = command.convMessage
    conversation_ids = [*asked.cids, *([asked.cid] if asked.cid else [])]
    async with connection.reads:
        found = await connection.gateway.engine.info.memberships(session.app, session.client, conversation_ids)
    text = json.dumps(found, ensure_ascii=False)
    answer = ConvCommand(cid=asked.cid or None, results=JsonObjectMessage(data=text))
    connection.reply(command, conv_answer(OpType.is_member, answer))


def conv_answer(op: int, message: ConvCommand) -> GenericCommand:
    """A reply to a `conv` command, its serial and client not yet filled in."""
    return GenericCommand(cmd=CommandType.conv, op=op, convMessage=message)  # type: ignore[arg-type]


OPERATIONS: dict[int, Callable[[Connection, Session, GenericCommand], Coroutine[Any, Any, None]]] = {
    OpType.update: update,
    OpType.mute: mute,
    OpType.unmute: mute,
    OpType.count: count,
    OpType.members: members,
    OpType.is_member: is_member,
}
