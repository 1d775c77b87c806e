"""Who has what in a conversation, read page by page."""

from hongyan.engine.values import FOREVER, Conversation, MemberInfo, Role
from hongyan.store.reading import Reader

_SILENCED = "SELECT client FROM standing WHERE conversation = ? AND silenced_until > ? ORDER BY client LIMIT ? OFFSET ?"
#: A role without an id was given to nobody: it notes that roles are in use.
_ROLES = (
    "SELECT role_id, client, role FROM standing WHERE conversation = ? AND role_id IS NOT NULL"
    " AND (? IS NULL OR role = ?) AND (? IS NULL OR client = ?) ORDER BY client LIMIT ? OFFSET ?"
)


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
