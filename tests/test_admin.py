"""The admin socket of a running server: hostile and broken input costs one connection and changes nothing."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hongyan import admin
from tests.support.server import Server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server whose data directory has a path longer than a socket address takes."""
    server = Server(tmp_path_factory.mktemp("goose" * 30))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def path(running: Server) -> Path:
    """The socket file."""
    return running.data_dir / "admin.sock"


def exchange(path: Path, *lines: bytes) -> list[dict[str, object]]:
    """Send lines on one connection, and read an answer to each."""
    with socket.socket(socket.AF_UNIX) as connection, admin.short(path) as address:
        connection.settimeout(30)
        connection.connect(address)
        connection.sendall(b"".join(line + b"\n" for line in lines))
        with connection.makefile("rb") as stream:
            return [json.loads(stream.readline()) for _ in lines]


def test_a_long_path_is_no_obstacle(running: Server, path: Path) -> None:
    assert len(str(path)) > admin.ADDRESS_MAX
    assert admin.call(path, admin.Status())["gateway_port"] == running.gateway_port


def test_commands_are_answered_in_order_on_one_connection(path: Path) -> None:
    first, second = exchange(path, b'{"command": "app.list"}', b'{"command": "status"}')
    assert isinstance(first["result"], list)
    assert isinstance(second["result"], dict)


MISTAKES = {
    "not JSON": b"hello",
    "not text": b"\xff\xfe",
    "not an object": b"[1]",
    "no command": b"{}",
    "unknown command": b'{"command": "app.destroy"}',
    "missing field": b'{"command": "app.create"}',
    "wrong type": b'{"command": "app.create", "name": 1}',
    "unknown field": b'{"command": "status", "more": 1}',
    "unknown setting": b'{"command": "app.create", "name": "x", "settings": {"nosuch": "1"}}',
    "wrong value": b'{"command": "app.create", "name": "x", "settings": {"limits": "maybe"}}',
    "id in use": b'{"command": "app.create", "name": "x", "id": "test-app"}',
    "no time": b'{"command": "goaway"}',
    "time that is none": b'{"command": "goaway", "over": NaN}',
    "too much time": b'{"command": "goaway", "over": 1e9}',
    "words of an unknown app": b'{"command": "app.words", "app": "nosuch"}',
    "words for an unknown app": b'{"command": "app.words.set", "app": "nosuch", "words": ["bad"]}',
    "words that are none": b'{"command": "app.words.set", "app": "test-app", "words": ["bad", 1]}',
    "a bad word": b'{"command": "app.words.set", "app": "test-app", "words": ["bad", "*"]}',
    "unknown app": b'{"command": "app.set", "app": "nosuch", "settings": {}}',
}


@pytest.mark.parametrize("line", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_and_changes_nothing(path: Path, line: bytes) -> None:
    before = admin.call(path, admin.ListApps())
    refused, after = exchange(path, line, b'{"command": "app.list"}')
    assert isinstance(refused["error"], str)
    assert "\n" not in refused["error"]
    assert after["result"] == before


def test_a_line_without_end_costs_its_connection_only(running: Server, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection, admin.short(path) as address:
        connection.settimeout(30)
        connection.connect(address)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.sendall(bytes(64 * admin.MAX_LINE))
    assert admin.call(path, admin.Status())["gateway_port"] == running.gateway_port


def test_a_name_that_several_apps_have_names_none(path: Path) -> None:
    for app_id in ("one", "two"):
        admin.call(path, admin.CreateApp("twin", id=app_id))
    with pytest.raises(admin.Failed, match=r"2 apps have the name 'twin': use the id, one or two\."):
        admin.call(path, admin.SetApp("twin", {"limits": "off"}))
    assert admin.call(path, admin.SetApp("one", {"limits": "off"}))["settings"]["limits"] is False


@pytest.mark.parametrize(
    ("kind", "rows", "sentence"),
    [
        ("App", [], r"There are no rows of the type 'App'\."),
        ("ImportedUser", [{"id": "u"}], r"A row is not of the type ImportedUser: .+ `created_at`.*\."),
        ("ImportedBlock", ["x"], r"A row is not of the type ImportedBlock: .+\."),
    ],
)
def test_rows_of_another_kind_are_refused(path: Path, kind: str, rows: list[object], sentence: str) -> None:
    app = admin.call(path, admin.CreateApp("imports"))["id"]
    with pytest.raises(admin.Failed, match=f"^{sentence}$"):
        admin.call(path, admin.Import(app, kind, rows))


def test_an_idle_client_does_not_keep_the_server_from_stopping(running: Server, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection, admin.short(path) as address:
        connection.connect(address)
        assert running.stop() == 0
    running.start()
