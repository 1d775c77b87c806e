"""One talking run against a server, and its figures."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hongyan.bench import machine
from hongyan.bench.run import Figures, Line, Options, percentile
from hongyan.bench.servers import Server
from hongyan.bench.talk import TalkResult
from hongyan.bench.talk_load import TalkPlan, talk_load
from hongyan.bench.workers import Link, Team, Window

Load = Callable[[TalkPlan, Link], Awaitable[TalkResult]]
PERCENTILES = (1, 10, 25, 50, 75, 90, 95, 99, 99.9, 100)


@dataclass(frozen=True)
class Reading:
    """What server and generator have used, and what the server has counted, at one moment."""

    machine: float
    server: float
    generator: float
    counters: dict[str, float]

    @classmethod
    def take(cls, server: Server, team: Team) -> "Reading":
        """Read it now."""
        used = server.cpu_seconds()
        generator = sum(map(machine.cpu_seconds, team.pids()))
        return cls(machine.cpu_seconds_of_all(), used, generator, server.counters())

    def since(self, start: "Reading") -> "Reading":
        """The difference."""
        return Reading(
            self.machine - start.machine,
            self.server - start.server,
            self.generator - start.generator,
            {name: value - start.counters.get(name, 0.0) for name, value in self.counters.items()},
        )


def talk(server: Server, plans: list[TalkPlan], options: Options, line: Line, load: Load = talk_load) -> Figures:
    """One run of a talking load against a server."""
    return measure(server, load, plans, sum(plan.groups * plan.members for plan in plans), options, line)


def measure(
    server: Server,
    load: Callable[[Any, Link], Awaitable[TalkResult]],
    plans: Sequence[Any],
    connections: int,
    options: Options,
    line: Line,
) -> Figures:
    """One run of a load that says something, with so many connections in all."""
    with Team(load, plans) as team:
        team.at_gate(lambda: line.show("connecting", team.count, connections))
        window = Window.after(options.warm_up, options.seconds)
        team.go(window)
        on_tick = _clock(line, window)
        team.until(window.start, on_tick)
        before = Reading.take(server, team)
        team.until(window.end, on_tick)
        used = Reading.take(server, team).since(before)
        total = TalkResult()
        for result in team.results(lambda: line.show("checking", 1, 1)):
            total.add(result)
    line.show("done", 1, 1)
    return _rates(total, window.seconds) | _costs(total, used, window.seconds) | _counts(total)


def _clock(line: Line, window: Window) -> Callable[[], None]:
    def tick() -> None:
        passed = time.monotonic() - window.start
        line.show("warming up" if passed < 0 else "measuring", max(passed, 0.0), window.seconds)

    return tick


def _rates(total: TalkResult, seconds: float) -> Figures:
    return {
        "messages_per_second": round(len(total.ack_ms) / seconds, 1),
        "deliveries_per_second": round(total.deliveries / seconds, 1),
        "ack_p50_ms": percentile(total.ack_ms, 50),
        "ack_p99_ms": percentile(total.ack_ms, 99),
        "ack_ms": spread(total.ack_ms),
        "delivery_p50_ms": percentile(total.delivery_ms, 50),
        "delivery_p99_ms": percentile(total.delivery_ms, 99),
        "delivery_ms": spread(total.delivery_ms),
        "frames_per_read": ratio(total.deliveries, total.reads),
        "frame_bytes": total.frame_bytes,
    }


def _costs(total: TalkResult, used: Reading, seconds: float) -> Figures:
    others = used.machine - used.server - used.generator
    counters = used.counters
    return {
        "server_cores": round(used.server / seconds, 3),
        "server_us_per_message": ratio(used.server * 1e6, len(total.ack_ms)),
        "server_us_per_delivery": ratio(used.server * 1e6, total.deliveries),
        "generator_cores": round(used.generator / seconds, 3),
        "other_cores": round(max(others, 0.0) / seconds, 3),
        "imported_per_second": ratio(counters.get("hongyan_imported_rows_total", 0), seconds),
        "commits": counters.get("hongyan_commits_total"),
        "messages_per_commit": ratio(
            counters.get("hongyan_messages_total", 0), counters.get("hongyan_commits_total", 0)
        ),
        "frames_per_write": ratio(
            counters.get("hongyan_frames_sent_total", 0), counters.get("hongyan_socket_writes_total", 0)
        ),
    }


def _counts(total: TalkResult) -> Figures:
    return {
        "sent": total.sent,
        "acknowledged": total.acked,
        "delivered": total.delivered,
        "expected": total.expected,
        "faults": [*total.faults[:10], *_missing(total)],
    }


def _missing(total: TalkResult) -> list[str]:
    faults = []
    if total.acked != total.sent:
        faults.append(f"{total.sent - total.acked} of {total.sent} messages were never acknowledged")
    if total.delivered != total.expected:
        faults.append(f"{total.delivered} deliveries arrived where {total.expected} were due")
    return faults


def ratio(count: float, per: float) -> float | None:
    """`count` per `per`, None where there is nothing to divide by."""
    return round(count / per, 3) if per else None


def spread(values: list[float]) -> dict[str, float | None]:
    """The percentiles that a picture needs."""
    return {f"{percent:g}": percentile(values, percent) for percent in PERCENTILES}
