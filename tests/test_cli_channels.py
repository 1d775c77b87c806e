"""`hongyan channel` and `hongyan notify`, with and without a running server."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from hongyan.cli.channels import _lines
from tests.support.server import Server
from tests.test_cli import printed, run

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
Data = tuple[str, Path]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with credentials."""
    made = tmp_path / "own.json"
    made.write_text(json.dumps({"sender": "robot"}))
    return made


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """The option for a data directory with an app `shop`."""
    option = ("--data-dir", tmp_path / "data")
    printed("app", "create", "Shop", "--id", "shop", *option)
    return option


@pytest.fixture
def served(server: Server, file: Path) -> Data:
    """The option for the data of a running server whose app `shop` has a channel `own`."""
    option = ("--data-dir", server.data_dir)
    printed("app", "create", "Shop", "--id", "shop", *option)
    printed("channel", "create", "shop", "own", "hongyan", "--file", file, *option)
    return option


def notify(data: Data, *more: object) -> Any:
    return run("notify", "--app", "shop", "--channel", "own", *more, *data)


def test_channels_are_made_listed_checked_and_deleted_without_a_server(data: Data, file: Path) -> None:
    assert printed("channel", "list", "shop", *data) == []
    made = printed("channel", "create", "Shop", "own", "hongyan", "--file", file, "--description", "alerts", *data)
    assert made == {
        "id": made["id"],
        "name": "own",
        "kind": "hongyan",
        "enabled": True,
        "description": "alerts",
        "credentials": {"sender": "robot"},
        "failing_since": None,
        "failure": None,
        "advice": None,
    }
    assert printed("channel", "list", "shop", *data) == [made]
    done = run("channel", "check", "shop", "own", *data)
    assert done.returncode == 1
    assert json.loads(done.stdout)["reason"] == "it is sent when the server runs"
    assert printed("channel", "delete", "shop", "own", *data) == {"deleted": made["id"]}
    assert printed("channel", "list", "shop", *data) == []


def test_a_running_server_sends_and_tells(served: Data) -> None:
    good = {"ok": True, "account": "the client robot of this app"}
    assert printed("channel", "check", "shop", "own", *served) == good
    done = notify(served, "--to", "user:tom", "--to", "user:jerry", "--title", "Backup", "it is *done*")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["user:tom: sent", "user:jerry: sent"]
    assert lines[2:] == ["note: markdown_to_text"]


def test_a_target_that_is_not_there_makes_it_fail(served: Data) -> None:
    done = notify(served, "--to", "user:tom", "--to", "group:none", "Hi")
    assert (done.returncode, done.stderr) == (1, "")
    tom, none = done.stdout.splitlines()
    assert tom == "user:tom: sent"
    assert none.startswith("group:none: failed: ")


def test_files_and_whole_messages_are_sent(served: Data, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    message = {"content": {"type": "card", "title": "Alert", "text": "**Disk** full"}}
    (tmp_path / "card.json").write_text(json.dumps(message))
    files = ("--file", tmp_path / "a.png", "--json", tmp_path / "card.json")
    done = notify(served, "--to", "user:tom", *files, "--markdown", "**Hi**")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if not line.startswith("note:")] == ["user:tom: sent"] * 3


def test_without_a_server_it_waits_for_one(server: Server, served: Data) -> None:
    server.stop()
    done = notify(served, "--to", "user:tom", "Hi")
    assert (done.returncode, done.stdout) == (0, "user:tom: waiting: it is sent when the server runs.\n")
    server.start()
    done = notify(served, "--to", "user:tom", "again")
    assert (done.returncode, done.stdout) == (0, "user:tom: sent\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--to", "tom", "Hi"], "have targets such as"),
        (["--to", "user:tom"], "there is nothing to send"),
        (["--to", "user:tom", "--file", "/nowhere", "Hi"], "can't be read"),
        (["--to", "user:tom", "--json", "/dev/null"], "is no JSON object"),
    ],
)
def test_mistakes_are_one_sentence(data: Data, file: Path, arguments: list[str], sentence: str) -> None:
    printed("channel", "create", "shop", "own", "hongyan", "--file", file, *data)
    done = notify(data, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_an_unknown_channel_or_kind_is_one_sentence(data: Data) -> None:
    for done in (
        notify(data, "--to", "user:tom", "Hi"),
        run("channel", "delete", "shop", "own", *data),
        run("channel", "create", "shop", "own", "fax", *data),
        run("channel", "create", "none", "own", "hongyan", *data),
    ):
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1


def test_the_doctor_names_what_fails(data: Data, file: Path) -> None:
    printed("channel", "create", "shop", "own", "hongyan", "--file", file, *data)
    done = run("doctor", *data)
    assert "Channels" in done.stdout
    assert "none fails" in done.stdout


def test_what_a_platform_says_commands_no_terminal() -> None:
    target = {"to": "here", "state": "failed", "reason": "\x1b[2Jgone\nhere: sent\x07", "advice": "\u202eno"}
    assert _lines([{"targets": [target], "notes": [{"rule": "r", "detail": "\x9b2J"}]}]) == [
        "here: failed: \ufffd[2Jgone\ufffdhere: sent\ufffd. \ufffdno.",
        "note: r: \ufffd2J",
    ]
