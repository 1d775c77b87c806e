"""Users, installations and files of another server, inside a step of an import.

A row that is there is replaced by one that was changed later. Names, addresses and keys that another row has make a row
refused, never that other one worse.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pysqlite3 import dbapi2 as sqlite

from hongyan.engine.imported import Imported, ImportedFile, ImportedInstallation, ImportedUser
from hongyan.store import channels
from hongyan.store.import_step import Step

#: Columns of their own by the keys of the values.
USER = {"username": "username", "email": "email", "mobilePhoneNumber": "mobile"}
INSTALLATION = {"installationId": "installation_id", "deviceToken": "device_token", "deviceType": "device_type"}

LINK = 'INSERT OR IGNORE INTO user_identity (app, provider, uid, "user") VALUES (?, ?, ?, ?)'
HAS_ACCOUNT = 'SELECT "user" FROM user_identity WHERE app = ? AND provider = ? AND uid = ?'
BEGIN_SESSION = 'INSERT OR IGNORE INTO user_session (digest, "user", created_at) VALUES (?, ?, ?)'
#: The API does not tell passwords, an export does: whichever comes first.
ADD_PASSWORD = 'UPDATE "user" SET password = ? WHERE key = ? AND password IS NULL'
#: Unless the user has logged in here since, or changed it: then it is kept in a better form, or another one.
SET_PASSWORD = """UPDATE "user" SET password = ? WHERE key = ? AND (password IS NULL OR password NOT LIKE '$argon2%')"""


class There(NamedTuple):
    """A row as it is."""

    key: int
    updated_at: int


def write_users(step: Step, rows: Sequence[ImportedUser]) -> Imported:
    def write(row: ImportedUser) -> str:
        for provider, uid in row.accounts.items():
            owner = step.driver.execute(HAS_ACCOUNT, (step.app_key, provider, uid)).fetchone()
            if owner is not None and (there := _find(step, "user", row.id)) != owner[0] and there is not None:
                raise ValueError(f"another user has this account of {provider}")
        key, what = _put(step, "user", USER, row)
        if row.password is not None:
            statement = ADD_PASSWORD if what == "same" else SET_PASSWORD
            if step.driver.execute(statement, (row.password, key)).rowcount and what == "same":
                what = "changed"
        step.driver.executemany(LINK, [(step.app_key, *account, key) for account in row.accounts.items()])
        if row.session is not None and what == "new":
            digest = hashlib.sha256(row.session.encode()).digest()
            step.driver.execute(BEGIN_SESSION, (digest, key, step.times(row)[1]))
        return what

    return _each(step, rows, write)


def write_installations(step: Step, rows: Sequence[ImportedInstallation]) -> Imported:
    def write(row: ImportedInstallation) -> str:
        key, what = _put(step, "installation", INSTALLATION, row)
        if what != "same":
            channels.keep(step.driver, step.app_key, key, row.values)
        return what

    return _each(step, rows, write)


def write_files(step: Step, rows: Sequence[ImportedFile]) -> Imported:
    """A file that is elsewhere and has come here meanwhile is replaced as well."""

    def write(row: ImportedFile) -> str:
        found = step.driver.execute(
            "SELECT size, url FROM file WHERE app = ? AND id = ?", (step.app_key, row.id)
        ).fetchone()
        if found is not None and (found[0] is not None or row.size is None):
            return "same"
        if row.url is None and row.size is None:
            raise ValueError("its bytes are not here, and nothing says where they are")
        values = (row.name, row.mime_type, row.detected, row.key, row.url, row.size, row.md5)
        more = (json.dumps(row.meta), None if row.acl is None else json.dumps(row.acl), *step.times(row))
        step.driver.execute(
            "INSERT OR REPLACE INTO file (app, id, name, mime_type, detected, key, url, size, md5, meta, acl,"
            " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (step.app_key, row.id, *values, *more),
        )
        return "new" if found is None else "changed"

    return _each(step, rows, write)


def _find(step: Step, table: str, row_id: str) -> int | None:
    found = step.driver.execute(
        f'SELECT key FROM "{table}" WHERE app = ? AND id = ?', (step.app_key, row_id)
    ).fetchone()
    return None if found is None else found[0]


def _put(step: Step, table: str, shape: Mapping[str, str], row: ImportedUser | ImportedInstallation) -> tuple[int, str]:
    """The key of a row, and whether it is new, changed or the same. Raises ValueError if a value is taken."""
    own = {column: row.values.get(name) for name, column in shape.items()}
    custom = {name: value for name, value in row.values.items() if name not in shape}
    found = step.driver.execute(
        f'SELECT key, updated_at FROM "{table}" WHERE app = ? AND id = ?', (step.app_key, row.id)
    ).fetchone()
    there = None if found is None else There(*found)
    if there is not None and row.updated_at <= there.updated_at:
        return there.key, "same"
    created_at, updated_at = step.times(row)
    columns = {**own, "columns": json.dumps(custom, ensure_ascii=False), "updated_at": updated_at}
    try:
        if there is None:
            columns |= {"app": step.app_key, "id": row.id, "created_at": created_at}
            marks = ", ".join("?" * len(columns))
            names = ", ".join(columns)
            made = step.driver.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', tuple(columns.values()))
            return int(made.lastrowid), "new"
        settings = ", ".join(f"{name} = ?" for name in columns)
        step.driver.execute(f'UPDATE "{table}" SET {settings} WHERE key = ?', (*columns.values(), there.key))
        return there.key, "changed"
    except sqlite.IntegrityError:
        taken = next((name for name, column in shape.items() if _is_taken(step, table, column, own, there)), "id")
        raise ValueError(f"another row has this {taken}") from None


def _is_taken(step: Step, table: str, column: str, own: Mapping[str, Any], there: There | None) -> bool:
    found = step.driver.execute(
        f'SELECT key FROM "{table}" WHERE app = ? AND {column} = ?', (step.app_key, own[column])
    ).fetchone()
    return found is not None and (there is None or found[0] != there.key)


def _each(step: Step, rows: Sequence[Any], write: Any) -> Imported:
    counts = {"new": 0, "changed": 0, "same": 0}
    refused: list[tuple[int, str]] = []
    for place, row in enumerate(rows):
        try:
            counts[write(row)] += 1
        except ValueError as mistake:
            refused.append((place, str(mistake)))
    return Imported(counts["new"], counts["changed"], counts["same"], tuple(refused))
