"""The disk under the server fills up and gets space again."""

import asyncio
from collections.abc import Iterable
from contextlib import closing
from typing import NamedTuple

import pytest
from pysqlite3 import dbapi2 as sqlite

from hongyan.errors import STORAGE_FULL
from tests.faults.disk import UNLIMITED, Disk
from tests.support.client import Refused, Session, login, named
from tests.support.server import Server

BURST = 10
SPACES = [0, 1, 100, 4_000, 5_000, 10_000, 40_000, 400_000]
"""Bytes left on the disk when a burst begins: from nothing over a part of a page to more than enough."""


class Place(NamedTuple):
    """What an ack, or a line of the history, says of a message."""

    id: str
    timestamp: int


class Burst(NamedTuple):
    """The answers to messages that were sent at once."""

    acknowledged: list[Place]
    refused: list[Refused]


async def send_burst(session: Session, conversation: str, name: str) -> Burst:
    answers = Burst([], [])

    async def send(text: str) -> None:
        try:
            ack = await session.send(conversation, text, dt=text)
            answers.acknowledged.append(Place(ack.uid, ack.t))
        except Refused as refusal:
            answers.refused.append(refusal)

    await asyncio.gather(*(send(f"{name} {n}") for n in range(BURST)))
    return answers


async def history(session: Session, conversation: str) -> list[Place]:
    return [Place(item.msgId, item.timestamp) for item in await session.history(conversation)]


def check_refusals(refused: Iterable[Refused]) -> None:
    for refusal in refused:
        assert (refusal.code, refusal.reason) == (STORAGE_FULL.code, STORAGE_FULL.name)
        assert named(refusal.answer) == "ack"


async def test_full_disk_refuses_sends_and_the_server_lives(server_on_disk: tuple[Server, Disk]) -> None:
    server, disk = server_on_disk
    async with login(server, "ann") as ann, login(server, "bob") as bob:
        conversation = await ann.start("bob")
        await bob.expect("conv/joined")  # so the login has told all that it had to
        before = await send_burst(ann, conversation, "before")
        disk.space = 0
        during = await send_burst(ann, conversation, "during")
        assert len(during.refused) == BURST
        check_refusals(during.refused)
        with pytest.raises(Refused, match=STORAGE_FULL.name):
            await ann.start("cem")
        assert await asyncio.to_thread(server.is_ready)
        assert await history(bob, conversation) == before.acknowledged
        disk.space = UNLIMITED
        after = await send_burst(ann, conversation, "during")
        expected = before.acknowledged + after.acknowledged
        assert len(expected) == 2 * BURST
        assert await history(bob, conversation) == expected
        await bob.connection.echo()
        pushes = [push.directMessage for push in bob.connection.pushes if named(push) == "direct"]
        assert [Place(push.id, push.timestamp) for push in pushes] == expected
        assert await ann.query({"m": "cem"}) == []


async def test_disk_that_fills_up_on_the_way_leaves_nothing_half_written(
    server_on_disk: tuple[Server, Disk],
) -> None:
    server, disk = server_on_disk
    async with login(server, "ann") as ann:
        conversation = await ann.start("bob")
        bursts = []
        for space in SPACES:
            disk.space = space
            bursts.append(await send_burst(ann, conversation, f"space {space}"))
            check_refusals(bursts[-1].refused)
        disk.space = UNLIMITED
        bursts.append(await send_burst(ann, conversation, "last"))
    assert len(bursts[0].refused) == BURST
    assert len(bursts[-1].acknowledged) == BURST
    expected = [place for burst in bursts for place in burst.acknowledged]
    await check_conversation(server, conversation, expected)
    server.kill()
    disk.lose_power()
    await asyncio.to_thread(server.start)
    await check_conversation(server, conversation, expected)
    assert await asyncio.to_thread(server.stop) == 0
    check_database(server)


async def check_conversation(server: Server, conversation: str, expected: list[Place]) -> None:
    """History and unread count of a member who was never online show exactly the acknowledged messages."""
    async with login(server, "bob") as bob:
        assert await history(bob, conversation) == expected
        (unread,) = (await bob.expect("unread")).unreadMessage.convs
        assert (unread.cid, unread.unread, unread.mid) == (conversation, len(expected), expected[-1].id)


def check_database(server: Server) -> None:
    (path,) = server.data_dir.glob("*.db")
    with closing(sqlite.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
