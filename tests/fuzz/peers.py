"""The far end of a connection without a socket: what it sends is dispatched in this process, what it gets is kept."""

import asyncio
import base64
import itertools
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from picows import WSMsgType

from hongyan.gateway.connection import Connection
from hongyan.gateway.server import Gateway
from hongyan.wire import frames
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand, OpType
from hongyan.wire.subprotocol import SUPPORTED
from tests.support.client import BINARY

#: Bytes a peer that reads nothing leaves unread before the server is told, as sockets do.
HIGH_WATER = 65_536
#: Commands, or commands with an operation, that are not answered, or only with an error (reference 3.3).
SILENT = frozenset({CommandType.ack, CommandType.read, (CommandType.patch, OpType.modified)})


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as the websocket library hands it to a listener."""

    payload: bytes
    msg_type: WSMsgType = WSMsgType.BINARY
    fin: bool = True
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    @property
    def payload_size(self) -> int:
        return len(self.payload)

    def get_payload_as_bytes(self) -> bytes:
        return self.payload


def fragments(payload: bytes, kind: WSMsgType, cuts: Sequence[int]) -> list[Frame]:
    """One message in pieces, cut at these places."""
    places = [0, *sorted(cut % (len(payload) + 1) for cut in cuts), len(payload)]
    pieces = [payload[start:end] for start, end in itertools.pairwise(places)]
    kinds = [kind] + [WSMsgType.CONTINUATION] * (len(pieces) - 1)
    last = len(pieces) - 1
    return [Frame(piece, kinds[place], fin=place == last) for place, piece in enumerate(pieces)]


class Peer:
    """A client of the gateway; the transport below its connection is played by it as well."""

    def __init__(self, gateway: Gateway, subprotocol: str = BINARY) -> None:
        self.connection = Connection(gateway, SUPPORTED[subprotocol])
        self.text = SUPPORTED[subprotocol].text
        self.raw: list[bytes] = []
        self.close_codes: list[int] = []
        self.close_asked: int | None = None
        self.must = Counter[int]()
        self.may = Counter[int]()
        self.peers_named: set[str] = set()
        self.is_disconnected = self.is_close_frame_sent = False
        self._loop = gateway.loop
        self._is_read = True
        self._inbox: deque[Frame] = deque()
        self._unread: list[bytes] | None = None
        self._is_told = False
        self.connection.on_ws_connected(self)  # type: ignore[arg-type]

    # what it does

    def say(self, command: GenericCommand) -> None:
        """Send a command in one frame of its subprotocol."""
        self.pass_on(command.SerializePartialToString())

    def pass_on(self, payload: bytes) -> None:
        """Send what may be a command in one frame of its subprotocol."""
        if self.text:
            self.send([Frame(base64.b64encode(payload), WSMsgType.TEXT)])
        else:
            self.send([Frame(payload)])

    def send(self, sent: Sequence[Frame]) -> None:
        """Send frames, which the server reads at once if it reads."""
        self._note(sent)
        self._inbox.extend(sent)
        if self._is_read:
            self._pump()

    def leave(self) -> None:
        """Cut the connection."""
        if not self.is_disconnected:
            self.is_disconnected = True
            self.connection.on_ws_disconnected(self)  # type: ignore[arg-type]

    def stop_reading(self) -> None:
        """Take nothing more."""
        if self._unread is None:
            self._unread = []

    def go_on_reading(self) -> None:
        """Take what has gathered, and what comes."""
        if self._unread is not None:
            gathered, self._unread = self._unread, None
            self.raw += gathered
            if self._is_told:
                self._is_told = False
                self.connection.resume_writing()

    # what it got

    @property
    def is_open(self) -> bool:
        return not self.is_disconnected and not self.is_close_frame_sent

    @property
    def is_stalled(self) -> bool:
        """Whether it reads nothing now."""
        return self._unread is not None

    @property
    def waits_to_send(self) -> bool:
        return bool(self._inbox) and not self.is_disconnected

    def commands(self) -> list[GenericCommand]:
        """Every command it got."""
        return [frames.decode_text(p) if kind == 1 else frames.decode(p) for kind, p in self._frames() if kind != 10]

    def taken(self) -> list[GenericCommand]:
        """What it got since the last call; what it asked before that is forgotten."""
        got = self.commands()
        self.forget()
        return got

    def forget(self) -> None:
        """Look no more at what was asked and came so far."""
        self.raw.clear()
        self.must.clear()
        self.may.clear()

    def contents(self) -> bytes:
        """Every command it got, as bytes outside of any encoding."""
        return b"\n".join(command.SerializePartialToString() for command in self.commands())

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        """Opcode and payload of each frame in the bytes that were written."""
        data, place = b"".join(self.raw), 0
        while place < len(data):
            size = data[place + 1]
            head = {126: 2, 127: 8}.get(size, 0)
            size = int.from_bytes(data[place + 2 : place + 2 + head], "big") if head else size
            start = place + 2 + head
            assert start + size <= len(data), "half a frame"
            yield data[place] & 0x0F, data[start : start + size]
            place = start + size

    def _note(self, sent: Sequence[Frame]) -> None:
        """Remember what must be answered."""
        if any(frame.msg_type == WSMsgType.CLOSE for frame in sent):
            codes = [frame.payload[:2] for frame in sent if frame.msg_type == WSMsgType.CLOSE]
            self.close_asked = int.from_bytes(codes[0], "big")
        whole = b"".join(frame.payload for frame in sent if frame.msg_type.value <= WSMsgType.BINARY.value)
        try:
            is_text = bool(sent) and sent[0].msg_type == WSMsgType.TEXT
            command = frames.decode_text(whole) if is_text else frames.decode(whole)
        except frames.UndecodableError:
            return
        self.peers_named.add(command.peerId)
        if not command.HasField("i"):
            if command.cmd == CommandType.session and command.op == OpType.open:
                return  # answered without a serial
            return
        self.may[command.i] += 1
        self.must[command.i] += not _is_silent(command)

    def _pump(self) -> None:
        """What one read brings."""
        now, self._inbox = self._inbox, deque()
        for frame in now:
            if self.is_disconnected:
                return
            self.connection.on_ws_frame(self, frame)  # type: ignore[arg-type]

    # the transport's side, called by the connection

    @property
    def underlying_transport(self) -> "Peer":
        return self

    def get_extra_info(self, name: str) -> Any:
        return None

    def pause_reading(self) -> None:
        self._is_read = False

    def resume_reading(self) -> None:
        self._is_read = True
        self._loop.call_soon(self._pump)

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self._unread or ()))

    def write(self, data: bytes) -> None:
        assert self.is_open, "written to after the end"
        if self._unread is None:
            self.raw.append(data)
            return
        self._unread.append(data)
        if not self._is_told and self.get_write_buffer_size() > HIGH_WATER:
            self._is_told = True
            self.connection.pause_writing()

    def send_close(self, code: int, reason: bytes) -> None:
        """The close frame; a peer answers it with its own."""
        assert not self.is_close_frame_sent, "closed twice"
        assert len(reason) <= 123
        self.is_close_frame_sent = True
        self.close_codes.append(int(code))
        self._loop.call_soon(self._answer_close)

    def _answer_close(self) -> None:
        if not self.is_disconnected:
            code = self.close_codes[0].to_bytes(2, "big")
            self.connection.on_ws_frame(self, Frame(code, WSMsgType.CLOSE))  # type: ignore[arg-type]

    def disconnect(self, graceful: bool = True) -> None:
        self._loop.call_soon(self.leave)


def _is_silent(command: GenericCommand) -> bool:
    """Whether a command need not be answered; a transient message is for those who ask for it only."""
    is_transient = command.cmd == CommandType.direct and command.directMessage.transient
    return is_transient or command.cmd in SILENT or (command.cmd, command.op) in SILENT


async def turns(count: int = 3) -> None:
    """Let the loop turn a few times."""
    for _ in range(count):
        await asyncio.sleep(0)
