"""A private PostgreSQL: a new cluster in a temporary folder, durable commits, one database."""

import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.peers.processes import as_user, folder_of, free_port, running
from hongyan.bench.workers import BenchError

USER = "postgres"
DATABASE = "bench"
READY = "database system is ready to accept connections"
#: The rest is as PostgreSQL comes. These are its defaults too, and what a figure for durable messages stands on.
SETTINGS = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")


@dataclass(frozen=True)
class Database:
    """Where it is, who may use it, and the process it runs in."""

    port: int
    password: str
    pid: int
    _ask: Callable[[str], str]

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        return int(self._ask(f"SELECT count(*) FROM {table}"))


@contextmanager
def postgres(schema: Path) -> Iterator[Database]:
    """A running database with the tables of `schema`, gone at the end."""
    programs = _programs()
    with folder_of(USER) as folder:
        password, port = secrets.token_hex(16), free_port()
        data, secret = folder / "data", folder / "password"
        secret.write_text(password)
        secret.chmod(0o644)  # the folder is its owner's alone
        _run(folder, programs / "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}")
        command: list[str | Path] = [programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", ""]
        for setting in SETTINGS:
            command += ["-c", setting]
        with running(command, USER, folder, lambda said: READY in said, stop=signal.SIGINT) as pid:
            connection: list[str | Path] = ["-h", "127.0.0.1", "-p", str(port), "-U", USER, "-w"]
            _run(folder, programs / "createdb", *connection, DATABASE, password=password)
            psql = [programs / "psql", *connection, "-d", DATABASE, "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
            _run(folder, *psql, "-f", schema, password=password)
            yield Database(port, password, pid, lambda query: _run(folder, *psql, "-c", query, password=password))


def _programs() -> Path:
    """The folder with the programs of the newest version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    return folders[-1]


def _run(folder: Path, *command: str | Path, password: str = "") -> str:
    """What a program writes, run as the database's user. BenchError with its last words if it fails."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", "PGPASSWORD": password}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False, **as_user(USER)
    )
    if done.returncode:
        lines = (done.stderr.strip() or "it wrote nothing").splitlines()
        raise BenchError(f"{Path(command[0]).name} failed: {lines[-1]}")
    return done.stdout
