"""What guests do, for hypothesis: steps of `Step` in any order, on several connections."""

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from picows import WSMsgType

from hongyan.engine.conditions import OPERANDS, TYPES
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand
from tests.fuzz.harness import (
    CONVERSATION,
    FOREIGN_CONVERSATION,
    FOREIGN_MESSAGE,
    FOREIGN_TOKEN,
    HOME,
    LIMITED,
    MESSAGE,
    ROOM,
    SERVICE,
    TEMPORARY,
    TOKEN,
    Harness,
    open_command,
)
from tests.fuzz.peers import Frame, Peer, fragments
from tests.gateway.random_commands import commands
from tests.support.client import BASE64, BINARY

SUBPROTOCOLS = [BINARY, "lc.protobuf2.1", BASE64, "lc.proto2base64.1"]
CLIENTS = ["mallory", "known-1", "alien-1", "x" * 64]
#: Texts that get further than random ones, and texts that have broken parsers.
WORDS = [
    CONVERSATION,
    FOREIGN_CONVERSATION,
    ROOM,
    SERVICE,
    TEMPORARY,
    MESSAGE,
    FOREIGN_MESSAGE,
    TOKEN,
    FOREIGN_TOKEN,
    HOME,
    LIMITED,
    *CLIENTS,
    "x" * 65,
    "x" * 30_000,
    "雁" * 2_000,
    "[" * 3_000,
    '{"a":' * 150 + "1" + "}" * 150,
    "1e999",
    "9" * 5_000,
    "..",
    "eyJhbGciOiJub25lIn0.e30.",
]
GUESTS = 3

Step = Callable[[Harness, list[Peer]], None]


class Said:
    """A command on one of the connections; printed by hypothesis when it did harm."""

    def __init__(self, guest: int, command: GenericCommand, serial: int | None) -> None:
        self.guest, self.command = guest, command
        if serial is not None:
            command.i = serial

    def __call__(self, harness: Harness, guests: list[Peer]) -> None:
        payload = harness.real(self.command.SerializePartialToString())
        guest = guests[self.guest]
        if guest.is_open:
            guest.pass_on(payload)

    def __repr__(self) -> str:
        return f"guest {self.guest} says {self.command!s}"


class Sent:
    """Bytes as a message in one frame or more."""

    def __init__(self, guest: int, kind: WSMsgType, payload: bytes, cuts: Sequence[int], rsv: int = 0) -> None:
        self.guest, self.kind, self.payload, self.cuts, self.rsv = guest, kind, payload, cuts, rsv

    def __call__(self, harness: Harness, guests: list[Peer]) -> None:
        guest = guests[self.guest]
        if not guest.is_open:
            return
        if self.rsv:
            guest.send([Frame(self.payload, self.kind, True, *(bool(self.rsv & bit) for bit in (1, 2, 4)))])
        elif self.kind in (WSMsgType.BINARY, WSMsgType.TEXT):
            guest.send(fragments(harness.real(self.payload), self.kind, self.cuts))
        else:
            guest.send([Frame(self.payload[:125], self.kind)])

    def __repr__(self) -> str:
        return f"guest {self.guest} sends {self.kind} {self.payload!r} cut at {self.cuts}, reserved bits {self.rsv}"


class Does:
    """Something a connection does besides sending."""

    def __init__(self, guest: int, what: str, subprotocol: str, client: str | None) -> None:
        self.guest, self.what, self.subprotocol, self.client = guest, what, subprotocol, client

    def __call__(self, harness: Harness, guests: list[Peer]) -> None:
        guest = guests[self.guest]
        if self.what == "stops reading":
            guest.stop_reading()
        elif self.what == "goes on reading":
            guest.go_on_reading()
        elif self.what == "opens":
            if guest.is_open and self.client:
                guest.say(open_command(HOME, self.client))
        else:
            guest.leave()
            if self.what == "comes back":
                guests[self.guest] = harness.connect(self.subprotocol, self.client)

    def __repr__(self) -> str:
        return f"guest {self.guest} {self.what} {self.subprotocol} {self.client}"


# values

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS[:15]) | st.text(max_size=8)
fields = st.sampled_from([*TYPES, "$or", "$and", "attr.a", "x", "x.y"]) | st.text(max_size=4)
operators = st.sampled_from([*OPERANDS, "$options", "$not", "$nearSphere", "__op", "__type"]) | st.text(max_size=4)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(operators, inner, max_size=3)
        | st.dictionaries(fields, inner, max_size=3)
    ),
    max_leaves=8,
)
odd_json = st.sampled_from(
    ["{", "[" * 3_000, '{"m":' * 120 + "1" + "}" * 120, '{"a":NaN}', '{"a":"\\ud800"}', '{"name":1}', "\ufeff{}"]
)


@st.composite
def conditions(draw: st.DrawFn) -> str:
    """A `where`: mostly JSON objects that look like conditions."""
    if draw(st.integers(0, 7)) == 0:
        return draw(odd_json | st.text(max_size=10))
    return json.dumps(draw(st.dictionaries(fields, values, max_size=3)), ensure_ascii=draw(st.booleans()))


attributes = odd_json | st.dictionaries(
    st.sampled_from(["name", "attr", "m", "sys", "objectId", "lm", "a.b", "$x", ""]) | st.text(max_size=4),
    values,
    max_size=4,
).map(json.dumps)


@st.composite
def guest_commands(draw: st.DrawFn) -> GenericCommand:
    """A command whose JSON, if it has any, is often of the right form."""
    command = draw(commands(WORDS))
    if command.cmd == CommandType.conv and draw(st.booleans()):
        part = command.convMessage
        part.where.data, part.attr.data = _encodable(draw(conditions())), _encodable(draw(attributes))
    return command


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


# steps

guests = st.integers(0, GUESTS - 1)
serials = st.none() | st.integers(-(2**31), 2**31 - 1)
said: st.SearchStrategy[Any] = st.builds(Said, guests, guest_commands(), serials)
kinds = st.sampled_from([WSMsgType.BINARY, WSMsgType.TEXT])
all_kinds = st.sampled_from(
    [WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.CONTINUATION, WSMsgType.PING, WSMsgType.PONG, WSMsgType.CLOSE]
)
bits = st.sampled_from([0] * 20 + [1, 2, 4, 7])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A command with some bytes changed, cut out or put in."""
    payload = bytearray(draw(guest_commands()).SerializePartialToString())
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, max(0, len(payload) - 1)))
        payload[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(payload)


payloads = st.binary(max_size=200) | damaged() | damaged().map(base64.b64encode) | st.just(bytes(65_537))
cuts = st.lists(st.integers(0, 2_000), max_size=4)
sent: st.SearchStrategy[Any] = st.builds(Sent, guests, kinds, payloads, cuts) | st.builds(
    Sent, guests, all_kinds, payloads, cuts, bits
)
does: st.SearchStrategy[Any] = st.builds(
    Does,
    guests,
    st.sampled_from(["stops reading", "goes on reading", "opens", "leaves", "comes back", "comes back"]),
    st.sampled_from(SUBPROTOCOLS),
    st.none() | st.sampled_from(CLIENTS),
)


async def visit(harness: Harness, steps: Sequence[Step]) -> None:
    """Three guests, one without a session, do the steps; the server settles now and then."""
    here = [harness.connect(), harness.connect(client="mallory"), harness.connect(BASE64, client="known-1")]
    for place, step in enumerate(steps, 1):
        step(harness, here)
        if place % 5 == 0 and not any(guest.is_stalled for guest in here):
            await harness.settle()
