"""One running server for all tests of the gateway; no test may leave a traceback in its log."""

from collections.abc import Iterator

import pytest

from tests.gateway.apps import STRICT
from tests.support.plugin import servers_key
from tests.support.server import Server

log_start_key = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with the apps of `tests.gateway.apps`."""
    made = Server(tmp_path_factory.mktemp("gateway"))
    made.create_app(made.app, limits="off")
    made.create_app(STRICT, session_ttl="1", members_max="3", message_max="100", edit="off", recall="off", roles="off")
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def server(shared_server: Server, request: pytest.FixtureRequest) -> Server:
    """The shared server; the tests keep out of each other's way by clients of their own."""
    assert shared_server.running, "the shared server has ended"
    request.node.stash.setdefault(servers_key, []).append(shared_server)
    request.node.stash[log_start_key] = len(shared_server.log)
    return shared_server


@pytest.fixture(autouse=True)
def _no_traceback(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    start = request.node.stash.get(log_start_key, 0)
    for server in request.node.stash.get(servers_key, []):
        log = server.log[start:]
        assert "Traceback" not in log
        assert '"exception"' not in log
