"""Erasing service conversations: found by nobody at once, deleted in steps small enough for a busy writer.

The rows of `conversation` stay, as their own parents: a key is never given to another conversation.
"""

from typing import Any

#: Rows deleted in one write, and streams looked at.
STEP, STREAMS = 100, 50

HIDE = "UPDATE conversation SET parent = key WHERE key = ? AND parent IS NULL"
BEGIN = "INSERT OR IGNORE INTO erasure (conversation) VALUES (?)"
END = "DELETE FROM erasure WHERE conversation = ?"
FIRST = "SELECT conversation FROM erasure LIMIT 1"
#: (app, key) of those of which something is left.
UNDER_WAY = "SELECT c.app, c.key FROM erasure e JOIN conversation c ON c.key = e.conversation"

_OWN = "SELECT :key"
_STREAMS = "SELECT key FROM conversation WHERE parent = :key AND key <> :key LIMIT :streams"
_LEAVE = f"UPDATE conversation SET parent = key WHERE key IN ({_STREAMS})"


def _deletions(keys: str) -> tuple[str, ...]:
    """For the conversations with these keys: statements of which each deletes some rows, as long as there are any."""
    found = f"WHERE conversation IN ({keys}) LIMIT :step"
    message = f"DELETE FROM message WHERE rowid IN (SELECT rowid FROM message {found})"
    others = {
        "member": "client",
        "sent_token": "client, token",
        "standing": "client",
        "hidden_message": "client, timestamp, seq",
    }
    return message, *(
        f"DELETE FROM {table} WHERE (conversation, {columns}) IN (SELECT conversation, {columns} FROM {table} {found})"
        for table, columns in others.items()
    )


_DELETIONS = (*_deletions(_OWN), *_deletions(_STREAMS))


def begin(driver: Any, key: int) -> None:
    """From now on no command finds it."""
    driver.execute(HIDE, (key,))
    driver.execute(BEGIN, (key,))


def step(driver: Any) -> bool:
    """Delete some of what is left of one; whether there may be more."""
    row = driver.execute(FIRST).fetchone()
    if row is None:
        return False
    values = {"key": row[0], "step": STEP, "streams": STREAMS}
    for deletion in (*_DELETIONS, _LEAVE):
        if driver.execute(deletion, values).rowcount:
            return True
    driver.execute(END, row)
    return True
