"""Doing the work that follows from writes: at least once, each lane for itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import pytest

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.work import Job, NewJob
from hongyan.errors import Refused
from hongyan.jobs import Failed, Hopeless, Jobs, Kind, ManyKind
from hongyan.store import Store
from tests.store.conftest import OpenStore, open_store, path, wall
from tests.store.steps import Wall

__all__ = ["open_store", "path", "wall"]

APP = 1


def job(text: str, lane: str = "one", kind: str = "test", after: int = 0) -> NewJob:
    return NewJob(APP, lane, kind, text.encode(), after)


class Desk:
    """Does jobs as a test says, and notes them. `expect` waits until so many were begun."""

    def __init__(self) -> None:
        self.begun: list[Job] = []
        self.answers: dict[str, list[Exception]] = {}
        self.following: dict[str, list[NewJob]] = {}
        self.hanging: dict[str, asyncio.Event] = {}
        self._news = asyncio.Condition()

    async def do(self, found: Job) -> list[NewJob] | None:
        text = found.body.decode()
        async with self._news:
            self.begun.append(found)
            self._news.notify_all()
        if text in self.hanging:
            await self.hanging[text].wait()
        if self.answers.get(text):
            raise self.answers[text].pop(0)
        return self.following.get(text)

    async def expect(self, count: int) -> list[str]:
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: len(self.begun) >= count), 30)
        return [found.body.decode() for found in self.begun]


class Bench:
    """A store, a desk, and the jobs between them."""

    def __init__(self, store: Store, wall: Wall, kind: Kind, desk: Desk) -> None:
        self.store, self.wall, self.desk = store, wall, desk
        self.jobs = Jobs(store.jobs, Clock(wall, lambda: 0), {"test": kind})

    async def settled(self) -> None:
        """When no job is under way and none waits to be."""
        while any(lane.running for lane in self.jobs._lanes.values()) or await self.store.jobs.lanes():
            await asyncio.sleep(0.001)


@pytest.fixture
async def make(open_store: OpenStore, wall: Wall) -> AsyncIterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make_(**kind: object) -> Bench:
        desk = Desk()
        how = replace(Kind(desk.do, ()), **kind)  # type: ignore[arg-type]
        bench = Bench(made[-1].store if made else open_store(), wall, how, desk)
        made.append(bench)
        return bench

    yield make_
    for bench in made:
        await bench.jobs.stop(0)


async def test_jobs_are_done_in_order_and_forgotten(make: Callable[..., Bench]) -> None:
    bench = make(at_once=1)
    await bench.jobs.start()
    await bench.store.jobs.add([job(str(n)) for n in range(200)])
    assert await bench.desk.expect(200) == [str(n) for n in range(200)]
    await bench.settled()
    assert await bench.store.jobs.lanes() == []
    assert len(bench.desk.begun) == 200


async def test_what_was_left_over_is_done_after_a_start(make: Callable[..., Bench]) -> None:
    bench = make()
    await bench.store.jobs.add([job("left")])
    await bench.jobs.start()
    assert await bench.desk.expect(1) == ["left"]


async def test_a_lane_that_hangs_delays_no_other(make: Callable[..., Bench]) -> None:
    bench = make(at_once=2)
    for text in ("h1", "h2", "h3"):
        bench.desk.hanging[text] = asyncio.Event()
    await bench.jobs.start()
    await bench.store.jobs.add([job("h1"), job("h2"), job("h3")])
    assert await bench.desk.expect(2) == ["h1", "h2"]  # two at once
    await bench.store.jobs.add([job("b", "two")])
    assert await bench.desk.expect(3) == ["h1", "h2", "b"]
    bench.desk.hanging["h1"].set()
    assert await bench.desk.expect(4) == ["h1", "h2", "b", "h3"]


async def test_a_failure_is_tried_again_when_it_is_due_with_the_same_id(make: Callable[..., Bench]) -> None:
    bench = make(waits=(5.0, 60.0))
    bench.desk.answers["a"] = [Failed("busy"), ZeroDivisionError("bug")]
    await bench.jobs.start()
    await bench.store.jobs.add([job("a")])
    await bench.desk.expect(1)
    await _until_attempts(bench, 1)
    (waiting,) = await bench.store.jobs.next("one", 9)
    assert waiting.error == "busy"
    assert 5_000 <= waiting.due_at - bench.wall.at <= 5_500
    bench.wall.at = waiting.due_at
    bench.jobs.look({"one"})  # the wall of tests does not go by itself
    await bench.desk.expect(2)
    await _until_attempts(bench, 2)
    (waiting,) = await bench.store.jobs.next("one", 9)
    assert waiting.error == "ZeroDivisionError: bug"
    bench.wall.at = waiting.due_at
    bench.jobs.look({"one"})
    await bench.desk.expect(3)
    await bench.settled()
    assert len({found.id for found in bench.desk.begun}) == 1
    assert [found.attempts for found in bench.desk.begun] == [0, 1, 2]


async def _until_attempts(bench: Bench, count: int) -> None:
    while [found.attempts for found in await bench.store.jobs.next("one", 1)] != [count]:
        await asyncio.sleep(0.001)


async def test_what_fails_too_often_or_for_good_is_kept_as_dead(make: Callable[..., Bench]) -> None:
    bench = make(waits=())
    bench.desk.answers = {"often": [Failed("busy")], "never": [Hopeless("refused")]}
    await bench.jobs.start()
    await bench.store.jobs.add([job("often"), job("never"), job("strange", kind="of the future")])
    await bench.settled()
    dead = await bench.store.jobs.dead(APP, 0, 9)
    assert {found.body.decode(): found.error for found in dead} == {
        "often": "busy",
        "never": "refused",
        "strange": "this version does not know jobs of the kind of the future",
    }
    assert await bench.store.jobs.revive(APP, [found.id for found in dead if found.body == b"often"], 9) == 1
    await bench.desk.expect(3)


async def test_a_receiver_that_takes_nothing_rests_as_long_as_it_says(make: Callable[..., Bench]) -> None:
    bench = make(at_once=1, waits=(1.0,))
    bench.desk.answers["a"] = [Failed("429", 30.0, everybody=True)]
    await bench.jobs.start()
    await bench.store.jobs.add([job("a"), job("b")])
    await bench.desk.expect(1)
    await _until_attempts_of(bench, "a", 1)
    bench.wall.at += 29_000
    bench.jobs.look({"one"})
    await bench.store.jobs.add([job("c", "two")])
    assert await bench.desk.expect(2) == ["a", "c"]
    bench.wall.at += 5_000
    bench.jobs.look({"one"})
    assert sorted(await bench.desk.expect(4)) == ["a", "a", "b", "c"]


async def _until_attempts_of(bench: Bench, text: str, count: int) -> None:
    while {found.body.decode(): found.attempts for found in await bench.store.jobs.next("one", 9)}.get(text) != count:
        await asyncio.sleep(0.001)


async def test_what_follows_is_done_too(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.desk.following["a"] = [job("b", "two"), job("c")]
    await bench.jobs.start()
    await bench.store.jobs.add([job("a")])
    assert sorted(await bench.desk.expect(3)) == ["a", "b", "c"]
    await bench.settled()


async def test_a_stop_waits_for_what_is_under_way_and_leaves_the_rest(make: Callable[..., Bench]) -> None:
    bench = make(at_once=2)
    bench.desk.hanging = {"slow": asyncio.Event(), "hangs": asyncio.Event()}
    await bench.jobs.start()
    await bench.store.jobs.add([job("slow"), job("hangs"), job("rest")])
    await bench.desk.expect(2)
    stopping = asyncio.create_task(bench.jobs.stop(0.2))
    await asyncio.sleep(0)
    bench.desk.hanging["slow"].set()
    await stopping
    assert [found.body for found in await bench.store.jobs.next("one", 9)] == [b"hangs", b"rest"]
    again = make()
    await again.jobs.start()
    assert sorted(await again.desk.expect(2)) == ["hangs", "rest"]


async def test_a_full_disk_does_a_job_once_and_notes_it_when_it_can(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    monkeypatch.setattr("hongyan.jobs.TROUBLE", 0.01)
    settle, refusals = bench.store.jobs.settle, [1, 1]

    async def failing(*settled: object) -> None:
        if refusals:
            refusals.pop()
            raise Refused(errors.STORAGE_FULL, "the disk is full")
        await settle(*settled)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.store.jobs, "settle", failing)
    await bench.jobs.start()
    await bench.store.jobs.add([job("a")])
    await bench.settled()
    assert [found.body for found in bench.desk.begun] == [b"a"]
    assert not refusals


class Table:
    """Does jobs together, as a test says, and notes them."""

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self.answers: list[Exception] = []
        self.hanging: asyncio.Event | None = None
        self._news = asyncio.Condition()

    async def do(self, found: Sequence[Job]) -> list[NewJob] | None:
        async with self._news:
            self.begun.append([each.body.decode() for each in found])
            self._news.notify_all()
        if self.hanging is not None:
            await self.hanging.wait()
        if self.answers:
            raise self.answers.pop(0)
        return None

    async def expect(self, count: int) -> list[list[str]]:
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: len(self.begun) >= count), 30)
        return self.begun


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
async def together(open_store: OpenStore, wall: Wall, table: Table) -> AsyncIterator[tuple[Store, Jobs]]:
    """Jobs of which three, of ten bytes, are done together."""
    store = open_store()
    kinds = {"test": ManyKind(table.do, (1.0,), most=3, bytes_max=10), "other": ManyKind(table.do, (), 3, 10)}
    made = Jobs(store.jobs, Clock(wall, lambda: 0), kinds)
    yield store, made
    await made.stop(0)


async def test_jobs_that_are_due_are_done_together(together: tuple[Store, Jobs], table: Table) -> None:
    store, jobs = together
    found = [job(text) for text in ("1", "2", "3", "4", "12345", "123456", "a job of its own")]
    await store.jobs.add([*found, job("5", kind="other"), job("late", after=500)])
    await jobs.start()
    assert await table.expect(5) == [["1", "2", "3"], ["4", "12345"], ["123456"], ["a job of its own"], ["5"]]
    while len(waiting := await store.jobs.next("one", 9)) > 1:
        await asyncio.sleep(0.001)
    assert [each.body for each in waiting] == [b"late"]


async def test_what_comes_meanwhile_waits_and_goes_together(together: tuple[Store, Jobs], table: Table) -> None:
    store, jobs = together
    table.hanging = asyncio.Event()
    await jobs.start()
    await store.jobs.add([job("1")])
    await table.expect(1)
    for text in ("2", "3"):
        await store.jobs.add([job(text)])
    table.hanging.set()
    assert await table.expect(2) == [["1"], ["2", "3"]]


async def test_what_fails_together_is_tried_again_each(together: tuple[Store, Jobs], table: Table, wall: Wall) -> None:
    store, jobs = together
    table.answers = [Failed("busy"), Hopeless("refused")]
    await jobs.start()
    await store.jobs.add([job("1"), job("2")])
    await table.expect(1)
    while [each.attempts for each in await store.jobs.next("one", 9)] != [1, 1]:
        await asyncio.sleep(0.001)
    wall.at += 2_000
    jobs.look({"one"})
    await table.expect(2)
    while len(await store.jobs.dead(APP, 0, 9)) != 2:
        await asyncio.sleep(0.001)
    assert sorted(table.begun[1]) == ["1", "2"]


async def test_a_receiver_may_rest_shorter_than_what_has_failed(make: Callable[..., Bench]) -> None:
    bench = make(at_once=1, waits=(3_600.0,))
    bench.desk.answers["a"] = [Failed("500", pause=10.0)]
    await bench.jobs.start()
    await bench.store.jobs.add([job("a"), job("b")])
    await bench.desk.expect(1)
    await _until_attempts_of(bench, "a", 1)
    bench.wall.at += 9_000
    bench.jobs.look({"one"})
    await bench.store.jobs.add([job("c", "two")])
    assert await bench.desk.expect(2) == ["a", "c"]
    bench.wall.at += 1_000
    bench.jobs.look({"one"})
    assert await bench.desk.expect(3) == ["a", "c", "b"]


async def test_a_read_that_fails_ends_no_lane(make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make()
    monkeypatch.setattr("hongyan.jobs.TROUBLE", 0.01)
    read, failures = bench.store.jobs.next, [1, 1]

    async def failing(lane: str, limit: int) -> list[Job]:
        if failures:
            failures.pop()
            raise OSError("too many open files")
        return await read(lane, limit)

    monkeypatch.setattr(bench.store.jobs, "next", failing)
    await bench.jobs.start()
    await bench.store.jobs.add([job("a")])
    assert await bench.desk.expect(1) == ["a"]


async def test_a_stop_does_not_wait_for_a_full_disk(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    tried = asyncio.Event()

    async def failing(*_: object) -> None:
        tried.set()
        raise Refused(errors.STORAGE_FULL, "the disk is full")

    monkeypatch.setattr(bench.store.jobs, "settle", failing)
    await bench.jobs.start()
    await bench.store.jobs.add([job("a")])
    await tried.wait()
    await asyncio.wait_for(bench.jobs.stop(0.1), 30)
    assert [found.body for found in await bench.store.jobs.next("one", 9)] == [b"a"]


class Gate:
    """Holds back what becomes of jobs until it is opened."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.tried = asyncio.Event(), asyncio.Event()
        self._settle = store.jobs.settle
        monkeypatch.setattr(store.jobs, "settle", self._held)

    async def _held(self, *settled: object) -> None:
        self.tried.set()
        await self.opened.wait()
        await self._settle(*settled)  # type: ignore[arg-type]


async def test_the_next_begin_before_it_is_on_disk_that_others_are_done(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many, as a crash does them twice. Without one none is done twice, though the rows are still there."""
    monkeypatch.setattr("hongyan.jobs.UNWRITTEN_MAX", 4)
    bench = make(at_once=2)
    gate = Gate(bench.store, monkeypatch)
    await bench.jobs.start()
    await bench.store.jobs.add([job(str(n)) for n in range(20)])
    await bench.desk.expect(4)
    await gate.tried.wait()
    await bench.store.jobs.add([job("20")])
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(bench.desk.begun) <= 4 + 2
    gate.opened.set()
    await bench.settled()
    assert sorted(int(found.body) for found in bench.desk.begun) == list(range(21))


@pytest.mark.parametrize("first", [None, [job("after", "two")]], ids=["one at a time", "with what follows"])
async def test_the_next_waits_until_it_is_on_disk(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, first: list[NewJob] | None
) -> None:
    bench = make(at_once=1)
    if first is not None:
        bench.desk.following["a"] = first
    gate = Gate(bench.store, monkeypatch)
    await bench.jobs.start()
    await bench.store.jobs.add([job("a"), job("b")])
    await gate.tried.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert [found.body for found in bench.desk.begun] == [b"a"]
    gate.opened.set()
    await bench.settled()
    assert {found.body for found in bench.desk.begun} >= {b"a", b"b"}
