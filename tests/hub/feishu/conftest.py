"""Feishu's robots and its application in the sandbox."""

from collections.abc import AsyncIterator

import pytest

from hongyan.hub.connectors.feishu.app import AppConnector
from hongyan.hub.connectors.feishu.credentials import AppCredentials, RobotCredentials
from hongyan.hub.connectors.feishu.robot import RobotConnector
from hongyan.sandbox.feishu import Feishu
from hongyan.sandbox.feishu_world import APP_ID, APP_SECRET, ENCRYPT_KEY, VERIFICATION_TOKEN
from hongyan.sandbox.server import Sandbox
from tests.support.hub import Around


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
