"""A process of the load generator that fails ends the run with one sentence, and no process is left."""

import os
import time
from pathlib import Path

import pytest

from hongyan.bench.workers import BenchError, Link, Team


async def count(number: int, link: Link) -> int:
    link.progress(number)
    return number + await link.gate()


async def fail(_: int, link: Link) -> None:
    raise ConnectionError("nobody listens")


async def die(_: int, link: Link) -> None:
    os._exit(3)


def test_all_workers_pass_the_gate_together() -> None:
    with Team(count, [1, 2]) as team:
        team.at_gate()
        assert team.count == 3
        team.until(time.monotonic() + 0.1)
        team.go(10)
        assert team.results() == [11, 12]


@pytest.mark.parametrize(
    ("load", "sentence"),
    [(fail, "ConnectionError: nobody listens"), (die, "a process of the load generator ended early")],
)
def test_a_failing_worker_ends_the_run(load: object, sentence: str) -> None:
    with Team(load, [1, 2]) as team, pytest.raises(BenchError, match=sentence):  # type: ignore[arg-type]
        team.results()


def test_no_worker_outlives_its_team() -> None:
    with Team(count, [1, 2]) as team:
        team.at_gate()
        pids = team.pids()
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
