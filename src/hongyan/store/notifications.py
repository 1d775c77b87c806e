"""What clients must be told of when they were away: that they joined or left conversations."""

from collections.abc import Sequence
from typing import Any

from hongyan.engine.values import Notification
from hongyan.store import hot
from hongyan.store.reading import Reader


class Notifications:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, app_key: int, client: str, after: int, limit: int) -> list[Notification]:
        def read(driver: Any) -> list[Notification]:
            rows = driver.execute(hot.NOTIFICATIONS_AFTER, (app_key, client, after, limit)).fetchall()
            return [Notification("joined" if joined else "left", *others) for joined, *others in rows]

        return await self._reader.run(read)

    async def memberships(self, app_key: int, client: str, limit: int) -> list[tuple[int, int]]:
        values = (app_key, client, limit)
        return await self._reader.run(lambda driver: driver.execute(hot.MEMBERSHIPS, values).fetchall())


def keep(
    driver: Any, app_key: int, conversation: int, clients: Sequence[str], *, joined: bool, by: str, at: int
) -> None:
    """Inside the write of a change: one row for each client that joined or left."""
    rows = [(app_key, client, at, conversation, joined, by) for client in clients]
    hot.INSERT_NOTIFICATIONS.run(driver, rows)
