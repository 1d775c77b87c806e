"""Which parts of a long message were taken, so that another try goes on after them and says nothing twice."""

from collections import OrderedDict

from hongyan.hub.connector import Target

#: Messages under way that are remembered.
KEPT = 1000


class Progress:
    def __init__(self) -> None:
        self._taken: OrderedDict[tuple[str, Target], list[str]] = OrderedDict()

    def taken(self, key: str, target: Target) -> list[str]:
        """The ids of the parts that were taken; more are appended to it."""
        found = self._taken.setdefault((key, target), [])
        while len(self._taken) > KEPT:
            self._taken.popitem(last=False)
        return found

    def done(self, key: str, target: Target) -> None:
        self._taken.pop((key, target), None)
