"""What the servers from Debian's packages share: are they installed, where do they live, how do they start and end."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hongyan.bench.machine import CLOCK_TICKS
from hongyan.bench.servers import POLL, STOP_TIMEOUT, Server
from hongyan.bench.workers import BenchError

START_TIMEOUT = 60.0


@dataclass(frozen=True)
class Peer(Server):
    """Another server, with the processes it needs beside its own."""

    others: tuple[int, ...] = ()

    def cpu_seconds(self) -> float:
        """The CPU seconds that these processes and their children have used so far."""
        return sum(map(cpu_seconds_of_tree, (self.pid, *self.others)))


def cpu_seconds_of_tree(root: int) -> float:
    """The CPU seconds of a process, of its children, and of those of them that have ended."""
    ticks: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            words = file.read_text().rpartition(")")[2].split()
            pid = int(file.parent.name)
            ticks[pid] = sum(map(int, words[11:15]))
            children.setdefault(int(words[1]), []).append(pid)
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        total += ticks.get(pid, 0)
        waiting += children.get(pid, [])
    return total / CLOCK_TICKS


def installed(packages: Sequence[str]) -> dict[str, str]:
    """The version of each of Debian's packages. BenchError with a sentence that names those that are absent."""
    versions = {package: _version(package) for package in packages}
    absent = [package for package, version in versions.items() if version is None]
    if absent:
        raise BenchError(f"Debian's {_list(absent)} {'is' if len(absent) == 1 else 'are'} needed and not installed")
    return {package: version for package, version in versions.items() if version is not None}


def _version(package: str) -> str | None:
    if shutil.which("dpkg-query") is None:
        return None
    command = ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Version}", package]
    status, _, version = subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition(" ")
    return version if status == "installed" else None


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


@contextmanager
def folder_of(user: str) -> Iterator[Path]:
    """A new temporary folder that belongs to `user` if we are root, and to us if not."""
    with tempfile.TemporaryDirectory(prefix="hongyan-peers-") as name:
        if os.geteuid() == 0:
            shutil.chown(name, user, user)
        yield Path(name)


def as_user(user: str) -> dict[str, Any]:
    """The arguments of `subprocess` that make a command run as `user`, which only root can."""
    return {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}


def free_port() -> int:
    """A loopback port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str | Path],
    user: str,
    folder: Path,
    is_ready: Callable[[str], bool],
    environment: Mapping[str, str] | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[int]:
    """The pid of a server that was started in `folder` and is ready, told by what it writes; stopped at the end."""
    log = folder / "output.log"
    base = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=base | dict(environment or {}),
            **as_user(user),
        )
    try:
        _wait(process, log, is_ready)
        yield process.pid
        if process.poll() is not None:
            raise BenchError(f"{Path(command[0]).name} ended during the run: {_last_line(log)}")
    finally:
        process.send_signal(stop)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: Any, log: Path, is_ready: Callable[[str], bool]) -> None:
    name = Path(process.args[0]).name
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if is_ready(log.read_text(errors="replace")):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL)
            raise BenchError(f"{name} did not start: {_last_line(log)}")
    raise BenchError(f"{name} was not ready after {START_TIMEOUT:.0f} s: {_last_line(log)}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"
