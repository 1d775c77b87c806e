"""The harness notices each harm that it looks for; else the other tests here would promise nothing."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from hongyan.gateway import handlers
from hongyan.gateway.connection import Connection
from hongyan.gateway.handlers import echo
from hongyan.gateway.registry import Registry, Session
from hongyan.wire.messages2_pb2 import CommandType, GenericCommand
from tests.fuzz.harness import Harmed, Harness, Running, numbered
from tests.support.client import BASE64, BINARY, command

Echo = Callable[[Connection, GenericCommand], None]


def harmed_by(server: Running, handle: Echo, monkeypatch: pytest.MonkeyPatch, subprotocol: str = BINARY) -> str:
    """What the harness says when one guest's `echo` does this; afterwards it is as good as new."""
    guests: list[Connection] = []

    def handle_of_guests(connection: Connection, request: GenericCommand) -> None:
        (handle if connection in guests else echo.handle)(connection, request)

    async def visit(harness: Harness) -> None:
        guest = harness.connect(subprotocol, "mallory")
        guests.append(guest.connection)
        guest.say(numbered(7, command("echo")))

    monkeypatch.setitem(handlers.WITHOUT_SESSION, CommandType.echo, handle_of_guests)
    with pytest.raises((Harmed, AssertionError)) as raised:
        server.run(server.harness.attempt(visit(server.harness)))
    server.run(server.harness.attempt(login(server.harness)))
    return str(raised.value)


def test_a_traceback(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ZeroDivisionError" in harmed_by(server, lambda *_: 1 / 0, monkeypatch)  # type: ignore[arg-type,return-value]


def test_a_task_that_fails_unseen(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(connection: Connection, request: GenericCommand) -> None:
        echo.handle(connection, request)
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)

    assert "ZeroDivisionError" in harmed_by(server, handle, monkeypatch)


def test_an_alarm_in_the_log(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(connection: Connection, request: GenericCommand) -> None:
        echo.handle(connection, request)
        logging.getLogger("hongyan").error("help")

    assert "help" in harmed_by(server, handle, monkeypatch)


def test_no_answer(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "never answered" in harmed_by(server, lambda *_: None, monkeypatch)


def test_two_answers(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(connection: Connection, request: GenericCommand) -> None:
        echo.handle(connection, request)
        echo.handle(connection, request)

    assert "answered too often" in harmed_by(server, handle, monkeypatch)


def test_a_strange_close_code(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "closed with [4700]" in harmed_by(server, lambda guest, _: guest.close(4700, ""), monkeypatch)


def test_a_push_to_a_neighbour(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(connection: Connection, request: GenericCommand) -> None:
        echo.handle(connection, request)
        server.harness.secret.peers[1].connection.tell(command("conv", "joined"), "")

    assert "the receiver got" in harmed_by(server, handle, monkeypatch)


def test_a_neighbour_cut_off(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(connection: Connection, request: GenericCommand) -> None:
        echo.handle(connection, request)
        server.harness.foreign.peers[0].connection.close(1000, "")

    assert "instead of" in harmed_by(server, handle, monkeypatch)


@pytest.mark.parametrize("subprotocol", [BINARY, BASE64])
def test_what_others_said(server: Running, monkeypatch: pytest.MonkeyPatch, subprotocol: str) -> None:
    def handle(connection: Connection, request: GenericCommand) -> None:
        echo.handle(connection, request)
        connection.tell(command("direct", msg=server.harness.secret.secret), "mallory")

    assert "in a conversation of others" in harmed_by(server, handle, monkeypatch, subprotocol)


def test_a_push_for_somebody_else(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(connection: Connection, request: GenericCommand) -> None:
        echo.handle(connection, request)
        connection.tell(command("conv", "joined"), "somebody")

    assert "what is for {'somebody'}" in harmed_by(server, handle, monkeypatch)


def test_a_session_left_behind(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Registry, "remove", lambda self, session: None)
        with pytest.raises(Harmed, match="left behind"):
            server.run(server.harness.attempt(login(server.harness)))
    registry = server.harness.gateway.registry
    for session in [one for one in sessions_of(registry) if one.connection not in server.harness.gateway.connections]:
        registry.remove(session)
    server.run(server.harness.attempt(login(server.harness)))


async def login(harness: Harness) -> None:
    harness.connect(client="mallory")


def sessions_of(registry: Registry) -> list[Session]:
    return [session for clients in registry._apps.values() for each in clients.values() for session in each]
