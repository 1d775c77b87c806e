"""The schema's versions: which one a file has, and bringing it to this program's."""

import contextlib
from importlib import resources
from pathlib import Path

import sqlalchemy as sa

from hongyan.errors import StartupError
from hongyan.store import database, schema

#: The versions in `migrations/`, oldest first. Written down, as to ask Alembic takes a tenth of a second of each start.
KNOWN = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012", "0013", "0014")
CURRENT = KNOWN[-1]


def migrate(path: Path) -> None:
    """Bring the file to this program's schema. Raises StartupError with a sentence."""
    database.check_sqlite()
    with database.opening(path), contextlib.closing(database.connect(path)) as connection:
        engine = database.engine(lambda: connection, sa.pool.StaticPool)
        with engine.connect() as bound:
            found = version(bound)
            if found == CURRENT or is_compatible(bound, found):
                return
            if found is not None and found not in KNOWN:
                raise StartupError(
                    f"The database {path} was written by a newer Hongyan"
                    f" (schema {found}, this program knows {CURRENT})."
                )
            _upgrade(bound, path)


def version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(sa.text("SELECT version_num FROM alembic_version")).first()
    return row[0] if row else None


def is_compatible(connection: sa.Connection, version: str | None) -> bool:
    """Whether the file has a newer schema that this program may still use."""
    if version is None or version in KNOWN:
        return False
    oldest = sa.select(schema.meta.c.value).where(schema.meta.c.name == "oldest_compatible")
    return connection.execute(oldest).scalar() in KNOWN


def _upgrade(connection: sa.Connection, path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(resources.files("hongyan.store") / "migrations"))
    config.attributes["connection"] = connection
    try:
        # All or nothing: a start that is killed here must not leave half a schema.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        command.upgrade(config, "head")
        connection.exec_driver_sql("COMMIT")
    except CommandError as error:
        raise StartupError(f"The database {path} can't be migrated: {error}.") from error
