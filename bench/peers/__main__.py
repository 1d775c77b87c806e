"""ejabberd, from Debian's packages, under the load of `hongyan bench`: `.venv/bin/python -m bench.peers --help`."""

import argparse
import os
import sys
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from bench.peers.ejabberd import MOST_MEMBERS, SCHEMA, ejabberd
from bench.peers.loads import Common, Parameters, loads, ratios
from bench.peers.postgres import Database, postgres
from bench.peers.processes import installed
from hongyan.bench import chat, machine, report, servers
from hongyan.bench.run import Figures, Options, Screen, check_files, place
from hongyan.bench.workers import BenchError

PACKAGES = ("ejabberd", "erlang-base", "erlang-p1-pgsql", "postgresql")
DESCRIPTION = "Give Hongyan and ejabberd, from Debian's packages, the same load and print their figures side by side."
HERE = Path("bench/peers")
LEAST = dict.fromkeys(("rooms", "in_flight", "pairs", "ahead", "sql_pool", "processes"), 1)
LEAST |= {"members": 2, "large": 2, "size": 50, "rate": 0.1, "seconds": 0.2, "warm_up": 0}
#: Each of the two who talk has an archive of its own.
ARCHIVES = 2
OURS, THEIRS = "Hongyan", "ejabberd"


def main(arguments: list[str]) -> int:
    """Measure, print, write. 0; 1 if something was lost, doubled or out of order; 2 if nothing can be measured."""
    given = _parse(arguments)
    console = Console(markup=False, highlight=False)
    options = Options(given.output, seconds=given.seconds, warm_up=given.warm_up, processes=given.processes)
    parameters = Parameters(**{field.name: getattr(given, field.name) for field in fields(Parameters)})
    chosen = [load for load in loads(parameters) if load.name in given.loads]
    try:
        versions = installed(PACKAGES)
        options.output.mkdir(parents=True, exist_ok=True)
        check_files(max(load.connections for load in chosen))
        with Screen(console) as screen:
            measured = [_measure(load, parameters, options, screen, with_ours=given.hongyan) for load in chosen]
    except (BenchError, OSError) as error:
        print(f"bench.peers: {error}", file=sys.stderr)
        return 2
    whole = report.whole("peers/ejabberd", options, _figures(parameters, chosen, measured))
    whole["versions"] |= versions
    report.write(whole, options.output / "ejabberd.json")
    return _show(whole, chosen, options, console)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers", description=DESCRIPTION, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    names = [load.name for load in loads(Parameters())]
    parser.add_argument("--loads", nargs="+", choices=names, default=names, help="which")
    parser.add_argument("--hongyan", action=argparse.BooleanOptionalAction, default=True, help="measure Hongyan too")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measured run")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds of load before it")
    parser.add_argument(
        "--processes", type=int, default=max(1, len(os.sched_getaffinity(0)) // 2), help="of the load generator"
    )
    parser.add_argument("--output", type=Path, default=HERE, metavar="DIR", help="folder for ejabberd.json")
    meanings = {
        "rooms": "groups that talk",
        "members": "members of each, one of whom talks",
        "in_flight": "messages on their way in each",
        "large": "members of the large room",
        "rate": "messages per second there",
        "pairs": "pairs that talk",
        "ahead": "messages that a sender sends ahead",
        "sql_pool": "connections of ejabberd to its database",
        "size": "bytes of a message",
    }
    for name, value in asdict(Parameters()).items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=type(value), default=value, metavar="NUMBER", help=meanings[name])
    given = parser.parse_args(arguments)
    for name, least in LEAST.items():
        if getattr(given, name) < least:
            parser.error(f"--{name.replace('_', '-')} must be at least {least}")
    if given.large > MOST_MEMBERS:
        parser.error(f"--large must be at most {MOST_MEMBERS}")
    return given


def _measure(load: Common, parameters: Parameters, options: Options, screen: Screen, *, with_ours: bool) -> Figures:
    """Hongyan, if wanted, and then ejabberd, each in a server of its own."""
    runs = {OURS: _ours(load, options, screen)} if with_ours else {}
    runs[THEIRS] = _theirs(load, parameters, options, screen)
    return {"name": load.name, "what": load.title, "runs": runs}


def _ours(load: Common, options: Options, screen: Screen) -> Figures:
    with place(options) as here, servers.hongyan(here.data_dir, None) as server:
        return chat.run(f"{OURS}: {load.title}", server, load.at(server.target), options, screen)


def _theirs(load: Common, parameters: Parameters, options: Options, screen: Screen) -> Figures:
    def run(database: Database | None = None) -> Figures:
        with ejabberd(database, parameters.sql_pool) as server:
            name = f"{THEIRS}: {load.title}"
            return chat.run(name, server, load.at(server.target), options, screen, load.load)

    if not load.durable:
        return run()
    with postgres(SCHEMA) as database:
        figures = run(database)
        return figures | _archived(figures, database)


def _archived(figures: Figures, database: Database) -> Figures:
    """Whether both archives of a pair have every message."""
    rows, due = database.rows("archive"), ARCHIVES * figures["sent"]
    faults = [] if rows == due else [f"the archive has {rows} rows where {due} were due"]
    return {"archived": rows, "faults": figures["faults"] + faults}


def _figures(parameters: Parameters, chosen: list[Common], measured: list[Figures]) -> Figures:
    return {
        "parameters": asdict(parameters),
        "file_system": machine.file_system(Path(tempfile.gettempdir())),
        "loads": measured,
        "ceiling": None,
        "ratio": {load.name: _ratios(load, each["runs"]) for load, each in zip(chosen, measured, strict=True)},
    }


def _ratios(load: Common, runs: dict[str, Figures]) -> dict[str, float | None] | None:
    return ratios(load.rows, runs[OURS], runs[THEIRS]) if OURS in runs else None


def _show(whole: dict[str, Any], chosen: list[Common], options: Options, console: Console) -> int:
    """Print the table and what is to be said about it; returns the exit code."""
    console.print(_table(whole, chosen))
    console.print(
        f"data of both on {whole['file_system']}; written: {options.output / 'ejabberd.json'}", soft_wrap=True
    )
    judged = {"runs": [run for load in whole["loads"] for run in load["runs"].values()], "ceiling": {}}
    for sentence in report.warnings(judged):
        console.print(f"warning: {sentence}", style="yellow", soft_wrap=True)
    faults = report.faults(judged)
    for fault in faults:
        console.print(f"fault: {fault}", style="red", soft_wrap=True)
    return 1 if faults else 0


def _table(whole: dict[str, Any], chosen: list[Common]) -> Table:
    names = [name for name in (OURS, THEIRS) if name in whole["loads"][0]["runs"]]
    table = Table(Column(no_wrap=True), title=f"{' beside '.join(names)} {whole['versions']['ejabberd']}")
    for name in [*names, " / ".join(names)] if len(names) > 1 else names:
        table.add_column(name, justify="right")
    for load, measured in zip(chosen, whole["loads"], strict=True):
        table.add_row(load.title, style="bold")
        for name, key, divisor, form in load.rows:
            cells = [_cell(measured["runs"][who][key], divisor, form) for who in names]
            if ratio := whole["ratio"][load.name]:
                cells.append(_ratio(ratio.get(key)))
            table.add_row(f"  {name}", *cells)
        table.add_section()
    return table


def _cell(value: float | None, divisor: float, form: str) -> str:
    return "–" if value is None else format(value / divisor, form)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
