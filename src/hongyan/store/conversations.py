"""Conversations and their members in the database."""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.query import Query
from hongyan.engine.values import (
    Conversation,
    ConversationDraft,
    ConversationKind,
    ConversationRow,
    MembersChanged,
    new_object_id,
)
from hongyan.errors import Refused
from hongyan.store import conversation_query, notifications, schema
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_conversation, _member = schema.conversation, schema.member
_MEMBER_CHUNK = 500
#: So many queries at once may look at all conversations, which is slow: the other threads are for everybody else.
_SCANS = 2
#: And so many may take long over each of a few conversations.
_SLOW = 1


def unique_key(members: Sequence[str]) -> str:
    """`uniqueId` of a member set: MD5 of the sorted ids without separator (REST reference 2.2)."""
    return hashlib.md5("".join(sorted(members)).encode(), usedforsecurity=False).hexdigest()


class Conversations:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._scans = asyncio.Semaphore(_SCANS)
        self._slow = asyncio.Semaphore(_SLOW)

    async def load(self, app_key: int, conversation_id: str) -> Conversation | None:
        return await self._reader.run_bound(lambda bound: _load(bound, app_key, conversation_id))

    async def query(self, app_key: int, caller: str, query: Query) -> list[ConversationRow]:
        async with self._room(query):
            return await self._reader.run_bound(
                lambda bound: conversation_query.run(bound, app_key, caller, query), errors.CONVERSATION_QUERY_FAILED
            )

    def _room(self, query: Query) -> AbstractAsyncContextManager[None]:
        """A place among the queries of its kind."""
        if not query.narrow:
            return self._scans
        return contextlib.nullcontext() if query.quick else self._slow

    def create(
        self,
        app_key: int,
        draft: ConversationDraft,
        committed: Callable[[ConversationRow, Conversation, bool], None],
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> tuple[ConversationRow, Conversation, bool]:
            return self._find_or_insert(bound, app_key, draft)

        return self._writer.call_then(change, lambda result: committed(*result))

    def add_members(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        limit: int,
        committed: Callable[[MembersChanged], None],
        by: str | None = None,
        initiator: str = "",
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> MembersChanged:
            _check_member(bound, conversation.key, by)
            present = _present(bound, conversation.key, clients)
            new = tuple(client for client in clients if client not in present)
            count = _row(bound, conversation.key).member_count + len(new)
            if new and count > limit:
                raise Refused(errors.CONVERSATION_FULL, f"a conversation has at most {limit} members")
            changed = self._touch(bound, conversation.key, new, count)
            _insert_members(bound, conversation.key, conversation.app_key, new, initiator, changed.updated_at)
            return changed

        return self._writer.call_then(change, committed, conversation.key)

    def remove_members(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        committed: Callable[[MembersChanged], None],
        by: str | None = None,
        initiator: str = "",
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> MembersChanged:
            _check_member(bound, conversation.key, by)
            present = _present(bound, conversation.key, clients)
            gone = tuple(client for client in clients if client in present)
            for chunk in _chunks(gone):
                bound.execute(
                    sa.delete(_member).where(_member.c.conversation == conversation.key, _member.c.client.in_(chunk))
                )
            count = _row(bound, conversation.key).member_count - len(gone)
            changed = self._touch(bound, conversation.key, gone, count)
            notifications.keep(
                bound.connection.driver_connection,
                conversation.app_key,
                conversation.key,
                gone,
                joined=False,
                by=initiator,
                at=changed.updated_at,
            )
            return changed

        return self._writer.call_then(change, committed, conversation.key)

    # inside a write

    def _find_or_insert(
        self, bound: sa.Connection, app_key: int, draft: ConversationDraft
    ) -> tuple[ConversationRow, Conversation, bool]:
        key = _find_unique(bound, app_key, draft.members) if draft.unique else None
        existing = key is not None
        if key is None:
            key = self._insert(bound, app_key, draft)
        row = _row(bound, key)
        members = conversation_query.members_of(bound, [key])[key]
        conversation = Conversation(key, app_key, row.id, ConversationKind(row.kind), row.version, set(members))
        return conversation_query.to_row(row, members, muted=False), conversation, existing

    def _insert(self, bound: sa.Connection, app_key: int, draft: ConversationDraft) -> int:
        now = self._clock.now()
        result = bound.execute(
            sa.insert(_conversation).values(
                app=app_key,
                id=new_object_id(),
                kind=int(draft.kind),
                creator=draft.creator,
                name=draft.name,
                attr=draft.attr,
                columns=draft.columns or None,
                unique_id=unique_key(draft.members) if draft.unique else None,
                created_at=now,
                updated_at=now,
                member_count=len(draft.members),
            )
        )
        assert result.inserted_primary_key is not None
        key = int(result.inserted_primary_key[0])
        _insert_members(bound, key, app_key, draft.members, draft.creator, now)
        return key

    def _touch(self, bound: sa.Connection, key: int, changed: tuple[str, ...], count: int) -> MembersChanged:
        """After a change of members: new version and update time. Nothing changed, nothing moves."""
        row = _row(bound, key)
        if not changed:
            return MembersChanged((), row.version, row.updated_at)
        updated_at = max(self._clock.now(), row.updated_at + 1)
        bound.execute(
            sa.update(_conversation)
            .where(_conversation.c.key == key)
            .values(version=row.version + 1, updated_at=updated_at, member_count=count)
        )
        return MembersChanged(changed, row.version + 1, updated_at)


def _insert_members(
    bound: sa.Connection, conversation: int, app_key: int, clients: Sequence[str], by: str, at: int
) -> None:
    """New members begin with nothing unread and nothing missed."""
    if not clients:
        return
    row = _row(bound, conversation)
    fixed = {
        "conversation": conversation,
        "app": app_key,
        "joined_at": at,
        "read_seq": row.last_seq,
        "ack_seq": row.last_seq,
        "ack_to": row.last_message_at or 0,
    }
    bound.execute(sa.insert(_member), [{**fixed, "client": client} for client in clients])
    driver = bound.connection.driver_connection
    notifications.keep(driver, app_key, conversation, clients, joined=True, by=by, at=at)


def _row(bound: sa.Connection, key: int) -> Any:
    return bound.execute(sa.select(_conversation).where(_conversation.c.key == key)).one()


def _load(bound: sa.Connection, app_key: int, conversation_id: str) -> Conversation | None:
    found = sa.select(_conversation).where(_conversation.c.app == app_key, _conversation.c.id == conversation_id)
    row = bound.execute(found).one_or_none()
    if row is None:
        return None
    members = sa.select(_member.c.client).where(_member.c.conversation == row.key)
    return Conversation(row.key, app_key, row.id, ConversationKind(row.kind), row.version, set(bound.scalars(members)))


def _find_unique(bound: sa.Connection, app_key: int, members: Sequence[str]) -> int | None:
    """The most recently active unique conversation whose members are exactly these.

    The sets are compared as well as the key: without a separator different sets can share a key.
    """
    candidates = (
        sa.select(_conversation.c.key)
        .where(
            _conversation.c.app == app_key,
            _conversation.c.unique_id == unique_key(members),
            _conversation.c.member_count == len(members),
        )
        .order_by(_conversation.c.last_message_at.desc(), _conversation.c.updated_at.desc())
    )
    for key in bound.scalars(candidates).all():
        if len(_present(bound, key, members)) == len(members):
            return int(key)
    return None


def _present(bound: sa.Connection, conversation: int, clients: Sequence[str]) -> set[str]:
    present: set[str] = set()
    for chunk in _chunks(clients):
        found = sa.select(_member.c.client).where(_member.c.conversation == conversation, _member.c.client.in_(chunk))
        present.update(bound.scalars(found))
    return present


def _check_member(bound: sa.Connection, conversation: int, client: str | None) -> None:
    """Raises Refused unless a member, or nobody, asks."""
    if client is not None and not _present(bound, conversation, [client]):
        raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "only members change the members")


def _chunks(clients: Sequence[str]) -> list[Sequence[str]]:
    return [clients[start : start + _MEMBER_CHUNK] for start in range(0, len(clients), _MEMBER_CHUNK)]
