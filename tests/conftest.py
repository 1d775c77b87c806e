"""Loads the shared fixtures, and makes a skipped test fail a CI run."""

import os

import pytest

pytest_plugins = ["tests.support.plugin"]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI every promise must be tried: a skip or an expected failure counts as a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    untried = {"skipped", "xfailed"} & reporter.stats.keys() if reporter else set()
    if os.environ.get("CI") == "true" and untried:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
