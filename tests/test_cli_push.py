"""`hongyan app push`: the services by which apps push, with and without a running server."""

import base64
import json
from pathlib import Path

import pytest

from tests.support.server import Server
from tests.test_cli import printed, run

SECRET = "whsec_" + base64.b64encode(b"this-is-a-secret-of-32-bytes-ok!").decode()
WEBHOOK = {"url": "http://127.0.0.1:9/push", "secret": SECRET}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with credentials."""
    made = tmp_path / "webhook.json"
    made.write_text(json.dumps(WEBHOOK))
    return made


@pytest.fixture
def data(tmp_path: Path) -> tuple[str, Path]:
    """The option for a data directory with an app `shop`."""
    option = ("--data-dir", tmp_path / "data")
    printed("app", "create", "Shop", "--id", "shop", *option)
    return option


def services(*data: object) -> list[str]:
    listed = printed("app", "push", "list", "shop", *data)
    assert all(each.keys() == {"service", "updated_at"} for each in listed)
    return [each["service"] for each in listed]


def test_services_are_set_listed_and_removed_without_a_server(file: Path, data: tuple[str, Path]) -> None:
    assert services(*data) == []
    done = run("app", "push", "set", "Shop", "webhook", "--file", file, *data)
    assert (done.returncode, done.stderr) == (0, "")
    assert SECRET not in done.stdout
    assert services(*data) == ["webhook"]
    assert printed("app", "push", "remove", "shop", "webhook", *data) == []
    assert services(*data) == []


def test_services_are_set_in_a_running_server_and_kept_sealed(server: Server, file: Path) -> None:
    data = ("--data-dir", server.data_dir)
    printed("app", "create", "Shop", "--id", "shop", *data)
    printed("app", "push", "set", "shop", "webhook", "--file", file, *data)
    server.restart()
    assert services(*data) == ["webhook"]
    server.stop()
    kept = b"".join(each.read_bytes() for each in server.data_dir.iterdir() if each.is_file())
    assert SECRET.encode() not in kept
    assert SECRET not in server.log


MISTAKES = {
    "not JSON": (b"{", "webhook", "The file {file} is no JSON object."),
    "no object": (b"[1]", "webhook", "The file {file} is no JSON object."),
    "not UTF-8": (b'{"url": "\xff"}', "webhook", "The file {file} is no JSON object."),
    "too long": (b" " * 70_000, "webhook", "The file {file} has more than 65,536 bytes."),
    "absent": (None, "webhook", "The file {file} can't be read: No such file or directory."),
    "unknown service": (b"{}", "pigeon", "There is no service 'pigeon'; the services are "),
    "something is missing": (b'{"url": "http://127.0.0.1/"}', "webhook", "These are no credentials for webhook: "),
}


@pytest.mark.parametrize(("content", "service", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_and_changes_nothing(
    file: Path, data: tuple[str, Path], content: bytes | None, service: str, sentence: str
) -> None:
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    done = run("app", "push", "set", "shop", service, "--file", file, *data)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"hongyan: {sentence.format(file=file)}")
    assert done.stderr.count("\n") == 1
    assert services(*data) == []


def test_what_is_not_there_cannot_be_removed(data: tuple[str, Path]) -> None:
    done = run("app", "push", "remove", "shop", "apns", *data)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "hongyan: The app does not push by 'apns'.\n"
    for arguments in (("list", "nosuch"), ("remove", "nosuch", "apns")):
        done = run("app", "push", *arguments, *data)
        assert done.stderr == "hongyan: No app has the id or name 'nosuch'.\n"
