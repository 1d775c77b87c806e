"""`hongyan bench soak`: everything at once for long, at half the load the machine bears, then exact counts."""

import itertools
import statistics
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hongyan.bench import machine, servers
from hongyan.bench.run import Figures, Line, Options, Screen, check_files, place, split
from hongyan.bench.servers import Server
from hongyan.bench.soak_load import MS_PARTS, SoakPlan, SoakResult, soak_load
from hongyan.bench.talk_run import Reading, ratio
from hongyan.bench.workers import Team, Window

WHAT = "messages/s of the soak, beside the highest rate of the same mix"
MINUTE = 60.0
STEPS_MIN = 10
#: The highest rate is sought for this part of the whole, but not longer (s).
SEARCH_PART, SEARCH_MAX = 0.1, 10.0
#: Memory has leaked if it grew in the second half by more than both. A half shorter than this (s) tells nothing.
LEAK_BYTES = 20 * 1024 * 1024
LEAK_PART = 0.2
HALF_MIN = 60.0
MIB = 1024 * 1024


@dataclass(frozen=True)
class SoakParameters:
    """`pairs` who chat, of whom some are in `groups` of `members` and in a chat room of `room`.

    `rate` is the messages per second of all; without it, half of what the machine can bear.
    """

    minutes: float = 30.0
    pairs: int = 100
    groups: int = 4
    members: int = 50
    room: int = 100
    rate: float | None = None
    size: int = 200


def soak(parameters: SoakParameters, options: Options, screen: Screen) -> Figures:
    """The highest rate, unless one is given; then half of it for as long as was asked."""
    with place(options) as here, servers.hongyan(here.data_dir, here.certificate) as server:
        plan = _whole(server, parameters, options)
        check_files(sum(part.connections for part in _shares(plan, options.processes)))
        file = here.data_dir / "hongyan.db"
        runs, rate = [], parameters.rate
        if rate is None:
            seconds = min(SEARCH_MAX, options.seconds * SEARCH_PART)
            runs = [_run("highest rate", plan, server, file, replace(options, seconds=seconds), screen)]
            rate = runs[0]["messages_per_second"] / 2
        ours = _run("soak", replace(plan, name="soak", rate=rate), server, file, options, screen)
        ours["faults"] += _leak(ours, options.seconds / 2)
        file_system = machine.file_system(here.data_dir)
    return {
        "parameters": asdict(parameters),
        "file_system": file_system,
        "runs": [*runs, ours],
        "ceiling": {"what": WHAT},
        "ratio": ratio(ours["messages_per_second"], runs[0]["messages_per_second"]) if runs else None,
    }


def _whole(server: Server, parameters: SoakParameters, options: Options) -> SoakPlan:
    step = min(MINUTE, options.seconds / STEPS_MIN)
    people = (parameters.pairs, parameters.groups, parameters.members, parameters.room)
    return SoakPlan(server.target, "search", *people, parameters.size, step)


def _shares(plan: SoakPlan, processes: int) -> list[SoakPlan]:
    """A part for each process; the chat room is in the first, whose people fill it."""
    pairs = split(plan.pairs, processes)
    groups = split(plan.groups, len(pairs))
    shares, first = [], plan.first_connection
    for part, (some, few) in enumerate(itertools.zip_longest(pairs, groups, fillvalue=0)):
        room = 0 if part else plan.room
        share = replace(plan, name=f"{plan.name}{part}", pairs=some, groups=few, room=room, first_connection=first)
        shares.append(share)
        first += share.connections
    voices = sum(share.voices for share in shares)
    return [replace(share, rate=plan.rate and plan.rate * share.voices / voices) for share in shares]


def _run(name: str, plan: SoakPlan, server: Server, file: Path, options: Options, screen: Screen) -> Figures:
    line, plans = screen.line(name), _shares(plan, options.processes)
    connections = sum(part.connections for part in plans)
    with Team(soak_load, plans) as team:
        team.at_gate(lambda: line.show("connecting", team.count, connections))
        window = Window.after(options.warm_up, options.seconds)
        team.go(window)
        watch = _Watch(server, file, line, window)
        team.until(window.start, watch.tick)
        before = Reading.take(server, team)
        samples = watch.samples(team, plan.step)
        used = Reading.take(server, team).since(before)
        total = SoakResult()
        for result in team.results(lambda: line.show("checking", 1, 1)):
            total.add(result)
    line.show("done", 1, 1)
    for number, sample in enumerate(samples):
        _add_latencies(sample, total.ack.get(number, Counter()), plan.step)
    return {"name": name, **_rates(total, used, window.seconds), **_memory(samples), **_counts(total), "steps": samples}


class _Watch:
    """Looks at the server from time to time."""

    def __init__(self, server: Server, file: Path, line: Line, window: Window) -> None:
        self._server, self._file, self._line, self._window = server, file, line, window

    def tick(self) -> None:
        """Tell how far it is."""
        passed = time.monotonic() - self._window.start
        self._line.show("warming up" if passed < 0 else "soaking", max(passed, 0.0), self._window.seconds)

    def samples(self, team: Team, step: float) -> list[Figures]:
        """One at the end of each step."""
        found, deliveries = [], self._server.counters()["hongyan_deliveries_total"]
        for number in range(1, max(1, round(self._window.seconds / step)) + 1):
            team.until(min(self._window.start + number * step, self._window.end), self.tick)
            counters = self._server.counters()
            found.append(
                {
                    "second": round(number * step, 1),
                    "rss": machine.rss(self._server.pid),
                    "deliveries_per_second": round((counters["hongyan_deliveries_total"] - deliveries) / step, 1),
                    "connections": int(counters["hongyan_connections"]),
                    "database_bytes": self._file.stat().st_size,
                    "wal_bytes": self._file.with_name(f"{self._file.name}-wal").stat().st_size,
                }
            )
            deliveries = counters["hongyan_deliveries_total"]
        return found


def _add_latencies(sample: Figures, ack: Counter[int], step: float) -> None:
    sample["messages_per_second"] = round(ack.total() / step, 1)
    sample["ack_p50_ms"], sample["ack_p99_ms"] = quantile(ack, 50), quantile(ack, 99)


def quantile(counts: Counter[int], percent: float) -> float | None:
    """`run.percentile` of what is counted in parts of a ms; None if there is nothing."""
    left = min(counts.total() - 1, int(counts.total() * percent / 100))
    for value, count in sorted(counts.items()):
        if left < count:
            return value / MS_PARTS
        left -= count
    return None


def _rates(total: SoakResult, used: Reading, seconds: float) -> Figures:
    ack: Counter[int] = sum(total.ack.values(), Counter())
    return {
        "messages_per_second": round(ack.total() / seconds, 1),
        "deliveries_per_second": round(used.counters["hongyan_deliveries_total"] / seconds, 1),
        "ack_p50_ms": quantile(ack, 50),
        "ack_p99_ms": quantile(ack, 99),
        "page_p99_ms": quantile(total.page, 99),
        "server_us_per_message": ratio(used.server * 1e6, ack.total()),
        "server_cores": round(used.server / seconds, 3),
        "generator_cores": round(used.generator / seconds, 3),
        "other_cores": round(max(used.machine - used.server - used.generator, 0.0) / seconds, 3),
    }


def _memory(samples: list[Figures]) -> Figures:
    """Where memory stood in the middle, and how it grew from there to the end: by the line through the second half."""
    half = samples[len(samples) // 2 :]
    if len(half) > 1:
        slope, start = statistics.linear_regression([s["second"] for s in half], [s["rss"] for s in half])
    else:
        slope, start = 0.0, half[0]["rss"]
    middle, end = half[0]["second"], half[-1]["second"]
    return {
        "worst_ack_p99_ms": max((s["ack_p99_ms"] for s in samples if s["ack_p99_ms"] is not None), default=None),
        "rss_middle": round(start + slope * middle),
        "rss_end": samples[-1]["rss"],
        "rss_growth": round(slope * (end - middle)),
        "connections": samples[-1]["connections"],
        "database_bytes": samples[-1]["database_bytes"],
        "wal_bytes": max(s["wal_bytes"] for s in samples),
    }


def _leak(run: Figures, half: float) -> list[str]:
    """A clear leak is a fault: servers that stay up for a year must not grow."""
    growth, middle = run["rss_growth"], run["rss_middle"]
    if half < HALF_MIN or growth <= max(LEAK_BYTES, LEAK_PART * middle):
        return []
    return [f"memory grew in the second half by {growth / MIB:.0f} MiB, from {middle / MIB:.0f} MiB"]


def _counts(total: SoakResult) -> Figures:
    names = ("sent", "stored", "due_throughout", "received_throughout", "due_cut", "received_cut", "read_cut")
    more = ("cuts", "group_stays", "room_stays", "received_guests")
    return {
        "acknowledged": total.acked,
        **{name: getattr(total, name) for name in (*names, *more)},
        "pages": total.page.total(),
        "faults": [*total.faults[:10], *_differences(total)],
    }


def _differences(total: SoakResult) -> list[str]:
    faults = []
    if not total.sent == total.acked == total.stored:
        faults.append(f"{total.sent} were sent, {total.acked} acknowledged, {total.stored} are stored")
    if total.received_throughout != total.due_throughout:
        faults.append(f"who was online throughout received {total.received_throughout} of {total.due_throughout}")
    if total.received_cut != total.due_cut:
        faults.append(f"who was cut off received {total.received_cut} of {total.due_cut}")
    return faults
