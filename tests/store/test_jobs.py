"""Work that follows from writes: in the same transaction, found lane by lane, kept until it is done."""

import asyncio
import itertools
from collections.abc import Callable, Set

import pytest
import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.values import Conversation, Draft, Stored
from hongyan.engine.work import NewJob, Postponed
from hongyan.errors import Refused
from hongyan.store import Store, jobs
from hongyan.store.store import DEAD_JOB_WINDOW
from tests.store.conftest import OpenStore
from tests.store.steps import Wall, held, on_driver, start

APP = 1


def job(text: str = "x", lane: str = "hook:1", after: int = 0) -> NewJob:
    return NewJob(APP, lane, "test", text.encode(), after)


def following(conversation: Conversation, place: Stored) -> list[NewJob]:
    return [job(f"{conversation.id} {place.seq} {place.id}")]


async def send_with_jobs(store: Store, conversation: Conversation, token: str = "") -> Stored:
    future: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()
    draft = Draft("hello", token=token, following=following)
    store.messages.append(conversation, "ann", draft, future.set_result)
    outcome = await future
    assert isinstance(outcome, Stored)
    return outcome


async def waiting(store: Store, lane: str = "hook:1") -> list[str]:
    return [found.body.decode() for found in await store.jobs.next(lane, 1_000)]


async def test_a_message_and_what_follows_from_it_are_one_transaction(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    told: list[Set[str]] = []
    store.jobs.on_new(told.append)
    async with held(store):
        sending = [asyncio.ensure_future(send_with_jobs(store, conversation)) for _ in range(3)]
        await asyncio.sleep(0)
    places = await asyncio.gather(*sending)
    assert await waiting(store) == [f"{conversation.id} {place.seq} {place.id}" for place in places]
    assert told == [{"hook:1"}]


async def test_a_message_that_is_sent_again_has_no_second_job(store: Store) -> None:
    conversation = await start(store, "ann", "bob")
    await send_with_jobs(store, conversation, "token")
    assert (await send_with_jobs(store, conversation, "token")).repeated
    assert len(await waiting(store)) == 1


async def test_a_refused_change_leaves_no_job(store: Store) -> None:
    def refuse(bound: sa.Connection) -> None:
        raise Refused(errors.INTERNAL_ERROR, "no")

    with pytest.raises(Refused):
        await store.writer.call_then(refuse, lambda _: None, following=lambda _: [job()])
    assert await store.jobs.lanes() == []


async def test_a_change_whose_jobs_cannot_be_made_is_refused(store: Store) -> None:
    def fail(outcome: object) -> list[NewJob]:
        raise ZeroDivisionError

    with pytest.raises(Refused):
        await store.writer.call_then(
            lambda bound: bound.exec_driver_sql("INSERT INTO meta VALUES ('a', 'b')"), lambda _: None, following=fail
        )
    assert await on_driver(store, lambda driver: driver.execute("SELECT * FROM meta WHERE name = 'a'").fetchall()) == []


async def test_jobs_wait_lane_by_lane_in_the_order_in_which_they_are_due(store: Store, wall: Wall) -> None:
    await store.jobs.add([job("late", after=500), job("first"), job("other", "webhook:2"), job("second")])
    assert await store.jobs.lanes() == ["hook:1", "webhook:2"]
    assert await waiting(store) == ["first", "second", "late"]
    assert await waiting(store, "webhook:2") == ["other"]
    first = (await store.jobs.next("hook:1", 1))[0]
    assert (first.attempts, first.error, first.dead_at) == (0, "", None)
    assert first.due_at == first.created_at == wall()


async def test_what_is_done_is_forgotten_and_what_follows_is_kept_with_that(store: Store) -> None:
    await store.jobs.add([job("a"), job("b")])
    a, b = await store.jobs.next("hook:1", 9)
    assert a.id != b.id
    await store.jobs.settle([a.key], [Postponed(b.key, b.due_at + 9, 1, "why")], [job("c", "push:1")])
    (again,) = await store.jobs.next("hook:1", 9)
    assert (again.id, again.due_at, again.attempts, again.error) == (b.id, b.due_at + 9, 1, "why")
    assert await waiting(store, "push:1") == ["c"]


async def test_dead_jobs_are_listed_revived_and_pruned(store: Store, wall: Wall) -> None:
    await store.jobs.add([job("a"), job("b"), job("c")])
    jobs = await store.jobs.next("hook:1", 9)
    await store.jobs.settle([], [Postponed(each.key, None, 3, "gone") for each in jobs])
    assert await store.jobs.lanes() == []
    dead = await store.jobs.dead(APP, 0, 2)
    assert [(d.body, d.attempts, d.error, d.dead_at) for d in dead] == [(b, 3, "gone", wall()) for b in (b"a", b"b")]
    assert [d.body for d in await store.jobs.dead(APP, dead[-1].key, 2)] == [b"c"]
    assert await store.jobs.dead(APP + 1, 0, 2) == []

    told: list[Set[str]] = []
    store.jobs.on_new(told.append)
    assert await store.jobs.revive(APP + 1, [dead[0].id], 9) == 0
    assert await store.jobs.revive(APP, [dead[0].id, "unknown"], 9) == 1
    assert told[-1] == {"hook:1"}
    assert [(j.id, j.attempts) for j in await store.jobs.next("hook:1", 9)] == [(dead[0].id, 0)]
    wall.at += DEAD_JOB_WINDOW + 1
    await store.prune()
    assert await store.jobs.revive(APP, None, 9) == 0
    assert await waiting(store) == ["a"]


async def test_jobs_are_there_after_a_restart(open_store: OpenStore) -> None:
    store = open_store()
    await store.jobs.add([job("a")])
    (before,) = await store.jobs.next("hook:1", 9)
    await store.close()
    assert await open_store().jobs.next("hook:1", 9) == [before]


async def test_a_thousand_jobs_of_one_write(store: Store) -> None:
    await store.jobs.add([job(str(n)) for n in range(1_000)])
    assert await waiting(store) == [str(n) for n in range(1_000)]
    found = await store.jobs.next("hook:1", 1_000)
    await store.jobs.settle([each.key for each in found])
    assert await store.jobs.lanes() == []


async def test_only_what_waited_is_buried(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes meanwhile stays, however much it is."""
    monkeypatch.setattr(jobs, "STEP", 2)
    await store.jobs.add([job(str(number)) for number in range(3)] + [job("other", "hook:2")])
    step, later = store.writer.call_in_bulk, iter(["a", "b", "c", "d", "e", "f"])

    async def and_more_come(change: Callable[[sa.Connection], int]) -> int:
        done: int = await step(change)
        await store.jobs.add([job(text) for text in itertools.islice(later, 2)])
        return done

    monkeypatch.setattr(store.writer, "call_in_bulk", and_more_come)
    await store.jobs.bury("hook:1", "off")
    assert await waiting(store) == ["a", "b", "c", "d"]
    assert [(each.body, each.error) for each in await store.jobs.dead(APP, 0, 9)] == [
        (b"0", "off"),
        (b"1", "off"),
        (b"2", "off"),
    ]
    assert await waiting(store, "hook:2") == ["other"]
