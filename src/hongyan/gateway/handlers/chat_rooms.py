"""`conv` of chat rooms, where it differs: starting one, and which conversations are some (reference 3.8, 3.9)."""

from hongyan.engine.values import Conversation, ConversationKind, ConversationRow, iso_time
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


async def named(connection: Connection, session: Session, conversation_id: str) -> Conversation | None:
    """The chat room of this id; None if it is another conversation. Raises Refused(CONVERSATION_NOT_FOUND)."""
    conversation = await connection.gateway.engine.access.conversation(session.app, conversation_id)
    return conversation if conversation.kind == ConversationKind.CHATROOM else None
