"""Any commands in any order, with and without sessions: at most their own connection is harmed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, OpType
from tests.fuzz.harness import CONVERSATION, Harness, Running
from tests.fuzz.inputs import Step, does, said, sent, visit
from tests.support.client import BASE64, BINARY


@pytest.mark.long
@settings(max_examples=100)
@given(steps=st.lists(said, min_size=1, max_size=15))
def test_sequences_of_commands(server: Running, steps: list[Step]) -> None:
    server.run(server.harness.attempt(visit(server.harness, steps)))


@settings(max_examples=100)
@given(steps=st.lists(said | sent | does, min_size=1, max_size=20))
def test_commands_between_bad_frames_stalls_and_returns(server: Running, steps: list[Step]) -> None:
    server.run(server.harness.attempt(visit(server.harness, steps)))


def every_command() -> list[GenericCommand]:
    """Each command with each operation: bare, and with a part that names a conversation."""
    made = []
    for cmd in CommandType.values():
        for op in (None, *OpType.values()):
            bare = GenericCommand(cmd=cmd, op=op)
            made.append(bare)
            name = f"{CommandType.Name(cmd)}Message"
            if name in GenericCommand.DESCRIPTOR.fields_by_name:
                full = GenericCommand(cmd=cmd, op=op)
                part = getattr(full, name)
                part.SetInParent()
                if "cid" in part.DESCRIPTOR.fields_by_name:
                    part.cid = CONVERSATION
                made.append(full)
    return made


async def say_all(harness: Harness, subprotocol: str, client: str | None) -> None:
    for serial, command in enumerate(every_command()):
        if serial % 100 == 0:
            guest = harness.connect(subprotocol, client)
        command.i = serial
        if guest.is_open:
            guest.say(GenericCommand.FromString(harness.real(command.SerializePartialToString())))


@pytest.mark.parametrize("client", [None, "mallory", "known-2"])
@pytest.mark.parametrize("subprotocol", [BINARY, BASE64])
def test_every_command_with_every_operation(server: Running, subprotocol: str, client: str | None) -> None:
    server.run(server.harness.attempt(say_all(server.harness, subprotocol, client)))
