"""Bringing rows of another server in. Nobody is told: no event, no notification, no hook (REST reference 8.8).

What is brought in is history: it counts as read and received. It is written as bulk work in small steps, so that those
who chat meanwhile do not wait.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from hongyan.engine.access import Access
from hongyan.engine.imported import Imported, ImportedHistory, ImportedRow
from hongyan.engine.ports import ImportStore
from hongyan.engine.services import Services
from hongyan.engine.values import App

#: Rows or messages in one step while others write, and when nobody does.
STEP, STEP_ALONE = 20, 1_000
#: After a step the writer is left alone for so many times as long as the step took, in seconds at most.
REST, REST_MAX = 6, 1.0


class Imports:
    """`alone`: nobody else uses the store."""

    def __init__(self, store: ImportStore, access: Access, services: Services, *, alone: bool = False) -> None:
        self._store = store
        self._access = access
        self._services = services
        self._step = STEP_ALONE if alone else STEP
        self._rest = 0 if alone else REST

    async def write(self, app: App, rows: Sequence[ImportedRow], *, dry: bool = False) -> Imported:
        """Write rows of one type; those that are there already are left as they are. `dry`: only say what would be."""
        total, first = Imported(), 0
        for step in _steps(rows, self._step):
            began = time.monotonic()
            done = await self._store.write(app.key, step, self._committed(app), dry=dry)
            total = _sum(total, done, first)
            first += _places(step)
            if self._rest:
                await asyncio.sleep(min(self._rest * (time.monotonic() - began), REST_MAX))
        return total

    def _committed(self, app: App) -> Callable[[Sequence[str], Sequence[int]], None]:
        """At the commit: what is in memory of changed conversations is read again, and new services are known."""

        def committed(changed: Sequence[str], services: Sequence[int]) -> None:
            for conversation_id in changed:
                self._access.forget(app.key, conversation_id)
            self._services.imported(app, services)

        return committed


def _steps(rows: Sequence[ImportedRow], size: int) -> "list[list[ImportedRow]]":
    """The rows in parts of at most `size` rows or messages; a long history is in several."""
    parts: list[list[ImportedRow]] = []
    room = 0
    for row in rows:
        pieces: list[ImportedRow] = [row]
        if isinstance(row, ImportedHistory):
            starts = range(0, len(row.messages), size)
            pieces = [row._replace(messages=row.messages[start : start + size]) for start in starts]
        for piece in pieces:
            weight = _weight(piece)
            if weight > room:
                parts.append([])
                room = size
            parts[-1].append(piece)
            room -= weight
    return parts


def _weight(row: ImportedRow) -> int:
    return len(row.messages) if isinstance(row, ImportedHistory) else 1


def _places(rows: Sequence[ImportedRow]) -> int:
    return sum(_weight(row) for row in rows)


def _sum(total: Imported, more: Imported, first: int) -> Imported:
    refused = tuple((first + place, reason) for place, reason in more.refused)
    return Imported(
        total.new + more.new, total.changed + more.changed, total.same + more.same, (*total.refused, *refused)
    )
