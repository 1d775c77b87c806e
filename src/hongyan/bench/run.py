"""What the three measurements share: options, resources, progress, and one talking run."""

import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from hongyan.bench.tls import Certificate, make_certificate
from hongyan.bench.workers import BenchError

FILES_BESIDES = 200
Figures = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What every measurement can be told; times in seconds."""

    output: Path
    data_dir: Path | None = None
    tls: bool = False
    seconds: float = 5.0
    warm_up: float = 1.0
    processes: int = 1


@dataclass(frozen=True)
class Place:
    """The folders and files of one run."""

    data_dir: Path
    scratch: Path
    certificate: Certificate | None


@contextmanager
def place(options: Options) -> Iterator[Place]:
    """The data directory (temporary unless given), a scratch folder, and a certificate if TLS is wanted."""
    if options.data_dir is not None:
        options.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hongyan-bench-", dir=options.data_dir) as name:
        scratch = Path(name)
        data_dir = options.data_dir or scratch / "data"
        data_dir.mkdir(mode=0o700, exist_ok=True)
        yield Place(data_dir, scratch, make_certificate(scratch) if options.tls else None)


def check_files(connections: int) -> None:
    """Raise the limit of open files as far as `connections` need. BenchError if that is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < connections + FILES_BESIDES:
        raise BenchError(
            f"{connections} connections need {connections + FILES_BESIDES} open files,"
            f" and the limit is {hard} (see ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, connections + FILES_BESIDES), hard))


class Screen:
    """Progress for a person; one line per run."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[now]}"),
            TimeElapsedColumn(),
            console=console,
            refresh_per_second=4,
        )

    def __enter__(self) -> "Screen":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def line(self, name: str) -> "Line":
        """Begin a line."""
        return Line(self._progress, self._progress.add_task(name, total=None, now=""))


class Line:
    """One line of progress."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def show(self, now: str, done: float, total: float) -> None:
        """Say what is done now and how far it is."""
        self._progress.update(self._task, now=now, completed=done, total=total)


def split(total: int, parts: int) -> list[int]:
    """`total` as `parts` whole numbers that differ by at most one; empty parts are left out."""
    shares = [total // parts + (part < total % parts) for part in range(parts)]
    return [share for share in shares if share]


def percentile(values: list[float], percent: float) -> float | None:
    """The value below which `percent` of `values` lie, None if there are none."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))], 3) if ordered else None
