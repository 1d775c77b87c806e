"""Webhooks over our own API: who may, what is taken, what is answered."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hongyan.engine.engine import Engine
from hongyan.engine.values import App, Attempt, Webhook
from hongyan.engine.webhooks import OVERLAP_MAX, TYPES, WEBHOOKS_MAX, lane
from hongyan.engine.work import NewJob, Postponed
from tests.api.conftest import Calling

WEBHOOKS = "/api/v1/webhooks"
URL = "https://shop.example/hook"
UNKNOWN = "65f000000000000000000001"
NOT_FOUND, INVALID, FULL = (404, 101), (400, 111), (409, 409)


class Courier:
    """Says of each test what a test wants."""

    def __init__(self) -> None:
        self.answer = (204, "")

    async def test(self, webhook: Webhook) -> Attempt:
        return Attempt("one", "webhook.test", 1, 1_795_639_511_852, 7, *self.answer)


@pytest.fixture
def courier(engine: Engine) -> Courier:
    made = Courier()
    engine.webhooks.courier = made
    return made


async def call(http: httpx.AsyncClient, method: str, path: str = "", status: int = 200, **given: Any) -> Any:
    answer = await http.request(method, WEBHOOKS + path, **given)
    assert answer.status_code == status, answer.text
    return answer.json()


async def refused(http: httpx.AsyncClient, method: str, path: str, body: Any = None, **given: Any) -> tuple[int, int]:
    answer = await http.request(method, WEBHOOKS + path, json=body, **given)
    assert answer.json().keys() == {"code", "error"}, answer.text
    assert answer.headers["X-Trace-Id"]
    return answer.status_code, answer.json()["code"]


async def made(http: httpx.AsyncClient, **values: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await call(http, "POST", "", 201, json={"url": URL, **values})
    return answer


async def dead(engine: Engine, app: App, webhook_id: str, count: int) -> list[str]:
    """Ids of so many deliveries that are given up."""
    body = b'{"type":"client.online","timestamp":"x","data":{}}'
    store = engine.webhooks._jobs
    await store.add([NewJob(app.key, lane(webhook_id), "webhook", body) for _ in range(count)])
    jobs = await store.next(lane(webhook_id), count)
    await store.settle([], [Postponed(job.key, None, 10, "HTTP 500") for job in jobs])
    return [job.id for job in jobs]


# what is answered


async def test_a_webhook_is_made_read_changed_and_deleted(http: httpx.AsyncClient) -> None:
    new = await made(http, events=["message.sent"], description="orders")
    secret = new.pop("secret")
    assert secret.startswith("whsec_")
    assert new == {
        "id": new["id"],
        "url": URL,
        "events": ["message.sent"],
        "description": "orders",
        "enabled": True,
        "disabled": None,
        "created_at": new["created_at"],
        "updated_at": new["created_at"],
        "health": {
            "waiting": 0,
            "dead": 0,
            "left_out": 0,
            "failing_since": None,
            "last_success_at": None,
            "recent": [],
        },
    }
    assert await call(http, "GET", f"/{new['id']}") == new
    assert (await call(http, "GET"))["items"] == [new]
    changes = {"url": "http://10.0.0.9:3000/?a=b", "events": [], "description": "", "enabled": False}
    changed = await call(http, "PATCH", f"/{new['id']}", json=changes)
    assert changed | changes == changed
    assert changed == await call(http, "GET", f"/{new['id']}")
    assert await call(http, "PATCH", f"/{new['id']}", json={}) | {"updated_at": ""} == changed | {"updated_at": ""}
    assert await call(http, "DELETE", f"/{new['id']}") == {}
    assert await refused(http, "GET", f"/{new['id']}") == NOT_FOUND
    assert await call(http, "GET") == {"items": [], "next": None}


async def test_secrets_are_shown_when_made_and_when_asked_for(http: httpx.AsyncClient) -> None:
    answer = await http.post(WEBHOOKS, json={"url": URL})
    assert answer.headers["Cache-Control"] == "no-store"
    webhook = answer.json()
    assert answer.headers["Location"] == f"{WEBHOOKS}/{webhook['id']}"
    path = f"/{webhook['id']}/secrets"
    (first,) = (await call(http, "GET", path))["items"]
    assert first == {"secret": webhook["secret"], "created_at": webhook["created_at"], "expires_at": None}
    answer = await http.post(f"{WEBHOOKS}{path}", json={"overlap_seconds": 3600})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    new, old = answer.json()["items"]
    assert (new["expires_at"], old["secret"]) == (None, first["secret"])
    assert old["expires_at"] is not None
    assert new["secret"] not in (await http.get(WEBHOOKS)).text
    assert [each["secret"] for each in (await call(http, "POST", path, 201))["items"]][1] == new["secret"]
    assert len((await call(http, "POST", path, 201, json={"overlap_seconds": 0}))["items"]) == 1


async def test_pages_of_webhooks(http: httpx.AsyncClient) -> None:
    ids = [(await made(http))["id"] for _ in range(5)]
    found, query = [], {"limit": "2"}
    for _ in range(3):
        page = await call(http, "GET", params=query)
        found += [each["id"] for each in page["items"]]
        query = {"limit": "2", "cursor": page["next"]}
    assert found == ids
    assert page["next"] is None


async def test_what_became_of_a_test(http: httpx.AsyncClient, courier: Courier) -> None:
    path = f"/{(await made(http, enabled=False))['id']}/test"
    assert await call(http, "POST", path) == {
        "delivered": True,
        "id": "one",
        "status": 204,
        "error": None,
        "milliseconds": 7,
    }
    courier.answer = (500, "HTTP 500")
    tested = await call(http, "POST", path)
    assert (tested["delivered"], tested["status"], tested["error"]) == (False, 500, "HTTP 500")


async def test_deliveries_that_wait_and_the_dead(http: httpx.AsyncClient, engine: Engine, app: App) -> None:
    webhook = await made(http)
    path = f"/{webhook['id']}/deliveries"
    ids = await dead(engine, app, webhook["id"], 5)
    assert await call(http, "GET", path) == {"items": [], "next": None}
    found, query = [], {"state": "dead", "limit": "2"}
    for _ in range(3):
        page = await call(http, "GET", path, params=query)
        found += page["items"]
        query["cursor"] = page["next"]
    assert [each["id"] for each in found] == ids
    assert found[0] == {
        "id": ids[0],
        "type": "client.online",
        "state": "dead",
        "attempts": 10,
        "last_error": "HTTP 500",
        "created_at": found[0]["created_at"],
        "due_at": None,
        "dead_at": found[0]["dead_at"],
    }
    assert (await call(http, "GET", f"/{webhook['id']}"))["health"]["dead"] == 5
    assert await call(http, "POST", f"/{webhook['id']}/replay", json={"ids": ids[:2]}) == {"replayed": 2, "dead": 3}
    assert await call(http, "POST", f"/{webhook['id']}/replay") == {"replayed": 3, "dead": 0}
    found, query = [], {"limit": "3"}
    for _ in range(2):
        page = await call(http, "GET", path, params=query)
        found += page["items"]
        query["cursor"] = page["next"]
    assert {each["id"] for each in found} == set(ids)
    assert len(found) == 5
    assert (found[0]["state"], found[0]["attempts"], found[0]["dead_at"]) == ("waiting", 0, None)
    assert found[0]["due_at"] is not None


async def test_an_app_has_so_many_webhooks(http: httpx.AsyncClient) -> None:
    for _ in range(WEBHOOKS_MAX):
        last = await made(http)
    assert await refused(http, "POST", "", {"url": URL}) == FULL
    await call(http, "DELETE", f"/{last['id']}")
    await made(http)


# who may


@pytest.fixture
async def others(calling: Calling, engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    """Another app's server."""
    other = await engine.apps.create("other", id="other")
    async with calling() as client:
        client.headers["Authorization"] = f"Bearer other:{other.master_key}"
        yield client


CALLS = [
    ("GET", "", None),
    ("POST", "", {"url": URL}),
    ("GET", "/{id}", None),
    ("PATCH", "/{id}", {"enabled": False}),
    ("GET", "/{id}/secrets", None),
    ("POST", "/{id}/secrets", {}),
    ("POST", "/{id}/test", None),
    ("GET", "/{id}/deliveries", None),
    ("POST", "/{id}/replay", {}),
    ("DELETE", "/{id}", None),
]
OF_ONE = [each for each in CALLS if "{id}" in each[1]]


def names(calls: list[tuple[str, str, Any]]) -> list[str]:
    return [f"{method} {path}" for method, path, _ in calls]


@pytest.mark.parametrize(("method", "path", "body"), OF_ONE, ids=names(OF_ONE))
async def test_one_of_another_app_is_like_one_that_is_not_there(
    http: httpx.AsyncClient, others: httpx.AsyncClient, courier: Courier, method: str, path: str, body: Any
) -> None:
    webhook = await made(http)
    answers = [
        await others.request(method, WEBHOOKS + path.format(id=each), json=body) for each in (webhook["id"], UNKNOWN)
    ]
    assert answers[0].status_code == answers[1].status_code == 404
    assert answers[0].text == answers[1].text
    assert await call(http, "GET", f"/{webhook['id']}") | {"secret": webhook["secret"]} == webhook


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=names(CALLS))
async def test_strangers_learn_nothing(
    http: httpx.AsyncClient, calling: Calling, app: App, method: str, path: str, body: Any
) -> None:
    """Whatever is wrong, also with what they ask for, the answer is the same."""
    webhook = await made(http)
    headers = [
        {},
        {"X-LC-Id": "home"},
        {"X-LC-Id": "home", "X-LC-Key": "home-key"},
        {"X-LC-Id": "home", "X-LC-Key": "wrong,master"},
        {"X-LC-Id": "nowhere", "X-LC-Key": f"{app.master_key},master"},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {app.master_key}"},
        {"Authorization": f"Bearer :{app.master_key}"},
        {"Authorization": "Bearer home:"},
        {"Authorization": "Bearer home:home-key"},
        {"Authorization": f"Bearer nowhere:{app.master_key}"},
        {"Authorization": f"Basic home:{app.master_key}"},
        {"Authorization": "Bearer home:wrong", "X-LC-Id": "home", "X-LC-Key": f"{app.master_key},master"},
    ]
    answers = set()
    async with calling() as stranger:
        for each in headers:
            for id_, given in ((webhook["id"], body), (UNKNOWN, {"no": "such"})):
                content = None if given is None else json.dumps(given)
                url = WEBHOOKS + path.format(id=id_)
                answer = await stranger.request(method, url, headers=each, content=content)
                answers.add((answer.status_code, answer.text))
    ((status, text),) = answers
    assert status == 401
    assert json.loads(text) == {"code": 401, "error": "This call needs the app's id and its master key."}
    assert await call(http, "GET", f"/{webhook['id']}") | {"secret": webhook["secret"]} == webhook


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_key_in_one_header(calling: Calling, app: App, scheme: str) -> None:
    async with calling() as http:
        http.headers["Authorization"] = f"{scheme} {app.id}:{app.master_key}"
        await made(http)
        assert len((await call(http, "GET"))["items"]) == 1


async def test_pages_of_other_sites_read_nothing(http: httpx.AsyncClient) -> None:
    answer = await http.get(WEBHOOKS, headers={"Origin": "https://evil.example"})
    assert [name for name in answer.headers if name.startswith("access-control")] == []


# what is taken


LONG = "x" * 5_000
WRONG: list[tuple[str, str, Any]] = [
    *(
        ("POST", "", body)
        for body in (
            {},
            [],
            "text",
            {"url": None},
            {"url": 7},
            {"url": ""},
            {"url": "shop.example"},
            {"url": "ftp://shop.example/"},
            {"url": "https://"},
            {"url": "https://user:word@shop.example/"},
            {"url": "https://shop.example/#part"},
            {"url": "https://shop.example:99999/"},
            {"url": "https://shop.example/ x"},
            {"url": "https://雁.example/"},
            {"url": f"https://shop.example/{LONG}"},
            {"url": URL, "events": "message.sent"},
            {"url": URL, "events": ["message.seen"]},
            {"url": URL, "events": ["webhook.test"]},
            {"url": URL, "events": [LONG]},
            {"url": URL, "events": [1]},
            {"url": URL, "events": None},
            {"url": URL, "description": 1},
            {"url": URL, "description": LONG},
            {"url": URL, "description": "a\nb"},
            {"url": URL, "description": "\ud800"},
            {"url": URL, "enabled": "yes"},
            {"url": URL, "enabled": None},
            {"url": URL, "secret": "whsec_mine"},
            {"url": URL, "id": UNKNOWN},
        )
    ),
    *(
        ("PATCH", "/{id}", body)
        for body in (
            [],
            {"url": None},
            {"url": "shop.example"},
            {"events": ["message.seen"]},
            {"description": LONG},
            {"enabled": 1},
            {"created_at": "2026-01-01T00:00:00Z"},
        )
    ),
    *(
        ("POST", "/{id}/secrets", body)
        for body in (
            {"overlap_seconds": -1},
            {"overlap_seconds": OVERLAP_MAX + 1},
            {"overlap_seconds": 1.5},
            {"overlap_seconds": "60"},
            {"overlap_seconds": None},
            {"secret": "whsec_mine"},
        )
    ),
    *(
        ("POST", "/{id}/replay", body)
        for body in (
            {"ids": "one"},
            {"ids": []},
            {"ids": [1]},
            {"ids": ["one"] * 501},
            {"ids": ["\ud800"]},
            {"ids": [LONG]},
            {"all": True},
        )
    ),
    *(
        ("GET", f"{path}?{query}", None)
        for path in ("", "/{id}/deliveries")
        for query in ("limit=0", "limit=501", "limit=x", "limit=", "limit=-1", "cursor=nobody", "limit=1&cursor=")
        if (path, query) != ("", "limit=1&cursor=")
    ),
    ("GET", "/{id}/deliveries?state=gone", None),
    ("GET", "/{id}/deliveries?cursor=1", None),
    ("GET", "/{id}/deliveries?cursor=1.2.3", None),
    ("GET", "/{id}/deliveries?cursor=1.99999999999999999999", None),
    ("GET", "/{id}/deliveries?state=dead&cursor=1.2", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRONG, ids=[f"{m} {p} {json.dumps(b)[:60]}" for m, p, b in WRONG])
async def test_what_is_wrong_is_refused_and_changes_nothing(
    http: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    before = await made(http)
    content = None if body is None else json.dumps(body)
    answer = await http.request(method, WEBHOOKS + path.format(id=before["id"]), content=content)
    assert (answer.status_code, answer.json()["code"]) == INVALID, answer.text
    assert LONG not in answer.text
    (after,) = (await call(http, "GET"))["items"]
    assert after | {"secret": before["secret"]} == before


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 5_000, b'{"url": NaN}', b"null"], ids=str)
async def test_what_is_no_json_is_refused(http: httpx.AsyncClient, content: bytes) -> None:
    answer = await http.post(WEBHOOKS, content=content)
    assert (answer.status_code, answer.json()["code"]) == INVALID, answer.text


async def test_a_body_that_is_too_large_is_refused(http: httpx.AsyncClient) -> None:
    assert (await refused(http, "POST", "", {"url": URL, "description": "x" * 70_000}))[0] == 413


async def test_the_type_of_the_body_does_not_matter(http: httpx.AsyncClient) -> None:
    answer = await http.post(WEBHOOKS, content=json.dumps({"url": URL}), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", ""), ("DELETE", ""), ("POST", f"/{UNKNOWN}"), ("GET", f"/{UNKNOWN}/x")]
)
async def test_what_is_no_call(http: httpx.AsyncClient, method: str, path: str) -> None:
    assert (await refused(http, method, path))[0] in (404, 405)


async def test_all_types_may_be_named(http: httpx.AsyncClient) -> None:
    assert (await made(http, events=[*TYPES, *TYPES]))["events"] == list(TYPES)
