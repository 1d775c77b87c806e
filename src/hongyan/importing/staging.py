"""Where rows wait between being read and being written: a database file that is thrown away.

So the files are read once, in any order, with memory for a few rows only; messages come out sorted and each once.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hongyan.engine.imported import ImportedHistory, ImportedMessage
from hongyan.engine.values import stream_id
from hongyan.importing.messages import Record

#: Rows that are kept in memory before they go to the file.
BUFFER = 2_000
_SCHEMA = """
CREATE TABLE source (number INTEGER PRIMARY KEY, label TEXT NOT NULL);
CREATE TABLE row (class TEXT NOT NULL, value BLOB NOT NULL, source INTEGER NOT NULL, line INTEGER NOT NULL);
CREATE INDEX row_by_class ON row (class);
CREATE TABLE message (
    stream INTEGER NOT NULL, place TEXT NOT NULL, timestamp INTEGER NOT NULL, id TEXT NOT NULL, value BLOB NOT NULL,
    source INTEGER NOT NULL, line INTEGER NOT NULL
);
CREATE TABLE place (stream TEXT PRIMARY KEY, conversation TEXT NOT NULL, client TEXT NOT NULL) WITHOUT ROWID;
"""
_PUT_MESSAGE = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_ROW = "INSERT INTO row VALUES (?, ?, ?, ?)"
_PUT_PLACE = (
    "INSERT INTO place VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET conversation = excluded.conversation,"
    " client = excluded.client WHERE client = ''"
)
_SORTED = (
    "SELECT stream, place, timestamp, id, value, source, line FROM message ORDER BY stream, place, timestamp, id, rowid"
)
_RESOLVE = "UPDATE place SET conversation = ?, client = ? WHERE stream = ? AND client = ''"
_encode = msgspec.msgpack.Encoder().encode
_decode_message = msgspec.msgpack.Decoder(ImportedMessage).decode


class Origin(NamedTuple):
    """Where a row stands: the number of its file, and the line."""

    source: int
    line: int


class Staged(NamedTuple):
    """A message with its place: a conversation, or a client's stream of it; without a client nobody knows whose."""

    conversation_id: str
    client: str | None
    stream: bool
    message: ImportedMessage
    origin: Origin


class Staging:
    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._path = path
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        self._database.execute("BEGIN")
        self._messages: list[tuple[Any, ...]] = []
        self._rows: list[tuple[Any, ...]] = []
        self._places: set[tuple[str, str]] = set()

    def close(self) -> None:
        self._database.close()
        self._path.unlink(missing_ok=True)

    def begin_source(self, label: str) -> int:
        """The number of a file that is read now."""
        return int(self._database.execute("INSERT INTO source (label) VALUES (?)", (label,)).lastrowid or 0)

    def label(self, number: int) -> str:
        """The name of a file."""
        (found,) = self._database.execute("SELECT label FROM source WHERE number = ?", (number,)).fetchone()
        return str(found)

    def put(self, class_name: str, row: Any, origin: Origin) -> None:
        self._rows.append((class_name, _encode(row), *origin))
        if len(self._rows) == BUFFER:
            self._flush()

    def put_message(self, record: Record, origin: Origin) -> None:
        conversation_id, stream, client, message = record
        if stream:
            if not client and stream == stream_id(conversation_id, message.sender):
                client = message.sender
            place = (stream, client)
            if place not in self._places:
                self._database.execute(_PUT_PLACE, (stream, conversation_id, client))
                self._places.add(place)
        value = (bool(stream), stream or conversation_id, message.timestamp, message.id, _encode(message), *origin)
        self._messages.append(value)
        if len(self._messages) == BUFFER:
            self._flush()

    def count(self, class_name: str) -> int:
        self._flush()
        (count,) = self._database.execute("SELECT count(*) FROM row WHERE class = ?", (class_name,)).fetchone()
        return int(count)

    def count_messages(self) -> int:
        self._flush()
        return int(self._database.execute("SELECT count(*) FROM message").fetchone()[0])

    def rows(self, class_name: str, row_type: type) -> Iterator[tuple[Any, Origin]]:
        """The rows of a class as they came."""
        self._flush()
        decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(row_type)
        found = self._database.execute(
            "SELECT value, source, line FROM row WHERE class = ? ORDER BY rowid", (class_name,)
        )
        for value, source, line in found:
            yield decoder.decode(value), Origin(source, line)

    def unresolved(self) -> bool:
        """Whether there are streams of which nobody knows whose they are."""
        return self._database.execute("SELECT 1 FROM place WHERE client = '' LIMIT 1").fetchone() is not None

    def resolve(self, subscribers: Iterable[tuple[str, str]]) -> None:
        """Find the streams of these subscribers, each a service conversation and a client."""
        for conversation_id, client in subscribers:
            self._database.execute(_RESOLVE, (conversation_id, client, stream_id(conversation_id, client)))

    def messages(self) -> Iterator[Staged]:
        """Conversation by conversation, streams last, each by (time, id); of doubles the one that was read last."""
        self._flush()
        whose = {row[0]: row[1:] for row in self._database.execute("SELECT stream, conversation, client FROM place")}
        last: tuple[Any, ...] | None = None
        for row in self._database.execute(_SORTED):
            if last is not None and row[:4] != last[:4]:
                yield _staged(last, whose)
            last = row
        if last is not None:
            yield _staged(last, whose)

    def _flush(self) -> None:
        self._database.executemany(_PUT_MESSAGE, self._messages)
        self._database.executemany(_PUT_ROW, self._rows)
        self._messages, self._rows = [], []


def _staged(row: tuple[Any, ...], whose: dict[str, tuple[str, str]]) -> Staged:
    is_stream, place, _, _, value, source, line = row
    message, origin = _decode_message(value), Origin(source, line)
    if not is_stream:
        return Staged(place, None, False, message, origin)
    conversation_id, client = whose[place]
    if client:
        return Staged(conversation_id, client, False, message, origin)
    return Staged(place, None, True, message, origin)


def histories(batch: Iterable[Staged]) -> list[ImportedHistory]:
    """Staged messages, as they are written."""
    made: list[ImportedHistory] = []
    for conversation_id, client, stream, message, _ in batch:
        if not made or (made[-1].conversation_id, made[-1].client) != (conversation_id, client):
            made.append(ImportedHistory(conversation_id, [], client, stream))
        made[-1].messages.append(message)
    return made
