"""`hongyan bench import`: how long messages take while others are brought in, beside how long they take without."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hongyan.bench import exports, machine, servers
from hongyan.bench.chat import PAIR, run
from hongyan.bench.run import Figures, Line, Options, Screen, check_files, place
from hongyan.bench.servers import Server
from hongyan.bench.talk_load import TalkPlan
from hongyan.bench.talk_run import ratio
from hongyan.bench.workers import BenchError

WHAT = "p99 from send to acknowledgement: while importing, beside before it"
#: Messages of a conversation of the export, on average.
EACH = 50
#: How long an import may read before it writes the first message, and how often it is looked at (s).
PATIENCE, POLL = 600.0, 0.1
COUNTER = "hongyan_imported_rows_total"


@dataclass(frozen=True)
class ImportParameters:
    """An export of so many `messages`; the others as for `chat`."""

    messages: int = 300_000
    senders: int = 100
    in_flight: int = 4
    size: int = 200


def bring_in(parameters: ImportParameters, options: Options, screen: Screen) -> Figures:
    """The highest rate, then half of it without and with an import beside it."""
    check_files(parameters.senders * PAIR)
    with place(options) as here:
        folder, line = here.scratch / "export", screen.line("an export")
        line.show("writing", 0, 1)
        conversations = max(2, parameters.messages // EACH)
        exports.write(folder, conversations, parameters.messages)
        line.show("done", 1, 1)
        with servers.hongyan(here.data_dir, here.certificate) as server:
            plan = TalkPlan(
                server.target, "a", parameters.senders, PAIR, parameters.size, in_flight=parameters.in_flight
            )
            highest = run(f"{parameters.in_flight} ahead", server, plan, options, screen)
            half = replace(plan, name="b", in_flight=1, rate=highest["messages_per_second"] / 2)
            before = run("half the rate", server, half, options, screen)
            line = screen.line("the import reads")
            with _importing(server, folder, here.data_dir, conversations, line) as importer:
                began, used = time.monotonic(), machine.cpu_seconds(importer.pid)
                during = run("half the rate, importing", server, replace(half, name="c"), options, screen)
                if importer.poll() is not None:
                    raise BenchError("the import ended during the run: give it more --messages")
                cores = (machine.cpu_seconds(importer.pid) - used) / (time.monotonic() - began)
        for figures in (highest, before):
            figures["importer_cores"] = None
        during["importer_cores"] = round(cores, 3)
        during["other_cores"] = round(max(during["other_cores"] - cores, 0.0), 3)
        return {
            "parameters": asdict(parameters),
            "file_system": machine.file_system(here.data_dir),
            "runs": [highest, before, during],
            "ceiling": {"what": WHAT},
            "ratio": ratio(during["ack_p99_ms"], before["ack_p99_ms"]),
        }


@contextmanager
def _importing(
    server: Server, folder: Path, data_dir: Path, conversations: int, line: Line
) -> Iterator[subprocess.Popen[bytes]]:
    """An import that has begun to write messages, ended at the end."""
    command = [*servers.HONGYAN, "import", "leancloud", str(folder), "--app", server.target.app_id]
    with (data_dir / "bench-import.log").open("wb") as log:
        process = subprocess.Popen([*command, "--data-dir", str(data_dir)], stdout=log, stderr=log)
    try:
        _wait_until_it_writes(process, server, conversations, line)
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(servers.STOP_TIMEOUT)
        process.kill()
        process.wait()


def _wait_until_it_writes(process: subprocess.Popen[bytes], server: Server, conversations: int, line: Line) -> None:
    """Until there are more rows than those of conversations, which come first."""
    deadline = time.monotonic() + PATIENCE
    line.show("reading", 0, 1)
    while server.counters()[COUNTER] <= conversations:
        if process.poll() is not None:
            raise BenchError("the import ended before the run: give it more --messages")
        if time.monotonic() > deadline:
            raise BenchError(f"the import had written nothing after {PATIENCE:.0f} s")
        time.sleep(POLL)
    line.show("done", 1, 1)
