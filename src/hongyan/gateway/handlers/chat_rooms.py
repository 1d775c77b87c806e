"""`conv` of chat rooms, where it differs: starting one (reference 3.8)."""

from hongyan.engine.values import ConversationRow, iso_time
from hongyan.gateway.connection import Connection
from hongyan.gateway.handlers import conv_info
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import ConvCommand, GenericCommand, OpType


async def start(connection: Connection, session: Session, command: GenericCommand) -> None:
    """A new chat room, with its creator in it."""

    def reply(row: ConversationRow) -> None:
        answer = ConvCommand(cid=row.id, cdate=iso_time(row.created_at))
        connection.reply(command, conv_info.conv_answer(OpType.started, answer))

    await connection.gateway.engine.chatrooms.start(session, command.convMessage.attr.data, reply)
