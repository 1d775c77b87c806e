"""Slack's emulator, and both kinds of channels to it."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from hongyan.hub.connector import HERE, Connector, Sent, Target
from hongyan.hub.connectors.slack.app import SlackApp
from hongyan.hub.connectors.slack.credentials import SlackCredentials
from hongyan.hub.connectors.slack.webhook import SlackWebhook, SlackWebhookCredentials
from hongyan.hub.content import Content, Message
from hongyan.sandbox.board import Shown
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.slack import Slack
from tests.support.hub import Around

ALERTS = Target("group", "C0ALERTS01")
ALICE = Target("user", "U0ALICE001")


@pytest.fixture
def platforms() -> list[str]:
    return ["slack"]


@pytest.fixture
def slack(sandbox: Sandbox) -> Slack:
    found = sandbox.emulators["slack"]
    assert isinstance(found, Slack)
    found.sockets.patience = 30.0  # no test is to fail because this machine is slow
    return found


@pytest.fixture
def credentials(slack: Slack) -> dict[str, Any]:
    given: dict[str, Any] = slack.world()["credentials"]["slack"]
    return given


@pytest.fixture
async def make_app(around: Around, credentials: dict[str, Any]) -> AsyncIterator[Callable[..., SlackApp]]:
    """Makes apps, with some other credentials; `around` may be another."""
    made: list[SlackApp] = []

    def make(surroundings: Any = None, **others: str) -> SlackApp:
        app = SlackApp(SlackCredentials(**{**credentials, **others}), surroundings or around())
        made.append(app)
        return app

    yield make
    for each in made:
        await each.close()


@pytest.fixture
def app(make_app: Callable[..., SlackApp]) -> SlackApp:
    return make_app()


@pytest.fixture
def hook(slack: Slack, around: Around) -> SlackWebhook:
    url = slack.world()["credentials"]["slack_webhook"]["url"]
    return SlackWebhook(SlackWebhookCredentials(url=url), around())


class Sending:
    """Sends, and says what has arrived."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._number = 0

    async def __call__(
        self, connector: Connector, content: Content | Message, to: Sequence[Target] | None = None, **options: Any
    ) -> Sent:
        message = content if isinstance(content, Message) else Message(content)
        targets = to or ([HERE] if isinstance(connector, SlackWebhook) else [ALERTS])
        self._number += 1
        return await connector.send(message, targets, **{"key": f"key-{self._number}", **options})

    @property
    def shown(self) -> list[Shown]:
        return self._sandbox.board.all()


@pytest.fixture
def sending(sandbox: Sandbox) -> Sending:
    return Sending(sandbox)


@pytest.fixture
def connector(kind: str, request: pytest.FixtureRequest) -> SlackApp | SlackWebhook:
    found: SlackApp | SlackWebhook = request.getfixturevalue(kind)
    return found
