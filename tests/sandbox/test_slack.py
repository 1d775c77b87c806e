"""The emulator of Slack, by Slack's own SDKs for Python and Node."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import ClientSession, web
from slack_sdk import WebClient, WebhookClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import ActionsBlock, ButtonElement, HeaderBlock, SectionBlock
from slack_sdk.signature import SignatureVerifier

from hongyan.sandbox.emulator import Inbound
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.slack import Slack
from hongyan.sandbox.slack.world import SIGNING_SECRET
from tests.support.hub import PNG, Clock

ALERTS = "C0ALERTS01"
ALICE = "U0ALICE001"
NODE_MODULES = Path(__file__).parents[1] / "journeys/js/"


@pytest.fixture
def platforms() -> list[str]:
    return ["slack"]


@pytest.fixture
def slack(sandbox: Sandbox) -> Slack:
    found = sandbox.emulators["slack"]
    assert isinstance(found, Slack)
    return found


class Client:
    """Slack's client, in threads, as it waits for its answers."""

    def __init__(self, sandbox: Sandbox, token: str) -> None:
        self.client = WebClient(token, base_url=f"{sandbox.origin}/api/")

    async def __call__(self, method: str, **arguments: Any) -> Any:
        return (await asyncio.to_thread(getattr(self.client, method), **arguments)).data

    async def refused(self, method: str, **arguments: Any) -> str:
        with pytest.raises(SlackApiError) as caught:
            await self(method, **arguments)
        return str(caught.value.response["error"])


@pytest.fixture
def client(sandbox: Sandbox, slack: Slack) -> Client:
    return Client(sandbox, slack.world()["credentials"]["slack"]["bot_token"])


async def test_a_message_is_posted_changed_and_deleted(client: Client, sandbox: Sandbox) -> None:
    sent = await client("chat_postMessage", channel="#alerts", text="one")
    assert sent["channel"] == ALERTS
    assert sent["message"]["text"] == "one"
    [shown] = sandbox.board.all()
    assert (shown.to, shown.address, shown.payload) == (["#alerts"], "app", {"text": "one"})
    await client("chat_update", channel=ALERTS, ts=sent["ts"], text="two")
    assert (shown.payload, shown.state) == ({"text": "two"}, "changed")
    link = await client("chat_getPermalink", channel=ALERTS, message_ts=sent["ts"])
    assert link["permalink"].endswith(sent["ts"].replace(".", ""))
    await client("chat_delete", channel=ALERTS, ts=sent["ts"])
    assert shown.state == "recalled"
    assert await client.refused("chat_delete", channel=ALERTS, ts=sent["ts"]) == "message_not_found"


async def test_blocks_of_the_sdks_models(client: Client, sandbox: Sandbox) -> None:
    blocks = [
        HeaderBlock(text="Deploy"),
        SectionBlock(text="*Ready?*", fields=["*Env*\nprod"]),
        ActionsBlock(elements=[ButtonElement(text="Yes", action_id="yes", value="1", style="primary")]),
    ]
    sent = await client("chat_postMessage", channel=ALERTS, text="Deploy", blocks=blocks)
    assert [each["type"] for each in sent["message"]["blocks"]] == ["header", "section", "actions"]


async def test_a_thread(client: Client, sandbox: Sandbox) -> None:
    first = await client("chat_postMessage", channel=ALERTS, text="one")
    reply = await client("chat_postMessage", channel=ALERTS, text="two", thread_ts=first["ts"])
    assert reply["message"]["thread_ts"] == first["ts"]
    assert sandbox.board.all()[-1].thread == sandbox.board.all()[0].id


async def test_a_person_is_written_to_by_id(client: Client, sandbox: Sandbox) -> None:
    sent = await client("chat_postMessage", channel=ALICE, text="hi")
    opened = await client("conversations_open", users=ALICE)
    assert sent["channel"] == opened["channel"]["id"] == "D0ALICE001"
    # a change needs the channel that was told, not the person
    assert await client.refused("chat_update", channel=ALICE, ts=sent["ts"], text="x") == "channel_not_found"


async def test_files_are_uploaded(client: Client, sandbox: Sandbox) -> None:
    answer = await client("files_upload_v2", channel=ALERTS, content=PNG, filename="a.png", initial_comment="look")
    [shown] = sandbox.board.all()
    assert answer["files"][0]["id"] == shown.payload["files"][0]["id"]
    assert (shown.kind, shown.payload["text"]) == ("files", "look")
    assert sandbox.board.media(answer["files"][0]["id"]) == ("a.png", "image/png", PNG)
    await client("files_delete", file=answer["files"][0]["id"])
    assert shown.state == "recalled"


async def test_people_and_channels(client: Client) -> None:
    assert (await client("users_lookupByEmail", email="alice@sandbox.example"))["user"]["id"] == ALICE
    assert (await client("users_info", user=ALICE))["user"]["real_name"] == "Alice 王"
    assert len((await client("users_list"))["members"]) == 4
    assert ALICE in (await client("conversations_members", channel=ALERTS))["members"]
    listed = await client("conversations_list", types="public_channel,private_channel")
    assert {"#" + each["name"] for each in listed["channels"]} >= {"#alerts", "#secret"}
    assert (await client("auth_test"))["bot_id"]


@pytest.mark.parametrize(
    ("method", "arguments", "word"),
    [
        ("chat_postMessage", {"channel": "C0NOBODY01", "text": "x"}, "channel_not_found"),
        ("chat_postMessage", {"channel": "C0OTHERS01", "text": "x"}, "not_in_channel"),
        ("chat_postMessage", {"channel": "G0SECRET01", "text": "x"}, "channel_not_found"),
        ("chat_postMessage", {"channel": "C0ARCHIVE1", "text": "x"}, "is_archived"),
        ("api_call", {"api_method": "chat.postMessage", "json": {"channel": ALERTS}}, "no_text"),
        ("chat_postMessage", {"channel": ALERTS, "text": "x" * 40_001}, "msg_too_long"),
        ("chat_postMessage", {"channel": ALERTS, "text": "x", "markdown_text": "y"}, "markdown_text_conflict"),
        (
            "chat_postMessage",
            {"channel": ALERTS, "attachments": [{"text": "x", "fallback": "x"}] * 101},
            "too_many_attachments",
        ),
        ("chat_update", {"channel": ALERTS, "ts": "1.2", "text": "x"}, "message_not_found"),
        ("chat_postEphemeral", {"channel": ALERTS, "user": "U0CAROL001", "text": "x"}, "user_not_in_channel"),
        ("users_lookupByEmail", {"email": "nobody@sandbox.example"}, "users_not_found"),
        ("users_lookupByEmail", {"email": "carol@sandbox.example"}, "users_not_found"),
        ("conversations_open", {"users": "U0CAROL001"}, "user_disabled"),
        ("files_completeUploadExternal", {"files": [{"id": "F1", "title": "x"}]}, "file_not_found"),
        ("chat_scheduleMessage", {"channel": ALERTS, "text": "x", "post_at": 1}, "time_in_past"),
        ("views_open", {"trigger_id": "1.2.3", "view": {"type": "modal"}}, "exchanged_trigger_id"),
        ("api_call", {"api_method": "no.such.method"}, "unknown_method"),
    ],
)
async def test_what_slack_refuses(client: Client, method: str, arguments: dict[str, Any], word: str) -> None:
    assert await client.refused(method, **arguments) == word


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _buttons(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": [{"type": "button", **each} for each in buttons]}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


@pytest.mark.parametrize(
    ("blocks", "pointer"),
    [
        ([_section("x")] * 51, "/blocks"),
        ([_section("x" * 3001)], "/blocks/0/text/text"),
        ([_section("")], "/blocks/0/text/text"),
        ([{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}], "/blocks/0/fields"),
        ([{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}], "/blocks/0/fields/0/text"),
        ([{"type": "header", "text": _plain("x" * 151)}], "/blocks/0/text/text"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "/blocks/0/text"),
        ([{"type": "context", "elements": [_plain("x")] * 11}], "/blocks/0/elements"),
        ([_buttons(*[{"text": _plain("x")}] * 26)], "/blocks/0/elements"),
        ([_buttons({"text": _plain("x" * 76)})], "/blocks/0/elements/0/text/text"),
        ([_buttons({"text": _plain("x"), "value": "x" * 2001})], "/blocks/0/elements/0/value"),
        ([_buttons({"text": _plain("x"), "action_id": "x" * 256})], "/blocks/0/elements/0/action_id"),
        ([_buttons({"text": _plain("x"), "url": "javascript:x"})], "/blocks/0/elements/0/url"),
        ([_buttons(*[{"text": _plain("x"), "action_id": "same"}] * 2)], "/blocks/0/elements"),
        ([_buttons({"text": _plain("x"), "style": "default"})], "/blocks/0/elements/0/style"),
        ([{"type": "image", "image_url": "https://a.example/b.png"}], "/blocks/0"),
        ([{"type": "image", "image_url": "https://a.example/" + "b" * 3000, "alt_text": "x"}], "/blocks/0/image_url"),
        ([{"type": "markdown", "text": "x" * 12_001}], "/blocks/0/text"),
        ([{"type": "input", "label": _plain("x")}], "/blocks/0/type"),
        ([{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]] * 101}], "/blocks/0/rows"),
        ([{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}] * 2, "/blocks"),
        ([{"type": "rich_text", "elements": [{"type": "text", "text": "x"}]}], "/blocks/0/elements/0/type"),
    ],
)
async def test_blocks_over_their_limits_are_refused(client: Client, blocks: list[Any], pointer: str) -> None:
    with pytest.raises(SlackApiError) as caught:
        await client("chat_postMessage", channel=ALERTS, text="x", blocks=blocks)
    answer = caught.value.response
    assert answer["error"] == "invalid_blocks"
    assert any(f"[json-pointer:{pointer}" in each for each in answer["errors"]), answer["errors"]


async def test_blocks_that_are_together_too_long(client: Client) -> None:
    blocks = [_section("x" * 3000)] * 5
    assert await client.refused("chat_postMessage", channel=ALERTS, text="x", blocks=blocks) == "msg_blocks_too_long"


async def test_a_bad_token_and_an_old_one(sandbox: Sandbox, slack: Slack) -> None:
    assert await Client(sandbox, "xoxb-wrong").refused("auth_test") == "invalid_auth"
    assert await Client(sandbox, "xapp-wrong").refused("auth_test") == "not_allowed_token_type"
    slack.tokens.expire()
    assert await Client(sandbox, "xoxb-sandbox-token").refused("auth_test") == "token_expired"


async def test_a_token_is_renewed_once_for_each_refresh_token(sandbox: Sandbox, slack: Slack) -> None:
    rotation = slack.world()["rotation"]
    given = {"grant_type": "refresh_token", **rotation}
    client = Client(sandbox, "")
    renewed = await client("oauth_v2_access", **given)
    assert renewed["expires_in"] == 43_200
    assert (await Client(sandbox, renewed["access_token"])("auth_test"))["ok"]
    assert await client.refused("oauth_v2_access", **given) == "invalid_refresh_token"
    wrong = {**given, "client_secret": "x"}
    assert await client.refused("oauth_v2_access", **wrong) == "bad_client_secret"


async def test_too_many_messages(client: Client, clock: Clock) -> None:
    for _ in range(15):
        await client("chat_postMessage", channel=ALERTS, text="x")
    with pytest.raises(SlackApiError) as caught:
        await client("chat_postMessage", channel=ALERTS, text="x")
    assert caught.value.response.status_code == 429
    assert int(caught.value.response.headers["Retry-After"]) == 10
    await client("chat_postMessage", channel="C0GENERAL1", text="x")  # each channel for itself
    clock.advance(10)
    await client("chat_postMessage", channel=ALERTS, text="x")


async def test_a_message_for_later(client: Client, sandbox: Sandbox, clock: Clock) -> None:
    at = round(clock.platforms()) + 100
    planned = await client("chat_scheduleMessage", channel=ALERTS, text="later", post_at=at)
    assert len((await client("chat_scheduledMessages_list"))["scheduled_messages"]) == 1
    assert sandbox.board.all() == []
    await client("chat_deleteScheduledMessage", channel=ALERTS, scheduled_message_id=planned["scheduled_message_id"])
    assert (await client("chat_scheduledMessages_list"))["scheduled_messages"] == []


async def test_a_webhook(sandbox: Sandbox, slack: Slack) -> None:
    hook = slack.world()["credentials"]["slack_webhook"]["url"]
    send = WebhookClient(hook).send
    answer = await asyncio.to_thread(send, text="hello")
    assert (answer.status_code, answer.body) == (200, "ok")
    assert [(each.address, each.to) for each in sandbox.board.all()] == [("robot", ["#alerts"])]
    answer = await asyncio.to_thread(send)
    assert (answer.status_code, answer.body) == (400, "no_text")


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/services/T/B/X", {"text": "x"}, 404, "no_service"),
        ("/services/T0SANDBOX1/B0HOOK0001/wrong", {"text": "x"}, 403, "invalid_token"),
        (f"/services/T0SANDBOX1/B0HOOK0002/{'sandbox' * 3}", {"text": "x"}, 410, "channel_is_archived"),
        (f"/services/T0SANDBOX1/B0HOOK0001/{'sandbox' * 3}", {"blocks": [{"type": "x"}]}, 400, "invalid_blocks"),
    ],
)
async def test_what_webhooks_refuse(sandbox: Sandbox, path: str, body: dict[str, Any], status: int, word: str) -> None:
    answer = await asyncio.to_thread(WebhookClient(sandbox.origin + path).send_dict, body)
    assert (answer.status_code, answer.body) == (status, word)


async def test_a_webhook_takes_no_garbage(sandbox: Sandbox, slack: Slack) -> None:
    hook = slack.world()["credentials"]["slack_webhook"]["url"]
    async with ClientSession() as session:
        for body in (b"garbage", b"[]", b"[" * 5000):
            async with session.post(hook, data=body) as answer:
                assert (answer.status, await answer.text()) == (400, "invalid_payload")


async def test_faults(sandbox: Sandbox, client: Client) -> None:
    for what, word in [("refused", "no_permission"), ("token_expired", "token_expired"), ("throttled", "ratelimited")]:
        sandbox.faults.add("slack", what)  # type: ignore[arg-type]
        assert await client.refused("auth_test") == word
    await client("auth_test")


class App:
    """An app's address, checked by Slack's own verifier."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.status = 200
        self.bodies: list[bytes] = []
        self.headers: list[Any] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        now = self._clock

        class Now:
            @staticmethod
            def now() -> float:
                return now.platforms()

        verifier = SignatureVerifier(SIGNING_SECRET, clock=Now())  # type: ignore[arg-type]
        assert verifier.is_valid_request(body, dict(request.headers))
        self.bodies.append(body)
        self.headers.append(request.headers)
        return web.Response(status=self.status, text="taken")


@pytest.fixture
async def app(clock: Clock) -> Any:
    made = App(clock)
    server = web.Application()
    server.router.add_post("/slack", made.take)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack"
    yield made
    await runner.cleanup()


async def test_an_app_is_told_with_signatures(slack: Slack, app: App) -> None:
    told = await slack.tell(Inbound("text", ALICE, ALERTS, "@hongyan deploy"), app.url)
    assert (told.status, told.body) == (200, "taken")
    events = [json.loads(each)["event"] for each in app.bodies]
    assert [each["type"] for each in events] == ["message", "app_mention"]
    assert events[0]["text"] == "<@U0HONGYAN1> deploy"
    assert events[0]["channel"] == ALERTS


async def test_what_is_not_taken_is_told_again(slack: Slack, app: App) -> None:
    app.status = 500
    told = await slack.tell(Inbound("text", ALICE, "", "hi"), app.url)
    assert told.status == 500
    first, again = (json.loads(each) for each in app.bodies)
    assert first["event_id"] == again["event_id"]
    assert app.headers[1]["X-Slack-Retry-Num"] == "1"
    assert (await slack.tell(Inbound("text", ALICE, "", "hi"), "http://127.0.0.1:9/slack")).status == 0


async def test_a_button_answers_at_its_own_address(slack: Slack, client: Client, app: App, sandbox: Sandbox) -> None:
    buttons = _buttons({"text": _plain("Yes"), "action_id": "yes", "value": "1"})
    sent = await client("chat_postMessage", channel=ALERTS, text="Deploy?", blocks=[buttons])
    [shown] = sandbox.board.all()
    await slack.tell(Inbound("action", ALICE, on=shown.id, action="yes"), app.url)
    payload = json.loads(parse_qs(app.bodies[0].decode())["payload"][0])
    assert payload["actions"][0]["value"] == "1"
    assert payload["container"]["message_ts"] == sent["ts"]
    for number in range(6):
        answer = await asyncio.to_thread(
            WebhookClient(payload["response_url"]).send, text=f"done {number}", replace_original=True
        )
        assert answer.status_code == (200 if number < 5 else 404)
    assert shown.payload["text"] == "done 4"
    with pytest.raises(ValueError, match="no such button"):
        await slack.tell(Inbound("action", ALICE, on=shown.id, action="other"), app.url)


async def test_nobody_is_told_of_what_slack_tells_nobody(slack: Slack, app: App) -> None:
    with pytest.raises(ValueError, match="Slack tells nobody"):
        await slack.tell(Inbound("read", ALICE, ALERTS), app.url)
    with pytest.raises(ValueError, match="no such person"):
        await slack.tell(Inbound("text", "U0NOBODY", ALERTS, "x"), app.url)


async def test_slacks_sdks_for_node(sandbox: Sandbox, slack: Slack) -> None:
    node = shutil.which("node")
    assert node, "no Node: run `make setup`"
    credentials = slack.world()["credentials"]
    script = Path(__file__).with_name("slack_sdk.mjs")
    arguments = [str(NODE_MODULES) + "/", sandbox.origin, credentials["slack"]["bot_token"]]
    process = await asyncio.create_subprocess_exec(
        node,
        str(script),
        *arguments,
        credentials["slack_webhook"]["url"],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    answer = json.loads(printed.decode().splitlines()[-1])
    assert answer | {"ts": ""} == {
        "bot": "B0HONGYAN1",
        "channel": ALERTS,
        "ts": "",
        "file": "notes.txt",
        "wrong": "invalid_blocks",
        "hooked": "ok",
        "gone": [404, "no_service"],
    }
    assert [each.kind for each in sandbox.board.all()] == ["blocks", "files", "text"]
