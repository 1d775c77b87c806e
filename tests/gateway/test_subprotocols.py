"""Every subprotocol, spoken end to end (reference 1.4)."""

import base64
from contextlib import AsyncExitStack

import pytest

from hongyan.wire import subprotocol
from hongyan.wire.messages2_pb2 import GenericCommand
from tests.gateway.raw import DATA, TEXT, tcp, upgrade_request, websocket
from tests.gateway.talk import clients, login_pushes, people, settled, texts
from tests.support.client import BASE64, BINARY, connect, frame, named
from tests.support.server import Server

ALL = sorted(subprotocol.SUPPORTED)
ECHO = bytes.fromhex("080e2803")


@pytest.mark.parametrize("name", ALL)
async def test_the_name_is_echoed_and_answers_come_in_kind(server: Server, name: str) -> None:
    text = "base64" in name
    async with tcp(server) as peer:
        await peer.send(upgrade_request({"Sec-WebSocket-Protocol": name}))
        assert f"Sec-WebSocket-Protocol: {name}\r\n".encode() in await peer.head()
        await peer.send(frame(TEXT, base64.b64encode(ECHO)) if text else frame(DATA, ECHO))
        opcode, payload = await peer.frame()
        assert opcode == (TEXT if text else DATA)
        assert GenericCommand.FromString(base64.b64decode(payload) if text else payload).i == 3


async def test_a_conversation_across_all_subprotocols(server: Server) -> None:
    async with AsyncExitStack() as stack:
        members = [await stack.enter_async_context(settled(server, people("member")[0], name)) for name in ALL]
        conversation = await members[0].start(*(member.peer for member in members[1:]))
        for sender in members:
            await sender.send(conversation, f"from {sender.peer}")
        for receiver in members:
            others = [f"from {sender.peer}" for sender in members if sender is not receiver]
            assert await texts(receiver) == others


@pytest.mark.parametrize("name", ["lc.protobuf2.1", "lc.proto2base64.1"])
async def test_version_1_is_told_no_unread_counts(server: Server, name: str) -> None:
    async with clients(server, "tom") as (tom,):
        (jerry,) = people("jerry")
        await tom.send(await tom.start(jerry), "while you were out")
        async with connect(server, name) as connection:
            told = await login_pushes(await connection.open(jerry))
            assert [named(push) for push in told] == ["direct"]


async def test_text_on_a_binary_protocol_inferred(server: Server) -> None:
    async with websocket(server, BINARY) as peer:
        await peer.send(frame(TEXT, base64.b64encode(ECHO)))
        opcode, payload = await peer.frame()
        assert (opcode, GenericCommand.FromString(payload).i) == (DATA, 3)


async def test_binary_on_a_text_protocol_inferred(server: Server) -> None:
    async with websocket(server, BASE64) as peer:
        await peer.send(frame(DATA, ECHO))
        opcode, payload = await peer.frame()
        assert (opcode, GenericCommand.FromString(base64.b64decode(payload)).i) == (TEXT, 3)


@pytest.mark.parametrize("offered", ["lc.protobuf.3", "lc.json.3", "chat", None])
async def test_other_subprotocols_are_refused_before_the_upgrade(server: Server, offered: str | None) -> None:
    async with tcp(server) as peer:
        await peer.send(upgrade_request({"Sec-WebSocket-Protocol": offered}))
        answer = await peer.rest()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"lc.protobuf2.3" in answer


async def test_no_extension_is_agreed_on_inferred(server: Server) -> None:
    """Who offers compression speaks without."""
    async with tcp(server) as peer:
        await peer.send(upgrade_request({"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}))
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-extensions" not in head.lower()
        await peer.send(frame(DATA, ECHO))
        opcode, payload = await peer.frame()
        assert (opcode, GenericCommand.FromString(payload).i) == (DATA, 3)


async def test_any_path_will_do(server: Server) -> None:
    async with tcp(server) as peer:
        await peer.send(upgrade_request().replace(b"GET / ", b"GET /ws/any?x=1 "))
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
