"""Conversations and messages, written straight into the database: by calls they would take hours."""

import base64
import contextlib
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hongyan.store import database

DATABASE = "hongyan.db"
SENDER = "old"
#: Old messages lie in so many conversations, in turns, as they would have come.
CONVERSATIONS = 1_000
#: Rows of a transaction, and the pages kept in memory meanwhile (KiB, negative): both make it faster.
ROWS, CACHE = 10_000, -524_288
CONVERSATION = (
    "INSERT INTO conversation (app, id, kind, creator, created_at, updated_at, member_count, last_seq, last_message_at)"
    f" VALUES (?, ?, 1, '{SENDER}', ?, ?, ?, ?, ?)"
)
MEMBER = "INSERT INTO member (conversation, client, app, joined_at, read_seq) VALUES (?, ?, ?, ?, ?)"
MESSAGE = (
    f"INSERT INTO message (app, conversation, timestamp, seq, id, sender, body) VALUES (?, ?, ?, ?, ?, '{SENDER}', ?)"
)
AUTHOR = f"INSERT OR IGNORE INTO author (app, client, conversation) VALUES (?, '{SENDER}', ?)"
HEAD = "UPDATE conversation SET last_seq = ?, last_message_at = ? WHERE key = ?"

T = TypeVar("T")


@dataclass(frozen=True)
class Conversation:
    """A conversation of some messages, the last of them, if any, at `last_at`; of each member, how many it has read."""

    id: str
    members: dict[str, int]
    messages: int
    created_at: int
    last_at: int | None


class Seed:
    """Writes for one app."""

    def __init__(self, connection: Any, app_key: int) -> None:
        self._connection = connection
        self._app = app_key
        self._numbers = itertools.count()

    def conversations(self, conversations: Iterable[Conversation]) -> Iterator[int]:
        """Write conversations without their messages; yields the key of each."""
        for some in _batches(conversations):
            with self._transaction():
                keys = [self._conversation(conversation) for conversation in some]
            yield from keys

    def messages(self, places: Iterable[tuple[int, int, int]], size: int) -> Iterator[int]:
        """Write a message of `size` bytes to each (conversation key, seq, time); yields how many are written."""
        body = b"\x00" + b"x" * size
        written = 0
        for some in _batches(places):
            rows = [(self._app, key, at, seq, _message_id(at, next(self._numbers)), body) for key, seq, at in some]
            with self._transaction():
                self._connection.executemany(MESSAGE, rows)
                self._connection.executemany(AUTHOR, {(self._app, key) for key, _, _ in some})
            written += len(rows)
            yield written

    def heads(self, heads: Iterable[tuple[int, int, int]]) -> None:
        """Say of conversations (key, seq, time) which message is their last."""
        with self._transaction():
            self._connection.executemany(HEAD, ((seq, at, key) for key, seq, at in heads))

    def _conversation(self, one: Conversation) -> int:
        values = (self._app, one.id, one.created_at, one.created_at, len(one.members), one.messages, one.last_at)
        key: int = self._connection.execute(CONVERSATION, values).lastrowid
        rows = [(key, client, self._app, one.created_at, read) for client, read in one.members.items()]
        self._connection.executemany(MEMBER, rows)
        return key

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        yield
        self._connection.execute("COMMIT")


@contextmanager
def seeding(data_dir: Path, app_id: str) -> Iterator[Seed]:
    """Write for an app while no server runs. The file is on the disk at the end."""
    with contextlib.closing(database.connect(data_dir / DATABASE)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA cache_size = {CACHE}")
        (app_key,) = connection.execute("SELECT key FROM app WHERE id = ?", (app_id,)).fetchone()
        yield Seed(connection, app_key)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def old_messages(seed: Seed, count: int, size: int, first: int) -> Iterator[int]:
    """Writes messages from the time `first` (ms) on, in turns to some conversations; yields how many are written."""
    each = count // CONVERSATIONS + 1
    keys = list(
        seed.conversations(
            Conversation(f"old-{number}", {SENDER: 0}, each, first, first + each) for number in range(CONVERSATIONS)
        )
    )
    places = ((key, seq, first + seq) for seq in range(1, each + 1) for key in keys)
    return seed.messages(itertools.islice(places, count), size)


def exhaust(written: Iterable[int]) -> None:
    """Write all, where nobody wants to know how far it is."""
    for _ in written:
        pass


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(rows)
    while some := list(itertools.islice(rest, ROWS)):
        yield some


def _message_id(at: int, number: int) -> str:
    """In the form of the server's own ids, which begin with the time."""
    return base64.urlsafe_b64encode(at.to_bytes(6, "big") + number.to_bytes(10, "big"))[:22].decode()
