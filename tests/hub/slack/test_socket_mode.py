"""Hearing Slack without an address of our own."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from hongyan.hub.connector import Acted, Event, Feature, Happened, Outcome, Problem, Said
from hongyan.hub.connectors.slack.app import SlackApp, SlackCredentials
from hongyan.hub.content import Button, Card, Form, Input, Text
from hongyan.sandbox.emulator import Inbound
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.slack import Slack
from hongyan.sandbox.slack.socket_mode import APP_TOKEN
from tests.hub.slack.conftest import ALERTS, Sending
from tests.hub.slack.test_inbound import request
from tests.support.hub import Clock

ALICE = "U0ALICE001"


class Hearing:
    """`failing`: how many events can't be kept."""

    def __init__(self, app: SlackApp) -> None:
        self.app = app
        self.events: list[Event] = []
        self.failing = 0
        self.task = asyncio.create_task(app.listen(self.tell))

    async def tell(self, event: Event) -> None:
        if self.failing:
            self.failing -= 1
            raise OSError("the disk is full")
        self.events.append(event)

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
def socket_app(make_app: Callable[..., SlackApp]) -> SlackApp:
    """One that needs no signing secret, as nothing is signed."""
    return make_app(app_token=APP_TOKEN, signing_secret="")


@pytest.fixture
async def hearing(socket_app: SlackApp, slack: Slack) -> AsyncIterator[Hearing]:
    made = Hearing(socket_app)
    await slack.sockets.connected()
    yield made
    await made.stop()


def event(id: str = "Ev1", **fields: Any) -> dict[str, Any]:
    inner = {"type": "message", "channel": ALERTS.id, "user": ALICE, "ts": "1795639511.000100", "text": "x", **fields}
    return {"type": "event_callback", "event_id": id, "event": inner}


async def test_everything_is_heard(hearing: Hearing, slack: Slack, sending: Sending) -> None:
    assert (await slack.tell(Inbound("text", ALICE, ALERTS.id, "status"), "")).status == 200
    assert (await slack.tell(Inbound("text", ALICE, ALERTS.id, "/deploy prod"), "")).status == 200
    await sending(hearing.app, Card("Disk", buttons=(Button("Mine", id="take", value="7"),)))
    shown = sending.shown[0]
    assert (await slack.tell(Inbound("action", ALICE, on=shown.id, action="take", value="7"), "")).status == 200
    assert (await slack.tell(Inbound("reaction", ALICE, on=shown.id), "")).status == 200
    said, command, acted, happened = hearing.events
    assert isinstance(said, Said)
    assert (said.chat.target, said.message.content, said.sender.name) == (ALERTS, Text("status"), "Alice 王")
    assert isinstance(command, Said)
    assert (command.message.content, command.mentioned) == (Text("/deploy prod"), True)
    assert isinstance(acted, Acted)
    assert (acted.sender.id, acted.action, acted.value) == (ALICE, "take", "7")
    assert isinstance(happened, Happened)
    assert happened.name == "reaction_added"


async def test_a_form_is_opened_and_heard(hearing: Hearing, slack: Slack, sending: Sending) -> None:
    await sending(hearing.app, Card("Leave", form=Form("ask", (Input("why", "Why?"),))))
    pressed = Inbound("action", ALICE, on=sending.shown[0].id, action="hongyan.form.ask")
    assert (await slack.tell(pressed, "")).status == 200
    window = sending.shown[1]
    assert (await slack.tell(Inbound("action", ALICE, on=window.id, inputs={"why": "rain"}), "")).status == 200
    [acted] = hearing.events
    assert isinstance(acted, Acted)
    assert (acted.action, acted.inputs) == ("ask", {"why": "rain"})


async def test_an_event_has_the_id_that_it_has_at_an_address(
    hearing: Hearing, app: SlackApp, slack: Slack, clock: Clock
) -> None:
    body = event(text="x")
    await (await slack.sockets.push("events_api", body))
    [at_address] = (await app.receive(request(clock, json.dumps(body).encode()))).events
    assert hearing.events == [at_address]


async def test_what_is_not_kept_is_not_acknowledged_and_comes_again(hearing: Hearing, slack: Slack) -> None:
    hearing.failing = 1
    lost = await slack.sockets.push("events_api", event("Ev1", type="reaction_added"))
    await (await slack.sockets.push("events_api", event("Ev2", type="reaction_added")))
    assert not lost.done()  # though frames go one after the other
    await (await slack.sockets.push("events_api", event("Ev1", type="reaction_added"), retry_attempt=1))
    assert [each.id for each in hearing.events] == ["Ev2", "Ev1"]


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("events_api", {}),
        ("events_api", {"type": "event_callback"}),
        ("interactive", {"type": "block_actions", "actions": 5}),
        ("interactive", {"type": "block_actions", "user": {"id": ALICE}, "actions": [{"action_id": "hongyan.form.x"}]}),
        ("slash_commands", {"command": "/x"}),
        ("tomorrow", {"a": "b"}),
    ],
)
async def test_what_can_not_be_read_is_not_acknowledged(
    hearing: Hearing, slack: Slack, kind: str, payload: dict[str, Any]
) -> None:
    strange = await slack.sockets.push(kind, payload)
    await (await slack.sockets.push("events_api", event()))
    assert not strange.done()
    assert [each.id for each in hearing.events] == [f"{ALERTS.id}:1795639511.000100"]


@pytest.mark.parametrize("frame", ["", "garbage", "[]", "5", '{"type": 5}', "[" * 100_000, '{"type": "tomorrow"}'])
async def test_frames_that_tell_nothing_are_passed_over(hearing: Hearing, slack: Slack, frame: str) -> None:
    await slack.sockets.send(frame)
    await (await slack.sockets.push("events_api", event()))
    assert len(hearing.events) == 1


@pytest.mark.parametrize("frame", ["x" * (1_048_576 + 1), b"binary"])
async def test_a_connection_that_is_none_of_slacks_is_left(
    hearing: Hearing, slack: Slack, monkeypatch: pytest.MonkeyPatch, frame: str | bytes
) -> None:
    monkeypatch.setattr("hongyan.hub.websocket.WAIT_MIN", 0.01)
    await slack.sockets.send(frame)
    await slack.sockets.connected(2)
    await (await slack.sockets.push("events_api", event()))
    assert len(hearing.events) == 1


async def test_another_connection_is_made_if_slack_asks(
    hearing: Hearing, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.hub.websocket.WAIT_MIN", 0.01)
    await slack.sockets.disconnect()
    await slack.sockets.connected(2)
    assert (await slack.tell(Inbound("text", ALICE, ALERTS.id, "again"), "")).status == 200
    assert len(hearing.events) == 1


async def test_a_failure_is_tried_again(
    sandbox: Sandbox, socket_app: SlackApp, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.hub.websocket.WAIT_MIN", 0.01)
    for what in ("error", "garbage", "closed"):
        sandbox.faults.add("slack", what, 1, "/api/apps.connections.open")
    sandbox.faults.add("slack", "error", 1, "/slack/link/")
    hearing = Hearing(socket_app)
    await slack.sockets.connected()
    assert sandbox.faults.all() == []
    await hearing.stop()


async def test_whoever_stops_listening_leaves_no_connection(hearing: Hearing, slack: Slack) -> None:
    await hearing.stop()
    await slack.sockets.left()


async def test_a_bad_token_ends_it(make_app: Callable[..., SlackApp]) -> None:
    app = make_app(app_token="xapp-wrong")
    for asked in (Hearing(app).task, app.check()):
        with pytest.raises(Problem, match="invalid_auth") as caught:
            await asked
        assert caught.value.outcome is Outcome.BAD_CREDENTIAL
        assert "connections:write" in caught.value.advice


async def test_a_mode_that_is_off_ends_it(socket_app: SlackApp, slack: Slack) -> None:
    slack.sockets.enabled = False
    with pytest.raises(Problem, match="Socket Mode is off") as caught:
        await Hearing(socket_app).task
    assert caught.value.outcome is Outcome.BAD_CREDENTIAL
    assert "Switch on Socket Mode" in caught.value.advice


async def test_no_connection_leads_into_the_private_network(
    socket_app: SlackApp, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack is allowed here, and names an address that is not."""
    opened = {"ok": True, "url": "wss://10.1.2.3/link/?ticket=secret"}
    monkeypatch.setattr(slack.sockets, "open", lambda request, origin: opened)
    with pytest.raises(Problem, match="no address of the internet") as caught:
        await Hearing(socket_app).task
    assert "secret" not in caught.value.reason


async def test_a_good_token_is_checked(socket_app: SlackApp) -> None:
    assert await socket_app.check() == "hongyan in Sandbox"


async def test_the_token_is_one_of_the_app(credentials: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="xapp-"):
        SlackCredentials(**{**credentials, "app_token": "xoxb-1"})


async def test_an_app_that_is_told_at_an_address_opens_no_connection(app: SlackApp, socket_app: SlackApp) -> None:
    assert not hasattr(app, "listen")
    assert Feature.RECEIVE in socket_app.features
