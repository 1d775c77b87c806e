"""Channels of DingTalk that lead to the sandbox."""

from collections.abc import AsyncIterator

import pytest

from hongyan.hub.connectors.dingtalk.app import AppConnector
from hongyan.hub.connectors.dingtalk.credentials import AppCredentials, RobotCredentials
from hongyan.hub.connectors.dingtalk.robot import RobotConnector
from hongyan.sandbox.dingtalk import DingTalk
from hongyan.sandbox.dingtalk.world import (
    AES_KEY,
    AGENT_ID,
    APP_KEY,
    APP_SECRET,
    CALLBACK_TOKEN,
    CARD_SECRET,
    CORP_ID,
    ROBOTS,
    ROUTE_KEY,
)
from hongyan.sandbox.server import Sandbox
from tests.support.hub import Around

SIGNED = "sandbox-signed"


def app_credentials(origin: str, **more: object) -> AppCredentials:
    fields: dict[str, object] = {
        "base_url": origin,
        "app_key": APP_KEY,
        "app_secret": APP_SECRET,
        "agent_id": AGENT_ID,
        "corp_id": CORP_ID,
        "callback_token": CALLBACK_TOKEN,
        "callback_aes_key": AES_KEY,
        "card_route_key": ROUTE_KEY,
        "card_secret": CARD_SECRET,
    }
    return AppCredentials(**{**fields, **more})  # type: ignore[arg-type]


@pytest.fixture
def platforms() -> list[str]:
    return ["dingtalk"]


@pytest.fixture
def emulator(sandbox: Sandbox) -> DingTalk:
    found = sandbox.emulators["dingtalk"]
    assert isinstance(found, DingTalk)
    return found


@pytest.fixture
def robot(sandbox: Sandbox, around: Around) -> RobotConnector:
    """The one that asks for signatures."""
    credentials = RobotCredentials(access_token=SIGNED, secret=ROBOTS[SIGNED].secret, base_url=sandbox.origin)
    return RobotConnector(credentials, around())


@pytest.fixture
async def app(sandbox: Sandbox, around: Around) -> AsyncIterator[AppConnector]:
    made = AppConnector(app_credentials(sandbox.origin), around())
    yield made
    await made.close()


@pytest.fixture
async def card_app(sandbox: Sandbox, around: Around) -> AsyncIterator[AppConnector]:
    """One that has a template for interactive cards."""
    made = AppConnector(app_credentials(sandbox.origin, card_template_id="t.schema"), around())
    yield made
    await made.close()
