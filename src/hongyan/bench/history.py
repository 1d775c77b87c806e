"""`hongyan bench history`: old pages, unread counts and a start, on a database of millions of messages."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from hongyan.bench import machine
from hongyan.bench.history_layout import EACH, Layout
from hongyan.bench.history_load import AskPlan, first_message, page_load, unread_load
from hongyan.bench.run import Figures, Line, Options, Screen, check_files, percentile, place, split
from hongyan.bench.seed import Seed, seeding
from hongyan.bench.servers import Home, Server, running
from hongyan.bench.talk import TalkResult
from hongyan.bench.talk_run import measure, spread
from hongyan.bench.workers import BenchError, Link, Team

DAY = 86_400_000
PAGES = (20, 100)
#: Fewer in a quiet conversation, and there is nothing to be unread.
LEAST = 20


@dataclass(frozen=True)
class HistoryParameters:
    """`messages` of `size` bytes in `conversations`; `clients` ask at once; `unread` conversations of a client.

    At last the server is started so often.
    """

    messages: int = 10_000_000
    conversations: int = 100_000
    clients: int = 4
    unread: int = 50
    size: int = 200
    starts: int = 5


def history(parameters: HistoryParameters, options: Options, screen: Screen) -> Figures:
    """Write everything, ask for it, then start the server again some times."""
    if parameters.messages < LEAST * parameters.conversations or parameters.conversations < 2 * EACH:
        raise BenchError(f"at least {2 * EACH} conversations are needed, and {LEAST} messages for each")
    check_files(parameters.clients)
    first = int(time.time() * 1000) - DAY
    layout = Layout(parameters.messages, parameters.conversations, parameters.unread, parameters.clients, first)
    with place(options) as here:
        home = Home.make(here.data_dir, here.certificate)
        with seeding(here.data_dir, home.app_id) as seed:
            _write(seed, layout, parameters.size, screen.line("messages"))
        with running(home) as server:
            runs = [
                _run(f"page of {limit}", page_load, _plans(server, layout, limit, options), server, options, screen)
                for limit in PAGES
            ]
            plans = _plans(server, layout, 0, options)
            runs.append(_run(f"{parameters.unread} unread", unread_load, plans, server, options, screen))
        runs.append(_starts(home, server, layout, parameters, screen.line("start")))
        return {
            "parameters": asdict(parameters),
            "file_system": machine.file_system(here.data_dir),
            "runs": runs,
            "ceiling": None,
            "ratio": None,
        }


def _write(seed: Seed, layout: Layout, size: int, line: Line) -> None:
    line.show("writing", 0, layout.messages)
    keys = list(seed.conversations(layout.rows()))
    for written in seed.messages(layout.places(keys), size):
        line.show("writing", written, layout.messages)
    line.show("done", 1, 1)


def _plans(server: Server, layout: Layout, limit: int, options: Options) -> list[AskPlan]:
    plans, first = [], 0
    for clients in split(layout.readers, options.processes):
        plans.append(AskPlan(server.target, layout, first, clients, limit))
        first += clients
    return plans


def _run(
    name: str,
    load: Callable[[AskPlan, Link], Awaitable[TalkResult]],
    plans: list[AskPlan],
    server: Server,
    options: Options,
    screen: Screen,
) -> Figures:
    figures = measure(server, load, plans, sum(plan.clients for plan in plans), options, screen.line(name))
    kept = ("server_cores", "generator_cores", "other_cores", "sent", "acknowledged", "delivered", "expected", "faults")
    return {
        "name": name,
        "answers_per_second": figures["messages_per_second"],
        "p50_ms": figures["ack_p50_ms"],
        "p99_ms": figures["ack_p99_ms"],
        "ms": figures["ack_ms"],
        "server_us_each": figures["server_us_per_message"],
        **{key: figures[key] for key in kept},
    }


def _starts(home: Home, server: Server, layout: Layout, parameters: HistoryParameters, line: Line) -> Figures:
    """From the start of the process to the first acknowledged message, on the ports of the server that was stopped."""
    took: list[float] = []
    for number in range(parameters.starts):
        line.show("starting", number, parameters.starts)
        with Team(first_message, [AskPlan(server.target, layout, 0, 1, size=parameters.size)]) as team:
            team.at_gate()
            team.go()
            began = time.monotonic()
            with running(home, server.ports):
                took.append((team.results()[0] - began) * 1e3)
    line.show("done", 1, 1)
    nothing = dict.fromkeys(("answers_per_second", "server_us_each", "server_cores", "generator_cores", "other_cores"))
    return {
        "name": "start",
        "p50_ms": percentile(took, 50),
        "p99_ms": percentile(took, 99),
        "ms": spread(took),
        "faults": [],
        **nothing,
    }
