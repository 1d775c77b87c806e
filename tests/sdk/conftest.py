"""The Python SDK against a real server that the tests of a file share, and against a scripted gateway."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hongyan_client import Backoff, Client

from tests.sdk.gateway import Gateway
from tests.support.plugin import servers_key
from tests.support.server import Server

#: Connecting again without the waits that a real network needs.
QUICK = Backoff(first=0.01, most=0.05)
Open = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server for all tests of a file; each uses clients of its own."""
    server = Server(tmp_path_factory.mktemp("sdk-server"))
    server.start()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def log_in(shared: Server, request: pytest.FixtureRequest) -> Open:
    """Opens clients on the shared server, whose names carry that of the test."""
    request.node.stash.setdefault(servers_key, []).append(shared)

    def opened(name: str, **options: Any) -> AbstractAsyncContextManager[Client]:
        address = options.pop("server", shared.http_url)
        return Client.open(
            address, app_id=shared.app.id, app_key=shared.app.key, client_id=name, backoff=QUICK, **options
        )

    return opened


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway that does what the test says."""
    async with Gateway() as running:
        yield running
