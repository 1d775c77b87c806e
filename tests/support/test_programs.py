"""A forked program is like one that was started afresh."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import hongyan
from tests.support import programs
from tests.support.server import Server

KEPT = ("Umask", "SigBlk", "SigIgn", "SigCgt", "Groups", "NoNewPrivs")
LIKE_NEW = {"SOME_VARIABLE": "1"}
"""A variable that is not of Hongyan, with which the program is started by its script."""


def traits(server: Server) -> dict[str, object]:
    """What Linux knows of the process of a server."""
    assert server.process is not None
    proc = Path(f"/proc/{server.process.pid}")
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
    return {
        "limits": (proc / "limits").read_text(),
        "directory": os.readlink(proc / "cwd"),
        "group": os.getpgid(server.process.pid),
        "session": os.getsid(server.process.pid),
        **{name: status[name] for name in KEPT},
    }


def test_a_fork_is_like_a_new_process(server_factory: Callable[..., Server], server: Server) -> None:
    new = server_factory(environment=LIKE_NEW)
    new.start()
    assert isinstance(new.process, subprocess.Popen)
    assert isinstance(server.process, programs.Forked)
    assert traits(server) == traits(new)


def opened(pid: int | str, first: int = 0) -> set[str]:
    """What a process has open, from a descriptor on: files, pipes and sockets, each by a name of its own."""
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            if int(path.name) >= first:
                found.add(os.readlink(path))
    found.discard(os.devnull)
    return {name for name in found if not name.startswith("anon_inode:") or "pidfd" in name}


def test_a_fork_has_nothing_open_that_others_opened(server_factory: Callable[..., Server], server: Server) -> None:
    neighbour = server_factory()
    neighbour.start()
    assert server.process is not None
    assert neighbour.process is not None
    parent = Path(f"/proc/{neighbour.process.pid}/stat").read_text().rpartition(")")[2].split()[1]
    others = opened(os.getpid()) | opened(parent) | opened(server.process.pid)
    assert any("pidfd" in name for name in others)
    assert opened(neighbour.process.pid, first=3) & others == set()


def test_forks_draw_other_secrets(tmp_path: Path) -> None:
    printed = [programs.run(["app", "create", "x", "--data-dir", str(tmp_path / name)]).stdout for name in "ab"]
    secrets = [set(re.findall(r'"(?:id|key|master_key|hook_key)":"(\w+)"', text)) for text in printed]
    assert [len(found) for found in secrets] == [4, 4]
    assert not secrets[0] & secrets[1]


def test_a_fork_has_the_directory_and_the_environment_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HONGYAN_DATA_DIR", "data")
    assert programs.run(["app", "create", "x"]).returncode == 0
    assert (tmp_path / "data" / "hongyan.db").exists()


def test_what_a_fork_prints_and_how_it_ends() -> None:
    done = programs.run(["--version"])
    assert (done.returncode, done.stdout, done.stderr) == (0, f"hongyan {hongyan.__version__}\n", "")
    wrong = programs.run(["fly"])
    assert (wrong.returncode, wrong.stdout, wrong.stderr) == (2, "", "hongyan: No such command 'fly'.\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_by_a_signal_is_told(server: Server, number: signal.Signals) -> None:
    assert server.process is not None
    assert server.process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(0)
    server.process.send_signal(number)
    assert server.process.wait(60) == {signal.SIGKILL: -9, signal.SIGTERM: 0}[number]
    server.process.send_signal(number)  # nobody gets it
    assert server.process.poll() == server.process.returncode


def test_no_fork_survives_the_tests(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from tests.support.server import Server; server = Server(pathlib.Path(sys.argv[1]));"
        " server.start(); print(server.process.pid)"
    )
    root = Path(__file__).parents[2]
    python = [programs.PROGRAM.with_name("python"), "-c", code, tmp_path]
    done = subprocess.run(python, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert not Path(f"/proc/{int(done.stdout)}").exists()
