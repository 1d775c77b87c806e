"""Socket Mode of the emulator of Slack, by Slack's own SDKs."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from slack_bolt import App
from slack_bolt.adapter.socket_mode.builtin import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from hongyan.sandbox.emulator import Inbound, Unheard
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.slack import Slack
from hongyan.sandbox.slack.socket_mode import APP_TOKEN
from hongyan.sandbox.slack.world import TOKEN

ALERTS, ALICE = "C0ALERTS01", "U0ALICE001"


@pytest.fixture
def platforms() -> list[str]:
    return ["slack"]


@pytest.fixture
def slack(sandbox: Sandbox) -> Slack:
    found = sandbox.emulators["slack"]
    assert isinstance(found, Slack)
    found.sockets.patience = 30.0  # no test is to fail because this machine is slow
    return found


class Ear:
    """Slack's client; it acknowledges what it is told from the time on that it does."""

    def __init__(self, client: SocketModeClient) -> None:
        self.client = client
        self.heard: list[SocketModeRequest] = []
        self.acknowledges = True
        self.got = asyncio.Event()
        client.socket_mode_request_listeners.append(self._hear)

    async def _hear(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        self.heard.append(request)
        self.got.set()
        if self.acknowledges:
            payload = {"text": "noted"} if request.type == "slash_commands" else None
            await client.send_socket_mode_response(SocketModeResponse(request.envelope_id, payload))


@pytest.fixture
async def ear(sandbox: Sandbox) -> AsyncIterator[Ear]:
    web = AsyncWebClient(base_url=f"{sandbox.origin}/api/")
    made = Ear(SocketModeClient(APP_TOKEN, web_client=web))
    await made.client.connect()
    yield made
    await made.client.close()


async def test_slack_sdk_hears_everything(ear: Ear, slack: Slack, sandbox: Sandbox) -> None:
    await slack.sockets.connected()
    assert (await slack.tell(Inbound("text", ALICE, ALERTS, "hello"), "")).status == 200
    told = await slack.tell(Inbound("text", ALICE, ALERTS, "/deploy prod"), "")
    assert (told.status, json.loads(told.body)) == (200, {"text": "noted"})
    button = {"type": "button", "action_id": "yes", "value": "1", "text": {"type": "plain_text", "text": "Yes"}}
    blocks = [{"type": "actions", "elements": [button]}]
    web = AsyncWebClient(TOKEN, base_url=f"{sandbox.origin}/api/")
    await web.chat_postMessage(channel=ALERTS, text="Deploy?", blocks=blocks)
    shown = sandbox.board.all()[-1]
    assert (await slack.tell(Inbound("action", ALICE, on=shown.id, action="yes"), "")).status == 200
    message, command, press = ear.heard
    assert (message.type, message.payload["event"]["text"], message.retry_attempt) == ("events_api", "hello", 0)
    assert message.accepts_response_payload is False
    assert (command.type, command.payload["text"]) == ("slash_commands", "prod")
    assert (press.type, press.payload["actions"][0]["value"]) == ("interactive", "1")


async def test_what_is_not_acknowledged_comes_again(ear: Ear, slack: Slack) -> None:
    await slack.sockets.connected()
    ear.acknowledges = False
    telling = asyncio.create_task(slack.tell(Inbound("text", ALICE, ALERTS, "hello"), ""))
    await ear.got.wait()
    ear.acknowledges = True
    slack.sockets.give_up()
    assert (await telling).status == 200
    first, again = ear.heard
    assert (first.retry_attempt, again.retry_attempt, again.retry_reason) == (0, 1, "timeout")
    assert first.payload["event_id"] == again.payload["event_id"]
    assert first.envelope_id != again.envelope_id


async def test_slack_sdk_connects_anew_when_it_is_asked_to(ear: Ear, slack: Slack) -> None:
    await slack.sockets.connected()
    await slack.sockets.disconnect()
    await slack.sockets.connected(2)
    assert (await slack.tell(Inbound("text", ALICE, ALERTS, "hello"), "")).status == 200
    assert [each.payload["event"]["text"] for each in ear.heard] == ["hello"]


async def test_bolt_hears_and_answers(sandbox: Sandbox, slack: Slack) -> None:
    client = WebClient(TOKEN, base_url=f"{sandbox.origin}/api/")
    app = App(client=client, token_verification_enabled=False)
    heard: list[str] = []

    @app.event("message")
    def message(event: dict[str, Any]) -> None:
        heard.append(event["text"])

    @app.command("/deploy")
    def deploy(ack: Any, command: dict[str, Any]) -> None:
        heard.append(command["text"])
        ack("on its way")

    handler = SocketModeHandler(app, APP_TOKEN)
    await asyncio.to_thread(handler.connect)
    try:
        await slack.sockets.connected()
        told = await slack.tell(Inbound("text", ALICE, ALERTS, "/deploy prod"), "")
        assert (told.status, json.loads(told.body)["text"]) == (200, "on its way")
        assert (await slack.tell(Inbound("text", ALICE, ALERTS, "hello"), "")).status == 200
    finally:
        await asyncio.to_thread(handler.close)
    assert heard[0] == "prod"


@pytest.mark.parametrize(
    ("token", "word"), [("xapp-other", "invalid_auth"), (TOKEN, "not_allowed_token_type"), (None, "not_authed")]
)
async def test_tokens_that_open_nothing(sandbox: Sandbox, token: str | None, word: str) -> None:
    web = AsyncWebClient(token, base_url=f"{sandbox.origin}/api/")
    with pytest.raises(SlackApiError) as caught:
        await web.api_call("apps.connections.open")
    assert caught.value.response["error"] == word


async def test_an_address_is_good_once(sandbox: Sandbox, slack: Slack) -> None:
    opened = await AsyncWebClient(base_url=f"{sandbox.origin}/api/").apps_connections_open(app_token=APP_TOKEN)
    async with ClientSession() as session:
        async with session.ws_connect(opened["url"]) as socket:
            assert (await socket.receive_json())["type"] == "hello"
        with pytest.raises(WSServerHandshakeError):
            await session.ws_connect(opened["url"])


async def test_a_mode_that_is_off(sandbox: Sandbox, slack: Slack) -> None:
    slack.sockets.enabled = False
    opened = await AsyncWebClient(base_url=f"{sandbox.origin}/api/").apps_connections_open(app_token=APP_TOKEN)
    async with ClientSession() as session, session.ws_connect(opened["url"]) as socket:
        assert (await socket.receive_json())["reason"] == "link_disabled"


async def test_nobody_listens(slack: Slack) -> None:
    with pytest.raises(Unheard, match="no connection of Socket Mode"):
        await slack.tell(Inbound("text", ALICE, ALERTS, "x"), "")
