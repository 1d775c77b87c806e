"""Random commands for hypothesis: any message of the schema with any fields, and some values that mean something."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from hongyan.wire.messages2_pb2 import CommandType, GenericCommand

JSON = [
    "{}",
    "[]",
    "null",
    '{"m":"tom"}',
    '{"objectId":{"$in":["x"]}}',
    '{"name":"n","attr":{"a":1}}',
    '{"$or":[]}',
    "{",
]
TEXTS = ["", "\0", "tom", "jerry", "-lm", "Owner", "_tmp:x", "65f000000000000000000001", *JSON]
NUMBERS = [0, 1, -1, 20, 100, 1_000_000, 1_700_000_000_000, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)]
BITS = {FieldDescriptor.TYPE_INT32: 32, FieldDescriptor.TYPE_INT64: 64}


@st.composite
def commands(draw: st.DrawFn, words: Sequence[str]) -> GenericCommand:
    """A command without a serial; `words` are texts worth using, such as conversation ids."""
    command = GenericCommand()
    _fill(draw, command, [*TEXTS, *words], deep=3)
    command.cmd = draw(st.sampled_from(CommandType.values()))
    if draw(st.booleans()):
        _fill_own_part(draw, command, [*TEXTS, *words])
    command.ClearField("i")
    return command


def _fill_own_part(draw: st.DrawFn, command: GenericCommand, words: Sequence[str]) -> None:
    """Add the sub-message that belongs to the command, and mean the session that is open."""
    command.ClearField("peerId")
    name = f"{CommandType.Name(command.cmd)}Message"
    if name in GenericCommand.DESCRIPTOR.fields_by_name:
        part = getattr(command, name)
        part.SetInParent()
        _fill(draw, part, words, deep=2, often=True)


def _fill(draw: st.DrawFn, message: Message, words: Sequence[str], deep: int, often: bool = False) -> None:
    fields = list(message.DESCRIPTOR.fields)
    most = len(fields) if often else 4
    chosen = draw(st.lists(st.sampled_from(fields), max_size=most, unique_by=lambda field: field.number))
    for field in fields:
        if field in chosen or field.is_required:
            _set(draw, message, field, words, deep)


def _set(draw: st.DrawFn, message: Message, field: FieldDescriptor, words: Sequence[str], deep: int) -> None:
    if field.message_type is not None:
        if deep == 0:
            return
        place = getattr(message, field.name)
        part = place.add() if field.is_repeated else place
        if not field.is_repeated:
            part.SetInParent()
        _fill(draw, part, words, deep - 1)
    elif field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(_values(field, words), max_size=4)))
    else:
        setattr(message, field.name, draw(_values(field, words)))


def _values(field: FieldDescriptor, words: Sequence[str]) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=20)
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.sampled_from(words) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    bits = BITS[field.type]
    fitting = [number for number in NUMBERS if -(2 ** (bits - 1)) <= number < 2 ** (bits - 1)]
    return st.sampled_from(fitting) | st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
