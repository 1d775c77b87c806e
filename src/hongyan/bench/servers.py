"""The processes under test: Hongyan itself, and the bare server it is compared with."""

import contextlib
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hongyan.bench import bare_server, machine
from hongyan.bench.client import Target
from hongyan.bench.tls import Certificate
from hongyan.bench.workers import SPAWN, BenchError

HONGYAN = (sys.executable, "-m", "hongyan")
APP_ID = "bench"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 20.0
CALL_TIMEOUT = 30.0
POLL = 0.05
#: A hundred thousand connections are made before the first of them opens its session.
ENVIRONMENT = {
    "HONGYAN_LOG_FORMAT": "json",
    "HONGYAN_LOG_LEVEL": "info",
    "HONGYAN_GATEWAY_LOGIN_TIMEOUT": "3600",
    "HONGYAN_ALLOWED_PRIVATE": "127.0.0.1",
}


@dataclass(frozen=True)
class Server:
    """A running server: what to load, and whose resources to read."""

    target: Target
    pid: int
    http_url: str | None = None
    master_key: str = ""
    tls: ssl.SSLContext | None = None
    ports: tuple[int, int] = (0, 0)

    def cpu_seconds(self) -> float:
        """The CPU seconds that it has used so far."""
        return machine.cpu_seconds(self.pid)

    def counters(self) -> dict[str, float]:
        """The server's own figures by name, as `/metrics` tells them; empty for a server without."""
        if self.http_url is None:
            return {}
        with urllib.request.urlopen(f"{self.http_url}/metrics", timeout=10, context=self.tls) as answer:
            lines = answer.read().decode().splitlines()
        pairs = [line.split() for line in lines if not line.startswith("#")]
        return {name: float(value) for name, value in pairs if "{" not in name}

    def call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A call of the REST API with the master key."""
        headers = {
            "Content-Type": "application/json",
            "X-LC-Id": self.target.app_id,
            "X-LC-Key": f"{self.master_key},master",
        }
        request = urllib.request.Request(
            f"{self.http_url}{path}", json.dumps(body).encode(), headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=CALL_TIMEOUT, context=self.tls) as answer:
                return dict(json.load(answer))
        except OSError as error:
            raise BenchError(f"{method} {path} failed: {error}") from None


@dataclass(frozen=True)
class Home:
    """What a server needs to start, and to start again: an app without rate limits in a data directory."""

    data_dir: Path
    certificate: Certificate | None
    app_id: str
    master_key: str

    @classmethod
    def make(cls, data_dir: Path, certificate: Certificate | None, **app_settings: str) -> "Home":
        """Create the app, with these settings."""
        app_id = f"{APP_ID}-{secrets.token_hex(4)}"
        master_key = _create_app(data_dir, app_id, {"limits": "off", **app_settings})
        return cls(data_dir, certificate, app_id, master_key)


@contextmanager
def hongyan(
    data_dir: Path,
    certificate: Certificate | None,
    prepare: Callable[[str], None] = lambda app_id: None,
    **app_settings: str,
) -> Iterator[Server]:
    """`hongyan serve` on an app without rate limits in `data_dir`, stopped at the end.

    `prepare(app id)` is called before the start.
    """
    home = Home.make(data_dir, certificate, **app_settings)
    prepare(home.app_id)
    with running(home) as server:
        yield server


@contextmanager
def running(home: Home, ports: tuple[int, int] = (0, 0)) -> Iterator[Server]:
    """`hongyan serve` on these ports (HTTP, gateway; 0 is any free one), stopped at the end."""
    data_dir, certificate = home.data_dir, home.certificate
    command = [*HONGYAN, "serve", "--data-dir", str(data_dir), "--host", "127.0.0.1"]
    command += ["--http-port", str(ports[0]), "--gateway-port", str(ports[1])]
    if certificate:
        command += ["--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key)]
    log = data_dir / "bench-server.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | ENVIRONMENT)
    try:
        started = _wait_until_started(process, log)
        ports = started["http_port"], started["gateway_port"]
        target = Target(_url("ws", ports[1], certificate), home.app_id, _ca(certificate))
        http_url = _url("http", ports[0], certificate)
        yield Server(target, process.pid, http_url, home.master_key, client_context(certificate), ports)
        if process.poll() is not None:
            raise BenchError(f"hongyan serve ended during the run: {_last_line(log)}")
    finally:
        _stop(process)


@contextmanager
def bare(
    certificate: Certificate | None,
    serve: Callable[[Connection, str | None, str | None], None] = bare_server.serve,
    scheme: str = "ws",
) -> Iterator[Server]:
    """A bare server, stopped at the end: that of websockets unless another is given."""
    ours, theirs = SPAWN.Pipe()
    files = (str(certificate.cert), str(certificate.key)) if certificate else (None, None)
    process = SPAWN.Process(target=serve, args=(theirs, *files), daemon=True)
    process.start()
    theirs.close()
    try:
        port = ours.recv()
        assert process.pid is not None
        yield Server(Target(_url(scheme, port, certificate), APP_ID, _ca(certificate)), process.pid)
    finally:
        ours.close()
        process.join(STOP_TIMEOUT)
        process.terminate()


def client_context(certificate: Certificate | None) -> ssl.SSLContext | None:
    """TLS that trusts the run's certificate, None for plain sockets."""
    return ssl.create_default_context(cafile=str(certificate.ca)) if certificate else None


def _url(scheme: str, port: int, certificate: Certificate | None) -> str:
    return f"{scheme}{'s' if certificate else ''}://127.0.0.1:{port}"


def _ca(certificate: Certificate | None) -> str | None:
    return str(certificate.ca) if certificate else None


def _create_app(data_dir: Path, app_id: str, settings: Mapping[str, str]) -> str:
    """Returns its master key."""
    command = [
        *HONGYAN,
        "app",
        "create",
        "bench",
        "--id",
        app_id,
        *(part for name, value in settings.items() for part in ("--set", f"{name}={value}")),
        "--data-dir",
        str(data_dir),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT, check=False)
    if answer.returncode:
        raise BenchError(f"hongyan app create failed: {answer.stderr.strip()[-300:]}")
    made = json.loads(answer.stdout)
    assert made["id"] == app_id
    return str(made["master_key"])


def _wait_until_started(process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    """What the server says when it is ready, ports included."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        for line in log.read_text(errors="replace").split("\n")[:-1]:
            if '"event": "started"' in line:
                return dict(json.loads(line))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL)
            raise BenchError(f"hongyan serve did not start: {_last_line(log)}")
    raise BenchError(f"hongyan serve was not ready after {START_TIMEOUT:.0f} s: {_last_line(log)}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
