"""The sandbox's WeCom, and connectors to it."""

from collections.abc import AsyncIterator

import pytest

from hongyan.hub.connectors.wecom.app import App
from hongyan.hub.connectors.wecom.credentials import AppCredentials, RobotCredentials
from hongyan.hub.connectors.wecom.robot import Robot
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.wecom import WeCom
from tests.support.hub import Around

KEY = "693a91f6-7a3c-4bc4-97a0-0ec2fa5d0001"
CORP, SECRET, AGENT = "wwsandbox0001", "wecom-sandbox-secret-of-the-first-app-000001", 1000002
TOKEN, AES_KEY = "wecomToken", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


@pytest.fixture
def platforms() -> list[str]:
    return ["wecom"]


@pytest.fixture
def wecom(sandbox: Sandbox) -> WeCom:
    emulator = sandbox.emulators["wecom"]
    assert isinstance(emulator, WeCom)
    return emulator


@pytest.fixture
def robot(sandbox: Sandbox, around: Around) -> Robot:
    return Robot(RobotCredentials(key=KEY, base_url=sandbox.origin), around())


@pytest.fixture
async def app(sandbox: Sandbox, around: Around) -> AsyncIterator[App]:
    made = App(
        AppCredentials(
            corp_id=CORP, secret=SECRET, agent_id=AGENT, token=TOKEN, aes_key=AES_KEY, base_url=sandbox.origin
        ),
        around(),
    )
    yield made
    await made.close()


@pytest.fixture
async def mute_app(sandbox: Sandbox, around: Around) -> AsyncIterator[App]:
    """Without a callback."""
    made = App(AppCredentials(corp_id=CORP, secret=SECRET, agent_id=AGENT, base_url=sandbox.origin), around())
    yield made
    await made.close()
