"""What has come and gone leaves nothing behind: no connection, session, task or waiter, and no memory."""

import asyncio
import gc
import random
import re
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hongyan.engine import access as access_module
from hongyan.engine import limits as limits_module
from hongyan.engine import notifications as notifications_module
from hongyan.engine import patterns
from hongyan.engine import visitors as visitors_module
from hongyan.engine.access import _Loading
from hongyan.gateway import connection as connection_module
from hongyan.gateway.connection import Connection
from hongyan.gateway.registry import Session
from hongyan.store import plan as plan_module
from tests.fuzz.corpus import garbage, spoken
from tests.fuzz.harness import HOME, LIMITED, Harness, Running, running
from tests.fuzz.inputs import SUBPROTOCOLS
from tests.fuzz.peers import Peer
from tests.support.client import command

ROUNDS = 18
INPUTS = 200
#: Entries that each cache may have here, so that all are full before memory is compared.
CACHED = 40
#: Bytes by which memory may differ: other texts in the caches, other sizes of tables.
TOLERANCE = 64_000
KINDS = (Connection, Session, _Loading, Peer, asyncio.Task, asyncio.Future, asyncio.Semaphore, asyncio.TimerHandle)


@pytest.fixture
def small_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server whose caches are small, and which does not wait for the close of peers that are gone."""
    monkeypatch.setattr(access_module, "CONVERSATIONS_MAX", CACHED)
    monkeypatch.setattr(limits_module, "CLIENTS_MAX", CACHED)
    monkeypatch.setattr(plan_module, "HEADS_MAX", CACHED)
    monkeypatch.setattr(plan_module, "AUTHORS_MAX", CACHED)
    monkeypatch.setattr(visitors_module, "KNOWN_MAX", CACHED)
    monkeypatch.setattr(visitors_module, "GATHER", 0.0)
    monkeypatch.setattr(
        notifications_module.Recent.__init__, "__defaults__", (CACHED, notifications_module.KEPT_BYTES_MAX)
    )
    monkeypatch.setattr(connection_module, "CLOSE_PATIENCE", 0.0)
    with running(tmp_path) as made:
        yield made


@pytest.mark.long
def test_nothing_is_left_of_thousands_of_bad_inputs(small_server: Running) -> None:
    harness, chance = small_server.harness, random.Random(1)
    small_server.run(settings(harness))
    alive: list[Counter[str]] = []
    traced: list[int] = []
    tracemalloc.start()
    try:
        for number in range(ROUNDS):
            small_server.run(harness.attempt(crowd(harness, chance)))
            small_server.run(an_hour_passes(harness))
            if number % (ROUNDS // 3) == ROUNDS // 3 - 1:
                empty_caches(harness)
                gc.collect()
                alive.append(living())
                traced.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert alive[0] == alive[1] == alive[2]
    assert traced[2] - traced[1] < TOLERANCE, traced
    check_bounds(harness)


async def settings(harness: Harness) -> None:
    for app in (HOME, LIMITED):
        await harness.engine.apps.change(app, {"session_ttl": "1"})


async def crowd(harness: Harness, chance: random.Random) -> None:
    """Guests of all subprotocols and in all states send garbage, are refused and leave in different ways."""
    guests = [harness.connect(name, client) for name in SUBPROTOCOLS for client in (None, f"m{chance.random()}")]
    guests.append(harness.connect(client=f"m{chance.random()}", app=LIMITED))
    for _ in range(100):  # more than its limits allow
        guests[-1].say(command("session", "query"))
    for payload in garbage(chance, INPUTS):
        place = chance.randrange(len(guests))
        if not guests[place].is_open:
            guests[place] = harness.connect(guests[place].connection.subprotocol.name, chance.choice([None, "m"]))
        guests[place].pass_on(harness.real(payload))
    for request in spoken():
        guests[0].pass_on(harness.real(request.SerializePartialToString()))
    guests[1].stop_reading()
    for guest in chance.sample(guests[2:], 4):
        guest.leave()  # in the middle of things


async def an_hour_passes(harness: Harness) -> None:
    """Tokens expire and are forgotten."""
    harness.ahead += 3_600_000
    await harness.store.prune()


def empty_caches(harness: Harness) -> None:
    """Of statements and patterns, which have bounds of their own that take long to reach."""
    for engine in (harness.store._engine, harness.store._reader._engine):
        engine.clear_compiled_cache()
    patterns.searcher.cache_clear()
    re.purge()


def living() -> Counter[str]:
    """How many objects there are of each kind that one input can make."""
    found = Counter(kind.__name__ for thing in gc.get_objects() for kind in KINDS if isinstance(thing, kind))
    return found


def check_bounds(harness: Harness) -> None:
    engine = harness.engine
    assert len(engine.access._cache) <= CACHED
    assert engine.access._members == sum(len(one.members) + len(one.standings) for one in engine.access._cache.values())
    assert len(engine.limits._buckets) <= CACHED
    assert len(harness.store.writer._heads) <= CACHED
    assert len(engine.sessions._revoked) < INPUTS
    assert len(engine.visitors._known) <= CACHED
    assert len(harness.store.writer._authors) <= CACHED
    assert not engine.messages._pending
    assert not engine.access._loading
    assert harness.gateway.flusher._waiting == []
