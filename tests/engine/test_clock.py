"""The server's clock never steps back."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.engine.clock import Clock, steady_ms, wall_ms
from tests.store.steps import Wall

HOUR = 3_600_000


class Clocks:
    """A server's clock over a wall and a steady clock that tests move."""

    def __init__(self, wall: int) -> None:
        self.wall = Wall(wall)
        self.steady = Wall(7)
        self.clock = Clock(self.wall, self.steady)

    def after(self, elapsed: int) -> int:
        """The time told when so much has passed."""
        self.wall.at += elapsed
        self.steady.at += elapsed
        return self.clock.now()


@given(st.lists(st.tuples(st.integers(0, 1 << 45), st.integers(0, 10_000)), min_size=1))
def test_time_is_the_walls_unless_that_steps_back(shown: list[tuple[int, int]]) -> None:
    clocks, told = Clocks(0), [0]
    for wall, elapsed in shown:
        clocks.wall.at = wall
        clocks.steady.at += elapsed
        told.append(clocks.clock.now())
        assert told[-1] == wall or wall < told[-1] <= told[-2] + (elapsed + 1) // 2
    assert all(earlier <= later for earlier, later in pairwise(told))


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_time_runs_at_half_speed_until_the_wall_has_caught_up(step: int) -> None:
    """However often it is asked for."""
    clocks = Clocks(10 * HOUR)
    start = clocks.after(0)
    clocks.wall.at -= 2000
    told = [clocks.after(step) - start for _ in range(6000 // step)]
    assert told == [max(n * step // 2, n * step - 2000) for n in range(1, 6000 // step + 1)]


def test_time_that_was_told_before_a_restart() -> None:
    clocks = Clocks(40)
    clocks.clock.not_before(50)
    clocks.clock.not_before(30)
    assert [clocks.after(elapsed) for elapsed in (0, 10, 20)] == [50, 55, 70]


def test_the_wall_shows_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000_123_999_999)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5_999_999)
    assert (wall_ms(), steady_ms()) == (1_800_000_000_123, 5)
