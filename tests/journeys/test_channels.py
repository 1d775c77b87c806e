"""A real server and the sandbox: sending, hearing at an address and by connections of our own, bridges, and kills."""

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
from hongyan.sandbox.slack import Slack
from tests.support.receiver import Receiver
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


# channels that hear by a connection of their own


class Firewalled:
    """A platform that can reach no address of the server; what its app gets, and what people there do."""

    def __init__(self, sandbox: Sandbox, kind: str) -> None:
        self.kind = kind
        self.sandbox = sandbox
        self.emulator = sandbox.emulators[kind]
        world = self.emulator.world()
        if kind == "slack":
            self.credentials = {**world["credentials"]["slack"], **world["socket_mode"], "signing_secret": ""}
            self.group, self.who = "C0ALERTS01", "U0ALICE001"
        else:
            self.credentials = {"app_id": APP_ID, "app_secret": APP_SECRET, "stream": True, "base_url": sandbox.origin}
            self.group, self.who = GROUP, WHO

    async def connected(self, times: int = 1) -> None:
        emulator = self.emulator
        async with asyncio.timeout(30):
            if isinstance(emulator, Slack):
                await emulator.sockets.connected(times)
            else:
                assert isinstance(emulator, Feishu)
                await emulator.connections.connected(times)

    async def tell(self, **inbound: Any) -> None:
        told = await self.emulator.tell(Inbound(user=self.who, **inbound), "")
        assert told.status == 200, told

    async def tell_twice(self, monkeypatch: pytest.MonkeyPatch, **inbound: Any) -> None:
        """As if the first acknowledgement had been lost."""
        place = self.emulator.sockets if isinstance(self.emulator, Slack) else self.emulator.connections  # type: ignore[attr-defined]
        name = "tell_event" if isinstance(self.emulator, Slack) else "tell"
        once = getattr(place, name)

        async def twice(body: Any) -> Any:
            await once(body)
            return await once(body)

        with monkeypatch.context() as patched:
            patched.setattr(place, name, twice)
            await self.tell(**inbound)


@pytest.fixture(params=["slack", "feishu"])
def firewalled(request: pytest.FixtureRequest, sandbox: Sandbox) -> Firewalled:
    return Firewalled(sandbox, request.param)


async def told(receiver: Receiver, type_: str) -> list[dict[str, Any]]:
    """What a webhook was told of this kind, when there is something."""
    async with asyncio.timeout(30):
        while True:
            events = [json.loads(call["body"]) for call in receiver.calls()]
            if found := [each["data"] for each in events if each["type"] == type_]:
                return found
            await asyncio.sleep(0.02)


async def test_what_comes_by_a_connection_of_our_own_is_bridged_and_told(
    http: httpx.AsyncClient, server: Server, firewalled: Firewalled, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person writes, of which the platform tells twice, again after the server was killed, and presses a button."""
    made = await http.post(
        CHANNELS, json={"name": "ops", "kind": firewalled.kind, "credentials": firewalled.credentials}
    )
    assert made.status_code == 201, made.text
    channel = made.json()
    await firewalled.connected()
    assert (await http.post(f"{CHANNELS}/{channel['id']}/check")).json()["ok"]
    wanted = {"url": receiver.url(), "events": ["channel.action"]}
    assert (await http.post("/api/v1/webhooks", json=wanted)).status_code == 201
    where = await conversation(http)
    bridge = {"conversation": where, "channel": channel["id"], "to": f"group:{firewalled.group}"}
    assert (await http.post("/api/v1/bridges", json=bridge)).status_code == 201
    await firewalled.tell_twice(monkeypatch, kind="text", chat=firewalled.group, text="早上好")
    server.kill()
    await asyncio.to_thread(server.start)
    await firewalled.connected(2)
    await firewalled.tell(kind="text", chat=firewalled.group, text="again")
    heard = await said(http, where, 2)
    assert [each["data"]["_lctext"] for each in heard] == ["早上好", "again"]
    assert {each["from"] for each in heard} == {f"{firewalled.kind}:{firewalled.who}"}

    card = {"type": "card", "title": "Disk", "buttons": [{"text": "Mine", "id": "take", "value": "7"}]}
    body = {"to": [f"group:{firewalled.group}"], "message": {"content": card}, "wait": 20}
    sent = (await http.post(f"{CHANNELS}/{channel['id']}/messages", json=body)).json()
    assert sent["state"] == "sent", sent
    shown = firewalled.sandbox.board.all()[-1]
    await firewalled.tell(kind="action", on=shown.id, action="take", value="7")
    (pressed,) = await told(receiver, "channel.action")
    assert (pressed["action"], pressed["value"], pressed["from"]["id"]) == ("take", "7", firewalled.who)


async def test_a_channel_that_hears_something_works_again(http: httpx.AsyncClient, firewalled: Firewalled) -> None:
    given = {"name": "ops", "kind": firewalled.kind, "credentials": firewalled.credentials}
    place = f"{CHANNELS}/{(await http.post(CHANNELS, json=given)).json()['id']}"
    await firewalled.connected()
    firewalled.sandbox.faults.add(firewalled.kind, "refused", 1)
    assert not (await http.post(f"{place}/check")).json()["ok"]
    assert (await http.get(place)).json()["health"]["failing_since"]
    await firewalled.tell(kind="text", chat=firewalled.group, text="hello")
    assert not (await http.get(place)).json()["health"]["failing_since"]


@pytest.mark.parametrize(
    ("kind", "wrong", "advice"),
    [
        ("slack", {"app_token": "xapp-wrong"}, "connections:write"),
        ("feishu", {"app_secret": "wrong"}, "app_secret"),
    ],
)
async def test_a_channel_that_may_not_listen_says_so(
    http: httpx.AsyncClient, sandbox: Sandbox, kind: str, wrong: dict[str, str], advice: str
) -> None:
    credentials = {**Firewalled(sandbox, kind).credentials, **wrong}
    made = (await http.post(CHANNELS, json={"name": "ops", "kind": kind, "credentials": credentials})).json()
    async with asyncio.timeout(30):
        while not (found := (await http.get(f"{CHANNELS}/{made['id']}")).json())["health"]["failing_since"]:
            await asyncio.sleep(0.02)
    assert advice in found["health"]["advice"]
    assert "wrong" not in json.dumps(found)
