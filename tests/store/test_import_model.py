"""Histories merged in any order among live messages and marks of reading, compared with counting."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hongyan.engine.clock import Clock
from hongyan.engine.imported import Imported, ImportedHistory, ImportedMessage
from hongyan.engine.values import Arrived, Conversation, HistoryRange, Stored, Unread
from hongyan.store import Store
from tests.store.steps import APP, Wall, rows, send, start

CLIENTS = ("ann", "bob", "cem")
IMPORTABLE = 12
"""Times before and among the live messages at which imported ones may be (ms)."""


@dataclass(frozen=True)
class Say:
    who: str


@dataclass(frozen=True)
class Read:
    """Up to a time, counted from the start; None: everything."""

    who: str
    upto: int | None


@dataclass(frozen=True)
class Receive:
    """Acknowledge the message of an index, if there is one."""

    who: str
    which: int


@dataclass(frozen=True)
class Import:
    """Messages by time and id."""

    places: frozenset[tuple[int, str]]


WHO = st.sampled_from(CLIENTS)
PLACE = st.tuples(st.integers(-3, IMPORTABLE), st.sampled_from(["!a", "m", "zz"]))
STEP = st.one_of(
    st.builds(Say, WHO),
    st.builds(Read, WHO, st.none() | st.integers(-3, IMPORTABLE)),
    st.builds(Receive, WHO, st.integers(0, 9)),
    st.builds(Import, st.frozensets(PLACE, min_size=1, max_size=6)),
)
PATIENT = settings(max_examples=60)


class World:
    """A conversation in a store, and what must be so of it."""

    def __init__(self, store: Store, wall: Wall, conversation: Conversation) -> None:
        self.store = store
        self.wall = wall
        self.conversation = conversation
        self.began = wall.at
        self.live: list[tuple[Stored, str]] = []
        self.imported: set[tuple[int, str]] = set()
        self.unread: dict[str, set[str]] = {client: set() for client in CLIENTS}
        self.missed: dict[str, set[str]] = {client: set() for client in CLIENTS}

    async def take(self, step: Say | Read | Receive | Import) -> None:
        match step:
            case Say(who):
                self.wall.at += 2
                stored = await send(self.store, self.conversation, who)
                self.live.append((stored, who))
                for client in CLIENTS:
                    if client != who:
                        self.unread[client].add(stored.id)
                        self.missed[client].add(stored.id)
            case Read(who, upto):
                until = None if upto is None else self.began + upto
                await self.store.messages.mark_read(self.conversation, who, until, lambda *told: None)
                self.unread[who] -= {m.id for m, _ in self.live if until is None or m.timestamp <= until}
            case Receive(who, which):
                if which < len(self.live):
                    await self.receive(who, self.live[which][0])
            case Import(places):
                await self.bring_in(places)

    async def receive(self, who: str, message: Stored) -> None:
        told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        arrived = Arrived(message.timestamp, message.timestamp, message.id)
        self.store.messages.mark_received(self.conversation, who, arrived, told.set_result)
        await told
        self.missed[who].discard(message.id)

    async def bring_in(self, places: frozenset[tuple[int, str]]) -> None:
        wanted = sorted((self.began + offset, name) for offset, name in places if self.began + offset <= self.wall.at)
        if not wanted:
            return
        messages = [ImportedMessage(name, at, "old", b"was") for at, name in wanted]
        new = set(wanted) - self.imported
        done = await write(self.store, [ImportedHistory(self.conversation.id, messages)])
        assert done == Imported(new=len(new), same=len(wanted) - len(new))
        self.imported |= new

    async def check(self, path: Path) -> None:
        expected = sorted([*self.imported, *((m.timestamp, m.id) for m, _ in self.live)])
        key = self.conversation.key
        found = rows(path, "SELECT timestamp, id, seq FROM message WHERE conversation = ? ORDER BY timestamp, id", key)
        assert [row[:2] for row in found] == expected
        last = found[-1][2] if found else 0
        assert [row[2] for row in found] == list(range(last - len(found) + 1, last + 1))
        head = rows(path, "SELECT last_seq, last_message_at FROM conversation WHERE key = ?", key)
        assert head == [(last, expected[-1][0] if expected else None)]
        page = await self.store.messages.page(self.conversation, HistoryRange(limit=1000))
        assert [(m.timestamp, m.id) for m in page] == expected
        for client in CLIENTS:
            assert await self.count(client) == len(self.unread[client]), client
            missed = await self.store.messages.missed(APP, client, 1_000, 100, 100)
            here = [each for each in missed if each.conversation_id == self.conversation.id]
            told = {message.id for each in here for message in each.messages}
            assert told & {name for _, name in self.imported} == set()
            assert told <= self.missed[client]

    async def count(self, client: str) -> int:
        found, _ = await self.store.messages.unread(APP, client, None, 1_000)
        mine: list[Unread] = [each for each in found if each.conversation_id == self.conversation.id]
        return mine[0].count if mine else 0


async def write(store: Store, histories: list[ImportedHistory]) -> Imported:
    return await store.imports.write(APP, histories, lambda changed, services: None)


Steps = list[Say | Read | Receive | Import]


@pytest.fixture
def living(empty_database: Path, tmp_path: Path) -> Iterator[Callable[[Steps], None]]:
    """Lives through steps in a new conversation, and looks after each."""
    path = Path(shutil.copy(empty_database, tmp_path / "hongyan.db"))
    wall = Wall()
    with asyncio.Runner() as runner:

        async def opened() -> Store:
            store = Store.open(path, bytes(32), Clock(wall, lambda: 0))
            store.start(asyncio.get_running_loop())
            return store

        store = runner.run(opened())

        async def live(steps: Steps) -> None:
            world = World(store, wall, await start(store, *CLIENTS))
            for step in steps:
                await world.take(step)
                await world.check(path)

        yield lambda steps: runner.run(live(steps))
        runner.run(store.close())


@pytest.mark.long
@PATIENT
@given(steps=st.lists(STEP, max_size=14))
def test_merged_histories_stand_in_order_and_are_never_unread(steps: Steps, living: Callable[[Steps], None]) -> None:
    living(steps)
