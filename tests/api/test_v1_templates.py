"""Templates over our own API: versions, previews, and messages that are sent by them."""

import json
from typing import Any

import httpx
import pytest

from hongyan.hub.content import Markdown
from hongyan.hub.hub import Hub
from hongyan.hub.library import VERSIONS_MAX
from hongyan.jobs import Jobs
from hongyan.store import Store
from tests.api.conftest import Calling
from tests.api.test_v1_channels import CHANNELS, jobs, made, time
from tests.support.fake_channel import Platform, platform

__all__ = ["jobs", "platform", "time"]

TEMPLATES = "/api/v1/templates"
ALARM = {
    "languages": {
        "default": {"content": {"type": "markdown", "title": "Disk of {{ host }}", "text": "**{{ share|round }} %**"}},
        "zh": {"content": {"type": "markdown", "title": "{{ host }} 磁盘", "text": "已用 **{{ share|round }} %**"}},
    },
    "platforms": {"wecom": {"default": {"content": {"type": "text", "text": "{{ host }}: {{ share }}"}}}},
    "variables": {
        "type": "object",
        "properties": {"host": {"type": "string", "examples": ["db-1"]}, "share": {"type": "number", "default": 90}},
        "required": ["host"],
    },
    "description": "for the watch",
}  # fmt: skip


async def call(http: httpx.AsyncClient, method: str, path: str = "", status: int = 200, body: Any = None) -> Any:
    answer = await http.request(method, TEMPLATES + path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def refused(http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = await http.request(method, TEMPLATES + path, json=body)
    assert answer.json().keys() == {"code", "error"}, answer.text
    return answer.status_code, answer.json()["error"]


async def test_versions(http: httpx.AsyncClient) -> None:
    first = await call(http, "PUT", "/disk", 201, ALARM)
    assert first == {"name": "disk", "version": 1, "template": ALARM, "created_at": first["created_at"]}
    assert await call(http, "PUT", "/disk", 200, ALARM) == first  # nothing is different
    changed = {**ALARM, "description": "for the night"}
    second = await call(http, "PUT", "/disk", 201, changed)
    assert (second["version"], second["template"]) == (2, changed)
    assert await call(http, "GET", "/disk") == second
    assert await call(http, "GET", "/disk?version=1") == first
    assert [each["version"] for each in (await call(http, "GET", "/disk/versions"))["items"]] == [2, 1]
    await call(http, "PUT", "/cpu", 201, ALARM)
    assert [(each["name"], each["version"]) for each in (await call(http, "GET"))["items"]] == [("cpu", 1), ("disk", 2)]
    page = await call(http, "GET", "?limit=1")
    assert page["next"] == "cpu"
    assert [each["name"] for each in (await call(http, "GET", "?cursor=cpu"))["items"]] == ["disk"]
    assert await call(http, "DELETE", "/disk") == {}
    assert (await refused(http, "GET", "/disk"))[0] == 404


async def test_the_oldest_versions_are_forgotten(http: httpx.AsyncClient) -> None:
    for number in range(VERSIONS_MAX + 2):
        await call(http, "PUT", "/disk", 201, {**ALARM, "description": str(number)})
    kept = [each["version"] for each in (await call(http, "GET", "/disk/versions"))["items"]]
    assert kept == list(range(VERSIONS_MAX + 2, 2, -1))


async def test_what_is_not_there(http: httpx.AsyncClient) -> None:
    await call(http, "PUT", "/disk", 201, ALARM)
    for method, path in (("GET", "/cpu"), ("GET", "/disk?version=9"), ("DELETE", "/cpu"), ("GET", "/cpu/versions")):
        assert (await refused(http, method, path))[0] == 404
    assert (await refused(http, "POST", "/cpu/preview", {}))[0] == 404
    assert "version is a whole number" in (await refused(http, "GET", "/disk?version=x"))[1]


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("a b", ALARM, "the name of a template"),
        ("disk", {}, "missing required field `languages`"),
        ("disk", {"languages": {"default": {"content": {"type": "text", "text": "{{ x }}"}}}}, "no variable `x`"),
        ("disk", {**ALARM, "more": 1}, "unknown field `more`"),
        ("disk", {**ALARM, "variables": {"type": "string"}}, "has the type object"),
    ],
)
async def test_what_is_no_template(http: httpx.AsyncClient, name: str, body: Any, why: str) -> None:
    status, error = await refused(http, "PUT", f"/{name}", body)
    assert status == 400
    assert why in error
    assert (await call(http, "GET"))["items"] == []


async def test_strangers_learn_nothing(calling: Calling) -> None:
    async with calling() as stranger:
        for method, path in (("GET", ""), ("PUT", "/disk"), ("GET", "/disk"), ("POST", "/preview")):
            answer = await stranger.request(method, TEMPLATES + path, content=b"nonsense")
            assert answer.status_code == 401


async def test_a_message_by_a_template(
    http: httpx.AsyncClient, platform: Platform, jobs: Jobs, store: Store, hub: Hub
) -> None:
    await call(http, "PUT", "/disk", 201, ALARM)
    channel = (await made(http))["id"]
    body = {"to": ["user:u1"], "template": "disk", "variables": {"host": "db_1", "share": 97.2}, "language": "zh-CN"}
    answer = await http.post(f"{CHANNELS}/{channel}/messages", json={**body, "wait": 30})
    assert answer.status_code == 200, answer.text
    assert platform.calls[0].message.content == Markdown("已用 **97 %**", "db_1 磁盘")
    assert answer.json()["message"]["content"]["title"] == "db_1 磁盘"


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({}, 400, "either a message or a template"),
        ({"template": "disk", "message": {"content": {"type": "text", "text": "a"}}}, 400, "either a message or"),
        ({"template": "disk"}, 400, "the variable `host` is missing"),
        ({"template": "disk", "variables": {"host": 1}}, 400, "`host` is a string"),
        ({"template": "disk", "variables": {"host": "a", "hst": 1}}, 400, "there is no variable `hst`"),
        ({"template": "disk", "variables": {"host": "a"}, "version": 7}, 404, "there is no template"),
        ({"template": "cpu"}, 404, "there is no template"),
    ],
)
async def test_what_is_not_sent(http: httpx.AsyncClient, platform: Platform, body: Any, status: int, why: str) -> None:
    await call(http, "PUT", "/disk", 201, ALARM)
    channel = (await made(http))["id"]
    answer = await http.post(f"{CHANNELS}/{channel}/messages", json={"to": ["user:u1"], **body})
    assert answer.status_code == status
    assert why in answer.json()["error"]
    assert (await http.get(f"{CHANNELS}/{channel}/messages")).json()["items"] == []


async def test_a_preview_on_every_kind_of_channel(http: httpx.AsyncClient) -> None:
    await call(http, "PUT", "/disk", 201, ALARM)
    items = (await call(http, "POST", "/disk/preview", body={"variables": {"host": "db-1"}, "language": "zh"}))["items"]
    kinds = {each["channel"] for each in items}
    assert kinds >= {"dingtalk_robot", "dingtalk", "wecom_robot", "wecom", "feishu_robot", "feishu", "slack"}
    assert {each["outcome"] for each in items} == {"ok"}
    by_kind = {(each["channel"], each["to"]): each for each in items}
    robot = by_kind["dingtalk_robot", "here"]
    assert robot["messages"][0]["type"] == "markdown"
    assert robot["messages"][0]["payload"]["markdown"]["title"] == "db-1 磁盘"
    assert "db-1: 90" in json.dumps(by_kind["wecom", "user"]["messages"])
    assert {note["rule"] for each in items for note in each["notes"]} <= {"marks_dropped"}


async def test_a_preview_of_a_draft_with_examples(http: httpx.AsyncClient) -> None:
    items = (await call(http, "POST", "/preview", body={"template": ALARM}))["items"]
    robot = next(each for each in items if each["channel"] == "dingtalk_robot")
    assert robot["messages"][0]["payload"]["markdown"]["title"] == "Disk of db-1"
    assert (await call(http, "GET"))["items"] == []


async def test_a_preview_takes_pictures_at_addresses_for_pictures(http: httpx.AsyncClient) -> None:
    link = {"type": "link", "title": "News", "url": "https://a.example/", "image": {"url": "https://a.example/p.png"}}
    items = (await call(http, "POST", "/preview", body={"template": {"languages": {"default": {"content": link}}}}))[
        "items"
    ]
    feishu = next(each for each in items if (each["channel"], each["to"]) == ("feishu", "group"))
    assert feishu["notes"] == []
    assert '"tag": "img"' in json.dumps(feishu["messages"])


async def test_a_preview_says_what_is_wrong_once(http: httpx.AsyncClient) -> None:
    await call(http, "PUT", "/disk", 201, ALARM)
    status, error = await refused(http, "POST", "/disk/preview", {"variables": {"host": 1}})
    assert status == 400
    assert "`host` is a string, not number" in error
