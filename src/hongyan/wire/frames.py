"""Commands as websocket frames (RFC 6455 section 5.2) and back."""

import base64
import binascii
from collections.abc import Sequence

from google.protobuf.message import DecodeError

from hongyan.wire.messages2_pb2 import GenericCommand

_FIN_TEXT = 0x81
_FIN_BINARY = 0x82
_FIN_PONG = 0x8A


class UndecodableError(ValueError):
    """The peer sent something that is not a command."""


def decode(payload: bytes) -> GenericCommand:
    """A command from a binary frame. Raises UndecodableError."""
    try:
        return GenericCommand.FromString(payload)
    except (DecodeError, UnicodeDecodeError) as error:
        raise UndecodableError("not a command") from error


def decode_text(payload: bytes) -> GenericCommand:
    """A command from a text frame: base64 of the bytes. Raises UndecodableError."""
    try:
        return decode(base64.b64decode(payload, validate=True))
    except binascii.Error as error:
        raise UndecodableError("not base64") from error


def header(first_byte: int, size: int) -> bytes:
    """The header of an unmasked frame with a payload of `size` bytes."""
    if size < 126:
        return bytes((first_byte, size))
    if size < 65_536:
        return bytes((first_byte, 126)) + size.to_bytes(2, "big")
    return bytes((first_byte, 127)) + size.to_bytes(8, "big")


def binary_frame(payload: bytes) -> bytes:
    return header(_FIN_BINARY, len(payload)) + payload


def text_frame(payload: bytes) -> bytes:
    """The frame of the base64 protocols."""
    text = base64.b64encode(payload)
    return header(_FIN_TEXT, len(text)) + text


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping: its payload (at most 125 bytes) sent back."""
    return header(_FIN_PONG, len(payload)) + payload


def peer_tail(client: str) -> bytes:
    """The field `peerId` alone: appended to a command without it, the two are the command for this client.

    Protobuf fields may stand in any order, so a command for many is encoded once and each receiver adds its tail.
    """
    return GenericCommand(peerId=client).SerializeToString()


class SharedFrame:
    """One command on its way to many sessions: encoded once, framed once per length of tail."""

    __slots__ = ("_prefixes", "shared")

    def __init__(self, command: GenericCommand) -> None:
        """`command` has no `peerId`."""
        self.shared = command.SerializeToString()
        self._prefixes: dict[int, bytes] = {}

    def binary(self, tail: bytes) -> bytes:
        return self.prefix(len(tail)) + tail

    def prefix(self, size: int) -> bytes:
        """The binary frame without its tail of so many bytes."""
        prefix = self._prefixes.get(size)
        if prefix is None:
            prefix = self._prefixes[size] = header(_FIN_BINARY, len(self.shared) + size) + self.shared
        return prefix

    def text(self, tail: bytes) -> bytes:
        return text_frame(self.shared + tail)


class SharedFrames:
    """Several commands on their way to the same sessions, each told all of them at once."""

    __slots__ = ("_frames", "_prefixes")

    def __init__(self, frames: Sequence[SharedFrame]) -> None:
        self._frames = frames
        self._prefixes: dict[int, list[bytes]] = {}

    def binary(self, tail: bytes) -> bytes:
        size = len(tail)
        prefixes = self._prefixes.get(size)
        if prefixes is None:
            prefixes = self._prefixes[size] = [*(frame.prefix(size) for frame in self._frames), b""]
        return tail.join(prefixes)

    def text(self, tail: bytes) -> bytes:
        return b"".join([frame.text(tail) for frame in self._frames])
