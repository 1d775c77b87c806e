"""Loads the shared fixtures, sets hypothesis up, and makes a skipped test fail a CI run."""

import os

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.plugin"]

IN_CI = os.environ.get("CI") == "true"

# A busy machine is no reason to fail. CI tries the same examples each time; elsewhere new ones are looked for.
settings.register_profile("patient", deadline=None, derandomize=IN_CI, suppress_health_check=list(HealthCheck))
settings.load_profile("patient")


def pytest_xdist_auto_num_workers() -> int:
    """Two processes more than there are cores, for tests wait for servers; each takes half a gigabyte of memory."""
    return min((os.cpu_count() or 1) + 2, 6)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI every promise must be tried: a skip or an expected failure counts as a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    untried = {"skipped", "xfailed"} & reporter.stats.keys() if reporter else set()
    if IN_CI and untried:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
