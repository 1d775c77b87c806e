"""The file: its schema, the settings that can't be changed later, and what is said when it can't be used."""

import contextlib
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from hongyan.engine.app_settings import AppSettings
from hongyan.engine.values import App, Marks
from hongyan.errors import StartupError
from hongyan.store import Store, database, schema, versions
from tests.store.conftest import OpenStore
from tests.store.steps import damage, on_driver, rows, send, start

KEYS = {"app_key": "app-key-7Qx", "master_key": "master-key-9Zp", "hook_key": "hook-key-3Lw"}
APP = App(key=0, id="shop", name="Shop", settings=AppSettings(), created_at=1, **KEYS)


def change(path: Path, *statements: str) -> None:
    """Changes the file as another program would."""
    with contextlib.closing(database.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def refused(path: Path, secret: bytes = bytes(32)) -> str:
    """The sentence with which the file is refused."""
    with pytest.raises(StartupError) as refusal:
        Store.open(path, secret)
    sentence = str(refusal.value)
    assert re.fullmatch(r"The database .*[^.]\.", sentence)
    assert "\n" not in sentence
    return sentence


def test_all_migrations_are_known() -> None:
    scripts = ScriptDirectory(str(resources.files("hongyan.store") / "migrations"))
    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(versions.KNOWN))


def test_migrations_lead_to_the_schema(path: Path) -> None:
    versions.migrate(path)
    engine = database.engine(lambda: database.connect(path), sa.pool.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []


def migrate_to(path: Path, revision: str) -> None:
    """Makes the file as the program of that schema did."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("hongyan.store") / "migrations"))
    engine = database.engine(lambda: database.connect(path), sa.pool.NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


async def test_a_file_of_the_first_schema_is_brought_up_to_date(open_store: OpenStore, path: Path) -> None:
    """What was sent counts as received, and who has read has read no more than that."""
    migrate_to(path, "0001")
    change(
        path,
        "INSERT INTO conversation (key, app, id, kind, creator, created_at, updated_at, member_count, last_seq,"
        " last_message_at) VALUES (1, 1, 'old', 1, 'ann', 1, 1, 4, 2, 2000)",
        "INSERT INTO member (conversation, client, app, joined_at, read_seq, read_at)"
        " VALUES (1, 'ann', 1, 1, 0, 0), (1, 'bob', 1, 1, 2, 2500), (1, 'cem', 1, 1, 1, 1500), (1, 'dan', 1, 1, 0, 0)",
        "INSERT INTO message (conversation, timestamp, seq, id, sender, body)"
        " VALUES (1, 1000, 1, 'first', 'ann', x'0061'), (1, 2000, 2, 'second', 'ann', x'0062')",
    )
    store = open_store()
    conversation = await store.conversations.load(1, "old")
    assert conversation is not None
    assert await store.messages.marks(conversation, "ann") == [Marks("bob", None, 2000)]
    assert await store.messages.missed(1, "bob", 50, 20, 100) == []
    unread, _ = await store.messages.unread(1, "cem", None, 50)
    assert [found.count for found in unread] == [1]
    await store.messages.mark_read(conversation, "cem", None, lambda *_: None)
    assert await store.messages.marks(conversation, "ann") == [Marks("bob", None, 2000), Marks("cem", None, 2000)]


async def test_the_file_has_what_cannot_be_changed_later(store: Store, path: Path) -> None:
    assert rows(path, "PRAGMA page_size") == [(4096,)]
    assert rows(path, "PRAGMA auto_vacuum") == [(2,)]  # incremental
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    assert rows(path, "SELECT value FROM meta WHERE name = 'oldest_compatible'") == [("0011",)]
    without_rowid = "SELECT name FROM pragma_table_list WHERE wr AND name NOT LIKE 'sqlite%' ORDER BY name"
    tables = ["author", "client", "hidden_message", "hub_delivery", "hub_event", "imported_column"]
    tables += ["installation_channel", "kick", "member"]
    tables += ["notification", "push_service", "refusal"]
    tables += ["revoked_token", "seat", "sent_token", "standing", "used_signature", "user_identity", "user_session"]
    assert rows(path, without_rowid) == [(table,) for table in tables]


async def test_the_writer_waits_for_the_disk(store: Store) -> None:
    def setting(driver: Any) -> object:
        return driver.execute("PRAGMA synchronous").fetchone()[0]

    assert await on_driver(store, setting) == 2  # FULL


async def test_bodies_begin_with_their_scheme(store: Store, path: Path) -> None:
    conversation = await start(store, "ann", "bob")
    for content in ("日本", b"\x00\xff", ""):
        await send(store, conversation, "ann", content)
    bodies = [row[0] for row in rows(path, "SELECT body FROM message ORDER BY seq")]
    assert bodies == [b"\x00" + "日本".encode(), b"\x00\x00\xff", b"\x00"]


async def test_app_keys_cannot_be_read_in_the_file(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    await store.apps.insert(APP)
    await send(store, await start(store, "ann", "bob"), "ann", "not a secret 5Kd")
    await store.close()
    kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"not a secret 5Kd" in kept
    assert [key for key in KEYS.values() if key.encode() in kept] == []


async def test_another_secret_key(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    await store.apps.insert(APP)
    await store.close()
    other = Store(path, b"x" * 32)
    with pytest.raises(StartupError) as refusal:
        await other.apps.all()
    await other.close()
    expected = "The keys of app shop can't be read: secret.key is not the one this database was made with."
    assert str(refusal.value) == expected


async def test_keys_moved_to_another_app_cannot_be_read(store: Store) -> None:
    await store.apps.insert(APP)
    await on_driver(store, lambda driver: driver.execute("UPDATE app SET id = 'other'"))
    with pytest.raises(StartupError, match=r"The keys of app other can't be read"):
        await store.apps.all()


@pytest.mark.parametrize("version", ["3.51.3", "3.53.4", "3.100.0", "4.0"])
def test_sqlite_new_enough(version: str) -> None:
    database.check_sqlite(version)


@pytest.mark.parametrize("version", ["3.51.2", "3.40.1", "3.9.0"])
def test_sqlite_too_old(version: str) -> None:
    with pytest.raises(StartupError) as refusal:
        database.check_sqlite(version)
    assert str(refusal.value) == f"SQLite {version} is too old: Hongyan needs 3.51.3 or newer."


def test_a_newer_file(path: Path) -> None:
    versions.migrate(path)
    newer = "UPDATE alembic_version SET version_num = '0042'"
    change(path, newer, "UPDATE meta SET value = '0041'")
    before = path.read_bytes()
    what = f"schema 0042, this program knows {versions.CURRENT}"
    assert refused(path) == f"The database {path} was written by a newer Hongyan ({what})."
    assert path.read_bytes() == before


async def test_a_newer_file_that_allows_this_program(open_store: OpenStore, path: Path) -> None:
    versions.migrate(path)
    newer = "UPDATE alembic_version SET version_num = '0042'"
    change(path, newer, "ALTER TABLE message ADD COLUMN more TEXT", "ALTER TABLE conversation ADD COLUMN more TEXT")
    store = open_store()
    await send(store, await start(store, "ann", "bob"), "ann")
    assert rows(path, "SELECT version_num FROM alembic_version") == [("0042",)]


@pytest.mark.parametrize("content", [b"not a database, but a text of some length" * 200, b"x" * 4096])
def test_not_a_database(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert refused(path) == f"The database {path} can't be opened: file is not a database."
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there(path: Path) -> None:
    assert "unable to open database file" in refused(path.parent / "absent" / path.name)


def test_a_folder_instead_of_a_file(path: Path) -> None:
    path.mkdir()
    assert "unable to open database file" in refused(path)


def test_a_damaged_file(path: Path) -> None:
    versions.migrate(path)
    damage(path, "message")
    assert "malformed" in refused(path)


def test_another_programs_database(path: Path) -> None:
    change(path, "CREATE TABLE app (number INTEGER)")
    assert "table app already exists" in refused(path)
    assert rows(path, "SELECT name FROM sqlite_master") == [("app",)]


DIE_AT_EVERY_STATEMENT = """
import itertools, os, pathlib, sys
from alembic import command, config  # once, instead of in each process
from hongyan.store import database, versions

def migrate_and_die(path, last):
    count, connect = itertools.count(1), database.connect

    def traced(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda statement: next(count) == last and os._exit(9))
        return connection

    database.connect = traced
    versions.migrate(path)
    os._exit(0)

for last in itertools.count(1):
    process = os.fork() or migrate_and_die(pathlib.Path(sys.argv[1]) / f"{last}.db", last)
    if os.waitpid(process, 0)[1] == 0:
        break
"""


def test_a_first_start_that_dies_at_any_statement_leaves_nothing_half_made(tmp_path: Path) -> None:
    """Processes that end before their first, second … statement; the next start always succeeds."""
    subprocess.run([sys.executable, "-c", DIE_AT_EVERY_STATEMENT, str(tmp_path)], check=True, timeout=100)
    files = list(tmp_path.glob("*.db"))
    assert len(files) > len(schema.metadata.tables)
    for file in {on_disk(file): file for file in files}.values():
        versions.migrate(file)
        assert rows(file, "SELECT version_num FROM alembic_version") == [(versions.CURRENT,)]
        assert rows(file, "SELECT * FROM meta") == [("oldest_compatible", "0011")]
        assert rows(file, "PRAGMA auto_vacuum") == [(2,)]


def on_disk(database: Path) -> tuple[tuple[str, bytes], ...]:
    """All that a database has on disk: what follows is the same for two that have the same."""
    found = sorted(database.parent.glob(f"{database.name}*"))
    return tuple((file.name.removeprefix(database.name), file.read_bytes()) for file in found)


def test_opening_twice_changes_nothing(path: Path) -> None:
    versions.migrate(path)
    before = path.read_bytes()
    versions.migrate(path)
    assert path.read_bytes() == before


FILLED = {
    "app": {"key": 1, "id": "'shop'", "name": "'Shop'", "secrets": "x'00'", "settings": "'{}'", "created_at": 1},
    "conversation": {
        "key": 7,
        "app": 1,
        "id": "'seven'",
        "kind": 1,
        "creator": "'ann'",
        "name": "'a name'",
        "attr": """'{"a": [1, null]}'""",
        "columns": """'{"rank": 1.5}'""",
        "unique_id": "'unique'",
        "created_at": 11,
        "updated_at": 12,
        "version": 13,
        "member_count": 14,
        "last_seq": 15,
        "last_message_at": 16,
        "mention_all_seq": 17,
        "mention_all_by": "'bob'",
        "mention_all_before": 18,
    },
    "member": {"conversation": 7, "client": "'ann'", "app": 1, "joined_at": 11, "read_seq": 3},
    "message": {"conversation": 7, "timestamp": 16, "seq": 15, "id": "'m'", "sender": "'ann'", "body": "x'0061'"},
    "notification": {"app": 1, "client": "'ann'", "at": 11, "conversation": 7, "joined": 1, '"by"': "'ann'"},
}


async def test_a_file_of_the_second_schema_keeps_all_that_is_in_it(open_store: OpenStore, path: Path) -> None:
    """The table of conversations is made anew, so that a key is never given again, not even the highest of all."""
    migrate_to(path, "0002")
    for table, values in FILLED.items():
        change(path, f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(map(str, values.values()))})")
    before = {table: rows(path, f"SELECT {', '.join(values)} FROM {table}") for table, values in FILLED.items()}
    assert {name for _, name, *_ in rows(path, "PRAGMA table_info(conversation)")} == set(FILLED["conversation"])
    store = open_store()
    assert {t: rows(path, f"SELECT {', '.join(values)} FROM {t}") for t, values in FILLED.items()} == before
    assert rows(path, "SELECT expires_at, parent, swept_seq, swept_at FROM conversation") == [(None, None, 0, 0)]
    indexes = {name for _, name, *_ in rows(path, "PRAGMA index_list(conversation)")}
    wanted = {index.name for index in schema.conversation.indexes}
    assert wanted < indexes
    assert len(indexes) == len(wanted) + 1  # that of (app, id)
    await on_driver(store, lambda driver: driver.execute("DELETE FROM conversation"))
    assert (await start(store, "ann")).key == 8
