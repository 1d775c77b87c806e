"""What `engine.ports.Blobs` promises, on each of its adapters: the local disk, and S3 on a server of the test."""

import asyncio
import io
import logging
import os
import resource
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

from hongyan import blobs, errors
from hongyan.blobs import places
from hongyan.blobs.objects import READ
from hongyan.blobs.places import LOCAL_PART, S3_PART
from hongyan.config import FREE_SPACE_MIN, FilesOptions
from hongyan.engine.ports import Blobs
from hongyan.errors import Refused
from tests.support.server import Server

BUCKET = "chat-files"
KEYS = {"s3_access_key": "access", "s3_secret_key": "secret", "s3_region": "us-east-1"}


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """An S3 server on loopback."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(s3_url: str) -> Iterator[Any]:
    """An empty bucket, seen by its owner."""
    client = boto3.resource(
        "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id="access", aws_secret_access_key="secret"
    )
    made = client.create_bucket(Bucket=BUCKET)
    yield made
    made.objects.all().delete()
    made.delete()


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Each adapter."""
    if request.param == "local":
        return blobs.local(tmp_path / "files")
    request.getfixturevalue("bucket")
    url = request.getfixturevalue("s3_url")
    return blobs.s3(FilesOptions(s3_bucket=BUCKET, s3_endpoint=url, s3_prefix="chat", **KEYS))


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


async def read(store: Blobs, name: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.get(name, start, end)])


LARGE = bytes(range(256)) * (2 * S3_PART // 256 + 3)
"""More than two parts of either adapter."""


@pytest.mark.parametrize("content", [b"", b"x", b"x" * LOCAL_PART, LARGE], ids=["empty", "tiny", "part", "large"])
async def test_what_is_put_is_there(store: Blobs, content: bytes) -> None:
    step = 100_000
    await store.put("1/ab/token/original", pieces(*(content[at : at + step] for at in range(0, len(content), step))))
    if content:
        assert await read(store, "1/ab/token/original") == content
    assert await store.measure("1/ab/token") == (1, len(content))


async def test_a_part_of_it(store: Blobs) -> None:
    await store.put("1/a", pieces(b"0123456789"))
    assert await read(store, "1/a", 3, 7) == b"3456"
    assert await read(store, "1/a", 7) == b"789"
    assert await read(store, "1/a", 0, 1) == b"0"


class Stopped(Exception):
    """What a caller's content ends with."""


async def broken(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // LOCAL_PART):
        yield b"x" * LOCAL_PART
    raise Stopped


@pytest.mark.parametrize("size", [0, LOCAL_PART, 4 * LOCAL_PART])
async def test_content_that_ends_early_leaves_nothing(store: Blobs, size: int, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        await store.put("1/ab/token/original", broken(size))
    assert await store.measure("1") == (0, 0)
    with pytest.raises(Refused) as refusal:
        await read(store, "1/ab/token/original")
    assert refusal.value.kind is errors.FILE_NOT_FOUND


async def test_content_that_ends_early_leaves_what_was_there(store: Blobs) -> None:
    await store.put("1/a", pieces(b"first"))
    with pytest.raises(Stopped):
        await store.put("1/a", broken(4 * LOCAL_PART))
    assert await read(store, "1/a") == b"first"


async def test_a_put_that_is_cancelled_leaves_nothing(store: Blobs) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * LOCAL_PART
        started.set()
        await asyncio.Event().wait()
        yield b""

    putting = asyncio.ensure_future(store.put("1/a", endless()))
    await started.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await store.measure("1") == (0, 0)


async def test_a_folder_is_deleted_and_no_other(store: Blobs) -> None:
    for name in ("1/ab/one/original", "1/ab/one/thumbnails/x", "1/ab/ones/original", "1/ab/two/original"):
        await store.put(name, pieces(b"x"))
    await store.delete("1/ab/one")
    await store.delete("1/ab/one")
    await store.delete("1/ab/never")
    assert [await store.measure(f"1/ab/{name}") for name in ("one", "ones", "two")] == [(0, 0), (1, 1), (1, 1)]


async def test_many_at_once_do_not_mix(store: Blobs) -> None:
    contents = [bytes([number]) * (LOCAL_PART + number) for number in range(5)]
    await asyncio.gather(*(store.put(f"1/{number}", pieces(content)) for number, content in enumerate(contents)))
    assert [await read(store, f"1/{number}") for number in range(5)] == contents


@pytest.mark.parametrize(
    "name", ["", "/", "../x", "1/../x", "1//x", "/etc/passwd", "1/x.png", "1/x\0", "1/x#1", "1/日"]
)
async def test_a_name_that_is_none_is_refused(store: Blobs, name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a blob"):
        await store.put(name, pieces(b"x"))
    with pytest.raises(ValueError, match="is no name of a blob"):
        await read(store, name)
    with pytest.raises(ValueError, match="is no name of a blob"):
        await store.delete(name)


async def test_a_reading_that_is_cancelled_leaves_no_file_open(tmp_path: Path) -> None:
    store = blobs.local(tmp_path)
    await store.put("1/a", pieces(b"x" * 4 * READ))
    reading = store.get("1/a")
    await anext(reading)
    opened = str((tmp_path / "1" / "a").resolve())
    assert opened in open_files()
    with pytest.raises(asyncio.CancelledError) as kept:
        await reading.athrow(asyncio.CancelledError())
    assert opened not in open_files()
    del kept


def open_files() -> list[str]:
    """What this process has open."""
    return [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]


async def test_a_directory_has_what_a_crash_left_cleaned_away_and_not_what_arrives(tmp_path: Path) -> None:
    folder = tmp_path / "1" / "ab" / "token"
    folder.mkdir(parents=True)
    for name in ("original", "original#1", "original#23"):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (1_000, 1_000))
    store = blobs.local(tmp_path)
    (folder / "original#2").write_bytes(b"x")
    await store.clean()
    assert sorted(each.name for each in folder.iterdir()) == ["original", "original#2"]


async def test_no_directory_is_left_of_what_never_arrived(tmp_path: Path) -> None:
    store = blobs.local(tmp_path)
    with pytest.raises(Stopped):
        await store.put("1/ab/token/original", broken(LOCAL_PART))
    await store.delete("1/ab/token")
    assert list((tmp_path / "1" / "ab").iterdir()) == []


async def test_nothing_of_an_upload_that_was_given_up_is_left_in_a_bucket(s3_url: str, bucket: Any) -> None:
    store = blobs.s3(FilesOptions(s3_bucket=BUCKET, s3_endpoint=s3_url, **KEYS))
    with pytest.raises(Stopped):
        await store.put("1/a", broken(2 * S3_PART))
    assert list(bucket.multipart_uploads.all()) == []


async def test_a_store_out_of_reach_is_one_clear_error() -> None:
    store = blobs.s3(FilesOptions(s3_bucket=BUCKET, s3_endpoint="http://127.0.0.1:9", **KEYS))
    with pytest.raises(Refused) as refusal:
        await read(store, "1/a")
    assert (refusal.value.kind, refusal.value.detail) == (
        errors.INTERNAL_ERROR,
        "the store of the files can't be reached",
    )


async def test_a_store_that_says_nothing_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "SILENCE", timedelta(milliseconds=50))
    calls: list[asyncio.StreamWriter] = []
    async with await asyncio.start_server(lambda _, writer: calls.append(writer), "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        store = blobs.s3(FilesOptions(s3_bucket=BUCKET, s3_endpoint=url, **KEYS))
        for attempt in (read(store, "1/a"), store.put("1/a", pieces(b"x")), store.delete("1/a")):
            with pytest.raises(Refused, match="the store of the files can't be reached"):
                await attempt
        for writer in calls:
            writer.close()


async def test_a_bucket_that_does_not_exist_is_one_clear_error(s3_url: str) -> None:
    store = blobs.s3(FilesOptions(s3_bucket="never-made", s3_endpoint=s3_url, **KEYS))
    large = pieces(*[b"x" * LOCAL_PART] * 9)
    for attempt in (read(store, "1/a"), store.put("1/a", pieces(b"x")), store.put("1/a", large), store.measure("1")):
        with pytest.raises(Refused) as refusal:
            await attempt
        assert refusal.value.kind is errors.INTERNAL_ERROR


@pytest.mark.parametrize("status", [301, 400, 403, 500, 503])
async def test_what_a_store_refuses_is_one_clear_error(status: int) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        store = blobs.s3(FilesOptions(s3_bucket=BUCKET, s3_endpoint=url, **KEYS))
        for attempt in (read(store, "1/a"), store.put("1/a", pieces(b"x")), store.delete("1/a"), store.measure("1")):
            with pytest.raises(Refused, match="the store of the files can't be reached"):
                await attempt


async def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.StartupError, match=r"can't be made: .*\.$"):
        blobs.local(tmp_path / "file" / "files")


async def test_files_leave_room_for_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = blobs.local(tmp_path / "files")
    free = iter([FREE_SPACE_MIN, FREE_SPACE_MIN - 1])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free)))
    with pytest.raises(Refused, match="nearly full") as refusal:
        await store.put("1/a", pieces(*[b"x" * LOCAL_PART] * 6))
    assert refusal.value.kind is errors.STORAGE_FULL
    assert [each for each in (tmp_path / "files").rglob("*") if each.is_file()] == []


async def test_a_full_disk_refuses_what_comes_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    """Files of this process may not grow beyond two parts, as on a disk that is full then."""
    store = blobs.local(tmp_path / "files")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * LOCAL_PART, hard))
    try:
        with pytest.raises(Refused) as refusal:
            await store.put("1/a", pieces(*[b"x" * LOCAL_PART] * 6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (refusal.value.kind, refusal.value.detail) == (errors.STORAGE_FULL, "the server's disk is full")
    assert [each for each in (tmp_path / "files").rglob("*") if each.is_file()] == []
    await store.put("1/a", pieces(b"x"))
    assert await read(store, "1/a") == b"x"


async def test_a_server_whose_files_are_in_a_bucket(
    s3_url: str, bucket: Any, server_factory: Callable[..., Server]
) -> None:
    """Upload, part, thumbnail and deletion; nothing of it is on the server's own disk."""
    variables = {"bucket": BUCKET, "endpoint": s3_url, "region": "us-east-1", "access_key": "a", "secret_key": "b"}
    server = server_factory(environment={f"HONGYAN_FILES_S3_{name.upper()}": text for name, text in variables.items()})
    await asyncio.to_thread(server.start)
    file = io.BytesIO()
    Image.new("RGB", (60, 40)).save(file, "PNG")
    app = {"X-LC-Id": server.app.id, "X-LC-Key": server.app.key}
    async with httpx.AsyncClient(base_url=server.http_url, headers=app) as http:
        begun = (await http.post("/1.1/fileTokens", json={"name": "a.png"})).json()
        assert (await http.put(begun["upload_url"], content=file.getvalue())).status_code == 200
        assert (await http.get(begun["url"])).content == file.getvalue()
        assert (await http.get(begun["url"], headers={"Range": "bytes=1-3"})).content == b"PNG"
        small = await http.get(f"{begun['url']}?imageView/2/w/30/h/30")
        assert Image.open(io.BytesIO(small.content)).size == (30, 20)
        assert len(list(bucket.objects.all())) == 2
        master = {"X-LC-Key": f"{server.app.master_key},master"}
        assert (await http.delete(f"/1.1/files/{begun['objectId']}", headers=master)).json() == {}
    assert list(bucket.objects.all()) == []
    assert not (server.data_dir / "files").exists()
