"""Which parts of a message have arrived: one that takes several calls goes on where it stopped, at the next try."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, TypeVar

from hongyan.hub.connector import Target

T = TypeVar("T")
#: Messages to targets that are remembered while they are on their way.
KEPT = 20_000


class Progress(Generic[T]):
    """Of the messages of one channel; `key` is a message's. Of each part it keeps what the platform has answered."""

    def __init__(self) -> None:
        self._parts: OrderedDict[tuple[str, Target], list[T]] = OrderedDict()

    def count(self, key: str, target: Target) -> int:
        """How many parts it has."""
        return len(self._parts.get((key, target), ()))

    def add(self, key: str, target: Target, part: T) -> None:
        """Another part has arrived."""
        self._parts.setdefault((key, target), []).append(part)
        while len(self._parts) > KEPT:
            self._parts.popitem(last=False)

    def done(self, key: str, target: Target) -> Sequence[T]:
        """All have arrived; what they were answered."""
        return self._parts.pop((key, target), [])
