"""How long to wait before connecting again."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """`first` seconds, then twice as long each time, at most `most`; less up to the part `jitter`, by chance."""

    first: float = 1.0
    most: float = 30.0
    jitter: float = 0.5

    def delay(self, attempt: int) -> float:
        """The wait before an attempt, counted from 0."""
        full = min(self.first * 2.0 ** min(attempt, 32), self.most)
        return full * (1 - self.jitter * random.random())
