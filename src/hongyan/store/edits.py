"""Edits and recalls in the database: a message's row is changed in place and found again by the time of the edit."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import RECALLED_BODY, Conversation, Draft, Edit, Edited, Message
from hongyan.engine.work import Following
from hongyan.errors import Refused
from hongyan.store import hot
from hongyan.store.plan import AHEAD_MAX, barred
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

#: Edits that one look at the index finds, and messages that are read at a time.
SCAN, PAGE = 2_000, 50

FIND = f"SELECT {hot.MESSAGE_COLUMNS} FROM message WHERE conversation = ? AND timestamp = ? AND id = ? AND {hot.KEPT}"
REWRITE = "UPDATE message SET body = ?, flags = ? WHERE conversation = ? AND timestamp = ? AND seq = ?"
#: Its mentions and the time of an edit go, too: no client is to be told of it.
ERASE = (
    f"UPDATE message SET body = x'00', flags = {hot.DELETED} | (flags & {hot.IMPORTED}), mentions = NULL,"
    " patched_at = NULL WHERE conversation = ? AND timestamp = ? AND seq = ?"
)
REPLACE = (
    f"UPDATE message SET body = ?, flags = ? | (flags & {hot.IMPORTED}), mentions = ?, patched_at = ?"
    " WHERE conversation = ? AND timestamp = ? AND seq = ?"
)
#: Kept apart because no index finds the latest edit of all conversations.
NEWEST = "SELECT value FROM meta WHERE name = 'edited_at'"
KEEP_NEWEST = (
    "INSERT INTO meta (name, value) VALUES ('edited_at', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
#: Nothing but the two indexes is read here: who has missed many edits has them sorted often.
SCAN_SINCE = (
    "SELECT l.patched_at, l.rowid FROM member m CROSS JOIN message l ON l.conversation = m.conversation"
    " WHERE m.app = ? AND m.client = ? AND l.patched_at > ? ORDER BY l.patched_at LIMIT ?"
)
#: Those that have been edited again since the scan are left out: they would come before their turn.
READ = (
    f"SELECT coalesce(s.id, c.id), {', '.join(f'l.{name.strip()}' for name in hot.MESSAGE_COLUMNS.split(','))}"
    " FROM json_each(?) wanted CROSS JOIN message l ON l.rowid = wanted.value AND l.patched_at <= ?"
    " CROSS JOIN member m ON m.conversation = l.conversation AND m.client = ?"
    " CROSS JOIN conversation c ON c.key = l.conversation AND (c.expires_at IS NULL OR c.expires_at > ?)"
    " LEFT JOIN conversation s ON s.key = c.parent"
    " WHERE c.parent IS NULL OR s.key IS NOT NULL ORDER BY l.patched_at"
)


def newest_edit(bound: sa.Connection) -> int:
    """The time of the latest edit there is."""
    return int(bound.exec_driver_sql(NEWEST).scalar() or 0)


class Edits:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock, newest: int) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._newest = newest

    @property
    def newest(self) -> int:
        return self._newest

    def note(self, driver: Any, at: int) -> None:
        """Inside a write: an edit of this time was brought in; those made here are later."""
        self._newest = max(self._newest, at)
        driver.execute(KEEP_NEWEST, (str(self._newest),))

    def apply(
        self,
        edits: Sequence[tuple[Conversation, Edit]],
        by: str,
        committed: Callable[[Sequence[Edited]], None],
        *,
        checked: bool = True,
        following: Following[Sequence[Edited]] | None = None,
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> list[Edited]:
            driver: Any = bound.connection.driver_connection
            return [self._apply(driver, conversation, edit, by, checked) for conversation, edit in edits]

        return self._writer.call_then(
            change, committed, *(conversation.key for conversation, _ in edits), following=following
        )

    async def since(self, app_key: int, client: str, since: int) -> AsyncIterator[Sequence[tuple[str, Message]]]:
        more = True
        while more:
            found = await self._scan(app_key, client, since)
            for start in range(0, len(found), PAGE):
                yield await self._read(client, found[start : start + PAGE])
            more = len(found) == SCAN
            since = found[-1][0] if found else since

    def delete(self, conversation: Conversation, sender: str, message_id: str, timestamp: int) -> Awaitable[object]:
        def change(bound: sa.Connection) -> None:
            driver: Any = bound.connection.driver_connection
            erase(driver, conversation.key, _found(driver, conversation.key, timestamp, message_id, sender))

        return self._writer.call(change, conversation.key)

    def rewrite(
        self, conversation: Conversation, sender: str, message_id: str, timestamp: int, content: str | bytes
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> None:
            driver: Any = bound.connection.driver_connection
            found = _found(driver, conversation.key, timestamp, message_id, sender)
            flags = hot.RECEIPT if found.receipt else 0
            flags |= hot.encode_flags(Draft(content, mention_all=found.mention_all))
            flags |= hot.RECALLED if found.recalled else 0
            values = (hot.encode_body(content), flags, conversation.key, timestamp, found.seq)
            driver.execute(REWRITE, values)

        return self._writer.call(change, conversation.key)

    def _apply(self, driver: Any, conversation: Conversation, edit: Edit, by: str, checked: bool) -> Edited:
        if conversation.has_ended(self._clock.now()):
            raise Refused(errors.CONVERSATION_NOT_FOUND, "the conversation has ended")
        refusal = barred(driver, conversation, by, self._clock.now()) if checked else None
        if refusal is not None:
            raise refusal
        message = _find(driver, conversation, edit)
        if message is None or (message.sender != by and not checked):
            raise Refused(errors.MESSAGE_NOT_FOUND, "no message of this id and timestamp")
        if message.sender != by:
            raise Refused(errors.MESSAGE_OWNERSHIP_REQUIRED, "the message is another client's")
        if message.recalled:
            if edit.draft is None:
                return Edited(conversation, message, changed=False)
            raise Refused(errors.MESSAGE_NOT_FOUND, "the message was recalled")
        self._replace(driver, conversation, message, edit.draft)
        replaced = _find(driver, conversation, edit)
        assert replaced is not None
        return Edited(conversation, replaced, changed=True)

    def _replace(self, driver: Any, conversation: Conversation, message: Message, draft: Draft | None) -> None:
        now = self._clock.now()
        at = max(now, self._newest + 1, message.timestamp + 1)
        if at - now > AHEAD_MAX:
            raise Refused(errors.CONVERSATION_API_QUOTA_EXCEEDED, "too many edits")
        self._newest = at
        flags = hot.RECEIPT if message.receipt else 0
        if draft is None:
            draft, flags = Draft(RECALLED_BODY), flags | hot.RECALLED
        values = (
            hot.encode_body(draft.content),
            flags | hot.encode_flags(draft),
            json.dumps(draft.mentions) if draft.mentions else None,
            at,
        )
        driver.execute(REPLACE, (*values, conversation.key, message.timestamp, message.seq))
        driver.execute(KEEP_NEWEST, (str(at),))

    async def _scan(self, app_key: int, client: str, since: int) -> list[tuple[int, int]]:
        """(time of the edit, row) of the next edits."""
        return await self._reader.run(
            lambda driver: driver.execute(SCAN_SINCE, (app_key, client, since, SCAN)).fetchall()
        )

    async def _read(self, client: str, found: Sequence[tuple[int, int]]) -> list[tuple[str, Message]]:
        """Asks again who is a member: a client that takes long to receive the edits may have been removed."""
        rows = json.dumps([row for _, row in found])
        until = found[-1][0]
        now = self._clock.now()
        read = await self._reader.run(lambda driver: driver.execute(READ, (rows, until, client, now)).fetchall())
        return [(conversation_id, hot.decode_message(tuple(row))) for conversation_id, *row in read]


def _find(driver: Any, conversation: Conversation, edit: Edit) -> Message | None:
    row = driver.execute(FIND, (conversation.key, edit.timestamp, edit.message_id)).fetchone()
    return None if row is None else hot.decode_message(row)


def find_of(driver: Any, key: int, timestamp: int, message_id: str, sender: str) -> Message | None:
    """A message that this client sent."""
    row = driver.execute(FIND, (key, timestamp, message_id)).fetchone()
    message = None if row is None else hot.decode_message(row)
    return message if message is not None and message.sender == sender else None


def erase(driver: Any, key: int, message: Message) -> None:
    """Delete a message: nothing finds it any more."""
    driver.execute(ERASE, (key, message.timestamp, message.seq))


def _found(driver: Any, key: int, timestamp: int, message_id: str, sender: str) -> Message:
    """Raises Refused(MESSAGE_NOT_FOUND)."""
    message = find_of(driver, key, timestamp, message_id, sender)
    if message is None:
        raise Refused(errors.MESSAGE_NOT_FOUND, "no message of this id, timestamp and sender")
    return message
