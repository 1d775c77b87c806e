"""Bringing rows of another server in. Nobody is told: no event, no notification, no hook (REST reference 8.8).

What is brought in is history: it counts as read and received. It is written as bulk work in small steps, so that those
who chat meanwhile do not wait.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from hongyan.engine.access import Access
from hongyan.engine.imported import Imported, ImportedHistory, ImportedRow
from hongyan.engine.ports import ImportStore
from hongyan.engine.services import Services
from hongyan.engine.values import App

#: Rows or messages in one step when nobody else writes.
STEP_ALONE = 1_000
#: While others write: how long a step should hold the writer (s), and the rows of the first one, at least and at most.
#: Beside a busy event loop some 4 ms pass before its first row, so less than that would be all waiting.
HOLD = 0.008
STEP, STEP_MIN, STEP_MAX = 20, 20, 200
#: After a step the writer is left alone for so many times as long as the step held it, in seconds at most.
REST, REST_MAX = 4, 1.0


class Pace:
    """How many rows the next step has, and how long the writer is left alone after one.

    What a row costs differs by far: a new message at the end of a conversation, or one between thousands.
    """

    def __init__(self) -> None:
        self.size = STEP

    def rest(self, rows: int, held: float) -> float:
        """After a step of so many rows that held the writer so long (s)."""
        wanted = rows * HOLD / held if held else STEP_MAX
        self.size = round(min(max(wanted, self.size / 2, STEP_MIN), self.size * 2, STEP_MAX))
        return min(REST * held, REST_MAX)


class Alone(Pace):
    """Nobody else writes."""

    def __init__(self) -> None:
        self.size = STEP_ALONE

    def rest(self, rows: int, held: float) -> float:
        """None."""
        return 0.0


class Imports:
    """`alone`: nobody else uses the store. `rows` have been written or found to be there."""

    def __init__(self, store: ImportStore, access: Access, services: Services, *, alone: bool = False) -> None:
        self._store = store
        self._access = access
        self._services = services
        self._pace = Alone() if alone else Pace()
        self.rows = 0

    async def write(self, app: App, rows: Sequence[ImportedRow], *, dry: bool = False) -> Imported:
        """Write rows of one type; those that are there already are left as they are. `dry`: only say what would be."""
        total, first = Imported(), 0
        for step in _steps(rows, lambda: self._pace.size):
            done = await self._store.write(app.key, step, self._committed(app), dry=dry)
            total = _sum(total, done, first)
            count = sum(map(_weight, step))
            first += count
            self.rows += count
            if rest := self._pace.rest(count, self._store.held):
                await asyncio.sleep(rest)
        return total

    def _committed(self, app: App) -> Callable[[Sequence[str], Sequence[int]], None]:
        """At the commit: what is in memory of changed conversations is read again, and new services are known."""

        def committed(changed: Sequence[str], services: Sequence[int]) -> None:
            for conversation_id in changed:
                self._access.forget(app.key, conversation_id)
            self._services.imported(app, services)

        return committed


def _steps(rows: Sequence[ImportedRow], size: Callable[[], int]) -> "Iterator[list[ImportedRow]]":
    """The rows in parts of at most `size()` rows or messages, asked anew for each; a long history is in several."""
    part: list[ImportedRow] = []
    room = size()
    for row in rows:
        while True:
            piece, rest = _cut(row, room)
            part.append(piece)
            room -= _weight(piece)
            if not room:
                yield part
                part, room = [], size()
            if rest is None:
                break
            row = rest
    if part:
        yield part


def _cut(row: ImportedRow, most: int) -> tuple[ImportedRow, ImportedRow | None]:
    """The row with at most so many messages, and what is left of it."""
    if not isinstance(row, ImportedHistory) or len(row.messages) <= most:
        return row, None
    return row._replace(messages=row.messages[:most]), row._replace(messages=row.messages[most:])


def _weight(row: ImportedRow) -> int:
    return len(row.messages) if isinstance(row, ImportedHistory) else 1


def _sum(total: Imported, more: Imported, first: int) -> Imported:
    refused = tuple((first + place, reason) for place, reason in more.refused)
    return Imported(
        total.new + more.new, total.changed + more.changed, total.same + more.same, (*total.refused, *refused)
    )
