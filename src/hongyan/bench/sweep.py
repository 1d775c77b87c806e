"""`hongyan bench sweep`: how long messages take while old ones are deleted, beside how long they take without."""

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hongyan import admin
from hongyan.bench import machine, servers
from hongyan.bench.chat import PAIR, run
from hongyan.bench.run import Figures, Options, Screen, check_files, place
from hongyan.bench.talk_load import TalkPlan
from hongyan.bench.talk_run import ratio
from hongyan.datadir import DataDir
from hongyan.store import database

WHAT = "p99 from send to acknowledgement: while sweeping, beside before it"
#: The old messages lie in so many conversations, in turns, as they would have come.
CONVERSATIONS = 1_000
DAY = 86_400_000
ROWS = 10_000
CONVERSATION = (
    "INSERT INTO conversation (app, id, kind, creator, created_at, updated_at, member_count, last_seq, last_message_at)"
    " VALUES (?, ?, 1, 'old', ?, ?, 1, ?, ?)"
)
MEMBER = "INSERT INTO member (conversation, client, app, joined_at, read_seq) VALUES (?, 'old', ?, 0, 0)"
MESSAGE = "INSERT INTO message (conversation, timestamp, seq, id, sender, body) VALUES (?, ?, ?, ?, 'old', ?)"
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
        file = here.data_dir / "hongyan.db"
        now = int(time.time() * 1000)

        def prepare(app_id: str) -> None:
            line = screen.line("old messages")
            line.show("writing", 0, parameters.expired)
            for written in _write(file, app_id, parameters, now - 10 * DAY):
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


def _write(file: Path, app_id: str, parameters: SweepParameters, first: int) -> Iterator[int]:
    """Writes the old messages; how many so far."""
    body = b"\x00" + b"x" * parameters.size
    with contextlib.closing(database.connect(file)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        (app_key,) = connection.execute("SELECT key FROM app WHERE id = ?", (app_id,)).fetchone()
        keys = _conversations(connection, app_key, parameters.expired // CONVERSATIONS, first)
        places = ((key, seq) for seq in itertools.count(1) for key in keys)
        written = 0
        while written < parameters.expired:
            rows = [
                (key, first + seq, seq, f"{written + n:022x}", body)
                for n, (key, seq) in enumerate(itertools.islice(places, min(ROWS, parameters.expired - written)))
            ]
            connection.execute("BEGIN")
            connection.executemany(MESSAGE, rows)
            connection.execute("COMMIT")
            written += len(rows)
            yield written


def _conversations(connection: Any, app_key: int, each: int, first: int) -> list[int]:
    connection.execute("BEGIN")
    keys = []
    for number in range(CONVERSATIONS):
        values = (app_key, f"old-{app_key}-{number}", first, first, each + 1, first + each + 1)
        keys.append(connection.execute(CONVERSATION, values).lastrowid)
        connection.execute(MEMBER, (keys[-1], app_key))
    connection.execute("COMMIT")
    return keys


def _left(file: Path, before: int) -> int:
    with contextlib.closing(database.connect(file, read_only=True)) as connection:
        found: int = connection.execute(LEFT, (before,)).fetchone()[0]
        return found
