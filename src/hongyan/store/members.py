"""Members of a conversation inside a write: who is one, adding, removing."""

import hashlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.values import Conversation, MembersChanged
from hongyan.errors import Refused
from hongyan.store import notifications, schema

_conversation, _member, _standing = schema.conversation, schema.member, schema.standing
_CHUNK = 500


def unique_key(members: Sequence[str]) -> str:
    """`uniqueId` of a member set: MD5 of the sorted ids without separator (REST reference 2.2)."""
    return hashlib.md5("".join(sorted(members)).encode(), usedforsecurity=False).hexdigest()


def head(bound: sa.Connection, key: int) -> Any:
    """The conversation's row. Raises Refused(CONVERSATION_NOT_FOUND) if it was deleted meanwhile."""
    row = bound.execute(sa.select(_conversation).where(_conversation.c.key == key)).one_or_none()
    if row is None:
        raise deleted()
    return row


def check_exists(bound: sa.Connection, key: int) -> None:
    """Raises Refused(CONVERSATION_NOT_FOUND) if the conversation was deleted meanwhile.

    Its members may be there for a moment more.
    """
    if bound.exec_driver_sql("SELECT 1 FROM conversation WHERE key = ?", (key,)).one_or_none() is None:
        raise deleted()


def deleted() -> Refused:
    return Refused(errors.CONVERSATION_NOT_FOUND, "the conversation is gone")


def present(bound: sa.Connection, conversation: int, clients: Sequence[str]) -> set[str]:
    """Those of the clients that are members."""
    found: set[str] = set()
    for chunk in chunks(clients):
        members = sa.select(_member.c.client).where(_member.c.conversation == conversation, _member.c.client.in_(chunk))
        found.update(bound.scalars(members))
    return found


def check_member(bound: sa.Connection, conversation: int, client: str | None) -> None:
    """Raises Refused unless a member, or nobody, asks."""
    if client is not None and not present(bound, conversation, [client]):
        raise Refused(errors.CONVERSATION_MEMBERSHIP_REQUIRED, "only members change the members")


def insert(
    bound: sa.Connection,
    conversation: int,
    app_key: int,
    clients: Sequence[str],
    by: str,
    at: int,
    *,
    told: bool = True,
) -> None:
    """New members begin with nothing unread and nothing missed. Unless `told` they will not hear that they joined."""
    if not clients:
        return
    row = head(bound, conversation)
    fixed = {
        "conversation": conversation,
        "app": app_key,
        "joined_at": at,
        "read_seq": row.last_seq,
        "ack_seq": row.last_seq,
        "ack_to": row.last_message_at or 0,
    }
    bound.execute(sa.insert(_member), [{**fixed, "client": client} for client in clients])
    if told:
        driver = bound.connection.driver_connection
        notifications.keep(driver, app_key, conversation, clients, joined=True, by=by, at=at)


def remove(
    bound: sa.Connection, conversation: Conversation, clients: Sequence[str], by: str, at: int, *, told: bool = True
) -> None:
    """Remove these members, and the roles they had; the creator's is not given, and comes back with it."""
    key = conversation.key
    for chunk in chunks(clients):
        bound.execute(sa.delete(_member).where(_member.c.conversation == key, _member.c.client.in_(chunk)))
        of_these = (_standing.c.conversation == key, _standing.c.client.in_(chunk))
        given = (_standing.c.role.is_not(None), _standing.c.client != conversation.creator)
        if bound.execute(sa.update(_standing).where(*of_these, *given).values(role=None, role_id=None)).rowcount:
            forget_empty_standings(bound, key)
    if told:
        driver = bound.connection.driver_connection
        notifications.keep(driver, conversation.app_key, key, clients, joined=False, by=by, at=at)


def forget_empty_standings(bound: sa.Connection, key: int) -> None:
    """Delete the rows of a conversation in which nothing is set any more."""
    nothing = [column.is_(None) for column in _standing.c if column.nullable]
    bound.execute(sa.delete(_standing).where(_standing.c.conversation == key, *nothing))


def next_update(row: Any, now: int) -> int:
    """The time of a change: strictly later than the one before."""
    return max(now, int(row.updated_at) + 1)


def changed(bound: sa.Connection, row: Any, clients: tuple[str, ...], more: int, at: int) -> MembersChanged:
    """After a change of `more` members (negative: fewer): new version, update time and count."""
    bound.execute(
        sa.update(_conversation)
        .where(_conversation.c.key == row.key)
        .values(version=row.version + 1, updated_at=at, member_count=row.member_count + more)
    )
    return MembersChanged(clients, row.version + 1, at)


def chunks(clients: Sequence[str]) -> list[Sequence[str]]:
    return [clients[start : start + _CHUNK] for start in range(0, len(clients), _CHUNK)]
