"""Unread counts after any history in which old messages are swept again and again, compared with counting."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hongyan.engine.clock import Clock
from hongyan.engine.values import Cutoffs, HistoryRange, Stored
from hongyan.store import Store
from tests.store.steps import Wall, start, submit
from tests.store.test_unread_model import CLIENTS, State, state_of

SEND, READ, SWEEP, LEAVE, JOIN, LOOK = "send", "read", "sweep", "leave", "join", "look"
WHO = st.sampled_from(CLIENTS)
#: A time or a number of messages, counted from the start.
WHEN = st.integers(0, 12)
STEP = st.one_of(
    st.tuples(st.just(SEND), WHO, st.frozensets(WHO, max_size=2), st.booleans()),
    st.tuples(st.just(READ), WHO, st.none() | WHEN),
    st.tuples(st.just(SWEEP), WHEN),
    st.tuples(st.sampled_from([LEAVE, JOIN, LOOK]), WHO),
)


class Model:
    """A list of what was said; what is swept is None."""

    def __init__(self) -> None:
        self.said: list[tuple[int, str, frozenset[str], bool] | None] = []
        self.times: list[int] = []
        self.read = dict.fromkeys(CLIENTS, 0)

    def state(self, client: str) -> State:
        later = [message for message in self.said[self.read[client] :] if message is not None]
        others = [message for message in later if message[1] != client]
        return len(others), any(client in message[2] or message[3] for message in others)


class World:
    def __init__(self, path: Path) -> None:
        self.runner = asyncio.Runner()
        self.apps = itertools.count(1)
        self.wall = Wall()
        self.store = Store.open(path, bytes(32), Clock(self.wall, lambda: 0))
        self.store.start(self.runner.get_loop())

    def close(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("sweep") / "hongyan.db")
    yield made
    made.close()


@settings(max_examples=80)
@given(steps=st.lists(STEP, max_size=40))
def test_counts_are_those_of_counting_what_is_left(world: World, steps: list[tuple[object, ...]]) -> None:
    world.runner.run(play(world, steps))


async def play(world: World, steps: list[tuple[object, ...]]) -> None:
    store, app, model = world.store, next(world.apps), Model()
    conversation = await start(store, *CLIENTS, app=app)
    base = world.wall.at
    known: dict[str, State] = {}
    asked_at: dict[str, int | None] = dict.fromkeys(CLIENTS)
    for step in steps:
        match step:
            case ("send", str(who), frozenset(mentions), bool(to_all)):
                outcome = await submit(store, conversation, who, mentions=tuple(mentions), mention_all=to_all)
                if who in model.read:
                    assert isinstance(outcome, Stored)
                    assert outcome.seq == len(model.said) + 1
                    model.said.append((outcome.timestamp, who, mentions, to_all))
                    model.times.append(outcome.timestamp)
            case ("read", str(who), upto) if who in model.read:
                until = None if upto is None else base + int(str(upto))
                await store.messages.mark_read(conversation, who, until, lambda *_: None)
                seen = sum(until is None or time <= until for time in model.times)
                swept = sum(message is None for message in model.said)
                if seen > swept:
                    model.read[who] = max(model.read[who], seen)
            case ("sweep", int(when)):
                await sweep(store, app, base + when)
                model.said = [
                    None if time < base + when else message
                    for time, message in zip(model.times, model.said, strict=True)
                ]
            case ("leave", str(who)) if who in model.read:
                await store.conversations.remove_members(conversation, [who], lambda _: None)
                del model.read[who]
                known.pop(who, None)
            case ("join", str(who)) if who not in model.read:
                await store.conversations.add_members(conversation, [who], 500, lambda _: None)
                model.read[who] = len(model.said)
            case ("look", str(who)):
                found, asked_at[who] = await store.messages.unread(app, who, asked_at[who], 50)
                if found:
                    known[who] = state_of(found[0])
                if who in model.read:
                    assert known.get(who, (0, False)) == model.state(who)
        world.wall.at += 1
        await check(store, app, model)
    left = await store.messages.page(conversation, HistoryRange(1000, newer=True))
    assert [message.timestamp for message in left] == [message[0] for message in model.said if message is not None]


async def sweep(store: Store, app: int, before: int) -> None:
    expired = []
    after: int | None = 0
    while after is not None:
        found, after = await store.sweep.look(after, {app: Cutoffs(before, None)})
        expired += found
    while expired:
        _, expired = await store.sweep.delete_messages(expired)


async def check(store: Store, app: int, model: Model) -> None:
    for client in CLIENTS:
        found, _ = await store.messages.unread(app, client, None, 50)
        expected = model.state(client) if client in model.read else (0, False)
        assert [state_of(each) for each in found] == ([expected] if expected[0] else [])
