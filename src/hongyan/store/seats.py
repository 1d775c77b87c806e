"""Who is in which chat room, in the database."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import REJOIN_WINDOW, Seat, Standing
from hongyan.engine.work import Following
from hongyan.errors import Refused
from hongyan.store import hot
from hongyan.store.plan import Call
from hongyan.store.writer import Writer

log = logging.getLogger(__name__)

LOSE_ALL = "UPDATE seat SET lost_at = ? WHERE lost_at IS NULL"
LOST = (
    "SELECT s.app, s.client, s.device, s.conversation, c.id, s.lost_at"
    " FROM seat s JOIN conversation c ON c.key = s.conversation"
    " WHERE s.lost_at >= ? ORDER BY s.lost_at DESC LIMIT ?"
)


class Seats:
    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    def take(
        self, seat: Seat, committed: Callable[[int], None], following: Following[int] | None = None
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> int:
            driver: Any = bound.connection.driver_connection
            updated_at = _updated_at(driver, seat)
            row = driver.execute(hot.STANDING, (seat.conversation_key, seat.client)).fetchone()
            if row and Standing(None, None, *row).blocked_at is not None:
                raise Refused(errors.BLOCKED_BY_CONV, "this client may not enter the chat room")
            driver.execute(hot.TAKE_SEAT, seat[:4])
            return updated_at

        return self._writer.call_then(change, committed, following=following)

    def leave(
        self, seat: Seat, committed: Callable[[int], None], following: Following[int] | None = None
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> int:
            driver: Any = bound.connection.driver_connection
            driver.execute(hot.DROP_SEAT, seat[:4])
            return _updated_at(driver, seat)

        return self._writer.call_then(change, committed, following=following)

    def drop(self, seat: Seat) -> None:
        self._soon(hot.DROP_SEAT, seat[:4])

    def lose(self, seat: Seat, at: int) -> None:
        self._soon(hot.LOSE_SEAT, (at, *seat[:4]))

    def regain(self, seat: Seat) -> None:
        self._soon(hot.LOSE_SEAT, (None, *seat[:4]))

    async def lost(self, limit: int) -> list[tuple[Seat, int]]:
        now = self._clock.now()

        def change(bound: sa.Connection) -> list[Any]:
            driver: Any = bound.connection.driver_connection
            driver.execute(LOSE_ALL, (now,))
            found: list[Any] = driver.execute(LOST, (now - REJOIN_WINDOW, limit)).fetchall()
            return found

        rows = await self._writer.call(change)
        return [(Seat(*seat), lost_at) for *seat, lost_at in reversed(rows)]

    def _soon(self, statement: str, values: tuple[Any, ...]) -> None:
        """Write what nobody waits for. If it can't be written, the place is lost or kept by mistake."""

        def change(bound: sa.Connection) -> None:
            driver: Any = bound.connection.driver_connection
            driver.execute(statement, values)

        self._writer.submit(Call(change, _log_refusal))


def _log_refusal(outcome: Any) -> None:
    if isinstance(outcome, Refused):
        log.warning("a place in a chat room could not be written down: %s", outcome)


def _updated_at(driver: Any, seat: Seat) -> int:
    row = driver.execute(hot.UPDATED_AT, (seat.conversation_key,)).fetchone()
    if row is None:
        raise Refused(errors.CONVERSATION_NOT_FOUND, "the chat room is gone")
    return int(row[0])
