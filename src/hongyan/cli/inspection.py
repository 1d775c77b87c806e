"""Looking into a database without changing it, whether a server uses it or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite

from hongyan.errors import StartupError
from hongyan.store import database, schema, secrets, sweep_gate, versions


def schema_state(path: Path) -> str:
    """The schema of a database beside this program's. Raises StartupError if this program can't use it."""
    with _opened(path) as bound:
        found = versions.version(bound)
        if found == versions.CURRENT:
            return f"{found}, current"
        if found is None or found in versions.KNOWN:
            return f"{found or 'none'}: the next start migrates it to {versions.CURRENT}"
        if versions.is_compatible(bound, found):
            return f"{found}, newer than this program's {versions.CURRENT} but compatible"
    raise StartupError(f"{path} was written by a newer Hongyan (schema {found}, this program knows {versions.CURRENT})")


def damage(path: Path) -> list[str]:
    """What SQLite finds wrong with the file; empty if it is sound."""
    with _opened(path) as bound:
        found = [row[0] for row in bound.exec_driver_sql("PRAGMA quick_check").all()]
    return [] if found == ["ok"] else found


def check_secret(path: Path, secret: bytes) -> None:
    """Raise StartupError if the apps' keys in the database were sealed with another secret."""
    with _opened(path) as bound:
        if not sa.inspect(bound).has_table(schema.app.name):
            return
        for row in bound.execute(sa.select(schema.app.c.id, schema.app.c.secrets)):
            secrets.unseal(secret, row.id, row.secrets)


def waiting_sweeps(path: Path) -> dict[str, tuple[int, int] | None]:
    """The apps (by id) of which something is deleted only after a yes.

    How many messages and conversations; None before the server has looked, which it does once an hour.
    """
    with _opened(path) as bound:
        if not sa.inspect(bound).has_table(schema.meta.name):
            return {}
        waiting = {**dict.fromkeys(sweep_gate.asking(bound)), **sweep_gate.waiting(bound)}
        ids = bound.execute(sa.select(schema.app.c.key, schema.app.c.id).where(schema.app.c.key.in_(waiting)))
        return {row.id: waiting[row.key] for row in ids}


def failing_channels(path: Path) -> list[tuple[str, str]]:
    """The channels whose credentials do not work: app and name, and what to do or what is wrong."""
    with _opened(path) as bound:
        table = schema.hub_channel
        if not sa.inspect(bound).has_table(table.name):
            return []
        found = sa.select(table, schema.app.c.id.label("app_id")).join(schema.app, schema.app.c.key == table.c.app)
        rows = bound.execute(found.where(table.c.enabled, table.c.failing_since.is_not(None)).order_by(table.c.key))
        return [(f"{row.name} of {row.app_id}", row.advice or row.failure) for row in rows]


@contextmanager
def _opened(path: Path) -> Iterator[sa.Connection]:
    try:
        connection = database.connect(path, read_only=True)
        try:
            with database.engine(lambda: connection, sa.pool.StaticPool).connect() as bound:
                yield bound
        finally:
            connection.close()
    except (sqlite.DatabaseError, sa.exc.DatabaseError) as error:
        reason = error.orig if isinstance(error, sa.exc.DatabaseError) else error
        raise StartupError(f"{path} can't be read: {reason}") from None
