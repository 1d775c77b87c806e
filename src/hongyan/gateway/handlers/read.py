"""`read`: everything up to a message or time is read (reference 3.19). No reply."""

from collections.abc import Iterator

from hongyan.engine.limits import Operation
from hongyan.errors import Refused
from hongyan.gateway.connection import Connection
from hongyan.gateway.limits import check_limit
from hongyan.gateway.registry import Session
from hongyan.wire.messages2_pb2 import GenericCommand, ReadCommand

#: Conversations marked by one command, each once.
CONVERSATIONS_MAX = 100


def handle(connection: Connection, session: Session, command: GenericCommand) -> None:
    check_limit(connection, session.app, session.client, Operation.READ)
    marks = {mark[0]: mark for mark in _marks(command.readMessage)}
    connection.run(command, _mark(connection, session, list(marks.values())[:CONVERSATIONS_MAX]))


async def _mark(connection: Connection, session: Session, marks: list[tuple[str, str, int | None]]) -> None:
    """Each on its own: one conversation the client has left doesn't keep the others unread."""
    refused: Refused | None = None
    for conversation_id, message_id, timestamp in marks:
        try:
            await connection.gateway.engine.unread.mark_read(
                session.app, session.client, conversation_id, message_id, timestamp
            )
        except Refused as refusal:
            refused = refusal
    if refused is not None:
        raise refused


def _marks(message: ReadCommand) -> Iterator[tuple[str, str, int | None]]:
    """(conversation, message id, time); older clients name conversations alone."""
    for item in message.convs:
        yield item.cid, item.mid, item.timestamp if item.HasField("timestamp") else None
    for conversation_id in [*message.cids, *([message.cid] if message.cid else [])]:
        yield conversation_id, "", None
