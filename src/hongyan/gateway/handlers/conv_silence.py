"""`conv`: silencing, and who is silenced (reference 3.13)."""

from collections.abc import Callable, Coroutine
from typing import Any

from hongyan import errors
from hongyan.errors import Refused
from hongyan.gateway import partial
from hongyan.gateway.connection import Connection
from hongyan.gateway.handlers.conv_info import conv_answer
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import ConvCommand, GenericCommand, OpType

#: Ids of one page of those silenced.
PAGE, PAGE_MAX = 50, 100
#: Java makes the offset itself.
DIGITS_MAX = 9


async def add_shutup(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked, reply = command.convMessage, _reply(connection, session, command, OpType.shutup_added)
    await connection.gateway.engine.silence.impose(session.app, session.client, asked.cid, asked.m, reply)


async def remove_shutup(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked, reply = command.convMessage, _reply(connection, session, command, OpType.shutup_removed)
    await connection.gateway.engine.silence.lift(session.app, session.client, asked.cid, asked.m, reply)


def _reply(
    connection: Connection, session: Session, command: GenericCommand, op: int
) -> Callable[[str, tuple[str, ...]], None]:
    def reply(conversation_id: str, done: tuple[str, ...]) -> None:
        answer = ConvCommand(cid=conversation_id)
        partial.fill(answer, session, done, ())
        connection.reply(command, conv_answer(op, answer))

    return reply


async def query_shutup(connection: Connection, session: Session, command: GenericCommand) -> None:
    """`next` is the offset of the next page, absent at the end."""
    asked = command.convMessage
    limit = min(asked.limit, PAGE_MAX) if asked.limit > 0 else PAGE
    async with connection.reads:
        silence = connection.gateway.engine.silence
        found, skip = await silence.page(session.app, session.client, asked.cid, limit, _offset(asked.next))
    answer = ConvCommand(cid=asked.cid, m=found, next=None if skip is None else str(skip))
    connection.reply(command, conv_answer(OpType.shutup_result, answer))


async def check_shutup(connection: Connection, session: Session, command: GenericCommand) -> None:
    asked = command.convMessage
    if len(asked.m) != 1:
        raise Refused(errors.CONVERSATION_API_FAILED, "name one client")
    (client,) = asked.m
    silenced = await connection.gateway.engine.silence.is_silenced(session.app, session.client, asked.cid, client)
    answer = ConvCommand(cid=asked.cid, m=[client] if silenced else [])
    connection.reply(command, conv_answer(OpType.check_result, answer))


def _offset(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX):
        raise Refused(errors.CONVERSATION_API_FAILED, "next is what came with the page before")
    return int(text)


OPERATIONS: dict[int, Callable[[Connection, Session, GenericCommand], Coroutine[Any, Any, None]]] = {
    OpType.add_shutup: add_shutup,
    OpType.remove_shutup: remove_shutup,
    OpType.query_shutup: query_shutup,
    OpType.check_shutup: check_shutup,
}
