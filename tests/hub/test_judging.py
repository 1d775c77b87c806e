"""What becomes of a target after a try, and when it is tried again."""

import pytest

from hongyan.engine.values import DAY
from hongyan.hub import judging
from hongyan.hub.connector import Outcome, Problem, Result, Target, failed
from hongyan.hub.records import Delivery, State

TOM = Target("user", "tom")
ONCE = {"once": True, "age": 0, "now": 7}


def result(outcome: Outcome, after: float | None = None, *, everybody: bool = False) -> Result:
    return failed(TOM, Problem(outcome, "because", after=after, everybody=everybody))


def test_what_arrived_is_sent() -> None:
    found = judging.judged(Delivery(TOM), Result(TOM, Outcome.OK, {"id": "1"}), **ONCE)
    assert (found.state, found.receipt, found.updated_at) == (State.SENT, {"id": "1"}, 7)


@pytest.mark.parametrize("outcome", [Outcome.BAD_RECIPIENT, Outcome.BAD_CONTENT])
def test_what_no_second_try_can_mend_has_failed(outcome: Outcome) -> None:
    found = judging.judged(Delivery(TOM), result(outcome), **ONCE)
    assert (found.state, found.reason, found.tries) == (State.FAILED, "because", 1)


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.TRANSIENT, Outcome.BAD_CREDENTIAL])
def test_what_was_not_sent_is_tried_again_for_a_day(outcome: Outcome) -> None:
    assert judging.judged(Delivery(TOM), result(outcome), once=False, age=DAY - 1, now=7).state is State.WAITING
    assert judging.judged(Delivery(TOM), result(outcome), once=False, age=DAY, now=7).state is State.FAILED


def test_a_rate_is_no_failed_try() -> None:
    assert judging.judged(Delivery(TOM), result(Outcome.THROTTLED), **ONCE).tries == 0
    assert judging.judged(Delivery(TOM), result(Outcome.TRANSIENT), **ONCE).tries == 1


def test_what_may_have_arrived_is_tried_again_if_that_tells_nobody_twice() -> None:
    again = judging.judged(Delivery(TOM), result(Outcome.UNKNOWN), **ONCE)
    assert again.state is State.WAITING
    assert judging.judged(Delivery(TOM), result(Outcome.UNKNOWN), once=False, age=0, now=7).state is State.FAILED
    often = Delivery(TOM, unknown=judging.UNKNOWN_MAX)
    assert judging.judged(often, result(Outcome.UNKNOWN), **ONCE).state is State.FAILED


@pytest.mark.parametrize(("outcome", "stops"), [(Outcome.TRANSIENT, True), (Outcome.BAD_RECIPIENT, False)])
def test_only_what_concerns_everybody_stops_a_try(outcome: Outcome, stops: bool) -> None:
    assert judging.stop([result(outcome)]) is None
    found = judging.stop([Result(TOM, Outcome.OK), result(outcome, everybody=True)])
    assert (found is not None) is stops


def test_the_platforms_wait_is_believed_up_to_an_hour() -> None:
    assert judging.wait(Delivery(TOM), result(Outcome.THROTTLED, 30)) == 30
    assert judging.wait(Delivery(TOM), result(Outcome.THROTTLED, 10**9)) == judging.THROTTLED_MAX
    assert judging.wait(Delivery(TOM), result(Outcome.THROTTLED)) == judging.THROTTLED


def test_waits_grow_with_the_tries() -> None:
    waits = [judging.wait(Delivery(TOM, tries=tries), result(Outcome.TRANSIENT)) for tries in range(1, 10)]
    assert waits == [*judging.WAITS, judging.WAITS[-1], judging.WAITS[-1]]


def test_later_messages_wait_while_the_platform_fails_but_not_for_ever() -> None:
    everybody = result(Outcome.TRANSIENT, everybody=True)
    assert judging.keeps_place(Delivery(TOM), result(Outcome.THROTTLED))
    assert judging.keeps_place(Delivery(TOM, tries=judging.PATIENT), everybody)
    assert not judging.keeps_place(Delivery(TOM, tries=judging.PATIENT + 1), everybody)
    assert not judging.keeps_place(Delivery(TOM), result(Outcome.TRANSIENT))
