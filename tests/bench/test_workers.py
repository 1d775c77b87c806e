"""A process of the load generator that fails ends the run with one sentence, and no process is left."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from hongyan.bench import workers
from hongyan.bench.workers import BenchError, Link, Team


async def count(number: int, link: Link) -> int:
    link.progress(number)
    return number + await link.gate()


async def creep(steps: int, link: Link) -> int:
    for step in range(steps):
        await asyncio.sleep(0.1)
        link.progress(step)
    return steps


async def stand(_: int, link: Link) -> None:
    await asyncio.Event().wait()


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
        assert team.count == 0
        assert team.results() == [11, 12]


def test_what_a_worker_says_while_it_works_is_not_forgotten() -> None:
    with Team(count, [1, 2]) as team:
        while team.count < 3:
            team.until(time.monotonic() + 0.1)
        team.at_gate()
        team.go(10)
        while len(team._said["result"]) < 2:
            team.until(time.monotonic() + 0.1)
        assert team.results() == [11, 12]


def test_patience_ends_with_a_worker_that_does_not_move_and_not_with_a_slow_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Team(creep, [35]) as team:
        while team.count == 0:  # to start takes a process some time, too
            team.until(time.monotonic() + 0.1)
        monkeypatch.setattr(workers, "PATIENCE", 3.0)
        assert team.results() == [35]
    with Team(stand, [1]) as team, pytest.raises(BenchError, match="did not get any further for 3 s"):
        team.results()


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
