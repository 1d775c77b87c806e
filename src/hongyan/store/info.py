"""Attributes of conversations and members' own settings in the database."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import OF_MEMBERS, Attributes, Conversation
from hongyan.engine.work import Following
from hongyan.errors import Kind, Refused
from hongyan.store import blacklists, members, schema
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_conversation, _member = schema.conversation, schema.member


class Info:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    def update(
        self,
        conversation: Conversation,
        by: str | None,
        change: Callable[[Attributes], tuple[Attributes, str]] | None,
        committed: Callable[[int, str], None],
        following: Following[tuple[int, str]] | None = None,
    ) -> Awaitable[object]:
        def write(bound: sa.Connection) -> tuple[int, str]:
            members.check_exists(bound, conversation.key)
            if by is not None and conversation.kind in OF_MEMBERS:
                _muted(bound, conversation.key, by, errors.CONVERSATION_UPDATE_REJECTED)
            elif by is not None and blacklists.blocked(bound, conversation.key, [by]):
                raise Refused(errors.CONVERSATION_UPDATE_REJECTED, "blocked here")
            if change is None:
                return _updated_at(bound, conversation.key), "{}"
            attributes, modified = change(attributes_of(members.head(bound, conversation.key)))
            return self._touch(bound, conversation.key, **columns_of(attributes)), modified

        return self._writer.call_then(write, lambda result: committed(*result), conversation.key, following=following)

    def mute(
        self, conversation: Conversation, client: str, muted: bool, committed: Callable[[int, bool], None]
    ) -> Awaitable[object]:
        def write(bound: sa.Connection) -> tuple[int, bool]:
            members.check_exists(bound, conversation.key)
            before = _muted(bound, conversation.key, client, errors.CONVERSATION_MEMBERSHIP_REQUIRED)
            if before == muted:
                return _updated_at(bound, conversation.key), False
            own = (_member.c.conversation == conversation.key, _member.c.client == client)
            bound.execute(sa.update(_member).where(*own).values(muted=muted))
            return self._touch(bound, conversation.key), True

        return self._writer.call_then(write, lambda result: committed(*result), conversation.key)

    def mute_members(
        self,
        conversation: Conversation,
        clients: Sequence[str],
        muted: bool,
        committed: Callable[[int, tuple[str, ...]], None],
    ) -> Awaitable[object]:
        def write(bound: sa.Connection) -> tuple[int, tuple[str, ...]]:
            members.check_exists(bound, conversation.key)
            changed = set_muted(bound, conversation.key, clients, muted)
            at = self._touch(bound, conversation.key) if changed else _updated_at(bound, conversation.key)
            return at, changed

        return self._writer.call_then(write, lambda result: committed(*result), conversation.key)

    async def member_of(self, app_key: int, client: str, conversation_ids: Sequence[str]) -> set[str]:
        found = (
            sa.select(_conversation.c.id)
            .join(_member, _member.c.conversation == _conversation.c.key)
            .where(
                _conversation.c.app == app_key,
                _conversation.c.parent.is_(None),
                _conversation.c.id.in_(conversation_ids),
                _member.c.client == client,
                _conversation.c.expires_at.is_(None) | (_conversation.c.expires_at > self._clock.now()),
            )
        )
        return await self._reader.run_bound(lambda bound: set(bound.scalars(found)))

    def _touch(self, bound: sa.Connection, key: int, **values: Any) -> int:
        """Write to the conversation's row; its new update time."""
        updated_at = max(self._clock.now(), _updated_at(bound, key) + 1)
        bound.execute(
            sa.update(_conversation).where(_conversation.c.key == key).values(updated_at=updated_at, **values)
        )
        return updated_at


def attributes_of(row: Any) -> Attributes:
    return Attributes(row.name, row.attr, row.columns or {})


def columns_of(attributes: Attributes) -> dict[str, Any]:
    return {"name": attributes.name, "attr": attributes.attr, "columns": attributes.columns or None}


def set_muted(bound: sa.Connection, key: int, clients: Sequence[str], muted: bool) -> tuple[str, ...]:
    """Have members mute a conversation or not; those for whom that is new."""
    others = sa.select(_member.c.client).where(_member.c.conversation == key, _member.c.muted.is_not(muted))
    changed = set(bound.scalars(others)) & set(clients)
    for chunk in members.chunks(sorted(changed)):
        these = (_member.c.conversation == key, _member.c.client.in_(chunk))
        bound.execute(sa.update(_member).where(*these).values(muted=muted))
    return tuple(client for client in clients if client in changed)


def _updated_at(bound: sa.Connection, key: int) -> int:
    found = sa.select(_conversation.c.updated_at).where(_conversation.c.key == key)
    return int(bound.execute(found).scalar_one())


def _muted(bound: sa.Connection, key: int, client: str, otherwise: Kind) -> bool:
    """Whether a member has muted the conversation. Raises Refused(otherwise) for others."""
    found = sa.select(_member.c.muted).where(_member.c.conversation == key, _member.c.client == client)
    muted = bound.execute(found).scalar_one_or_none()
    if muted is None:
        raise Refused(otherwise, "not a member")
    return bool(muted)
