"""Taking a port: whoever has it listens there, whoever does not is told so."""

import socket
from collections.abc import Iterator

import pytest

from hongyan import listen
from hongyan.errors import StartupError

HOST = "127.0.0.1"


@pytest.fixture
def rival() -> Iterator[socket.socket]:
    """A socket of another program, bound to a port, as two can be until one of them listens."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, 0))
        yield made


def test_who_has_a_port_listens_on_it(rival: socket.socket) -> None:
    with listen.bind(HOST, rival.getsockname()[1], "http_port"), pytest.raises(OSError, match="in use"):
        rival.listen()


def test_who_comes_second_is_told_so(rival: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(socket.socket):
        def bind(self, address: object) -> None:
            super().bind(address)  # type: ignore[arg-type]
            rival.listen()

    monkeypatch.setattr(listen.socket, "socket", Late)
    port = rival.getsockname()[1]
    with pytest.raises(StartupError) as refused:
        listen.bind(HOST, port, "http_port")
    assert str(refused.value) == f"Port {port} on {HOST} (setting `http_port`) is in use by another program."
