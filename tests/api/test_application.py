"""What all calls share: one shape of errors, CORS, a trace id; and health, metrics and pages."""

import json
from pathlib import Path

import httpx
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from hongyan.api import pages
from hongyan.api.site import Figure, Site
from tests.api.conftest import Calling

WAYS_TO_FAIL = {
    "unknown path": ("GET", "/nowhere", 404),
    "unknown path below a known one": ("GET", "/v1/route/further", 404),
    "wrong method": ("POST", "/v1/route", 405),
    "missing parameter": ("GET", "/v1/route", 400),
    "unknown app": ("GET", "/v1/route?appId=x", 404),
    "no such file": ("GET", "/assets/absent.js", 404),
    "a path out of the folder": ("GET", "/assets/..%2Findex.html", 404),
    "a name that is no name": ("GET", "/assets/%00", 404),
    "the folder itself": ("GET", "/assets/%2E%2E", 404),
}


@pytest.mark.parametrize(("method", "path", "status"), WAYS_TO_FAIL.values(), ids=WAYS_TO_FAIL)
async def test_every_failure_has_one_shape(calling: Calling, method: str, path: str, status: int) -> None:
    answer = await calling().request(method, path)
    assert answer.status_code == status
    assert_failure(answer)


async def test_a_mistake_of_ours_shows_no_traceback_and_is_logged_under_its_trace_id(
    calling: Calling, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(site.apps), "get", lambda *_: 1 / 0)
    with capture_logs(processors=[merge_contextvars]) as lines:
        answer = await calling().get("/v1/route?appId=home")
    assert (answer.status_code, answer.json()["code"]) == (500, 4200)
    assert_failure(answer)
    assert "division" not in answer.text
    assert [line["event"] for line in lines] == ["a call failed"]
    assert isinstance(lines[0]["exc_info"], ZeroDivisionError)
    assert lines[0]["trace_id"] == answer.headers["X-Trace-Id"]


async def test_every_call_has_its_own_trace_id(calling: Calling) -> None:
    client = calling()
    ids = {(await client.get("/health/live")).headers["X-Trace-Id"] for _ in range(3)}
    assert len(ids) == 3


async def test_a_browser_on_any_site_may_call(calling: Calling) -> None:
    answer = await calling().get("/v1/route?appId=home", headers={"Origin": "https://shop.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_browser_may_read_a_failure(calling: Calling) -> None:
    answer = await calling().get("/v1/route?appId=nowhere", headers={"Origin": "https://shop.example"})
    assert answer.status_code == 404
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/chat/config.json", "/metrics", "/health/ready", "/nowhere"])
async def test_a_page_of_another_site_reads_nothing_else(calling: Calling, method: str, path: str) -> None:
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET", "Cookie": "a=b"}
    answer = await calling().request(method, path, headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_preflight_allows_the_headers_of_the_api_for_a_day(calling: Calling) -> None:
    asked = (
        "X-LC-Id, X-LC-Key, X-LC-Sign, X-LC-Session, X-LC-Prod, X-LC-Hook-Key, X-LC-UA, X-LC-IM-Session-Token, "
        "X-Uluru-Application-Id, X-AVOSCloud-Master-Key"
    )
    headers = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": asked + ", Content-Type, X-Requested-With",
    }
    answer = await calling().options("/v1/route", headers=headers)
    assert answer.is_success
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Max-Age"] == "86400"
    allowed = answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert set(allowed) == {"PUT", "GET", "POST", "DELETE", "OPTIONS"}
    allowed_headers = {name.lower() for name in answer.headers["Access-Control-Allow-Headers"].split(", ")}
    assert {name.lower() for name in asked.split(", ")} <= allowed_headers


async def test_health_follows_the_server(calling: Calling, site: Site) -> None:
    client = calling()
    assert (await client.get("/health/ready")).status_code == 200
    site.ready = False
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert_failure(answer)
    assert (await client.get("/health/live")).status_code == 200


async def test_head_is_get_without_a_body(calling: Calling) -> None:
    assert (await calling().head("/health/ready")).status_code == 200


async def test_metrics_tell_the_figures_of_the_server(calling: Calling, site: Site) -> None:
    site.stats = lambda: [Figure("connections", "Open now.", 3), Figure("messages_total", "Kept.", 1_000_000)]
    text = (await calling().get("/metrics")).text
    assert "# HELP hongyan_connections Open now.\n# TYPE hongyan_connections gauge\nhongyan_connections 3.0\n" in text
    assert "# TYPE hongyan_messages_total counter\nhongyan_messages_total 1e+06\n" in text
    assert "process_resident_memory_bytes" in text


METRICS_READERS = {
    "this machine": ("127.0.0.1", {}, {}, 200),
    "this machine over IPv6": ("::1", {}, {}, 200),
    "a stranger": ("203.0.113.7", {}, {}, 403),
    "a configured network": ("203.0.113.7", {}, {"metrics_from": "203.0.113.0/24"}, 200),
    "through an undeclared proxy": ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7"}, {}, 403),
    "through a declared proxy": (
        "127.0.0.1",
        {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"},
        {"trusted_proxies": "127.0.0.1", "metrics_from": "203.0.113.7"},
        200,
    ),
    "with an address made up before the proxy": (
        "127.0.0.1",
        {"X-Forwarded-For": "127.0.0.1, 203.0.113.7"},
        {"trusted_proxies": "127.0.0.1"},
        403,
    ),
    "with nonsense for an address": (
        "127.0.0.1",
        {"X-Forwarded-For": "unknown"},
        {"trusted_proxies": "127.0.0.1"},
        403,
    ),
    "by the name localhost": ("127.0.0.1", {"Host": "localhost:8000"}, {}, 200),
    "by an IPv6 address": ("::1", {"Host": "[::1]:8000"}, {}, 200),
    "by a name that was led here": ("127.0.0.1", {"Host": "shop.example:8000"}, {}, 403),
    "by an address that was led here": ("127.0.0.1", {"Host": "203.0.113.7"}, {}, 403),
    "a page of another site": ("127.0.0.1", {"Origin": "https://shop.example"}, {}, 403),
}


@pytest.mark.parametrize(("address", "headers", "options", "status"), METRICS_READERS.values(), ids=METRICS_READERS)
async def test_who_may_read_metrics(
    calling: Calling, address: str, headers: dict[str, str], options: dict[str, str], status: int
) -> None:
    answer = await calling(address, **options).get("/metrics", headers=headers)
    assert answer.status_code == status


async def test_the_page_signs_in_to_the_oldest_app(calling: Calling, site: Site) -> None:
    await site.apps.create("second")
    answer = await calling().get("/chat/config.json")
    assert answer.json() == {"appId": "home", "appKey": "home-key", "serverUrl": ""}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages as a build leaves them."""
    folder = tmp_path / "web_dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>鸿雁</title>", encoding="utf-8")
    (folder / "assets" / "index-CHSkKXxL.js").write_text("1")
    (folder / "assets" / "goose.svg").write_text("<svg/>")
    monkeypatch.setattr(pages, "WEB_DIST", folder)


@pytest.mark.usefixtures("built")
async def test_the_page_is_served_under_a_strict_policy(calling: Calling) -> None:
    answer = await calling().get("/")
    assert answer.text == "<title>鸿雁</title>"
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    for rule in (
        "default-src 'self'",
        "connect-src 'self' ws: wss:",
        "script-src 'self'",
        "style-src 'self'",
    ):
        assert rule in policy.split("; ")
    assert "unsafe" not in policy


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("name", "kind", "cache"),
    [
        ("index-CHSkKXxL.js", "text/javascript", "public, max-age=31536000, immutable"),
        ("goose.svg", "image/svg+xml", "no-cache"),
    ],
)
async def test_assets_are_kept_by_browsers_if_their_name_has_a_digest(
    calling: Calling, name: str, kind: str, cache: str
) -> None:
    answer = await calling().get(f"/assets/{name}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].split(";")[0] == kind
    assert answer.headers["Cache-Control"] == cache


async def test_without_built_pages_a_message_says_how_to_build_them(
    calling: Calling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "WEB_DIST", tmp_path / "absent")
    client = calling()
    assert "make web" in (await client.get("/")).text
    assert (await client.get("/assets/index.js")).status_code == 404


def assert_failure(answer: httpx.Response) -> None:
    """`{"code": int, "error": sentence}`, with the trace id beside it."""
    body = json.loads(answer.content)
    assert set(body) == {"code", "error"}
    assert isinstance(body["code"], int)
    assert body["error"][0].isupper()
    assert body["error"].endswith(".")
    assert answer.headers["X-Trace-Id"]
