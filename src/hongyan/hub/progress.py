"""Which parts of a message have arrived: one that takes several calls goes on where it stopped, at the next try."""

from collections.abc import Sequence

from hongyan.hub.connector import Receipt, Target


class Progress:
    """Of the messages that are under way; `key` is a message's. Between its tries the parts are kept with it."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, Target], list[Receipt]] = {}

    def begin(self, key: str, target: Target, parts: Sequence[Receipt]) -> None:
        """A try begins; these had arrived before."""
        self._parts[key, target] = list(parts)

    def end(self, key: str, target: Target) -> tuple[Receipt, ...]:
        """The try has ended; those that have arrived of a message that is not done."""
        return tuple(self._parts.pop((key, target), ()))

    def count(self, key: str, target: Target) -> int:
        """How many parts it has."""
        return len(self._parts.get((key, target), ()))

    def add(self, key: str, target: Target, part: Receipt) -> None:
        """Another part has arrived, and what the platform has answered."""
        self._parts.setdefault((key, target), []).append(part)

    def done(self, key: str, target: Target) -> Sequence[Receipt]:
        """All have arrived; what they were answered."""
        return self._parts.pop((key, target), [])
