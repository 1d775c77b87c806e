"""Peers that vanish without a word: their network is gone, and nothing confirms what is sent to them."""

import socket
from collections.abc import Callable

import pytest

from tests.gateway.talk import settled
from tests.support.client import Connection, login
from tests.support.server import Certificate, Server

IP_MINTTL = 21
"""An option of Linux that the socket module has no name for."""


def vanish(connection: Connection) -> None:
    """Have the kernel drop whatever comes for this socket before TCP sees it: nothing is acknowledged any more.

    It drops what may have passed a router, so all that was not sent with the largest TTL. To the server it is a phone
    that left the network.
    """
    raw = connection.socket.transport.get_extra_info("socket")
    raw.setsockopt(socket.IPPROTO_IP, IP_MINTTL, 255)


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
