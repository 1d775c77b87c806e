"""A patched message is the message it claims to be."""

import pytest

from hongyan.bench.frames import FIRST_SERIAL, SMALLEST_BODY, Message, sent_at
from hongyan.wire import messages2_pb2 as pb


@pytest.mark.parametrize("size", [SMALLEST_BODY, 127, 200, 4000])
def test_every_send_carries_its_own_serial_time_and_token(size: int) -> None:
    message = Message("tom", "65f000000000000000000001", size)
    for serial, now in ((FIRST_SERIAL, 1), (FIRST_SERIAL + 129, 2**62), ((1 << 28) - 1, 10**15)):
        command = pb.GenericCommand.FromString(bytes(message.at(serial, now)))
        assert (command.cmd, command.peerId, command.i) == (pb.direct, "tom", serial)
        assert len(command.directMessage.msg) == size
        assert sent_at(command.directMessage.msg) == now
        assert command.directMessage.dt == f"{serial:016x}"


def test_a_client_id_that_looks_like_a_place_to_patch_is_left_alone() -> None:
    peer, cid = "D" * 16, "T" * 19
    command = pb.GenericCommand.FromString(bytes(Message(peer, cid, 200).at(FIRST_SERIAL + 5, 7)))
    assert (command.peerId, command.directMessage.cid) == (peer, cid)
    assert sent_at(command.directMessage.msg) == 7
