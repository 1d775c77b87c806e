"""The SDKs' router look-up: every URL shape, and whose word is taken for our own address."""

from dataclasses import dataclass, field

import pytest

from hongyan.api.site import Site
from tests.api.conftest import Calling

SHAPES = {
    "JS 3 to 5": "/v1/route?appId=home&secure=true&_t=1700000000000",
    "JS without TLS": "/v1/route?appId=home&secure=false&_t=1700000000000",
    "JS mini-program": "/v1/route?appId=home&secure=true&features=wechat&_t=1700000000000",
    "JS with a server name": "/v1/route?appId=home&secure=true&server=g1&_t=1700000000000",
    "JS 2": "/v1/route?_t=1700000000000&appId=home&secure=1",
    "Swift, Objective-C, C#": "/v1/route?appId=home&secure=1",
    "Java": "/v1/route?appId=home&installationId=0a1b2c&secure=1",
    "slash at the end": "/v1/route/?appId=home",
}


@pytest.mark.parametrize("path", SHAPES.values(), ids=SHAPES)
async def test_every_shape_is_answered_alike(calling: Calling, path: str) -> None:
    answer = await calling().get(path)
    url = "ws://127.0.0.1:8001"
    assert answer.status_code == 200
    assert answer.json() == {
        "server": url,
        "secondary": url,
        "ttl": 3600,
        "groupId": "g0",
        "groupUrl": url,
    }


@pytest.mark.parametrize("path", ["/1/route", "/2/route"])
async def test_an_app_router_names_this_host_for_every_service_inferred(calling: Calling, path: str) -> None:
    answer = await calling(url="http://localhost:8000").get(path, params={"appId": "home"})
    services = ("api", "engine", "push", "stats", "rtm_router", "push_router")
    assert answer.json() == {**{f"{name}_server": "localhost:8000" for name in services}, "ttl": 3600}


@pytest.mark.parametrize("path", ["/v1/route", "/1/route", "/2/route"])
@pytest.mark.parametrize(
    ("query", "status", "code"),
    [("", 400, 400), ("?appId=", 400, 400), ("?appId=other", 404, 4100), ("?appid=home", 400, 400)],
)
async def test_a_wrong_app_id_is_refused(calling: Calling, path: str, query: str, status: int, code: int) -> None:
    answer = await calling().get(path + query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_before_and_after_its_time_the_server_routes_nobody(calling: Calling, site: Site) -> None:
    site.ready = False
    assert (await calling().get("/v1/route?appId=home")).status_code == 503


@dataclass(frozen=True)
class Call:
    """One call: from where, to which URL, with which headers, under which settings."""

    address: str = "127.0.0.1"
    url: str = "http://127.0.0.1:8000"
    headers: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)


BEHIND = {"trusted_proxies": "10.0.0.0/8,fd00::/8", "host": "10.0.0.1"}
ADDRESSES = {
    "the name used on this machine": (Call(url="http://localhost:8000"), "ws://localhost:8001"),
    "the same over IPv6": (Call("::1", "http://[::1]:8000"), "ws://[::1]:8001"),
    "an IPv4 address in IPv6": (Call("::ffff:127.0.0.1", "http://localhost:8000"), "ws://localhost:8001"),
    "a name without port": (Call(headers={"Host": "goose"}), "ws://goose:8001"),
    "with TLS": (Call(url="https://localhost:8000"), "wss://localhost:8001"),
    "a stranger's Host": (Call("203.0.113.7", "http://evil.example"), "ws://127.0.0.1:8001"),
    "a stranger who says he is forwarded": (
        Call("203.0.113.7", headers={"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "evil.example"}),
        "ws://127.0.0.1:8001",
    ),
    "a stranger, and we listen everywhere": (
        Call("203.0.113.7", "http://192.0.2.1:8000", {"Host": "evil.example"}, {"host": "0.0.0.0"}),
        "ws://192.0.2.1:8001",
    ),
    "a stranger, and our address is IPv6": (
        Call("2001:db8::7", options={"host": "2001:db8::1"}),
        "ws://[2001:db8::1]:8001",
    ),
    "a proxy on this machine that nobody declared": (
        Call(headers={"Host": "evil.example", "X-Forwarded-For": "203.0.113.7"}),
        "ws://127.0.0.1:8001",
    ),
    "the same with the standard header": (
        Call(headers={"Host": "evil.example", "Forwarded": "for=203.0.113.7"}),
        "ws://127.0.0.1:8001",
    ),
    "a trusted proxy": (
        Call("10.0.0.2", headers={"X-Forwarded-Host": "chat.example.com"}, options=BEHIND),
        "ws://chat.example.com:8001",
    ),
    "a trusted proxy with TLS": (
        Call(
            "fd00::2",
            headers={"X-Forwarded-Host": "chat.example.com", "X-Forwarded-Proto": "https"},
            options=BEHIND,
        ),
        "wss://chat.example.com:8001",
    ),
    "a trusted proxy that passes Host on": (
        Call("10.0.0.2", headers={"Host": "evil.example", "X-Forwarded-For": "203.0.113.7"}, options=BEHIND),
        "ws://10.0.0.1:8001",
    ),
    "a public address": (
        Call("203.0.113.7", options={"public_gateway_url": "wss://chat.example.com/ws"}),
        "wss://chat.example.com/ws",
    ),
}


@pytest.mark.parametrize(("call", "url"), ADDRESSES.values(), ids=ADDRESSES)
async def test_the_address_answered(calling: Calling, call: Call, url: str) -> None:
    client = calling(call.address, call.url, **call.options)
    answer = await client.get("/v1/route?appId=home", headers=call.headers)
    assert answer.json()["server"] == url


HOSTILE_HOSTS = (
    "evil.example/path",
    "evil.example@localhost",
    "user:password@localhost",
    "a b",
    "localhost\t",
    "<script>alert(1)</script>",
    '"',
    "localhost:port",
    "localhost:123456",
    "[::1",
    "::1",
    "[::1]evil",
    "-evil",
    "",
    "." * 3,
    "a" * 300,
    "例子",
)


@pytest.mark.parametrize("host", HOSTILE_HOSTS)
async def test_a_malformed_host_is_never_repeated(calling: Calling, host: str) -> None:
    for headers in ({"Host": host}, {"X-Forwarded-Host": host}):
        options = {"trusted_proxies": "127.0.0.1"} if "X-Forwarded-Host" in headers else {}
        raw = {name: value.encode() for name, value in headers.items()}
        answer = await calling(**options).get("/v1/route?appId=home", headers=raw)
        own = "ws://127.0.0.1:8001"
        assert (answer.status_code, answer.json().get("server", own)) in [(200, own), (400, own)]


async def test_a_public_url_names_the_services(calling: Calling) -> None:
    client = calling("203.0.113.7", public_url="https://chat.example.com:8443/")
    answer = await client.get("/2/route?appId=home")
    assert answer.json()["api_server"] == "chat.example.com:8443"
