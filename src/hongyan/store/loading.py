"""Conversations as messages need them, read from the database: many by one read."""

from collections.abc import Sequence
from typing import Any

import msgspec

from hongyan.engine.values import OF_MEMBERS, Conversation, ConversationKind, Role, Standing
from hongyan.store.database import Bulk

Key = tuple[int, str]
"""App and id."""


class _Standing(msgspec.Struct, array_like=True, frozen=True):
    client: str
    role: int | None
    role_id: str | None
    silenced_until: int | None
    blocked_at: int | None

    def value(self) -> Standing:
        return Standing(Role(self.role) if self.role else None, self.role_id, self.silenced_until, self.blocked_at)


class _Row(msgspec.Struct, array_like=True, frozen=True):
    number: int
    key: int
    kind: int
    version: int
    creator: str
    expires_at: int | None
    members: list[str]
    standings: list[_Standing]


_decode = msgspec.json.Decoder(list[_Row]).decode
_OF_MEMBERS = ", ".join(str(int(kind)) for kind in sorted(OF_MEMBERS))
#: One text of JSON, because the driver gives up the interpreter lock with every row, and beside a busy event loop waits
#: half a millisecond until it has it again.
_FIND = Bulk(
    "SELECT json_group_array(json_array(v.column1, c.key, c.kind, c.version, c.creator, c.expires_at,"
    f" json(CASE WHEN c.kind IN ({_OF_MEMBERS}) THEN"
    " (SELECT json_group_array(client) FROM member WHERE conversation = c.key) ELSE '[]' END),"
    " json((SELECT json_group_array(json_array(client, role, role_id, silenced_until, blocked_at))"
    " FROM standing WHERE conversation = c.key))))"
    " FROM (VALUES {rows: (?, ?, ?)}) v"
    " JOIN conversation c ON c.app = v.column2 AND c.id = v.column3 AND c.parent IS NULL"
)


def load(driver: Any, wanted: Sequence[Key]) -> list[Conversation | None]:
    """Each of these; None where there is none. Streams of service conversations are not found."""
    found: list[Conversation | None] = [None] * len(wanted)
    for (text,) in _FIND.run(driver, [(number, *key) for number, key in enumerate(wanted)]):
        for row in _decode(text):
            app_key, conversation_id = wanted[row.number]
            found[row.number] = Conversation(
                row.key,
                app_key,
                conversation_id,
                ConversationKind(row.kind),
                row.version,
                set(row.members),
                row.creator,
                row.expires_at,
                {standing.client: standing.value() for standing in row.standings},
            )
    return found
