"""A stop: what was read is answered, what was not read is not done."""

import signal
from collections.abc import Callable

from tests.support.client import command, connect, login, named
from tests.support.server import Server

GOING_AWAY = 1001


async def test_a_stop_acknowledges_every_message_that_it_has_written(server_factory: Callable[..., Server]) -> None:
    server: Server = server_factory()
    server.start()
    async with connect(server) as connection:
        tom = await connection.open("tom")
        conversation = await tom.start()
        for number in range(2_000):
            request = command("direct", peer="tom", cid=conversation, msg=str(number))
            request.i = -1 - number
            await connection.send(request)
        await connection.expect("ack")
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        lost = await connection.closed()
        acknowledged = 1 + sum(named(push) == "ack" for push in connection.pushes)
    assert lost.code == GOING_AWAY
    assert server.wait() == 0
    server.start()
    async with login(server, "tom") as tom:
        history = await tom.history(conversation)
    assert [message.data for message in history] == [str(number) for number in range(acknowledged)]
