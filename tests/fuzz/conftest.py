"""One server without sockets for all tests of a module."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.fuzz.harness import Running, running

# A busy machine is no reason to fail.
settings.register_profile("patient", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("patient")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running harness."""
    with running(tmp_path_factory.mktemp("fuzz")) as made:
        yield made
