"""Lines in which work is begun in order, goes on all at once, and comes to its end in the order it was begun."""

import asyncio
from collections import deque
from collections.abc import Hashable, Iterable


class Turn:
    """A place in one line or several."""

    def __init__(self, lines: "Turns", keys: tuple[Hashable, ...]) -> None:
        self._lines = lines
        self.keys = keys
        self._news = asyncio.Event()

    async def comes(self) -> None:
        """Return when nobody stands before it in any of its lines."""
        while not self._lines.is_first(self):
            self._news.clear()
            await self._news.wait()

    def look(self) -> None:
        self._news.set()

    def leave(self, keys: Iterable[Hashable]) -> None:
        """Leave some of its lines, in whatever place."""
        left = set(keys)
        self._lines.leave(self, [key for key in self.keys if key in left])
        self.keys = tuple(key for key in self.keys if key not in left)

    def end(self) -> None:
        """Leave the lines, in whatever place. To be called once."""
        self._lines.leave(self, self.keys)


class Turns:
    def __init__(self) -> None:
        self._lines: dict[Hashable, deque[Turn]] = {}

    def any(self, key: Hashable) -> bool:
        """Whether somebody stands in this line."""
        return key in self._lines

    def take(self, keys: Iterable[Hashable]) -> Turn:
        """A place at the end of these lines."""
        turn = Turn(self, tuple(dict.fromkeys(keys)))
        for key in turn.keys:
            self._lines.setdefault(key, deque()).append(turn)
        return turn

    def is_first(self, turn: Turn) -> bool:
        return all(self._lines[key][0] is turn for key in turn.keys)

    def leave(self, turn: Turn, keys: Iterable[Hashable]) -> None:
        for key in keys:
            line = self._lines[key]
            line.remove(turn)
            if line:
                line[0].look()
            else:
                del self._lines[key]
