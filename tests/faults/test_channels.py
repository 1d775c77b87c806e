"""The server is killed while it sends by a channel."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.server import Server

MESSAGES, AT_ONCE = 900, 50
SAID_BEFORE = 100
"""Messages that are said, at least, when the server is killed, to which others are being posted."""
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


async def post(http: httpx.AsyncClient, channel: str, where: str, taken: set[str]) -> None:
    """Post many messages until the server is gone; `taken` gets the texts of those that it has taken."""
    texts = [f"message {number}" for number in range(MESSAGES)]

    async def one(text: str) -> None:
        body = {"to": [f"group:{where}"], "message": {"content": {"type": "text", "text": text}}}
        answer = await http.post(f"{CHANNELS}/{channel}/messages", json=body)
        assert answer.status_code in (200, 202), answer.text
        taken.add(text)

    for start in range(0, MESSAGES, AT_ONCE):
        done = await asyncio.gather(*map(one, texts[start : start + AT_ONCE]), return_exceptions=True)
        for failure in filter(None, done):
            if not isinstance(failure, httpx.TransportError):
                raise failure
            return


async def kept(http: httpx.AsyncClient, channel: str) -> list[dict[str, Any]]:
    """The messages of the channel."""
    page: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        parameters = {"limit": "500", **({"cursor": cursor} if cursor else {})}
        answer = (await http.get(f"{CHANNELS}/{channel}/messages", params=parameters)).json()
        page, cursor = page + answer["items"], answer["next"]
    return page


@pytest.mark.timeout(300)
async def test_each_message_is_said_once_although_the_server_is_killed(server_factory: Callable[..., Server]) -> None:
    server: Server = server_factory()
    server.start()
    taken = set[str]()
    async with client(server) as http:
        body = {"name": "own", "kind": "hongyan", "credentials": {"sender": "robot"}}
        channel = (await http.post(CHANNELS, json=body)).json()["id"]
        where = await conversation(http)
        posting = asyncio.create_task(post(http, channel, where, taken))
        async with asyncio.timeout(100):
            while len(await said(http, where)) < SAID_BEFORE:
                await asyncio.sleep(0.01)
        server.kill()
        await posting
    assert 0 < len(taken) < MESSAGES, "it was killed while messages came in and went out"
    await asyncio.to_thread(server.start)
    async with client(server) as http, asyncio.timeout(100):
        while {each["state"] for each in await kept(http, channel)} != {"sent"}:
            await asyncio.sleep(0.05)
        found, known = await said(http, where), await kept(http, channel)
    assert taken <= set(found) == {each["message"]["content"]["text"] for each in known}
    assert set(found.values()) == {1}
