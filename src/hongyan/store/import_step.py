"""One step of an import inside its write: which conversations there are, and what the step has changed."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hongyan.store.database import Bulk

_KEYS = "SELECT c.id, c.key FROM json_each(?) wanted CROSS JOIN conversation c ON c.app = ? AND c.id = wanted.value"
_FIND = (
    "SELECT c.id, c.key, c.kind, c.parent, c.creator, c.updated_at, c.last_seq, c.last_message_at,"
    " EXISTS (SELECT 1 FROM imported_column i WHERE i.conversation = c.key AND i.name = ?)"
    " FROM json_each(?) wanted CROSS JOIN conversation c ON c.app = ? AND c.id = wanted.value"
)
_TOUCH = Bulk(
    "WITH touched(key, at) AS (VALUES {rows: (?, ?)})"
    " UPDATE conversation SET imported_at = touched.at FROM touched WHERE conversation.key = touched.key"
)
_CHANGE = "UPDATE conversation SET imported_at = ?, version = version + 1 WHERE key = ?"
#: Stands among the imported columns of a conversation of which only messages were brought in.
UNKNOWN = "(unknown)"


class Unforeseen(Exception):
    """A conversation was made after the step's were looked up: the writer may have messages of it in hand."""


class Found(NamedTuple):
    """A conversation as it is; `unknown`: only messages of it were brought in."""

    id: str
    key: int
    kind: int
    parent: int | None
    creator: str
    updated_at: int
    last_seq: int
    last_message_at: int | None
    unknown: bool


@dataclass(slots=True)
class Step:
    """`keys` are the conversations that the writer knows to be touched; `changed` and `services` are for memory."""

    driver: Any
    app_key: int
    now: int
    keys: set[int]
    changed: list[str] = field(default_factory=list)
    services: list[int] = field(default_factory=list)
    edited_at: int = 0

    def times(self, row: Any) -> tuple[int, int]:
        """When a row was made and changed; if nobody knows, now."""
        return row.created_at or self.now, row.updated_at or self.now

    def find(self, ids: Iterable[str]) -> dict[str, Found]:
        """Those of the conversations and streams that there are, by id. Raises Unforeseen."""
        rows = self.driver.execute(_FIND, (UNKNOWN, json.dumps(list(dict.fromkeys(ids))), self.app_key)).fetchall()
        found = {row[0]: Found(*row) for row in rows}
        if not self.keys.issuperset(each.key for each in found.values()):
            raise Unforeseen
        return found

    def touch(self, keys: Iterable[int]) -> None:
        """Messages of these conversations were brought in."""
        _TOUCH.run(self.driver, [(key, self.now) for key in keys])

    def change(self, conversations: Sequence[tuple[int, str]]) -> None:
        """What memory holds of these (key, id) is no longer so."""
        self.driver.executemany(_CHANGE, [(self.now, key) for key, _ in conversations])
        self.changed += [conversation_id for _, conversation_id in conversations]


def keys_of(driver: Any, app_key: int, ids: Iterable[str]) -> dict[str, int]:
    """The keys of those of the conversations and streams that there are."""
    rows: list[tuple[str, int]] = driver.execute(_KEYS, (json.dumps(list(dict.fromkeys(ids))), app_key)).fetchall()
    return dict(rows)
