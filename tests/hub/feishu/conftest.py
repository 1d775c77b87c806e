"""Feishu's robots and its application in the sandbox."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from hongyan.hub.connector import Event, Incoming
from hongyan.hub.connectors.feishu.app import AppConnector
from hongyan.hub.connectors.feishu.credentials import AppCredentials, RobotCredentials
from hongyan.hub.connectors.feishu.robot import RobotConnector
from hongyan.sandbox.emulator import Inbound, Told
from hongyan.sandbox.feishu import Feishu
from hongyan.sandbox.feishu.world import APP_ID, APP_SECRET, ENCRYPT_KEY, VERIFICATION_TOKEN
from hongyan.sandbox.server import Sandbox
from tests.support.hub import Around


@pytest.fixture
def platforms() -> list[str]:
    return ["feishu"]


@pytest.fixture
def feishu(sandbox: Sandbox) -> Feishu:
    """The emulator."""
    found = sandbox.emulators["feishu"]
    assert isinstance(found, Feishu)
    return found


@pytest.fixture
def credentials(sandbox: Sandbox) -> AppCredentials:
    return AppCredentials(
        app_id=APP_ID,
        app_secret=APP_SECRET,
        encrypt_key=ENCRYPT_KEY,
        verification_token=VERIFICATION_TOKEN,
        base_url=sandbox.origin,
    )


@pytest.fixture
async def app(credentials: AppCredentials, around: Around) -> AsyncIterator[AppConnector]:
    made = AppConnector(credentials, around())
    yield made
    await made.close()


@pytest.fixture
def robot(sandbox: Sandbox, around: Around) -> RobotConnector:
    """One that asks for signatures."""
    given = RobotCredentials(token="sandbox-signed", secret="sandbox-robot-secret", base_url=sandbox.origin)
    return RobotConnector(given, around())


class Door:
    """Where the sandbox tells the application something: an address of ours, behind which the connector is."""

    def __init__(self, app: AppConnector, feishu: Feishu) -> None:
        self._app = app
        self._feishu = feishu
        self._events: list[Event] = []
        self.url = ""
        self.last = Incoming("", {}, {}, b"")

    async def tell(self, **inbound: Any) -> Told:
        return await self._feishu.tell(Inbound(**inbound), self.url)

    def take(self) -> list[Event]:
        """What has been heard since."""
        taken, self._events = self._events, []
        return taken

    async def serve(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.last = Incoming(request.method, dict(request.query), headers, await request.read())
        reception = await self._app.receive(self.last)
        self._events += reception.events
        return web.Response(status=reception.reply.status, body=reception.reply.body)


@pytest.fixture
async def door(app: AppConnector, feishu: Feishu) -> AsyncIterator[Door]:
    made = Door(app, feishu)
    served = web.Application()
    served.router.add_post("/", made.serve)
    runner = web.AppRunner(served, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield made
    await runner.cleanup()
