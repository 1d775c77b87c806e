"""Who may make the calls on messages, clients and broadcasts, and how often."""

import dataclasses
import hashlib
from typing import Any

import pytest

from hongyan.api.site import Site
from hongyan.engine.budgets import PAUSE
from hongyan.engine.engine import Engine
from hongyan.engine.values import DAY, App
from tests.api import talk
from tests.api.conftest import Answered
from tests.support.rest import Rest

MASTER_ONLY = [
    *[
        call
        for kind in ("conversations", "chatrooms")
        for call in (
            f"POST /1.2/rtm/{kind}/x/messages",
            f"PUT /1.2/rtm/{kind}/x/messages/x",
            f"PUT /1.2/rtm/{kind}/x/messages/x/recall",
            f"DELETE /1.2/rtm/{kind}/x/messages/x",
        )
    ],
    "GET /1.2/rtm/messages",
    "GET /1.2/rtm/clients/ann/messages",
    "POST /1.2/rtm/clients/check-online",
    "POST /1.2/rtm/clients/online-check",
    "POST /1.2/rtm/clients/ann/kick",
    "GET /1.2/rtm/stats",
    "POST /1.2/rtm/broadcasts",
    "GET /1.2/rtm/broadcasts",
    "DELETE /1.2/rtm/broadcasts/x",
    *[
        f"{call.replace('/', f'/{version}/rtm/', 1)}"
        for version in ("1.1", "1")
        for call in (
            "POST /messages",
            "GET /messages/logs",
            "DELETE /messages/logs",
            "PUT /messages/logs",
            "POST /patch/message",
            "POST /broadcast",
            "GET /broadcast",
            "DELETE /broadcast",
            "POST /broadcasts",
            "POST /broadcast/subscriber",
            "POST /online",
            "POST /client/kick",
            "GET /stats",
        )
    ],
]
WITH_APP_KEY = [
    "GET /1.2/rtm/conversations/x/messages",
    "GET /1.2/rtm/chatrooms/x/messages",
    "GET /1.2/rtm/clients/ann/unread-count",
    "GET /1.1/rtm/messages/history?convid=x",
    "GET /1/rtm/messages/history?convid=x",
    "GET /1.1/rtm/messages/unread/ann",
    "GET /1.1/rtm/messages/unread/ann/x",
]


@pytest.mark.parametrize("call", [*MASTER_ONLY, *WITH_APP_KEY])
async def test_who_may_call(call: str, answered: Answered, app: App, site: Site) -> None:
    method, path = call.split()

    async def refused(headers: dict[str, str]) -> tuple[int, int]:
        answer = await answered(method, path, headers)
        assert answer.json().keys() == {"code", "error"}, answer.text
        return answer.status_code, answer.json()["code"]

    signature = hashlib.md5(f"1{app.app_key}".encode()).hexdigest() + ",1"
    app_keys = [
        {"X-LC-Key": app.app_key},
        {"X-LC-Sign": signature},
        {"X-AVOSCloud-Application-Key": app.app_key},
    ]
    assert await refused({}) == (401, 401)
    assert await refused({"X-LC-Id": "nowhere", "X-LC-Key": app.app_key}) == (404, 4100)
    for wrong in ({"X-LC-Key": "wrong"}, {"X-LC-Key": f"{app.app_key},master"}, {"X-LC-Sign": "0,1,master"}):
        assert await refused({"X-LC-Id": app.id, **wrong}) == (401, 401)
    assert await refused({"X-LC-Id": app.id}) == ((403, 403) if call in MASTER_ONLY else (401, 401))
    if call in MASTER_ONLY:
        for key in app_keys:
            assert await refused({"X-LC-Id": app.id, **key}) == (403, 403)
    site.ready = False
    assert await refused({"X-LC-Id": app.id, "X-LC-Key": f"{app.master_key},master"}) == (503, 503)


@pytest.mark.parametrize("call", [call for call in MASTER_ONLY if not call.startswith("GET")])
async def test_what_is_no_json_object(call: str, calling: Any, app: App) -> None:
    method, path = call.split()
    if method == "DELETE" and "/broadcasts/" in path:
        return  # says nothing in its body
    headers = {"X-LC-Id": app.id, "X-LC-Key": f"{app.master_key},master"}
    for body in (b"{", b"[]", b'"x"', b"\xff", b"NaN", b"[" * 200 + b"]" * 200):
        answer = await calling().request(method, path, headers=headers, content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, 107), (call, body)
    answer = await calling().request(method, path, headers=headers, content=b" " * 1_048_577)
    assert answer.status_code == 413
    assert answer.json().keys() == {"code", "error"}


# how often


async def calls(engine: Engine, app: App) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """The calls of each budget, which fail at most because their messages are unknown."""
    cid, room, news = (
        await talk.group(engine, app, "ann"),
        await talk.room(engine, app),
        await talk.service(engine, app),
    )
    send = {"from_client": "ann", "message": "x"}
    change = {**send, "timestamp": 1}
    ours, services = f"/1.2/rtm/conversations/{cid}/messages", f"/1.2/rtm/service-conversations/{news}"
    rooms = f"/1.2/rtm/chatrooms/{room}/messages"
    patch = {**change, "msg_id": "x"}
    return {
        "rest_send_rate": [
            ("POST", ours, send),
            ("PUT", f"{ours}/x", change),
            ("PUT", f"{ours}/x/recall", change),
            ("POST", rooms, send),
            ("PUT", f"{rooms}/x", change),
            ("PUT", f"{rooms}/x/recall", change),
            ("POST", f"{services}/messages", {**send, "to_clients": ["ann"]}),
            ("PUT", f"{services}/messages/x", {**change, "to_clients": ["ann"]}),
            ("PUT", f"{services}/messages/x/recall", {**change, "to_clients": ["ann"]}),
            ("POST", "/1.1/rtm/messages", {**send, "conv_id": cid}),
            ("POST", "/1.1/rtm/messages", {**send, "conv_id": news, "to_peers": ["ann"]}),
            ("POST", "/1.1/rtm/patch/message", {**patch, "conv_id": cid}),
        ],
        "rest_subscription_rate": [
            ("POST", f"{services}/broadcasts", send),
            ("PUT", f"{services}/messages/x", change),
            ("PUT", f"{services}/messages/x/recall", change),
            ("POST", "/1.1/rtm/broadcast/subscriber", {**send, "conv_id": news}),
            ("POST", "/1.1/rtm/patch/message", {**patch, "conv_id": news}),
        ],
        "rest_broadcast_rate": [
            ("POST", "/1.2/rtm/broadcasts", {**send, "conv_id": news}),
            ("POST", "/1.1/rtm/broadcast", {**send, "conv_id": news}),
        ],
    }


@pytest.mark.parametrize("setting", ["rest_send_rate", "rest_subscription_rate", "rest_broadcast_rate"])
async def test_calls_share_a_budget(
    setting: str, api: Rest, engine: Engine, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is over it is refused for a minute, whichever call it is; calls of other budgets go on."""
    now = [0.0]
    monkeypatch.setattr(engine.budgets, "_monotonic", lambda: now[0])
    made = await calls(engine, app)
    monkeypatch.setattr(app, "settings", dataclasses.replace(app.settings, **{setting: len(made[setting])}))

    async def statuses(which: str) -> set[int]:
        answers = [await api._http.request(method, path, json=body) for method, path, body in made[which]]
        assert all(answer.status_code != 429 or answer.json().keys() == {"code", "error"} for answer in answers)
        return {answer.json().get("code", 200) for answer in answers}

    assert 429 not in await statuses(setting)
    assert await statuses(setting) == {429}
    for other in made.keys() - {setting}:
        assert 429 not in await statuses(other)
    now[0] += PAUSE - 0.1
    assert await statuses(setting) == {429}
    now[0] += 0.2
    assert 429 not in await statuses(setting)


async def test_editing_a_broadcast_is_of_the_budget_of_broadcasts(
    api: Rest, engine: Engine, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the older call; what is no broadcast is an edit for all subscribers."""
    news = await talk.service(engine, app)
    body = {"from_client": "app", "message": "x", "conv_id": news}
    made = await api.call("POST", "/1.2/rtm/broadcasts", **body)
    which = {"from_client": "app", "message": "y", "timestamp": made["timestamp"]}
    one = f"/1.2/rtm/service-conversations/{news}/messages/{made['msg-id']}"
    monkeypatch.setattr(app, "settings", dataclasses.replace(app.settings, rest_broadcasts_daily=3))
    assert await api.call("PUT", one, **which) == {"result": {}}
    older = {**which, "conv_id": news, "msg_id": made["msg-id"]}
    assert await api.call("POST", "/1.1/rtm/patch/message", **older) == {"result": {}}
    assert await api.refused("PUT", one, **which) == (429, 429)
    assert await api.refused("POST", "/1.2/rtm/broadcasts", **body) == (429, 429)
    unknown = f"/1.2/rtm/service-conversations/{news}/messages/{'0' * 22}"
    assert await api.refused("PUT", unknown, **which) == (400, 4404)


async def test_budgets_of_a_day(api: Rest, engine: Engine, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "settings", dataclasses.replace(app.settings, rest_subscriptions_daily=2))
    method, path, body = (await calls(engine, app))["rest_subscription_rate"][0]
    for _ in range(2):
        await api.call(method, path, **body)
    assert await api.refused(method, path, **body) == (429, 429)
    now = engine.clock.now()
    monkeypatch.setattr(engine.budgets._clock, "now", lambda: now + DAY)
    await api.call(method, path, **body)


async def test_without_limits_nothing_is_counted(
    api: Rest, engine: Engine, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "settings", dataclasses.replace(app.settings, rest_send_rate=1, limits=False))
    method, path, body = (await calls(engine, app))["rest_send_rate"][0]
    for _ in range(5):
        await api.call(method, path, **body)


async def test_by_default_messages_are_not_counted(app: App) -> None:
    settings = app.settings
    assert (settings.rest_send_rate, settings.rest_subscription_rate, settings.rest_broadcast_rate) == (0, 0, 0)
