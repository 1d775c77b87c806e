"""Signatures that were used and may not be used again."""

from typing import Any

import sqlalchemy as sa

from hongyan.store import hot
from hongyan.store.writer import Writer


class Signatures:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def use(self, digest: bytes, expires_at: int) -> bool:
        def change(bound: sa.Connection) -> bool:
            driver: Any = bound.connection.driver_connection
            return bool(driver.execute(hot.USE_SIGNATURE, (digest, expires_at)).rowcount == 1)

        return bool(await self._writer.call(change))
