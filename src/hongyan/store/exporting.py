"""Reading all of an app, row by row and in a fixed order, for exports; beside a running server or without one.

Each read takes a moment only, so that the write-ahead log does not grow: what changes meanwhile may be seen or not.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pysqlite3 import dbapi2 as sqlite

from hongyan.engine.values import FOREVER, ConversationKind, Message
from hongyan.errors import StartupError
from hongyan.store import database, hot
from hongyan.store.import_step import UNKNOWN

#: Rows that are read at once.
PAGE = 1_000

APP = "SELECT key FROM app WHERE id = ?"
_COLUMNS = "key, id, kind, creator, name, attr, columns, unique_id, created_at, updated_at, last_message_at, parent"
CONVERSATIONS = (
    f"SELECT {_COLUMNS} FROM conversation WHERE app = ? AND key > ? AND kind <> {int(ConversationKind.TEMPORARY)}"
    " ORDER BY key LIMIT ?"
)
MEMBERS = "SELECT client, muted FROM member WHERE conversation = ? ORDER BY joined_at, client"
KEPT = "SELECT name, value FROM imported_column WHERE conversation = ?"
ROLES = "SELECT role_id, client, role FROM standing WHERE conversation = ? AND role_id IS NOT NULL ORDER BY client"
SILENCED = f"SELECT client FROM standing WHERE conversation = ? AND silenced_until = {FOREVER} ORDER BY client"
BLOCKED = "SELECT client FROM standing WHERE conversation = ? AND blocked_at IS NOT NULL ORDER BY client"
SUBSCRIBERS = "SELECT client, joined_at FROM member WHERE conversation = ? AND client > ? ORDER BY client LIMIT ?"
REFUSALS = (
    "SELECT r.client, r.conversation, c.id FROM refusal r JOIN conversation c ON c.key = r.conversation"
    " WHERE r.app = ? AND (r.client, r.conversation) > (?, ?) ORDER BY r.client, r.conversation LIMIT ?"
)
MESSAGES = (
    f"SELECT {hot.MESSAGE_COLUMNS} FROM message WHERE conversation = ? AND (timestamp, seq) > (?, ?) AND {hot.KEPT}"
    " ORDER BY timestamp, seq LIMIT ?"
)
COUNTS = {
    "_Conversation": (
        "SELECT count(*) FROM conversation c WHERE c.app = ? AND c.parent IS NULL"
        f" AND c.kind <> {int(ConversationKind.TEMPORARY)} AND NOT EXISTS"
        f" (SELECT 1 FROM imported_column i WHERE i.conversation = c.key AND i.name = '{UNKNOWN}')"
    ),
    "_ConversationMemberInfo": "SELECT count(*) FROM standing WHERE app = ? AND role_id IS NOT NULL",
    "_User": 'SELECT count(*) FROM "user" WHERE app = ?',
    "_Installation": "SELECT count(*) FROM installation WHERE app = ?",
    "_File": "SELECT count(*) FROM file WHERE app = ? AND (size IS NOT NULL OR url IS NOT NULL)",
}
USERS = (
    """SELECT key, '["username", "email", "mobilePhoneNumber"]', json_array(username, email, mobile), columns, id,"""
    ' password, created_at, updated_at FROM "user" WHERE app = ? AND key > ? ORDER BY key LIMIT ?'
)
INSTALLATIONS = (
    """SELECT key, '["installationId", "deviceToken", "deviceType"]',"""
    " json_array(installation_id, device_token, device_type), columns, id, NULL, created_at, updated_at"
    " FROM installation WHERE app = ? AND key > ? ORDER BY key LIMIT ?"
)
FILES = (
    "SELECT id, name, mime_type, key, url, meta, acl, created_at, updated_at, size FROM file WHERE app = ? AND id > ?"
    " AND (size IS NOT NULL OR url IS NOT NULL) ORDER BY id LIMIT ?"
)
OWNER = (
    "SELECT s.id, m.client FROM conversation c LEFT JOIN conversation s ON s.key = c.parent AND s.key <> c.key"
    " LEFT JOIN member m ON m.conversation = c.key WHERE c.key = ?"
)


class Exported(NamedTuple):
    """A conversation, or a stream: of a service conversation (`parent`) and a client, as far as they are known."""

    key: int
    id: str
    kind: ConversationKind
    creator: str
    name: str | None
    attr: Any
    columns: dict[str, Any]
    unique_id: str | None
    created_at: int
    updated_at: int
    last_message_at: int | None
    parent: int | None


class Reading:
    """An app of a database that is only looked at."""

    def __init__(self, driver: Any, app_key: int) -> None:
        self._driver = driver
        self.app_key = app_key

    def conversations(self) -> Iterator[Exported]:
        """All conversations and streams, but for temporary ones, in the order in which they were made."""
        after = 0
        while rows := self._all(CONVERSATIONS, self.app_key, after, PAGE):
            for row in rows:
                yield _exported(row)
            after = rows[-1][0]

    def count(self, class_name: str) -> int:
        """How many rows a class has."""
        return int(self._all(COUNTS[class_name], self.app_key)[0][0])

    def members(self, key: int) -> list[tuple[str, bool]]:
        """The members in order of joining, and who has muted."""
        return [(client, bool(muted)) for client, muted in self._all(MEMBERS, key)]

    def kept(self, key: int) -> dict[str, Any]:
        """The columns that were brought in and have no place of their own."""
        return {name: json.loads(value) for name, value in self._all(KEPT, key)}

    def is_unknown(self, key: int) -> bool:
        """Whether only messages of it were brought in."""
        return UNKNOWN in self.kept(key)

    def roles(self, key: int) -> list[tuple[str, str, int]]:
        """Id, client and role of each that was given."""
        return self._all(ROLES, key)

    def silenced(self, key: int) -> list[str]:
        return [client for (client,) in self._all(SILENCED, key)]

    def blocked(self, key: int) -> list[str]:
        return [client for (client,) in self._all(BLOCKED, key)]

    def subscribers(self, key: int) -> Iterator[tuple[str, int]]:
        """Who has subscribed to a service conversation, and when."""
        after = ""
        while rows := self._all(SUBSCRIBERS, key, after, PAGE):
            yield from rows
            after = rows[-1][0]

    def all_subscribers(self) -> Iterator[tuple[str, str]]:
        """Service conversations, each with one of its subscribers."""
        for each in self.conversations():
            if each.kind is ConversationKind.SERVICE and each.parent is None:
                yield from ((each.id, client) for client, _ in self.subscribers(each.key))

    def users(self) -> Iterator[tuple[str, dict[str, Any], str | None, int, int]]:
        """Id, values, password as it is kept and times of each user."""
        for key_columns, row in self._objects(USERS):
            yield row[0], key_columns, row[1], row[2], row[3]

    def installations(self) -> Iterator[tuple[str, dict[str, Any], int, int]]:
        """Id, values and times of each installation."""
        for key_columns, row in self._objects(INSTALLATIONS):
            yield row[0], key_columns, row[2], row[3]

    def files(self) -> Iterator[tuple[Any, ...]]:
        """The columns of `FILES` of each file that has arrived or is elsewhere."""
        after = ""
        while rows := self._all(FILES, self.app_key, after, PAGE):
            yield from rows
            after = rows[-1][0]

    def has_file(self, file_id: str) -> bool:
        """Whether the bytes of a file are here."""
        return bool(
            self._all("SELECT 1 FROM file WHERE app = ? AND id = ? AND size IS NOT NULL", self.app_key, file_id)
        )

    def has_key(self, first: str, end: str) -> bool:
        """Whether a file of any app has a key from the first text on to before the other one."""
        return bool(self._all("SELECT 1 FROM file WHERE key >= ? AND key < ? LIMIT 1", first, end))

    def _objects(self, statement: str) -> Iterator[tuple[dict[str, Any], tuple[Any, ...]]]:
        after = 0
        while rows := self._all(statement, self.app_key, after, PAGE):
            for _, names, values, columns, *row in rows:
                own = dict(zip(json.loads(names), json.loads(values), strict=True))
                yield {**json.loads(columns), **{n: v for n, v in own.items() if v is not None}}, tuple(row)
            after = rows[-1][0]

    def refusals(self) -> Iterator[tuple[str, str]]:
        """Clients, each with a conversation to which it wants nobody to add it."""
        after: tuple[str, int] = ("", 0)
        while rows := self._all(REFUSALS, self.app_key, *after, PAGE):
            yield from ((client, conversation_id) for client, _, conversation_id in rows)
            after = rows[-1][:2]

    def messages(self, key: int) -> Iterator[Message]:
        """The messages of a conversation or a stream, oldest first."""
        after = (-1, 0)
        while rows := self._all(MESSAGES, key, *after, PAGE):
            for row in rows:
                yield hot.decode_message(row)
            after = (rows[-1][2], rows[-1][1])

    def owner(self, key: int) -> tuple[str | None, str | None]:
        """The id of the service conversation of a stream, and its client."""
        found: tuple[str | None, str | None] = self._all(OWNER, key)[0]
        return found

    def _all(self, statement: str, *values: Any) -> list[Any]:
        rows: list[Any] = self._driver.execute(statement, values).fetchall()
        return rows


@contextlib.contextmanager
def reading(path: Path, app_id: str) -> Iterator[Reading]:
    """An app, to be read. Raises StartupError."""
    if not path.exists():
        raise StartupError(f"There is no database at {path}.")
    with database.opening(path), contextlib.closing(database.connect(path, read_only=True)) as driver:
        try:
            found = driver.execute(APP, (app_id,)).fetchone()
        except sqlite.OperationalError as error:
            raise StartupError(f"The database {path} can't be read: {error}.") from None
        if found is None:
            raise StartupError(f"No app has the id {app_id!r}.")
        yield Reading(driver, found[0])


def _exported(row: tuple[Any, ...]) -> Exported:
    key, conversation_id, kind, creator, name, attr, columns, *rest = row
    return Exported(
        key,
        conversation_id,
        ConversationKind(kind),
        creator,
        name,
        json.loads(attr) if attr else None,
        json.loads(columns) if columns else {},
        *rest,
    )
