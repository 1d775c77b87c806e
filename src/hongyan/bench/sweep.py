"""`hongyan bench sweep`: how long messages take while old ones are deleted, beside how long they take without."""

import contextlib
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hongyan import admin
from hongyan.bench import machine, servers
from hongyan.bench.chat import PAIR, run
from hongyan.bench.run import Figures, Options, Screen, check_files, place
from hongyan.bench.seed import DATABASE, old_messages, seeding
from hongyan.bench.talk_load import TalkPlan
from hongyan.bench.talk_run import ratio
from hongyan.datadir import DataDir
from hongyan.store import database

WHAT = "p99 from send to acknowledgement: while sweeping, beside before it"
DAY = 86_400_000
LEFT = "SELECT count(*) FROM message WHERE timestamp < ?"


@dataclass(frozen=True)
class SweepParameters:
    """`expired` old messages; the others as for `chat`."""

    expired: int = 1_000_000
    senders: int = 100
    in_flight: int = 4
    size: int = 200


def sweep(parameters: SweepParameters, options: Options, screen: Screen) -> Figures:
    """The highest rate, then half of it without and with a sweep that goes on meanwhile."""
    check_files(parameters.senders * PAIR)
    with place(options) as here:
        file = here.data_dir / DATABASE
        now = int(time.time() * 1000)

        def prepare(app_id: str) -> None:
            line = screen.line("old messages")
            line.show("writing", 0, parameters.expired)
            with seeding(here.data_dir, app_id) as seed:
                for written in old_messages(seed, parameters.expired, parameters.size, now - 10 * DAY):
                    line.show("writing", written, parameters.expired)

        with servers.hongyan(here.data_dir, here.certificate, prepare, message_days="2") as server:
            plan = TalkPlan(
                server.target, "a", parameters.senders, PAIR, parameters.size, in_flight=parameters.in_flight
            )
            highest = run(f"{parameters.in_flight} ahead", server, plan, options, screen)
            half = replace(plan, name="b", in_flight=1, rate=highest["messages_per_second"] / 2)
            before = run("half the rate", server, half, options, screen)
            began, there = time.monotonic(), _left(file, now - DAY)
            admin.call(DataDir(here.data_dir).admin_socket, admin.Sweep({}))
            during = run("half the rate, sweeping", server, replace(half, name="c"), options, screen)
            passed, left = time.monotonic() - began, _left(file, now - DAY)
        for figures in (highest, before):
            figures |= {"swept_per_second": None, "expired_left": there}
        during |= {"swept_per_second": ratio(there - left, passed), "expired_left": left}
        return {
            "parameters": asdict(parameters),
            "file_system": machine.file_system(here.data_dir),
            "runs": [highest, before, during],
            "ceiling": {"what": WHAT},
            "ratio": ratio(during["ack_p99_ms"], before["ack_p99_ms"]),
        }


def _left(file: Path, before: int) -> int:
    with contextlib.closing(database.connect(file, read_only=True)) as connection:
        found: int = connection.execute(LEFT, (before,)).fetchone()[0]
        return found
