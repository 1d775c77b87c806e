"""Hearing DingTalk without an address of our own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from hongyan.hub.connector import Acted, Event, Happened, Outcome, Problem, Said, Target
from hongyan.hub.connectors.dingtalk.app import AppConnector
from hongyan.hub.connectors.dingtalk.credentials import AppCredentials
from hongyan.hub.content import Button, Card, Message, Text
from hongyan.sandbox.dingtalk import DingTalk
from hongyan.sandbox.emulator import Inbound
from hongyan.sandbox.server import Sandbox
from tests.hub.dingtalk.conftest import app_credentials
from tests.support.hub import Around

OPS = Target("group", "cidOps0sandbox==")


def streaming(sandbox: Sandbox, **more: object) -> AppCredentials:
    return app_credentials(sandbox.origin, stream=True, **more)


class Hearing:
    def __init__(self, app: AppConnector) -> None:
        self.app = app
        self.events: list[Event] = []
        self.broken = False

    async def tell(self, event: Event) -> None:
        if self.broken:
            raise OSError("the disk is full")
        self.events.append(event)


@pytest.fixture
async def hearing(sandbox: Sandbox, around: Around, emulator: DingTalk) -> AsyncIterator[Hearing]:
    app = AppConnector(streaming(sandbox, card_template_id="t", card_route_key=""), around())
    made = Hearing(app)
    task = asyncio.create_task(app.listen(made.tell))
    await emulator.streams.connected()
    yield made
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await app.close()


async def test_everything_is_heard(hearing: Hearing, emulator: DingTalk, sandbox: Sandbox) -> None:
    assert (await emulator.tell(Inbound("text", "lisi", OPS.id, "status"), "")).status == 200
    card = Card("Disk", buttons=(Button("Mine", id="take", value="7"),))
    await hearing.app.send(Message(card), [OPS], key="m1")
    (shown,) = sandbox.board.all()
    pressed = await emulator.tell(Inbound("action", "lisi", on=shown.id, action="take", value="7"), "")
    assert (pressed.status, json.loads(pressed.body)) == (200, {"response": {}})
    assert (await emulator.tell(Inbound("added", "wangwu", OPS.id), "")).status == 200
    said, acted, happened = hearing.events
    assert isinstance(said, Said)
    assert (said.chat.target, said.message) == (OPS, Message(Text("status")))
    assert isinstance(acted, Acted)
    assert (acted.sender.id, acted.action, acted.value) == ("lisi", "take", "7")
    assert isinstance(happened, Happened)
    assert happened.name == "chat_add_member"


async def test_pings_are_answered(hearing: Hearing, emulator: DingTalk) -> None:
    code, data = await emulator.streams.ping()
    assert (code, list(json.loads(data))) == (200, ["opaque"])


async def test_another_connection_is_made_if_dingtalk_asks(hearing: Hearing, emulator: DingTalk) -> None:
    assert (await emulator.streams.disconnect())[0] == 200
    await emulator.streams.connected(2)
    assert (await emulator.tell(Inbound("text", "lisi", OPS.id, "again"), "")).status == 200
    assert len(hearing.events) == 1


async def test_what_can_not_be_read_is_said(hearing: Hearing, emulator: DingTalk) -> None:
    assert (await emulator.streams.push("CALLBACK", "/v1.0/im/bot/messages/get", {"msgtype": "text"}))[0] == 400
    assert hearing.events == []


DEEP = '{"a":' + "[" * 100_000
HEADERS = '"headers": {"topic": "/v1.0/im/bot/messages/get", "messageId": "m"}'


@pytest.mark.parametrize(
    "frame",
    [
        "garbage",
        DEEP,
        f'{{"type": "CALLBACK", "headers": {DEEP}',
        f'{{"type": "CALLBACK", {HEADERS}, "data": {json.dumps(DEEP)}}}',
        f'{{"type": "CALLBACK", {HEADERS}, "data": "5"}}',
        f'{{"type": "CALLBACK", {HEADERS}, "data": 5}}',
    ],
)
async def test_frames_that_can_not_be_read_end_nothing(hearing: Hearing, emulator: DingTalk, frame: str) -> None:
    await emulator.streams.send(frame)
    assert (await emulator.tell(Inbound("text", "lisi", OPS.id, "status"), "")).status == 200
    assert len(hearing.events) == 1


async def test_what_we_fail_at_is_told_again(hearing: Hearing, emulator: DingTalk) -> None:
    hearing.broken = True
    assert (await emulator.tell(Inbound("added", "wangwu", OPS.id), "")).status == 500
    hearing.broken = False
    assert (await emulator.tell(Inbound("added", "wangwu", OPS.id), "")).status == 200
    assert len(hearing.events) == 1


async def test_a_failure_is_tried_again(
    sandbox: Sandbox, around: Around, emulator: DingTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.hub.websocket.WAIT_MIN", 0.01)
    for what in ("error", "garbage", "closed"):
        sandbox.faults.add("dingtalk", what)
    app = AppConnector(streaming(sandbox), around())
    task = asyncio.create_task(app.listen(Hearing(app).tell))
    await emulator.streams.connected()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_bad_credentials_end_it(sandbox: Sandbox, around: Around) -> None:
    app = AppConnector(streaming(sandbox, app_secret="wrong"), around())
    with pytest.raises(Problem) as caught:
        await app.listen(Hearing(app).tell)
    assert caught.value.outcome is Outcome.BAD_CREDENTIAL


async def test_an_app_that_is_called_over_http_opens_no_stream(app: AppConnector) -> None:
    assert not hasattr(app, "listen")
