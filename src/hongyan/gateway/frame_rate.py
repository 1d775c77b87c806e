"""How many frames a peer may send: a second's worth at once, and as many each second."""

#: A connection over its frame rate is read again after this long at the earliest (s).
BREATHER = 0.05


class FrameRate:
    """`left` is counted down frame by frame; when nothing is left it is to be asked whether that `is_exceeded`.

    Then the socket is not read until a breather's worth of frames has been earned. What was read at once is still
    served, and is made up for by a longer pause.
    """

    __slots__ = ("_counted_at", "_rate", "is_paused", "left")

    def __init__(self, rate: int, now: float) -> None:
        self._rate = self.left = rate
        self._counted_at = now
        self.is_paused = False

    def is_exceeded(self, now: float) -> bool:
        """Whether more came than was earned until now: then it is paused."""
        self.left = min(self._rate, self.left + int((now - self._counted_at) * self._rate))
        self._counted_at = now
        self.is_paused = self.left < 0
        return self.is_paused

    @property
    def pause(self) -> float:
        """For how long nothing is to be read (s)."""
        return BREATHER - self.left / self._rate
