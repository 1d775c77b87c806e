"""Starts `hongyan` by forking: the program is imported once, which takes more processor time than the rest of a start.

`tests.support.programs` runs this file and asks for processes over a socket. Each has what a new one would have: its
arguments, environment, directory and standard streams, and nothing else that is open.
"""

import ctypes
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from litestar import Litestar
from litestar.openapi import OpenAPIConfig

import hongyan
from hongyan import cli
from hongyan.api import application
from hongyan.api.site import Site

REQUEST_MAX = 1 << 18
STREAMS = 3
#: Measurements are another program, and Alembic runs its files itself.
LEFT_OUT = ("hongyan.__main__", "hongyan.bench.", "hongyan.store.migrations.")
#: What the libraries import when they are first used.
LATER = ("alembic.command", "alembic.op", "encodings.idna", "litestar.plugins.pydantic", "uvicorn.lifespan.on")


def main(descriptor: int) -> None:
    """Fork for each request on the socket, until its other end is closed; a fork runs the program."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the tests, at whose end the socket is closed
    preload()
    wanted = ForkServer(socket.socket(fileno=descriptor)).serve()
    if wanted:
        become(*wanted)
        cli.main()


def preload() -> None:
    """Import the program and what it uses."""
    for module in pkgutil.walk_packages(hongyan.__path__, "hongyan."):
        if not module.name.startswith(LEFT_OUT):
            import_module(module.name)
    for name in LATER:
        import_module(name)
    build_ahead()
    threads = len(os.listdir("/proc/self/task"))
    assert threads == 1, "an import starts a thread, which no fork would have"
    gc.freeze()  # no fork looks through all that for garbage


def build_ahead() -> None:
    """Have the framework of HTTP ready, which takes most of the rest of a start; a fork tells it of its site."""
    build = application.framework
    built = build(None)
    provider: Any = built.dependencies["site"]
    site_of = provider.dependency.__closure__[provider.dependency.__code__.co_freevars.index("site")]

    def framework(site: Site | None, openapi: OpenAPIConfig | None = None) -> Litestar:
        if openapi is not None:
            return build(site, openapi)
        site_of.cell_contents = site
        return built

    application.framework = framework


@dataclass(frozen=True)
class Child:
    """A running fork; the status with which it ends is written to `status`."""

    pid: int
    pidfd: int
    status: int

    def reap(self) -> None:
        """Wait for the end and tell it."""
        _, status = os.waitpid(self.pid, 0)
        told = str(os.waitstatus_to_exitcode(status)).encode()
        with suppress(BrokenPipeError):  # nobody wants to know
            os.write(self.status, told)
        os.close(self.status)
        os.close(self.pidfd)


@dataclass(frozen=True)
class ForkServer:
    """Forks for requests, and tells how the forks end."""

    requests: socket.socket
    children: dict[int, Child] = field(default_factory=dict)

    def serve(self) -> tuple[dict[str, Any], list[int]] | None:
        """Comes back in each fork with its request and its standard streams, and at the end with nothing."""
        waiting = select.poll()
        waiting.register(self.requests, select.POLLIN)
        while True:
            for ready, _ in waiting.poll():
                if ready in self.children:
                    waiting.unregister(ready)
                    self.children.pop(ready).reap()
                    continue
                request, streams, _, _ = socket.recv_fds(self.requests, REQUEST_MAX, STREAMS)
                if not request:
                    return self.end()
                child = self.fork()
                if child is None:
                    self.requests.detach()
                    return json.loads(request), streams
                waiting.register(child.pidfd, select.POLLIN)
                for stream in streams:
                    os.close(stream)

    def fork(self) -> Child | None:
        """Nothing in the fork; here the new child, of which the one who asked gets pid, pidfd and status."""
        theirs, ours = os.pipe()
        pid = os.fork()
        if not pid:
            return None
        child = Child(pid, os.pidfd_open(pid), ours)
        self.children[child.pidfd] = child
        socket.send_fds(self.requests, [str(pid).encode()], [child.pidfd, theirs])
        os.close(theirs)
        return child

    def end(self) -> None:
        """Nobody is there any more who would end what still runs."""
        for child in self.children.values():
            os.kill(child.pid, signal.SIGKILL)
            child.reap()


def become(request: dict[str, Any], streams: list[int]) -> None:
    """Make this fork like a new process."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(STREAMS, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if "LD_PRELOAD" in os.environ:  # the library is loaded, but has not seen its variables
        ctypes.CDLL(None).powerloss_start()
    sys.argv = request["arguments"]


if __name__ == "__main__":
    main(int(sys.argv[1]))
