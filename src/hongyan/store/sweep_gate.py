"""Who must say yes before something of an app is deleted: kept in `meta`, so that no restart forgets it.

Whoever brings old content into an app, or has it delete more than before, calls `ask` in the same transaction. The
value names the question: a yes to another one, asked before, does not count.
"""

import secrets

import sqlalchemy as sa

_ASKS, _WAITS = "sweep_asks:", "sweep_waits:"
_SET = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_BY_PREFIX = "SELECT name, value FROM meta WHERE substr(name, 1, ?) = ?"


def ask(bound: sa.Connection, app_key: int) -> None:
    """Let nothing of the app be swept until somebody has said yes."""
    bound.exec_driver_sql(_SET, (f"{_ASKS}{app_key}", secrets.token_hex(8)))


def asks(bound: sa.Connection, app_key: int) -> bool:
    found = bound.exec_driver_sql("SELECT 1 FROM meta WHERE name = ?", (f"{_ASKS}{app_key}",))
    return found.one_or_none() is not None


def asking(bound: sa.Connection) -> dict[int, str]:
    """The apps that ask, each with the name of its question."""
    return _by_app(bound, _ASKS)


def agree(bound: sa.Connection, app_key: int, asked: str) -> None:
    """Somebody has said yes to this question."""
    name = f"{_ASKS}{app_key}"
    gone = bound.exec_driver_sql("DELETE FROM meta WHERE name = ? AND value = ?", (name, asked)).rowcount
    if gone:
        bound.exec_driver_sql("DELETE FROM meta WHERE name = ?", (f"{_WAITS}{app_key}",))


def wait(bound: sa.Connection, app_key: int, messages: int, conversations: int) -> None:
    """Keep what waits for a yes, while it does."""
    if asks(bound, app_key):
        bound.exec_driver_sql(_SET, (f"{_WAITS}{app_key}", f"{messages} {conversations}"))


def waiting(bound: sa.Connection) -> dict[int, tuple[int, int]]:
    """The apps of which something waits to be deleted: how many messages and conversations."""
    return {app_key: _numbers(value) for app_key, value in _by_app(bound, _WAITS).items()}


def _by_app(bound: sa.Connection, prefix: str) -> dict[int, str]:
    rows = bound.exec_driver_sql(_BY_PREFIX, (len(prefix), prefix)).all()
    return {int(name.removeprefix(prefix)): value for name, value in rows}


def _numbers(text: str) -> tuple[int, int]:
    messages, conversations = text.split()
    return int(messages), int(conversations)
