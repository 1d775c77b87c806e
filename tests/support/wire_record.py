"""What a test puts on the wire and gets from it: proves that a test marked `covers(...)` touches what it names.

A row is named as the reference names it: `conv/start`, `direct`, `ConvCommand.unique`.
"""

from google.protobuf.message import Message

from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, OpType

_seen: set[str] | None = None


def start() -> None:
    """Begin to record."""
    global _seen
    _seen = set()


def stop() -> set[str]:
    """The rows that went over the wire since `start`."""
    global _seen
    seen, _seen = _seen or set(), None
    return seen


def note(command: GenericCommand) -> None:
    """A command that was sent or received; costs nothing while nobody records."""
    if _seen is None:
        return
    name = CommandType.Name(command.cmd)
    _seen.add(f"{name}/{OpType.Name(command.op)}" if command.HasField("op") else name)
    _note_fields(command, _seen)


def _note_fields(message: Message, seen: set[str]) -> None:
    for field, value in message.ListFields():
        seen.add(f"{message.DESCRIPTOR.name}.{field.name}")
        if field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                _note_fields(part, seen)
