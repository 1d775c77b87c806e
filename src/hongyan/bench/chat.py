"""`hongyan bench chat`: acknowledged durable 1:1 messages per second, beside bare SQLite."""

from dataclasses import asdict, dataclass, replace

from hongyan.bench import machine, servers
from hongyan.bench.bare_sqlite import SqlitePlan, measure
from hongyan.bench.run import Figures, Options, Place, Screen, check_files, place, split
from hongyan.bench.servers import Server
from hongyan.bench.talk_load import TalkPlan, talk_load
from hongyan.bench.talk_run import Load, talk
from hongyan.bench.workers import SPAWN

PAIR = 2
CEILING = "bare SQLite: the same rows in batches of the same average size, synchronous=FULL"


@dataclass(frozen=True)
class ChatParameters:
    """`senders` pairs, messages of `size` bytes, and `in_flight` messages sent ahead in two of the runs."""

    senders: int = 100
    in_flight: int = 4
    size: int = 200


def chat(parameters: ChatParameters, options: Options, screen: Screen) -> Figures:
    """Four runs against one server, then the ceiling."""
    check_files(parameters.senders * PAIR)
    with place(options) as here:
        with servers.hongyan(here.data_dir, here.certificate) as server:
            runs = _runs(server, parameters, options, screen)
        best = max(runs[:2], key=lambda done: done["messages_per_second"])
        batch = max(1, round(best["messages_per_commit"] or parameters.senders / 2))
        ceiling = _ceiling(here, parameters, options, batch, screen)
        return {
            "parameters": asdict(parameters),
            "file_system": machine.file_system(here.data_dir),
            "runs": runs,
            "ceiling": {"what": CEILING, "batch": batch, "messages_per_second": round(ceiling, 1)},
            "ratio": round(best["messages_per_second"] / ceiling, 3),
        }


def _runs(server: Server, parameters: ChatParameters, options: Options, screen: Screen) -> list[Figures]:
    ahead = parameters.in_flight
    plan = TalkPlan(server.target, "a", parameters.senders, PAIR, parameters.size)
    several = replace(plan, name="b", in_flight=ahead)
    runs = [
        run("one at a time", server, plan, options, screen),
        run(f"{ahead} ahead", server, several, options, screen),
    ]
    half = max(done["messages_per_second"] for done in runs) / 2
    paced = replace(plan, name="c", rate=half)
    acking = replace(several, name="d", receipts=True)
    return [
        *runs,
        run("half the rate", server, paced, options, screen),
        run(f"{ahead} ahead, receivers ack", server, acking, options, screen),
    ]


def run(name: str, server: Server, plan: TalkPlan, options: Options, screen: Screen, load: Load = talk_load) -> Figures:
    """The load of a plan, shared by the processes."""
    plans = [
        replace(plan, name=part, groups=groups, rate=plan.rate and plan.rate * groups / plan.groups)
        for part, groups in parts(plan.name, plan.groups, options.processes)
    ]
    return {"name": name, **talk(server, plans, options, screen.line(name), load)}


def parts(name: str, groups: int, processes: int) -> list[tuple[str, int]]:
    """What the part of a plan that each process takes is called, and its groups."""
    return [(f"{name}{part}", share) for part, share in enumerate(split(groups, processes))]


def _ceiling(here: Place, parameters: ChatParameters, options: Options, batch: int, screen: Screen) -> float:
    """Messages per second of bare SQLite, in a process of its own on the same disk."""
    line = screen.line("ceiling: bare SQLite")
    line.show("measuring", 0, 1)
    plan = SqlitePlan(here.scratch / "ceiling.sqlite3", parameters.senders, batch, parameters.size, options.seconds)
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=measure, args=(plan, theirs), daemon=True)
    process.start()
    theirs.close()
    rate = float(ours.recv())
    process.join()
    line.show("done", 1, 1)
    return rate
