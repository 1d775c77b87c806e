"""Fixtures of the fault tests. They need a C compiler."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.disk import Disk, compile_shim
from tests.support.server import Server


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library of `shim/powerloss.c`."""
    return compile_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def server_on_disk(server_factory: Callable[..., Server], shim: Path, tmp_path: Path) -> tuple[Server, Disk]:
    """A running server, and the disk under its data directory."""
    server = server_factory()
    server.create_app(server.app, limits="off")
    disk = Disk(shim, server.data_dir, tmp_path)
    server.environment |= disk.environment
    server.start()
    return server, disk
