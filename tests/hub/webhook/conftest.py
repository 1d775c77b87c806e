"""A server that takes messages and answers what a test wants."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from hongyan.hub.connectors.webhook import Webhook, WebhookCredentials
from tests.support.hub import Around


@dataclass
class Peer:
    """`answer` is given to all who call; `calls` are their method, headers and bodies, `queries` what their addresses
    ask."""

    url: str = ""
    answer: Callable[[], web.StreamResponse] = web.Response
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.queries.append(request.query_string)
        self.calls.append((request.method, headers, await request.read()))
        return self.answer()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer()
    server = web.Application()
    server.router.add_route("*", "/in", made.take)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    yield made
    await runner.cleanup()


@pytest.fixture
def webhook(peer: Peer, around: Around) -> Callable[..., Webhook]:
    def make(**given: Any) -> Webhook:
        return Webhook(WebhookCredentials(**{"url": peer.url, **given}), around())

    return make
