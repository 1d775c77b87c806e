"""Which messages a member has received: a position, and the few spans beyond it.

Clients acknowledge ranges or single messages, and skip what they learned otherwise (from history, or on another
device), so a position alone would either forget acknowledgements or claim too many.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

#: Spans kept beyond the position; with more, the oldest gap counts as received.
SPANS_MAX = 32


class Place(NamedTuple):
    """A message in its conversation."""

    seq: int
    timestamp: int


class Span(NamedTuple):
    """A run of received messages, both ends included."""

    first: Place
    last: Place


#: A range of times, both ends included.
Times = tuple[int, int]

#: Whether all messages strictly between two places are the member's own, which nobody acknowledges.
Joined = Callable[[Place, Place], bool]


@dataclass(slots=True)
class AckState:
    """Everything up to `upto` was received, and the `spans` beyond it, ascending and apart."""

    upto: Place
    spans: list[Span] = field(default_factory=list)

    @property
    def newest(self) -> Place:
        """The newest message that was received."""
        return self.spans[-1].last if self.spans else self.upto

    def covers(self, seq: int) -> bool:
        return seq <= self.upto.seq or any(span.first.seq <= seq <= span.last.seq for span in self.spans)

    def narrow(self, since: int, until: int) -> Times:
        """A range of times without what of its ends was received; empty if it ends before it begins."""
        received = ((span.first.timestamp, span.last.timestamp) for span in self.spans)
        return narrow((max(since, self.upto.timestamp), until), received)

    def add(self, new: Span, joined: Joined) -> None:
        """Count a span as received. `joined` is asked about the neighbours of the new span only."""
        if not self.spans and _meet(self.upto, new.first, joined):  # nearly always
            self.upto = max(self.upto, new.last)
            return
        before = [span for span in self.spans if span.last.seq < new.first.seq]
        after = [span for span in self.spans if span.first.seq > new.last.seq]
        overlapping = self.spans[len(before) : len(self.spans) - len(after)]
        new = Span(
            min(new.first, *(span.first for span in overlapping)) if overlapping else new.first,
            max(new.last, *(span.last for span in overlapping)) if overlapping else new.last,
        )
        if before and _meet(before[-1].last, new.first, joined):
            new = Span(before.pop().first, new.last)
        if after and _meet(new.last, after[0].first, joined):
            new = Span(new.first, after.pop(0).last)
        self.spans = [*before, new, *after]
        if not before and _meet(self.upto, new.first, joined):
            self.upto = max(self.upto, self.spans.pop(0).last)
        while len(self.spans) > SPANS_MAX:
            self.upto = self.spans.pop(0).last

    def pack(self) -> bytes | None:
        """The spans, and the position's time that only they make hard to find; None without spans."""
        if not self.spans:
            return None
        return json.dumps([self.upto.timestamp, self.spans], separators=(",", ":")).encode()


def unpack(seq: int, newest_at: int, packed: bytes | None) -> AckState:
    """The state of a member's columns `ack_seq`, `ack_to` and `ack_extra`."""
    if packed is None:
        return AckState(Place(seq, newest_at))
    upto_at, spans = json.loads(packed)
    return AckState(Place(seq, upto_at), [Span(Place(*first), Place(*last)) for first, last in spans])


def narrow(times: Times, known: Iterable[Times]) -> Times:
    """A range without its ends as far as they lie in known ranges, of which the outermost moments remain."""
    since, until = times
    for first, last in known:
        if first <= since <= last:
            since = last
        if first <= until <= last:
            until = first
    return since, until


def _meet(left: Place, right: Place, joined: Joined) -> bool:
    return right.seq <= left.seq + 1 or joined(left, right)
