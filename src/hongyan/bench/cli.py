"""`hongyan bench`: measure this machine. Each command starts its own server on loopback and stops it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hongyan.bench import picture, report
from hongyan.bench.chat import ChatParameters, chat
from hongyan.bench.fanout import FanoutParameters, fanout
from hongyan.bench.idle import IdleParameters, idle
from hongyan.bench.run import Figures, Options, Screen
from hongyan.bench.workers import BenchError

bench = typer.Typer(
    help="Measure this machine: a server of its own on loopback, a load, and the ceiling.",
    no_args_is_help=True,
)

Output = Annotated[Path, typer.Option(help="Folder for the JSON and the picture.")]
DataDir = Annotated[Path | None, typer.Option(help="Keep the server's data here instead of in a temporary folder.")]
Tls = Annotated[bool, typer.Option("--tls", help="Measure with TLS.")]
Seconds = Annotated[float, typer.Option(min=0.2, max=600, help="Length of each measured run.")]
WarmUp = Annotated[float, typer.Option(min=0, max=60, help="Seconds of load before each measured run.")]
Processes = Annotated[
    int, typer.Option(min=1, max=64, help="Processes of the load generator [default: half the cores].")
]
Size = Annotated[int, typer.Option(min=50, max=4000, help="Bytes of a message.")]

DEFAULT_OUTPUT = Path("bench")
HALF_THE_CORES = max(1, len(os.sched_getaffinity(0)) // 2)


@bench.command("chat")
def chat_command(
    senders: Annotated[int, typer.Option(min=1, max=10_000, help="Pairs that talk.")] = 100,
    in_flight: Annotated[int, typer.Option(min=1, max=200, help="Messages a sender sends ahead.")] = 4,
    size: Size = 200,
    seconds: Seconds = 5.0,
    warm_up: WarmUp = 1.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Acknowledged durable 1:1 messages per second, beside bare SQLite."""
    parameters = ChatParameters(senders, in_flight, size)
    options = Options(output, data_dir, tls, seconds, warm_up, processes)
    _measure("chat", lambda screen: chat(parameters, options, screen), options, report.CHAT)


@bench.command("fanout")
def fanout_command(
    groups: Annotated[int, typer.Option(min=1, max=1000, help="Groups that talk.")] = 10,
    members: Annotated[int, typer.Option(min=2, max=500, help="Members of each, one of whom talks.")] = 100,
    in_flight: Annotated[int, typer.Option(min=1, max=200, help="Messages on their way in each group.")] = 8,
    size: Size = 200,
    seconds: Seconds = 5.0,
    warm_up: WarmUp = 1.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Deliveries per second in busy groups, beside a server without logic."""
    parameters = FanoutParameters(groups, members, in_flight, size)
    options = Options(output, data_dir, tls, seconds, warm_up, processes)
    _measure("fanout", lambda screen: fanout(parameters, options, screen), options, report.FANOUT)


@bench.command("idle")
def idle_command(
    sessions: Annotated[int, typer.Option(min=1, max=1_000_000, help="Sessions, one on each connection.")] = 5000,
    seconds: Seconds = 5.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Memory per idle session and session opens per second, beside a bare listener."""
    options = Options(output, data_dir, tls, seconds, 0.0, processes)
    parameters = IdleParameters(sessions)
    _measure("idle", lambda screen: idle(parameters, options, screen), options, report.IDLE)


def _measure(
    name: str,
    run: Callable[[Screen], Figures],
    options: Options,
    rows: tuple[report.Row, ...],
) -> None:
    """Run, print, write; a run that lost something ends with exit code 1, one that cannot be made with 2."""
    console = Console()
    try:
        picture.require()
        options.output.mkdir(parents=True, exist_ok=True)
        with Screen(console) as screen:
            figures = run(screen)
    except (BenchError, OSError) as error:
        Console(stderr=True).print(f"hongyan bench {name}: {error}", style="red", soft_wrap=True)
        raise typer.Exit(2) from None
    whole = report.whole(name, options, figures)
    file = options.output / f"{name}{'-tls' if options.tls else ''}"
    report.write(whole, file.with_suffix(".json"))
    picture.draw(whole, file.with_suffix(".png"))
    report.show(whole, rows, console)
    faults = report.faults(whole)
    for fault in faults:
        console.print(f"fault: {fault}", style="red")
    raise typer.Exit(1 if faults else 0)
