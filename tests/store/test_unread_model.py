"""Unread counts after any history of sends, reads, joins and leaves, compared with counting."""

import asyncio
import itertools
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hongyan.engine.clock import Clock
from hongyan.engine.values import Conversation, Stored, Unread
from hongyan.errors import Refused
from hongyan.store import Store
from tests.store.steps import Outcome, Wall, held, start, submit

CLIENTS = ("ann", "bob", "cem")
CONVERSATIONS = 2

State = tuple[int, bool]
"""(unread, mentioned)."""


@dataclass(frozen=True)
class Send:
    where: int
    who: str
    mentions: frozenset[str]
    to_all: bool


@dataclass(frozen=True)
class Read:
    """Up to a time, counted from the start of the history; None: everything."""

    where: int
    who: str
    upto: int | None


@dataclass(frozen=True)
class Join:
    where: int
    who: str


@dataclass(frozen=True)
class Leave:
    where: int
    who: str


Step = Send | Read | Join | Leave
WHERE, WHO = st.integers(0, CONVERSATIONS - 1), st.sampled_from(CLIENTS)
STEP = st.one_of(
    st.builds(Send, WHERE, WHO, st.frozensets(WHO, max_size=2), st.integers(0, 5).map(lambda n: n == 0)),
    st.builds(Read, WHERE, WHO, st.none() | st.integers(-1, 12)),
    st.builds(Join, WHERE, WHO),
    st.builds(Leave, WHERE, WHO),
)


@dataclass(frozen=True)
class Batch:
    """What is asked for at once; then the wall clock moves, and some clients look."""

    steps: list[Step]
    wall: int
    looking: frozenset[str]


BATCH = st.builds(Batch, st.lists(STEP, min_size=1, max_size=8), st.sampled_from([0, 1, 5, -3]), st.frozensets(WHO))


@dataclass
class Message:
    time: int
    sender: str
    mentions: frozenset[str]
    to_all: bool


@dataclass
class Model:
    """A conversation as a list of what was said, and how much of it each member has read."""

    said: list[Message] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLIENTS, 0))

    def do(self, step: Step, now: int, base: int) -> None:
        if isinstance(step, Join):
            self.read.setdefault(step.who, len(self.said))
        elif step.who not in self.read:
            return
        elif isinstance(step, Send):
            time = max(now, self.said[-1].time + 1) if self.said else now
            self.said.append(Message(time, step.who, step.mentions, step.to_all))
        elif isinstance(step, Read):
            seen = sum(step.upto is None or message.time <= base + step.upto for message in self.said)
            self.read[step.who] = max(self.read[step.who], seen)
        else:
            del self.read[step.who]

    def state(self, client: str) -> State:
        later = self.said[self.read[client] :]
        others = [message for message in later if message.sender != client]
        return len(others), any(client in message.mentions or message.to_all for message in others)


class World:
    """One store for all examples; each has conversations in an app of its own."""

    def __init__(self, path: Path) -> None:
        self.runner = asyncio.Runner()
        self.apps = itertools.count(1)
        self.wall = Wall()
        self.clock = Clock(self.wall, lambda: 0)
        self.store = Store.open(path, bytes(32), self.clock)
        self.store.start(self.runner.get_loop())

    def close(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("unread") / "hongyan.db")
    yield made
    made.close()


@settings(max_examples=60)
@given(batches=st.lists(BATCH, max_size=6))
def test_counts_are_those_of_counting(world: World, batches: list[Batch]) -> None:
    world.runner.run(Example(world).play(batches))


class Example:
    """The same steps in the store and in the model."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store
        self.app = next(world.apps)
        self.base = world.clock.now()
        self.models = [Model() for _ in range(CONVERSATIONS)]
        self.conversations: list[Conversation] = []
        self.known: dict[str, dict[str, State]] = {client: {} for client in CLIENTS}
        self.asked_at: dict[str, int | None] = dict.fromkeys(CLIENTS)

    async def play(self, batches: list[Batch]) -> None:
        self.conversations = [await start(self.store, *CLIENTS, app=self.app) for _ in self.models]
        for batch in batches:
            async with held(self.store):
                checks = [self._do(step) for step in batch.steps]
            await asyncio.gather(*checks)
            for client in CLIENTS:
                await self._check_unread(client)
            for client in batch.looking:
                await self._look(client)
            self.world.wall.at += batch.wall
        for client in CLIENTS:
            await self._look(client)

    def _do(self, step: Step) -> Awaitable[None]:
        """Asks the store at once and moves the model; the answer is checked when it comes."""
        conversation, model = self.conversations[step.where], self.models[step.where]
        model.do(step, self.world.clock.now(), self.base)
        expected = model.state(step.who) if step.who in model.read else None
        if isinstance(step, Send):
            sent = submit(self.store, conversation, step.who, mentions=tuple(step.mentions), mention_all=step.to_all)
            return check_sent(sent, None if expected is None else len(model.said))
        if isinstance(step, Read):
            told: list[Unread] = []
            upto = None if step.upto is None else self.base + step.upto
            reading = self.store.messages.mark_read(
                conversation, step.who, upto, lambda unread, *_: told.append(unread)
            )
            return check_read(reading, told, expected)
        if isinstance(step, Join):
            return check_done(self.store.conversations.add_members(conversation, [step.who], 500, lambda _: None))
        self.known[step.who].pop(conversation.id, None)
        return check_done(self.store.conversations.remove_members(conversation, [step.who], lambda _: None))

    def _unread(self, client: str) -> dict[str, State]:
        pairs = zip(self.conversations, self.models, strict=True)
        states = {conversation.id: model.state(client) for conversation, model in pairs if client in model.read}
        return {id: state for id, state in states.items() if state[0]}

    async def _check_unread(self, client: str) -> None:
        found, _ = await self.store.messages.unread(self.app, client, None, 50)
        assert {each.conversation_id: state_of(each) for each in found} == self._unread(client)

    async def _look(self, client: str) -> None:
        """A client that asks for what changed since it asked last knows all there is."""
        found, self.asked_at[client] = await self.store.messages.unread(self.app, client, self.asked_at[client], 50)
        known = self.known[client]
        known |= {each.conversation_id: state_of(each) for each in found}
        assert {id: state for id, state in known.items() if state[0]} == self._unread(client)


def state_of(unread: Unread) -> State:
    return unread.count, unread.mentioned


async def check_done(changing: Awaitable[object]) -> None:
    await changing


async def check_sent(sent: Outcome, seq: int | None) -> None:
    outcome = await sent
    assert (outcome.seq if isinstance(outcome, Stored) else None) == seq


async def check_read(reading: Awaitable[object], told: list[Unread], expected: State | None) -> None:
    if expected is None:
        with pytest.raises(Refused):
            await reading
    else:
        await reading
    assert [state_of(unread) for unread in told] == ([] if expected is None else [expected])
