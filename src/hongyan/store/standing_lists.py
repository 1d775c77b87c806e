"""Who has what in a conversation, read page by page."""

from typing import Any

from hongyan.engine.values import FOREVER, Conversation, InfoFilter, MemberInfo, Role
from hongyan.store.reading import Reader

_SILENCED = "SELECT client FROM standing WHERE conversation = ? AND silenced_until > ? ORDER BY client LIMIT ? OFFSET ?"
#: A role without an id was given to nobody: it notes that roles are in use.
_ROLES = (
    "SELECT role_id, client, role FROM standing WHERE conversation = ? AND role_id IS NOT NULL"
    " AND (? IS NULL OR role = ?) AND (? IS NULL OR client = ?) ORDER BY client LIMIT ? OFFSET ?"
)
_ROLES_OF_APP = (
    "SELECT c.id, s.role_id, s.client, s.role FROM conversation c JOIN standing s ON s.conversation = c.key"
    " WHERE c.app = ? AND c.parent IS NULL AND s.role_id IS NOT NULL{} ORDER BY c.key, s.client LIMIT ? OFFSET ?"
)
#: What each part of an `InfoFilter` compares.
_COLUMNS = ("c.id", "s.client", "s.role", "s.role_id")


class StandingLists:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def silenced(
        self, conversation: Conversation, now: int, limit: int, skip: int, *, for_ever: bool
    ) -> list[str]:
        after = FOREVER - 1 if for_ever else now
        values = (conversation.key, after, limit, skip)
        return await self._reader.run(lambda driver: [row[0] for row in driver.execute(_SILENCED, values)])

    async def roles(
        self, conversation: Conversation, limit: int, skip: int, role: Role | None, client: str | None
    ) -> list[MemberInfo]:
        values = (conversation.key, role, role, client, client, limit, skip)
        rows = await self._reader.run(lambda driver: driver.execute(_ROLES, values).fetchall())
        return [MemberInfo(info_id, client, Role(role)) for info_id, client, role in rows]

    async def roles_of_app(
        self, app_key: int, wanted: InfoFilter, limit: int, skip: int
    ) -> list[tuple[str, MemberInfo]]:
        asked = [(column, value) for column, value in zip(_COLUMNS, wanted, strict=True) if value is not None]
        statement = _ROLES_OF_APP.format("".join(f" AND {column} = ?" for column, _ in asked))
        values: list[Any] = [app_key, *(value for _, value in asked), limit, skip]
        rows = await self._reader.run(lambda driver: driver.execute(statement, values).fetchall())
        return [(cid, MemberInfo(info_id, client, Role(role))) for cid, info_id, client, role in rows]
