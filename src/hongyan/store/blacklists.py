"""Who is blocked in a conversation, and who refuses to be added to it, in the database."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.values import Conversation
from hongyan.errors import Refused
from hongyan.store.reading import Reader
from hongyan.store.writer import Writer

BLOCKED = (
    "SELECT client FROM standing WHERE conversation = ? AND blocked_at IS NOT NULL ORDER BY client LIMIT ? OFFSET ?"
)
WHO_IS_BLOCKED = (
    "SELECT s.client FROM json_each(?) wanted CROSS JOIN standing s"
    " ON s.conversation = ? AND s.client = wanted.value AND s.blocked_at IS NOT NULL"
)
REFUSED = (
    "SELECT c.id FROM refusal r JOIN conversation c ON c.key = r.conversation"
    " WHERE r.app = ? AND r.client = ? ORDER BY r.conversation LIMIT ? OFFSET ?"
)
WHICH_REFUSED = (
    "SELECT c.id FROM json_each(?) wanted CROSS JOIN conversation c ON c.app = ? AND c.id = wanted.value"
    " JOIN refusal r ON r.app = c.app AND r.client = ? AND r.conversation = c.key"
)
WHO_REFUSES = (
    "SELECT r.client FROM json_each(?) wanted CROSS JOIN refusal r"
    " ON r.app = ? AND r.client = wanted.value AND r.conversation = ?"
)
#: A conversation that was deleted meanwhile is left out.
REFUSE = "INSERT OR IGNORE INTO refusal (app, client, conversation) SELECT ?, ?, key FROM conversation WHERE key = ?"
ACCEPT = "DELETE FROM refusal WHERE app = ? AND client = ? AND conversation = ?"
COUNT_REFUSED = "SELECT count(*) FROM refusal WHERE app = ? AND client = ?"


class Blacklists:
    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def blocked(self, conversation: Conversation, start: int, limit: int) -> list[str]:
        return await self._texts(BLOCKED, conversation.key, limit, start)

    async def refused(self, app_key: int, client: str, start: int, limit: int) -> list[str]:
        return await self._texts(REFUSED, app_key, client, limit, start)

    async def which_refused(self, app_key: int, client: str, conversation_ids: Sequence[str]) -> set[str]:
        return set(await self._texts(WHICH_REFUSED, json.dumps(list(conversation_ids)), app_key, client))

    def refuse(
        self,
        app_key: int,
        client: str,
        conversations: Sequence[Conversation],
        limit: int,
        committed: Callable[[], None],
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> None:
            bound.exec_driver_sql(REFUSE, [(app_key, client, conversation.key) for conversation in conversations])
            if int(bound.exec_driver_sql(COUNT_REFUSED, (app_key, client)).scalar_one()) > limit:
                raise Refused(errors.BLACKLIST_FULL, f"a client refuses at most {limit} conversations")

        return self._writer.call_then(change, lambda _: committed())

    def accept(
        self, app_key: int, client: str, conversations: Sequence[Conversation], committed: Callable[[], None]
    ) -> Awaitable[object]:
        def change(bound: sa.Connection) -> None:
            bound.exec_driver_sql(ACCEPT, [(app_key, client, conversation.key) for conversation in conversations])

        return self._writer.call_then(change, lambda _: committed())

    async def _texts(self, query: str, *values: object) -> list[str]:
        def read(driver: Any) -> list[str]:
            return [text for (text,) in driver.execute(query, values)]

        return await self._reader.run(read)


# inside a write


def barred(bound: sa.Connection, conversation: Conversation, clients: Sequence[str], by: str) -> tuple[str, ...]:
    """Those of the clients that `by` can't make members: blocked, or refusing to be added by others.

    A client that refuses the conversation and joins it by itself refuses it no more.
    """
    if not clients:
        return ()
    left_out = blocked(bound, conversation.key, clients)
    if tuple(clients) == (by,):
        if not left_out:
            bound.exec_driver_sql(ACCEPT, (conversation.app_key, by, conversation.key))
    else:
        left_out |= refusing(bound, conversation.app_key, conversation.key, clients)
    return tuple(client for client in clients if client in left_out)


def blocked(bound: sa.Connection, conversation: int, clients: Sequence[str]) -> set[str]:
    """Those of the clients that the conversation blocks."""
    found = bound.exec_driver_sql(WHO_IS_BLOCKED, (json.dumps(list(clients)), conversation))
    return {client for (client,) in found}


def refusing(bound: sa.Connection, app_key: int, conversation: int, clients: Sequence[str]) -> set[str]:
    """Those of the clients that refuse the conversation."""
    found = bound.exec_driver_sql(WHO_REFUSES, (json.dumps(list(clients)), app_key, conversation))
    return {client for (client,) in found}
