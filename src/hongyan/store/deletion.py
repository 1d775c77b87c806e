"""What becomes of a deleted conversation, whoever deletes it. Inside a write.

It is gone with its row: no read finds what is left of it or of its streams, no write adds to it, and its key is never
given again. The rest follows step by step, also after a crash.
"""

from typing import Any

import sqlalchemy as sa

DELETE = "DELETE FROM conversation WHERE key = ?"
NOTE = "INSERT INTO deleted_conversation (key) VALUES (?)"
NEXT = "SELECT key FROM deleted_conversation ORDER BY key LIMIT 1"
FORGET = "DELETE FROM deleted_conversation WHERE key = ?"
STREAMS_OF = "SELECT key FROM conversation WHERE parent = ? LIMIT ?"
#: (app, key) of those of which streams are left.
WITH_STREAMS = "SELECT c.app, c.parent FROM deleted_conversation d JOIN conversation c ON c.parent = d.key"
#: Tables with rows of a conversation, and the rest of their keys. Notifications go with their week.
TABLES = {
    "member": "client",
    "standing": "client",
    "refusal": "app, client",
    "sent_token": "client, token",
    "hidden_message": "client, timestamp, seq",
    "seat": "app, client, device",
    "imported_column": "name",
    "author": "app, client",
    "broadcast": "key",
}
#: What belongs to a conversation, in steps of so many rows.
BELONGINGS = (
    "DELETE FROM message WHERE rowid IN (SELECT rowid FROM message WHERE conversation = ? LIMIT ?)",
    *(
        f"DELETE FROM {table} WHERE (conversation, {rest}) IN"
        f" (SELECT conversation, {rest} FROM {table} WHERE conversation = ? LIMIT ?)"
        for table, rest in TABLES.items()
    ),
)
LAST = "SELECT value FROM meta WHERE name = 'swept_at'"
#: A clock that starts again must be later than every message there was, also if the last of them is deleted.
NOTE_TIME = (
    "INSERT INTO meta (name, value) VALUES ('swept_at', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


def last_deletion(bound: sa.Connection) -> int:
    """When something was deleted last."""
    return int(bound.exec_driver_sql(LAST).scalar() or 0)


def note_time(driver: Any, now: int) -> None:
    """Messages are deleted at this time, or a conversation with all of its own."""
    driver.execute(NOTE_TIME, (str(now),))


def delete(driver: Any, key: int, now: int) -> None:
    """From now on nothing finds it."""
    if _delete(driver, key):
        note_time(driver, now)


def clean(driver: Any, chunk: int) -> int | None:
    """Rows of a deleted conversation that are gone now, at most a chunk; with the last of them it is forgotten.

    None if nothing is left of any.
    """
    row = driver.execute(NEXT).fetchone()
    if row is None:
        return None
    (key,), rows = row, 0
    for (stream,) in driver.execute(STREAMS_OF, (key, chunk)).fetchall():
        rows += _delete(driver, stream)
    for statement in BELONGINGS:
        if rows < chunk:
            rows += driver.execute(statement, (key, chunk - rows)).rowcount
    if rows < chunk:
        driver.execute(FORGET, (key,))
    return rows


def _delete(driver: Any, key: int) -> int:
    """How many conversations are gone by this."""
    deleted: int = driver.execute(DELETE, (key,)).rowcount
    if deleted:
        driver.execute(NOTE, (key,))
    return deleted
