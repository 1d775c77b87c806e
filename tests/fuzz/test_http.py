"""Any call to the HTTP door is answered, with JSON where it fails, and never as the server's own mistake."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from litestar.types import ASGIApp
from structlog.testing import capture_logs

from hongyan import blobs
from hongyan.api.application import application
from hongyan.api.site import Site
from hongyan.bus.local import LocalBus
from hongyan.config_load import load
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.files import Files
from hongyan.engine.values import ConversationRow, File
from hongyan.hub.hub import Hub
from hongyan.hub.media import Addresses
from hongyan.outbound import Outbound
from hongyan.store import Store

#: A file that is there, under two keys.
FILE_TOKEN, FILE_ENDS = "abcdefghijklmnopqrstuvwxyz012345", (".png", "/name.png")
IMAGE = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080600000"
    "01f15c4890000000d49444154789c63fccfc0f01f0005000201b3c9d6a00000000049454e44ae426082"
)
#: A line for each path that is served.
PATHS = [
    "/",
    "/v1/route",
    "/1/route",
    "/2/route",
    "/chat/config.json",
    "/assets/index.js",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/1.1/rtm/notifications",
    "/1.2/rtm/conversations/x/messages",
    "/1.1/classes/_ConversationMemberInfo",
    "/1.2/rtm/conversations/65f000000000000000000001/member-infos",
    "/1.2/rtm/conversations/65f000000000000000000001/member-infos/65f000000000000000000002",
    "/1.2/rtm/chatrooms/65f000000000000000000001/temporary-silenceds",
    "/1.2/rtm/conversations/65f000000000000000000001/permanent-silenceds",
    "/1.2/rtm/conversations/65f000000000000000000001/blacklists",
    "/1.2/rtm/clients/known-1/blacklists",
    "/1.2/rtm/service-conversations",
    "/1.2/rtm/service-conversations/65f000000000000000000001",
    "/1.2/rtm/service-conversations/65f000000000000000000001/subscribers",
    "/1.2/rtm/service-conversations/65f000000000000000000001/subscribers/count",
    "/1.2/rtm/service-conversations/65f000000000000000000001/broadcasts",
    "/1.2/rtm/service-conversations/65f000000000000000000001/messages",
    "/1.2/rtm/service-conversations/65f000000000000000000001/messages/AYvLzfwBAgMEBQYHCAkKCw/recall",
    "/1.2/rtm/service-conversations/65f000000000000000000001/subscribers/tom/messages",
    "/1.1/users",
    "/1.1/users/me",
    "/1.1/users/65f000000000000000000001",
    "/1.1/users/65f000000000000000000001/updatePassword",
    "/1.1/users/65f000000000000000000001/refreshSessionToken",
    "/1.1/login",
    "/1.1/rtm/sign",
    "/1.2/rtm/clients/sign",
    "/1.1/requestPasswordReset",
    "/1.1/installations",
    "/1.1/classes/_Installation/65f000000000000000000001",
    "/1.1/classes/Todo",
    "/1.1/schemas/_User",
    "/1.1/date",
    "/1.1/batch",
    "/1.2/rtm/conversations/65f000000000000000000001/messages/AYvLzfwBAgMEBQYHCAkKCw",
    "/1.2/rtm/chatrooms/65f000000000000000000001/messages/AYvLzfwBAgMEBQYHCAkKCw/recall",
    "/1.2/rtm/messages",
    "/1.2/rtm/clients/known-1/messages",
    "/1.2/rtm/clients/known-1/unread-count",
    "/1.2/rtm/clients/known-1/kick",
    "/1.2/rtm/clients/check-online",
    "/1.2/rtm/stats",
    "/1.2/rtm/broadcasts",
    "/1.2/rtm/broadcasts/AYvLzfwBAgMEBQYHCAkKCw",
    "/1.1/rtm/messages",
    "/1.1/rtm/messages/history",
    "/1.1/rtm/messages/logs",
    "/1.1/rtm/messages/unread/known-1/65f000000000000000000001",
    "/1.1/rtm/patch/message",
    "/1.1/rtm/broadcast",
    "/1.1/rtm/broadcast/subscriber",
    "/1.1/rtm/online",
    "/1.1/rtm/client/kick",
    "/1.1/rtm/stats",
    "/1.2/rtm/conversations",
    "/1.2/rtm/conversations/65f000000000000000000001",
    "/1.2/rtm/conversations/65f000000000000000000001/members",
    "/1.2/rtm/conversations/65f000000000000000000001/mutes",
    "/1.2/rtm/chatrooms",
    "/1.2/rtm/chatrooms/65f000000000000000000001/members",
    "/1.2/rtm/chatrooms/65f000000000000000000001/members/online-count",
    "/1.2/rtm/all-conversations",
    "/1.2/rtm/clients/tom/service-conversations",
    "/1.1/classes/_Conversation",
    "/1.1/classes/_Conversation/65f000000000000000000001",
    "/1.1/scan/classes/_Conversation",
    "/1.1/classes/_ConversationMemberInfo/65f000000000000000000002",
    "/1.1/rtm/conversation/subscription",
    "/1.1/rtm/conversation/subscribers",
    "/1.1/rtm/conversation/subscribed",
    "/1.1/rtm/conversation/blacklist",
    "/1.1/rtm/transient_group/members",
    "/1.1/LiveQuery/subscribe",
    "/1.1/LiveQuery/unsubscribe",
    "/1.1/fileTokens",
    "/1.1/fileCallback",
    "/1.1/files",
    "/1.1/files/65f000000000000000000001",
    "/1.1/classes/_File",
    "/api/v1/webhooks",
    "/api/v1/webhooks/65f000000000000000000001",
    "/api/v1/webhooks/65f000000000000000000001/secrets",
    "/api/v1/webhooks/65f000000000000000000001/test",
    "/api/v1/webhooks/65f000000000000000000001/deliveries",
    "/api/v1/webhooks/65f000000000000000000001/replay",
    "/api/v1/channels",
    "/api/v1/channels/65f000000000000000000001",
    "/api/v1/channels/65f000000000000000000001/check",
    "/api/v1/channels/65f000000000000000000001/test",
    "/api/v1/channels/65f000000000000000000001/messages",
    "/api/v1/channels/65f000000000000000000001/messages/65f000000000000000000002",
    "/api/v1/channels/65f000000000000000000001/messages/65f000000000000000000002/status",
    "/api/v1/channels/inbound/x",
    "/api/v1/bridges",
    "/api/v1/bridges/65f000000000000000000001",
    "/act/x",
    "/1.1/classes/_File/65f000000000000000000001",
    "/1.1/fileUploads/1-65f000000000000000000001-1700000000000-00",
    "/1.1/fileUploads/1-65f000000000000000000001-1700000000000-00/buckets/b/objects/bmFtZQ==/uploads",
    "/1.1/fileUploads/1-65f000000000000000000001-1700000000000-00/buckets/b/objects/bmFtZQ==/uploads/x",
    "/1.1/fileUploads/1-65f000000000000000000001-1700000000000-00/buckets/b/objects/bmFtZQ==/uploads/x/1",
    *(f"/files/{before}{FILE_TOKEN}{end}" for before, end in zip(("", "~1700000000.00/"), FILE_ENDS, strict=True)),
]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"]
#: Header fields that something here reads, and what makes them go wrong.
HEADERS = [
    "host",
    "origin",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-lc-id",
    "x-lc-key",
    "x-lc-sign",
    "x-lc-session",
    "x-lc-im-session-token",
    "x-trace-id",
    "accept",
    "accept-encoding",
    "access-control-request-method",
    "access-control-request-headers",
    "authorization",
    "content-type",
    "content-length",
    "cookie",
    "if-none-match",
    "if-modified-since",
    "range",
]
#: Header fields of a browser's question before a call; nobody reads the body of the answer.
PREFLIGHT = {b"origin", b"access-control-request-method"}
ODD_VALUES = [
    "",
    "localhost",
    "127.0.0.1:8000",
    "[::1]:8000",
    "[::1",
    "evil.example",
    "::ffff:127.0.0.1",
    "10.0.0.1, unknown, 127.0.0.1",
    "fe80::1%eth0",
    "https",
    "application/json",
    "application/json; charset=nonsense",
    "text/plain",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "bytes=5-1",
    "Basic x",
    'x=y; =; "',
    "Thu, 99 Foo 2026",
    "9" * 5_000,
]
CALLERS = [("127.0.0.1", 50_000), ("203.0.113.7", 1), ("10.0.0.2", 2), ("::1", 3), ("", 0), None]
#: What a server for HTTP/1.1 lets through in a value (RFC 9110 section 5.5).
VALUE_BYTES = [byte for byte in range(256) if byte == 9 or (byte >= 32 and byte != 127)]

values = st.sampled_from(ODD_VALUES).map(str.encode) | st.lists(st.sampled_from(VALUE_BYTES), max_size=20).map(bytes)
headers = st.lists(st.tuples(st.sampled_from(HEADERS).map(str.encode), values), max_size=6)
pieces = st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.sampled_from(
    [b"..", b".", b"", b"\0", b"%", b"\xff", b"\\", b"route", b"index.html", b"a" * 5_000]
)


@st.composite
def raw_paths(draw: st.DrawFn) -> bytes:
    """A path as it stands in the request's first line: a served one, often with something strange behind."""
    path = draw(st.sampled_from(PATHS) | st.just(""))
    added = draw(st.lists(pieces, max_size=3))
    safe = draw(st.sampled_from(["", "/%.", "/\\%&=+;"]))
    return path.encode() + b"".join(b"/" + quote_from_bytes(piece, safe).encode() for piece in added) or b"/"


@st.composite
def queries(draw: st.DrawFn) -> bytes:
    """A query string, usual or strange."""
    names = st.sampled_from(
        [
            "appId",
            "secure",
            "_t",
            "installationId",
            "features",
            "appId[]",
            "client_id",
            "start_ts",
            "notification_type",
            "timestamp",
            "msgid",
            "limit",
            "signature_ts",
            "where",
            "cid",
            "limit",
            "skip",
            "next",
            "role",
            "conv_id",
            "gid",
            "order",
            "keys",
            "count",
            "scan_key",
            "cursor",
            "client_ids",
            "direction",
            "fetchWhenSave",
            "",
        ]
    )
    texts = st.sampled_from(
        [
            "home",
            "tom",
            "true",
            "0",
            "-1",
            "9" * 15,
            "permanent",
            "",
            "x" * 3_000,
            "%",
            "%zz",
            "%00",
            "%ff",
            "+",
            "&&",
            ";",
            "=",
            "鸿雁",
            '{"cid":"65f000000000000000000001"}',
            "-name,attr.a",
            '[{"m":"tom"}]',
            "WyJvYmplY3RJZCIsOTk5OTk5OTk5OTk5OTksIngiXQ",
            "old",
        ]
    )
    pairs = draw(st.lists(st.tuples(names, texts | st.text(max_size=5)), max_size=4))
    text = draw(st.sampled_from(["&", ";", "&&"])).join(f"{name}={value}" for name, value in pairs)
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="&=;%+").encode()


class Answer:
    """What a call was answered with."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def keep(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            assert self.status == 0, "answered twice"
            self.status = message["status"]
            self.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]
            }
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


async def _image() -> AsyncIterator[bytes]:
    yield IMAGE


class Door:
    """The application over apps in a real store, called as the HTTP server calls it."""

    def __init__(self, path: Path) -> None:
        self._runner = asyncio.Runner()
        self.run = self._runner.run
        self.app = self.run(self._start(path))

    async def _start(self, path: Path) -> ASGIApp:
        self.store = Store.open(path / "hongyan.db", bytes(32))
        self.store.start(asyncio.get_running_loop())
        engine = Engine(self.store, LocalBus(), Clock(), bytes(32))
        await engine.start()
        app = await engine.apps.create("home", id="home", key="home-key")
        token, _ = engine.sessions.issue(app, engine.sessions.new_ticket("tom", "", "", 0))
        ODD_VALUES.extend(["home", "home-key", f"{app.master_key},master", token])
        self.rights = [
            {b"x-lc-key": f"{app.master_key},master".encode()},
            {b"x-lc-key": b"home-key", b"x-lc-session": token.encode(), b"x-lc-im-session-token": token.encode()},
        ]
        for right in self.rights:
            right[b"x-lc-id"] = b"home"
        service = await engine.services.create(app, {"name": "news"})
        rows: list[ConversationRow] = []
        await engine.conversations.start(
            app, "tom", ["known-1"], "", unique=False, reply=lambda row, _: rows.append(row)
        )
        self.conversations = [service.id, rows[0].id]
        settings = load(options={"trusted_proxies": "10.0.0.0/8", "metrics_from": "203.0.113.0/24"}, environment={})
        place = blobs.local(path / "files")
        for end in FILE_ENDS:
            await self.store.files.insert(
                File(
                    app.key, end, "x", "image/png", 1, key=FILE_TOKEN + end, size=len(IMAGE), md5="0" * 32, updated_at=1
                )
            )
        await place.put(f"{app.key}/{FILE_TOKEN[:2]}/{FILE_TOKEN}/original", _image())
        files = Files(self.store.files, place, engine.clock, bytes(32), uploads=4, pixels=100_000)
        addresses = Addresses("https://chat.example.com", "http://127.0.0.1:8000")
        hub = Hub(self.store.hub, self.store.jobs, engine, files, Outbound(), bytes(32), lambda: addresses)
        await hub.start()
        return application(Site(settings, engine, files, gateway_port=8001, ready=True, hub_=hub))

    def close(self) -> None:
        self.run(self.store.close())
        self._runner.close()

    def call(
        self,
        method: str,
        path: bytes,
        query: bytes = b"",
        headers: list[tuple[bytes, bytes]] | None = None,
        body: bytes = b"",
        caller: tuple[str, int] | None = CALLERS[0],
    ) -> Answer:
        answer = Answer()
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": caller,
            "scheme": "http",
            "method": method,
            "root_path": "",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "headers": headers or [],
            "state": {},
        }
        messages: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return messages.pop() if messages else {"type": "http.disconnect"}

        self.run(self.app(scope, receive, answer.keep))  # type: ignore[arg-type]
        return answer


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    made = Door(tmp_path_factory.mktemp("http"))
    yield made
    made.close()


@settings(max_examples=300)
@given(
    method=st.sampled_from(METHODS),
    path=raw_paths(),
    query=queries(),
    headers=headers,
    body=st.binary(max_size=30) | st.sampled_from([b"{}", b"[" * 3_000, b'{"a":', bytes(20_000)]),
    caller=st.sampled_from(CALLERS),
)
@example("GET", b"/v1/route", b"appId=home", [], b"", None)
@example("GET", b"/metrics", b"", [(b"host", b"localhost")], b"", CALLERS[0])
def test_any_call_is_answered(
    door: Door,
    method: str,
    path: bytes,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    caller: tuple[str, int] | None,
) -> None:
    with capture_logs() as lines:
        answer = door.call(method, path, query, headers, body, caller)
    assert [line for line in lines if line["log_level"] in ("error", "critical") or "exc_info" in line] == []
    assert 200 <= answer.status < 500
    names = {name for name, _ in headers}
    if answer.status >= 400 and not (method == "OPTIONS" and names >= PREFLIGHT):
        failure = json.loads(answer.body)
        assert set(failure) == {"code", "error"}
        assert isinstance(failure["code"], int)
        assert failure["error"]
        assert answer.headers["content-type"].startswith("application/json")
    elif b"home-key" in answer.body:
        assert path.rstrip(b"/") == b"/chat/config.json"


STAND_IN = "65f000000000000000000001"
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from(["tom", "known-1", "", "x" * 65, "Manager", "Member", "Owner", "high", "\0", "1", "name,attr"])
    | st.sampled_from([{"className": "_Conversation"}, ["tom", "tom"], {"__op": "Increment", "amount": 1}])
    | st.sampled_from([{"__op": op, "objects": ["tom", "known-1"]} for op in ("Add", "AddUnique", "Remove")])
    | st.sampled_from([{"__op": "BitXor", "value": 2**70}, {"__op": "Delete"}, {"__op": ["Add"]}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["m", "cid", "$in", "a.b"]), inner),
    max_leaves=5,
)
KEYS = [
    *("from_client", "to_clients", "message", "transient", "no_sync", "push", "push_data", "priority", "timestamp"),
    *("client_id", "client_ids", "clientId", "role", "ttl", "conv_ids", "name", "attr", "c", "m", "sys", "a.b"),
    *("query", "id", "query_id", "where", "limit", "next", "skip", "mu", "unique", "tr", "conv_id", "cid", "a"),
]
BODIES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "from_client": st.just("tom"),
        "message": st.sampled_from(["hi", {"_lctype": -1}]),
        "to_clients": st.just(["tom", "known-1"]),
        "client_id": st.just("known-1"),
        "client_ids": st.just(["known-1"]),
        "clientId": st.just("known-1"),
        "role": st.just("Manager"),
        "ttl": st.just(60),
        "timestamp": st.just(1_700_000_000_000),
        "query": st.just({"className": "_Conversation", "where": {"m": "tom"}, "keys": "name"}),
    },
)


@settings(max_examples=300)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.sampled_from([path for path in PATHS if path.startswith(("/1.1/", "/1.2/"))]),
    of=st.integers(0, 1),
    query=queries() | st.just(b"client_id=tom"),
    right=st.integers(0, 1),
    body=st.tuples(LIKELY, BODIES).map(lambda parts: json.dumps({**parts[1], **parts[0]}).encode()),
)
def test_any_call_with_the_right_keys_is_answered(
    door: Door, method: str, path: str, of: int, query: bytes, right: int, body: bytes
) -> None:
    """What is inside the bodies gets as far as it can; the service conversation stays for the next call."""
    assume(method != "DELETE" or not path.endswith(STAND_IN))
    path = path.replace(STAND_IN, door.conversations[of])
    headers = [*door.rights[right].items(), (b"content-type", b"application/json")]
    with capture_logs() as lines:
        answer = door.call(method, path.encode(), query, headers, body)
    assert [line for line in lines if line["log_level"] in ("error", "critical") or "exc_info" in line] == []
    assert 200 <= answer.status < 500
    failure = json.loads(answer.body)
    assert answer.status < 400 or set(failure) == {"code", "error"}


@pytest.mark.parametrize("path", PATHS)
def test_the_paths_are_served(door: Door, path: str) -> None:
    """A path that is not served any more would be tried in vain."""
    answer = door.call("GET", path.encode(), b"appId=home", [(b"host", b"localhost")])
    assert answer.status == 200 or path.startswith(("/assets/", "/1.1/", "/1.2/", "/api/v1/")), (
        "those need a file, or credentials"
    )
    assert answer.status != 404 or path.startswith("/assets/")
