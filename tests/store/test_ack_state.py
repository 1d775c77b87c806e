"""Which messages a member has received, against a plain set."""

from hypothesis import given
from hypothesis import strategies as st

from hongyan.store.ack_state import SPANS_MAX, AckState, Place, Span, unpack

LAST = 60


def place(seq: int) -> Place:
    return Place(seq, 1_000 + 10 * seq)


def span(first: int, last: int) -> Span:
    return Span(place(first), place(last))


def state(upto: int = 0, *spans: Span) -> AckState:
    return AckState(place(upto), list(spans))


def apart(left: Place, right: Place) -> bool:
    """Nothing of the member's own lies anywhere."""
    return False


spans = st.tuples(st.integers(1, LAST), st.integers(0, 8)).map(lambda at: (at[0], min(LAST, at[0] + at[1])))


@given(st.lists(spans, max_size=SPANS_MAX), st.sets(st.integers(1, LAST)))
def test_covers_what_was_acknowledged_and_nothing_else(acknowledged: list[tuple[int, int]], own: set[int]) -> None:
    def joined(left: Place, right: Place) -> bool:
        return own.issuperset(range(left.seq + 1, right.seq))

    marks, received = state(), set[int]()
    for first, last in acknowledged:
        marks.add(span(first, last), joined)
        received |= set(range(first, last + 1))
        assert marks == unpack(marks.upto.seq, marks.newest.timestamp, marks.pack())
    others = set(range(1, LAST + 1)) - own
    assert {seq for seq in others if marks.covers(seq)} == received - own
    assert marks.newest.seq == max(received, default=0)
    assert all(left.last.seq + 1 < right.first.seq for left, right in zip(marks.spans, marks.spans[1:], strict=False))
    assert all(marks.upto.seq + 1 < found.first.seq for found in marks.spans)


def test_neighbours_become_the_position() -> None:
    marks = state(3)
    marks.add(span(6, 7), apart)
    assert marks == state(3, span(6, 7))
    marks.add(span(4, 4), apart)
    assert marks == state(4, span(6, 7))
    marks.add(span(5, 5), apart)
    assert marks == state(7)
    assert marks.pack() is None


def test_own_messages_fill_a_gap() -> None:
    marks = state(3)
    marks.add(span(6, 6), lambda left, right: (left.seq, right.seq) == (3, 6))
    assert marks == state(6)


def test_too_many_gaps_end_with_the_oldest() -> None:
    """What lies in the oldest gap counts as received: the original forgets beyond a hundred messages too."""
    marks = state(0)
    for number in range(1, SPANS_MAX + 2):
        marks.add(span(10 * number, 10 * number), apart)
    assert marks.upto == place(10)
    assert [found.first.seq for found in marks.spans] == [10 * number for number in range(2, SPANS_MAX + 2)]
