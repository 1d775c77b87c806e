"""Rate limits: a minute's worth at once, refilled evenly."""

from typing import Any

import pytest

from hongyan.engine import limits
from hongyan.engine.app_settings import AppSettings
from hongyan.engine.limits import DeliveryBudget, Limits, Operation, rate
from hongyan.engine.values import App


def app(key: int = 1, **settings: Any) -> App:
    return App(key, f"app{key}", "", "", "", "", AppSettings(**settings), 0)


SEND, OTHER = rate(app(), Operation.SEND), rate(app(), Operation.OTHER)


class Time:
    """Seconds, as a test sets them."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def bounded(time: Time) -> Limits:
    return Limits(time)


def taken(bounded: Limits, operation: Operation, of: App | None = None, client: str = "ann") -> int:
    """How many are allowed at this moment."""
    allowed = 0
    while allowed < 1000 and bounded.allow(of or app(), client, operation):
        allowed += 1
    return allowed


@pytest.mark.parametrize("operation", Operation)
def test_a_minutes_worth_at_once_then_evenly_inferred(bounded: Limits, time: Time, operation: Operation) -> None:
    most = rate(app(), operation)
    assert taken(bounded, operation) == most
    time.at += 59.9 / most
    assert taken(bounded, operation) == 0
    time.at += 0.2 / most
    assert taken(bounded, operation) == 1
    time.at += 30.001
    assert taken(bounded, operation) == most // 2
    time.at += 3600
    assert taken(bounded, operation) == most


def test_asking_in_vain_does_not_postpone_the_next(bounded: Limits, time: Time) -> None:
    taken(bounded, Operation.SEND)
    for _ in range(100):
        time.at += 0.00999
        assert not bounded.allow(app(), "ann", Operation.SEND)
    time.at += 0.01
    assert bounded.allow(app(), "ann", Operation.SEND)


def test_clients_apps_and_operations_do_not_share(bounded: Limits) -> None:
    taken(bounded, Operation.SEND)
    assert taken(bounded, Operation.SEND, client="bob") == SEND
    assert taken(bounded, Operation.SEND, app(2)) == SEND
    assert taken(bounded, Operation.OTHER) == OTHER


def test_an_app_may_have_none(bounded: Limits) -> None:
    assert taken(bounded, Operation.OTHER, app(limits=False)) == 1000


def test_memory_is_bounded_by_forgetting_who_was_quiet_longest(
    bounded: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CLIENTS_MAX", 2)
    for client in ("ann", "bob", "ann", "cem"):
        bounded.allow(app(), client, Operation.OTHER)
    left = [taken(bounded, Operation.OTHER, client=client) for client in ("cem", "ann")]
    assert left == [OTHER - 1, OTHER - 2]
    assert taken(bounded, Operation.OTHER, client="bob") == OTHER


def test_the_originals_rates_are_the_default() -> None:
    original = (Operation.SEND, Operation.READ, Operation.OTHER)
    assert [rate(app(), operation) for operation in original] == [60, 120, 30]


@pytest.mark.parametrize("operation", Operation)
def test_an_app_has_its_own_rates(bounded: Limits, operation: Operation) -> None:
    for most in (7, 3, 200):  # a change holds at once
        assert taken(bounded, operation, app(**{operation.value: most})) == most


@pytest.fixture
def budget(time: Time) -> DeliveryBudget:
    return DeliveryBudget(time)


def test_deliveries_are_worked_off_second_by_second(budget: DeliveryBudget, time: Time) -> None:
    space = app(delivery_rate=100)
    assert budget.allow(space)
    budget.charge(space.key, 99)
    assert budget.allow(space)
    budget.charge(space.key, 251)
    assert not budget.allow(space)
    time.at += 2.5
    assert not budget.allow(space)
    time.at += 0.02
    assert budget.allow(space)


def test_idleness_saves_nothing_up(budget: DeliveryBudget, time: Time) -> None:
    space = app(delivery_rate=100)
    assert budget.allow(space)
    time.at += 3600
    assert budget.allow(space)
    budget.charge(space.key, 100)
    assert not budget.allow(space)


def test_apps_have_a_budget_each_and_may_have_no_bound(budget: DeliveryBudget) -> None:
    for key in (1, 2):
        budget.charge(key, 1_000)
    assert not budget.allow(app(delivery_rate=100))
    assert budget.allow(app(3, delivery_rate=100))
    assert budget.allow(app(2, delivery_rate=100, limits=False))
    assert budget.allow(app(2, delivery_rate=100)), "what was delivered without a bound is no debt"
