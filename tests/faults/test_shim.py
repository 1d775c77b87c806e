"""The power-loss library itself: the fault tests are worth as much as it is."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pysqlite3 import dbapi2 as sqlite

from tests.faults.disk import UNLIMITED, Disk

WRITE_ROW = """
import os, sys
from pysqlite3 import dbapi2 as sqlite

database = sqlite.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=FULL")
database.execute("CREATE TABLE IF NOT EXISTS message (body)")
database.execute(f"PRAGMA synchronous={sys.argv[2]}")
try:
    database.execute("INSERT INTO message VALUES (zeroblob(20000))")
except sqlite.OperationalError as error:
    print(error, flush=True)
else:
    print("committed", flush=True)
sys.stdin.readline()
"""


class Writer:
    """A process that commits one row, says so, and lives until it is killed."""

    def __init__(self, disk: Disk, synchronous: str) -> None:
        command = [sys.executable, "-c", WRITE_ROW, str(disk.directory / "test.db"), synchronous]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **disk.environment},
        )

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def disk(shim: Path, tmp_path: Path) -> Disk:
    directory = tmp_path / "data"
    directory.mkdir()
    return Disk(shim, directory, tmp_path)


@pytest.fixture
def start(disk: Disk, request: pytest.FixtureRequest) -> Callable[..., Writer]:
    def start_writer(synchronous: str = "FULL") -> Writer:
        disk.settle()
        writer = Writer(disk, synchronous)
        request.addfinalizer(writer.kill)
        return writer

    return start_writer


def run(disk: Disk, script: str) -> None:
    """Runs a Python script in the directory, on the disk."""
    command = [sys.executable, "-c", "import os\n" + script]
    subprocess.run(command, check=True, cwd=disk.directory, env={**os.environ, **disk.environment})


def rows(disk: Disk) -> int:
    with closing(sqlite.connect(disk.directory / "test.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        count: int = database.execute("SELECT count(*) FROM message").fetchone()[0]
        return count


def test_synced_commit_survives_power_loss(disk: Disk, start: Callable[..., Writer]) -> None:
    writer = start("FULL")
    assert writer.answer() == "committed"
    writer.kill()
    disk.lose_power()
    assert rows(disk) == 1


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_unsynced_commit_survives_a_kill_but_not_power_loss(
    disk: Disk, start: Callable[..., Writer], synchronous: str
) -> None:
    writer = start(synchronous)
    assert writer.answer() == "committed"
    writer.kill()
    kept = disk.directory.rename(disk.directory.with_name("kept"))
    with closing(sqlite.connect(kept / "test.db")) as database:
        assert database.execute("SELECT count(*) FROM message").fetchone() == (1,)
    disk.directory.mkdir()
    disk.lose_power()
    assert rows(disk) == 0


def test_what_was_there_before_is_durable(disk: Disk, start: Callable[..., Writer]) -> None:
    for expected in (1, 2):
        writer = start("FULL")
        assert writer.answer() == "committed"
        writer.kill()
        disk.lose_power()
        assert rows(disk) == expected


def test_closed_gate_holds_the_commit_back(disk: Disk, start: Callable[..., Writer]) -> None:
    with disk.gate():
        writer = start("FULL")
        disk.wait_at_gate()
        assert disk.syncs == 0
    assert writer.answer() == "committed"
    assert disk.at_gate == 0
    assert disk.syncs > 0


def test_power_lost_at_the_gate_loses_the_commit(disk: Disk, start: Callable[..., Writer]) -> None:
    first = start("FULL")
    assert first.answer() == "committed"
    first.kill()
    with disk.gate():
        second = start("FULL")
        disk.wait_at_gate()
        second.kill()
    disk.lose_power()
    assert rows(disk) == 1


@pytest.mark.parametrize("space", [0, 1, 5000])
def test_full_disk_refuses_the_commit_whole(disk: Disk, start: Callable[..., Writer], space: int) -> None:
    first = start("FULL")
    assert first.answer() == "committed"
    first.kill()
    disk.space = space
    second = start("FULL")
    assert second.answer() == "database or disk is full"
    assert disk.failures > 0
    disk.space = UNLIMITED
    second.kill()
    assert rows(disk) == 1


def test_failed_sync_is_an_io_error_and_writes_nothing(disk: Disk, start: Callable[..., Writer]) -> None:
    first = start("FULL")
    assert first.answer() == "committed"
    first.kill()
    disk.sync_fails = 1
    second = start("FULL")
    assert second.answer() == "disk I/O error"
    second.kill()
    disk.lose_power()
    assert rows(disk) == 1


def test_file_content_is_durable_as_far_as_it_was_synced(disk: Disk) -> None:
    run(
        disk,
        "fd = os.open('note', os.O_RDWR | os.O_CREAT)\n"
        "os.write(fd, b'one'); os.pwrite(fd, b'N', 1); os.writev(fd, [b' t', b'wo']); os.fdatasync(fd)\n"
        "os.write(fd, b' three'); os.pwritev(fd, [b'O'], 0); os.mkdir('deep')\n"
        "fd = os.open('deep/note', os.O_WRONLY | os.O_CREAT); os.write(fd, b'kept'); os.fsync(fd)\n",
    )
    disk.lose_power()
    assert (disk.directory / "note").read_text() == "oNe two"
    assert (disk.directory / "deep" / "note").read_text() == "kept"


def test_truncation_is_durable_after_a_sync(disk: Disk) -> None:
    (disk.directory / "a").write_text("long before")
    (disk.directory / "b").write_text("long before")
    disk.settle()
    run(
        disk,
        "a, b = open('a', 'w'), open('b', 'r+')\na.write('short'); a.flush(); os.fsync(a.fileno())\nb.truncate(4)",
    )
    disk.lose_power()
    assert (disk.directory / "a").read_text() == "short"
    assert (disk.directory / "b").read_text() == "long before"


def test_rename_without_sync_loses_the_content(disk: Disk) -> None:
    (disk.directory / "safe").write_text("old")
    (disk.directory / "unsafe").write_text("old")
    disk.settle()
    run(
        disk,
        "for name, synced in ('safe', True), ('unsafe', False):\n"
        "    with open('new', 'w') as file:\n"
        "        file.write('new'); file.flush()\n"
        "        if synced: os.fsync(file.fileno())\n"
        "    os.replace('new', name)\n",
    )
    disk.lose_power()
    assert (disk.directory / "safe").read_text() == "new"
    assert (disk.directory / "unsafe").read_text() == ""


def test_deleted_file_is_gone_and_its_inode_may_serve_another(disk: Disk) -> None:
    (disk.directory / "old").write_text("old")
    disk.settle()
    run(
        disk,
        "for name in ('old', 'a', 'b'):\n"
        "    with open(name, 'w') as file:\n"
        "        file.write(name); file.flush(); os.fsync(file.fileno())\n"
        "    if name != 'b': os.unlink(name)\n",
    )
    disk.lose_power()
    assert [(path.name, path.read_text()) for path in disk.directory.iterdir()] == [("b", "b")]


def test_other_directories_are_left_alone(disk: Disk, tmp_path: Path) -> None:
    disk.space = 0
    disk.sync_fails = 1
    elsewhere = tmp_path / "elsewhere"
    run(disk, f"file = open({str(elsewhere)!r}, 'w'); file.write('x'); file.flush(); os.fsync(file.fileno())")
    assert elsewhere.read_text() == "x"
    assert disk.failures == 0
