"""Files over HTTP: uploading in the form of each SDK, what is told of a file, and who may do what."""

import asyncio
import hashlib
import io
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from hongyan import errors
from hongyan.api import incoming
from hongyan.engine.engine import Engine
from hongyan.engine.files import MAKERS, TOKEN_TTL, UNFINISHED_TTL, Files
from hongyan.engine.thumbnails import PIECES_MAX, SCANS_MAX
from hongyan.engine.values import App
from hongyan.errors import Refused
from tests.api.conftest import Calling

KEY = {"X-LC-Id": "home", "X-LC-Key": "home-key"}
JS = {"User-Agent": "LeanCloud-JS-SDK/4.15.2 (Node.js/v20.0.0)"}
UNKNOWN = "65f000000000000000000009"
CONTENT = bytes(range(256)) * 300
MD5 = hashlib.md5(CONTENT).hexdigest()

Json = dict[str, Any]


@pytest.fixture
async def http(calling: Calling) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with the app's key."""
    async with calling() as made:
        made.headers.update(KEY)
        yield made


@pytest.fixture
def master(app: App) -> dict[str, str]:
    """The headers that have the master key besides."""
    return {"X-LC-Key": f"{app.master_key},master"}


@pytest.fixture
def set_app(engine: Engine) -> Callable[..., Any]:
    """Changes settings of the app."""

    async def change(**settings: str) -> None:
        await engine.apps.change("home", settings)

    return change


async def begin(http: httpx.AsyncClient, name: str = "photo.bin", **more: Any) -> Json:
    """What the server says of an upload that may begin."""
    answer = await http.post("/1.1/fileTokens", json={"name": name, **more})
    assert answer.status_code == 201, answer.text
    told: Json = answer.json()
    return told


async def put(http: httpx.AsyncClient, begun: Json, content: bytes = CONTENT) -> httpx.Response:
    return await http.put(begun["upload_url"], content=content, headers={"Content-Type": begun["mime_type"]})


async def uploaded(http: httpx.AsyncClient, name: str = "photo.bin", content: bytes = CONTENT, **more: Any) -> Json:
    """A file that has arrived."""
    begun = await begin(http, name, **more)
    answer = await put(http, begun, content)
    assert answer.status_code == 200, answer.text
    return begun


async def count_blobs(tmp_path: Path) -> int:
    return sum(each.is_file() for each in (tmp_path / "files").rglob("*"))


# uploading


async def test_an_upload_by_put(http: httpx.AsyncClient) -> None:
    begun = await begin(http, "日落.PNG", metaData={"size": 3, "_checksum": MD5.upper(), "owner": "tom"})
    assert begun["provider"] == "s3"
    assert begun["mime_type"] == "image/png"
    assert begun["bucket"]
    assert begun["url"].endswith(f"/files/{begun['key']}")
    assert begun["key"].endswith(".PNG")
    answer = await put(http, begun)
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (200, b"", f'"{MD5}"')
    assert (await http.post("/1.1/fileCallback", json={"token": begun["token"], "result": True})).json() == {}
    assert (await http.get(begun["url"])).content == CONTENT
    told = (await http.get(f"/1.1/files/{begun['objectId']}")).json()
    assert told["metaData"] == {"size": len(CONTENT), "_checksum": MD5.upper(), "owner": "tom"}
    assert {name: told[name] for name in ("objectId", "name", "key", "url", "mime_type", "createdAt")} == {
        name: begun[name] for name in ("objectId", "name", "key", "url", "mime_type", "createdAt")
    }


def form(field: str, content: bytes, *, token_first: bool) -> dict[str, Any]:
    fields, file = {"token": "x", "key": "y", "op": "upload"}, {field: ("name.bin", content)}
    return {"data": fields, "files": file} if token_first else {"files": [*file.items(), *_fields(fields)]}


def _fields(fields: dict[str, str]) -> list[Any]:
    return [(name, (None, value)) for name, value in fields.items()]


@pytest.mark.parametrize("token_first", [True, False])
@pytest.mark.parametrize("field", ["file", "fileContent", "filecontent"])
async def test_an_upload_by_form(http: httpx.AsyncClient, field: str, token_first: bool) -> None:
    begun = await begin(http)
    answer = await http.post(begun["upload_url"], **form(field, CONTENT, token_first=token_first))
    assert answer.json() == {"code": 0, "hash": MD5, "key": begun["key"]}
    assert (await http.get(begun["url"])).content == CONTENT


async def test_the_javascript_sdk_is_told_to_use_forms(http: httpx.AsyncClient) -> None:
    for headers in (JS, {"X-LC-UA": "LeanCloud-JS-SDK/4.15.2 (Weapp)"}):
        answer = await http.post("/1.1/fileTokens", json={"name": "x"}, headers=headers)
        assert answer.json()["provider"] == "qiniu"


async def test_an_upload_in_parts(http: httpx.AsyncClient, tmp_path: Path) -> None:
    begun = await begin(http)
    base = f"{begun['upload_url']}/buckets/{begun['bucket']}/objects/bmFtZQ==/uploads"
    upload = (await http.post(base)).json()["uploadId"]
    parts = []
    for number, piece in enumerate([CONTENT[:5], CONTENT[5:70_000], CONTENT[70_000:]], 1):
        etag = (await http.put(f"{base}/{upload}/{number}", content=piece)).json()["etag"]
        assert etag == hashlib.md5(piece).hexdigest()
        parts.append({"partNumber": number, "etag": etag})
    for _ in range(2):  # the answer may have been lost
        answer = await http.post(f"{base}/{upload}", json={"parts": parts, "fname": "x"})
        assert answer.json() == {"code": 0, "hash": MD5, "key": begun["key"]}
    assert (await http.get(begun["url"])).content == CONTENT
    assert await count_blobs(tmp_path) == 1


async def test_parts_that_a_crash_has_left_go_when_the_caller_asks_again(
    http: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Files
) -> None:
    begun = await begin(http)
    base = f"{begun['upload_url']}/buckets/b/objects/bmFtZQ==/uploads/x"
    await http.put(f"{base}/1", content=CONTENT)
    with monkeypatch.context() as crashing:
        crashing.setattr(files._blobs, "delete", AsyncMock(side_effect=Refused(errors.INTERNAL_ERROR, "gone")))
        assert (await http.post(base, json={"parts": [{"partNumber": 1}]})).status_code == 500
    assert await count_blobs(tmp_path) == 2
    assert (await http.post(base, json={"parts": [{"partNumber": 1}]})).json()["hash"] == MD5
    assert await count_blobs(tmp_path) == 1
    assert (await http.get(begun["url"])).content == CONTENT


async def test_an_upload_in_parts_that_is_given_up(http: httpx.AsyncClient, tmp_path: Path) -> None:
    begun = await begin(http)
    base = f"{begun['upload_url']}/buckets/b/objects/bmFtZQ==/uploads"
    await http.put(f"{base}/x/1", content=b"x")
    assert (await http.delete(f"{base}/x")).json() == {}
    assert await count_blobs(tmp_path) == 0
    assert (await http.post(base)).status_code == 403


async def test_an_upload_in_one_call(http: httpx.AsyncClient) -> None:
    answer = await http.post("/1.1/files/hello%20鸿雁.txt", content=b"Hello", headers={"Content-Type": "text/plain"})
    told = answer.json()
    assert (answer.status_code, told["name"], told["size"]) == (201, "hello 鸿雁.txt", 5)
    assert answer.headers["Location"].endswith(f"/1.1/files/{told['objectId']}")
    assert (await http.get(told["url"])).content == b"Hello"


@pytest.mark.parametrize(
    ("name", "given", "mime_type"),
    [
        ("a.png", "", "image/png"),
        ("a.png", "application/x-www-form-urlencoded", "image/png"),
        ("a.png", "image/gif; q=1", "image/gif"),
        ("a", "", "application/octet-stream"),
        ("a", "nonsense", "application/octet-stream"),
    ],
)
async def test_the_type_of_an_upload_in_one_call(
    http: httpx.AsyncClient, name: str, given: str, mime_type: str
) -> None:
    answer = await http.post(f"/1.1/files/{name}", content=b"Hello", headers={"Content-Type": given})
    assert answer.json()["mime_type"] == mime_type


@pytest.mark.parametrize("path", ["/1.1/files", "/1.1/classes/_File", "/1/files", "/1.2/files", "/1.1/classes/_file"])
async def test_a_file_elsewhere(http: httpx.AsyncClient, path: str) -> None:
    url = "https://files.example/logo%20x.png"
    answer = await http.post(path, json={"name": "logo", "url": url, "metaData": {"__source": "external"}})
    told = answer.json()
    assert (answer.status_code, told["url"], told["mime_type"]) == (201, url, "application/octet-stream")
    assert answer.headers["Location"].endswith(told["objectId"])
    again = (await http.get(f"{path}/{told['objectId']}")).json()
    assert (again["url"], again["name"], again["metaData"]) == (url, "logo", {"__source": "external"})
    assert "key" not in again


async def test_a_name_that_is_kept_ends_the_url(http: httpx.AsyncClient) -> None:
    begun = await uploaded(http, "报告/a?b.pdf", keep_file_name=True)
    assert begun["key"].endswith("/报告_a?b.pdf")
    assert begun["url"].endswith("/%E6%8A%A5%E5%91%8A_a%3Fb.pdf")
    assert (await http.get(begun["url"])).content == CONTENT


async def test_a_name_that_looks_like_a_url_tells_no_type(http: httpx.AsyncClient) -> None:
    assert (await begin(http, "data:image/x\r\nSet-Cookie: a,b"))["mime_type"] == "application/octet-stream"


async def test_an_empty_file(http: httpx.AsyncClient) -> None:
    begun = await uploaded(http, "empty", b"")
    answer = await http.get(begun["url"])
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "0")


async def test_the_same_bytes_again_are_fine_and_others_change_nothing(http: httpx.AsyncClient) -> None:
    begun = await uploaded(http)
    assert (await put(http, begun)).status_code == 200
    other = await put(http, begun, b"other")
    assert (other.status_code, other.json()["code"]) == (409, 409)
    assert (await http.get(begun["url"])).content == CONTENT


async def test_a_failed_upload_is_forgotten_and_one_that_has_arrived_is_not(http: httpx.AsyncClient) -> None:
    begun, arrived = await begin(http), await uploaded(http)
    for each in (begun, arrived):
        answer = await http.post("/1.1/fileCallback", json={"token": each["token"], "result": False})
        assert answer.json() == {}
    assert (await put(http, begun)).status_code == 403
    assert (await http.get(arrived["url"])).content == CONTENT


async def test_nobody_sees_a_file_before_it_has_arrived(http: httpx.AsyncClient, master: dict[str, str]) -> None:
    begun = await begin(http)
    assert (await http.get(begun["url"])).status_code == 404
    assert (await http.get(f"/1.1/files/{begun['objectId']}", headers=master)).json() == {}
    assert (await http.get("/1.1/classes/_File", headers=master)).json() == {"results": []}


# what goes wrong with an upload


async def assert_nothing_is_there(http: httpx.AsyncClient, begun: Json, tmp_path: Path) -> None:
    assert (await http.get(begun["url"])).status_code == 404
    assert await count_blobs(tmp_path) == 0


async def test_another_digest_than_announced(http: httpx.AsyncClient, tmp_path: Path) -> None:
    begun = await begin(http, metaData={"_checksum": "0" * 32})
    answer = await put(http, begun)
    assert (answer.status_code, answer.json()["code"]) == (400, 1)
    assert "_checksum" in answer.json()["error"]
    await assert_nothing_is_there(http, begun, tmp_path)


async def endless(pieces: int) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield b"x" * 1_000


@pytest.mark.parametrize("form", ["put", "form", "parts"])
async def test_too_large(http: httpx.AsyncClient, set_app: Any, tmp_path: Path, form: str) -> None:
    await set_app(file_max="100000")
    begun = await begin(http)
    url = begun["upload_url"]
    if form == "put":
        answer = await http.put(url, content=endless(101))
    elif form == "form":
        answer = await http.post(url, files={"file": ("x", b"x" * 100_001)})
    else:
        parts = f"{url}/buckets/b/objects/eA==/uploads/x"
        assert (await http.put(f"{parts}/1", content=endless(60))).status_code == 200
        answer = await http.put(f"{parts}/2", content=endless(60))
    assert (answer.status_code, answer.json()["code"]) == (413, 413)
    assert (await http.get(begun["url"])).status_code == 404
    assert await count_blobs(tmp_path) == (form == "parts")


async def test_too_large_is_told_before_it_comes(http: httpx.AsyncClient, set_app: Any) -> None:
    await set_app(file_max="100000")
    told = await http.post("/1.1/fileTokens", json={"name": "x", "metaData": {"size": 100_001}})
    assert told.status_code == 413
    begun = await begin(http)
    assert (await http.put(begun["upload_url"], headers={"Content-Length": "9" * 30})).status_code == 413
    assert (await http.post("/1.1/files/x", content=b"x" * 100_001)).status_code == 413


async def test_types_that_are_not_taken(http: httpx.AsyncClient, set_app: Any, tmp_path: Path) -> None:
    await set_app(file_types="image/*,application/pdf")
    for name in ("a.exe", "a.html", "a.mp3"):
        refused = await http.post("/1.1/fileTokens", json={"name": name})
        assert (refused.status_code, refused.json()["code"]) == (415, 415)
    await uploaded(http, "a.pdf", b"%PDF-1.4\n")
    await uploaded(http, "a.png", picture("PNG"))
    begun = await begin(http, "b.png")
    assert (await put(http, begun, b"<html><script>alert(1)</script>")).status_code == 415
    assert (await http.get(begun["url"])).status_code == 404
    assert await count_blobs(tmp_path) == 2


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, 122),
        ({"name": None}, 122),
        ({"name": 1}, 122),
        ({"name": "x" * 256}, 122),
        ({"name": "x\0"}, 122),
        ({"name": "x", "mime_type": "image"}, 1),
        ({"name": "x", "mime_type": "image/png\r\nX: y"}, 1),
        ({"name": "x", "mime_type": 1}, 1),
        ({"name": "x", "metaData": []}, 1),
        ({"name": "x", "metaData": {"x": "x" * 17_000}}, 1),
        ({"name": "x", "ACL": "x"}, 123),
    ],
)
@pytest.mark.parametrize("path", ["/1.1/fileTokens", "/1.1/files"])
async def test_mistakes_in_what_is_said_of_a_file(
    http: httpx.AsyncClient, master: dict[str, str], path: str, given: Json, code: int
) -> None:
    answer = await http.post(path, json={"url": "https://files.example/x", **given})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (await http.get("/1.1/classes/_File?count=1", headers=master)).json() == {"results": [], "count": 0}


@pytest.mark.parametrize(
    "url", [None, 1, "", "x", "ftp://files.example/x", "javascript:alert(1)", "https://x y", "http://" + "x" * 2_048]
)
async def test_a_url_that_is_none(http: httpx.AsyncClient, url: object) -> None:
    answer = await http.post("/1.1/files", json={"name": "x", "url": url})
    assert (answer.status_code, answer.json()["code"]) == (400, 1)


@pytest.mark.parametrize(
    "body",
    [
        {"content": b"x", "headers": {"Content-Type": "text/plain"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nxx',
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
        {"files": {"other": ("x", b"x")}},
        {"files": [(f"field{number}", (None, "x")) for number in range(60)]},
    ],
    ids=["no form", "no boundary", "nonsense", "cut off", "no file", "many fields"],
)
async def test_a_form_that_is_none(http: httpx.AsyncClient, tmp_path: Path, body: Any) -> None:
    begun = await begin(http)
    answer = await http.post(begun["upload_url"], **body)
    assert answer.status_code == 400, answer.text
    await assert_nothing_is_there(http, begun, tmp_path)


async def test_a_field_beside_the_file_is_bounded(http: httpx.AsyncClient) -> None:
    begun = await begin(http)
    answer = await http.post(begun["upload_url"], files=[("key", (None, "x" * 70_000)), ("file", ("x", b"x"))])
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "parts", [None, [], "x", [1], [{}], [{"partNumber": 2}], [{"partNumber": 1}, {"partNumber": 1}]]
)
async def test_parts_that_are_none(http: httpx.AsyncClient, parts: object) -> None:
    begun = await begin(http)
    base = f"{begun['upload_url']}/buckets/b/objects/eA==/uploads/x"
    await http.put(f"{base}/1", content=b"x")
    answer = await http.post(base, json={"parts": parts})
    assert (answer.status_code, answer.json()["code"]) == (400, 1)


async def test_a_part_that_never_came(http: httpx.AsyncClient, tmp_path: Path) -> None:
    begun = await begin(http)
    base = f"{begun['upload_url']}/buckets/b/objects/eA==/uploads/x"
    await http.put(f"{base}/1", content=b"x")
    answer = await http.post(base, json={"parts": [{"partNumber": 1}, {"partNumber": 2}]})
    assert (answer.status_code, answer.json()["code"]) == (404, 101)
    assert (await http.get(begun["url"])).status_code == 404
    for number in ("0", "10001"):
        assert (await http.put(f"{base}/{number}", content=b"x")).status_code == 400


async def test_a_token_that_is_none(http: httpx.AsyncClient, engine: Engine) -> None:
    begun = await begin(http)
    other = await begin(http)
    token, mac = begun["token"], begun["token"].rpartition("-")[2]
    forged = [
        "x",
        "-",
        token[:-1],
        token.replace(begun["objectId"], other["objectId"]),
        f"{other['token'].rpartition('-')[0]}-{mac}",
        token.replace("1-", "2-", 1),
    ]
    for each in forged:
        answer = await http.put(f"/1.1/fileUploads/{each}", content=b"x")
        assert (answer.status_code, answer.json()["code"]) == (403, 403)
    await engine.apps.create("other", id="other", key="other-key")
    headers = {"X-LC-Id": "other", "X-LC-Key": "other-key"}
    answer = await http.post("/1.1/fileCallback", json={"token": token, "result": False}, headers=headers)
    assert answer.status_code == 403
    assert (await put(http, begun)).status_code == 200


async def test_a_token_that_is_too_old(http: httpx.AsyncClient, engine: Engine) -> None:
    begun = await begin(http)
    engine.clock.not_before(engine.clock.now() + TOKEN_TTL + 1_000)
    assert (await put(http, begun)).status_code == 403


async def test_what_never_arrives_is_forgotten(
    http: httpx.AsyncClient, engine: Engine, files: Files, tmp_path: Path
) -> None:
    arrived, begun = await uploaded(http), await begin(http)
    elsewhere = (await http.post("/1.1/files", json={"name": "x", "url": "https://files.example/x"})).json()
    await http.put(f"{begun['upload_url']}/buckets/b/objects/eA==/uploads/x/1", content=b"x")
    assert await files.sweep() == 0
    engine.clock.not_before(engine.clock.now() + UNFINISHED_TTL + 1_000)
    assert await files.sweep() == 1
    assert await count_blobs(tmp_path) == 1
    assert (await http.get(arrived["url"])).content == CONTENT
    assert (await http.get(f"/1.1/files/{elsewhere['objectId']}")).json()["objectId"] == elsewhere["objectId"]


async def test_two_at_once_with_one_token(http: httpx.AsyncClient, files: Files) -> None:
    begun = await begin(http)
    begins, goes_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"first "
        begins.set()
        await goes_on.wait()
        yield b"wins"

    first = asyncio.create_task(http.put(begun["upload_url"], content=slow()))
    await begins.wait()
    while not files._arriving:
        await asyncio.sleep(0)
    assert (await put(http, begun)).status_code == 409
    goes_on.set()
    assert (await first).status_code == 200
    assert (await http.get(begun["url"])).content == b"first wins"


async def test_what_arrives_while_another_call_has_been_let_in_is_neither_overwritten_nor_forgotten(
    http: httpx.AsyncClient, files: Files, app: App
) -> None:
    begun = await begin(http)
    earlier = await files.of_token(None, begun["token"])
    await put(http, begun)

    async def other() -> AsyncIterator[bytes]:
        yield b"other"

    for late in (files.receive(app, earlier, other(), "here"), files.receive_part(app, earlier, 1, other(), "here")):
        with pytest.raises(Refused) as refusal:
            await late
        assert refusal.value.kind is errors.FILE_EXISTS
    await files.give_up(earlier)
    assert (await http.get(begun["url"])).content == CONTENT


async def test_an_upload_that_another_call_has_given_up_is_over(
    http: httpx.AsyncClient, files: Files, app: App, tmp_path: Path
) -> None:
    begun = await begin(http)
    earlier = await files.of_token(None, begun["token"])
    await files.give_up(earlier)

    async def late() -> AsyncIterator[bytes]:
        yield b"late"

    with pytest.raises(Refused, match="this upload is over"):
        await files.receive(app, earlier, late(), "here")
    assert await count_blobs(tmp_path) == 0


async def test_more_uploads_at_once_than_the_server_takes(http: httpx.AsyncClient, files: Files) -> None:
    files._arriving |= dict.fromkeys("abcd", "elsewhere")
    answer = await put(http, await begin(http))
    assert (answer.status_code, answer.json()["code"]) == (503, 503)


async def test_an_address_can_not_keep_others_out(http: httpx.AsyncClient, files: Files, calling: Calling) -> None:
    files._arriving["a"] = "127.0.0.1"
    answer = await put(http, begun := await begin(http))
    assert (answer.status_code, answer.json()["code"]) == (503, 503)
    async with calling("203.0.113.7") as elsewhere:
        assert (await put(elsewhere, begun)).status_code == 200
    del files._arriving["a"]
    assert (await put(http, await begin(http))).status_code == 200


async def test_too_many_uploads_of_an_address(calling: Calling, set_app: Any, master: dict[str, str]) -> None:
    await set_app(file_rate="2")
    given = {"name": "x"}
    async with calling("203.0.113.7") as here, calling("203.0.113.8") as there:
        for each in (here, there):
            each.headers.update(KEY)
        statuses = [(await here.post("/1.1/fileTokens", json=given)).status_code for _ in range(3)]
        assert statuses == [201, 201, 429]
        assert (await here.post("/1.1/files/x", content=b"x")).status_code == 429
        assert (await here.post("/1.1/fileTokens", json=given, headers=master)).status_code == 201
        assert (await there.post("/1.1/fileTokens", json=given)).status_code == 201


async def test_the_addresses_of_one_ipv6_network_count_as_one(calling: Calling, set_app: Any) -> None:
    await set_app(file_rate="1")
    statuses = []
    for address in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"):
        async with calling(address) as http:
            statuses.append((await http.post("/1.1/fileTokens", json={"name": "x"}, headers=KEY)).status_code)
    assert statuses == [201, 429, 201]


async def test_an_address_is_not_another_one_by_a_header_of_its_own(calling: Calling, set_app: Any) -> None:
    """Behind a proxy that appends a line of its own, as HAProxy does, the first line is what the caller has sent."""
    await set_app(file_rate="2")
    async with calling("10.0.0.2", trusted_proxies="10.0.0.2") as http:
        statuses = []
        for number in range(3):
            lines = [("X-Forwarded-For", f"198.51.100.{number}"), ("X-Forwarded-For", "203.0.113.7")]
            answer = await http.post("/1.1/fileTokens", json={"name": "x"}, headers=[*KEY.items(), *lines])
            statuses.append(answer.status_code)
    assert statuses == [201, 201, 429]


@pytest.mark.parametrize(("name", "value"), [("SILENCE", 0.01), ("GRACE", -1.0)])
async def test_a_body_that_comes_too_slowly(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: float
) -> None:
    """It is silent for too long, or too slow on average."""
    monkeypatch.setattr(incoming, name, value)

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    begun = await begin(http)
    answer = await http.put(begun["upload_url"], content=slow())
    assert (answer.status_code, answer.json()["code"]) == (408, 408)
    await assert_nothing_is_there(http, begun, tmp_path)


# who may do what

CALLS = [
    ("POST", "/1.1/fileTokens", {"name": "x"}),
    ("POST", "/1.1/fileCallback", {"token": "x", "result": True}),
    ("POST", "/1.1/files", {"name": "x", "url": "https://files.example/x"}),
    ("POST", "/1.1/files/x.txt", {}),
    ("GET", f"/1.1/files/{UNKNOWN}", None),
    ("GET", f"/1.1/classes/_File/{UNKNOWN}", None),
    ("GET", "/1.1/classes/_File", None),
    ("DELETE", f"/1.1/files/{UNKNOWN}", None),
    ("DELETE", f"/1.1/classes/_File/{UNKNOWN}", None),
    ("DELETE", f"/1.1/classes/_file/{UNKNOWN}", None),
]
MASTER_ONLY = {("GET", "/1.1/classes/_File")} | {(method, path) for method, path, _ in CALLS if method == "DELETE"}


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_each_call_by_who_calls(
    http: httpx.AsyncClient, master: dict[str, str], method: str, path: str, body: Json | None
) -> None:
    async def status(**headers: str) -> int:
        for name in KEY:
            http.headers.pop(name, None)
        answer = await http.request(method, path, json=body, headers=headers)
        assert answer.is_success or answer.json().keys() == {"code", "error"}
        return answer.status_code

    needs_master = (method, path) in MASTER_ONLY
    assert await status() == 401
    assert await status(**{"X-LC-Id": "home"}) == (403 if needs_master else 401)
    assert await status(**{"X-LC-Id": "home", "X-LC-Key": "wrong"}) == 401
    assert await status(**{"X-LC-Id": "nobody", "X-LC-Key": "home-key"}) == 404
    assert (await status(**KEY) == 403) is needs_master
    assert await status(**KEY | master) in (200, 201)


async def test_an_app_that_takes_files_with_the_master_key_only(
    http: httpx.AsyncClient, set_app: Any, master: dict[str, str]
) -> None:
    await set_app(file_upload="master")
    for path in ("/1.1/fileTokens", "/1.1/files", "/1.1/files/x"):
        answer = await http.post(path, json={"name": "x", "url": "https://files.example/x"})
        assert (answer.status_code, "file_upload" in answer.json()["error"]) == (403, True)
        given = {"name": "x", "url": "https://files.example/x"}
        assert (await http.post(path, json=given, headers=master)).status_code == 201


@pytest.mark.parametrize(
    ("acl", "seen"), [(None, True), ({"*": {"read": True}}, True), ({"tom": {"read": True}}, False), ({}, False)]
)
async def test_an_acl_hides_what_is_known_of_a_file_inferred(
    http: httpx.AsyncClient, master: dict[str, str], acl: Json | None, seen: bool
) -> None:
    begun = await uploaded(http, ACL=acl)
    path = f"/1.1/files/{begun['objectId']}"
    assert bool((await http.get(path)).json()) is seen
    assert (await http.get(path, headers=master)).json()["objectId"] == begun["objectId"]


async def test_files_of_another_app_are_none(http: httpx.AsyncClient, engine: Engine, master: dict[str, str]) -> None:
    begun = await uploaded(http)
    other = await engine.apps.create("other", id="other", key="other-key")
    headers = {"X-LC-Id": "other", "X-LC-Key": f"{other.master_key},master"}
    path = f"/1.1/files/{begun['objectId']}"
    assert (await http.get(path, headers=headers)).json() == {}
    assert (await http.delete(path, headers=headers)).json() == {}
    assert (await http.get("/1.1/classes/_File", headers=headers)).json() == {"results": []}
    assert (await http.get(begun["url"])).content == CONTENT


async def test_deleting(http: httpx.AsyncClient, master: dict[str, str], tmp_path: Path) -> None:
    begun = await uploaded(http, "a.png", picture("PNG"))
    await http.get(f"{begun['url']}?imageView/2/w/3/h/3")
    assert await count_blobs(tmp_path) == 2
    assert (await http.delete(f"/1.1/files/{begun['objectId']}", headers=master)).json() == {}
    assert (await http.get(begun["url"])).status_code == 404
    assert (await http.get(f"/1.1/files/{begun['objectId']}")).json() == {}
    assert await count_blobs(tmp_path) == 0


async def test_finding(http: httpx.AsyncClient, master: dict[str, str]) -> None:
    http.headers.update(master)
    made = [await uploaded(http, name, b"x") for name in ("a.txt", "b.txt", "a.txt")]
    ids = [each["objectId"] for each in made]

    async def found(**query: Any) -> list[str]:
        answer = await http.get("/1.1/classes/_File", params=query)
        assert answer.status_code == 200, answer.text
        return [each["objectId"] for each in answer.json()["results"]]

    assert set(await found()) == set(ids)
    assert await found(order="-createdAt") == list(reversed(await found()))
    assert await found(where=f'{{"objectId": "{ids[1]}"}}') == [ids[1]]
    assert set(await found(where='{"name": {"$in": ["a.txt", "c"]}}')) == {ids[0], ids[2]}
    assert await found(where=f'{{"key": "{made[1]["key"]}", "name": "b.txt"}}') == [ids[1]]
    assert await found(where='{"name": {"$in": []}}') == []
    assert len(await found(limit=2)) == 2
    assert len(await found(skip=2)) == 1
    counted = (await http.get("/1.1/classes/_File?count=1&limit=0")).json()
    assert counted == {"results": [], "count": 3}


@pytest.mark.parametrize(
    "query",
    [
        {"where": "x"},
        {"where": "[]"},
        {"where": '{"size": 1}'},
        {"where": '{"name": 1}'},
        {"where": '{"name": {"$gt": "a"}}'},
        {"where": '{"name": {"$in": "a"}}'},
        {"where": '{"": ""}'},
        {"order": "name"},
    ],
)
async def test_finding_what_can_not_be_asked(http: httpx.AsyncClient, master: dict[str, str], query: Json) -> None:
    answer = await http.get("/1.1/classes/_File", params=query, headers=master)
    assert (answer.status_code, answer.json()["code"]) in [(400, 1), (400, 107)]


# addresses


async def test_the_addresses_that_are_told(calling: Calling) -> None:
    async with calling(public_url="https://chat.example.com/") as http:
        http.headers.update(KEY)
        begun = await begin(http)
    assert begun["url"].startswith("https://chat.example.com/files/")
    assert begun["upload_url"].startswith("https://chat.example.com/1.1/fileUploads/")
    options = {"public_url": "https://chat.example.com", "files.url": "https://files.example.com/"}
    async with calling(**options) as http:
        http.headers.update(KEY)
        begun = await begin(http)
    assert begun["url"].startswith("https://files.example.com/files/")
    assert begun["upload_url"].startswith("https://chat.example.com/1.1/fileUploads/")


async def test_a_host_of_a_stranger_is_not_believed(calling: Calling) -> None:
    async with calling("203.0.113.7", url="http://evil.example") as http:
        http.headers.update(KEY)
        begun = await begin(http)
    assert urlsplit(begun["url"]).hostname != "evil.example"


async def test_links_that_expire(http: httpx.AsyncClient, engine: Engine, set_app: Any) -> None:
    await set_app(file_link_ttl="60")
    begun = await uploaded(http, "a b.png", picture("PNG"), keep_file_name=True)
    url = begun["url"]
    answer = await http.get(url)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "private, max-age=60")
    assert (await http.get(f"{url}?imageView/2/w/3/h/3")).status_code == 200
    signature = url.split("/files/")[1].split("/")[0]
    plain = url.replace(f"{signature}/", "")
    later = signature.replace("~1", "~2")
    for bad in (plain, url.replace(signature, "~"), url.replace(signature, "~x.y"), url.replace(signature, later)):
        assert (await http.get(bad)).status_code == 403
    other = await uploaded(http)
    assert (await http.get(other["url"].replace(other["url"].split("/")[-2], signature))).status_code == 403
    engine.clock.not_before(engine.clock.now() + 61_000)
    assert (await http.get(url)).status_code == 403
    told = (await http.get(f"/1.1/files/{begun['objectId']}")).json()
    assert (await http.get(told["url"])).status_code == 200
    await set_app(file_link_ttl="0")
    assert (await http.get(plain)).status_code == 200
    assert (await http.get(url)).status_code == 200


# thumbnails


def picture(format: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", **more: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, format, **more)
    return file.getvalue()


def opened(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


@pytest.mark.parametrize(
    ("query", "size", "format"),
    [
        ("imageView/2/w/30/h/30/q/100/format/png", (30, 20), "PNG"),
        ("imageView/1/w/30/h/30/q/100/format/jpg", (30, 30), "JPEG"),
        ("imageView2/1/w/10", (10, 10), "JPEG"),
        ("imageView2/0/w/30/h/30", (30, 20), "JPEG"),
        ("imageView2/3/w/30/h/30", (45, 30), "JPEG"),
        ("imageView/2/w/1000/h/1000", (60, 40), "JPEG"),
        ("imageView/2/w/30", (30, 20), "JPEG"),
        ("imageView/2/w/30/h/30/format/gif", (30, 20), "GIF"),
        ("imageView/2/w/30/h/30/format/webp", (30, 20), "WEBP"),
        ("imageMogr2/thumbnail/!50.0p", (30, 20), "JPEG"),
        ("imageMogr2/thumbnail/100.0x50.0!", (100, 50), "JPEG"),
        ("imageMogr2/auto-orient/strip/thumbnail/!15x15r/quality/80/format/png", (22, 15), "PNG"),
        ("imageMogr2/thumbnail/30x", (30, 20), "JPEG"),
        ("imageMogr2/thumbnail/x20", (30, 20), "JPEG"),
        ("imageMogr2/format/png", (60, 40), "PNG"),
        ("imageMogr2/thumbnail/%2150p", (30, 20), "JPEG"),
    ],
)
async def test_thumbnails(
    http: httpx.AsyncClient, tmp_path: Path, query: str, size: tuple[int, int], format: str
) -> None:
    begun = await uploaded(http, "a.jpg", picture("JPEG"))
    for _ in range(2):
        answer = await http.get(f"{begun['url']}?{query}")
        made = opened(answer)
        assert (made.size, made.format, answer.headers["Content-Type"]) == (size, format, f"image/{format.lower()}")
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert await count_blobs(tmp_path) == 2


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        ("PNG", "P"),
        ("PNG", "LA"),
        ("PNG", "1"),
        ("PNG", "I;16"),
        ("PNG", "RGBA"),
        ("GIF", "P"),
        ("JPEG", "CMYK"),
        ("BMP", "RGB"),
    ],
)
@pytest.mark.parametrize("wanted", ["", "/format/jpg", "/format/png", "/format/gif", "/format/webp"])
async def test_thumbnails_of_all_kinds(http: httpx.AsyncClient, format: str, mode: str, wanted: str) -> None:
    begun = await uploaded(http, "a", picture(format, mode=mode))
    assert opened(await http.get(f"{begun['url']}?imageView/2/w/30/h/30{wanted}")).size == (30, 20)


async def test_a_thumbnail_is_upright_and_says_nothing_else(http: httpx.AsyncClient) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera"
    begun = await uploaded(http, "a.jpg", picture("JPEG", exif=exif))
    made = opened(await http.get(f"{begun['url']}?imageView/2/w/30/h/30"))
    assert (made.size, dict(made.getexif())) == ((20, 30), {})


async def test_facts_for_the_android_sdk(http: httpx.AsyncClient) -> None:
    image, sound = await uploaded(http, "a.png", picture("PNG")), await uploaded(http, "a.mp3", b"ID3\x03\0")
    facts = (await http.get(f"{image['url']}?imageInfo")).json()
    assert (facts["format"], facts["width"], facts["height"]) == ("png", 60, 40)
    assert (await http.get(f"{sound['url']}?avinfo")).json()["format"] == {"format_name": "mpeg", "size": "5"}
    assert (await http.get(f"{sound['url']}?imageInfo")).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "imageView",
        "imageView/",
        "imageView/9/w/1",
        "imageView/2",
        "imageView/2/w/0/h/0",
        "imageView/2/w/5000",
        "imageView/2/w/-1",
        "imageView/2/w/x",
        "imageView/2/w",
        "imageView/2/w/1/format/tiff",
        "imageView/2/w/1/q/0",
        "imageView/2/w/1/q/101",
        "imageView/2/w/1/x/1",
        "imageView/2/w/99999999999999999999",
        "imageMogr2/thumbnail/x",
        "imageMogr2/thumbnail/!0p",
        "imageMogr2/thumbnail/9999x9999!",
        "imageMogr2/blur/3x5",
        "imageView/2/w/1/" + "x/1/" * 100,
        "imageView/2/w/1/format/..%2F..%2Fx",
    ],
)
async def test_thumbnails_that_can_not_be(http: httpx.AsyncClient, tmp_path: Path, query: str) -> None:
    begun = await uploaded(http, "a.jpg", picture("JPEG"))
    answer = await http.get(f"{begun['url']}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, 1)
    assert await count_blobs(tmp_path) == 1


BOMB = picture("PNG", (4_000, 4_000), "1")
"""A small file of 16 million pixels."""


@pytest.mark.parametrize(
    "content",
    [b"", b"x", CONTENT, BOMB, picture("TIFF"), picture("PNG")[:50], picture("JPEG")[:-20] + b"x" * 20, picture("ICO")],
    ids=["empty", "tiny", "no image", "bomb", "TIFF", "cut", "damaged", "ICO"],
)
async def test_thumbnails_of_what_is_no_image(http: httpx.AsyncClient, tmp_path: Path, content: bytes) -> None:
    begun = await uploaded(http, "a.png", content)
    answer = await http.get(f"{begun['url']}?imageView/2/w/10/h/10")
    assert answer.status_code in (200, 400)
    if content[:2] != b"\xff\xd8":
        assert (answer.status_code, answer.json()["code"]) == (400, 1)
        assert await count_blobs(tmp_path) == 1


@pytest.mark.parametrize(
    ("format", "side", "is_made"),
    [("PNG", 1_000, True), ("PNG", 1_001, False), ("WEBP", 577, True), ("WEBP", 578, False)],
)
async def test_pixels_are_counted_by_what_they_cost(
    http: httpx.AsyncClient, format: str, side: int, is_made: bool
) -> None:
    """The server of these tests takes a million."""
    begun = await uploaded(http, "a.png", picture(format, (side, side)))
    answer = await http.get(f"{begun['url']}?imageView/2/w/10/h/10")
    assert answer.is_success == is_made
    assert is_made or answer.json()["code"] == 1


def of_many_passes() -> bytes:
    """A JPEG that grows by a few bytes with each pass over all of it."""
    content = picture("JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * SCANS_MAX + content[-2:]


def of_many_chunks() -> bytes:
    """A PNG with more chunks than Python should go through."""
    content, chunk = picture("PNG"), b"\0\0\0\0teSt" + zlib.crc32(b"teSt").to_bytes(4)
    return content[:33] + chunk * PIECES_MAX + content[33:]


@pytest.mark.parametrize("make", [of_many_passes, of_many_chunks])
@pytest.mark.parametrize("query", ["imageView/2/w/10/h/10", "imageInfo"])
async def test_no_work_without_end_for_a_small_image(
    http: httpx.AsyncClient, make: Callable[[], bytes], query: str
) -> None:
    begun = await uploaded(http, "a.png", make())
    answer = await http.get(f"{begun['url']}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, 1)


async def test_what_follows_an_image_is_not_taken_for_passes(http: httpx.AsyncClient) -> None:
    """Phones append films to pictures."""
    begun = await uploaded(http, "a.jpg", picture("JPEG", progressive=True) + b"\xff\xda" * 1_000)
    assert opened(await http.get(f"{begun['url']}?imageView/2/w/30")).size == (30, 20)


async def test_images_that_wait_for_their_turn_are_not_in_memory(
    http: httpx.AsyncClient, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await uploaded(http, "a.jpg", picture("JPEG"))
    reading, most = 0, 0
    read = files.read

    async def counted(*given: Any) -> AsyncIterator[bytes]:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        async for piece in read(*given):
            yield piece
        reading -= 1

    monkeypatch.setattr(files, "read", counted)
    wishes = ["imageInfo"] * 5 + [f"imageView/2/w/{width}" for width in range(1, 9)]
    answers = await asyncio.gather(*(http.get(f"{begun['url']}?{wish}") for wish in wishes))
    assert {answer.status_code for answer in answers} == {200}
    assert 1 <= most <= MAKERS


async def test_no_thumbnail_is_left_of_a_file_that_is_deleted_meanwhile(
    http: httpx.AsyncClient, files: Files, master: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await uploaded(http, "a.jpg", picture("JPEG"))
    put_blob = files._blobs.put

    async def late(*given: Any) -> None:
        await http.delete(f"/1.1/files/{begun['objectId']}", headers=master)
        await put_blob(*given)

    monkeypatch.setattr(files._blobs, "put", late)
    await http.get(f"{begun['url']}?imageView/2/w/9")
    assert await count_blobs(tmp_path) == 0


async def test_only_some_thumbnails_of_a_file_are_kept(http: httpx.AsyncClient, tmp_path: Path) -> None:
    begun = await uploaded(http, "a.jpg", picture("JPEG"))
    for width in range(1, 40):
        opened(await http.get(f"{begun['url']}?imageView/2/w/{width}"))
    assert await count_blobs(tmp_path) == 33


async def test_a_thumbnail_that_many_want_is_made_once(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hongyan.engine import thumbnails

    made = []
    make = thumbnails.make
    monkeypatch.setattr(thumbnails, "make", lambda *given: made.append(given) or make(*given))
    begun = await uploaded(http, "a.jpg", picture("JPEG"))
    answers = await asyncio.gather(*(http.get(f"{begun['url']}?imageView/2/w/9") for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len(made) == 1


async def test_more_thumbnails_at_once_than_are_made(http: httpx.AsyncClient, files: Files) -> None:
    begun = await uploaded(http, "a.jpg", picture("JPEG"))
    busy: Any = None
    files._wanted.update({str(number): busy for number in range(64)})
    for query in ("imageView/2/w/9", "imageInfo"):
        assert (await http.get(f"{begun['url']}?{query}")).status_code == 503
