"""One server without sockets for all tests of a module."""

import platform
import sys
from collections.abc import Iterator

import pytest

from tests.fuzz.harness import Running, running

# atheris has wheels for these only (pyproject.toml).
if platform.machine() != "x86_64" or sys.version_info >= (3, 15):
    collect_ignore = ["test_guided.py"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running harness."""
    with running(tmp_path_factory.mktemp("fuzz")) as made:
        yield made
