"""`hongyan bench idle`: memory per idle session and how fast sessions open, beside a bare listener."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from hongyan.bench import machine, servers
from hongyan.bench.bare_server import READ_BUFFER
from hongyan.bench.idle_load import WARM_UP, IdlePlan, IdleResult, idle_load
from hongyan.bench.run import Figures, Line, Options, Place, Screen, check_files, percentile, place, split
from hongyan.bench.servers import Server
from hongyan.bench.workers import Team, Window

CEILING = f"bare listener: picows and uvloop with a read buffer of {READ_BUFFER} bytes"
#: Memory is noted so often in a phase, for the picture.
SAMPLES = 100


@dataclass(frozen=True)
class IdleParameters:
    """How many sessions, one on each connection, over how many servers; the seconds between two echoes of each."""

    sessions: int = 5000
    servers: int = 1
    echo_every: float = 60.0


def idle(parameters: IdleParameters, options: Options, screen: Screen) -> Figures:
    """Hongyan, then the bare listener."""
    parts = max(1, options.processes // parameters.servers)
    check_files(-(-parameters.sessions // parameters.servers) + WARM_UP * parts)
    with place(options) as here:
        line = screen.line("hongyan")
        with _several(lambda folder: servers.hongyan(folder, here.certificate), here, parameters, line) as started:
            ours = _run("hongyan", started, parameters, options, line)
        line = screen.line("bare")
        with _several(lambda _: servers.bare(here.certificate), here, parameters, line) as started:
            bare = _run("bare", started, parameters, options, line)
    return {
        "parameters": asdict(parameters),
        "runs": [ours],
        "ceiling": {"what": CEILING, "runs": [bare]},
        "ratio": round(ours["bytes_per_session"] / bare["bytes_per_session"], 3),
    }


@contextmanager
def _several(
    start: Callable[[Path], AbstractContextManager[Server]], here: Place, parameters: IdleParameters, line: Line
) -> Iterator[list[Server]]:
    """So many servers; the data of the second and all further ones lies in a folder of its own."""
    with ExitStack() as stack:
        started = []
        for number in range(parameters.servers):
            line.show("starting", number, parameters.servers)
            folder = here.data_dir / f"server-{number}" if number else here.data_dir
            folder.mkdir(mode=0o700, exist_ok=True)
            started.append(stack.enter_context(start(folder)))
        yield started


def _run(name: str, started: list[Server], parameters: IdleParameters, options: Options, line: Line) -> Figures:
    sessions = parameters.sessions
    with Team(idle_load, _plans(started, parameters, options)) as team:
        run = _Run(started, team, sessions, line)
        team.at_gate()
        run.sample("start")
        connecting = run.phase("connecting")
        opening = run.phase("opening")
        idle_cores = run.hold(options.seconds)
        echo_cores = run.echoes(options.seconds)
        team.go()
        results = team.results(lambda: line.show("checking", team.count, sessions))
    line.show("done", 1, 1)
    connect_ms = [value for result in results for value in result.connect_ms]
    open_ms = [value for result in results for value in result.open_ms]
    echoes = sum(result.echoes for result in results)
    return {
        "name": name,
        "connections_per_second": round(sessions / connecting.seconds, 1),
        "server_us_per_connection": round(connecting.server_seconds / sessions * 1e6, 1),
        "connect_p50_ms": percentile(connect_ms, 50),
        "connect_p99_ms": percentile(connect_ms, 99),
        "opens_per_second": round(sessions / opening.seconds, 1),
        "server_us_per_open": round(opening.server_seconds / sessions * 1e6, 1),
        "open_p50_ms": percentile(open_ms, 50),
        "open_p99_ms": percentile(open_ms, 99),
        **run.memory(),
        "idle_cores": round(idle_cores, 4),
        "echo_cores": round(echo_cores, 4),
        "echoes_per_second": round(echoes / options.seconds, 1),
        "echoes": echoes,
        "alive": sum(result.alive for result in results),
        "faults": _faults(results, sessions),
    }


def _faults(results: list[IdleResult], sessions: int) -> list[str]:
    faults = []
    unanswered = sum(result.echoes - result.answered for result in results)
    if unanswered:
        faults.append(f"{unanswered} echoes were not answered")
    lost = sessions - sum(result.alive for result in results)
    if lost:
        faults.append(f"{lost} sessions were lost")
    return faults


def _plans(started: list[Server], parameters: IdleParameters, options: Options) -> list[IdlePlan]:
    """Each process of the load generator has one server: no process may open more files than a server."""
    parts = max(1, options.processes // len(started))
    plans, first = [], 0
    for server, of_server in zip(started, split(parameters.sessions, len(started)), strict=False):
        for part, sessions in enumerate(split(of_server, parts)):
            plans.append(IdlePlan(server.target, f"i{part}", sessions, parameters.echo_every, first))
            first += sessions + WARM_UP
    return plans


class _Phase(NamedTuple):
    """How long a phase took, and the CPU seconds of the servers in it."""

    seconds: float
    server_seconds: float


class _Run:
    """The phases of one run and the servers' memory along the way."""

    def __init__(self, started: list[Server], team: Team, sessions: int, line: Line) -> None:
        self._pids = [server.pid for server in started]
        self._team, self._sessions, self._line = team, sessions, line
        self._samples: list[tuple[str, int, int]] = []

    def sample(self, phase: str, count: int = 0) -> None:
        """Note the memory of all servers now."""
        self._samples.append((phase, count, sum(map(machine.rss, self._pids))))

    def _cpu_seconds(self) -> float:
        return sum(map(machine.cpu_seconds, self._pids))

    def phase(self, name: str) -> _Phase:
        """Open the gate and wait for the next one."""

        def on_tick() -> None:
            self._line.show(name, self._team.count, self._sessions)
            if self._team.count - self._samples[-1][1] >= self._sessions / SAMPLES or name != self._samples[-1][0]:
                self.sample(name, self._team.count)

        start, used = time.monotonic(), self._cpu_seconds()
        self._team.go()
        self._team.at_gate(on_tick)
        phase = _Phase(time.monotonic() - start, self._cpu_seconds() - used)
        self.sample(name, self._sessions)
        return phase

    def hold(self, seconds: float) -> float:
        """Stay idle; returns the cores the servers use meanwhile."""
        start, used = time.monotonic(), self._cpu_seconds()
        self._team.until(start + seconds, lambda: self._line.show("idle", time.monotonic() - start, seconds))
        self.sample("idle", self._sessions)
        return (self._cpu_seconds() - used) / seconds

    def echoes(self, seconds: float) -> float:
        """Have every session send its echoes; returns the cores the servers use meanwhile."""
        window = Window.after(0.0, seconds)
        self._team.go(window)
        used = self._cpu_seconds()
        self._team.until(window.end, lambda: self._line.show("keep-alive", time.monotonic() - window.start, seconds))
        cores = (self._cpu_seconds() - used) / seconds
        self._team.at_gate()
        return cores

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
