"""The server's clock never steps back."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.engine.clock import Clock, wall_ms


@given(st.lists(st.integers(0, 1 << 45), min_size=1))
def test_time_is_the_latest_the_wall_has_shown(shown: list[int]) -> None:
    walls = iter(shown)
    clock = Clock(lambda: next(walls))
    assert [clock.now() for _ in shown] == [max(shown[: n + 1]) for n in range(len(shown))]


def test_time_stands_still_until_the_wall_has_caught_up() -> None:
    walls = iter([100, 40, 99, 100, 101])
    clock = Clock(lambda: next(walls))
    assert [clock.now() for _ in range(5)] == [100, 100, 100, 100, 101]


def test_time_that_was_told_before_a_restart() -> None:
    walls = iter([40, 60])
    clock = Clock(lambda: next(walls))
    clock.not_before(50)
    clock.not_before(30)
    assert [clock.now(), clock.now()] == [50, 60]


def test_the_wall_shows_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000_123_999_999)
    assert wall_ms() == 1_800_000_000_123
