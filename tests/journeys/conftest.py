"""Servers that many journeys share: one without TLS, one with. Each journey brings fresh client ids. And a receiver of
webhooks.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.sdk import WORD
from tests.support.plugin import servers_key
from tests.support.receiver import Receiver
from tests.support.server import Certificate, Server

# LeanCloud's SDK for servers needs a library of which there are no wheels for later Pythons (tools/prepare.py).
if sys.version_info >= (3, 12):
    collect_ignore = ["test_python_sdk.py"]


@pytest.fixture(scope="session")
def shared_servers(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> Iterator[Callable[[bool], Server]]:
    """The running server with or without TLS, started when first asked for."""
    made: dict[bool, Server] = {}

    def shared(tls: bool) -> Server:
        if tls not in made:
            directory = tmp_path_factory.mktemp("shared-server")
            made[tls] = Server(directory, certificate=certificate if tls else None)
            made[tls].start()
            words = directory / "words.txt"
            words.write_text(WORD)
            made[tls].hongyan("app", "words", made[tls].app.id, str(words))
        return made[tls]

    try:
        yield shared
    finally:
        for server in made.values():
            server.close()


@pytest.fixture
def shared_server(request: pytest.FixtureRequest, shared_servers: Callable[[bool], Server]) -> Callable[[bool], Server]:
    """As `shared_servers`; the report of a failing test shows the server's log."""

    def shared(tls: bool) -> Server:
        server = shared_servers(tls)
        request.node.stash[servers_key] = [server]
        return server

    return shared


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path / "calls.jsonl")
    yield made
    made.close()
