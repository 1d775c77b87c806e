"""A real server and the sandbox's Feishu: sending, hearing, a bridge in both directions, and a kill between."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from hongyan.sandbox import emulators
from hongyan.sandbox.emulator import Inbound
from hongyan.sandbox.feishu import Feishu
from hongyan.sandbox.feishu.world import APP_ID, APP_SECRET, ENCRYPT_KEY, VERIFICATION_TOKEN
from hongyan.sandbox.server import Sandbox
from tests.support.server import HOST, Server

CHANNELS, GROUP, WHO = "/api/v1/channels", "oc_sandbox_ops", "ou_sandbox_zhangsan"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox(emulators())
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def server(server_factory: Callable[..., Server]) -> Server:
    """A running server that may call the sandbox."""
    made = server_factory(environment={"HONGYAN_ALLOWED_PRIVATE": HOST})
    made.environment["HONGYAN_PUBLIC_URL"] = made.http_url
    made.start()
    return made


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-LC-Id": server.app.id, "X-LC-Key": f"{server.app.master_key},master"}
    async with httpx.AsyncClient(base_url=server.http_url, headers=headers, timeout=30) as made:
        yield made


@pytest.fixture
def feishu(sandbox: Sandbox) -> Feishu:
    found = sandbox.emulators["feishu"]
    assert isinstance(found, Feishu)
    return found


@pytest.fixture
async def channel(http: httpx.AsyncClient, sandbox: Sandbox) -> dict[str, Any]:
    credentials = {
        "app_id": APP_ID,
        "app_secret": APP_SECRET,
        "encrypt_key": ENCRYPT_KEY,
        "verification_token": VERIFICATION_TOKEN,
        "base_url": sandbox.origin,
    }
    answer = await http.post(CHANNELS, json={"name": "ops", "kind": "feishu", "credentials": credentials})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def conversation(http: httpx.AsyncClient) -> str:
    answer = await http.post("/1.2/rtm/conversations", json={"name": "ops", "m": ["tom"]})
    made: str = answer.json()["objectId"]
    return made


async def said(http: httpx.AsyncClient, where: str, count: int) -> list[dict[str, Any]]:
    """What stands in the conversation, the oldest first, when it is so much."""
    async with asyncio.timeout(30):
        while True:
            answer = await http.get(f"/1.2/rtm/conversations/{where}/messages", params={"reversed": "true"})
            if len(found := answer.json()) >= count:
                return [{**each, "data": json.loads(each["data"])} for each in found]
            await asyncio.sleep(0.02)


async def test_feishu_is_told_and_heard(
    http: httpx.AsyncClient, channel: dict[str, Any], sandbox: Sandbox, feishu: Feishu, server: Server
) -> None:
    checked = (await http.post(f"{CHANNELS}/{channel['id']}/check")).json()
    assert checked["ok"], checked
    body = {"to": [f"group:{GROUP}"], "message": {"content": {"type": "text", "text": "Hello"}}, "wait": 20}
    sent = (await http.post(f"{CHANNELS}/{channel['id']}/messages", json=body)).json()
    assert sent["state"] == "sent", sent
    told = await feishu.tell(Inbound("check", WHO), channel["inbound_url"])
    assert (told.status, "challenge" in told.body) == (200, True)
    assert APP_SECRET not in server.log


async def test_a_bridge_leads_both_ways_once_also_across_a_kill(
    http: httpx.AsyncClient, channel: dict[str, Any], sandbox: Sandbox, feishu: Feishu, server: Server
) -> None:
    where = await conversation(http)
    bridge = {"conversation": where, "channel": channel["id"], "to": f"group:{GROUP}"}
    assert (await http.post("/api/v1/bridges", json=bridge)).status_code == 201
    told = await feishu.tell(Inbound("text", WHO, GROUP, "早上好"), channel["inbound_url"])
    assert told.status == 200, told
    server.kill()
    await asyncio.to_thread(server.start)
    (heard,) = await said(http, where, 1)
    assert (heard["from"], heard["data"]["_lctext"]) == (f"feishu:{WHO}", "早上好")
    data = {"from_client": "tom", "message": json.dumps({"_lctype": -1, "_lctext": "你好"})}
    answer = await http.post(f"/1.2/rtm/conversations/{where}/messages", json=data)
    assert answer.status_code == 200, answer.text
    async with asyncio.timeout(30):
        while not any("你好" in json.dumps(each.payload, ensure_ascii=False) for each in sandbox.board.all()):
            await asyncio.sleep(0.02)
    assert len(await said(http, where, 2)) == 2
    (original,) = [each for each in sandbox.board.all() if "早上好" in json.dumps(each.payload, ensure_ascii=False)]
    await feishu.tell(Inbound("recalled", WHO, on=original.id), channel["inbound_url"])
    async with asyncio.timeout(30):
        while (await said(http, where, 2))[0]["data"] != {"_lctype": -127}:
            await asyncio.sleep(0.02)
