"""What a platform has told of people and places: asked again after a while, as it may change and calls are counted."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Known(Generic[K]):
    """Texts that are good for so many seconds, and at most so many; `now` in seconds that only grow."""

    def __init__(self, now: Callable[[], float], good: float, most: int) -> None:
        self._now = now
        self._good = good
        self._most = most
        self._kept: OrderedDict[K, tuple[float, str]] = OrderedDict()

    def get(self, key: K) -> str | None:
        until, text = self._kept.get(key, (0.0, ""))
        return text if self._now() < until else None

    def keep(self, key: K, text: str) -> str:
        self._kept.pop(key, None)
        self._kept[key] = (self._now() + self._good, text)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return text
