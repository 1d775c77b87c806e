"""The server is killed again and again while it sweeps and clients send."""

import asyncio
import contextlib
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from hongyan import admin
from hongyan.store import database
from tests.faults.traffic import Sender, check_histories
from tests.support.client import login
from tests.support.server import Server

KILLS = 4
PEERS = ("ann", "bob", "cem")
OLD_MESSAGES = 3_000
OLD_CONVERSATIONS = 100
EACH = 30
DAY = 86_400_000
ROUND = 0.3
"""Seconds that a sweep has at most before the server is killed."""


def fill(path: Path, app: str, conversation: str) -> None:
    """Old messages before those of a conversation in use, and conversations that nobody uses."""
    old = int(time.time() * 1000) - 10 * DAY
    with contextlib.closing(database.connect(path)) as connection:
        connection.execute("BEGIN")
        (app_key,) = connection.execute("SELECT key FROM app WHERE id = ?", (app,)).fetchone()
        (used,) = connection.execute("SELECT key FROM conversation WHERE id = ?", (conversation,)).fetchone()
        unused = [
            connection.execute(
                "INSERT INTO conversation (app, id, kind, creator, created_at, updated_at, last_seq, last_message_at)"
                " VALUES (?, ?, 1, 'ann', ?, ?, ?, ?)",
                (app_key, f"unused-{number}", old, old, EACH, old + EACH),
            ).lastrowid
            for number in range(OLD_CONVERSATIONS)
        ]
        connection.executemany(
            "INSERT INTO member (conversation, client, app, joined_at, read_seq) VALUES (?, 'ann', ?, 0, 0)",
            [(key, app_key) for key in unused],
        )
        places = [(used, old + n, n) for n in range(1, OLD_MESSAGES + 1)]
        places += [(key, old + n, n) for key in unused for n in range(1, EACH + 1)]
        connection.executemany(
            "INSERT INTO message (conversation, timestamp, seq, id, sender, body)"
            " VALUES (?, ?, ?, 'old ' || ?3, 'ann', x'00')",
            places,
        )
        connection.execute("UPDATE conversation SET last_seq = ? WHERE key = ?", (OLD_MESSAGES, used))
        own = "UPDATE member SET own_since_read = ? WHERE conversation = ? AND client = 'ann'"
        connection.execute(own, (OLD_MESSAGES, used))
        connection.execute("COMMIT")


def swept(path: Path) -> bool:
    """Whether nothing old is left."""
    before = int(time.time() * 1000) - 5 * DAY
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        queries = (
            ("SELECT count(*) FROM message WHERE timestamp < ?", (before,)),
            ("SELECT count(*) FROM conversation WHERE id LIKE 'unused-%'", ()),
            ("SELECT count(*) FROM member WHERE conversation NOT IN (SELECT key FROM conversation)", ()),
            ("SELECT count(*) FROM deleted_conversation", ()),
        )
        return all(connection.execute(query, values).fetchone() == (0,) for query, values in queries)


async def sweep_and_kill(server: Server, senders: list[Sender]) -> None:
    async with asyncio.TaskGroup() as group:
        for sender in senders:
            group.create_task(sender.send_until_lost(server))
        for sender in senders:
            await sender.fresh_ack.wait()
        await asyncio.to_thread(admin.call, server.data_dir / "admin.sock", admin.Sweep({}))
        await asyncio.sleep(random.uniform(0, ROUND))
        server.kill()
    await asyncio.to_thread(server.start)


async def test_a_kill_in_a_sweep_loses_nothing_and_leaves_nothing(server_factory: Callable[..., Server]) -> None:
    server = server_factory()
    server.create_app(server.app, limits="off", message_days="5", conversation_days="5")
    server.start()
    async with login(server, PEERS[0]) as session:
        conversation = await session.start(*PEERS[1:])
    server.kill()
    path = server.data_dir / "hongyan.db"
    fill(path, server.app.id, conversation)
    server.start()
    senders = [Sender(peer, [conversation]) for peer in PEERS]
    for _ in range(KILLS):
        await sweep_and_kill(server, senders)
    await asyncio.gather(*(sender.settle(server) for sender in senders))
    await asyncio.to_thread(wait_until_swept, server, path)
    await check_histories(server, senders)
    with contextlib.closing(database.connect(path, read_only=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        unread = (
            "SELECT c.last_seq - max(m.read_seq, c.swept_seq) - m.own_since_read, (SELECT count(*) FROM message l"
            " WHERE l.conversation = c.key AND l.seq > m.read_seq AND l.sender <> m.client)"
            " FROM member m JOIN conversation c ON c.key = m.conversation"
        )
        found = connection.execute(unread).fetchall()
    assert len(found) == len(PEERS)
    assert [counted for counted, _ in found] == [there for _, there in found]


def wait_until_swept(server: Server, path: Path) -> None:
    """The server cleans up by itself what a kill has left of deleted conversations."""
    admin.call(server.data_dir / "admin.sock", admin.Sweep({}))
    deadline = time.monotonic() + 60
    while not swept(path):
        assert time.monotonic() < deadline, "the sweep does not end"
        time.sleep(0.05)
