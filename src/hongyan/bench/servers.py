"""The processes under test: Hongyan itself, and the bare server it is compared with."""

import contextlib
import json
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hongyan.bench.bare_server import serve
from hongyan.bench.client import Target
from hongyan.bench.tls import Certificate
from hongyan.bench.workers import SPAWN, BenchError

HONGYAN = (sys.executable, "-m", "hongyan")
APP_ID = "bench"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 20.0
POLL = 0.05


@dataclass(frozen=True)
class Server:
    """A running server: what to load, and whose resources to read."""

    target: Target
    pid: int
    http_url: str | None = None
    tls: ssl.SSLContext | None = None

    def counters(self) -> dict[str, float]:
        """The server's own figures by name, as `/metrics` tells them; empty for a server without."""
        if self.http_url is None:
            return {}
        with urllib.request.urlopen(f"{self.http_url}/metrics", timeout=10, context=self.tls) as answer:
            lines = answer.read().decode().splitlines()
        pairs = [line.split() for line in lines if not line.startswith("#")]
        return {name: float(value) for name, value in pairs if "{" not in name}


@contextmanager
def hongyan(data_dir: Path, certificate: Certificate | None) -> Iterator[Server]:
    """`hongyan serve` on an app without rate limits in `data_dir`, stopped at the end."""
    app_id = f"{APP_ID}-{secrets.token_hex(4)}"
    _create_app(data_dir, app_id)
    http_port, gateway_port = _free_port(), _free_port()
    secure = "s" if certificate else ""
    http_url = f"http{secure}://127.0.0.1:{http_port}"
    command = [*HONGYAN, "serve", "--data-dir", str(data_dir), "--host", "127.0.0.1"]
    command += ["--http-port", str(http_port), "--gateway-port", str(gateway_port)]
    if certificate:
        command += ["--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key)]
    log = data_dir / "bench-server.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(process, http_url, certificate, log)
        target = Target(f"ws{secure}://127.0.0.1:{gateway_port}/", app_id, _ca(certificate))
        yield Server(target, process.pid, http_url, client_context(certificate))
        if process.poll() is not None:
            raise BenchError(f"hongyan serve ended during the run: {_last_line(log)}")
    finally:
        _stop(process)


@contextmanager
def bare(certificate: Certificate | None) -> Iterator[Server]:
    """The bare server, stopped at the end."""
    ours, theirs = SPAWN.Pipe()
    files = (str(certificate.cert), str(certificate.key)) if certificate else (None, None)
    process = SPAWN.Process(target=serve, args=(theirs, *files), daemon=True)
    process.start()
    theirs.close()
    try:
        port = ours.recv()
        assert process.pid is not None
        scheme = "wss" if certificate else "ws"
        yield Server(Target(f"{scheme}://127.0.0.1:{port}/", APP_ID, _ca(certificate)), process.pid)
    finally:
        ours.close()
        process.join(STOP_TIMEOUT)
        process.terminate()


def client_context(certificate: Certificate | None) -> ssl.SSLContext | None:
    """TLS that trusts the run's certificate, None for plain sockets."""
    return ssl.create_default_context(cafile=str(certificate.ca)) if certificate else None


def _ca(certificate: Certificate | None) -> str | None:
    return str(certificate.ca) if certificate else None


def _create_app(data_dir: Path, app_id: str) -> None:
    command = [
        *HONGYAN,
        "app",
        "create",
        "bench",
        "--id",
        app_id,
        "--set",
        "limits=off",
        "--data-dir",
        str(data_dir),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT, check=False)
    if answer.returncode:
        raise BenchError(f"hongyan app create failed: {answer.stderr.strip()[-300:]}")
    assert json.loads(answer.stdout)["id"] == app_id


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(
    process: subprocess.Popen[bytes], http_url: str, certificate: Certificate | None, log: Path
) -> None:
    context = client_context(certificate)
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(f"{http_url}/health/ready", timeout=5, context=context).close()
            return
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
