"""The measurement of the Python client measures what it says."""

import pytest

from bench.python_client import measure


@pytest.mark.long
def test_two_clients_talk() -> None:
    found = measure(200)
    assert (found.messages, found.in_order) == (200, True)
    assert found.seconds > 0
    assert found.microseconds_of_cpu > 0
