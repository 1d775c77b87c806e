"""Conversations for tests of the HTTP door, made by the engine."""

import asyncio
from typing import Any

from hongyan.engine.engine import Engine
from hongyan.engine.values import App, ConversationDraft, ConversationKind, Draft, Stored

#: All that a message of history always has.
RECORD = {"msg-id", "timestamp", "from", "to", "conv-id", "data", "bin", "is-conv", "is-room", "from-ip"}


async def group(engine: Engine, app: App, *members: str) -> str:
    """The id of a new conversation; the first member makes it."""
    made: list[Any] = []
    await engine.conversations.start(
        app, members[0], members, "", unique=False, reply=lambda *reply: made.append(reply[0])
    )
    return str(made[0].id)


async def room(engine: Engine, app: App) -> str:
    """The id of a new chat room."""
    return await _make(engine, app, ConversationKind.CHATROOM)


async def service(engine: Engine, app: App, *subscribers: str) -> str:
    """The id of a new service conversation."""
    row = await engine.services.create(app, {"name": "news"})
    for client in subscribers:
        await engine.services.subscribe(app, await engine.services.find(app, row.id), client, "", lambda _: None)
    return row.id


async def _make(engine: Engine, app: App, kind: ConversationKind) -> str:
    rows: list[Any] = []
    draft = ConversationDraft(kind, "ann", ())
    await engine.access._store.create(app.key, draft, lambda row, conversation, _: rows.append(row))
    return str(rows[0].id)


async def say(engine: Engine, app: App, sender: str, cid: str, content: str | bytes, **draft: Any) -> Stored:
    """A client's message."""
    sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    engine.messages.send(app, sender, cid, Draft(content, **draft), sent.set_result)
    place = await sent
    assert isinstance(place, Stored), place
    return place


def texts(records: list[dict[str, Any]]) -> list[str]:
    return [record["data"] for record in records]
