"""Websocket frames as they should not be: each costs its own connection only (RFC 6455)."""

import base64
import struct

import pytest

from tests.gateway.raw import CLOSE, DATA, NORMAL, PING, PONG, TEXT, message, tcp, upgrade_request, websocket
from tests.gateway.talk import clients, numbered, people
from tests.support.client import BASE64, BINARY, command, connect, frame
from tests.support.server import Server

CONTINUATION = 0
LIMIT = 65_536
PROTOCOL_ERROR, BAD_TEXT, TOO_BIG, FRAME_TOO_LONG, UNPARSEABLE = 1002, 1007, 1009, 4109, 4114
ECHO = bytes.fromhex("080e2803")
ECHO_TEXT = base64.b64encode(ECHO)


def code(number: int) -> bytes:
    return struct.pack("!H", number)


BAD = {
    "not protobuf": (frame(DATA, b"\xff" * 20), UNPARSEABLE),
    "half a command": (frame(DATA, bytes.fromhex("080222")), UNPARSEABLE),
    "text that is not UTF-8 in a command": (frame(DATA, b"\x08\x0e\x22\x02\xff\xfe\x28\x01"), UNPARSEABLE),
    "deeply nested groups": (frame(DATA, b"\x0b" * 10_000), UNPARSEABLE),
    "text, not base64": (frame(TEXT, b"{}"), UNPARSEABLE),
    "text, base64 cut short": (frame(TEXT, ECHO_TEXT[:-1]), UNPARSEABLE),
    "text, base64 of no command": (frame(TEXT, base64.b64encode(b"\xff" * 20)), UNPARSEABLE),
    "text, not UTF-8": (frame(TEXT, b"\xff\xfe"), BAD_TEXT),
    "text, not UTF-8 over fragments": (frame(TEXT, b"\xe9\xb8", fin=False) + frame(CONTINUATION, b"x"), BAD_TEXT),
    "unmasked": (frame(DATA, ECHO, masked=False), PROTOCOL_ERROR),
    "unmasked ping": (frame(PING, b"", masked=False), PROTOCOL_ERROR),
    "unknown opcode": (frame(3, b""), PROTOCOL_ERROR),
    "unknown control opcode": (frame(11, b""), PROTOCOL_ERROR),
    "fragmented ping": (frame(PING, b"", fin=False), PROTOCOL_ERROR),
    "long ping": (frame(PING, bytes(126)), PROTOCOL_ERROR),
    "continuation of nothing": (frame(CONTINUATION, ECHO), PROTOCOL_ERROR),
    "continuation after the end": (
        frame(DATA, ECHO[:2], fin=False) + frame(CONTINUATION, ECHO[2:]) + frame(CONTINUATION, b""),
        PROTOCOL_ERROR,
    ),
    "a message inside another": (frame(DATA, ECHO[:2], fin=False) + frame(DATA, ECHO), PROTOCOL_ERROR),
    "a size in more bytes than needed": (b"\x82\xfe\x00\x04\0\0\0\0" + ECHO, PROTOCOL_ERROR),
    "a negative size": (b"\x82\xff" + struct.pack("!Q", 1 << 63), PROTOCOL_ERROR),
    "too long": (frame(DATA, bytes(LIMIT + 1)), FRAME_TOO_LONG),
    "too long text": (frame(TEXT, b"A" * (LIMIT + 4)), FRAME_TOO_LONG),
    "twice too long": (frame(DATA, bytes(2 * LIMIT)), FRAME_TOO_LONG),
    "far too long": (frame(DATA, bytes(3 * LIMIT))[:1000], TOO_BIG),
    "a huge size and nothing more": (b"\x82\xff" + struct.pack("!Q", 1 << 62), TOO_BIG),
    "fragments too long together": (
        frame(DATA, bytes(LIMIT // 2), fin=False) + frame(CONTINUATION, bytes(LIMIT // 2 + 1)),
        FRAME_TOO_LONG,
    ),
    "small fragments without end": (
        frame(DATA, b"x", fin=False) + frame(CONTINUATION, b"x" * 100, fin=False) * (LIMIT // 100 + 1),
        FRAME_TOO_LONG,
    ),
    "close, one byte": (frame(CLOSE, b"x"), PROTOCOL_ERROR),
    "close, reserved code": (frame(CLOSE, code(1005)), PROTOCOL_ERROR),
    "close, code below all": (frame(CLOSE, code(999)), PROTOCOL_ERROR),
    "close, reason not UTF-8": (frame(CLOSE, code(1000) + b"\xff"), BAD_TEXT),
    "close, code above all": (frame(CLOSE, code(5000)), 1000),
} | {
    f"reserved bit {rsv} in {name}": (frame(opcode, data, rsv=rsv), PROTOCOL_ERROR)
    for rsv in (1, 2, 4)
    for name, opcode, data in (("a command", DATA, ECHO), ("a ping", PING, b""), ("a close", CLOSE, NORMAL))
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("subprotocol", [BINARY, BASE64])
async def test_a_bad_frame_ends_its_connection_with_its_code(server: Server, subprotocol: str, name: str) -> None:
    data, expected = BAD[name]
    async with connect(server, subprotocol) as neighbour, websocket(server, subprotocol) as peer:
        await peer.send(data)
        assert await peer.close_code() == expected
        await peer.send(frame(CLOSE, NORMAL))
        await peer.rest()
        await neighbour.echo()


GOOD = {
    "two fragments": frame(DATA, ECHO[:1], fin=False) + frame(CONTINUATION, ECHO[1:]),
    "a fragment per byte": frame(DATA, ECHO[:1], fin=False)
    + b"".join(frame(CONTINUATION, ECHO[place : place + 1], fin=False) for place in (1, 2))
    + frame(CONTINUATION, ECHO[3:]),
    "empty fragments": frame(DATA, b"", fin=False)
    + frame(CONTINUATION, ECHO, fin=False)
    + frame(CONTINUATION, b"", fin=False) * 50
    + frame(CONTINUATION, b""),
    "text in fragments": frame(TEXT, ECHO_TEXT[:3], fin=False) + frame(CONTINUATION, ECHO_TEXT[3:]),
    "a pong nobody asked for": frame(PONG, b"x") + frame(DATA, ECHO),
    "an empty message": frame(DATA, b"") + frame(TEXT, b"") + frame(DATA, ECHO),
}


@pytest.mark.parametrize("name", GOOD)
async def test_unusual_frames_that_are_right(server: Server, name: str) -> None:
    async with websocket(server) as peer:
        await peer.send(GOOD[name] + frame(CLOSE, NORMAL))
        assert (await peer.frame())[0] == DATA
        assert await peer.close_code() == 1000


async def test_pings_between_fragments_are_answered_before_the_message(server: Server) -> None:
    async with websocket(server) as peer:
        await peer.send(frame(DATA, ECHO[:2], fin=False) + frame(PING, b"?"))
        assert await peer.frame() == (PONG, b"?")
        await peer.send(frame(PONG, b"!") + frame(CONTINUATION, ECHO[2:]))
        assert (await peer.frame())[0] == DATA


async def test_a_frame_byte_by_byte(server: Server) -> None:
    async with websocket(server) as peer:
        for byte in frame(DATA, ECHO):
            await peer.send(bytes([byte]))
        assert (await peer.frame())[0] == DATA


async def test_the_longest_frame_is_taken(server: Server) -> None:
    async with clients(server, "tom") as (tom,):
        request = command("conv", "query", tom.peer, sort="")
        request.installationId = "x" * (LIMIT - request.ByteSize() - 15)
        numbered(-7, request)
        request.installationId += "x" * (LIMIT - request.ByteSize())
        assert request.ByteSize() == LIMIT
        await tom.connection.send(request)
        answer = await tom.connection.expect(lambda push: push.HasField("i"))
        assert (answer.i, answer.HasField("convMessage")) == (-7, True)


@pytest.mark.parametrize("number", [1000, 1001, 3000, 4000, 4999])
async def test_a_close_is_answered_with_its_code_after_the_answers_before_it(server: Server, number: int) -> None:
    async with websocket(server) as peer:
        await peer.send(frame(DATA, ECHO) + frame(PING, b"?") + frame(CLOSE, code(number)))
        assert (await peer.frame())[0] == DATA
        assert await peer.frame() == (PONG, b"?")
        assert await peer.frame() == (CLOSE, code(number))
        assert await peer.rest() == b""


async def test_what_follows_a_close_is_not_read(server: Server) -> None:
    async with clients(server, "tom") as (tom,), websocket(server) as peer:
        conversation = await tom.start()
        opening = numbered(1, command("session", "open", tom.peer))
        opening.appId = server.app.id
        sending = numbered(2, command("direct", cid=conversation, msg="too late"))
        await peer.send(message(opening) + frame(CLOSE, NORMAL) + message(sending))
        assert await peer.close_code() == 1000
        await tom.send(conversation, "hi")
        assert [item.data for item in await tom.history(conversation)] == ["hi"]


async def test_many_bad_frames_from_one_peer(server: Server) -> None:
    """One after the other on new connections, by a peer that is a good client in between."""
    async with connect(server) as connection:
        tom = await connection.open(people("tom")[0])
        for data, _ in BAD.values():
            async with websocket(server) as peer:
                await peer.send(data + frame(DATA, ECHO) + data)
                await peer.close_code()
        assert await tom.start()


# before the upgrade


@pytest.mark.parametrize("value", ["Upgrade", "upgrade", "keep-alive, Upgrade", "Upgrade, keep-alive"])
async def test_the_upgrade_may_stand_in_a_list(server: Server, value: str) -> None:
    """Firefox sends one."""
    async with tcp(server) as peer:
        await peer.send(upgrade_request({"Connection": value}) + frame(DATA, ECHO))
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        assert (await peer.frame())[0] == DATA


BAD_REQUESTS = {
    "another version": upgrade_request({"Sec-WebSocket-Version": "12"}),
    "no version": upgrade_request({"Sec-WebSocket-Version": None}),
    "a version that is no text": upgrade_request({"Sec-WebSocket-Version": "\x80"}),
    "no upgrade": upgrade_request({"Upgrade": None}),
    "another upgrade": upgrade_request({"Upgrade": "h2c"}),
    "an upgrade that is no text": upgrade_request({"Upgrade": "\xff"}),
    "no connection": upgrade_request({"Connection": None}),
    "another connection": upgrade_request({"Connection": "close"}),
    "no key": upgrade_request({"Sec-WebSocket-Key": None}),
    "a short key": upgrade_request({"Sec-WebSocket-Key": "x"}),
    "a key that is no text": upgrade_request({"Sec-WebSocket-Key": "\xff" * 24}),
    "a subprotocol that is no text": upgrade_request({"Sec-WebSocket-Protocol": "\xff"}),
    "a page": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a form": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b",
    "old HTTP": upgrade_request().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "bad header": upgrade_request({"Bad Name": "x"}),
    "bad bytes": b"\xff\xfe\x00\r\n\r\n",
    "many headers": upgrade_request({f"X-{number}": "x" for number in range(200)}),
    "a body": upgrade_request({"Content-Length": "5"}),
    "chunks": upgrade_request({"Transfer-Encoding": "chunked"}),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
async def test_a_bad_request_is_refused_with_a_status(server: Server, name: str) -> None:
    async with tcp(server) as peer:
        await peer.send(BAD_REQUESTS[name])
        answer = await peer.rest()
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 426 "))


async def test_an_endless_head_is_cut_off(server: Server) -> None:
    async with tcp(server) as peer:
        await peer.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000)
        assert await peer.rest() == b""
