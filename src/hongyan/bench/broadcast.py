"""`hongyan bench broadcast`: a message to all subscribers of a service conversation, while others chat."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from hongyan.bench import machine, servers
from hongyan.bench.broadcast_load import HearingPlan, HearingResult, hearing_load, subscriber
from hongyan.bench.rest_load import SERVICES
from hongyan.bench.run import Figures, Line, Options, Screen, check_files, percentile, place, split
from hongyan.bench.seed import DATABASE
from hongyan.bench.servers import Server
from hongyan.bench.talk import TalkResult
from hongyan.bench.talk_load import TalkPlan, talk_load
from hongyan.bench.talk_run import Reading, spread
from hongyan.bench.workers import Team, Window

CEILING = "the same chat while nothing is broadcast"
SEED_AT_ONCE = 20_000
#: Connections beside those of subscribers that a run needs.
CHAT_PAIRS = 50
#: The last broadcast comes so long before the end (s).
HEARING_TIME = 1.0


@dataclass(frozen=True)
class BroadcastParameters:
    """`subscribers`, of whom some are `online`; a broadcast of `size` bytes every `every` seconds.

    Meanwhile pairs chat, `rate` messages a second together.
    """

    subscribers: int = 1_000_000
    online: int = 5_000
    every: float = 1.0
    size: int = 200
    rate: float = 500.0


def broadcast(parameters: BroadcastParameters, options: Options, screen: Screen) -> Figures:
    """Chat alone, then beside broadcasts."""
    check_files(parameters.online + 2 * CHAT_PAIRS)
    with place(options) as here, servers.hongyan(here.data_dir, here.certificate) as server:
        file_system = machine.file_system(here.data_dir)
        service = _Service(server, here.data_dir)
        seeding = screen.line("subscribers")
        for done in service.seed(parameters.subscribers):
            seeding.show("seeding", done, parameters.subscribers)
        seeding.show("done", 1, 1)
        with Team(hearing_load, _plans(server, parameters, options)) as hearers:
            line = screen.line("online")
            hearers.at_gate(lambda: line.show("logging in", hearers.count, parameters.online))
            line.show("done", 1, 1)
            alone = _run("chat alone", server, parameters, options, screen, None)
            hearers.go()
            ours = _run("beside broadcasts", server, parameters, options, screen, service)
            hearers.at_gate()
            hearers.go()
            heard = hearers.results(lambda: line.show("checking", hearers.count, parameters.online))
        ours |= _heard(service, heard, parameters)
    nothing = dict.fromkeys(("broadcasts", "to_all_p50_ms", "to_all_max_ms", "post_p99_ms", "rows_per_broadcast"))
    return {
        "parameters": asdict(parameters),
        "file_system": file_system,
        "runs": [ours],
        "ceiling": {"what": CEILING, "runs": [nothing | alone]},
        "ratio": round(ours["ack_p99_ms"] / alone["ack_p99_ms"], 3) if alone["ack_p99_ms"] else None,
    }


class _Service:
    """The service conversation of the run."""

    def __init__(self, server: Server, data_dir: Path) -> None:
        self._server = server
        self._database = data_dir / DATABASE
        self.id = str(server.call("POST", SERVICES, {"name": "bench"})["objectId"])
        self.sent_at: dict[str, int] = {}
        self.post_ms: list[float] = []

    def seed(self, count: int) -> Iterator[int]:
        """Subscribe so many, straight into the database: by calls it would take an hour. Yields how many are in."""
        with contextlib.closing(sqlite3.connect(self._database, timeout=30, isolation_level=None)) as connection:
            key, app = connection.execute("SELECT key, app FROM conversation WHERE id = ?", (self.id,)).fetchone()
            for start in range(0, count, SEED_AT_ONCE):
                numbers = range(start, min(start + SEED_AT_ONCE, count))
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "INSERT INTO member (conversation, client, app, joined_at, read_seq) VALUES (?, ?, ?, 0, 0)",
                    [(key, subscriber(number), app) for number in numbers],
                )
                connection.execute("UPDATE conversation SET member_count = ? WHERE key = ?", (numbers.stop, key))
                connection.execute("COMMIT")
                yield numbers.stop

    def broadcast(self, size: int) -> None:
        text = f"{len(self.sent_at):06d} ".ljust(size, "x")
        self.sent_at[text] = start = time.monotonic_ns()
        self._server.call("POST", f"{SERVICES}/{self.id}/broadcasts", {"from_client": "bench", "message": text})
        self.post_ms.append((time.monotonic_ns() - start) / 1e6)

    def rows(self) -> int:
        """Messages that the store keeps for all that was said in service conversations."""
        with contextlib.closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            found = "SELECT count(*) FROM message JOIN conversation c ON c.key = conversation WHERE c.kind = 3"
            return int(connection.execute(found).fetchone()[0])


def _plans(server: Server, parameters: BroadcastParameters, options: Options) -> list[HearingPlan]:
    plans, first = [], 0
    for sessions in split(min(parameters.online, parameters.subscribers), options.processes):
        plans.append(HearingPlan(server.target, first, sessions))
        first += sessions
    return plans


def _run(
    name: str,
    server: Server,
    parameters: BroadcastParameters,
    options: Options,
    screen: Screen,
    service: _Service | None,
) -> Figures:
    """Chat at a fixed rate, with broadcasts meanwhile if there is a service."""
    line: Line = screen.line(name)
    first = parameters.online + (2 * CHAT_PAIRS if service else 0)
    who = "beside" if service else "alone"
    plan = TalkPlan(server.target, who, CHAT_PAIRS, 2, parameters.size, rate=parameters.rate, first_connection=first)
    with Team(talk_load, [plan]) as team:
        team.at_gate(lambda: line.show("connecting", team.count, 2 * CHAT_PAIRS))
        window = Window.after(options.warm_up, options.seconds)
        team.go(window)
        team.until(window.start)
        before = Reading.take(server, team)
        due = window.start
        while service is not None and due < max(window.end - HEARING_TIME, window.start + 1e-9):
            team.until(due, lambda: line.show("measuring", time.monotonic() - window.start, window.seconds))
            service.broadcast(parameters.size)
            due += parameters.every
        team.until(window.end, lambda: line.show("measuring", time.monotonic() - window.start, window.seconds))
        used = Reading.take(server, team).since(before)
        total: TalkResult = team.results(lambda: line.show("checking", 1, 1))[0]
    line.show("done", 1, 1)
    missing = [f"{total.sent - total.acked} messages were never acknowledged"] if total.acked != total.sent else []
    return {
        "name": name,
        "messages_per_second": round(len(total.ack_ms) / window.seconds, 1),
        "ack_p50_ms": percentile(total.ack_ms, 50),
        "ack_p99_ms": percentile(total.ack_ms, 99),
        "ack_ms": spread(total.ack_ms),
        "server_cores": round(used.server / window.seconds, 3),
        "generator_cores": round(used.generator / window.seconds, 3),
        "faults": [*total.faults[:10], *missing],
    }


def _heard(service: _Service, results: list[HearingResult], parameters: BroadcastParameters) -> Figures:
    """How long it took until the last subscriber who is online had each broadcast."""
    online = min(parameters.online, parameters.subscribers)
    faults = [fault for result in results for fault in result.faults][:10]
    to_all: list[float] = []
    for text, sent_at in service.sent_at.items():
        times = [at for result in results for at in result.heard.get(text, ())]
        if len(times) != online:
            faults.append(f"{len(times)} of {online} heard broadcast {text[:6]}")
        else:
            to_all.append((max(times) - sent_at) / 1e6)
    return {
        "broadcasts": len(service.sent_at),
        "to_all_p50_ms": percentile(to_all, 50),
        "to_all_max_ms": percentile(to_all, 100),
        "post_p99_ms": percentile(service.post_ms, 99),
        "rows_per_broadcast": round(service.rows() / len(service.sent_at), 3),
        "heard": sum(len(times) for result in results for times in result.heard.values()),
        "expected": online * len(service.sent_at),
        "faults": faults,
    }
