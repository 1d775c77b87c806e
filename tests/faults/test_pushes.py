"""The server is killed while many pushes wait: each device gets each of its pushes at least once, with one id."""

import asyncio
import random
import threading
from collections import defaultdict
from pathlib import Path

import httpx
import pytest

from tests.support.client import TIMEOUT, login
from tests.support.pushing import Receiver, push_by
from tests.support.server import Server

MESSAGES, CRASHES = 60, 3


async def register(server: Server, client: str, registration: str) -> None:
    headers = {"X-LC-Id": server.app.id, "X-LC-Key": server.app.key}
    device = {"deviceType": "android", "installationId": f"the phone of {client}", "registrationId": registration}
    async with httpx.AsyncClient(base_url=server.http_url, headers=headers, timeout=TIMEOUT) as http:
        answer = await http.post("/1.1/installations", json={**device, "channels": [client]})
        assert answer.status_code == 201


async def send_all(server: Server) -> None:
    async with login(server, "ann") as session:
        conversation = await session.start("bob")
        for number in range(MESSAGES):
            await session.send(conversation, f"{number}", pushData=f'{{"alert":"{number}","badge":"Increment"}}')


@pytest.mark.timeout(600)
async def test_no_push_is_lost_when_the_server_is_killed(server: Server, tmp_path: Path) -> None:
    with Receiver() as receiver:
        push_by(server, receiver, tmp_path)
        await register(server, "bob", receiver.device.token)
        permits = receiver.permits = threading.Semaphore(0)
        await send_all(server)
        for _ in range(CRASHES):
            enough = len(receiver.contents) + random.randint(1, MESSAGES // (2 * CRASHES))
            permits.release(enough - len(receiver.contents))
            await asyncio.to_thread(receiver.wait, lambda enough=enough: len(receiver.contents) >= enough)
            server.kill()
            await asyncio.to_thread(server.start)
        permits.release(MESSAGES * (CRASHES + 1))
        wanted = {str(number) for number in range(MESSAGES)}
        await asyncio.to_thread(receiver.wait, lambda: wanted <= set(receiver.alerts))
    ids = defaultdict(set)
    for push_id, alert in zip(receiver.ids, receiver.alerts, strict=True):
        ids[alert].add(push_id)
    assert {alert: len(each) for alert, each in ids.items()} == dict.fromkeys(wanted, 1)
