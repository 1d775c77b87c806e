"""`conv`: starting, joining, leaving and finding conversations (reference 3.8 to 3.10)."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from hongyan import errors
from hongyan.engine import query as queries
from hongyan.engine.conversations import Members
from hongyan.engine.limits import Operation
from hongyan.engine.values import ConversationKind, ConversationRow, Marks, iso_time, seconds_left
from hongyan.errors import Refused
from hongyan.gateway import partial
from hongyan.gateway.connection import Connection
from hongyan.gateway.conversation_json import to_json
from hongyan.gateway.handlers import chat_rooms, conv_info, conv_roles, conv_silence
from hongyan.gateway.limits import check_limit
from hongyan.gateway.registry import PARTIAL_FAILURE, Session
from hongyan.gateway.signed import signature
from hongyan.wire.messages2_pb2 import ConvCommand, GenericCommand, JsonObjectMessage, MaxReadTuple, OpType

#: Marks of more members are put together in a thread.
LARGE = 1_000


def handle(connection: Connection, session: Session, command: GenericCommand) -> None:
    operation = _OPERATIONS.get(command.op)
    if operation is None:
        raise Refused(errors.UNPARSEABLE_RAW_MESSAGE, "unknown conversation operation")
    check_limit(connection, session.app, session.client, Operation.OTHER)
    connection.run(command, operation(connection, session, command))


async def start(connection: Connection, session: Session, command: GenericCommand) -> None:
    """Which kind is meant if several are named: SDKs do that (reference 3.8)."""
    asked = command.convMessage
    await connection.gateway.engine.signatures.check_start(
        session.app,
        session.client,
        list(asked.m),
        signature(asked),
        temporary=asked.tempConv and not asked.transient,
    )
    if asked.transient:
        await chat_rooms.start(connection, session, command)
    elif asked.tempConv:
        await _start_temporary(connection, session, command)
    else:
        await _start_normal(connection, session, command)


async def _start_normal(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked, reply = command.convMessage, _started_reply(connection, command)
    await connection.gateway.engine.conversations.start(
        session.app, session.client, list(asked.m), asked.attr.data, unique=asked.unique, reply=reply
    )


async def _start_temporary(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked, reply = command.convMessage, _started_reply(connection, command)
    await connection.gateway.engine.temporary.start(
        session.app, session.client, list(asked.m), asked.attr.data, ttl=asked.tempConvTTL, reply=reply
    )


def _started_reply(connection: Connection, command: GenericCommand) -> Callable[[ConversationRow, bool], None]:
    def reply(row: ConversationRow, existing: bool) -> None:
        answer = ConvCommand(cid=row.id, cdate=iso_time(row.created_at))
        if row.unique_id:
            answer.uniqueId = row.unique_id
        if existing:
            answer.existing = True
        if row.expires_at is not None:
            answer.tempConvTTL = seconds_left(row.expires_at, connection.gateway.engine.clock.now())
        connection.reply(command, conv_info.conv_answer(OpType.started, answer))

    return reply


async def add(connection: Connection, session: Session, command: GenericCommand) -> None:
    reply = _members_reply(connection, session, command, OpType.added)
    asked, engine = command.convMessage, connection.gateway.engine
    await engine.signatures.check_add(session.app, session.client, asked.cid, list(asked.m), signature(asked))
    app, client = session.app, session.client
    conversation = await engine.access.conversation(app, asked.cid)
    if conversation.kind is ConversationKind.CHATROOM:
        await engine.chatrooms.join(session, conversation, asked.m, reply)
    elif conversation.kind is ConversationKind.SERVICE:
        await engine.services.subscribe_self(app, conversation, client, asked.m, reply)
    else:
        await engine.conversations.add(
            app, client, asked.cid, list(asked.m), reply, partial=session.can(PARTIAL_FAILURE)
        )


async def remove(connection: Connection, session: Session, command: GenericCommand) -> None:
    reply = _members_reply(connection, session, command, OpType.removed)
    asked, engine = command.convMessage, connection.gateway.engine
    await engine.signatures.check_remove(session.app, session.client, asked.cid, list(asked.m), signature(asked))
    app, client = session.app, session.client
    conversation = await engine.access.conversation(app, asked.cid)
    if conversation.kind is ConversationKind.CHATROOM:
        await engine.chatrooms.leave(session, conversation, asked.m, reply)
    elif conversation.kind is ConversationKind.SERVICE:
        await engine.services.unsubscribe_self(conversation, client, asked.m, reply)
    else:
        await engine.conversations.remove(
            app, client, asked.cid, list(asked.m), reply, partial=session.can(PARTIAL_FAILURE)
        )


async def query(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked, engine = command.convMessage, connection.gateway.engine
    async with connection.reads:
        if asked.tempConvIds:
            by_ids = queries.by_ids(asked.tempConvIds, flag=asked.flag)
            rows = await engine.temporary.find(session.app, session.client, by_ids)
        else:
            wanted = await asyncio.to_thread(_wanted, session.client, asked)  # a large condition takes long
            rows = await engine.conversations.query(session.app, session.client, wanted)
        now = engine.clock.now()
        text = await asyncio.to_thread(_rows_text, rows, session.client, now)  # a thousand large groups take long
    answer = ConvCommand(results=JsonObjectMessage(data=text))
    connection.reply(command, conv_info.conv_answer(OpType.results, answer))


def _wanted(caller: str, asked: ConvCommand) -> queries.Query:
    return queries.parse(
        caller,
        asked.where.data,
        sort=asked.sort,
        limit=asked.limit if asked.HasField("limit") else None,
        skip=asked.skip,
        flag=asked.flag,
    )


async def max_read(connection: Connection, session: Session, command: GenericCommand) -> None:
    """How far the others have received and read: the furthest of them, or each."""
    asked = command.convMessage
    async with connection.reads:
        marks = await connection.gateway.engine.receipts.of_others(session.app, session.client, asked.cid)
        large = len(marks) > LARGE
        answer = await asyncio.to_thread(_max_read, asked, marks) if large else _max_read(asked, marks)
    connection.reply(command, conv_info.conv_answer(OpType.max_read, answer))


def _max_read(asked: ConvCommand, marks: list[Marks]) -> ConvCommand:
    if asked.queryAllMembers:
        return ConvCommand(cid=asked.cid, maxReadTuples=map(_max_read_tuple, marks))
    acked = max((mark.acked_to for mark in marks if mark.acked_to is not None), default=None)
    read = max((mark.read_to for mark in marks if mark.read_to is not None), default=None)
    return ConvCommand(cid=asked.cid, maxAckTimestamp=acked, maxReadTimestamp=read)


def _max_read_tuple(marks: Marks) -> MaxReadTuple:
    return MaxReadTuple(pid=marks.client, maxAckTimestamp=marks.acked_to, maxReadTimestamp=marks.read_to)


def _rows_text(rows: list[ConversationRow], caller: str, now: int) -> str:
    """Row by row: the event loop can't run while one call makes JSON."""
    return f"[{','.join(json.dumps(to_json(row, caller, now), ensure_ascii=False) for row in rows)}]"


def _members_reply(
    connection: Connection, session: Session, command: GenericCommand, op: int
) -> Callable[[Members], None]:
    def reply(members: Members) -> None:
        answer = ConvCommand(cid=members.conversation_id, udate=iso_time(members.updated_at))
        partial.fill(answer, session, members.allowed, members.failed)
        connection.reply(command, conv_info.conv_answer(op, answer))

    return reply


_OPERATIONS: dict[int, Callable[[Connection, Session, GenericCommand], Coroutine[Any, Any, None]]] = {
    OpType.start: start,
    OpType.add: add,
    OpType.remove: remove,
    OpType.query: query,
    OpType.max_read: max_read,
    **conv_info.OPERATIONS,
    **conv_roles.OPERATIONS,
    **conv_silence.OPERATIONS,
}
