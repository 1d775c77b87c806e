"""A private ejabberd: loopback only, a folder of its own, no Erlang distribution, so that no other is touched."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.peers.postgres import DATABASE, USER, Database
from bench.peers.processes import Peer, folder_of, free_port, running
from hongyan.bench.client import Target
from hongyan.bench.workers import BenchError

OWNER = "ejabberd"
DOMAIN = "localhost"
SCHEMA = Path("/usr/share/ejabberd/sql/pg.sql")
MOST_MEMBERS = 20_000
#: What Debian's ejabberdctl passes on.
ERLANG_OPTIONS = ("+K", "true", "+P", "250000")


@contextmanager
def ejabberd(database: Database | None = None, pool: int = 10) -> Iterator[Peer]:
    """A running server; with a database it archives every 1:1 message there, over `pool` connections."""
    with folder_of(OWNER) as folder:
        port = free_port()
        (folder / "ejabberd.yml").write_text(json.dumps(configuration(port, database, pool), indent=1))
        (folder / "ejabberd.yml").chmod(0o644)  # the folder is its owner's alone
        command = ["erl", "-noinput", *ERLANG_OPTIONS, "-mnesia", "dir", f'"{folder / "mnesia"}"', "-s", "ejabberd"]
        environment = {
            "ERL_LIBS": str(_library().parent),
            "EJABBERD_CONFIG_PATH": str(folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(folder / "ejabberd.log"),
            "ERL_CRASH_DUMP_BYTES": "0",
        }
        with running(command, OWNER, folder, lambda said: "is started in the node" in said, environment) as pid:
            others = (database.pid,) if database else ()
            yield Peer(Target(f"xmpp://127.0.0.1:{port}", DOMAIN), pid, others=others)


def configuration(port: int, database: Database | None, pool: int) -> dict[str, Any]:
    """The settings, as JSON, which YAML contains: no TLS, no limits of rates, nothing that the load does not need."""
    modules: dict[str, Any] = {
        "mod_register": {"ip_access": "all", "access": "all", "password_strength": 0, "registration_watchers": []},
        "mod_ping": {},
        "mod_stream_mgmt": {},
        "mod_muc": {
            "access_create": "all",
            "history_size": 0,
            "max_users": MOST_MEMBERS,
            "max_users_presence": 0,
            "default_room_options": {"mam": False, "max_users": MOST_MEMBERS, "presence_broadcast": []},
        },
    }
    settings: dict[str, Any] = {
        "hosts": [DOMAIN],
        "loglevel": "info",
        "log_rotate_count": 0,
        "auth_method": "internal",
        "auth_password_format": "plain",
        "registration_timeout": "infinity",
        "listen": [{"port": port, "ip": "127.0.0.1", "module": "ejabberd_c2s", "backlog": 1024}],
        "modules": modules,
    }
    if database:
        settings |= {
            "sql_type": "pgsql",
            "sql_server": "127.0.0.1",
            "sql_port": database.port,
            "sql_database": DATABASE,
            "sql_username": USER,
            "sql_password": database.password,
            "sql_pool_size": pool,
        }
        modules["mod_mam"] = {"db_type": "sql", "default": "always"}
    return settings


def _library() -> Path:
    found = sorted(Path("/usr/lib").glob("*/ejabberd-*"))
    if not found:
        raise BenchError("the modules of ejabberd are not in /usr/lib, where Debian's package has them")
    return found[-1]
