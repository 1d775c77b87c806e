"""What live queries read: which conversations meet a condition, and one conversation as it is now."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.conditions import Condition
from hongyan.engine.ports import Seen
from hongyan.engine.values import OF_MEMBERS, ConversationKind
from hongyan.store import conversation_condition, conversation_query, schema
from hongyan.store.reading import Reader

_conversation, _member = schema.conversation, schema.member
_TOO_SLOW = errors.CONVERSATION_QUERY_FAILED
_KEY = sa.bindparam("conversation_key", type_=sa.Integer)
#: So many subscriptions at once look through conversations; the other threads are for everybody else.
_SCANS = 1
_PUBLIC = sa.and_(_conversation.c.kind != int(ConversationKind.TEMPORARY), _conversation.c.parent.is_(None))

ALL_MEMBERS = "SELECT client, muted FROM member WHERE conversation = ? ORDER BY joined_at, client"
MEMBERS_AMONG = (
    "SELECT m.client, m.muted FROM json_each(?) wanted"
    " CROSS JOIN member m ON m.conversation = ? AND m.client = wanted.value"
)

#: The test of a row of `conversation`, and whether a given row passes it.
Prepared = tuple[sa.ColumnElement[bool], sa.Select[Any]]


class LiveQueries:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._scans = asyncio.Semaphore(_SCANS)

    def prepare(self, app_key: int, caller: str, condition: Condition) -> Prepared:
        """Made once: SQLAlchemy remembers of a statement how to run it."""
        test = conversation_condition.where(condition, app_key, caller)
        return test, sa.select(sa.literal(1)).select_from(_conversation).where(_conversation.c.key == _KEY, test)

    async def matching(self, app_key: int, member: str | None, prepared: Prepared, limit: int) -> list[int]:
        found = sa.select(_conversation.c.key).where(_conversation.c.app == app_key, _PUBLIC, prepared[0]).limit(limit)
        if member is not None:
            own = sa.select(_member.c.conversation).where(_member.c.app == app_key, _member.c.client == member)
            found = found.where(_conversation.c.key.in_(own))
        async with self._scans:
            return await self._reader.run_bound(lambda bound: list(bound.scalars(found)), _TOO_SLOW)

    async def look(self, app_key: int, conversation: int, among: Sequence[str]) -> Seen | None:
        found = sa.select(_conversation).where(
            _conversation.c.key == conversation, _conversation.c.app == app_key, _PUBLIC
        )

        def read(bound: sa.Connection) -> Seen | None:
            row = bound.execute(found).one_or_none()
            if row is None:
                return None
            if row.kind in OF_MEMBERS:
                found_members = bound.exec_driver_sql(ALL_MEMBERS, (conversation,)).all()
            else:
                found_members = bound.exec_driver_sql(MEMBERS_AMONG, (json.dumps(among), conversation)).all()
            members = [client for client, _ in found_members]
            muted_by = frozenset(client for client, muted in found_members if muted)
            return Seen(conversation_query.to_row(row, members, muted=False), muted_by)

        return await self._reader.run_bound(read, _TOO_SLOW)

    async def matches(
        self, conversation: int, updated_at: int | None, prepared: Sequence[Prepared]
    ) -> list[bool] | None:
        changed_at = sa.select(_conversation.c.updated_at).where(_conversation.c.key == conversation)

        def read(bound: sa.Connection) -> list[bool] | None:
            if updated_at is not None and bound.scalar(changed_at) != updated_at:
                return None
            value = {"conversation_key": conversation}
            return [bound.execute(statement, value).first() is not None for _, statement in prepared]

        def read_at_once(bound: sa.Connection) -> list[bool] | None:
            bound.exec_driver_sql("BEGIN")
            try:
                return read(bound)
            finally:
                bound.exec_driver_sql("ROLLBACK")

        return await self._reader.run_bound(read_at_once, _TOO_SLOW)
