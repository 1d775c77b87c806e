"""Webhooks and the callback, from a client's message to a real receiver; with receivers that fail, and a crash."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from hongyan.engine.webhooks import TYPES
from tests.support.client import Session, login
from tests.support.receiver import Receiver
from tests.support.rest import rest
from tests.support.server import HOST, Server

WEBHOOKS = "/api/v1/webhooks"
PATIENCE = 200.0
"""Seconds after which what does not come is an error; far more than anything takes."""


@pytest.fixture
def server(server_factory: Callable[..., Server]) -> Server:
    """A server that may call this machine."""
    made: Server = server_factory(environment={"HONGYAN_ALLOWED_PRIVATE": HOST})
    made.start()
    return made


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """The app's own server."""
    headers = {"Authorization": f"Bearer {server.app.id}:{server.app.master_key}"}
    async with httpx.AsyncClient(base_url=server.http_url, headers=headers, trust_env=False, timeout=60) as made:
        yield made


async def webhook(http: httpx.AsyncClient, url: str, *events: str) -> dict[str, Any]:
    answer = await http.post(WEBHOOKS, json={"url": url, "events": events})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def state(http: httpx.AsyncClient, made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await http.get(f"{WEBHOOKS}/{made['id']}")).json()
    return found


async def until(is_so: Callable[[], Any]) -> Any:
    """What is so, when it is."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = is_so()
        found = await found if asyncio.iscoroutine(found) else found
        if found:
            return found
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.01)


def told(receiver: Receiver) -> dict[str, list[dict[str, Any]]]:
    """What has come, by type."""
    found: dict[str, list[dict[str, Any]]] = {}
    for call in receiver.calls():
        payload = json.loads(call["body"])
        found.setdefault(payload["type"], []).append(payload["data"])
    return found


async def test_everything_is_told_and_signed(server: Server, receiver: Receiver, http: httpx.AsyncClient) -> None:
    made = await webhook(http, receiver.url())
    async with rest(server) as api:
        service = await api.service()
        async with login(server, "tom") as tom:
            conversation = await tom.start("jerry")
            ack = await tom.send(conversation, "hello")
            await tom.send(service.id, "anybody there?")
            path = f"/1.2/rtm/conversations/{conversation}"
            said = {"from_client": "tom", "timestamp": ack.t}
            await api.call("PUT", f"{path}/messages/{ack.uid}", **said, message="hello, jerry")
            await api.call("PUT", f"{path}/messages/{ack.uid}/recall", **said)
            await api.call("PUT", path, name="geese")
            await api.call("DELETE", f"{path}/members", client_ids=["jerry"])
    # what channels hear: tests/api/test_v1_channels.py
    types = {each for each in TYPES if not each.startswith("channel.")}

    def everything() -> Any:
        found = told(receiver)
        return found if found.keys() >= types and len(found["conversation.created"]) == 2 else None

    found = await until(everything)
    assert (
        found["message.sent"][0]["message"] | {"id": ack.uid, "from": "tom", "content": "hello"}
        == found["message.sent"][0]["message"]
    )
    assert (
        found["message.received"][0]["conversation"] | {"id": service.id, "client": "tom"}
        == found["message.received"][0]["conversation"]
    )
    assert found["message.updated"][0]["message"]["content"] == "hello, jerry"
    assert found["message.recalled"][0]["message"] == {"id": ack.uid, "timestamp": ack.t, "from": "tom"}
    assert {each["conversation"]["id"] for each in found["conversation.created"]} == {service.id, conversation}
    assert found["conversation.updated"][0]["values"]["name"] == "geese"
    assert {"tom", "jerry"} <= {name for each in found["conversation.members_added"] for name in each["clients"]}
    assert found["conversation.members_removed"][0]["clients"] == ["jerry"]
    assert [found[f"client.{what}"][0]["client"] for what in ("online", "offline")] == ["tom", "tom"]
    for call in receiver.calls():
        Verifier(made["secret"]).verify(call["body"], call["headers"])
    health = (await state(http, made))["health"]
    assert health["recent"][0]["status"] == 204
    assert health["failing_since"] is None


async def test_what_the_application_does_besides_is_told(
    server: Server, receiver: Receiver, http: httpx.AsyncClient
) -> None:
    """Broadcasts to all, and rows that are written as those of a table."""
    await webhook(http, receiver.url())
    async with rest(server) as api:
        service = await api.service()
        sent = await api.call("POST", "/1.2/rtm/broadcasts", from_client="news", conv_id=service.id, message="to all")
        made = await api.call("POST", "/1.2/rtm/conversations", name="geese", m=["tom"])
        path = f"/1.1/classes/_Conversation/{made['objectId']}"
        await api.call("PUT", path, m={"__op": "Add", "objects": ["jerry"]}, name="swans")

    def everything() -> Any:
        found = told(receiver)
        is_all = {"message.sent", "conversation.updated"} <= found.keys()
        return found if is_all and len(found.get("conversation.members_added", ())) == 2 else None

    found = await until(everything)
    (broadcast,) = found["message.sent"]
    assert broadcast["conversation"] == {"id": service.id, "kind": "service", "broadcast": True}
    assert broadcast["message"] | {"id": sent["result"]["msg-id"], "content": "to all"} == broadcast["message"]
    (updated,) = found["conversation.updated"]
    assert (updated["keys"], updated["by"]) == (["name"], None)
    assert ["jerry"] in [each["clients"] for each in found["conversation.members_added"]]


async def test_a_test_says_what_became_of_it(receiver: Receiver, http: httpx.AsyncClient) -> None:
    async def tested(url: str) -> dict[str, Any]:
        made = await webhook(http, url)
        answer: dict[str, Any] = (await http.post(f"{WEBHOOKS}/{made['id']}/test")).json()
        return answer

    assert (await tested(receiver.url()))["delivered"]
    assert (await tested(receiver.url("500")))["error"] == "HTTP 500"
    assert (await tested(receiver.url("redirect")))["error"] == "HTTP 302"
    assert [call["path"] for call in receiver.calls()] == ["/ok", "/500", "/redirect"]  # it was not followed
    for url in (receiver.url("garbage"), receiver.url("close"), f"http://{HOST}:1/"):
        answer = await tested(url)
        assert (answer["delivered"], answer["status"]) == (False, None)
        assert answer["error"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2:8000/",
        "http://10.0.0.9/",
        "http://169.254.169.254/latest/",
        "http://[::1]/",
        "http://0.0.0.0/",
    ],
)
async def test_addresses_that_nobody_allowed_are_not_called(http: httpx.AsyncClient, url: str) -> None:
    made = await webhook(http, url)
    answer = (await http.post(f"{WEBHOOKS}/{made['id']}/test")).json()
    assert (answer["delivered"], answer["status"]) == (False, None)
    assert "address" in answer["error"]


@pytest.mark.parametrize("how", ["500", "429", "503", "404", "garbage", "close", "redirect", "hang"])
async def test_beside_one_that_fails_the_others_have_everything(
    server: Server, receiver: Receiver, http: httpx.AsyncClient, how: str
) -> None:
    bad = await webhook(http, receiver.url(how), "message.sent")
    await webhook(http, receiver.url(), "message.sent")
    async with login(server, "tom") as tom:
        conversation = await tom.start("jerry")
        for number in range(50):
            await tom.send(conversation, str(number))

    def of_the_good() -> bool:
        calls = [call for call in receiver.calls() if call["path"] == "/ok" and "hello" not in call["body"]]
        return {json.loads(call["body"])["data"]["message"]["content"] for call in calls} == set(map(str, range(50)))

    await until(of_the_good)
    await until(lambda: any(call["path"] == f"/{how}" for call in receiver.calls()))
    found = await state(http, bad)
    assert found["enabled"]
    assert found["health"]["waiting"] == 50


async def test_one_that_recovers_has_everything(server: Server, receiver: Receiver, http: httpx.AsyncClient) -> None:
    receiver.switch("429")
    made = await webhook(http, receiver.url("switch"), "message.sent")
    async with login(server, "tom") as tom:
        conversation = await tom.start("jerry")
        for number in range(20):
            await tom.send(conversation, str(number))
    await until(lambda: len(receiver.ids()) > 0)
    before = receiver.ids()
    receiver.switch("ok")
    await until(lambda: len(receiver.ids()) == 20)

    async def all_delivered() -> bool:
        return bool((await state(http, made))["health"]["waiting"] == 0)

    await until(all_delivered)
    assert before.keys() <= receiver.ids().keys()


async def test_one_that_is_gone_is_disabled(server: Server, receiver: Receiver, http: httpx.AsyncClient) -> None:
    made = await webhook(http, receiver.url("410"), "client.online")
    async with login(server, "tom"):
        pass

    async def disabled() -> Any:
        return (await state(http, made))["disabled"]

    assert (await until(disabled))["reason"] == "it answered HTTP 410: gone"
    assert f"the webhook {made['id']} is disabled" in server.log
    server.restart()
    assert (await state(http, made))["enabled"] is False


MESSAGES = 10_000
SENDERS = 8


async def send_all(server: Server) -> set[str]:
    """Send so many messages, and return their ids."""
    ids: set[str] = set()

    async def send(session: Session, conversation: str, count: int) -> None:
        for number in range(count):
            ids.add((await session.send(conversation, str(number))).uid)

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for number in range(SENDERS):
            session = await stack.enter_async_context(login(server, f"sender-{number}"))
            conversation = await session.start("jerry")
            for _ in range(10):
                group.create_task(send(session, conversation, MESSAGES // SENDERS // 10))
    return ids


@pytest.mark.timeout(300)
async def test_a_crash_amid_ten_thousand_deliveries_loses_none(
    server: Server, receiver: Receiver, http: httpx.AsyncClient
) -> None:
    """Each comes at least once, with the same id however often."""
    receiver.switch("slow")
    await webhook(http, receiver.url("switch"), "message.sent")
    sent = await send_all(server)
    assert len(sent) == MESSAGES
    before = len(receiver.ids())
    assert before < MESSAGES, "nothing was pending"
    server.kill()
    receiver.switch("ok")
    server.start()
    await until(lambda: len(receiver.ids()) >= MESSAGES)
    ids: dict[str, set[str]] = {}
    for call in receiver.calls():
        message = json.loads(call["body"])["data"]["message"]["id"]
        ids.setdefault(message, set()).add(call["headers"]["webhook-id"])
    assert ids.keys() == sent
    assert {len(each) for each in ids.values()} == {1}


async def test_the_callback_has_what_clients_say_to_a_service(server: Server, receiver: Receiver) -> None:
    server.hongyan("app", "set", server.app.id, f"callback_url={receiver.url('switch')}")
    receiver.switch("500")
    texts = [str(number) for number in range(30)]
    async with rest(server) as api:
        service = await api.service()
        async with login(server, "tom") as tom:
            for text in texts:
                await tom.send(service.id, text)
    await until(receiver.calls)
    receiver.switch("ok")
    calls = await until(
        lambda: (
            (all_ := receiver.calls()) and all_[-1]["body"].count("msgId") > 1 and _items(all_) >= set(texts) and all_
        )
    )
    item = json.loads(calls[-1]["body"])[0]
    assert item["conv"] == {"__type": "Pointer", "className": "_Conversation", "objectId": service.id}
    assert item["from"] == "tom"


def _items(calls: list[dict[str, Any]]) -> set[str]:
    return {item["data"] for call in calls for item in json.loads(call["body"])}
