"""The server is killed while it sends by a channel."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from tests.support.server import Server

MESSAGES, AT_ONCE = 400, 50
SENT_BEFORE = 40
"""Messages that are said, at least, when the server is killed."""
CHANNELS = "/api/v1/channels"


def client(server: Server) -> httpx.AsyncClient:
    headers = {"X-LC-Id": server.app.id, "X-LC-Key": f"{server.app.master_key},master"}
    return httpx.AsyncClient(base_url=server.http_url, headers=headers, timeout=30)


async def conversation(http: httpx.AsyncClient) -> str:
    answer = await http.post("/1.2/rtm/conversations", json={"name": "ops", "m": ["tom"]})
    answer.raise_for_status()
    made: str = answer.json()["objectId"]
    return made


async def said(http: httpx.AsyncClient, where: str) -> Counter[str]:
    """How often each text stands in the conversation."""
    answer = await http.get(f"/1.2/rtm/conversations/{where}/messages", params={"limit": 1000})
    answer.raise_for_status()
    return Counter(json.loads(message["data"])["_lctext"] for message in answer.json())


async def post(http: httpx.AsyncClient, channel: str, where: str) -> set[str]:
    """Post many messages; the texts of those that were taken."""
    texts = [f"message {number}" for number in range(MESSAGES)]

    async def one(text: str) -> None:
        body = {"to": [f"group:{where}"], "message": {"content": {"type": "text", "text": text}}}
        answer = await http.post(f"{CHANNELS}/{channel}/messages", json=body)
        assert answer.status_code in (200, 202), answer.text

    for start in range(0, MESSAGES, AT_ONCE):
        await asyncio.gather(*map(one, texts[start : start + AT_ONCE]))
    return set(texts)


async def until(http: httpx.AsyncClient, where: str, count: int) -> None:
    async with asyncio.timeout(100):
        while len(await said(http, where)) < count:
            await asyncio.sleep(0.01)


@pytest.mark.timeout(300)
async def test_each_message_is_said_once_although_the_server_is_killed(server_factory: Callable[..., Server]) -> None:
    server: Server = server_factory()
    server.start()
    async with client(server) as http:
        body = {"name": "own", "kind": "hongyan", "credentials": {"sender": "robot"}}
        channel = (await http.post(CHANNELS, json=body)).json()["id"]
        where = await conversation(http)
        texts = await post(http, channel, where)
        await until(http, where, SENT_BEFORE)
        before = len(await said(http, where))
        server.kill()
    assert before < MESSAGES, "all was said before it was killed"
    await asyncio.to_thread(server.start)
    async with client(server) as http:
        await until(http, where, MESSAGES)
        page, cursor = [], ""
        while cursor is not None:
            answer = await http.get(f"{CHANNELS}/{channel}/messages", params={"limit": 500, **_after(cursor)})
            page += answer.json()["items"]
            cursor = answer.json()["next"]
        found = await said(http, where)
    assert set(found) == texts
    assert set(found.values()) == {1}
    assert {each["state"] for each in page} <= {"sent", "waiting"}
    assert len(page) == MESSAGES


def _after(cursor: str) -> dict[str, str]:
    return {"cursor": cursor} if cursor else {}
