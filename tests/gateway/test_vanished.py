"""Peers that vanish without a word: their network is gone, and nothing confirms what is sent to them."""

import ctypes
import socket
import struct
from collections.abc import Callable

import pytest

from tests.gateway.talk import settled
from tests.support.client import Connection, login
from tests.support.server import Certificate, Server

SO_ATTACH_FILTER = 26
DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF_RET with nothing kept


def vanish(connection: Connection) -> None:
    """Have the kernel drop whatever arrives for this socket before TCP sees it: nothing is acknowledged any more.

    To the other side it is a phone that left the network.
    """
    program = ctypes.create_string_buffer(DROP_ALL)
    attached = struct.pack("HP", 1, ctypes.addressof(program))
    raw = connection.socket.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, attached)


@pytest.mark.parametrize("tls", [False, True])
async def test_a_vanished_peer_is_noticed_when_something_is_sent_to_it(
    server_factory: Callable[..., Server], certificate: Certificate, tls: bool
) -> None:
    """Long before its silence would be, which counts after 400 s."""
    server: Server = server_factory(
        environment={"HONGYAN_GATEWAY_TCP_USER_TIMEOUT": "1"}, certificate=certificate if tls else None
    )
    server.start()
    async with settled(server, "jerry") as jerry, login(server, "tom") as tom:
        conversation = await tom.start("jerry")
        will = await tom.send(conversation, "farewell", will=True)
        vanish(tom.connection)
        await jerry.send(conversation, "are you there?")
        assert (await jerry.expect("direct")).directMessage.id == will.uid
        online = await jerry.request("session", "query", sessionPeerIds=["tom", "jerry"])
        assert list(online.sessionMessage.onlineSessionPeerIds) == ["jerry"]
        assert tom.connection.socket.close_code is None, "tom has not heard of it"
        tom.connection.abort()
