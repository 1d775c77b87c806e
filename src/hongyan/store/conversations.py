"""Conversations and their members in the database."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.conditions import Condition
from hongyan.engine.query import Query
from hongyan.engine.values import (
    OF_MEMBERS,
    Conversation,
    ConversationDraft,
    ConversationKind,
    ConversationRow,
    MembersChanged,
    Stamp,
    StandingsNow,
    new_object_id,
)
from hongyan.engine.work import Following
from hongyan.errors import Refused
from hongyan.store import blacklists, conversation_query, deletion, hot, loading, members, rows, schema, standings
from hongyan.store.gathered_reads import GatheredReads
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_conversation, _member = schema.conversation, schema.member
#: So many queries at once may look at all conversations, which is slow: the other threads are for everybody else.
_SCANS = 2
#: And so many may take long over each of a few conversations.
_SLOW = 1
#: Unique conversations for one set of members among which one is looked for that some may not be added to.
_UNIQUE_MAX = 20


class Conversations:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._scans = asyncio.Semaphore(_SCANS)
        self._slow = asyncio.Semaphore(_SLOW)
        self._loads = GatheredReads(self._load)

    async def load(self, app_key: int, conversation_id: str) -> Conversation | None:
        return await self._loads.of((app_key, conversation_id))

    async def _load(self, wanted: Sequence[loading.Key]) -> list[Conversation | None]:
        return await self._reader.run(lambda driver: loading.load(driver, wanted))

    async def query(self, app_key: int, caller: str | None, query: Query) -> list[ConversationRow]:
        async with self._room(query):
            return await self._reader.run_bound(
                lambda bound: conversation_query.run(bound, app_key, caller, query), errors.CONVERSATION_QUERY_FAILED
            )

    async def count(self, app_key: int, caller: str | None, condition: Condition) -> int:
        async with self._room(Query(condition, ())):
            return await self._reader.run_bound(
                lambda bound: conversation_query.count(bound, app_key, caller, condition),
                errors.CONVERSATION_QUERY_FAILED,
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
        following: Following[tuple[ConversationRow, Conversation, bool]] | None = None,
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> tuple[ConversationRow, Conversation, bool]:
            return self._find_or_insert(bound, app_key, draft)

        return self._writer.call_then(change, lambda result: committed(*result), following=following)

    def erase(
        self, conversation: Conversation, committed: Callable[[], None], stamp: Stamp | None = None
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> None:
            if stamp is not None:
                rows.check_unchanged(members.head(bound, conversation.key), stamp)
            deletion.delete(bound.connection.driver_connection, conversation.key, self._clock.now())

        # what the writer knows of its streams is over, too
        return self._writer.call_then(change, lambda _: committed(), touches_all=True)

    def add_members(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        limit: int,
        committed: Callable[[MembersChanged], None],
        by: str | None = None,
        initiator: str = "",
        check: Callable[[StandingsNow], object] | None = None,
        partial: bool = False,
        following: Following[MembersChanged] | None = None,
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> MembersChanged:
            members.check_exists(bound, conversation.key)
            members.check_member(bound, conversation.key, by)
            if check is not None:
                check(self._look(bound, conversation, [], by))
            already = members.present(bound, conversation.key, clients)
            wanted = [client for client in clients if client not in already]
            barred = blacklists.barred(bound, conversation, wanted, initiator)
            if barred and not partial:
                raise Refused(errors.BLOCKED_BY_CONV, "blocked, or refuses to be added")
            new = tuple(client for client in wanted if client not in barred)
            row = members.head(bound, conversation.key)
            if not new:
                return MembersChanged((), row.version, row.updated_at, barred)
            if row.member_count + len(new) > limit:
                raise Refused(errors.CONVERSATION_FULL, f"a conversation has at most {limit} members")
            at = members.next_update(row, self._clock.now())
            members.insert(bound, conversation.key, conversation.app_key, new, initiator, at)
            changed = members.changed(bound, row, new, len(new), at)
            return dataclasses.replace(changed, barred=barred)

        return self._writer.call_then(change, committed, conversation.key, following=following)

    def remove_members(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        committed: Callable[[MembersChanged], None],
        by: str | None = None,
        initiator: str = "",
        choose: Callable[[StandingsNow], Sequence[str]] | None = None,
        following: Following[MembersChanged] | None = None,
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> MembersChanged:
            members.check_exists(bound, conversation.key)
            members.check_member(bound, conversation.key, by)
            chosen = choose(self._look(bound, conversation, clients, by)) if choose is not None else clients
            already = members.present(bound, conversation.key, chosen)
            gone = tuple(client for client in chosen if client in already)
            row = members.head(bound, conversation.key)
            if not gone:
                return MembersChanged((), row.version, row.updated_at)
            at = members.next_update(row, self._clock.now())
            members.remove(bound, conversation, gone, initiator, at)
            return members.changed(bound, row, gone, -len(gone), at)

        return self._writer.call_then(change, committed, conversation.key, following=following)

    # inside a write

    def _look(
        self, bound: sa.Connection, conversation: Conversation, clients: Sequence[str], by: str | None
    ) -> StandingsNow:
        """What a change of members by `by` is decided from."""
        asked = {*clients, conversation.creator, *([] if by is None else [by])}
        return standings.look(bound, conversation.key, sorted(asked), self._clock.now())

    def _find_or_insert(
        self, bound: sa.Connection, app_key: int, draft: ConversationDraft
    ) -> tuple[ConversationRow, Conversation, bool]:
        key = _find_unique(bound, app_key, draft.initiator, draft.members) if draft.unique else None
        existing = key is not None
        if key is None:
            key = insert(bound, app_key, draft, self._clock.now())
        row = members.head(bound, key)
        everyone = conversation_query.members_of(bound, [key])[key]
        return conversation_query.to_row(row, everyone, muted=False), conversation_of(bound, row), existing


def insert(bound: sa.Connection, app_key: int, draft: ConversationDraft, now: int, **more: Any) -> int:
    """The key of a new conversation; `more` columns have precedence."""
    values = {
        "id": new_object_id(),
        "unique_id": members.unique_key(draft.members) if draft.unique else None,
        **more,
    }
    result = bound.execute(
        sa.insert(_conversation).values(
            app=app_key,
            kind=int(draft.kind),
            creator=draft.creator,
            name=draft.name,
            attr=draft.attr,
            columns=draft.columns or None,
            created_at=now,
            updated_at=now,
            member_count=len(draft.members),
            **values,
        )
    )
    assert result.inserted_primary_key is not None
    key = int(result.inserted_primary_key[0])
    members.insert(bound, key, app_key, draft.members, draft.initiator, now, told=draft.told)
    if draft.device is not None:
        bound.exec_driver_sql(hot.TAKE_SEAT, (app_key, draft.creator, draft.device, key))
    return key


def conversation_of(bound: sa.Connection, row: Any) -> Conversation:
    kind = ConversationKind(row.kind)
    everyone: set[str] = set()
    if kind in OF_MEMBERS:
        everyone = set(bound.scalars(sa.select(_member.c.client).where(_member.c.conversation == row.key)))
    return Conversation(
        row.key,
        row.app,
        row.id,
        kind,
        row.version,
        everyone,
        row.creator,
        row.expires_at,
        standings.load(bound, row.key),
    )


def _find_unique(bound: sa.Connection, app_key: int, initiator: str, wanted: Sequence[str]) -> int | None:
    """The unique conversation of these members, or the newest that lacks none but those who may not be added to it.

    Raises Refused if one blocks the initiator itself, who would else have another one without the block.
    """
    exact = _find_exact(bound, app_key, wanted)
    return _find_without_barred(bound, app_key, initiator, wanted) if exact is None else exact


def _find_exact(bound: sa.Connection, app_key: int, wanted: Sequence[str]) -> int | None:
    """The most recently active unique conversation whose members are exactly these.

    The sets are compared as well as the key: without a separator different sets can share a key.
    """
    candidates = (
        sa.select(_conversation.c.key)
        .where(
            _conversation.c.app == app_key,
            _conversation.c.unique_id == members.unique_key(wanted),
            _conversation.c.member_count == len(wanted),
        )
        .order_by(_conversation.c.last_message_at.desc(), _conversation.c.updated_at.desc())
    )
    for key in bound.scalars(candidates).all():
        if len(members.present(bound, key, wanted)) == len(wanted):
            return int(key)
    return None


def _find_without_barred(bound: sa.Connection, app_key: int, initiator: str, wanted: Sequence[str]) -> int | None:
    """One that is unique for these members, of whom those that are missing are blocked there or refuse it."""
    newest = (
        sa.select(_conversation.c.key, _conversation.c.member_count)
        .where(_conversation.c.app == app_key, _conversation.c.unique_id == members.unique_key(wanted))
        .order_by(_conversation.c.key.desc())
        .limit(_UNIQUE_MAX)
    )
    for key, count in bound.execute(newest).all():
        there = members.present(bound, key, wanted) if count < len(wanted) else set()
        missing = [client for client in wanted if client not in there]
        if count != len(there):
            continue
        blocked = blacklists.blocked(bound, key, missing)
        if not set(missing) <= blocked | blacklists.refusing(bound, app_key, key, missing):
            continue
        if initiator in blocked:
            raise Refused(errors.BLOCKED_BY_CONV, "the conversation of these members blocks its creator")
        if initiator in there or not initiator:
            return int(key)
    return None
