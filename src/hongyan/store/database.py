"""Opening the SQLite file: the driver and its settings."""

import bisect
import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite

from hongyan.errors import StartupError

# pysqlite3 asks for an adapter for every value that is not exactly an int, float, str or bytearray, and without one
# searches long: a message row took 3.6 µs to bind instead of 0.6.
sqlite.register_adapter(bytes, bytearray)
sqlite.register_adapter(type(None), lambda value: value)

#: Older versions can lose a commit when the write-ahead log is reset (fixed in 3.51.3).
SQLITE_OLDEST = (3, 51, 3)
#: Can't be changed once the file has a table.
PAGE_SIZE = 4096
#: Pages in the write-ahead log before the writer moves them into the file (16 MiB).
CHECKPOINT_PAGES = 4096
#: The same for who writes much and alone (512 MiB), and its memory for pages (KiB, negative). Rows of an import come
#: conversation by conversation, so each changes some page of an index on times: what is moved rarely is moved once.
MUCH_PAGES, MUCH_CACHE = 131_072, -262_144


def check_sqlite(version: str = sqlite.sqlite_version) -> None:
    """Raise StartupError if the linked SQLite is older than what the promises need."""
    if tuple(int(part) for part in version.split(".")) < SQLITE_OLDEST:
        needed = ".".join(map(str, SQLITE_OLDEST))
        raise StartupError(f"SQLite {version} is too old: Hongyan needs {needed} or newer.")


def connect(path: Path, *, read_only: bool = False) -> Any:
    """A driver connection in autocommit mode: transactions are begun and ended by statement."""
    connection = sqlite.connect(
        str(path), timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    connection.execute("PRAGMA busy_timeout = 5000")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        return connection
    if connection.execute("PRAGMA page_count").fetchone() == (0,):
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection


def write_much(connection: Any) -> None:
    """For who alone writes much that can be written again: it is synced when the log is moved, not with each commit.

    A power failure takes the newest of it and nothing else.
    """
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {MUCH_PAGES}")
    connection.execute(f"PRAGMA cache_size = {MUCH_CACHE}")


def keep_all(connection: Any) -> None:
    """Move the whole log into the file, and have both on disk."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def engine(connect_once: Callable[[], Any], pool: type[sa.Pool]) -> sa.Engine:
    """SQLAlchemy over `connect`'s connections. AUTOCOMMIT: the writer begins and commits by itself."""
    return sa.create_engine(
        "sqlite://", module=sqlite, creator=connect_once, poolclass=pool, isolation_level="AUTOCOMMIT"
    )


@contextlib.contextmanager
def opening(path: Path) -> Iterator[None]:
    """Turns what the database refuses into a StartupError with a sentence."""
    try:
        yield
    except sqlite.DatabaseError as error:
        raise StartupError(f"The database {path} can't be opened: {error}.") from error
    except sa.exc.DatabaseError as error:
        raise StartupError(f"The database {path} can't be opened: {error.orig}.") from error


#: Rows that a statement of `Bulk` may have; a batch of the writer goes into one.
_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


class Bulk:
    """A statement with a VALUES list of any length, run as one statement of a fixed length, or of the longest.

    One multi-row statement is stepped once: `executemany` steps, and gives up and takes back the interpreter lock,
    once per row, which starves beside a busy event loop. Fixed lengths keep every text in the driver's cache.

    Rows of NULLs fill up the length, so a statement must pass them over; a join does, as NULL equals nothing.
    """

    def __init__(self, text: str) -> None:
        """`text` holds one `{rows: (?, ?)}`, the form of a row."""
        found = re.search(r"\{rows: ([^}]+)\}", text)
        assert found is not None
        row = found[1]
        self._texts = {length: text.replace(found[0], ", ".join([row] * length)) for length in _LENGTHS}
        self._filler = (None,) * row.count("?")

    def run(self, connection: Any, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        answer: list[tuple[Any, ...]] = []
        for start in range(0, len(rows), _LENGTHS[-1]):
            part = rows[start : start + _LENGTHS[-1]]
            length = _LENGTHS[bisect.bisect_left(_LENGTHS, len(part))]
            part += [self._filler] * (length - len(part))
            answer += connection.execute(self._texts[length], list(itertools.chain.from_iterable(part))).fetchall()
        return answer
