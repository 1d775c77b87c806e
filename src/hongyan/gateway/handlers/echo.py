"""`echo`: the keep-alive, with or without a session (reference 1.5)."""

from hongyan.gateway.connection import Connection
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand


def handle(connection: Connection, command: GenericCommand) -> None:
    answer = GenericCommand(cmd=CommandType.echo)
    if command.HasField("i"):
        answer.i = command.i
    connection.tell(answer, command.peerId)
