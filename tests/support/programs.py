"""Starts the program `hongyan` for tests: as a fork of a process that has imported it, or by the installed script."""

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

PROGRAM = Path(sys.executable).with_name("hongyan")
FORK_SERVER = Path(__file__).with_name("fork_server.py")
ANSWER_MAX = 32
#: The variables of Hongyan, and of the library that models a disk (`tests/faults`).
OURS = ("HONGYAN_", "POWERLOSS_")
PRELOAD = "LD_PRELOAD"


class Forked:
    """A process that the fork server started, with what tests use of `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str], pid: int, pidfd: int, status: int) -> None:
        self.args = arguments
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = pidfd
        self._status = status

    def poll(self) -> int | None:
        """The status with which it ended, if it has."""
        return self._told(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end; returns the status. Raises TimeoutExpired."""
        status = self._told(timeout)
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return status

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless the process has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """Ends it at once; `wait` for the end."""
        self.send_signal(signal.SIGKILL)

    def _told(self, timeout: float | None) -> int | None:
        """The status, for which this waits so many seconds."""
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._status, select.POLLIN)
            if waiting.poll(None if timeout is None else timeout * 1000):
                told = os.read(self._status, ANSWER_MAX)
                assert told, "the fork server has ended"
                self.returncode = int(told)
                os.close(self._status)
                os.close(self._pidfd)
        return self.returncode


Process = Forked | subprocess.Popen[bytes]


def start(arguments: Sequence[object], output: IO[Any], environment: Mapping[str, str] | None = None) -> Process:
    """Starts `hongyan` with arguments, an end of its input, and both outputs in a file.

    With a library to preload it is a fork of a process that has done so. With other variables, which may be for the
    loader or for Python, it is started by the script.
    """
    added = dict(environment or {})
    with open(os.devnull, "rb") as nothing:
        if all(name.startswith(OURS) or name == PRELOAD for name in added):
            streams = [nothing.fileno(), output.fileno(), output.fileno()]
            return _fork_server(added.get(PRELOAD)).start(arguments, added, streams)
        everything = {**os.environ, **added}
        return subprocess.Popen(
            [str(PROGRAM), *map(str, arguments)], stdin=nothing, stdout=output, stderr=subprocess.STDOUT, env=everything
        )


def run(
    arguments: Sequence[object], timeout: float = 60, environment: Mapping[str, str] | None = None, input: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs `hongyan` with arguments, variables of Hongyan and an input until it ends."""
    with ExitStack() as files:
        streams = [files.enter_context(tempfile.TemporaryFile("w+", newline="")) for _ in range(3)]
        given, output, errors = streams
        given.write(input)
        given.seek(0)
        process = _fork_server(None).start(arguments, environment or {}, [stream.fileno() for stream in streams])
        try:
            status = process.wait(timeout)
        finally:
            process.kill()
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(arguments, status, output.read(), errors.read())


class _ForkServer:
    """The process that runs `fork_server.py`."""

    def __init__(self, preload: str | None) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", FORK_SERVER, str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={**os.environ, PRELOAD: preload} if preload else None,
        )
        theirs.close()
        self._turn = threading.Lock()
        atexit.register(self._end)

    def start(self, arguments: Sequence[object], added: Mapping[str, str], streams: Sequence[int]) -> Forked:
        """A new process with these arguments after the name of the program."""
        request = {
            "arguments": [str(PROGRAM), *map(str, arguments)],
            "environment": {**os.environ, **added},
            "directory": os.getcwd(),
        }
        with self._turn:
            socket.send_fds(self._requests, [json.dumps(request).encode()], streams)
            answer, descriptors, _, _ = socket.recv_fds(self._requests, ANSWER_MAX, 2)
        assert answer, "the fork server has ended"
        return Forked(request["arguments"], int(answer), *descriptors)

    def _end(self) -> None:
        self._requests.close()
        self._process.wait()


@functools.cache
def _fork_server(preload: str | None) -> _ForkServer:
    """The one of this process of tests, for each library to preload, from its first use to the end."""
    return _ForkServer(preload)
