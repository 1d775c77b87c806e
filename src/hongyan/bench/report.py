"""Tables, JSON and the sentences under them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from hongyan.bench import machine
from hongyan.bench.run import Figures, Options

Row = tuple[str, str, float, str]
"""What a figure is called, its key, what to divide it by, and its format."""

OTHER_CORES_MAX = 0.2
"""Cores that other programs may use before the figures mean little."""

SIDE_BY_SIDE = 6
"""So many runs stand side by side in a table."""

CHAT: tuple[Row, ...] = (
    ("acknowledged messages/s", "messages_per_second", 1, ",.0f"),
    ("send to ack, p50 ms", "ack_p50_ms", 1, ".1f"),
    ("send to ack, p99 ms", "ack_p99_ms", 1, ".1f"),
    ("send to delivery, p99 ms", "delivery_p99_ms", 1, ".1f"),
    ("messages per commit", "messages_per_commit", 1, ".1f"),
    ("server CPU, µs/message", "server_us_per_message", 1, ".1f"),
    ("cores: server", "server_cores", 1, ".2f"),
    ("cores: load generator", "generator_cores", 1, ".2f"),
    ("cores: other programs", "other_cores", 1, ".2f"),
)
SWEEP: tuple[Row, ...] = (
    *CHAT[:5],
    ("swept messages/s", "swept_per_second", 1, ",.0f"),
    ("expired messages left", "expired_left", 1, ",.0f"),
    *CHAT[5:],
)
IMPORT: tuple[Row, ...] = (
    *CHAT[:5],
    ("imported rows/s", "imported_per_second", 1, ",.0f"),
    *CHAT[5:8],
    ("cores: importing program", "importer_cores", 1, ".2f"),
    *CHAT[8:],
)
CALLS: tuple[Row, ...] = (
    *CHAT[:5],
    ("calls that went out/s", "calls_per_second", 1, ",.0f"),
    *CHAT[5:],
)
REST: tuple[Row, ...] = (
    ("accepted requests/s", "messages_per_second", 1, ",.0f"),
    ("request to answer, p50 ms", "ack_p50_ms", 1, ".1f"),
    ("request to answer, p99 ms", "ack_p99_ms", 1, ".1f"),
    ("request to delivery, p99 ms", "delivery_p99_ms", 1, ".1f"),
    ("messages per commit", "messages_per_commit", 1, ".1f"),
    ("server CPU, µs/request", "server_us_per_message", 1, ".1f"),
    *CHAT[-3:],
)
RECONNECT: tuple[Row, ...] = (
    ("server stopped, s", "stop_s", 1, ".2f"),
    ("server started, s", "start_s", 1, ".2f"),
    ("session again: the first, ms", "session_first_ms", 1, ",.0f"),
    ("  half of the clients", "session_half_ms", 1, ",.0f"),
    ("  99 %", "session_p99_ms", 1, ",.0f"),
    ("  all", "session_all_ms", 1, ",.0f"),
    ("unread counts there: the first, ms", "unread_first_ms", 1, ",.0f"),
    ("  half of the clients", "unread_half_ms", 1, ",.0f"),
    ("  99 %", "unread_p99_ms", 1, ",.0f"),
    ("  all", "unread_all_ms", 1, ",.0f"),
    ("clients/s", "reopens_per_second", 1, ",.0f"),
    ("connections tried again", "retries", 1, ",.0f"),
    ("server CPU, µs/client", "server_us_per_reopen", 1, ",.0f"),
    *CHAT[-3:],
)
HISTORY: tuple[Row, ...] = (
    ("p50 ms", "p50_ms", 1, ",.1f"),
    ("p99 ms", "p99_ms", 1, ",.1f"),
    ("answers/s", "answers_per_second", 1, ",.0f"),
    ("server CPU, µs/answer", "server_us_each", 1, ",.0f"),
    *CHAT[-3:],
)
FANOUT: tuple[Row, ...] = (
    ("deliveries/s", "deliveries_per_second", 1, ",.0f"),
    ("send to delivery, p50 ms", "delivery_p50_ms", 1, ".1f"),
    ("send to delivery, p99 ms", "delivery_p99_ms", 1, ".1f"),
    ("frames per write", "frames_per_write", 1, ".1f"),
    ("frames per read", "frames_per_read", 1, ".1f"),
    ("bytes per frame", "frame_bytes", 1, ".0f"),
    ("server CPU, µs/delivery", "server_us_per_delivery", 1, ".2f"),
    ("cores: server", "server_cores", 1, ".2f"),
    ("cores: load generator", "generator_cores", 1, ".2f"),
    ("cores: other programs", "other_cores", 1, ".2f"),
)
IDLE: tuple[Row, ...] = (
    ("memory, KB/session", "bytes_per_session", 1000, ".1f"),
    ("  before its session opens", "bytes_per_connection", 1000, ".1f"),
    ("connections/s", "connections_per_second", 1, ",.0f"),
    ("  p99 ms", "connect_p99_ms", 1, ".1f"),
    ("  server CPU, µs each", "server_us_per_connection", 1, ".0f"),
    ("session opens/s", "opens_per_second", 1, ",.0f"),
    ("  p99 ms", "open_p99_ms", 1, ".1f"),
    ("  server CPU, µs each", "server_us_per_open", 1, ".0f"),
    ("cores while idle", "idle_cores", 1, ".3f"),
    ("cores with keep-alives", "echo_cores", 1, ".3f"),
    ("  echoes/s", "echoes_per_second", 1, ",.0f"),
)
BROADCAST: tuple[Row, ...] = (
    ("until all online had it, p50 ms", "to_all_p50_ms", 1, ".1f"),
    ("  longest ms", "to_all_max_ms", 1, ".1f"),
    ("the call, p99 ms", "post_p99_ms", 1, ".1f"),
    ("rows per broadcast", "rows_per_broadcast", 1, ".2f"),
    ("chat: messages/s", "messages_per_second", 1, ",.0f"),
    ("  send to ack, p50 ms", "ack_p50_ms", 1, ".1f"),
    ("  send to ack, p99 ms", "ack_p99_ms", 1, ".1f"),
    ("cores: server", "server_cores", 1, ".2f"),
    ("cores: load generator of chat", "generator_cores", 1, ".2f"),
)

GROWTH: tuple[Row, ...] = (
    ("µs/message", "server_us_per_message", 1, ",.0f"),
    ("µs/delivery", "server_us_per_delivery", 1, ",.1f"),
    ("messages/s", "messages_per_second", 1, ",.0f"),
    ("frames/write", "frames_per_write", 1, ".1f"),
)
SOAK: tuple[Row, ...] = (
    ("acknowledged messages/s", "messages_per_second", 1, ",.0f"),
    ("deliveries/s", "deliveries_per_second", 1, ",.0f"),
    ("send to ack, p50 ms", "ack_p50_ms", 1, ".1f"),
    ("send to ack, p99 ms", "ack_p99_ms", 1, ".1f"),
    ("  of the slowest step", "worst_ack_p99_ms", 1, ".1f"),
    ("history page, p99 ms", "page_p99_ms", 1, ".1f"),
    ("server memory in the middle, MiB", "rss_middle", 1 << 20, ",.1f"),
    ("  growth in the second half", "rss_growth", 1 << 20, "+,.1f"),
    ("database, MiB", "database_bytes", 1 << 20, ",.1f"),
    ("  largest write-ahead log", "wal_bytes", 1 << 20, ",.1f"),
    ("open connections", "connections", 1, ",.0f"),
    ("server CPU, µs/message", "server_us_per_message", 1, ".1f"),
    ("cores: server", "server_cores", 1, ".2f"),
    ("cores: load generator", "generator_cores", 1, ".2f"),
    ("cores: other programs", "other_cores", 1, ".2f"),
    ("messages sent", "sent", 1, ",.0f"),
    ("  acknowledged", "acknowledged", 1, ",.0f"),
    ("  stored", "stored", 1, ",.0f"),
    ("online throughout: messages due", "due_throughout", 1, ",.0f"),
    ("  received", "received_throughout", 1, ",.0f"),
    ("cut off from time to time: due", "due_cut", 1, ",.0f"),
    ("  received", "received_cut", 1, ",.0f"),
    ("  of these from history", "read_cut", 1, ",.0f"),
    ("connections cut", "cuts", 1, ",.0f"),
    ("added to groups and removed", "group_stays", 1, ",.0f"),
    ("chat room entered and left", "room_stays", 1, ",.0f"),
    ("  received by these", "received_guests", 1, ",.0f"),
    ("history pages read", "pages", 1, ",.0f"),
)


def whole(benchmark: str, options: Options, figures: Figures) -> dict[str, Any]:
    """The content of the JSON file: what, when, on what, how, and the figures."""
    return {
        "benchmark": benchmark,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.facts(),
        "versions": machine.versions(),
        "tls": options.tls,
        "seconds": options.seconds,
        "generator_processes": options.processes,
        **figures,
    }


def write(report: dict[str, Any], file: Path) -> None:
    """Write the JSON file."""
    file.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def show(report: dict[str, Any], rows: tuple[Row, ...], console: Console) -> None:
    """Print the runs side by side, or below each other if they are many, and the ceiling."""
    ceiling = report["ceiling"] or {}
    runs = _all_runs(report)
    heads = [name for name, *_ in rows]
    cells = [[_cell(run[figure], divisor, form) for _, figure, divisor, form in rows] for run in runs]
    names = [run["name"] for run in runs]
    if len(runs) > SIDE_BY_SIDE:
        names, heads = heads, names
    else:
        cells = [list(row) for row in zip(*cells, strict=True)]
    table = Table(Column(no_wrap=True), title=f"hongyan bench {report['benchmark']}{', TLS' if report['tls'] else ''}")
    for name in names:
        table.add_column(name, justify="right")
    for head, row in zip(heads, cells, strict=True):
        table.add_row(head, *row)
    console.print(table)
    if "batch" in ceiling:
        console.print(f"ceiling: {ceiling['messages_per_second']:,.0f} messages/s, {ceiling['batch']} per commit")
    if report["ratio"] is not None:
        console.print(f"{ceiling['what']}; ratio {report['ratio']}")
    if "file_system" in report:
        console.print(f"data directory on {report['file_system']}")


def warnings(report: dict[str, Any]) -> list[str]:
    """What makes the figures doubtful, one sentence each."""
    others = max((run.get("other_cores") or 0.0 for run in _all_runs(report)), default=0.0)
    if others <= OTHER_CORES_MAX:
        return []
    return [f"other programs used up to {others:.2f} cores, so the figures are too low and noisy"]


def faults(report: dict[str, Any]) -> list[str]:
    """What went wrong in any run, one sentence each."""
    return [f"{run['name']}: {fault}" for run in _all_runs(report) for fault in run["faults"]]


def _all_runs(report: dict[str, Any]) -> list[Figures]:
    return [*report["runs"], *(report["ceiling"] or {}).get("runs", [])]


def _cell(value: float | None, divisor: float, form: str) -> str:
    return "–" if value is None else format(value / divisor, form)
