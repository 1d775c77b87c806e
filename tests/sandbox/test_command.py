"""`hongyan sandbox`: what it prints works as printed."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import programs
from tests.support.server import Server


def start(*options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "hongyan", "sandbox", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(process: "subprocess.Popen[str]", last: str) -> list[str]:
    """The lines that it prints, up to one with this text."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if last in line:
            return lines
    raise AssertionError(lines)


@pytest.fixture(scope="module")
def printed() -> Iterator[list[str]]:
    """What a sandbox prints that runs."""
    process = start("--port", "0")
    try:
        yield until(process, "Ctrl+C")
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")


def origin(printed: list[str]) -> str:
    return printed[0].rpartition(" ")[2].rstrip("/")


def as_a_shell_reads(command: str) -> tuple[list[str], str]:
    """The arguments and the input that a shell gives to the program `hongyan` in a command."""
    shell = "hongyan() { printf '%s\\0' \"$@\"; cat; }; " + command
    done = subprocess.run(
        ["sh", "-c", shell], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True, timeout=60
    )
    *arguments, given = done.stdout.split("\0")
    return arguments, given


def arrived(printed: list[str]) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{origin(printed)}/sandbox/messages") as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def test_each_channel_that_it_prints_works(printed: list[str], server_factory: Callable[..., Server]) -> None:
    server = server_factory(options=["--allowed-private", "127.0.0.0/8"])
    server.start()
    commands = [line.replace(" APP ", f" {server.app.id} ") for line in printed if "channel create" in line]
    commands += [line.replace(" APP ", f" {server.app.id} ") for line in printed if "hongyan notify" in line]
    assert len(commands) == 16
    for command in commands:
        arguments, given = as_a_shell_reads(command)
        done = programs.run(arguments, environment={"HONGYAN_DATA_DIR": str(server.data_dir)}, input=given)
        assert (done.returncode, done.stderr) == (0, ""), command
        if "notify" in command:
            assert ": sent" in done.stdout
    told = [(each["platform"], each["address"]) for each in arrived(printed)]
    assert told == [
        (platform, address) for platform in ("dingtalk", "wecom", "feishu", "slack") for address in ("robot", "app")
    ]
    assert all("Hello from Hongyan" in json.dumps(each["payload"]) for each in arrived(printed))


def test_the_page_is_where_it_says(printed: list[str]) -> None:
    with urllib.request.urlopen(origin(printed) + "/") as answer:
        assert b"Hongyan sandbox" in answer.read()
    assert not any("passwords" in line for line in printed)


def test_it_warns_where_others_reach_it() -> None:
    process = start("--host", "0.0.0.0", "--port", "0", "--url", "http://sandbox.test:8025")
    try:
        lines = until(process, "Ctrl+C")
        assert origin(lines) == "http://sandbox.test:8025"
        assert "Whoever reaches 0.0.0.0 may see and do everything here: there are no passwords." in lines
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--host", "203.0.113.9"], "can't listen at 203.0.113.9, port 8025: cannot assign requested address."),
        (["--host", "no such"], "can't listen at no such, port 8025: there is no such address."),
        (["--url", "sandbox:8025"], "--url begins with http:// or https://."),
        (["--port", "70000"], "less than or equal to 65535"),
    ],
)
def test_mistakes(options: list[str], sentence: str) -> None:
    done = programs.run(["sandbox", *options])
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
