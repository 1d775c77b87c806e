"""`conv`: giving members roles (reference 3.14)."""

from collections.abc import Callable, Coroutine
from typing import Any

from hongyan import errors
from hongyan.engine.values import MemberInfo
from hongyan.errors import Refused
from hongyan.gateway.connection import Connection
from hongyan.gateway.handlers.conv_info import conv_answer
from hongyan.gateway.pushes import member_info
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import ConvCommand, GenericCommand, OpType


async def member_info_update(connection: Connection, session: Session, command: GenericCommand) -> None:
    """SDKs name the client twice, in `targetClientId` and in `info`."""
    asked = command.convMessage
    client = asked.targetClientId or asked.info.pid
    if asked.info.pid not in ("", client):
        raise Refused(errors.CONVERSATION_API_FAILED, "targetClientId and info name different clients")

    def reply(info: MemberInfo, _: int) -> None:
        answer = ConvCommand(cid=asked.cid, info=member_info(info))
        connection.reply(command, conv_answer(OpType.member_info_updated, answer))

    roles = connection.gateway.engine.roles
    await roles.give(session.app, session.client, asked.cid, client, asked.info.role, reply)


OPERATIONS: dict[int, Callable[[Connection, Session, GenericCommand], Coroutine[Any, Any, None]]] = {
    OpType.member_info_update: member_info_update,
}
