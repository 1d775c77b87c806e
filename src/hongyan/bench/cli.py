"""`hongyan bench`: measure this machine. Each command starts its own server on loopback and stops it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hongyan.bench import HELP, picture, report
from hongyan.bench.broadcast import BroadcastParameters, broadcast
from hongyan.bench.channels import ChannelParameters, channels
from hongyan.bench.chat import ChatParameters, chat
from hongyan.bench.fanout import FanoutParameters, fanout
from hongyan.bench.growth import GrowthParameters, growth
from hongyan.bench.history import HistoryParameters, history
from hongyan.bench.idle import IdleParameters, idle
from hongyan.bench.imports import ImportParameters, bring_in
from hongyan.bench.reconnect import ReconnectParameters, reconnect
from hongyan.bench.rest import RestParameters, rest
from hongyan.bench.room import RoomParameters, room
from hongyan.bench.run import Figures, Options, Screen
from hongyan.bench.soak import SoakParameters, soak
from hongyan.bench.sweep import SweepParameters, sweep
from hongyan.bench.webhooks import WebhookParameters, webhooks
from hongyan.bench.workers import BenchError

bench = typer.Typer(help=HELP, no_args_is_help=True)


def option(help: str, metavar: str, default: object = None, **more: Any) -> Any:
    """An option that shows its default as the other commands do."""
    shown = "" if default is None else f" Default: {default}"
    return typer.Option(help=help + shown, metavar=metavar, show_default=False, **more)


Output = Annotated[Path, option("Folder for the JSON and the picture.", "DIR", "bench")]
DataDir = Annotated[Path | None, option("Keep the server's data here instead of in a temporary folder.", "DIR")]
Tls = Annotated[bool, typer.Option("--tls", metavar="", help="Measure with TLS.")]
Seconds = Annotated[float, option("Length of each measured run.", "SECONDS", 5, min=0.2, max=600)]
WarmUp = Annotated[float, option("Load before each measured run.", "SECONDS", 1, min=0, max=60)]
Processes = Annotated[int, option("Processes of the load generator.", "NUMBER", "half the cores", min=1, max=64)]
Size = Annotated[int, option("Bytes of a message.", "BYTES", 200, min=50, max=4000)]

DEFAULT_OUTPUT = Path("bench")
HALF_THE_CORES = max(1, len(os.sched_getaffinity(0)) // 2)


@bench.command("chat")
def chat_command(
    senders: Annotated[int, option("Pairs that talk.", "NUMBER", 100, min=1, max=10_000)] = 100,
    in_flight: Annotated[int, option("Messages a sender sends ahead.", "NUMBER", 4, min=1, max=200)] = 4,
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
    groups: Annotated[int, option("Groups that talk.", "NUMBER", 10, min=1, max=1000)] = 10,
    members: Annotated[int, option("Members of each, one of whom talks.", "NUMBER", 100, min=2, max=500)] = 100,
    in_flight: Annotated[int, option("Messages on their way in each group.", "NUMBER", 8, min=1, max=200)] = 8,
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


@bench.command("room")
def room_command(
    members: Annotated[
        int, option("Clients in the chat room, one of whom talks.", "NUMBER", 5000, min=2, max=20_000)
    ] = 5000,
    rate: Annotated[float, option("Messages per second.", "NUMBER", 20, min=0.1, max=10_000)] = 20.0,
    size: Size = 200,
    seconds: Seconds = 5.0,
    warm_up: WarmUp = 1.0,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Deliveries and their delay in one large chat room, beside a server without logic."""
    options = Options(output, data_dir, tls, seconds, warm_up, 1)
    _measure("room", lambda screen: room(RoomParameters(members, rate, size), options, screen), options, report.FANOUT)


@bench.command("idle")
def idle_command(
    sessions: Annotated[int, option("Sessions, one on each connection.", "NUMBER", 5000, min=1, max=1_000_000)] = 5000,
    servers: Annotated[int, option("Servers that share the sessions.", "NUMBER", 1, min=1, max=64)] = 1,
    echo_every: Annotated[
        float, option("Time between two keep-alives of a session.", "SECONDS", 60, min=0.1, max=400)
    ] = 60.0,
    seconds: Seconds = 5.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Memory per idle session and session opens per second, beside a bare listener."""
    options = Options(output, data_dir, tls, seconds, 0.0, processes)
    parameters = IdleParameters(sessions, servers, echo_every)
    _measure("idle", lambda screen: idle(parameters, options, screen), options, report.IDLE)


@bench.command("broadcast")
def broadcast_command(
    subscribers: Annotated[
        int, option("Subscribers of a service conversation.", "NUMBER", 1_000_000, min=1, max=10_000_000)
    ] = 1_000_000,
    online: Annotated[int, option("Of whom so many are online.", "NUMBER", 5000, min=1, max=1_000_000)] = 5000,
    every: Annotated[float, option("Time between two broadcasts.", "SECONDS", 1, min=0.05, max=60)] = 1.0,
    rate: Annotated[float, option("Messages that others chat per second.", "NUMBER", 500, min=1, max=20_000)] = 500.0,
    size: Size = 200,
    seconds: Seconds = 5.0,
    warm_up: WarmUp = 1.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Time until all subscribers who are online have a broadcast, and what others notice of it."""
    parameters = BroadcastParameters(subscribers, online, every, size, rate)
    options = Options(output, data_dir, tls, seconds, warm_up, processes)
    _measure("broadcast", lambda screen: broadcast(parameters, options, screen), options, report.BROADCAST)


@bench.command("sweep")
def sweep_command(
    expired: Annotated[int, option("Expired messages.", "NUMBER", 1_000_000, min=1_000, max=100_000_000)] = 1_000_000,
    senders: Annotated[int, option("Pairs that talk.", "NUMBER", 100, min=1, max=10_000)] = 100,
    in_flight: Annotated[int, option("Messages a sender sends ahead.", "NUMBER", 4, min=1, max=200)] = 4,
    size: Size = 200,
    seconds: Seconds = 5.0,
    warm_up: WarmUp = 1.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """How long messages take while a million old ones are deleted, beside how long they take without."""
    parameters = SweepParameters(expired, senders, in_flight, size)
    options = Options(output, data_dir, tls, seconds, warm_up, processes)
    _measure("sweep", lambda screen: sweep(parameters, options, screen), options, report.SWEEP)


@bench.command("import")
def import_command(
    messages: Annotated[
        int, option("Messages to be brought in.", "NUMBER", 300_000, min=1_000, max=100_000_000)
    ] = 300_000,
    senders: Annotated[int, option("Pairs that talk.", "NUMBER", 100, min=1, max=10_000)] = 100,
    in_flight: Annotated[int, option("Messages a sender sends ahead.", "NUMBER", 4, min=1, max=200)] = 4,
    size: Size = 200,
    seconds: Seconds = 5.0,
    warm_up: WarmUp = 1.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """How long messages take while an export of LeanCloud is brought in, beside how long they take without."""
    parameters = ImportParameters(messages, senders, in_flight, size)
    options = Options(output, data_dir, tls, seconds, warm_up, processes)
    _measure("import", lambda screen: bring_in(parameters, options, screen), options, report.IMPORT)


@bench.command("webhooks")
def webhooks_command(
    rate: Annotated[
        float, option("Messages per second, of each of which the webhook is told.", "NUMBER", 500, min=1)
    ] = (500.0),
    senders: Annotated[int, option("Pairs that talk.", "NUMBER", 100, min=1, max=10_000)] = 100,
    size: Size = 200,
    seconds: Seconds = 5.0,
    warm_up: WarmUp = 1.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """How long messages take beside a webhook that works, and ones that fail in several ways."""
    parameters = WebhookParameters(rate, senders, size)
    options = Options(output, data_dir, tls, seconds, warm_up, processes)
    _measure("webhooks", lambda screen: webhooks(parameters, options, screen), options, report.CALLS)


@bench.command("channels")
def channels_command(
    posts: Annotated[float, option("Messages per second that go out by the channel.", "NUMBER", 100, min=1)] = 100.0,
    rate: Annotated[float, option("Chat messages per second.", "NUMBER", 500, min=1)] = 500.0,
    senders: Annotated[int, option("Pairs that talk.", "NUMBER", 100, min=1, max=10_000)] = 100,
    size: Size = 200,
    seconds: Seconds = 5.0,
    warm_up: WarmUp = 1.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """How long chat takes while messages go out by a channel that works, and by ones that fail."""
    parameters = ChannelParameters(posts, rate, senders, size)
    options = Options(output, data_dir, tls, seconds, warm_up, processes)
    _measure("channels", lambda screen: channels(parameters, options, screen), options, report.CALLS)


@bench.command("rest")
def rest_command(
    connections: Annotated[int, option("Keep-alive HTTP connections.", "NUMBER", 32, min=1, max=4_000)] = 32,
    in_flight: Annotated[int, option("Requests a connection sends ahead.", "NUMBER", 1, min=1, max=100)] = 1,
    receivers: Annotated[int, option("Subscribers who are sent messages.", "NUMBER", 100, min=1, max=10_000)] = 100,
    size: Size = 200,
    seconds: Seconds = 5.0,
    warm_up: WarmUp = 1.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Messages sent by the REST API per second, beside a bare HTTP server."""
    parameters = RestParameters(connections, in_flight, receivers, size)
    options = Options(output, data_dir, tls, seconds, warm_up, processes)
    _measure("rest", lambda screen: rest(parameters, options, screen), options, report.REST)


@bench.command("reconnect")
def reconnect_command(
    clients: Annotated[int, option("Clients who come back at once.", "NUMBER", 5000, min=1, max=1_000_000)] = 5000,
    conversations: Annotated[int, option("Conversations of each client.", "NUMBER", 10, min=1, max=50)] = 10,
    unread: Annotated[int, option("Unread messages in each conversation.", "NUMBER", 3, min=1, max=100)] = 3,
    size: Size = 200,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Time until all clients have their sessions and unread counts again after the server started anew."""
    parameters = ReconnectParameters(clients, conversations, unread, size)
    options = Options(output, data_dir, tls, processes=processes)
    _measure("reconnect", lambda screen: reconnect(parameters, options, screen), options, report.RECONNECT)


@bench.command("history")
def history_command(
    messages: Annotated[
        int, option("Messages in the database.", "NUMBER", 10_000_000, min=4_000, max=1_000_000_000)
    ] = 10_000_000,
    conversations: Annotated[
        int, option("Conversations in which they lie.", "NUMBER", 100_000, min=200, max=10_000_000)
    ] = 100_000,
    clients: Annotated[int, option("Clients who ask at once.", "NUMBER", 4, min=1, max=500)] = 4,
    unread: Annotated[int, option("Conversations with unread messages.", "NUMBER", 50, min=1, max=50)] = 50,
    size: Size = 200,
    starts: Annotated[int, option("Starts of the server on that database.", "NUMBER", 5, min=1, max=100)] = 5,
    seconds: Seconds = 5.0,
    warm_up: WarmUp = 1.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """How long pages of history, unread counts and a start take with ten million messages."""
    parameters = HistoryParameters(messages, conversations, clients, unread, size, starts)
    options = Options(output, data_dir, tls, seconds, warm_up, processes)
    _measure("history", lambda screen: history(parameters, options, screen), options, report.HISTORY)


@bench.command("soak")
def soak_command(
    minutes: Annotated[float, option("How long.", "MINUTES", 30, min=0.02, max=10_000)] = 30.0,
    pairs: Annotated[int, option("Pairs that chat.", "NUMBER", 100, min=1, max=10_000)] = 100,
    groups: Annotated[int, option("Groups of these people; four of each talk.", "NUMBER", 4, min=0, max=1000)] = 4,
    members: Annotated[int, option("Members of each group.", "NUMBER", 50, min=4, max=490)] = 50,
    room: Annotated[int, option("Clients in a chat room; 0 for none.", "NUMBER", 100, min=0, max=20_000)] = 100,
    rate: Annotated[
        float | None, option("Messages per second. Default: half of what the machine can bear", "NUMBER", min=1)
    ] = None,
    size: Size = 200,
    warm_up: WarmUp = 1.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Everything at once for long at half the load, with lost connections; what was sent is what was received."""
    parameters = SoakParameters(minutes, pairs, groups, members, room, rate, size)
    options = Options(output, data_dir, tls, minutes * 60, warm_up, processes)
    _measure("soak", lambda screen: soak(parameters, options, screen), options, report.SOAK)


@bench.command("growth")
def growth_command(
    members: Annotated[int, option("Members of the largest groups.", "NUMBER", 500, min=2, max=500)] = 500,
    conversations: Annotated[int, option("Conversations at most.", "NUMBER", 100_000, min=1, max=1_000_000)] = 100_000,
    history: Annotated[
        int, option("Messages that exist before, at most.", "NUMBER", 10_000_000, min=0, max=1_000_000_000)
    ] = 10_000_000,
    pairs: Annotated[int, option("Pairs that talk.", "NUMBER", 100, min=1, max=10_000)] = 100,
    size: Size = 200,
    seconds: Seconds = 5.0,
    warm_up: WarmUp = 1.0,
    processes: Processes = HALF_THE_CORES,
    tls: Tls = False,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """What a delivery and a message cost the server as groups, conversations and history grow."""
    parameters = GrowthParameters(members, conversations, history, pairs, size)
    options = Options(output, data_dir, tls, seconds, warm_up, processes)
    _measure("growth", lambda screen: growth(parameters, options, screen), options, report.GROWTH)


def _measure(
    name: str,
    run: Callable[[Screen], Figures],
    options: Options,
    rows: tuple[report.Row, ...],
) -> None:
    """Run, print, write; a run that lost something ends with exit code 1, one that cannot be made with 2."""
    console = Console(markup=False, highlight=False)
    try:
        picture.require()
        options.output.mkdir(parents=True, exist_ok=True)
        with Screen(console) as screen:
            figures = run(screen)
    except (BenchError, OSError) as error:
        message = f"hongyan bench {name}: {error}"
        Console(stderr=True, markup=False, highlight=False).print(message, style="red", soft_wrap=True)
        raise typer.Exit(2) from None
    whole = report.whole(name, options, figures)
    file = options.output / f"{name}{'-tls' if options.tls else ''}"
    data, image = file.with_suffix(".json"), file.with_suffix(".png")
    report.write(whole, data)
    picture.draw(whole, image)
    report.show(whole, rows, console)
    console.print(f"written: {data} and {image}", soft_wrap=True)
    for sentence in report.warnings(whole):
        console.print(f"warning: {sentence}", style="yellow", soft_wrap=True)
    faults = report.faults(whole)
    for fault in faults:
        console.print(f"fault: {fault}", style="red", soft_wrap=True)
    raise typer.Exit(1 if faults else 0)
