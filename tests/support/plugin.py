"""Fixtures with a real server, loaded for all tests; a failing test shows the server's log."""

import asyncio
import gc
import ssl
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.util import LRUCache

from hongyan.store import Store, database
from tests.support import wire_record
from tests.support.server import LOG_TAIL, Certificate, Server

servers_key = pytest.StashKey[list[Server]]()


@pytest.fixture
def server_factory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers, not yet started, from what `Server` takes after the directory; ends them all."""
    made = request.node.stash.setdefault(servers_key, [])

    def make(**options: Any) -> Server:
        directory = tmp_path / f"server-{len(made) + 1}"
        directory.mkdir()
        server = Server(directory, **options)
        made.append(server)
        return server

    try:
        yield make
    finally:
        for server in made:
            server.close()


@pytest.fixture
def server(server_factory: Callable[..., Server]) -> Server:
    """A running server."""
    made: Server = server_factory()
    made.start()
    return made


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for the loopback addresses, signed by a CA of its own."""
    return Certificate.issue(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_server(server_factory: Callable[..., Server], certificate: Certificate) -> Server:
    """A running server with TLS on both ports."""
    made = server_factory(certificate=certificate)
    made.start()
    return made


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as the first start makes it, to be copied: to make one takes many times as long."""
    path = tmp_path_factory.mktemp("database") / "empty.db"
    asyncio.run(Store.open(path, bytes(32)).close())
    return path


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Each store has an engine, which compiles all its statements for itself: a sixth of the time of most tests."""
    compiled = LRUCache[Any, Any](4_000)
    dialects: list[sa.Dialect] = []

    def engine(connect_once: Callable[[], Any], pool: type[sa.Pool]) -> sa.Engine:
        made = make(connect_once, pool)
        if not dialects:
            dialects.append(made.dialect)
        made.dialect = dialects[0]  # by which what is compiled is found
        made._compiled_cache = compiled
        return made

    make = database.engine
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "engine", engine)
        yield


@pytest.fixture(scope="session")
def certificates() -> ssl.SSLContext:
    """Whom `Outbound` trusts by itself, read once: to read so many certificates takes longer than most tests."""
    return httpx.create_ssl_context()


def pytest_collection_finish() -> None:
    """Tests and programs stay to the end: the collector of garbage need not look through them again and again.

    Nor often through what is new: a tenth of the time of small tests was its.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the servers' logs to the report of a failure."""
    report = yield
    if report.failed:
        for server in item.stash.get(servers_key, []):
            report.sections.append((f"log of the server at {server.http_url}", server.log[-LOG_TAIL:]))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fails a test that is marked `covers(...)` and does not put on the wire, or get from it, what it names."""
    named = {row for mark in item.iter_markers("covers") for row in mark.args}
    if named:
        wire_record.start()
    try:
        yield
    finally:
        seen = wire_record.stop()
    assert named <= seen, f"never on the wire: {', '.join(sorted(named - seen))}"
