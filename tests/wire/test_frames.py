"""Commands as websocket frames and back."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.wire import frames
from hongyan.wire.messages2_pb2 import GenericCommand
from tests.support.client import command
from tests.wire.frame_reader import read_frame

NOON = 1700000000000


def sample(cmd: str, op: str | None = None, envelope: dict[str, object] | None = None, **fields: object) -> bytes:
    built = command(cmd, op, **fields)
    built.MergeFrom(GenericCommand(**(envelope or {})))  # type: ignore[arg-type]
    return built.SerializeToString()


# Reference 2.5: the bytes, and the command they are.
SAMPLES = {
    "session/open": (
        "080010011a0864656d6f2d6170702203746f6d2801b20615220d6a732f352e302e302d72632e3828009801bb01",
        sample(
            "session",
            "open",
            {"appId": "demo-app", "peerId": "tom", "i": 1},
            ua="js/5.0.0-rc.8",
            r=False,
            configBitmap=0xBB,
        ),
    ),
    "session/opened": (
        "080010052203746f6d280140024880d095ffbc31b206085203746f6b58901c",
        sample("session", "opened", {"peerId": "tom", "i": 1, "service": 2, "serverTs": NOON}, st="tok", stTtl=3600),
    ),
    "direct": (
        "08022203746f6d2802c2061e0a0268695a18363566303030303030303030303030303030303030303031",
        sample("direct", None, {"peerId": "tom", "i": 2}, cid="65f000000000000000000001", msg="hi"),
    ),
    "ack": (
        "08032203746f6d280240024881d095ffbc31ca060b2881d095ffbc3132026d31",
        sample("ack", None, {"peerId": "tom", "i": 2, "service": 2, "serverTs": NOON + 1}, t=NOON + 1, uid="m1"),
    ),
    "echo": ("080e2803", sample("echo", None, {"i": 3})),
    "echo, negative serial": ("080e28fbffffffffffffffff01", sample("echo", None, {"i": -5})),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_frames_byte_for_byte_both_ways(name: str) -> None:
    digits, built = SAMPLES[name]
    data = bytes.fromhex(digits)
    assert built == data
    assert frames.decode(data).SerializeToString() == data
    assert frames.decode_text(base64.b64encode(data)).SerializeToString() == data
    assert read_frame(frames.binary_frame(data)) == (2, data)
    assert read_frame(frames.text_frame(data)) == (1, base64.b64encode(data))


def test_base64_sample() -> None:
    assert frames.decode_text(b"CA4oAw==").i == 3
    assert frames.text_frame(bytes.fromhex("080e2803")) == b"\x81\x08CA4oAw=="


def test_unknown_fields_are_ignored() -> None:
    received = frames.decode(bytes.fromhex("080e2803") + b"\xf8\x7f\x07\x82\x7d\x03new")
    assert (received.cmd, received.i) == (14, 3)


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8200"),
        (125, "827d"),
        (126, "827e007e"),
        (65_535, "827effff"),
        (65_536, "827f0000000000010000"),
    ],
)
def test_header_around_the_sizes_where_it_grows(size: int, head: str) -> None:
    framed = frames.binary_frame(bytes(size))
    assert framed == bytes.fromhex(head) + bytes(size)
    assert read_frame(framed) == (2, bytes(size))


def test_pong_returns_the_payload() -> None:
    assert frames.pong_frame(b"ping") == b"\x8a\x04ping"


@given(peer=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64), size=st.integers(0, 300))
def test_shared_frame_with_a_tail_is_the_full_command(peer: str, size: int) -> None:
    """Sizes pass the limit between the short and the long header."""
    full = command("direct", peer=peer, cid="65f000000000000000000001", msg="x" * size)
    shared = frames.SharedFrame(command("direct", cid="65f000000000000000000001", msg="x" * size))
    tail = frames.peer_tail(peer)
    for framed in (shared.binary(tail), shared.binary(tail)):
        opcode, payload = read_frame(framed)
        assert (opcode, frames.decode(payload)) == (2, full)
    opcode, payload = read_frame(shared.text(tail))
    assert (opcode, frames.decode_text(payload)) == (1, full)


def test_shared_frame_serves_tails_of_every_length() -> None:
    shared = frames.SharedFrame(command("direct", msg="x" * 100))
    for peer in ["a", "bb", "a" * 64, "cc", "鸿", "a"]:
        assert frames.decode(read_frame(shared.binary(frames.peer_tail(peer)))[1]).peerId == peer


@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_or_undecodable(data: bytes) -> None:
    for decode in (frames.decode, frames.decode_text):
        try:
            assert isinstance(decode(data), GenericCommand)
        except frames.UndecodableError:
            continue


@given(name=st.sampled_from(sorted(SAMPLES)), place=st.integers(0, 100), value=st.integers(0, 255), cut=st.booleans())
def test_damaged_samples_are_a_command_or_undecodable(name: str, place: int, value: int, cut: bool) -> None:
    data = bytearray.fromhex(SAMPLES[name][0])
    place %= len(data)
    data[place] = value
    damaged = bytes(data[:place] if cut else data)
    for decode, payload in ((frames.decode, damaged), (frames.decode_text, base64.b64encode(damaged)[:place])):
        try:
            received = decode(payload)
        except frames.UndecodableError:
            continue
        assert isinstance(received.peerId, str)


@pytest.mark.parametrize("text", [b"CA4oAw=", b"CA4oAw", b"CA4\noAw==", b"CA4oAw==CA4oAw==", b"{}", b"\xff\xfe", b"="])
def test_text_that_is_not_base64_is_undecodable(text: bytes) -> None:
    with pytest.raises(frames.UndecodableError):
        frames.decode_text(text)
