"""The ceiling of `chat`: the rows of a message, written to SQLite in batches, with nothing around it."""

import itertools
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hongyan.store import database, versions

MESSAGE = "INSERT INTO message (conversation, timestamp, seq, id, sender, body) VALUES (?, ?, ?, ?, ?, ?)"
TOKEN = "INSERT INTO sent_token (conversation, client, token, message_id, seq, timestamp) VALUES (?, ?, ?, ?, ?, ?)"
HEAD = "UPDATE conversation SET last_seq = ?, last_message_at = ? WHERE key = ?"
OWN = "UPDATE member SET own_since_read = own_since_read + 1 WHERE conversation = ? AND client = ?"
CONVERSATION = (
    "INSERT INTO conversation (key, app, id, kind, creator, created_at, updated_at) VALUES (?, 1, ?, 1, ?, 0, 0)"
)
MEMBER = "INSERT INTO member (conversation, client, app, joined_at, read_seq) VALUES (?, ?, 1, 0, 0)"


@dataclass(frozen=True)
class SqlitePlan:
    """Batches of `batch` messages of `size` bytes to `conversations` in turn for `seconds`, in a new file."""

    file: Path
    conversations: int
    batch: int
    size: int
    seconds: float


def measure(plan: SqlitePlan, link: Connection) -> None:
    """Sends messages per second, every batch committed with synchronous=FULL, through `link`."""
    versions.migrate(plan.file)
    connection = database.connect(plan.file)
    peers = [f"a-{number:05d}-0000" for number in range(plan.conversations)]
    _prepare(connection, peers)
    numbers = itertools.count()
    written, start = 0, time.monotonic()
    while (passed := time.monotonic() - start) < plan.seconds:
        _write(connection, list(itertools.islice(numbers, plan.batch)), peers, b"\x00" + b"x" * plan.size)
        written += plan.batch
    connection.close()
    link.send(written / passed)


def _prepare(connection: Any, peers: list[str]) -> None:
    connection.execute("BEGIN")
    connection.executemany(CONVERSATION, [(key, f"{key:024x}", peer) for key, peer in enumerate(peers)])
    connection.executemany(MEMBER, list(enumerate(peers)))
    connection.execute("COMMIT")


def _write(connection: Any, numbers: list[int], peers: list[str], body: bytes) -> None:
    rows = [(n % len(peers), n // len(peers) + 1, 1_700_000_000_000 + n, f"{n:032x}") for n in numbers]
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(MESSAGE, [(key, at, seq, uid, peers[key], body) for key, seq, at, uid in rows])
    connection.executemany(TOKEN, [(key, peers[key], uid[16:], uid, seq, at) for key, seq, at, uid in rows])
    connection.executemany(HEAD, [(seq, at, key) for key, seq, at, _ in rows])
    connection.executemany(OWN, [(key, peers[key]) for key, *_ in rows])
    connection.execute("COMMIT")
