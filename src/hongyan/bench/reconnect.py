"""`hongyan bench reconnect`: a server with thousands of clients starts again, and all of them come back at once."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from hongyan.bench import machine
from hongyan.bench.reconnect_load import ReturnPlan, ReturnResult, client_id, conversation_id, reconnect_load
from hongyan.bench.run import Figures, Line, Options, Screen, check_files, percentile, place, split
from hongyan.bench.seed import Conversation, exhaust, seeding
from hongyan.bench.servers import Home, Server, running
from hongyan.bench.talk_run import Reading, ratio, spread
from hongyan.bench.workers import Team

#: Clients that share their conversations.
GROUP = 10
#: Messages that everybody has read in each conversation.
READ = 20
MINUTE = 60_000


@dataclass(frozen=True)
class ReconnectParameters:
    """`clients`, each member of so many `conversations`; in each are so many `unread` messages when they come back."""

    clients: int = 5_000
    conversations: int = 10
    unread: int = 3
    size: int = 200

    @property
    def groups(self) -> int:
        """Groups of clients, the last of which may be smaller."""
        return -(-self.clients // GROUP)


def reconnect(parameters: ReconnectParameters, options: Options, screen: Screen) -> Figures:
    """Everybody logs in, the server stops, messages are written, it starts again, everybody comes back."""
    check_files(parameters.clients)
    line = screen.line(f"{parameters.clients:,} clients")
    with place(options) as here:
        home = Home.make(here.data_dir, here.certificate)
        line.show("writing conversations", 0, 1)
        keys = _write_conversations(home, parameters)
        return {
            "parameters": asdict(parameters),
            "file_system": machine.file_system(here.data_dir),
            "runs": [_run(home, keys, parameters, options, line)],
            "ceiling": None,
            "ratio": None,
        }


def _write_conversations(home: Home, parameters: ReconnectParameters) -> list[int]:
    """Those of all groups, in which everything is read; returns their keys."""
    at = int(time.time() * 1000) - MINUTE
    with seeding(home.data_dir, home.app_id) as seed:
        keys = list(seed.conversations(_conversations(parameters, at)))
        exhaust(seed.messages(((key, seq, at + seq) for seq in range(1, READ + 1) for key in keys), parameters.size))
    return keys


def _conversations(parameters: ReconnectParameters, at: int) -> Iterator[Conversation]:
    for number in range(parameters.groups * parameters.conversations):
        first = number // parameters.conversations * GROUP
        members = {client_id(member): READ for member in range(first, min(first + GROUP, parameters.clients))}
        yield Conversation(conversation_id(number), members, READ, at, at + READ)


def _write_unread(home: Home, keys: list[int], parameters: ReconnectParameters) -> None:
    """What came before anybody is back."""
    at, last = int(time.time() * 1000), READ + parameters.unread
    with seeding(home.data_dir, home.app_id) as seed:
        exhaust(seed.messages(((key, seq, at) for seq in range(READ + 1, last + 1) for key in keys), parameters.size))
        seed.heads((key, last, at) for key in keys)


def _run(home: Home, keys: list[int], parameters: ReconnectParameters, options: Options, line: Line) -> Figures:
    with ExitStack() as stack:
        with running(home) as server:
            team = stack.enter_context(Team(reconnect_load, _plans(server, parameters, options)))
            team.at_gate(lambda: line.show("logging in", team.count, parameters.clients))
            line.show("stopping the server", 0, 1)
            stopping = time.monotonic()
        stopped = time.monotonic()
        _write_unread(home, keys, parameters)
        line.show("starting the server", 0, 1)
        starting = time.monotonic()
        server = stack.enter_context(running(home, server.ports))
        started = time.monotonic()
        return {
            "name": f"{parameters.clients:,} clients",
            "stop_s": round(stopped - stopping, 3),
            "start_s": round(started - starting, 3),
            **_come_back(server, team, parameters, line),
        }


def _plans(server: Server, parameters: ReconnectParameters, options: Options) -> list[ReturnPlan]:
    plans, first = [], 0
    for clients in split(parameters.clients, options.processes):
        plan = ReturnPlan(server.target, first, clients, GROUP, parameters.conversations, parameters.unread)
        plans.append(plan)
        first += clients
    return plans


def _come_back(server: Server, team: Team, parameters: ReconnectParameters, line: Line) -> Figures:
    """Everybody connects in the same moment."""
    clients = parameters.clients
    before, began = Reading.take(server, team), time.monotonic()
    team.go(began)
    results: list[ReturnResult] = team.results(lambda: line.show("coming back", team.count, clients))
    seconds = time.monotonic() - began
    used = Reading.take(server, team).since(before)
    line.show("done", 1, 1)
    session_ms = [value for result in results for value in result.session_ms]
    unread_ms = [value for result in results for value in result.unread_ms]
    faults = [fault for result in results for fault in result.faults]
    return {
        **_times("session", session_ms),
        **_times("unread", unread_ms),
        "reopens_per_second": ratio(len(unread_ms) * 1e3, max(unread_ms, default=0)),
        "retries": sum(result.retries for result in results),
        "server_us_per_reopen": ratio(used.server * 1e6, len(session_ms)),
        "server_cores": round(used.server / seconds, 3),
        "generator_cores": round(used.generator / seconds, 3),
        "other_cores": round(max(used.machine - used.server - used.generator, 0.0) / seconds, 3),
        "returned": len(unread_ms),
        "faults": faults[:10],
    }


def _times(name: str, values: list[float]) -> Figures:
    """When the first, half, nearly all and all of them were there."""
    return {
        f"{name}_first_ms": percentile(values, 0),
        f"{name}_half_ms": percentile(values, 50),
        f"{name}_p99_ms": percentile(values, 99),
        f"{name}_all_ms": percentile(values, 100),
        f"{name}_ms": spread(values),
    }
