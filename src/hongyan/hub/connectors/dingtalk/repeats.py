"""DingTalk drops a work notification without a word if somebody has had the same one on that day (reference 2.3)."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

#: How long it is remembered what was said (s); contents, and messages with the same one, that are.
DAY, KEPT, SAME = 86_400.0, 20_000, 1_000


@dataclass(slots=True)
class _Said:
    """`marks` of the messages that said it, by their keys."""

    until: float
    count: int = 0
    marks: dict[str, str] = field(default_factory=dict)


class Repeats:
    """Of one app. `wall` is the time of day in ms, `steady` seconds that only grow."""

    def __init__(self, wall: Callable[[], int], steady: Callable[[], float]) -> None:
        self._wall = wall
        self._steady = steady
        self._said: OrderedDict[bytes, _Said] = OrderedDict()

    def mark(self, key: str, content: object) -> str:
        """By what a message differs from those that said the same within a day; nothing for the first one.

        A message that is tried again has the same mark: what has arrived does not come twice.
        """
        digest, now = hashlib.sha256(msgspec.json.encode(content)).digest(), self._steady()
        said = self._said.pop(digest, None)
        if said is None or now >= said.until:
            said = _Said(now + DAY)
        self._said[digest] = said
        if key not in said.marks:
            said.count += 1
            said.until = now + DAY
            time = datetime.fromtimestamp(self._wall() / 1000).strftime("%H:%M:%S")
            said.marks[key] = f"{time} ({said.count})" if said.count > 1 else ""
        while len(said.marks) > SAME:
            del said.marks[next(iter(said.marks))]
        while len(self._said) > KEPT:
            self._said.popitem(last=False)
        return said.marks[key]
