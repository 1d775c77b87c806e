"""A start that is cut short, or that finds a bad disk."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.disk import Disk
from tests.support.client import login
from tests.support.server import Server

CUTS = range(1, 15, 3)
"""Syncs that a first start is allowed; it takes about 15 to make its secret, schema and app durable."""
BAD_DISKS = [("space", 0), ("sync_fails", 1)]


@pytest.fixture
def fresh(server_factory: Callable[..., Server], shim: Path, tmp_path: Path) -> tuple[Server, Disk]:
    """A server that was never started, and the disk under its empty data directory."""
    server = server_factory()
    server.data_dir.mkdir()
    disk = Disk(shim, server.data_dir, tmp_path)
    server.environment |= disk.environment
    return server, disk


@pytest.mark.parametrize("passes", CUTS)
def test_power_lost_during_the_first_start(fresh: tuple[Server, Disk], passes: int) -> None:
    server, disk = fresh
    with disk.gate(passes):
        server.spawn()
        while not (disk.at_gate or server.is_ready()):
            time.sleep(0.01)
        server.kill()
    disk.lose_power()
    server.start()
    assert len(json.loads(server.hongyan("app", "list"))) == 1


@pytest.mark.parametrize(("field", "value"), BAD_DISKS)
def test_bad_disk_is_told_in_one_sentence(fresh: tuple[Server, Disk], field: str, value: int) -> None:
    server, disk = fresh
    setattr(disk, field, value)
    server.spawn()
    assert server.wait() > 0
    (line,) = server.log.splitlines()
    assert line.startswith("hongyan: ")
    assert line.endswith(".")


@pytest.mark.parametrize(("field", "value"), BAD_DISKS)
async def test_restart_on_a_bad_disk_is_told_and_harms_nothing(
    server_on_disk: tuple[Server, Disk], field: str, value: int
) -> None:
    server, disk = server_on_disk
    async with login(server, "ann") as ann:
        conversation = await ann.start("bob")
        ack = await ann.send(conversation, "kept")
    server.kill()
    setattr(disk, field, value)
    before = len(server.log)
    server.spawn()
    assert await asyncio.to_thread(server.wait) > 0
    (line,) = server.log[before:].splitlines()
    assert line.startswith("hongyan: ")
    disk.repair()
    disk.lose_power()
    await asyncio.to_thread(server.start)
    async with login(server, "ann") as ann:
        assert [item.msgId for item in await ann.history(conversation)] == [ack.uid]
