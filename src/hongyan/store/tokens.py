"""Voided session tokens in the database."""

import sqlalchemy as sa

from hongyan.store import schema
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_table = schema.revoked_token
_STEP = 500


class Tokens:
    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def revoke(self, token_id: str, expires_at: int) -> None:
        keep = sa.insert(_table).prefix_with("OR IGNORE").values(id=token_id, expires_at=expires_at)
        await self._writer.call(lambda bound: bound.execute(keep).rowcount)

    async def revoked(self) -> dict[str, int]:
        found = sa.select(_table.c.id, _table.c.expires_at).order_by(_table.c.expires_at)
        rows = await self._reader.run_bound(lambda bound: bound.execute(found).all())
        return {row.id: row.expires_at for row in rows}

    async def forget_expired(self, now: int) -> None:
        """In small steps: each is one write among others."""
        oldest = sa.select(_table.c.id).where(_table.c.expires_at < now).order_by(_table.c.expires_at).limit(_STEP)
        expired = sa.delete(_table).where(_table.c.id.in_(oldest))
        while await self._writer.call(lambda bound: bound.execute(expired).rowcount) == _STEP:
            pass
