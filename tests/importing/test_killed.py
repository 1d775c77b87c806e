"""An import of an export of any form that is killed half-way and done again ends as one that was not."""

import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.importing.conftest import Home
from tests.importing.exports import BYTES, KEY, bytes_of_files, everything
from tests.importing.forms import FORMS
from tests.support.server import TEST_APP

#: Kills itself instead of writing the batch of this number; batches are small, so that there are many.
KILLED = """
import os, signal, sys
from hongyan import cli
from hongyan.importing import run

run.BATCH = 40
batches, send = 0, run._Writing._send

def killed(*arguments):
    global batches
    batches += 1
    if batches == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    send(*arguments)

run._Writing._send = killed
sys.exit(cli.run(sys.argv[2:]))
"""
MESSAGES = 400
#: The five classes before the messages are a batch each.
HALF = 5 + MESSAGES // 40 // 2
#: Tried in each run of the tests; the others take long.
OFTEN = ("JSON Lines", "BSON", "CSV in zip")
#: A backup says of all rows alike when they were made.
TIMES = ("createdAt", "updatedAt")


def exported(home: Home) -> dict[str, Any]:
    """What an export has, the bytes of files as well."""
    folder = home.folder / "out"
    told = home.command("export", "leancloud", folder, "--app", TEST_APP.id, "--files")
    assert told["files"] == {"written": 1, "missed": 0, "missing": []}
    rows = {file.stem: list(map(json.loads, file.read_bytes().splitlines())) for file in folder.glob("*.jsonl")}
    assert told["rows"] == {name: len(each) for name, each in rows.items()}
    for row in itertools.chain(*(rows[name] for name in ("_Conversation", "_User", "_Installation", "_File"))):
        for name in TIMES:
            del row[name]
    return rows | {"bytes": (folder / "_File.bytes" / KEY).read_bytes()}


def killed(home: Home, batch: int, *paths: Path) -> None:
    """An import that is killed before it writes a batch."""
    arguments = [*map(str, paths), "--app", TEST_APP.id, "--data-dir", str(home.data)]
    command = [sys.executable, "-c", KILLED, str(batch), "import", "leancloud", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def check(home: Home, other: Home, batch: int, form: str) -> None:
    """`other` has its import killed before this batch, `home` has not."""
    counts = everything(home.folder / "in", MESSAGES)
    files = bytes_of_files(home.folder / "bytes")
    home.bring_in(home.folder / "in", "--files", files)
    packed = FORMS[form](home.folder / "in")
    killed(other, batch, packed, Path("--files"), files)
    tallies = other.bring_in(packed, "--files", files)
    assert not other.reported()
    assert {name: tally["read"] for name, tally in tallies.items()} == counts
    found = exported(other)
    assert found == exported(home)
    assert len(found["messages"]) == counts["messages"]
    assert found["bytes"] == BYTES


@pytest.mark.parametrize(
    "form", [each if each in OFTEN else pytest.param(each, marks=pytest.mark.long) for each in FORMS]
)
def test_an_import_killed_half_way_and_done_again_ends_equal(form: str, home: Home, other: Home) -> None:
    check(home, other, HALF, form)


@pytest.mark.long
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 6, HALF + 5, HALF + 7, HALF + 9])
def test_wherever_it_is_killed_it_ends_equal(batch: int, home: Home, other: Home) -> None:
    check(home, other, batch, "JSON Lines")
