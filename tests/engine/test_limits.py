"""Rate limits: a minute's worth at once, refilled evenly."""

import pytest

from hongyan.engine import limits
from hongyan.engine.limits import Limits, Operation
from hongyan.engine.values import App, AppSettings


def app(key: int = 1, **settings: bool) -> App:
    return App(key, f"app{key}", "", "", "", "", AppSettings(**settings), 0)


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
def test_a_minutes_worth_at_once_then_evenly(bounded: Limits, time: Time, operation: Operation) -> None:
    assert taken(bounded, operation) == operation.value
    time.at += 59.9 / operation.value
    assert taken(bounded, operation) == 0
    time.at += 0.2 / operation.value
    assert taken(bounded, operation) == 1
    time.at += 30.001
    assert taken(bounded, operation) == operation.value // 2
    time.at += 3600
    assert taken(bounded, operation) == operation.value


def test_asking_in_vain_does_not_postpone_the_next(bounded: Limits, time: Time) -> None:
    taken(bounded, Operation.SEND)
    for _ in range(100):
        time.at += 0.00999
        assert not bounded.allow(app(), "ann", Operation.SEND)
    time.at += 0.01
    assert bounded.allow(app(), "ann", Operation.SEND)


def test_clients_apps_and_operations_do_not_share(bounded: Limits) -> None:
    taken(bounded, Operation.SEND)
    assert taken(bounded, Operation.SEND, client="bob") == Operation.SEND.value
    assert taken(bounded, Operation.SEND, app(2)) == Operation.SEND.value
    assert taken(bounded, Operation.OTHER) == Operation.OTHER.value


def test_an_app_may_have_none(bounded: Limits) -> None:
    assert taken(bounded, Operation.OTHER, app(limits=False)) == 1000


def test_memory_is_bounded_by_forgetting_who_was_quiet_longest(
    bounded: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CLIENTS_MAX", 2)
    for client in ("ann", "bob", "ann", "cem"):
        bounded.allow(app(), client, Operation.OTHER)
    left = [taken(bounded, Operation.OTHER, client=client) for client in ("cem", "ann")]
    assert left == [Operation.OTHER.value - 1, Operation.OTHER.value - 2]
    assert taken(bounded, Operation.OTHER, client="bob") == Operation.OTHER.value
