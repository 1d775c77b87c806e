"""The picture of a report: one PNG with the rate beside its ceiling and the latencies or the memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hongyan.bench.workers import BenchError

OURS, BARE = "#2f6f9f", "#b8b8b8"
COLORS = ("#2f6f9f", "#d1661f", "#4d9a4d", "#7b5aa6")
LONG_AXIS = 10_000
"""Above this ratio of the ends of a logarithmic axis only powers of ten have labels."""
LONG_SOAK = 300
"""From so many seconds on time is told in minutes."""
HINT = "matplotlib is missing: install it with `pip install matplotlib`, or with `pip install 'hongyan[bench]'`"


def require() -> None:
    """Raise BenchError before a long run if pictures cannot be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise BenchError(HINT) from None


def draw(report: dict[str, Any], file: Path) -> None:
    """Draw the picture of any of the reports."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    margins = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1, wspace=0.04)
    figure = Figure(figsize=(12, 4.8), layout=margins)
    DRAWINGS[report["benchmark"]](report, *figure.subplots(1, PLOTS.get(report["benchmark"], 2)))
    figure.suptitle(f"hongyan bench {report['benchmark']} · {_where(report)}", fontsize=11)
    figure.savefig(file, dpi=110)


def _where(report: dict[str, Any]) -> str:
    machine = report["machine"]
    tls = "TLS" if report["tls"] else "plain sockets"
    return f"{machine['processor']}, {machine['cores']} cores, load generator included, {tls}"


def _draw_chat(report: dict[str, Any], left: Any, right: Any) -> None:
    names = [run["name"] for run in report["runs"]] + [f"bare SQLite, {report['ceiling']['batch']} per commit"]
    rates = [run["messages_per_second"] for run in report["runs"]] + [report["ceiling"]["messages_per_second"]]
    _bars(left, names, rates, [OURS] * len(report["runs"]) + [BARE])
    left.set_title("Acknowledged durable 1:1 messages")
    left.set_xlabel("messages per second")
    _latencies(right, report["runs"], "ack_ms")
    right.set_title("From send to acknowledgement")


def _draw_fanout(report: dict[str, Any], left: Any, right: Any) -> None:
    bare = report["ceiling"]["runs"]
    runs = report["runs"] + bare
    colors = [OURS] * len(report["runs"]) + [BARE] * len(bare)
    names = [f"{run['name']}\n{run['frames_per_read'] or 0:.1f} frames per read" for run in runs]
    _bars(left, names, [run["deliveries_per_second"] for run in runs], colors)
    parameters = report["parameters"]
    where = "a chat room" if report["benchmark"] == "room" else f"{parameters['groups']} groups"
    left.set_title(f"Deliveries in {where} of {parameters['members']:,}")
    left.set_xlabel("deliveries per second")
    _latencies(right, runs, "delivery_ms")
    right.set_title("From send to delivery")


def _draw_broadcast(report: dict[str, Any], left: Any, right: Any) -> None:
    (run,), parameters = report["runs"], report["parameters"]
    _bars(left, ["p50", "longest"], [run["to_all_p50_ms"] or 0, run["to_all_max_ms"] or 0], [OURS, OURS])
    left.set_title(f"Until {parameters['online']:,} of {parameters['subscribers']:,} subscribers had a broadcast")
    left.set_xlabel("milliseconds")
    _latencies(right, report["runs"] + report["ceiling"]["runs"], "ack_ms")
    right.set_title("Chat meanwhile: from send to acknowledgement")


def _draw_idle(report: dict[str, Any], left: Any, right: Any) -> None:
    runs = report["runs"] + report["ceiling"]["runs"]
    sessions = report["parameters"]["sessions"]
    for run, color in zip(runs, (OURS, BARE), strict=True):
        points = [
            (count + sessions * (phase == "opening"), (size - run["rss_start"]) / 1e6)
            for phase, count, size in run["samples"]
            if phase in ("connecting", "opening")
        ]
        left.plot(*zip(*points, strict=True), color=color, label=f"{run['name']}, {_each(run)}", linewidth=2)
    left.axvline(sessions, color="black", linewidth=0.8, linestyle=":")
    servers = report["parameters"]["servers"]
    whose = "the server" if servers == 1 else f"{servers} servers"
    left.set_title(f"Memory of {whose} (resident, beyond the start)")
    left.set_xlabel(f"{sessions:,} connections, then {sessions:,} session opens")
    left.set_ylabel("MB")
    left.xaxis.set_major_formatter("{x:,.0f}")
    left.locator_params(axis="x", nbins=5)
    left.legend(loc="lower right", fontsize=8)
    left.grid(alpha=0.3)
    names = [f"{run['name']}: {what}" for run in runs for what in ("connections", "session opens")]
    rates = [run[figure] for run in runs for figure in ("connections_per_second", "opens_per_second")]
    _bars(right, names, rates, [OURS, OURS, BARE, BARE])
    right.set_title("How fast they come")
    right.set_xlabel("per second")


def _each(run: dict[str, Any]) -> str:
    connection, session = run["bytes_per_connection"] / 1000, run["bytes_per_session"] / 1000
    return f"{session:.1f} KB per session, {connection:.1f} of it for the connection"


def _bars(axes: Any, names: list[str], values: list[float], colors: list[str], form: str = ",.0f") -> None:
    bars = axes.barh(names, values, color=colors)
    axes.bar_label(bars, [format(value, form) for value in values], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.18)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", alpha=0.3)


def _latencies(axes: Any, runs: list[dict[str, Any]], figure: str, of: str = "messages") -> None:
    for run, color in zip(runs, COLORS, strict=False):
        names = ["max" if percent == "100" else percent for percent in run[figure]]
        axes.plot(names, list(run[figure].values()), marker="o", markersize=3, color=color, label=run["name"])
    axes.set_xlabel(f"percentile of {of}")
    axes.set_ylabel("milliseconds (logarithmic)")
    axes.set_yscale("log")
    _label_powers(axes.yaxis, figure, runs)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)


def _label_powers(axis: Any, figure: str, runs: list[dict[str, Any]]) -> None:
    """Labels that never touch: 1, 2 and 5 of each power of ten, or the powers alone on a long axis."""
    from matplotlib.ticker import LogLocator, NullFormatter

    values = [value for run in runs for value in run[figure].values() if value]
    long = bool(values) and max(values) > LONG_AXIS * min(values)
    axis.set_major_locator(LogLocator(subs=(1,) if long else (1, 2, 5), numticks=30))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(LogLocator(subs=range(2, 10), numticks=100))
    axis.set_minor_formatter(NullFormatter())


def _draw_sweep(report: dict[str, Any], left: Any, right: Any) -> None:
    runs = report["runs"]
    _bars(left, [run["name"] for run in runs], [run["messages_per_second"] for run in runs], [OURS] * len(runs))
    left.set_title("Acknowledged durable 1:1 messages")
    left.set_xlabel("messages per second")
    _latencies(right, runs, "ack_ms")
    right.set_title("From send to acknowledgement")


def _draw_rest(report: dict[str, Any], left: Any, right: Any) -> None:
    runs = report["runs"] + report["ceiling"]["runs"]
    _bars(left, [run["name"] for run in runs], [run["messages_per_second"] for run in runs], [OURS, BARE])
    left.set_title("Messages sent by the REST API")
    left.set_xlabel("requests per second")
    _latencies(right, runs, "ack_ms", of="requests")
    right.set_title("From request to answer")


def _draw_reconnect(report: dict[str, Any], left: Any, right: Any) -> None:
    (run,) = report["runs"]
    parts = {"the first": "first", "half of them": "half", "99 %": "p99", "all": "all"}
    for axes, figure, title in ((left, "session", "Session open again"), (right, "unread", "Unread counts there")):
        _bars(axes, list(parts), [run[f"{figure}_{part}_ms"] or 0 for part in parts.values()], [OURS] * len(parts))
        axes.set_title(f"{title}, of {report['parameters']['clients']:,} clients at once")
        axes.set_xlabel("milliseconds since all connect")


def _draw_history(report: dict[str, Any], left: Any, right: Any) -> None:
    *asked, start = report["runs"]
    names = [f"{run['name']}, {percent}" for run in asked for percent in ("p50", "p99")]
    values = [run[figure] or 0 for run in asked for figure in ("p50_ms", "p99_ms")]
    _bars(left, names, values, [OURS] * len(values), ",.1f")
    parameters = report["parameters"]
    left.set_title(f"{parameters['messages']:,} messages, {parameters['clients']} clients ask at once")
    left.set_xlabel("milliseconds until the answer")
    _latencies(right, [*asked, {**start, "name": "start to first message"}], "ms", of="answers")
    right.set_title("Until the answer")


def _draw_soak(report: dict[str, Any], memory: Any, rate: Any, latency: Any) -> None:
    steps = report["runs"][-1]["steps"]
    long = steps[-1]["second"] >= LONG_SOAK
    times = [step["second"] / (60 if long else 1) for step in steps]
    drawings = (
        (memory, "Memory of the server", "MiB", [step["rss"] / (1 << 20) for step in steps]),
        (rate, "Acknowledged messages", "per second", [step["messages_per_second"] for step in steps]),
        (latency, "From send to acknowledgement, p99", "milliseconds", [step["ack_p99_ms"] for step in steps]),
    )
    for axes, title, unit, values in drawings:
        axes.plot(times, values, marker="o", markersize=3, color=OURS)
        axes.set_title(title)
        axes.set_xlabel("minutes" if long else "seconds")
        axes.set_ylabel(unit)
        axes.set_xlim(left=0)
        highest = max((value or 0 for value in values), default=0)
        axes.set_ylim(0, 1.25 * highest or 1)
        axes.yaxis.set_major_formatter("{x:,.0f}" if highest >= 10 else "{x:g}")
        axes.grid(alpha=0.3)


def _draw_growth(report: dict[str, Any], members: Any, conversations: Any, history: Any) -> None:
    drawings = (
        (members, "members", "members of a group", "delivery"),
        (conversations, "conversations", "conversations, used in turn", "message"),
        (history, "history", "messages in the database before", "message"),
    )
    for axes, grows, name, per in drawings:
        runs = [run for run in report["runs"] if run["grows"] == grows]
        sizes = [run["size"] for run in runs]
        costs = [run[f"server_us_per_{per}"] for run in runs]
        axes.plot(sizes, costs, marker="o", markersize=4, color=OURS)
        smallest = min((size for size in sizes if size), default=1)
        axes.set_xscale("symlog", linthresh=smallest / (10 if 0 in sizes else 1))
        axes.set_xticks(sizes, [_short(size) for size in sizes])
        axes.set_xticks([], minor=True)
        axes.set_title(f"Server CPU per {per}, over {grows}")
        axes.set_xlabel(f"{name} (logarithmic)")
        axes.set_ylabel("microseconds")
        axes.set_ylim(0, 1.25 * max((cost or 0 for cost in costs), default=0) or 1)
        axes.margins(x=0.12)
        axes.grid(alpha=0.3)
        for size, cost in zip(sizes, costs, strict=True):
            axes.annotate(_two_digits(cost or 0), (size, cost or 0), (0, 7), textcoords="offset points", ha="center")


def _two_digits(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 10 else f"{cost:.1f}"


def _short(size: int) -> str:
    """1,500 as 1.5 k and so on."""
    for unit, name in ((1_000_000, " M"), (1_000, " k")):
        if size >= unit:
            return f"{size / unit:g}{name}"
    return str(size)


DRAWINGS: dict[str, Callable[..., None]] = {
    "chat": _draw_chat,
    "fanout": _draw_fanout,
    "room": _draw_fanout,
    "idle": _draw_idle,
    "broadcast": _draw_broadcast,
    "sweep": _draw_sweep,
    "import": _draw_sweep,
    "webhooks": _draw_sweep,
    "channels": _draw_sweep,
    "rest": _draw_rest,
    "reconnect": _draw_reconnect,
    "history": _draw_history,
    "soak": _draw_soak,
    "growth": _draw_growth,
}
PLOTS = {"soak": 3, "growth": 3}
"""How many drawings stand side by side, where it is not two."""
