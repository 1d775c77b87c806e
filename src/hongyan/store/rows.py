"""Conversations as rows of a table: conditional writes of any column, of which nobody is told."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.conditions import Condition
from hongyan.engine.values import Conversation, RowChange, RowChanged, Stamp
from hongyan.engine.work import Following
from hongyan.errors import Refused
from hongyan.store import blacklists, conversation_condition, conversation_query, info, members, schema
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

_conversation, _member = schema.conversation, schema.member


class Rows:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def meets(self, conversation: Conversation, caller: str | None, condition: Condition) -> Stamp | None:
        found = sa.select(_conversation.c.version, _conversation.c.updated_at, _conversation.c.last_message_at).where(
            _conversation.c.key == conversation.key,
            conversation_condition.where(condition, conversation.app_key, caller),
        )
        row = await self._reader.run_bound(
            lambda bound: bound.execute(found).one_or_none(), errors.CONVERSATION_QUERY_FAILED
        )
        return None if row is None else Stamp(*row)

    def write(
        self,
        conversation: Conversation,
        change: RowChange,
        members_max: int,
        committed: Callable[[RowChanged], None],
        stamp: Stamp | None = None,
        following: Following[RowChanged] | None = None,
    ) -> Awaitable[object]:
        def work(bound: sa.Connection) -> RowChanged:
            row = members.head(bound, conversation.key)
            check_unchanged(row, stamp)
            at = members.next_update(row, self._clock.now())
            joined, left = _change_members(bound, conversation, change, members_max, at)
            muted = _change_muted(bound, conversation.key, change)
            values = _new_values(bound, row, change)
            version = row.version + bool(joined or left)
            if not (joined or left or muted or values):
                return RowChanged(version, row.updated_at, (), (), ())
            count = row.member_count + len(joined) - len(left)
            bound.execute(
                sa.update(_conversation)
                .where(_conversation.c.key == row.key)
                .values(**values, version=version, member_count=count, updated_at=at)
            )
            return RowChanged(version, at, joined, left, muted)

        return self._writer.call_then(work, committed, conversation.key, following=following)


def check_unchanged(row: Any, stamp: Stamp | None) -> None:
    """Raises Refused(CONDITION_NOT_MET) unless a row is as it was."""
    if stamp is not None and stamp != Stamp(row.version, row.updated_at, row.last_message_at):
        raise Refused(errors.CONDITION_NOT_MET, "the conversation has changed meanwhile")


# inside a write


def _change_members(
    bound: sa.Connection, conversation: Conversation, change: RowChange, members_max: int, at: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who joined and who left. Of more members than a conversation may have the first count."""
    if change.members is None:
        return (), ()
    key = conversation.key
    before = conversation_query.members_of(bound, [key])[key]
    after = list(change.members(before))[: max(members_max, len(before))]
    joined, left = _difference(before, after)
    if blacklists.barred(bound, conversation, joined, ""):
        raise Refused(errors.BLOCKED_BY_CONV, "blocked, or refuses to be added")
    members.insert(bound, key, conversation.app_key, joined, "", at, told=False)
    members.remove(bound, conversation, left, "", at, told=False)
    return joined, left


def _change_muted(bound: sa.Connection, key: int, change: RowChange) -> tuple[str, ...]:
    """Whose muting changed; only members mute."""
    if change.muted is None:
        return ()
    before = conversation_query.muted_by(bound, [key]).get(key, [])
    after = list(change.muted(before))
    new, old = _difference(before, after)
    return info.set_muted(bound, key, new, True) + info.set_muted(bound, key, old, False)


def _difference(before: Sequence[str], after: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who is there only after, and who only before."""
    was, will = set(before), set(after)
    return tuple(each for each in after if each not in was), tuple(each for each in before if each not in will)


def _new_values(bound: sa.Connection, row: Any, change: RowChange) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if change.attributes is not None:
        attributes, _ = change.attributes(info.attributes_of(row))
        values = info.columns_of(attributes)
    if change.unique is not None and change.unique != (row.unique_id is not None):
        everyone: Sequence[str] = conversation_query.members_of(bound, [row.key])[row.key]
        values["unique_id"] = members.unique_key(everyone) if change.unique else None
    return values
