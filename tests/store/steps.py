"""What tests do with a store, in few words."""

import asyncio
import contextlib
import re
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from hongyan.engine.values import Conversation, ConversationDraft, ConversationKind, ConversationRow, Draft, Stored
from hongyan.errors import Refused
from hongyan.store import Store, database

APP = 1
NOON = 1_800_000_000_000
"""A time for clocks that a test sets (ms)."""
PATIENCE = 60.0
"""Seconds after which a thread that does not come is an error; far more than any takes."""

Outcome = asyncio.Future[Stored | Refused]


class Wall:
    """A wall clock that stands where it is set (ms)."""

    def __init__(self, at: int = NOON) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


async def create(store: Store, *members: str, app: int = APP, **fields: Any) -> tuple[ConversationRow, bool]:
    """A conversation of the members, the first of whom creates it, as (row, whether it was there)."""
    results: list[tuple[ConversationRow, Conversation, bool]] = []
    draft = ConversationDraft(ConversationKind.NORMAL, members[0], members, **fields)
    await store.conversations.create(app, draft, lambda *result: results.append(result))
    ((row, _, existing),) = results
    return row, existing


async def start(store: Store, *members: str, app: int = APP, **fields: Any) -> Conversation:
    """A conversation of the members, as messages need it."""
    row, _ = await create(store, *members, app=app, **fields)
    return await load(store, row.id, app)


async def service(store: Store, app: int = APP) -> Conversation:
    made: list[ConversationRow] = []
    draft = ConversationDraft(ConversationKind.SERVICE, "", ())
    await store.conversations.create(app, draft, lambda row, conversation, existing: made.append(row))
    return await load(store, made[0].id, app)


async def load(store: Store, conversation_id: str, app: int = APP) -> Conversation:
    found = await store.conversations.load(app, conversation_id)
    assert found is not None
    return found


def submit(store: Store, conversation: Conversation, sender: str, text: str | bytes = "hello", **draft: Any) -> Outcome:
    """Hands a message to the store; the future gets what the store tells."""
    outcome: Outcome = asyncio.get_running_loop().create_future()
    store.messages.append(conversation, sender, Draft(text, **draft), outcome.set_result)
    return outcome


async def send(
    store: Store, conversation: Conversation, sender: str, text: str | bytes = "hello", **draft: Any
) -> Stored:
    """Writes a message that must not be refused."""
    outcome = await submit(store, conversation, sender, text, **draft)
    assert isinstance(outcome, Stored), outcome
    return outcome


@contextlib.asynccontextmanager
async def held(store: Store) -> AsyncIterator[None]:
    """Keeps the writer busy with a batch of its own: what is submitted meanwhile forms the next one."""
    entered, release = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        entered.set()
        assert release.wait(PATIENCE)

    holding = store.writer.call(hold)
    assert await asyncio.to_thread(entered.wait, PATIENCE)
    try:
        yield
    finally:
        release.set()
        await holding


async def on_driver(store: Store, use: Callable[[Any], Any]) -> Any:
    """The result of `use(driver connection)`, run by the writer."""
    return await store.writer.call(lambda bound: use(bound.connection.driver_connection))


async def traced(store: Store) -> list[str]:
    """A list to which every statement of the writer's is added from now on, as it begins."""
    statements: list[str] = []
    await on_driver(store, lambda driver: driver.set_trace_callback(statements.append))
    statements.clear()  # what belonged to the call above: its commit is over
    return statements


def kind(statement: str) -> str:
    """`INSERT message`, `SELECT conversation`, `COMMIT`: what a statement does, and to which table."""
    found = re.match(
        r"(?:WITH .*?\) )?(?:(SELECT) .*? FROM|(INSERT)(?: OR IGNORE)? INTO|(UPDATE)|(DELETE) FROM) (\w+)",
        statement,
        re.DOTALL,
    )
    return " ".join(filter(None, found.groups())) if found else statement


def batches(statements: list[str]) -> list[list[str]]:
    """The kinds of the statements of each batch."""
    found: list[list[str]] = []
    for statement in map(kind, statements):
        if statement == "BEGIN IMMEDIATE":
            found.append([])
        found[-1].append(statement)
    return found


def rows(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """What another connection to the file sees, as another process would."""
    with contextlib.closing(database.connect(path, read_only=True)) as connection:
        found: list[tuple[Any, ...]] = connection.execute(query, values).fetchall()
        return found


def damage(path: Path, table: str) -> None:
    """Writes over the table's page in the file."""
    ((page,),) = rows(path, "SELECT rootpage FROM sqlite_master WHERE name = ?", table)
    with path.open("r+b") as file:
        file.seek((page - 1) * database.PAGE_SIZE)
        file.write(b"\xff" * database.PAGE_SIZE)
