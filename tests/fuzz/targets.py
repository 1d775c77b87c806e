"""What coverage-guided runs try: a line in `TARGETS` for each, and inputs to begin with."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from picows import WSMsgType

from tests.fuzz import corpus
from tests.fuzz.harness import Harmed, Harness, Running
from tests.fuzz.parsers import PARSERS, Parser
from tests.fuzz.peers import fragments
from tests.support.client import BASE64


class Target(NamedTuple):
    """`prepare` makes the function that tries an input and raises for harm; `seeds` are the first inputs."""

    prepare: Callable[[], Callable[[bytes], None]]
    seeds: Callable[[], list[bytes]]


# every parser: the first byte says which


def read(given: bytes) -> None:
    """Hand the input to a parser."""
    if not given:
        return
    parser = list(PARSERS.values())[given[0] % len(PARSERS)]
    rest = given[1:] if parser.takes is bytes else given[1:].decode("utf-8", "replace")
    try:
        parser.read(rest)
    except parser.refuses:
        return


def readable() -> list[bytes]:
    """Something for each parser, and what clients say for those of frames."""
    texts = [text.encode() for text, _ in corpus.CONDITIONS if text]
    texts += [
        b'{"name":"n","attr":{"a":1}}',
        b'{"_lctype":-1,"_lctext":"n\\u0061me","x":[{}]}',
        b'{"cid":"65f000000000000000000001","clientId":"tom"}',
        b'{"query":{"className":"_Conversation","where":{"m":"tom"},"keys":"name,attr.a"},"id":"an-id-of-16-chars"}',
        b"1700000000000",
        b"50",
        b"-lm,name",
        b"lc.protobuf2.3, x",
        b"tom,jerry",
        b"AYvLzfwBAgMEBQYHCAkKCw",
    ]
    return [bytes([place]) + one for place, parser in enumerate(PARSERS.values()) for one in _for(parser, texts)]


def _for(parser: Parser, texts: list[bytes]) -> list[bytes]:
    return [*corpus.said(), *corpus.texts(corpus.said())] if parser.takes is bytes else texts


# sequences of messages: a byte that says who sends and how, two with the length, the message


GUEST, TEXT, TORN, STALL = 0b11, 0b100, 0b1000, 0b10000


def step(payload: bytes, how: int) -> bytes:
    """A message as it stands in an input."""
    return bytes([how]) + len(payload).to_bytes(2, "big") + payload


def steps(given: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages of an input; any bytes are one."""
    place = 0
    while place < len(given):
        size = int.from_bytes(given[place + 1 : place + 3], "big")
        yield given[place], given[place + 3 : place + 3 + size]
        place += 3 + size


async def visit(harness: Harness, given: bytes) -> None:
    """Four guests, one without a session, send the input's messages."""
    guests = [
        harness.connect(),
        harness.connect(client="mallory"),
        harness.connect(BASE64, "known-1"),
        harness.connect("lc.protobuf2.1", "mallory"),
    ]
    for how, payload in steps(given):
        guest = guests[how & GUEST]
        if not guest.is_open:
            continue
        if how & STALL:
            guest.stop_reading()
        payload = harness.real(payload)
        if how & TORN:
            guest.send(fragments(payload, WSMsgType.TEXT if how & TEXT else WSMsgType.BINARY, payload[:3]))
        elif how & TEXT:
            guest.send(fragments(payload, WSMsgType.TEXT, ()))
        else:
            guest.pass_on(payload)


def served() -> Callable[[bytes], None]:
    """A server that each input visits."""
    server = Running(Path(tempfile.mkdtemp()))
    return lambda given: server.run(server.harness.attempt(visit(server.harness, given)))


def conversations() -> list[bytes]:
    """Each command alone by each guest, torn or whole, and all of them by one after the other."""
    said = corpus.said()
    alone = [step(payload, guest) for payload in said for guest in range(4)]
    torn = [step(payload, 1 | TORN) for payload in said]
    return [*alone, *torn, b"".join(step(payload, place % 4) for place, payload in enumerate(said))]


# one that fails, to see that failures are seen


def fails() -> Callable[[bytes], None]:
    """Takes offence at one byte."""

    def attempt(given: bytes) -> None:
        if given[:1] == b"*":
            raise Harmed("by an asterisk")

    return attempt


TARGETS = {
    "parsers": Target(lambda: read, readable),
    "commands": Target(served, conversations),
}
FAILING = {"failing": Target(fails, lambda: [b"a*", b"b"])}
