"""Pages on which a button is pressed: only with a good link, only by a press, and once."""

import json
from typing import Any

import httpx
import pytest

from hongyan.engine.engine import Engine
from hongyan.engine.values import App
from hongyan.hub import inbound
from hongyan.hub.hub import Hub
from hongyan.store import Store
from hongyan.webhooks.follower import WebhookFollower
from tests.api.conftest import Calling
from tests.support.fake_channel import SECRET, Platform, platform

__all__ = ["platform"]

CARD = {
    "content": {
        "type": "card",
        "title": "Leave of <Tom> & Jerry",
        "buttons": [
            {"text": "Approve", "id": "yes", "value": "7", "confirm": "Really?"},
            {"text": "Refuse", "id": "no", "style": "danger"},
        ],
        "form": {
            "id": "why",
            "submit": "Send",
            "inputs": [
                {"id": "reason", "label": "Reason", "required": True, "hint": "A few words"},
                {"id": "more", "label": "More", "kind": "lines"},
                {
                    "id": "kind",
                    "label": "Kind",
                    "kind": "select",
                    "options": [{"value": "a", "text": "Annual"}, {"value": "s", "text": "Sick"}],
                },
                {
                    "id": "who",
                    "label": "Who is told",
                    "kind": "checks",
                    "options": [{"value": "boss", "text": "Boss"}, {"value": "team", "text": "Team"}],
                },
                {"id": "day", "label": "Day", "kind": "date"},
            ],
        },
    }
}
FILLED = {"reason": "Holiday", "more": "a\nb", "kind": "a", "who": ["boss", "team"], "day": "2026-12-01"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def message(http: httpx.AsyncClient, platform: Platform, engine: Engine, app: App) -> dict[str, Any]:
    """A message with buttons and a form that was taken, of whose actions a webhook is told."""
    engine.aftermath.add(WebhookFollower(engine.webhooks, engine.clock))
    await engine.webhooks.create(app, "https://shop.example/hook", [], "", enabled=True)
    body = {"name": "ops", "kind": "fake", "credentials": {"key": SECRET}}
    channel = (await http.post("/api/v1/channels", json=body)).json()["id"]
    answer = await http.post(f"/api/v1/channels/{channel}/messages", json={"to": ["group:g1"], "message": CARD})
    assert answer.status_code == 202, answer.text
    taken: dict[str, Any] = answer.json()
    return taken


def path(hub: Hub, message: dict[str, Any], action: str) -> str:
    url = hub.acts.url(message["id"], action)
    assert url is not None
    return url.removeprefix("https://chat.example.com")


async def actions(store: Store) -> list[dict[str, Any]]:
    found = []
    for name in await store.jobs.lanes():
        if name.startswith("webhook:"):
            found += [json.loads(job.body)["data"] for job in await store.jobs.next(name, 100)]
    return found


async def test_to_look_does_nothing_and_to_press_tells_the_app(
    calling: Calling, hub: Hub, message: dict[str, Any], store: Store
) -> None:
    async with calling("203.0.113.7") as anybody:
        page = await anybody.get(path(hub, message, "yes"))
        assert page.status_code == 200
        assert "Leave of &lt;Tom&gt; &amp; Jerry" in page.text
        assert "Really?" in page.text
        assert "<script" not in page.text
        assert await actions(store) == []
        once = page.text.partition('name="_once" value="')[2].partition('"')[0]
        for _ in range(2):
            done = await anybody.post(path(hub, message, "yes"), data={"_once": once})
            assert (done.status_code, "Done." in done.text) == (200, True)
    (told,) = await actions(store)
    assert (told["action"], told["value"], told["from"]) == ("yes", "7", None)
    assert told["chat"]["to"] == "group:g1"


async def test_a_page_loads_nothing_and_is_kept_nowhere(calling: Calling, hub: Hub, message: dict[str, Any]) -> None:
    async with calling() as anybody:
        page = await anybody.get(path(hub, message, "why"))
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'nonce-")
    assert "form-action 'self'; base-uri 'none'; frame-ancestors 'none'" in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in page.headers
    assert "http://" not in page.text
    assert "https://" not in page.text


async def test_a_form_is_filled_in(calling: Calling, hub: Hub, message: dict[str, Any], store: Store) -> None:
    async with calling() as anybody:
        done = await anybody.post(path(hub, message, "why"), data=FILLED, headers=FORM)
        assert done.status_code == 200
    (told,) = await actions(store)
    assert (told["action"], told["inputs"]) == ("why", FILLED)


async def test_an_input_may_be_called_as_what_tells_presses_apart(
    calling: Calling, hub: Hub, http: httpx.AsyncClient, message: dict[str, Any], store: Store
) -> None:
    form = {"id": "f", "inputs": [{"id": "_once", "label": "How often", "required": True}]}
    card = {"content": {"type": "card", "title": "T", "form": form}}
    body = {"to": ["group:g1"], "message": card}
    asked = (await http.post(f"/api/v1/channels/{message['channel']}/messages", json=body)).json()
    async with calling() as anybody:
        pressed = {"_once": ["a-press-of-the-page", "twice"]}  # as browsers send two fields of one name
        assert (await anybody.post(path(hub, asked, "f"), data=pressed, headers=FORM)).status_code == 200
    (told,) = await actions(store)
    assert told["inputs"] == {"_once": "twice"}


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ({"reason": " "}, "Reason"),
        ({"reason": "a\nb"}, "Reason"),
        ({"reason": ["a", "b"]}, "Reason"),
        ({"more": "x" * 40_001}, "More"),
        ({"kind": "z"}, "Kind"),
        ({"who": ["boss", "king"]}, "Who is told"),
        ({"day": "tomorrow"}, "Day"),
    ],
)
async def test_what_does_not_fit_the_form_is_asked_again(
    calling: Calling, hub: Hub, message: dict[str, Any], store: Store, given: dict[str, Any], label: str
) -> None:
    async with calling() as anybody:
        again = await anybody.post(path(hub, message, "why"), data={**FILLED, **given}, headers=FORM)
    assert again.status_code == 400
    assert f"Please check this field: {label}" in again.text
    assert await actions(store) == []


async def test_a_link_that_is_not_good_says_so(
    calling: Calling, hub: Hub, message: dict[str, Any], store: Store, http: httpx.AsyncClient
) -> None:
    good = path(hub, message, "yes")
    unknown = [
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        f"/act/{hub.acts.token('65f000000000000000000001', 'yes')}",
        path(hub, message, "other"),
        "/act/x",
        "/act/é",
        f"/act/{'x' * 3000}",
    ]
    async with calling() as anybody:
        for each in unknown:
            for method in ("GET", "POST"):
                answer = await anybody.request(method, each)
                assert (answer.status_code, "not good any more" in answer.text) == (404, True), each
        await http.delete(f"/api/v1/channels/{message['channel']}/messages/{message['id']}")
        assert (await anybody.get(good)).status_code == 404
    assert await actions(store) == []


async def test_whoever_has_a_link_does_not_keep_others_from_speaking(
    calling: Calling, hub: Hub, message: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "PRESSES", 2)
    async with calling() as anybody:
        answers = [await anybody.post(path(hub, message, "yes"), content="", headers=FORM) for _ in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]
        assert "Too many requests" in answers[2].text
        channel = hub.channels.find(message["channel"])
        assert channel is not None
        door = hub.inbound_url(channel).removeprefix("https://chat.example.com")
        assert (await anybody.post(door, content=b"{}", headers={"x-signature": "good"})).status_code == 200


async def test_a_link_ends(
    calling: Calling, hub: Hub, message: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.hub.acts.TTL", -1)
    async with calling() as anybody:
        assert (await anybody.get(path(hub, message, "yes"))).status_code == 404


async def test_the_page_speaks_chinese(calling: Calling, hub: Hub, message: dict[str, Any]) -> None:
    async with calling() as anybody:
        page = await anybody.get(path(hub, message, "why"), headers={"Accept-Language": "zh-CN,zh;q=0.9"})
        assert 'lang="zh-CN"' in page.text
        assert "请选择" in page.text


async def test_without_a_public_address_there_are_no_pages(
    hub: Hub, message: dict[str, Any], site_address: list[str | None]
) -> None:
    site_address.append(None)
    assert hub.acts.url(message["id"], "yes") is None
