"""The soak counts exactly, and notices what is missing, doubled, out of order, or leaking. Figures are not judged."""

from collections import Counter
from pathlib import Path

import pytest

from hongyan.bench.record import Record, Told
from hongyan.bench.soak import MIB, _leak, _memory, quantile
from tests.bench.test_cli import PATIENT, bench

pytestmark = PATIENT


@pytest.mark.long
def test_soak(tmp_path: Path) -> None:
    sizes = ("--pairs", "12", "--groups", "2", "--members", "10", "--room", "12", "--processes", "2")
    report = bench("soak", "--minutes", "0.08", "--warm-up", "0.1", *sizes, output=tmp_path)
    assert [run["name"] for run in report["runs"]] == ["highest rate", "soak"]
    for run in report["runs"]:
        assert run["faults"] == []
        assert 0 < run["sent"] == run["acknowledged"] == run["stored"]
        assert 0 < run["due_throughout"] == run["received_throughout"]
        assert run["due_cut"] == run["received_cut"] >= run["read_cut"]
    run = report["runs"][-1]
    assert run["read_cut"] > 0
    assert min(run[name] for name in ("cuts", "group_stays", "room_stays", "received_guests", "pages")) > 0
    assert len(run["steps"]) == 10
    for step in run["steps"]:
        assert min(step["rss"], step["connections"], step["database_bytes"], step["deliveries_per_second"]) > 0
        assert step["ack_p50_ms"] <= step["ack_p99_ms"]


def place(number: int) -> tuple[int, str]:
    return number, str(number)


def heard(*numbers: int, late: bool = False) -> tuple[Record, list[str]]:
    """What tom has of what jerry says."""
    faults: list[str] = []
    record = Record("tom", "c", faults, late=late)
    for number in numbers:
        record.hear("jerry", number, place(number))
    return record, faults


@pytest.mark.parametrize(("numbers", "faults"), [((1, 2, 3), 0), ((2,), 1), ((1, 1), 1), ((1, 3), 1), ((2, 1), 2)])
def test_what_is_delivered_once_and_in_order_is_no_fault(numbers: tuple[int, ...], faults: int) -> None:
    assert len(heard(*numbers)[1]) == faults


@pytest.mark.parametrize(("numbers", "faults"), [((7, 8, 9), 0), ((7, 9), 1)])
def test_who_came_late_may_miss_what_was_before(numbers: tuple[int, ...], faults: int) -> None:
    assert len(heard(*numbers, late=True)[1]) == faults


def test_what_was_missed_comes_from_history_and_the_rest_once() -> None:
    record, faults = heard(1, 2)
    record.wait()
    record.hear("jerry", 5, place(5))
    record.fill([("jerry", 3, place(3)), ("tom", 1, place(3)), ("jerry", 4, place(4)), ("jerry", 5, place(5))])
    record.go_on()
    record.hear("tom", 1, place(3))
    record.hear("jerry", 6, place(6))
    assert (record.pushed, record.read, record.place, faults) == (3, 3, place(6), [])
    assert record.digest == heard(1, 2, 3, 4, 5, 6)[0].digest
    record.hear("jerry", 5, place(5))
    assert len(faults) == 1


def test_a_gap_that_history_does_not_fill_is_a_fault() -> None:
    record, faults = heard(1)
    record.wait()
    record.hear("jerry", 4, place(4))
    record.fill([("jerry", 2, place(2))])
    record.go_on()
    assert faults == ["tom received message 4 of jerry after 2 in c"]


def test_history_is_as_it_was_heard() -> None:
    faults: list[str] = []
    told = Told("c", ["jerry", "spike"], faults)
    told.read([("jerry", 1, place(1)), ("spike", 1, place(2))])
    told.read([("jerry", 2, place(3))])
    assert (told.stored, told.place, faults) == (Counter(jerry=2, spike=1), place(3), [])
    assert told.digest("spike") == heard(1, 2)[0].digest
    assert len({told.digest(who) for who in ("tom", "jerry", "spike")}) == 3
    told.read([("jerry", 2, place(3))])
    assert len(faults) == 1


def test_quantiles_of_counts() -> None:
    counts = Counter(range(10, 1010, 10))
    assert [quantile(counts, percent) for percent in (1, 50, 99, 100)] == [2, 51, 100, 100]
    assert quantile(Counter(), 50) is None


@pytest.mark.parametrize(
    ("growing", "grown", "leaks"),
    [(0, 0, 0), (1, 15, 0), (3, 45, 1), (-3, -45, 0)],
    ids=["flat", "slow", "leak", "less"],
)
def test_memory_that_grows_clearly_in_the_second_half_is_a_fault(growing: int, grown: int, leaks: int) -> None:
    steps = [
        {"second": 60.0 * n, "rss": (100 + growing * max(0, n - 15)) * MIB, "wal_bytes": 1}
        | dict.fromkeys(("ack_p99_ms", "connections", "database_bytes"), 1)
        for n in range(1, 31)
    ]
    figures = _memory(steps)
    assert round(figures["rss_growth"] / MIB) == pytest.approx(grown, abs=3)
    assert len(_leak(figures, 900)) == leaks
    assert _leak(figures, 6) == []
