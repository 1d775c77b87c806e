"""Rows of `_Conversation` of another server, inside a step of an import.

A row that is there is replaced as a whole by one that was changed later; what was changed here is later than that.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hongyan.engine.imported import Imported, ImportedConversation
from hongyan.engine.values import OF_MEMBERS, ConversationKind
from hongyan.store.database import Bulk
from hongyan.store.import_step import Found, Step
from hongyan.store.members import unique_key

INSERT = (
    "INSERT INTO conversation (app, id, kind, creator, name, attr, columns, unique_id, created_at, updated_at,"
    " member_count, last_message_at, imported_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
REPLACE = (
    "UPDATE conversation SET kind = ?, creator = ?, name = ?, attr = ?, columns = ?, unique_id = ?, created_at = ?,"
    " updated_at = ?, member_count = ?,"
    " last_message_at = CASE WHEN last_seq = 0 THEN max(coalesce(last_message_at, ?11), ?11) ELSE last_message_at END"
    " WHERE key = ?10"
)
#: New members have read and received all there is.
ADD_MEMBERS = Bulk(
    "INSERT INTO member (conversation, client, app, joined_at, muted, read_seq, ack_seq, ack_to)"
    " SELECT v.column1, v.column2, c.app, v.column3, v.column4, c.last_seq, c.last_seq, coalesce(c.last_message_at, 0)"
    " FROM (VALUES {rows: (?, ?, ?, ?)}) v JOIN conversation c ON c.key = v.column1"
)
MEMBERS = "SELECT client, muted FROM member WHERE conversation = ?"
REMOVE_MEMBER = "DELETE FROM member WHERE conversation = ? AND client = ?"
MUTE = "UPDATE member SET muted = ? WHERE conversation = ? AND client = ?"
FORGET_COLUMNS = "DELETE FROM imported_column WHERE conversation = ?"
KEEP_COLUMN = "INSERT INTO imported_column (conversation, name, value) VALUES (?, ?, ?)"


def write(step: Step, rows: Sequence[ImportedConversation]) -> Imported:
    """Of doubles in one step the last one stays."""
    found = step.find(row.id for row in rows)
    new = changed = same = 0
    refused: list[tuple[int, str]] = []
    latest = {row.id: row for row in rows}
    for place, row in enumerate(rows):
        there = found.get(row.id)
        if row is not latest[row.id]:
            same += 1
        elif there is None:
            _insert(step, row)
            new += 1
        elif there.parent is not None:
            refused.append((place, "the id is taken by a part of a service conversation"))
        elif not there.unknown and row.updated_at <= there.updated_at:
            same += 1
        elif not there.unknown and row.kind != there.kind:
            refused.append((place, "a conversation of another kind has this id"))
        else:
            _replace(step, row, there)
            changed += 1
    return Imported(new, changed, same, tuple(refused))


def _insert(step: Step, row: ImportedConversation) -> None:
    values = (*_values(step, row), len(row.members), _last_message_at(step, row), step.now)
    key: int = step.driver.execute(INSERT, (step.app_key, row.id, *values)).lastrowid
    _add(step, key, row, row.members)
    _keep(step.driver, key, row.kept)
    if row.kind == ConversationKind.SERVICE:
        step.services.append(key)


def _replace(step: Step, row: ImportedConversation, there: Found) -> None:
    """Who subscribed to a service conversation is not said by its row."""
    driver, key = step.driver, there.key
    members = dict(driver.execute(MEMBERS, (key,)).fetchall()) if row.kind in OF_MEMBERS else {}
    count = len(row.members) if row.kind in OF_MEMBERS else 0
    if row.kind == ConversationKind.SERVICE:
        (count,) = driver.execute("SELECT member_count FROM conversation WHERE key = ?", (key,)).fetchone()
        step.services.append(key)
    driver.execute(REPLACE, (*_values(step, row), count, key, _last_message_at(step, row)))
    driver.executemany(REMOVE_MEMBER, [(key, client) for client in members if client not in set(row.members)])
    _add(step, key, row, [client for client in row.members if client not in members])
    muted = set(row.muted)
    remuted = [(client in muted, key, client) for client, was in members.items() if bool(was) != (client in muted)]
    driver.executemany(MUTE, remuted)
    driver.execute(FORGET_COLUMNS, (key,))
    _keep(driver, key, row.kept)
    step.change([(key, row.id)])


def _last_message_at(step: Step, row: ImportedConversation) -> int | None:
    """Not from a clock that is ahead: nobody could write for so long."""
    return None if row.last_message_at is None else min(row.last_message_at, step.now)


def _values(step: Step, row: ImportedConversation) -> tuple[Any, ...]:
    unique_id = unique_key(row.members) if row.unique_id == "" else row.unique_id
    attr = None if row.attr is None else _dump(row.attr)
    columns = _dump(row.columns) if row.columns else None
    return (row.kind, row.creator, row.name, attr, columns, unique_id, *step.times(row))


def _add(step: Step, key: int, row: ImportedConversation, clients: Sequence[str]) -> None:
    """In their order, which is that of joining."""
    muted = set(row.muted)
    places = {client: place for place, client in enumerate(row.members)}
    created_at, _ = step.times(row)
    rows = [(key, client, created_at + places[client], client in muted) for client in clients]
    if rows:
        ADD_MEMBERS.run(step.driver, rows)


def _keep(driver: Any, key: int, kept: Mapping[str, Any]) -> None:
    driver.executemany(KEEP_COLUMN, [(key, name, _dump(value)) for name, value in kept.items()])


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
