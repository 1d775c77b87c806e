"""What clients that were connected ask for over HTTP later (reference 8.4)."""

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.gateway.talk import clients, people
from tests.support.client import CAPABILITIES, Session, connect
from tests.support.server import Server

RELIABLE_NOTIFICATIONS = 0x10


async def missed(server: Server, session: Session, since: int) -> dict[str, Any]:
    """What happened after the time, as the client of the session is told."""
    query = urlencode({"client_id": session.peer, "start_ts": since})
    headers = {"X-LC-Id": server.app.id, "X-LC-IM-Session-Token": session.token}
    status, body = await asyncio.to_thread(server.get, f"/1.1/rtm/notifications?{query}", **headers)
    assert status == 200
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.mark.parametrize("bitmap", [0, CAPABILITIES & ~RELIABLE_NOTIFICATIONS, CAPABILITIES])
async def test_notifications_are_kept_for_every_client_inferred(server: Server, bitmap: int) -> None:
    async with clients(server, "tom") as (tom,):
        async with connect(server) as connection:
            jerry = await connection.open(people("jerry")[0], configBitmap=bitmap)
        conversation = await tom.start(jerry.peer)
        await tom.request("conv", "update", cid=conversation, attr={"data": '{"name":"a"}'})
        await tom.request("conv", "remove", cid=conversation, m=[jerry.peer])
        await tom.request("conv", "add", cid=conversation, m=[jerry.peer])
        told = await missed(server, jerry, jerry.opened.serverTs)
        assert [(item["cid"], item["op"]) for item in told["permanent"]["notifications"]] == [
            (conversation, op) for op in ("joined", "left", "joined")
        ]
        assert [(item["cid"], item["op"]) for item in told["droppable"]["notifications"]] == [
            (conversation, "members-joined")
        ]
