"""Users, installations and files (REST reference 8.5, 8.6)."""

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.importing.conftest import Home
from tests.importing.exports import NOW, date, jsonl, object_id
from tests.support.server import TEST_APP, Server

PASSWORD = "h7oRIIN7MfHNUMljp0QzMDM2nubKXavtCxOOcOVHesqa5pxCf081T2E+9FblM9NqID76yVglxOKDQVauhURCgg=="


def user(name: str = "alice", **more: Any) -> dict[str, Any]:
    row = {"objectId": object_id(), "createdAt": date(NOW), "updatedAt": date(NOW + 5), "username": name}
    return row | {"emailVerified": False} | more


def users(home: Home, *rows: dict[str, Any]) -> dict[str, int]:
    tally: dict[str, int] = home.bring_in(home.write("_User.jsonl", *rows))["_User"]
    return tally


def call(server: Server, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {"X-LC-Id": server.app.id, "X-LC-Key": server.app.key, **more.pop("headers", {})}
    with httpx.Client(base_url=server.http_url, headers=headers, trust_env=False) as client:
        return client.request(method, path, **more)


def test_imported_users_log_in_with_the_password_they_had_and_stay_logged_in(
    server_factory: Any, tmp_path: Path
) -> None:
    server: Server = server_factory()
    server.start()
    rows = [
        user(
            password=PASSWORD,
            salt="s4lt",
            sessionToken="abcdefghijklmnopqrstuvwxy",
            email="a@example.com",
            own={"n": 1},
        ),
        user("bob", bcryptPassword="$2b$04$abcdefghijklmnopqrstuuJ5aF6i8Q9bM8o8S6vS1yF1vJ0oQy3e."),
    ]
    jsonl(tmp_path / "_User.jsonl", *rows)
    server.hongyan("import", "leancloud", str(tmp_path / "_User.jsonl"), "--app", server.app.id)
    logged_in = call(server, "POST", "/1.1/login", json={"username": "alice", "password": "open sesame"})
    assert logged_in.status_code == 200, logged_in.text
    assert (logged_in.json()["objectId"], logged_in.json()["own"]) == (rows[0]["objectId"], {"n": 1})
    wrong = call(server, "POST", "/1.1/login", json={"username": "alice", "password": "open"})
    assert wrong.json()["code"] == 210
    me = call(server, "GET", "/1.1/users/me", headers={"X-LC-Session": "abcdefghijklmnopqrstuvwxy"})
    assert me.json()["username"] == "alice"
    # whoever has logged in here keeps the better form of the password
    jsonl(tmp_path / "_User.jsonl", rows[0] | {"updatedAt": "2025-11-01T00:00:00.000Z", "password": "x", "salt": "y"})
    server.hongyan("import", "leancloud", str(tmp_path / "_User.jsonl"), "--app", server.app.id)
    again = call(server, "POST", "/1.1/login", json={"username": "alice", "password": "open sesame"})
    assert again.status_code == 200


def test_users_come_out_as_they_came_in(home: Home, other: Home) -> None:
    rows = [
        user(password=PASSWORD, salt="s4lt", authData={"weixin": {"openid": "o1"}}, ACL={"*": {"read": True}}),
        user("bob", mobilePhoneNumber="+8613800000000", custom=[1]),
    ]
    assert users(home, *rows) == {"read": 2, "new": 2}
    assert home.export()["_User"] == rows
    assert users(home, *rows) == {"read": 2, "same": 2}
    assert home.rows("SELECT provider, uid FROM user_identity") == [("weixin", "o1")]
    other.bring_in(home.folder / "out")
    assert other.export()["_User"] == rows


def test_a_name_that_another_user_has_is_refused(home: Home) -> None:
    assert users(home, user(), user(), user("bob", email="x@y"), user("eve", email="x@y")) == {
        "read": 4,
        "new": 2,
        "bad": 2,
    }
    assert [entry["left out"] for entry in home.reported()] == [
        "another row has this username",
        "another row has this email",
    ]


def test_a_password_that_comes_later_is_added(home: Home) -> None:
    row = user()
    users(home, row)
    assert users(home, row | {"password": PASSWORD, "salt": "s4lt"}) == {"read": 1, "changed": 1}
    assert home.export()["_User"][0]["salt"] == "s4lt"


def test_installations_that_are_not_valid_are_left_out(home: Home) -> None:
    row = {"objectId": object_id(), "createdAt": date(NOW), "updatedAt": date(NOW), "deviceType": "ios", "valid": True}
    row |= {"deviceToken": "ab" * 32, "channels": ["alice"], "badge": 0, "apnsTopic": "t"}
    gone = row | {"objectId": object_id(), "valid": False}
    bare = {"objectId": object_id(), "createdAt": date(NOW), "updatedAt": date(NOW)}
    tally = home.bring_in(home.write("_Installation.jsonl", row, gone, bare))["_Installation"]
    assert tally == {"read": 3, "new": 1, "bad": 1}
    assert home.export()["_Installation"] == [row]


def file(key: str | None, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"objectId": object_id(), "createdAt": date(NOW), "updatedAt": date(NOW), "name": "a.png"}
    return row | {"key": key, "mime_type": "image/png", "metaData": {"size": 3}} | more


def test_files_come_from_a_folder_by_their_keys(home: Home) -> None:
    folder = home.folder / "bytes"
    folder.mkdir()
    (folder / "k1.png").write_bytes(b"abc")
    (home.folder / "secret").write_bytes(b"no")
    rows = [file("k1.png"), file("k2.png"), file(None, url="https://elsewhere.example/x"), file("../secret")]
    tally = home.bring_in(home.write("_File.jsonl", *rows), "--files", folder)["_File"]
    assert tally == {"read": 4, "new": 2, "bad": 2}
    ((key, size, md5),) = home.rows("SELECT key, size, md5 FROM file WHERE key IS NOT NULL")
    assert (size, md5) == (3, hashlib.md5(b"abc").hexdigest())
    (kept,) = (home.data / "files").rglob("original")
    assert kept.read_bytes() == b"abc"
    assert key[:32] in str(kept)
    assert home.bring_in(home.folder / "_File.jsonl", "--files", folder)["_File"]["same"] == 2
    assert len(list((home.data / "files").rglob("original"))) == 1


@pytest.fixture
def domain() -> Iterator[str]:
    """A file domain with one file."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/k%201.png"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", "3" if found else "0")
            self.end_headers()
            self.wfile.write(b"abc" if found else b"")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_are_fetched_from_their_domain_and_nowhere_else(home: Home, domain: str) -> None:
    rows = [file("k 1.png", url="http://127.0.0.1:1/x"), file("gone.png")]
    tally = home.bring_in(home.write("_File.jsonl", *rows), "--download-files", domain)["_File"]
    assert tally == {"read": 2, "new": 2}
    assert home.rows("SELECT size, url FROM file ORDER BY id") == [(3, None), (None, f"{domain}/gone.png")]


def test_without_bytes_a_file_is_a_link_until_they_come(home: Home) -> None:
    row = file("k1.png", url="https://files.example/k1.png")
    home.bring_in(home.write("_File.jsonl", row))
    assert home.rows("SELECT url FROM file") == [("https://files.example/k1.png",)]
    (home.folder / "bytes").mkdir()
    (home.folder / "bytes" / "k1.png").write_bytes(b"abc")
    tally = home.bring_in(home.folder / "_File.jsonl", "--files", home.folder / "bytes")["_File"]
    assert tally == {"read": 1, "changed": 1}
    assert home.rows("SELECT size, url FROM file") == [(3, None)]


KEYS = ["Gpj8DL3UCyIaAlMvYTxJIJH1PXRbbYVU.png", "ed4e1cf1d9c6dd7e6f5d.jpg", "5b2d1c7e-3a4f-4d6b-9c8a-7e6f5d4c3b2a"]
NAMED = "Xpj8DL3UCyIaAlMvYTxJIJH1PXRbbYVU/照片 1.png"


def put_bytes(folder: Path, *keys: str) -> Path:
    """A folder in which each of these keys has itself as its bytes."""
    for key in keys:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_text(key)
    return folder


def test_a_file_keeps_its_key_so_that_its_url_stays(server_factory: Any, tmp_path: Path) -> None:
    server: Server = server_factory()
    server.start()
    folder = put_bytes(tmp_path / "bytes", *KEYS, NAMED)
    jsonl(tmp_path / "_File.jsonl", *map(file, [*KEYS, NAMED]))
    server.hongyan("import", "leancloud", str(tmp_path / "_File.jsonl"), "--files", str(folder), "--app", server.app.id)
    for key in (*KEYS, NAMED):
        found = httpx.get(f"{server.http_url}/files/{key}", trust_env=False)
        assert (found.status_code, found.text) == (200, key)


@pytest.mark.parametrize("key", ["k1.png", "~pj8DL3UCyIaAlMvYTxJIJH1PXRbbYVU", "a/Gpj8DL3UCyIaAlMvYTxJIJH1PXRbbYVU"])
def test_a_key_that_can_be_guessed_or_means_something_here_is_made_anew(key: str, home: Home) -> None:
    folder = put_bytes(home.folder / "bytes", key)
    home.bring_in(home.write("_File.jsonl", file(key)), "--files", folder)
    ((kept, size),) = home.rows("SELECT key, size FROM file")
    assert (kept != key, size) == (True, len(key))


def test_no_file_gets_the_place_of_another(home: Home) -> None:
    """Keys that begin alike would lie in one place."""
    first, second = KEYS[0], KEYS[0].removesuffix(".png") + "/other.png"
    folder = put_bytes(home.folder / "one", first)
    rows = [file(first), file(second)]
    home.bring_in(home.write("a/_File.jsonl", rows[0]), "--files", folder)
    home.bring_in(home.write("b/_File.jsonl", rows[1], file(first)), "--files", put_bytes(home.folder / "two", second))
    keys = [key for (key,) in home.rows("SELECT key FROM file WHERE key IS NOT NULL")]
    assert first in keys
    assert second not in keys
    contents = {path.read_text() for path in (home.data / "files").rglob("original")}
    assert contents == {first, second}


def test_an_export_with_files_can_be_brought_in_with_them(home: Home, other: Home) -> None:
    folder = put_bytes(home.folder / "bytes", *KEYS, NAMED)
    (folder / KEYS[1]).write_bytes(b"")
    rows = [*map(file, [*KEYS, NAMED]), file(None, url="https://elsewhere.example/x")]
    home.bring_in(home.write("_File.jsonl", *rows), "--files", folder)
    out = home.folder / "out"
    told = home.command("export", "leancloud", out, "--app", TEST_APP.id, "--files")
    assert told["files"] == {"written": 4, "missed": 0, "missing": []}
    written = {
        str(path.relative_to(out / "_File.bytes")) for path in (out / "_File.bytes").rglob("*") if path.is_file()
    }
    assert written == {*KEYS, NAMED}
    # what somebody has called like a class is no row
    (out / "_File.bytes" / "_User.jsonl").write_text("{}\n")
    assert other.bring_in(out, "--files", out / "_File.bytes").keys() == {"_File"}
    assert other.left_out == []
    assert other.export("again")["_File"] == home.export("again")["_File"]
    contents = [sorted(path.read_text() for path in (each.data / "files").rglob("original")) for each in (home, other)]
    assert contents[0] == contents[1] == sorted([KEYS[0], "", KEYS[2], NAMED])


def test_an_export_tells_whose_bytes_are_missing(home: Home) -> None:
    home.bring_in(home.write("_File.jsonl", file(KEYS[0])), "--files", put_bytes(home.folder / "bytes", KEYS[0]))
    for path in (home.data / "files").rglob("original"):
        path.unlink()
    told = home.command("export", "leancloud", home.folder / "out", "--app", TEST_APP.id, "--files")
    assert told["files"] == {"written": 0, "missed": 1, "missing": [KEYS[0]]}
    assert list((home.folder / "out" / "_File.bytes").iterdir()) == []
