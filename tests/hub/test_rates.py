"""Pacing: never above a limit, never waiting longer than needed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.hub import rates
from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.rates import Limit, Rates
from tests.support.hub import Clock

MINUTE = Limit("robot", 3, 60)


@pytest.fixture
def paced(clock: Clock) -> Rates:
    return Rates(clock.steady)


def wait(paced: Rates, *limits: Limit) -> float:
    """After which time it would be taken."""
    with pytest.raises(Problem) as problem:
        paced.take(*limits)
    assert problem.value.outcome is Outcome.THROTTLED
    assert problem.value.after is not None
    return problem.value.after


def test_the_window_slides(clock: Clock, paced: Rates) -> None:
    for _ in range(3):
        paced.take(MINUTE)
        clock.advance(10)
    assert wait(paced, MINUTE) == pytest.approx(30)
    clock.advance(30)
    paced.take(MINUTE)
    assert wait(paced, MINUTE) == pytest.approx(10)


def test_a_refused_call_counts_nowhere(paced: Rates) -> None:
    other = Limit("app", 10, 1)
    for _ in range(3):
        paced.take(MINUTE, other)
    for _ in range(20):
        wait(paced, MINUTE, other)
    for _ in range(7):
        paced.take(other)
    assert wait(paced, other) == pytest.approx(1)


def test_several_calls_at_once(clock: Clock, paced: Rates) -> None:
    """They all go, or none."""
    paced.take(MINUTE)
    clock.advance(10)
    paced.take(MINUTE)
    assert wait(paced, MINUTE, MINUTE) == pytest.approx(50)
    assert wait(paced, MINUTE, MINUTE, MINUTE) == pytest.approx(60)
    assert wait(paced, *[MINUTE] * 5) == pytest.approx(60)  # which is more than the limit: alone, then
    clock.advance(60)
    paced.take(*[MINUTE] * 5)
    assert wait(paced, MINUTE) == pytest.approx(60)


def test_keys_do_not_share(paced: Rates) -> None:
    for key in ("a", "b"):
        for _ in range(3):
            paced.take(Limit(key, 3, 60))


def test_what_a_platform_has_closed(clock: Clock, paced: Rates) -> None:
    paced.close("robot", 600)
    paced.close("robot", 5)  # does not open it
    assert wait(paced, MINUTE) == pytest.approx(600)
    paced.take(Limit("other", 1, 1))
    clock.advance(600)
    paced.take(MINUTE)


def test_it_says_whom_it_concerns(paced: Rates) -> None:
    paced.close("robot", 1)
    for everybody in (True, False):
        with pytest.raises(Problem) as problem:
            paced.take(MINUTE, everybody=everybody)
        assert problem.value.everybody is everybody


def test_addresses_of_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch, clock: Clock, paced: Rates) -> None:
    monkeypatch.setattr(rates, "KEPT", 10)
    for number in range(100):
        paced.take(Limit(number, 1, 60))
        paced.close(number, 1)
        clock.advance(1)
    assert len(paced._calls) <= 10
    assert len(paced._closed) <= 11
    assert wait(paced, Limit(99, 1, 60)) > 0


@given(st.lists(st.integers(0, 3000), max_size=60), st.integers(1, 4), st.integers(1, 5))
def test_never_above_the_limit_and_free_after_the_wait(gaps: list[int], most: int, seconds: int) -> None:
    clock = Clock()
    paced, limit = Rates(clock.steady), Limit("key", most, seconds)
    taken: list[float] = []
    for gap in gaps:
        clock.advance(gap / 1000)
        after = 0.0
        try:
            paced.take(limit)
        except Problem as problem:
            after = problem.after or 0.0
            clock.advance(after + 0.001)  # the clock has no parts of milliseconds
            paced.take(limit)
        assert 0 <= after < seconds + 1e-6
        taken.append(clock.steady())
    for first, later in zip(taken, taken[most:], strict=False):
        assert later - first >= seconds - 1e-6
