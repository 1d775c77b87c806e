"""Roles, subscriptions and lists of clients of another server, inside a step of an import.

What is set here already stays as it is.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hongyan.engine.imported import (
    Imported,
    ImportedBlock,
    ImportedRefusal,
    ImportedRole,
    ImportedSilence,
    ImportedSubscription,
)
from hongyan.engine.values import FOREVER, ConversationKind, Role
from hongyan.store.import_step import Found, Step

SET_ROLE = (
    "INSERT INTO standing (conversation, client, app, role, role_id) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET role = excluded.role, role_id = excluded.role_id WHERE role_id IS NULL"
)
#: That roles are in use is noted with the creator (`engine/roles.py`).
SET_OWNER = (
    "INSERT INTO standing (conversation, client, app, role) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET role = excluded.role WHERE role IS NULL"
)
SUBSCRIBE = (
    "INSERT OR IGNORE INTO member (conversation, client, app, joined_at, read_seq, ack_seq, ack_to)"
    " SELECT key, ?2, app, ?3, last_seq, last_seq, coalesce(last_message_at, 0) FROM conversation WHERE key = ?1"
)
COUNT_SUBSCRIBER = "UPDATE conversation SET member_count = member_count + 1 WHERE key = ?"
SILENCE = (
    "INSERT INTO standing (conversation, client, app, silenced_until) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET silenced_until = excluded.silenced_until"
    " WHERE silenced_until IS NULL OR silenced_until < excluded.silenced_until"
)
BLOCK = (
    "INSERT INTO standing (conversation, client, app, blocked_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET blocked_at = excluded.blocked_at WHERE blocked_at IS NULL"
)
REFUSE = "INSERT OR IGNORE INTO refusal (app, client, conversation) VALUES (?, ?, ?)"

Row = TypeVar("Row", ImportedRole, ImportedSubscription, ImportedSilence, ImportedBlock, ImportedRefusal)


def write_roles(step: Step, rows: Sequence[ImportedRole]) -> Imported:
    def write(row: ImportedRole, there: Found) -> bool:
        values = (there.key, row.client, step.app_key, row.role, row.id)
        if not step.driver.execute(SET_ROLE, values).rowcount:
            return False
        if there.creator:
            step.driver.execute(SET_OWNER, (there.key, there.creator, step.app_key, int(Role.OWNER)))
        return True

    return _write(step, rows, write)


def write_subscriptions(step: Step, rows: Sequence[ImportedSubscription]) -> Imported:
    def write(row: ImportedSubscription, there: Found) -> bool:
        if there.kind != ConversationKind.SERVICE:
            raise ValueError("the conversation is no service conversation")
        new = bool(step.driver.execute(SUBSCRIBE, (there.key, row.client, row.since)).rowcount)
        if new:
            step.driver.execute(COUNT_SUBSCRIBER, (there.key,))
        return new

    return _write(step, rows, write)


def write_silences(step: Step, rows: Sequence[ImportedSilence]) -> Imported:
    return _write(step, rows, _setter(step, SILENCE, FOREVER))


def write_blocks(step: Step, rows: Sequence[ImportedBlock]) -> Imported:
    return _write(step, rows, _setter(step, BLOCK, step.now))


def write_refusals(step: Step, rows: Sequence[ImportedRefusal]) -> Imported:
    def write(row: ImportedRefusal, there: Found) -> bool:
        return bool(step.driver.execute(REFUSE, (step.app_key, row.client, there.key)).rowcount)

    return _write(step, rows, write)


def _setter(step: Step, statement: str, value: int) -> Callable[[Any, Found], bool]:
    def write(row: Any, there: Found) -> bool:
        return bool(step.driver.execute(statement, (there.key, row.client, step.app_key, value)).rowcount)

    return write


def _write(step: Step, rows: Sequence[Row], write: Callable[[Row, Found], bool]) -> Imported:
    """`write(row, conversation)`, whether that was new; a ValueError says why it can't be."""
    found = step.find(row.conversation_id for row in rows)
    changed: dict[tuple[int, str], None] = {}
    new = same = 0
    refused: list[tuple[int, str]] = []
    for place, row in enumerate(rows):
        there = found.get(row.conversation_id)
        try:
            if there is None or there.parent is not None:
                raise ValueError("the conversation is unknown")
            if write(row, there):
                changed[there.key, there.id] = None
                new += 1
            else:
                same += 1
        except ValueError as mistake:
            refused.append((place, str(mistake)))
    step.change(list(changed))
    return Imported(new, 0, same, tuple(refused))
