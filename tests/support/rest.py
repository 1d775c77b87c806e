"""Calls of the REST API with an app's master key, against a real server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.client import TIMEOUT
from tests.support.server import Server

SERVICES = "/1.2/rtm/service-conversations"


async def passed(timestamp: int) -> None:
    """Return when what follows has a later time (ms): a stream and the broadcasts have clocks of their own."""
    while time.time_ns() // 1_000_000 <= timestamp:
        await asyncio.sleep(0)


class Rest:
    """The application's own server, as far as Hongyan sees it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def call(self, method: str, path: str, query: dict[str, Any] | None = None, **body: Any) -> Any:
        """The answer to a call that succeeds; `body` is sent as JSON if there is any."""
        answer = await self._http.request(method, path, params=query, json=body or None)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        told = answer.json()
        assert not isinstance(told, dict) or "error" not in told, "SDKs would take it for a failure"
        return told

    async def refused(
        self, method: str, path: str, query: dict[str, Any] | None = None, **body: Any
    ) -> tuple[int, int]:
        """Status and code of a call that fails."""
        answer = await self._http.request(method, path, params=query, json=body or None)
        assert answer.json().keys() == {"code", "error"}, answer.text
        return answer.status_code, answer.json()["code"]

    async def service(self, **values: Any) -> "Service":
        """A new service conversation."""
        made = await self.call("POST", SERVICES, **{"name": "news", **values})
        return Service(self, made["objectId"])


class Service:
    """A service conversation, as the application uses it."""

    def __init__(self, rest: Rest, conversation_id: str) -> None:
        self.rest = rest
        self.id = conversation_id
        self.path = f"{SERVICES}/{conversation_id}"

    async def broadcast(self, text: str, sender: str = "news") -> dict[str, Any]:
        answer: dict[str, Any] = await self.rest.call(
            "POST", f"{self.path}/broadcasts", from_client=sender, message=text
        )
        await passed(answer["timestamp"])
        return answer

    async def tell(self, text: str, *clients: str, sender: str = "news", **more: Any) -> dict[str, Any]:
        """A message to these clients alone."""
        answer: dict[str, Any] = await self.rest.call(
            "POST", f"{self.path}/messages", from_client=sender, message=text, to_clients=list(clients), **more
        )
        await passed(answer["timestamp"])
        return answer

    async def subscribe(self, client: str) -> None:
        assert await self.rest.call("POST", f"{self.path}/subscribers", client_id=client) == {}

    async def unsubscribe(self, client: str) -> None:
        assert await self.rest.call("DELETE", f"{self.path}/subscribers/{client}") == {}

    async def history(self, client: str, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.rest.call("GET", f"{self.path}/subscribers/{client}/messages", query)
        return found


@asynccontextmanager
async def rest(server: Server) -> AsyncIterator[Rest]:
    """With the master key of the server's app."""
    headers = {"X-LC-Id": server.app.id, "X-LC-Key": f"{server.app.master_key},master"}
    verify = server.ssl_context or False
    options: dict[str, Any] = {"verify": verify, "trust_env": False, "timeout": TIMEOUT}
    async with httpx.AsyncClient(base_url=server.http_url, headers=headers, **options) as http:
        yield Rest(http)
