"""What is remembered of people and places."""

from hongyan.hub.connectors.known import Known
from tests.support.hub import Clock


def test_what_is_known_is_forgotten_after_a_while() -> None:
    clock = Clock()
    known = Known[str](clock.steady, 60.0, 100)
    assert known.get("a") is None
    assert known.keep("a", "") == ""
    assert known.get("a") == ""  # also that there is nothing
    clock.advance(60)
    assert known.get("a") is None


def test_the_oldest_go_first() -> None:
    known = Known[int](Clock().steady, 60.0, 3)
    for key in (1, 2, 3, 1, 4):
        known.keep(key, "x")
    assert [key for key in range(5) if known.get(key)] == [1, 3, 4]
