"""How the process is tuned, and how it ends when nothing else helps."""

import asyncio
import json
import resource
import subprocess
import sys

from structlog.testing import capture_logs

from hongyan import process


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, with the log as JSON."""
    setup = "from hongyan import log, process; log.configure('info', 'json'); "
    return subprocess.run([sys.executable, "-c", setup + code], capture_output=True, text=True, timeout=60)


def test_a_server_may_have_as_many_files_as_its_user() -> None:
    done = run("import resource; process.tune(); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])")
    assert int(done.stdout) == resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def test_a_failing_disk_ends_the_process_with_one_line() -> None:
    done = run("process.storage_failed(OSError(5, 'I/O error'))")
    assert done.returncode == 70
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["level"] == "critical"
    assert "I/O error" in line


def test_it_ends_from_any_thread() -> None:
    thread = "threading.Thread(target=process.storage_failed, args=(OSError(5, 'I/O error'),)).start()"
    assert run(f"import threading, time; {thread}; time.sleep(60)").returncode == 70


async def test_a_failure_that_repeats_itself_does_not_fill_the_log() -> None:
    loop, handle = asyncio.get_running_loop(), process.UnhandledLog()
    with capture_logs() as lines:
        for _ in range(1_000):
            handle(loop, {"message": "accept failed", "exception": OSError(24, "Too many open files")})
        handle(loop, {"message": "callback failed", "exception": ValueError("other")})
    assert [line["what"] for line in lines] == ["accept failed", "callback failed"]
