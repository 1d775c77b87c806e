"""Uploads on a disk that fills up and loses power."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from hongyan.errors import STORAGE_FULL
from tests.faults.disk import UNLIMITED, Disk
from tests.support.server import Server

MIB = 1_048_576


def client(server: Server) -> httpx.Client:
    return httpx.Client(
        base_url=server.http_url, headers={"X-LC-Id": server.app.id, "X-LC-Key": server.app.key}, timeout=60
    )


def written(server: Server) -> list[Path]:
    """The files below the directory of files."""
    return [each for each in (server.data_dir / "files").rglob("*") if each.is_file()]


def test_a_full_disk_refuses_an_upload_and_keeps_nothing_of_it(server_on_disk: tuple[Server, Disk]) -> None:
    server, disk = server_on_disk
    with client(server) as http:
        begun = http.post("/1.1/fileTokens", json={"name": "x"}).json()
        for space in (0, MIB // 2, 3 * MIB):
            disk.space = space
            answer = http.put(begun["upload_url"], content=bytes(5 * MIB))
            assert (answer.status_code, answer.json()["code"]) == (STORAGE_FULL.status, STORAGE_FULL.code)
            assert "the server's disk is full" in answer.json()["error"]
            assert written(server) == []
        disk.space = UNLIMITED
        assert http.get(begun["url"]).status_code == 404
        assert http.put(begun["upload_url"], content=bytes(5 * MIB)).status_code == 200
        assert http.get(begun["url"]).content == bytes(5 * MIB)


def test_a_file_that_was_acknowledged_outlives_a_power_failure(server_on_disk: tuple[Server, Disk]) -> None:
    server, disk = server_on_disk
    content = os.urandom(3 * MIB + 5)
    with client(server) as http:
        url = http.post("/1.1/files/x.bin", content=content).json()["url"]
        server.kill()
        disk.lose_power()
        server.start()
        assert hashlib.sha256(http.get(url).content).digest() == hashlib.sha256(content).digest()


async def test_what_a_kill_has_interrupted_is_not_there_and_can_be_sent_again(
    server_on_disk: tuple[Server, Disk],
) -> None:
    server, _ = server_on_disk
    with client(server) as http:
        begun = http.post("/1.1/fileTokens", json={"name": "x"}).json()
    sent, held = asyncio.Event(), asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield bytes(2 * MIB)
        sent.set()
        await held.wait()

    async with httpx.AsyncClient(timeout=60) as uploading:
        upload = asyncio.create_task(uploading.put(begun["upload_url"], content=content()))
        await sent.wait()
        while not await asyncio.to_thread(written, server):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.kill)
        upload.cancel()
    await asyncio.to_thread(server.start)
    while await asyncio.to_thread(written, server):
        await asyncio.sleep(0.01)
    with client(server) as http:
        assert http.get(begun["url"]).status_code == 404
        assert http.put(begun["upload_url"], content=b"again").status_code == 200
        assert http.get(begun["url"]).content == b"again"
