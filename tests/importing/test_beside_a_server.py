"""Importing while a server runs, being killed half-way, and what clients see afterwards."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.importing.exports import NOW, conversation, everything, jsonl, message
from tests.support.client import login
from tests.support.programs import PROGRAM
from tests.support.server import Server

IMPORT = ("import", "leancloud")


def bring_in(server: Server, *paths: Path) -> dict[str, Any]:
    """The tallies of an import."""
    done: dict[str, Any] = json.loads(server.hongyan(*IMPORT, *map(str, paths), "--app", server.app.id))
    return done["classes"]


def exported(server: Server, folder: Path) -> dict[str, bytes]:
    """The files of an export."""
    server.hongyan("export", "leancloud", str(folder), "--app", server.app.id)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def test_clients_see_what_comes_in_beside_a_running_server(server: Server, tmp_path: Path) -> None:
    row = conversation("alice", "bob", c="alice", name="old friends")
    records = [message(row["objectId"], NOW + n, data=f"m{n}") for n in range(120)]
    async with login(server, "bob") as bob, login(server, "carol") as carol:
        await bob.start("carol")
        jsonl(tmp_path / "x/_Conversation.jsonl", row)
        jsonl(tmp_path / "x/messages.jsonl", *records)
        done = await asyncio.to_thread(bring_in, server, tmp_path / "x")
        assert done["messages"]["new"] == 120
        history = await bob.history(row["objectId"])
        assert [item.data for item in history][-3:] == ["m117", "m118", "m119"]
        ack = await bob.send(row["objectId"], "hello again")
        assert ack.t > NOW + 120
        # members are read anew after a later row
        later = row | {"updatedAt": "2025-11-01T00:00:00.000Z", "m": ["alice", "bob", "carol"]}
        jsonl(tmp_path / "y/_Conversation.jsonl", later)
        await asyncio.to_thread(bring_in, server, tmp_path / "y")
        await carol.send(row["objectId"], "I am here, too")


async def test_nothing_that_comes_in_is_unread(server: Server, tmp_path: Path) -> None:
    row = conversation("alice", "bob")
    jsonl(tmp_path / "_Conversation.jsonl", row)
    jsonl(tmp_path / "messages.jsonl", *(message(row["objectId"], NOW + n) for n in range(20)))
    await asyncio.to_thread(bring_in, server, tmp_path)
    async with login(server, "alice") as alice:
        await alice.send(row["objectId"], "new")
    async with login(server, "bob") as bob:
        told = await bob.expect("unread")
        assert [(each.cid, each.unread) for each in told.unreadMessage.convs] == [(row["objectId"], 1)]


def size_of_log(server: Server) -> int:
    """Bytes of the write-ahead log, which grows with what is written."""
    try:
        return (server.data_dir / "hongyan.db-wal").stat().st_size
    except FileNotFoundError:
        return 0


def killed_import(server: Server, folder: Path) -> None:
    """Starts an import and kills it as soon as it has written something."""
    command = [PROGRAM, *IMPORT, folder, "--app", server.app.id, "--data-dir", server.data_dir]
    before = size_of_log(server)
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while running.poll() is None and size_of_log(server) <= before + 200_000:
        pass
    running.kill()  # unless it has ended
    running.wait()


def test_a_killed_import_that_is_done_again_ends_equal(server_factory: Any, tmp_path: Path) -> None:
    killed, whole = server_factory(), server_factory()
    for each in (killed, whole):
        each.create_app(each.app, limits="off")
    everything(tmp_path / "in", 2_000)
    bring_in(whole, tmp_path / "in")
    killed_import(killed, tmp_path / "in")
    done = bring_in(killed, tmp_path / "in")["messages"]
    assert done["new"] + done["same"] + done["doubles"] == done["read"]
    assert exported(killed, tmp_path / "killed") == exported(whole, tmp_path / "whole")


def test_a_server_that_is_killed_during_an_import_keeps_what_was_committed(
    server: Server, server_factory: Any, tmp_path: Path
) -> None:
    everything(tmp_path / "in", 1_500)
    command = [PROGRAM, *IMPORT, tmp_path / "in", "--app", server.app.id, "--data-dir", server.data_dir]
    before = size_of_log(server)
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and size_of_log(server) <= before + 200_000:
        pass
    server.kill()
    running.wait()
    bring_in(server, tmp_path / "in")
    whole = server_factory()
    whole.create_app(whole.app, limits="off")
    bring_in(whole, tmp_path / "in")
    assert exported(server, tmp_path / "killed") == exported(whole, tmp_path / "whole")


def test_two_imports_at_once_are_refused(server: Server, tmp_path: Path) -> None:
    import fcntl

    folder = server.data_dir / "imports"
    folder.mkdir()
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        jsonl(tmp_path / "messages.jsonl", message("0" * 24))
        done = subprocess.run(
            [PROGRAM, *IMPORT, tmp_path / "messages.jsonl", "--app", server.app.id, "--data-dir", server.data_dir],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (2, "hongyan: Another import is under way.\n")
