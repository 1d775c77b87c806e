"""`hongyan bench idle`: memory per idle session and how fast sessions open, beside a bare listener."""

import time
from dataclasses import asdict, dataclass
from typing import NamedTuple

from hongyan.bench import machine, servers
from hongyan.bench.bare_server import READ_BUFFER
from hongyan.bench.idle_load import WARM_UP, IdlePlan, idle_load
from hongyan.bench.run import Figures, Line, Options, Screen, check_files, percentile, place, split
from hongyan.bench.servers import Server
from hongyan.bench.workers import Team

CEILING = f"bare listener: picows and uvloop with a read buffer of {READ_BUFFER} bytes"


@dataclass(frozen=True)
class IdleParameters:
    """How many sessions, one on each connection."""

    sessions: int = 5000


def idle(parameters: IdleParameters, options: Options, screen: Screen) -> Figures:
    """Hongyan, then the bare listener."""
    check_files(parameters.sessions + WARM_UP * options.processes)
    with place(options) as here:
        with servers.hongyan(here.data_dir, here.certificate) as server:
            ours = _run("hongyan", server, parameters, options, screen)
        with servers.bare(here.certificate) as server:
            bare = _run("bare", server, parameters, options, screen)
    return {
        "parameters": asdict(parameters),
        "runs": [ours],
        "ceiling": {"what": CEILING, "runs": [bare]},
        "ratio": round(ours["bytes_per_session"] / bare["bytes_per_session"], 3),
    }


def _run(name: str, server: Server, parameters: IdleParameters, options: Options, screen: Screen) -> Figures:
    line = screen.line(name)
    with Team(idle_load, _plans(server, parameters, options)) as team:
        run = _Run(server, team, parameters.sessions, line)
        team.at_gate()
        run.sample("start")
        connecting = run.phase("connecting")
        opening = run.phase("opening")
        idle_cores = run.hold(options.seconds)
        team.go()
        results = team.results(lambda: line.show("checking", team.count, parameters.sessions))
    line.show("done", 1, 1)
    connect_ms = [value for result in results for value in result.connect_ms]
    open_ms = [value for result in results for value in result.open_ms]
    alive = sum(result.alive for result in results)
    return {
        "name": name,
        "connections_per_second": round(parameters.sessions / connecting.seconds, 1),
        "server_us_per_connection": round(connecting.server_seconds / parameters.sessions * 1e6, 1),
        "connect_p50_ms": percentile(connect_ms, 50),
        "connect_p99_ms": percentile(connect_ms, 99),
        "opens_per_second": round(parameters.sessions / opening.seconds, 1),
        "server_us_per_open": round(opening.server_seconds / parameters.sessions * 1e6, 1),
        "open_p50_ms": percentile(open_ms, 50),
        "open_p99_ms": percentile(open_ms, 99),
        **run.memory(),
        "idle_cores": round(idle_cores, 4),
        "alive": alive,
        "faults": [] if alive == parameters.sessions else [f"{parameters.sessions - alive} sessions were lost"],
    }


def _plans(server: Server, parameters: IdleParameters, options: Options) -> list[IdlePlan]:
    plans, first = [], 0
    for part, sessions in enumerate(split(parameters.sessions, options.processes)):
        plans.append(IdlePlan(server.target, f"i{part}", sessions, first))
        first += sessions + WARM_UP
    return plans


class _Phase(NamedTuple):
    """How long a phase took, and the server's CPU seconds in it."""

    seconds: float
    server_seconds: float


class _Run:
    """The phases of one run and the server's memory along the way."""

    def __init__(self, server: Server, team: Team, sessions: int, line: Line) -> None:
        self._server, self._team, self._sessions, self._line = server, team, sessions, line
        self._samples: list[tuple[str, int, int]] = []

    def sample(self, phase: str, count: int = 0) -> None:
        """Note the server's memory now."""
        self._samples.append((phase, count, machine.rss(self._server.pid)))

    def phase(self, name: str) -> _Phase:
        """Open the gate and wait for the next one."""

        def on_tick() -> None:
            self._line.show(name, self._team.count, self._sessions)
            self.sample(name, self._team.count)

        start, used = time.monotonic(), machine.cpu_seconds(self._server.pid)
        self._team.go()
        self._team.at_gate(on_tick)
        phase = _Phase(time.monotonic() - start, machine.cpu_seconds(self._server.pid) - used)
        self.sample(name, self._sessions)
        return phase

    def hold(self, seconds: float) -> float:
        """Stay idle; returns the cores the server uses meanwhile."""
        start, used = time.monotonic(), machine.cpu_seconds(self._server.pid)
        self._team.until(start + seconds, lambda: self._line.show("idle", time.monotonic() - start, seconds))
        self.sample("idle", self._sessions)
        return (machine.cpu_seconds(self._server.pid) - used) / seconds

    def memory(self) -> Figures:
        """Bytes per connection before its session opens and per session afterwards, and the samples."""
        last = {phase: size for phase, _, size in self._samples}
        return {
            "rss_start": last["start"],
            "rss_end": last["idle"],
            "bytes_per_connection": round((last["connecting"] - last["start"]) / self._sessions),
            "bytes_per_session": round((last["idle"] - last["start"]) / self._sessions),
            "samples": self._samples,
        }
