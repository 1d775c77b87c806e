"""Where the server's time goes: `.venv/bin/python bench/flame.py chat`, or `fanout`.

Loads a server as `hongyan bench` does, several messages ahead, and writes a flame graph of what the server did in the
measured seconds to `bench/flame-chat.svg`. A browser shows it: a click enlarges, Ctrl-F searches. Some systems let only
root look into a process.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hongyan.bench import servers
from hongyan.bench.run import Figures, Line, Options, check_files, place
from hongyan.bench.talk_load import TalkPlan
from hongyan.bench.talk_run import talk
from hongyan.bench.workers import BenchError

#: Samples per second: no divisor of a thousand, as timers are.
RATE = 499
#: py-spy draws when it has looked (s).
DRAWN = 60.0
SIZE = 200
#: Pairs or groups, members of each, messages on their way in each.
LOADS = {"chat": (100, 2, 4), "fanout": (10, 100, 8)}


class Beginning(Line):
    """A line of progress that shows nothing, but calls `begin` when the measured part begins."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin: Callable[[], None] | None = begin

    def show(self, now: str, done: float, total: float) -> None:
        """Say what is done now."""
        if now == "measuring" and self._begin is not None:
            begin, self._begin = self._begin, None
            begin()


def draw(load: str, seconds: int, output: Path, size: tuple[int, int, int]) -> Figures:
    """The figures of a run, of which a flame graph is written. BenchError if py-spy can't look into the server."""
    groups, members, in_flight = size
    check_files(groups * members)
    py_spy = _py_spy()
    options = Options(output.parent, seconds=seconds)
    spies: list[subprocess.Popen[str]] = []
    with place(options) as here, servers.hongyan(here.data_dir, None) as server:
        plan = TalkPlan(server.target, load, groups, members, SIZE, in_flight)
        watch = Beginning(lambda: spies.append(_spy(py_spy, server.pid, seconds, output)))
        figures = talk(server, [plan], options, watch)
        (spy,) = spies
        _, said = spy.communicate(timeout=DRAWN)
    if spy.returncode:
        raise BenchError(f"py-spy failed: {said.strip()[-300:]}")
    title = f"The server under `hongyan bench {load}`, {in_flight} messages ahead: where its time goes"
    output.write_text(_for_readers(output.read_text(encoding="utf-8"), title), encoding="utf-8")
    return figures


def _for_readers(drawing: str, title: str) -> str:
    """A title instead of the command of py-spy, and names cut at their end, not where they begin."""
    drawing = re.sub(r'(<text id="title"[^>]*>)[^<]*', lambda found: found[1] + title, drawing)
    return drawing.replace("var truncate_text_right = false;", "var truncate_text_right = true;")


def _py_spy() -> str:
    """The program, beside Python or anywhere on the path."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("py-spy", path=places)
    if found is None:
        raise BenchError("py-spy is missing: install it with `pip install py-spy`")
    return found


def _spy(py_spy: str, pid: int, seconds: int, output: Path) -> subprocess.Popen[str]:
    """Stopping the server for each sample would cost an eighth of its speed; for compiled code's own names, nearly all.

    So time in compiled code is told of the Python function that called it.
    """
    command = [py_spy, "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(RATE)]
    command += ["--nonblocking", "--nolineno", "--threads", "--format", "flamegraph", "--output", str(output)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("load", choices=LOADS)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the SVG file")
    arguments = parser.parse_args()
    output = arguments.output / f"flame-{arguments.load}.svg"
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        figures = draw(arguments.load, arguments.seconds, output, LOADS[arguments.load])
    except BenchError as error:
        sys.exit(str(error))
    print(f"written: {output}, at {figures['messages_per_second']:,.0f} messages/s")
    sys.exit("\n".join(figures["faults"]) or 0)


if __name__ == "__main__":
    main()
