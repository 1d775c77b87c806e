"""What clients must be told of when they were away: that they joined or left conversations."""

from collections.abc import Sequence
from typing import Any

from hongyan.engine.clock import Clock
from hongyan.engine.values import Notification
from hongyan.store import hot
from hongyan.store.reading import Reader


class Notifications:
    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock

    async def page(
        self, app_key: int, client: str, after: int, limit: int, *, temporary: bool = True
    ) -> list[Notification]:
        living = hot.living_at(self._clock.now(), temporary=temporary)

        def read(driver: Any) -> list[Notification]:
            rows = driver.execute(hot.NOTIFICATIONS_AFTER, (app_key, client, after, living, limit)).fetchall()
            return [_notification(*row) for row in rows]

        return await self._reader.run(read)

    async def memberships(self, app_key: int, client: str, limit: int) -> list[tuple[int, int]]:
        values = (app_key, client, limit)
        return await self._reader.run(lambda driver: driver.execute(hot.MEMBERSHIPS, values).fetchall())


def _notification(joined: bool, conversation_id: str, by: str, at: int, expires_at: int | None) -> Notification:
    return Notification("joined" if joined else "left", conversation_id, by, at, expires_at=expires_at)


def keep(
    driver: Any, app_key: int, conversation: int, clients: Sequence[str], *, joined: bool, by: str, at: int
) -> None:
    """Inside the write of a change: one row for each client that joined or left."""
    rows = [(app_key, client, at, conversation, joined, by) for client in clients]
    hot.INSERT_NOTIFICATIONS.run(driver, rows)
