"""Fixtures of the fault tests. They need a C compiler."""

from pathlib import Path

import pytest

from tests.faults.disk import compile_shim


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library of `shim/powerloss.c`."""
    return compile_shim(tmp_path_factory.mktemp("shim"))
