"""A real `hongyan serve` process for a test, with one app that has no rate limits."""

import atexit
import functools
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support import programs
from tests.support.programs import Process

HOST = "127.0.0.1"
PORTS = range(20_000, 32_768)
"""Below the ports that Linux gives to outgoing connections: none of them can take a port during a restart."""
PATIENCE = 60.0
"""Seconds after which a start, an answer or a stop is an error: a start takes about one, but a machine may be busy."""
LOG_TAIL = 16_000
"""Characters of the log that a failing test shows."""


@dataclass(frozen=True)
class App:
    """A messaging space and its secrets."""

    id: str
    key: str
    master_key: str


TEST_APP = App(id="test-app", key="test-key", master_key="test-master-key")
LIMITS_OFF = {"limits": "off"}


@dataclass(frozen=True)
class Certificate:
    """A server certificate for the loopback addresses; `authority` is the file of the CA that signed it."""

    certificate: Path
    key: Path
    authority: Path

    @classmethod
    def issue(cls, directory: Path) -> "Certificate":
        """Makes a CA and a certificate in the directory."""
        made = cls(directory / "server.pem", directory / "server.key", directory / "ca.pem")
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", HOST, "::1")
        authority.cert_pem.write_to_path(made.authority)
        issued.private_key_pem.write_to_path(made.key)
        for part in issued.cert_chain_pems:
            part.write_to_path(made.certificate, append=True)
        return made


class Server:
    """A server on free loopback ports, with its data and its log in a directory of its own.

    Make it, `start` it, and always `close` it; the fixtures of `tests.support.plugin` do. A start after
    `stop` or `kill` uses the same ports and data. `options` and `environment` go to `hongyan serve` only.
    """

    def __init__(
        self,
        directory: Path,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self.app = TEST_APP
        self.data_dir = directory / "data"
        self.log_path = directory / "server.log"
        self.http_port, self.gateway_port = free_ports(2)
        self.certificate = certificate
        self.options = tuple(options)
        self.environment = dict(environment or {})
        self.process: Process | None = None
        self.ssl_context = ssl.create_default_context(cafile=certificate.authority) if certificate else None

    @property
    def http_url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://{HOST}:{self.http_port}"

    @property
    def gateway_url(self) -> str:
        return f"{'wss' if self.certificate else 'ws'}://{HOST}:{self.gateway_port}"

    @property
    def log(self) -> str:
        """What the server has printed so far, on both streams, over all its starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def hongyan(self, *arguments: str) -> str:
        """Runs a sub-command on this server's data; returns what it printed. Raises when it fails."""
        done = programs.run([*arguments, "--data-dir", self.data_dir])
        assert done.returncode == 0, f"hongyan {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def create_app(self, app: App, **settings: str) -> App:
        """Creates an app with the settings; the server may run or not."""
        if (app, settings) == (TEST_APP, LIMITS_OFF) and not self.data_dir.exists():
            shutil.copytree(_usual_data(), self.data_dir)
            return app
        return self._create_app(app, **settings)

    def _create_app(self, app: App, **settings: str) -> App:
        chosen = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        keys = ["--id", app.id, "--key", app.key, "--master-key", app.master_key]
        created = json.loads(self.hongyan("app", "create", "test", *keys, *chosen))
        return App(id=created["id"], key=created["key"], master_key=created["master_key"])

    def start(self) -> None:
        """Starts the process and waits until it is ready; the first start creates the app."""
        assert not self.running, "the server runs"
        if not self.data_dir.exists():
            self.create_app(self.app, limits="off")
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Starts the process and does not wait; for starts that should fail."""
        with self.log_path.open("ab") as log:
            self.process = programs.start(["serve", *self._arguments()], log, self.environment)

    def wait_ready(self) -> None:
        """Waits until the health check says ready. Raises when the process ends first or takes too long."""
        deadline = time.monotonic() + PATIENCE
        while not self.is_ready():
            assert self.running, f"the server ended before it was ready:\n{self.log[-LOG_TAIL:]}"
            assert time.monotonic() < deadline, f"the server is not ready:\n{self.log[-LOG_TAIL:]}"
            time.sleep(0.02)

    def is_ready(self) -> bool:
        """Whether GET /health/ready answers 200."""
        try:
            return self.get("/health/ready")[0] == 200
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Status and body of a GET on the HTTP port."""
        if self.ssl_context:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                HOST, self.http_port, timeout=PATIENCE, context=self.ssl_context
            )
        else:
            connection = http.client.HTTPConnection(HOST, self.http_port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def stop(self) -> int:
        """Ends the process with SIGTERM; returns its exit code. Raises when it does not end in time."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Ends the process with SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def wait(self) -> int:
        """Waits until the process ends by itself; returns its exit code."""
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def restart(self) -> None:
        """Stops and starts again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Ends the process whatever it does; safe to call at any time."""
        if self.running:
            self.kill()

    def _arguments(self) -> list[str]:
        arguments = ["--host", HOST, "--data-dir", str(self.data_dir)]
        arguments += ["--http-port", str(self.http_port), "--gateway-port", str(self.gateway_port)]
        if self.certificate:
            arguments += ["--tls-cert", str(self.certificate.certificate)]
            arguments += ["--tls-key", str(self.certificate.key)]
        return [*arguments, *self.options]


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, all different, in random order.

    Each process that runs tests has ports of its own: to try one could take it from a server that starts again.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = PORTS[worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    return list(itertools.islice(filter(is_free, random.sample(own, len(own))), count))


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


@functools.cache
def _usual_data() -> Path:
    """A data directory with the usual app, to be copied: to make one by the command line takes over a second."""
    folder = tempfile.TemporaryDirectory(prefix="hongyan-tests-")
    atexit.register(folder.cleanup)
    made = Server(Path(folder.name))
    made._create_app(TEST_APP, **LIMITS_OFF)
    (made.data_dir / "lock").unlink(missing_ok=True)
    return made.data_dir
