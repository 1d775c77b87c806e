"""What Slack tells an app: signed by the emulator and by Slack's own SDK, and what is none of Slack's."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from slack_sdk.signature import SignatureVerifier

from hongyan.hub.connector import (
    Acted,
    Chat,
    Event,
    Feature,
    Forged,
    Happened,
    Incoming,
    Outcome,
    Person,
    Problem,
    Said,
    Target,
)
from hongyan.hub.connectors.slack.app import SlackApp
from hongyan.hub.connectors.slack.inbound import verify
from hongyan.hub.content import Button, Card, File, Form, Input, Markdown, Mention, Message, Option, Text
from hongyan.sandbox.emulator import Inbound
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.slack import Slack
from hongyan.sandbox.slack.world import BOT_USER, SIGNING_SECRET
from tests.hub.slack.conftest import ALERTS, Sending
from tests.support.hub import Clock, Files
from tests.support.misshapen import check_all

ALICE = "U0ALICE001"


class Door:
    """Our side of the address that Slack tells."""

    def __init__(self, app: SlackApp) -> None:
        self._app = app
        self.events: list[Event] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = await self._app.receive(Incoming(request.method, request.query, headers, await request.read()))
        self.events += got.events
        return web.Response(status=got.reply.status, body=got.reply.body, headers={"Content-Type": got.reply.type})


@pytest.fixture
async def door(app: SlackApp) -> AsyncIterator[Door]:
    made = Door(app)
    server = web.Application()
    server.router.add_post("/in", made.take)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    yield made
    await runner.cleanup()


def request(clock: Clock, body: bytes, type_: str = "application/json", **headers: str) -> Incoming:
    """Signed by Slack's own SDK."""
    stamp = str(int(clock.platforms()))
    signature = SignatureVerifier(SIGNING_SECRET).generate_signature(timestamp=stamp, body=body)
    signed = {"x-slack-request-timestamp": stamp, "x-slack-signature": str(signature), "content-type": type_}
    return Incoming("POST", {}, {**signed, **{name.replace("_", "-"): each for name, each in headers.items()}}, body)


def event(**fields: Any) -> bytes:
    body = {
        "type": "event_callback",
        "api_app_id": "A0SANDBOX1",
        "event_id": "Ev1",
        "event_time": 1_795_639_511,
        "authorizations": [{"user_id": BOT_USER, "is_bot": True}],
        "event": {"type": "message", "channel": ALERTS.id, "user": ALICE, "ts": "1795639511.000100", **fields},
    }
    return json.dumps(body).encode()


async def said(app: SlackApp, clock: Clock, **fields: Any) -> Said:
    [found] = (await app.receive(request(clock, event(**fields)))).events
    assert isinstance(found, Said)
    return found


def test_the_vector_of_the_reference() -> None:
    secret, stamp = "8f742231b10e8888abcd99yyyzzz85a5", 1_531_420_618
    signature = "v0=830719c236bfb0156e58fce255725cae885a59e92b960ec8b181d42f37fe7f55"
    headers = {"x-slack-request-timestamp": str(stamp), "x-slack-signature": signature}
    good = Incoming("POST", {}, headers, b"token=xyzz0WbapA4vBCDEFEF&text=hi")
    verify(good, secret, stamp * 1000)
    verify(good, secret, (stamp + 300) * 1000)
    verify(good, secret, (stamp - 300) * 1000)
    for now in (stamp + 301, stamp - 301):
        with pytest.raises(Forged, match="too old, or the clock"):
            verify(good, secret, now * 1000)
    with pytest.raises(Forged, match="signing secret"):
        verify(good._replace(body=good.body + b"!"), secret, stamp * 1000)
    with pytest.raises(Forged, match="signing secret"):
        verify(good, "other", stamp * 1000)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-slack-request-timestamp": "1795639511"},
        {"x-slack-signature": "v0=00"},
        {"x-slack-request-timestamp": "now", "x-slack-signature": "v0=00"},
        {"x-slack-request-timestamp": "-1", "x-slack-signature": "v0=00"},
        {"x-slack-request-timestamp": "²", "x-slack-signature": "v0=00"},
        {"x-slack-request-timestamp": "9" * 400, "x-slack-signature": "v0=00"},
        {"x-slack-request-timestamp": "1795639511", "x-slack-signature": "v0=é"},
    ],
)
async def test_what_is_not_signed_is_refused(app: SlackApp, headers: dict[str, str]) -> None:
    with pytest.raises(Forged):
        await app.receive(Incoming("POST", {}, headers, event(text="x")))


async def test_the_clock_may_be_five_minutes_wrong(app: SlackApp, door: Door, slack: Slack, clock: Clock) -> None:
    clock.skew = 290
    assert (await slack.tell(Inbound("text", ALICE, ALERTS.id, "x"), door.url)).status == 200
    stale = request(clock, event(text="x"))
    clock.skew = 310
    with pytest.raises(Forged):
        await app.receive(stale)


async def test_the_address_is_verified(door: Door, slack: Slack) -> None:
    told = await slack.tell(Inbound("verify", ""), door.url)
    assert told.status == 200
    assert told.body.startswith("challenge-")
    assert door.events == []


async def test_somebody_writes_in_a_channel(door: Door, slack: Slack) -> None:
    assert (await slack.tell(Inbound("text", ALICE, ALERTS.id, "a & b"), door.url)).body == ""
    [found] = door.events
    assert isinstance(found, Said)
    assert found.sender == Person(ALICE, "Alice 王")
    assert found.chat == Chat(ALERTS)
    assert found.message == Message(Text("a & b"))
    assert not found.mentioned
    assert found.receipt == {"channel": ALERTS.id, "ts": found.id.rpartition(":")[2]}


async def test_who_mentions_us_is_told_of_twice_with_one_id(door: Door, slack: Slack) -> None:
    await slack.tell(Inbound("text", ALICE, ALERTS.id, "@hongyan deploy"), door.url)
    message, mention = door.events
    assert isinstance(message, Said)
    assert isinstance(mention, Said)
    assert message.id == mention.id
    assert message.mentioned
    assert mention.mentioned
    assert message.message == mention.message == Message(Text("deploy"))


async def test_somebody_writes_to_us_alone(door: Door, slack: Slack) -> None:
    await slack.tell(Inbound("text", ALICE, "", "hi"), door.url)
    [found] = door.events
    assert isinstance(found, Said)
    assert found.chat == Chat(Target("user", ALICE), direct=True)


async def test_an_answer_goes_to_where_it_was_said(door: Door, slack: Slack, app: SlackApp, sending: Sending) -> None:
    await slack.tell(Inbound("text", ALICE, "", "hi"), door.url)
    [found] = door.events
    assert isinstance(found, Said)
    await sending(app, Text("hello"), [found.chat.target], thread=found.receipt)
    assert sending.shown[0].to == ["Alice 王"]
    assert sending.shown[0].thread.endswith(found.receipt["ts"])


async def test_a_thread(app: SlackApp, clock: Clock) -> None:
    found = await said(app, clock, text="x", thread_ts="1795639000.000100")
    assert (found.message.thread, found.receipt["thread"]) == ("1795639000.000100", "1795639000.000100")


async def test_an_event_given_twice_has_the_same_id(app: SlackApp, clock: Clock) -> None:
    body = event(type="reaction_added", reaction="+1")
    first = await app.receive(request(clock, body))
    again = await app.receive(request(clock, body, x_slack_retry_num="1", x_slack_retry_reason="http_timeout"))
    assert first.events == again.events
    assert first.events[0].id == "Ev1"


async def test_what_we_say_ourselves_is_not_heard(app: SlackApp, clock: Clock) -> None:
    got = await app.receive(request(clock, event(text="x", bot_id="B0HONGYAN1", app_id="A0SANDBOX1")))
    assert got.events == ()
    other = await said(app, clock, text="x", subtype="bot_message", bot_id="B1", username="CI", user=None)
    assert (other.sender, other.automatic) == (Person("B1", "CI"), True)
    assert not (await said(app, clock, text="x")).automatic


RICH = [
    {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_section",
                "elements": [
                    {"type": "user", "user_id": BOT_USER},
                    {"type": "text", "text": " see "},
                    {"type": "text", "text": "this *one* ", "style": {"bold": True}},
                    {"type": "link", "url": "https://a.example", "text": "here"},
                    {"type": "emoji", "name": "thumbsup", "unicode": "1f44d"},
                    {"type": "user", "user_id": "U0BOB00001"},
                    {"type": "broadcast", "range": "channel"},
                ],
            },
            {
                "type": "rich_text_list",
                "style": "bullet",
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "a_b"}]}],
            },
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x*y*z"}]},
        ],
    }
]


async def test_rich_text_is_markdown(app: SlackApp, clock: Clock) -> None:
    found = await said(app, clock, text="ignored", blocks=RICH)
    assert found.message.content == Markdown(
        "see **this \\*one\\*** [here](https://a.example)👍@U0BOB00001@channel\n- a\\_b\n```\nx*y*z\n```"
    )
    assert found.message.mentions == (Mention(user="U0BOB00001"), Mention(everyone=True))
    assert found.mentioned


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a &lt;b&gt; &amp;amp;", "a <b> &amp;"),
        ("<https://a.example|site> <https://b.example>", "site (https://a.example) https://b.example"),
        (f"<@{BOT_USER}> hi <@U0BOB00001|bob>", "hi @bob"),
        ("<#C1|general> <!here> <!subteam^S1|@team>", "#general @here @team"),
        ("*not* a mark", "*not* a mark"),
    ],
)
async def test_texts_without_blocks(app: SlackApp, clock: Clock, text: str, read: str) -> None:
    assert (await said(app, clock, text=text)).message.content == Text(read)


async def test_files_can_be_fetched(app: SlackApp, clock: Clock, sending: Sending, files: Files) -> None:
    await sending(app, File(files.add("a.txt", "text/plain", b"content")))
    file = sending.shown[0].payload["files"][0]
    got = await app.receive(request(clock, event(text="look", subtype="file_share", files=[file])))
    text, sent = got.events
    assert isinstance(text, Said)
    assert isinstance(sent, Said)
    assert text.message.content == Text("look")
    assert isinstance(sent.message.content, File)
    assert sent.id == f"{text.id}:{file['id']}"
    assert await app.fetch(sent.media[0]) == b"content"


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/x", "http://files.slack.com/x", "https://slack.com.evil.example/x", "file:///etc/passwd"],
)
async def test_the_token_goes_to_slack_only(app: SlackApp, url: str) -> None:
    with pytest.raises(Problem, match="not at Slack"):
        await app.fetch({"url": url})


async def test_a_file_that_may_not_be_read(app: SlackApp, slack: Slack) -> None:
    slack.tokens.expire()
    with pytest.raises(Problem) as caught:
        await app.fetch({"url": f"{slack.origin}/slack/files/F1/a.txt"})
    assert (caught.value.outcome, "files:read" in caught.value.advice) == (Outcome.BAD_CREDENTIAL, True)


@pytest.mark.parametrize(
    ("inbound", "name"),
    [
        (Inbound("reaction", ALICE, value="eyes"), "reaction_added"),
        (Inbound("recalled", ALICE), "message_deleted"),
        (Inbound("added", ALICE, chat=ALERTS.id), "member_joined_channel"),
    ],
)
async def test_other_events(
    app: SlackApp, door: Door, slack: Slack, sending: Sending, inbound: Inbound, name: str
) -> None:
    await sending(app, Text("x"))
    inbound.on = sending.shown[0].id
    assert (await slack.tell(inbound, door.url)).status == 200
    [found] = door.events
    assert isinstance(found, Happened)
    assert (found.name, found.id[:2]) == (name, "Ev")


async def test_what_somebody_has_said_is_edited_and_deleted(door: Door, slack: Slack) -> None:
    await slack.tell(Inbound("text", ALICE, ALERTS.id, "Helo"), door.url)
    [place] = slack.telling.said
    await slack.tell(Inbound("edited", ALICE, on=place, text="Hello & all"), door.url)
    await slack.tell(Inbound("recalled", ALICE, on=place), door.url)
    original, edit, deletion = door.events
    assert isinstance(original, Said)
    assert isinstance(edit, Happened)
    assert isinstance(deletion, Happened)
    assert edit.name == "message_changed"
    assert edit.edited is not None
    assert (edit.edited.message.content, edit.edited.sender) == (Text("Hello & all"), Person(ALICE, "Alice 王"))
    assert edit.edited.receipt == deletion.recalled == original.receipt
    assert edit.id not in (original.id, deletion.id)


def changed(message: dict[str, Any], **more: Any) -> bytes:
    shown = {"type": "message", "user": ALICE, "ts": "1795639500.000100", "text": "new", **message}
    return event(subtype="message_changed", message=shown, **more)


EDITED = {"user": ALICE, "ts": "1795639511.000100"}


async def test_an_edit_is_found_by_its_place_also_when_it_was_answered_since(app: SlackApp, clock: Clock) -> None:
    body = changed({"edited": EDITED, "thread_ts": "1795639500.000100"})
    [found] = (await app.receive(request(clock, body))).events
    assert isinstance(found, Happened)
    assert found.edited is not None
    assert found.edited.receipt == {"channel": ALERTS.id, "ts": "1795639500.000100"}


async def test_an_edit_may_leave_only_the_files(app: SlackApp, clock: Clock) -> None:
    files = [{"id": "F1", "url_private": "https://files.slack.com/a"}]
    [found] = (await app.receive(request(clock, changed({"edited": EDITED, "text": "", "files": files})))).events
    assert isinstance(found, Happened)
    assert found.edited is not None
    assert found.edited.message.content == Text("")


@pytest.mark.parametrize(
    ("message", "before"),
    [({}, {}), ({"edited": EDITED}, {"edited": EDITED}), ({"edited": EDITED, "subtype": "channel_topic"}, {})],
)
async def test_previews_of_links_are_no_edits(
    app: SlackApp, clock: Clock, message: dict[str, Any], before: dict[str, Any]
) -> None:
    [found] = (await app.receive(request(clock, changed(message, previous_message=before)))).events
    assert isinstance(found, Happened)
    assert (found.edited, found.recalled) == (None, {})


async def test_a_tombstone_is_a_deletion(app: SlackApp, clock: Clock) -> None:
    """A message with answers in its thread leaves one."""
    [found] = (await app.receive(request(clock, changed({"subtype": "tombstone"})))).events
    assert isinstance(found, Happened)
    assert found.recalled == {"channel": ALERTS.id, "ts": "1795639500.000100"}


async def test_a_button(app: SlackApp, door: Door, slack: Slack, sending: Sending) -> None:
    buttons = (Button("Yes", id="yes", value="42"), Button("Docs", url="https://d.example"))
    receipt = (await sending(app, Card("Deploy?", level="warning", buttons=buttons))).results[0].receipt
    assert receipt is not None
    on = sending.shown[0].id
    await slack.tell(Inbound("action", ALICE, on=on, action="yes"), door.url)
    # one that leads somewhere is told of, too, and is nothing to act upon
    await slack.tell(Inbound("action", ALICE, on=on, action="hongyan.link.1"), door.url)
    [found] = door.events
    assert isinstance(found, Acted)
    assert (found.action, found.value, found.sender) == ("yes", "42", Person(ALICE, "alice"))
    assert found.chat == Chat(ALERTS, "alerts")
    assert found.receipt == receipt
    await app.update(found.receipt, Message(Text("done by alice")))
    assert sending.shown[0].payload["text"] == "done by alice"


async def test_a_form_is_filled_in_in_a_window(app: SlackApp, door: Door, slack: Slack, sending: Sending) -> None:
    form = Form(
        "approve",
        (
            Input("why", "Why", "lines", required=True, hint="in a few words"),
            Input("env", "Env", "select", (Option("p", "Prod"), Option("s", "Stage")), value="s"),
            Input("tags", "Tags", "checks", (Option("a", "A"), Option("b", "B"), Option("c", "C"))),
            Input("on", "On", "date", value="2026-11-26"),
            Input("note", "Note"),
        ),
        "Approve it now, please, all of you",
    )
    await sending(app, Card("Deploy the whole thing to production?", form=form))
    assert (
        await slack.tell(Inbound("action", ALICE, on=sending.shown[0].id, action="hongyan.form.approve"), door.url)
    ).status == 200
    view = sending.shown[1]
    assert view.kind == "view"
    assert view.payload["title"]["text"] == "Deploy the whole thing…"
    with pytest.raises(ValueError, match="please fill in: Why"):
        await slack.tell(Inbound("action", ALICE, on=view.id), door.url)
    filled = {"why": "because", "env": "p", "tags": ["a", "c"], "on": "2026-12-01"}
    assert (await slack.tell(Inbound("action", ALICE, on=view.id, inputs=filled), door.url)).status == 200
    [found] = door.events
    assert isinstance(found, Acted)
    assert (found.action, found.inputs) == ("approve", filled)
    assert found.receipt == {"channel": ALERTS.id, "ts": sending.shown[0].id.rpartition(":")[2]}
    assert found.chat == Chat(ALERTS)


async def test_a_form_that_a_button_can_not_carry_is_on_a_page(app: SlackApp, sending: Sending) -> None:
    options = tuple(Option(f"value {number}", "text " * 5) for number in range(100))
    sent = await sending(app, Card("T", form=Form("f", (Input("a", "A", "select", options),))), key="k")
    assert [each.rule for each in sent.notes] == ["form_to_page"]
    [button] = sending.shown[0].payload["blocks"][1]["elements"]
    assert button["url"] == "https://hongyan.example/act/k/f"


async def test_a_command(app: SlackApp, door: Door, slack: Slack) -> None:
    assert (await slack.tell(Inbound("text", ALICE, ALERTS.id, "/deploy prod now"), door.url)).body == ""
    [found] = door.events
    assert isinstance(found, Said)
    assert found.message == Message(Text("/deploy prod now"))
    assert (found.chat, found.sender, found.mentioned) == (Chat(ALERTS, "alerts"), Person(ALICE, "alice"), True)


async def test_a_name_that_slack_does_not_tell_is_left_out(door: Door, slack: Slack, sandbox: Sandbox) -> None:
    sandbox.faults.add("slack", "refused", 1, "/api/users.info")
    for _ in range(2):
        await slack.tell(Inbound("text", ALICE, ALERTS.id, "x"), door.url)
    assert [each.sender.name for each in door.events if isinstance(each, Said)] == ["", ""]


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "type_"),
    [
        (b"", "application/json"),
        (b"garbage", "application/json"),
        (b"[]", "application/json"),
        (b"{}", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"type": 5}', "application/json"),
        (b'{"type": "event_callback"}', "application/json"),
        (b'{"type": "event_callback", "event": {"type": "message"}, "event_id": "x"}', "application/json"),
        (b'{"type": "event_callback", "event": {"type": "message", "channel": 5, "ts": 6}}', "application/json"),
        (b'{"type": "block_actions", "actions": [{}]}', "application/json"),
        (b'{"type": "block_actions", "actions": 5}', "application/json"),
        (b'{"type": "view_submission", "view": {}}', "application/json"),
        ("é=x".encode(), FORM),
        (b"payload=garbage", FORM),
        (b"payload=%5B%5D", FORM),
        (b"command=/x", FORM),
        (b"a=b", FORM),
        (b"&".join(b"a%d=b" % number for number in range(300)), FORM),
        (b'{"msgtype":"text","text":{"content":"x"},"conversationId":"c"}', "application/json"),
    ],
)
async def test_another_dialect_is_refused(app: SlackApp, clock: Clock, body: bytes, type_: str) -> None:
    with pytest.raises(Problem, match="no request that Slack makes") as caught:
        await app.receive(request(clock, body, type_))
    assert caught.value.outcome is Outcome.BAD_CONTENT


WHO = {"id": ALICE, "username": "alice", "team_id": "T0SANDBOX1"}
BLOCK_ACTIONS = {
    "type": "block_actions",
    "user": WHO,
    "trigger_id": "1.2.x",
    "api_app_id": "A0SANDBOX1",
    "container": {"type": "message", "message_ts": "1795639511.000100", "channel_id": ALERTS.id},
    "channel": {"id": ALERTS.id, "name": "alerts"},
    "message": {"ts": "1795639511.000100", "thread_ts": "1795639511.000100"},
    "state": {"values": {"b": {"pick": {"type": "static_select", "selected_option": {"value": "a"}}}}},
    "actions": [
        {"action_id": "take", "block_id": "b", "type": "button", "value": "7", "action_ts": "1795639512.000100"},
    ],
}
VIEW_SUBMISSION = {
    "type": "view_submission",
    "user": WHO,
    "trigger_id": "1.2.x",
    "view": {
        "id": "V1",
        "callback_id": "ask",
        "private_metadata": json.dumps({"channel": ALERTS.id, "ts": "1795639511.000100"}),
        "state": {"values": {"why": {"why": {"type": "plain_text_input", "value": "ill"}}}},
    },
}


@pytest.mark.parametrize(
    "body",
    [
        json.loads(event(text="*hi* <@U0ALICE001>", files=[{"id": "F1", "name": "a.png", "mimetype": "image/png"}])),
        json.loads(event(subtype="message_changed", message={"ts": "1795639511.000100", "user": ALICE, "text": "new"})),
        BLOCK_ACTIONS,
        VIEW_SUBMISSION,
    ],
    ids=["said", "changed", "pressed", "submitted"],
)
async def test_another_shape_at_any_place_is_refused_or_understood(
    app: SlackApp, clock: Clock, body: dict[str, Any]
) -> None:
    assert (await app.receive(request(clock, json.dumps(body).encode()))).events
    await check_all(body, lambda wrong: app.receive(request(clock, json.dumps(wrong).encode())))


async def test_a_form_that_no_button_carries_is_not_opened(app: SlackApp, clock: Clock) -> None:
    action = {"action_id": "hongyan.form.x", "value": "garbage", "type": "button"}
    body = urlencode({"payload": json.dumps({"type": "block_actions", "user": {"id": ALICE}, "actions": [action]})})
    with pytest.raises(Problem, match="does not carry a form"):
        await app.receive(request(clock, body.encode(), FORM))


async def test_an_app_without_signing_secret_hears_nothing(make_app: Callable[..., SlackApp], clock: Clock) -> None:
    app = make_app(signing_secret="")
    assert Feature.RECEIVE not in app.features
    with pytest.raises(Problem, match="cannot receive"):
        await app.receive(request(clock, event(text="x")))


async def test_slack_bolt_agrees_about_the_emulators_signatures(
    slack: Slack, clock: Clock, monkeypatch: pytest.MonkeyPatch, credentials: dict[str, Any]
) -> None:
    """Bolt takes what the emulator signs, as it takes what Slack signs, and answers as we do."""
    from slack_bolt import App, BoltRequest
    from slack_sdk import WebClient

    monkeypatch.setattr("slack_sdk.signature.Clock.now", lambda self: clock.platforms())
    bolt = App(
        client=WebClient(credentials["bot_token"], base_url=f"{slack.origin}/api/"),
        signing_secret=SIGNING_SECRET,
        process_before_response=True,
        token_verification_enabled=False,
    )
    heard: list[str] = []
    bolt.event("message")(lambda event: heard.append(event["text"]))

    @bolt.command("/deploy")
    def deploy(ack: Any, command: Any) -> None:
        heard.append(command["text"])
        ack()

    async def take(request: web.Request) -> web.Response:
        body = await request.text()
        headers: dict[str, str | Sequence[str]] = dict(request.headers)
        answer = await asyncio.to_thread(bolt.dispatch, BoltRequest(body=body, headers=headers))
        return web.Response(status=answer.status, text=answer.body)

    server = web.Application()
    server.router.add_post("/in", take)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    try:
        assert (await slack.tell(Inbound("text", ALICE, ALERTS.id, "hello"), url)).status == 200
        assert (await slack.tell(Inbound("text", ALICE, ALERTS.id, "/deploy prod"), url)).status == 200
        assert heard == ["hello", "prod"]
        monkeypatch.setattr("slack_sdk.signature.Clock.now", lambda self: clock.platforms() + 600)
        assert (await slack.tell(Inbound("text", ALICE, ALERTS.id, "late"), url)).status == 401
    finally:
        await runner.cleanup()
