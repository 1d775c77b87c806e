"""Messages to one target keep their order while an earlier one is stopped."""

from hongyan.hub.connector import Target
from hongyan.hub.order import HELD_MAX, Order, Stopped
from hongyan.hub.records import Delivery, Posted

TOM, JERRY = Target("user", "tom"), Target("user", "jerry")
UNTIL = Stopped(1_000, everybody=False)


def posted(*targets: Target) -> Posted:
    return Posted(1, "m", 1, "c", b"", None, 0, 0, tuple(Delivery(each) for each in targets))


def test_later_jobs_wait_and_earlier_ones_do_not() -> None:
    order = Order()
    order.stop("c", 2, {TOM: UNTIL})
    assert order.before("c", TOM, 3, 0) == UNTIL
    assert order.before("c", TOM, 2, 0) is None
    assert order.before("c", TOM, 1, 0) is None
    assert order.before("c", JERRY, 3, 0) is None
    assert order.before("other", TOM, 3, 0) is None


def test_nothing_waits_for_what_is_released() -> None:
    order = Order()
    order.stop("c", 2, {TOM: UNTIL, JERRY: UNTIL})
    order.stop("c", 3, {TOM: UNTIL})
    order.release(2, posted(TOM, JERRY))
    assert order.before("c", JERRY, 4, 0) is None
    assert order.before("c", TOM, 3, 0) is None
    assert order.before("c", TOM, 4, 0) == UNTIL


def test_what_is_released_out_of_turn_is_passed_over_later() -> None:
    order = Order()
    for job in (2, 3):
        order.stop("c", job, {TOM: UNTIL})
    order.release(3, posted(TOM))
    assert order.before("c", TOM, 4, 0) == UNTIL
    order.release(2, posted(TOM))
    assert order.before("c", TOM, 4, 0) is None


def test_what_does_not_come_to_its_turn_is_forgotten_after_a_while() -> None:
    order = Order()
    order.stop("c", 2, {TOM: UNTIL})
    assert order.before("c", TOM, 3, UNTIL.until + HELD_MAX - 1) == UNTIL
    assert order.before("c", TOM, 3, UNTIL.until + HELD_MAX) is None
