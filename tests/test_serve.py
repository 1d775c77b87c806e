"""`hongyan serve` as a process: what keeps it from starting, its first start, both ports, and how it ends."""

import json
import os
import pty
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pysqlite3 import dbapi2 as sqlite

from hongyan import admin
from tests.support import programs
from tests.support.client import connect, login
from tests.support.programs import PROGRAM
from tests.support.server import HOST, Certificate, Server

ServerFactory = Callable[..., Server]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server for tests that leave it as it was."""
    yield from started(Server(tmp_path_factory.mktemp("running")))


@pytest.fixture(scope="module")
def running_tls(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[Server]:
    """The same with TLS."""
    yield from started(Server(tmp_path_factory.mktemp("running"), certificate=certificate))


def started(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.close()


SERVE_PATCHED = "import asyncio, sys; from hongyan.cli import main; {patch}; main(sys.argv[1:])"
SLOW_DRAIN = "from hongyan.gateway.server import Gateway; Gateway.drain = lambda self, seconds: asyncio.sleep(60)"
OLD_SQLITE = "from hongyan.store import database; database.SQLITE_OLDEST = (99, 0, 0)"


def serve(*arguments: object, patch: str = "") -> subprocess.CompletedProcess[str]:
    """Run `hongyan serve` until it ends by itself."""
    command = ["serve", "--http-port", "0", "--gateway-port", "0", *map(str, arguments)]
    if not patch:
        return programs.run(command)
    python = [sys.executable, "-c", SERVE_PATCHED.format(patch=patch)]
    return subprocess.run([*python, *command], capture_output=True, text=True, timeout=60)


def assert_one_sentence(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    """It ended with status 2 and one line on standard error that has the words."""
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"hongyan: .+\.\n", done.stderr)
    assert sentence in done.stderr


# What keeps a server from starting


def test_an_unknown_key_in_the_configuration_file(tmp_path: Path) -> None:
    file = tmp_path / "hongyan.toml"
    file.write_text("htpp_port = 1")
    assert_one_sentence(serve("--config", file), f"`htpp_port` in {file} is unknown")


@pytest.mark.parametrize("option", ["--http-port", "--gateway-port"])
def test_a_port_in_use(tmp_path: Path, option: str) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        done = serve("--data-dir", tmp_path / "data", option, port)
    setting = option.removeprefix("--").replace("-", "_")
    assert_one_sentence(done, f"Port {port} on {HOST} (setting `{setting}`) is in use by another program.")


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    done = serve("--data-dir", tmp_path / "data", "--host", "192.0.2.1")
    assert_one_sentence(done, "the address does not belong to this machine.")


def test_a_file_in_place_of_the_data_directory(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.touch()
    assert_one_sentence(serve("--data-dir", file / "below"), f"The data directory {file / 'below'} can't be made")


def test_a_data_directory_that_takes_no_files() -> None:
    assert_one_sentence(serve("--data-dir", "/proc"), "The data directory /proc can't be written to")


def test_broken_tls_files(tmp_path: Path, certificate: Certificate) -> None:
    data_dir, other = tmp_path / "data", Certificate.issue(tmp_path)
    arguments = ("--data-dir", data_dir, "--tls-cert", certificate.certificate, "--tls-key")
    done = serve(*arguments, other.key)
    assert_one_sentence(done, f"{other.key} does not belong to the first certificate in {certificate.certificate}.")
    absent = tmp_path / "absent.key"
    assert_one_sentence(serve(*arguments, absent), f"The TLS key {absent} can't be read: No such file or directory.")
    assert not data_dir.exists()


def test_too_old_a_sqlite(tmp_path: Path) -> None:
    done = serve("--data-dir", tmp_path / "data", patch=OLD_SQLITE)
    assert_one_sentence(done, "is too old: Hongyan needs 99.0.0 or newer.")


def test_a_database_of_a_newer_version(server_factory: ServerFactory) -> None:
    server = server_factory()
    server.create_app(server.app)
    with sqlite.connect(str(server.data_dir / "hongyan.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.execute("UPDATE meta SET value = '9999' WHERE name = 'oldest_compatible'")
    database.close()
    assert_one_sentence(serve("--data-dir", server.data_dir), "was written by a newer Hongyan (schema 9999")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "hongyan.db").write_text("a letter, not a database " * 100)
    (tmp_path / "secret.key").write_bytes(bytes(32))
    assert_one_sentence(serve("--data-dir", tmp_path), "can't be opened: file is not a database.")


def test_a_damaged_secret(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_bytes(b"short")
    assert_one_sentence(serve("--data-dir", tmp_path), "is damaged: it must have 32 bytes.")


def test_a_lost_secret(server_factory: ServerFactory) -> None:
    server = server_factory()
    server.create_app(server.app)
    secret = server.data_dir / "secret.key"
    content = secret.read_bytes()
    secret.unlink()
    assert_one_sentence(serve("--data-dir", server.data_dir), f"{secret} is missing")
    assert not secret.exists()
    secret.write_bytes(content)
    server.start()


def test_a_data_directory_in_use(running: Server) -> None:
    assert running.process is not None
    done = serve("--data-dir", running.data_dir)
    assert_one_sentence(done, f"The data directory {running.data_dir} is in use by process {running.process.pid}.")
    assert running.is_ready()


def test_a_database_elsewhere_in_use(server_factory: ServerFactory, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'chat.db'}"
    server = server_factory(options=["--database", database])
    server.spawn()
    server.wait_ready()
    done = serve("--data-dir", tmp_path / "other", "--database", database)
    assert_one_sentence(done, f"The database {tmp_path / 'chat.db'} is in use by process")


def test_redis_is_not_there_yet(tmp_path: Path) -> None:
    done = serve("--data-dir", tmp_path / "data", "--redis", "redis://127.0.0.1")
    assert_one_sentence(done, "`redis` is not available in this version")


# The first start


def test_the_first_start_makes_an_app_and_logs_how_to_see_its_keys(server_factory: ServerFactory) -> None:
    server = server_factory()
    for _ in range(2):
        server.spawn()
        server.wait_ready()
        assert server.stop() == 0
    (made,) = [event for event in map(json.loads, server.log.splitlines()) if event["event"] == "made the first app"]
    command = shlex.split(made["keys_are_printed_by"])
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd="/")
    (home,) = json.loads(done.stdout)
    assert (home["name"], home["id"]) == ("home", made["app"])
    for secret in secrets_of(home):
        assert secret not in server.log


def test_on_a_terminal_the_first_start_prints_the_keys(tmp_path: Path) -> None:
    command = [PROGRAM, "serve", "--http-port", "0", "--gateway-port", "0", "--data-dir", tmp_path / "it's data"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE) as process, open(ours, "rb") as terminal:
        os.close(theirs)
        printed = b""
        while b"prints them again" not in printed or not printed.endswith(b"\n"):
            printed += terminal.readline()
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=60)[1].decode()
    again = shlex.split(printed.decode().splitlines()[-1].removeprefix("This prints them again: "))
    (home,) = json.loads(subprocess.run(again, capture_output=True, text=True, timeout=60, check=True).stdout)
    for secret in secrets_of(home):
        assert printed.decode().count(secret) == 1
        assert secret not in log


def secrets_of(app: dict[str, str]) -> list[str]:
    """What must not stand in a log."""
    return [app["key"], app["master_key"], app["hook_key"]]


def test_an_app_made_before_the_first_start_is_the_home_app(running: Server) -> None:
    assert [app["id"] for app in json.loads(running.hongyan("app", "list"))] == [running.app.id]
    config = json.loads(running.get("/chat/config.json")[1])
    assert config == {"appId": running.app.id, "appKey": running.app.key, "serverUrl": ""}


def test_only_the_user_who_runs_the_server_may_read_its_data(running: Server) -> None:
    assert stat.S_IMODE(running.data_dir.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in running.data_dir.iterdir()}
    assert {"hongyan.db", "secret.key", "lock", "admin.sock"} <= set(modes)
    assert modes.pop("files") == 0o700
    assert set(modes.values()) == {0o600}


# A running server


def test_any_free_ports(server_factory: ServerFactory) -> None:
    server = server_factory(options=["--http-port", "0", "--gateway-port", "0"])
    server.create_app(server.app)
    server.spawn()
    status = wait_for_status(server)
    server.http_port = status["http_port"]
    server.wait_ready()
    route = json.loads(server.get(f"/v1/route?appId={server.app.id}")[1])
    assert route["server"] == f"ws://{HOST}:{status['gateway_port']}"
    with socket.create_connection((HOST, status["gateway_port"])):
        pass


def wait_for_status(server: Server) -> dict[str, int]:
    """What the server says of itself on its admin socket, as soon as it says anything."""
    while server.running:
        try:
            status: dict[str, int] = admin.call(server.data_dir / "admin.sock", admin.Status())
        except OSError:
            time.sleep(0.02)
        else:
            return status
    raise AssertionError(f"the server ended:\n{server.log}")


async def test_tls_on_both_ports(running_tls: Server) -> None:
    route = json.loads(running_tls.get(f"/v1/route?appId={running_tls.app.id}")[1])
    assert route["server"] == running_tls.gateway_url
    assert route["server"].startswith("wss://")
    async with login(running_tls, "tom"):
        pass


def test_plain_text_on_a_tls_port_harms_nobody(running_tls: Server) -> None:
    for port in (running_tls.http_port, running_tls.gateway_port):
        with socket.create_connection((HOST, port), timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert not connection.recv(1_000).startswith(b"HTTP/1.1 200")
    assert running_tls.is_ready()


async def test_metrics_follow_what_happens(running: Server) -> None:
    before = metrics(running)
    async with connect(running) as connection:
        tom = await connection.open("tom")
        await tom.send(await tom.start("jerry"), "hello")
        after = metrics(running)
    assert (before["hongyan_connections"], after["hongyan_connections"]) == (0, 1)
    assert after["hongyan_sessions"] == 1
    assert after["hongyan_messages_total"] - before["hongyan_messages_total"] == 1
    assert after["hongyan_commits_total"] > before["hongyan_commits_total"]


def test_every_metric_of_ours_is_explained(running: Server) -> None:
    helps = dict(re.findall(r"^# HELP hongyan_(\w+) (.+)$", running.get("/metrics")[1].decode(), re.MULTILINE))
    assert {"connections", "deliveries_total", "changes_total"} <= set(helps)
    assert [name for name, text in helps.items() if not re.fullmatch(r"[A-Z].{15,}\.", text)] == []


def metrics(server: Server) -> dict[str, float]:
    """The figures at `/metrics` that have no labels."""
    text = server.get("/metrics")[1].decode()
    return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}


def test_the_log_has_one_event_a_line(server_factory: ServerFactory) -> None:
    server = server_factory(options=["--log-format", "json", "--log-level", "debug"])
    server.start()
    server.get("/%0Afalse%20event")
    with socket.create_connection((HOST, server.http_port), timeout=10) as connection:
        connection.sendall(b"\x00nonsense\r\n\r\n")
        connection.recv(1_000)
    assert server.stop() == 0
    events = [json.loads(line) for line in server.log.splitlines()]
    assert [event["event"] for event in events if event["logger"] == "hongyan.app"] == [
        "started",
        "stopping",
        "stopped",
    ]
    assert all(event["timestamp"] and event["level"] for event in events)


# The end


async def test_a_signal_stops_the_server_in_good_order(server: Server) -> None:
    async with connect(server) as connection:
        await connection.open("tom")
        assert server.process is not None
        server.process.send_signal(signal.SIGINT)
        assert (await connection.closed()).code == 1001
    assert server.wait() == 0
    assert not (server.data_dir / "admin.sock").exists()
    assert not (server.data_dir / "hongyan.db-wal").exists()
    assert "Traceback" not in server.log


def test_while_it_stops_the_server_is_alive_but_not_ready_and_a_second_signal_ends_it(tmp_path: Path) -> None:
    server = Server(tmp_path)
    arguments = ["serve", "--data-dir", server.data_dir]
    arguments += ["--http-port", server.http_port, "--gateway-port", server.gateway_port]
    command = [sys.executable, "-c", SERVE_PATCHED.format(patch=SLOW_DRAIN), *arguments]
    with server.log_path.open("wb") as log:
        server.process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
    try:
        server.wait_ready()
        server.process.send_signal(signal.SIGTERM)
        while server.is_ready():
            time.sleep(0.01)
        assert server.get("/health/ready")[0] == 503
        assert server.get("/health/live")[0] == 200
        assert server.stop() == 128 + signal.SIGTERM
    finally:
        server.close()


def test_a_killed_server_leaves_nothing_in_the_way(server: Server) -> None:
    server.kill()
    assert json.loads(server.hongyan("app", "list"))[0]["id"] == server.app.id
    server.start()
    assert server.is_ready()
