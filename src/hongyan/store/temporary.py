"""Temporary conversations in the database. They are rows of `conversation`, which no query of the others finds."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.query import TemporaryQuery
from hongyan.engine.values import (
    TEMPORARY_PREFIX,
    Conversation,
    ConversationDraft,
    ConversationKind,
    ConversationRow,
    new_object_id,
)
from hongyan.engine.work import Following
from hongyan.store import conversation_query, conversations, members, schema
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_conversation, _member = schema.conversation, schema.member


class Temporary:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    def start(
        self,
        app_key: int,
        draft: ConversationDraft,
        committed: Callable[[ConversationRow, Conversation, bool], None],
        following: Following[tuple[ConversationRow, Conversation, bool]] | None = None,
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> tuple[ConversationRow, Conversation, bool]:
            return self._find_or_insert(bound, app_key, draft)

        return self._writer.call_then(change, lambda result: committed(*result), following=following)

    async def find(self, app_key: int, caller: str, query: TemporaryQuery) -> list[ConversationRow]:
        found = (
            sa.select(_conversation.c.key)
            .join(_member, _member.c.conversation == _conversation.c.key)
            .where(
                _conversation.c.app == app_key,
                _conversation.c.id.in_(query.ids),
                _conversation.c.kind == int(ConversationKind.TEMPORARY),
                _conversation.c.expires_at > self._clock.now(),
                _member.c.client == caller,
            )
        )
        return await self._reader.run_bound(
            lambda bound: conversation_query.read(bound, bound.scalars(found).all(), caller, query),
            errors.CONVERSATION_QUERY_FAILED,
        )

    # inside a write

    def _find_or_insert(
        self, bound: sa.Connection, app_key: int, draft: ConversationDraft
    ) -> tuple[ConversationRow, Conversation, bool]:
        assert draft.lifetime is not None
        now, name = self._clock.now(), _name_of_set(draft.members)
        key = _living(bound, app_key, name, now)
        existing = key is not None
        if key is None:
            more = {
                "id": TEMPORARY_PREFIX + new_object_id(),
                "unique_id": name,
                "expires_at": now + draft.lifetime,
            }
            key = conversations.insert(bound, app_key, draft, now, **more)
        row = members.head(bound, key)
        everyone = conversation_query.members_of(bound, [key])[key]
        return (
            conversation_query.to_row(row, everyone, muted=False),
            conversations.conversation_of(bound, row),
            existing,
        )


def _name_of_set(clients: Sequence[str]) -> str:
    """Names a set of members, unlike every `uniqueId` and every other set."""
    return TEMPORARY_PREFIX + hashlib.sha256(json.dumps(sorted(clients)).encode()).hexdigest()


def _living(bound: sa.Connection, app_key: int, name: str, now: int) -> int | None:
    """The conversation of a set of members. Only the newest can live: one is made when the one before has ended."""
    newest = (
        sa.select(_conversation.c.key, _conversation.c.expires_at)
        .where(_conversation.c.app == app_key, _conversation.c.unique_id == name)
        .order_by(_conversation.c.key.desc())
        .limit(1)
    )
    row = bound.execute(newest).one_or_none()
    return row.key if row is not None and row.expires_at > now else None
