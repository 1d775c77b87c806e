"""How the bytes of files are given out: parts, conditions, names, and nothing that a browser would run."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.api import ranges
from hongyan.engine.files import Files
from tests.api.conftest import Calling, Served
from tests.api.test_files import KEY, picture, uploaded

CONTENT = b"0123456789"
SAFE = "default-src 'none'; sandbox"


@pytest.fixture
async def http(calling: Calling) -> AsyncIterator[httpx.AsyncClient]:
    async with calling() as made:
        made.headers.update(KEY)
        yield made


@pytest.fixture
async def url(http: httpx.AsyncClient) -> str:
    """A file of ten bytes."""
    return str((await uploaded(http, "ten.bin", CONTENT))["url"])


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=0-9", CONTENT, "bytes 0-9/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", CONTENT, "bytes 0-9/10"),
        ("bytes=8-99999999999", b"89", "bytes 8-9/10"),
        ("BYTES= 1-2 ", b"12", "bytes 1-2/10"),
    ],
)
async def test_a_part(http: httpx.AsyncClient, url: str, asked: str, content: bytes, told: str) -> None:
    answer = await http.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.content, answer.headers["Content-Range"]) == (206, content, told)
    assert answer.headers["Content-Length"] == str(len(content))


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_a_part_after_the_end(http: httpx.AsyncClient, url: str, asked: str) -> None:
    answer = await http.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.content, answer.headers["Content-Range"]) == (416, b"", "bytes */10")


@pytest.mark.parametrize("asked", ["", "x", "bytes", "bytes=", "bytes=-", "bytes=4-2", "bytes=0-1,3-4", "lines=1-2"])
async def test_what_is_no_part_is_the_whole(http: httpx.AsyncClient, url: str, asked: str) -> None:
    answer = await http.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, CONTENT, "10")
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Range" not in answer.headers


async def test_conditions(http: httpx.AsyncClient, url: str) -> None:
    first = await http.get(url)
    etag, modified = first.headers["ETag"], first.headers["Last-Modified"]
    for known in (etag, f'"x", W/{etag}', "*"):
        answer = await http.get(url, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    assert (await http.get(url, headers={"If-None-Match": '"x"'})).content == CONTENT
    part = {"Range": "bytes=0-1"}
    for condition in (etag, modified):
        assert (await http.get(url, headers={**part, "If-Range": condition})).content == b"01"
    for condition in ('"x"', f"W/{etag}", "Thu, 01 Jan 1970 00:00:00 GMT"):
        assert (await http.get(url, headers={**part, "If-Range": condition})).content == CONTENT


@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=2-4"}])
async def test_bytes_that_are_not_there_are_one_clear_error(
    http: httpx.AsyncClient, url: str, tmp_path: Path, asked: Any
) -> None:
    """The row may come from a backup that is newer than the one of the bytes."""
    for each in (tmp_path / "files").rglob("original"):
        each.unlink()
    answer = await http.get(url, headers=asked)
    assert (answer.status_code, answer.json()["code"]) == (404, 101)
    assert "the bytes of this file are not there" in answer.json()["error"]
    assert "Cache-Control" not in answer.headers


async def test_a_reader_that_goes_away_leaves_nothing_open(
    url: str, served: Served, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_open, is_sent = True, asyncio.Event()

    async def content(*_: Any) -> AsyncIterator[bytes]:
        nonlocal is_open
        try:
            yield b"01234"
            yield b"56789"
        finally:
            is_open = False

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            is_sent.set()
            await asyncio.Event().wait()  # nothing more is taken

    async def receive() -> Any:
        await is_sent.wait()
        return {"type": "http.disconnect"}

    monkeypatch.setattr(files, "read", content)
    path = httpx.URL(url).path
    connection = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "scheme": "http", "http_version": "1.1"}
    asked = {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": []}
    gc.disable()
    try:
        await served[1](
            {"type": "http", "asgi": {"version": "3.0"}, "root_path": "", **connection, **asked}, receive, send
        )
        assert not is_open
    finally:
        gc.enable()


@pytest.mark.parametrize(("asked", "length", "status"), [({}, "10", 200), ({"Range": "bytes=2-4"}, "3", 206)])
async def test_the_head_alone(http: httpx.AsyncClient, url: str, asked: Any, length: str, status: int) -> None:
    answer = await http.head(url, headers=asked)
    assert (answer.status_code, answer.headers["Content-Length"], answer.content) == (status, length, b"")


@given(st.text(max_size=20) | st.from_regex(r"bytes=[0-9]{0,20}-[0-9]{0,20}"), st.integers(0, 1000))
def test_any_range_lies_within_the_file(header: str, size: int) -> None:
    try:
        part = ranges.wanted(header, None, size, '"x"', "")
    except ranges.NotSatisfiable:
        return
    if part is not None:
        assert 0 <= part[0] < part[1] <= size


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"\xef\xbb\xbf  <!-- x --><html><script>alert(1)</script>"


@pytest.mark.parametrize(
    ("name", "declared", "content", "told", "is_shown"),
    [
        ("a.png", None, picture("PNG"), "image/png", True),
        ("a.jpg", None, picture("JPEG"), "image/jpeg", True),
        ("a.webp", "image/webp", picture("WEBP"), "image/webp", True),
        ("a.mp3", None, b"ID3\x03\0\0\0", "audio/mpeg", True),
        ("a.mp4", None, b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", "video/mp4", True),
        ("a.txt", None, b"hello", "text/plain", True),
        ("a.pdf", None, b"%PDF-1.4\n", "application/pdf", False),
        ("a.zip", None, b"PK\3\4", "application/zip", False),
        ("a.docx", None, b"PK\3\4", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", False),
        ("a.bin", None, b"x", "application/octet-stream", False),
        ("a.html", None, HTML, "application/octet-stream", False),
        ("a.htm", "text/html", b"x", "application/octet-stream", False),
        ("a.xhtml", "application/xhtml+xml", b"x", "application/octet-stream", False),
        ("a.xml", "text/xml", b"<?xml version='1.0'?><x/>", "application/octet-stream", False),
        ("a.svg", None, SVG, "application/octet-stream", False),
        ("a", "image/svg+xml", b"x", "application/octet-stream", False),
        ("a", "image/SVG+XML", SVG, "application/octet-stream", False),
        ("a", "image/x+xml", SVG, "application/octet-stream", False),
        ("a.js", None, b"alert(1)", "application/octet-stream", False),
        ("a", "text/javascript", b"alert(1)", "application/octet-stream", False),
        ("a.css", None, b"*{}", "application/octet-stream", False),
        ("a", "application/vnd.mozilla.xul+xml", b"x", "application/octet-stream", False),
        ("a", "multipart/x-mixed-replace", b"x", "application/octet-stream", False),
        ("a.png", "image/png", HTML, "application/octet-stream", False),
        ("a.png", "image/png", SVG, "application/octet-stream", False),
        ("a.txt", "text/plain", HTML, "application/octet-stream", False),
    ],
)
async def test_a_browser_runs_nothing_of_a_file(
    http: httpx.AsyncClient, name: str, declared: str | None, content: bytes, told: str, is_shown: bool
) -> None:
    begun = await uploaded(http, name, content, mime_type=declared)
    answer = await http.get(begun["url"])
    assert answer.content == content
    assert answer.headers["Content-Type"].partition(";")[0] == told
    assert answer.headers["Content-Disposition"].startswith("inline;" if is_shown else "attachment;")
    assert answer.headers["Content-Security-Policy"] == SAFE
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.txt", "filename=\"a.txt\"; filename*=UTF-8''a.txt"),
        ("报告 é.txt", "filename=\"e.txt\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A%20%C3%A9.txt"),
        ("日本", "filename=\"file\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
        ('a"; filename="b.exe', "filename=\"a_; filename=_b.exe\"; filename*=UTF-8''a%22%3B%20filename%3D%22b.exe"),
        ("a\r\nSet-Cookie: x", "filename=\"a__Set-Cookie: x\"; filename*=UTF-8''a__Set-Cookie%3A%20x"),
        ("../../etc/passwd", "filename=\"_.._etc_passwd\"; filename*=UTF-8''_.._etc_passwd"),
        ("C:\\x\\y.txt", "filename=\"C:_x_y.txt\"; filename*=UTF-8''C%3A_x_y.txt"),
        ("／..／＂x", "filename=\"_..__x\"; filename*=UTF-8''%EF%BC%8F..%EF%BC%8F%EF%BC%82x"),
        ("...", "filename=\"file\"; filename*=UTF-8''file"),
    ],
)
async def test_the_name_by_which_a_file_is_saved(http: httpx.AsyncClient, name: str, told: str) -> None:
    begun = await uploaded(http, name, b"x", mime_type="application/zip")
    answer = await http.get(begun["url"])
    assert answer.headers["Content-Disposition"] == f"attachment; {told}"


async def test_pages_of_other_sites_may_read_a_file(http: httpx.AsyncClient, url: str) -> None:
    answer = await http.get(url, headers={"Origin": "https://app.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]
    assert answer.headers["Cache-Control"] == "private, max-age=31536000"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "x",
        "../hongyan.db",
        "..%2fhongyan.db",
        "%2e%2e/%2e%2e/etc/passwd",
        "1/ab/original",
        "%00",
        "~",
        "~/",
        "~1.x/",
        "x" * 5_000,
        "%ff",
    ],
)
async def test_what_is_no_file(http: httpx.AsyncClient, url: str, path: str) -> None:
    answer = await http.get(f"/files/{path}")
    assert (answer.status_code, answer.json()["code"]) in [(404, 101), (404, 404)]


async def test_only_the_whole_key_is_a_link(http: httpx.AsyncClient, url: str) -> None:
    for other in (url[:-1], url + "x", url + "/x", url.removesuffix(".bin"), url.swapcase().replace("HTTP", "http")):
        assert (await http.get(other)).status_code == 404
