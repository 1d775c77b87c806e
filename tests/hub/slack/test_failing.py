"""What is made of Slack's refusals, of answers that are none, and of tokens that end."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from hongyan.hub.connector import Outcome, Problem, Sent, Target
from hongyan.hub.connectors.slack import api as slack_api
from hongyan.hub.connectors.slack.app import KIND as APP
from hongyan.hub.connectors.slack.app import SlackApp
from hongyan.hub.connectors.slack.credentials import SlackCredentials
from hongyan.hub.connectors.slack.errors import judge, judge_hook, outcome_of
from hongyan.hub.connectors.slack.webhook import KIND as HOOK
from hongyan.hub.connectors.slack.webhook import SlackWebhook, SlackWebhookCredentials
from hongyan.hub.content import Message, Text
from hongyan.hub.http import Answer
from hongyan.hub.surroundings import Surroundings
from hongyan.sandbox.server import Sandbox
from hongyan.sandbox.slack import Slack
from tests.hub.slack.conftest import ALERTS, Sending
from tests.support.hub import Around, Clock

#: The table of the reference, in its words.
API = {
    Outcome.THROTTLED: "ratelimited rate_limited message_limit_exceeded",
    Outcome.TRANSIENT: "internal_error fatal_error service_unavailable request_timeout team_added_to_org",
    Outcome.BAD_CREDENTIAL: """token_expired invalid_auth not_authed account_inactive token_revoked missing_scope
        no_permission not_allowed_token_type org_login_required access_denied ekm_access_denied
        two_factor_setup_required accesslimited enterprise_is_restricted invalid_refresh_token bad_client_secret
        invalid_code""",
    Outcome.BAD_RECIPIENT: """channel_not_found not_in_channel is_archived user_not_found users_not_found user_disabled
        restricted_action restricted_action_read_only_channel messages_tab_disabled cannot_reply_to_message
        team_not_found duplicate_channel_not_found user_not_in_channel""",
    Outcome.BAD_CONTENT: """no_text msg_too_long msg_blocks_too_long invalid_blocks invalid_blocks_format
        too_many_attachments attachment_payload_limit_exceeded markdown_text_conflict invalid_metadata_format
        metadata_too_large too_many_contact_cards invalid_arguments invalid_json json_not_object invalid_form_data
        message_not_found cant_update_message cant_delete_message edit_window_closed block_mismatch is_inactive""",
    Outcome.UNKNOWN: "something_new",
}


def answer(status: int, body: bytes, json: dict[str, Any] | None = None, **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, json)


@pytest.mark.parametrize(("word", "outcome"), [(word, each) for each, words in API.items() for word in words.split()])
def test_every_error_of_the_api(word: str, outcome: Outcome) -> None:
    with pytest.raises(Problem) as caught:
        judge(answer(200, b"", {"ok": False, "error": word}))
    assert (caught.value.outcome, caught.value.code) == (outcome, word)
    assert caught.value.everybody == (outcome is Outcome.BAD_CREDENTIAL)


HOOKS = [
    (400, "invalid_payload", Outcome.BAD_CONTENT),
    (400, "no_text", Outcome.BAD_CONTENT),
    (400, "too_many_attachments", Outcome.BAD_CONTENT),
    (400, "invalid_blocks", Outcome.BAD_CONTENT),
    (403, "invalid_token", Outcome.BAD_CREDENTIAL),
    (403, "action_prohibited", Outcome.BAD_CREDENTIAL),
    (400, "action_prohibited", Outcome.BAD_CREDENTIAL),
    (403, "posting_to_general_channel_denied", Outcome.BAD_CREDENTIAL),
    (404, "no_service", Outcome.BAD_CREDENTIAL),
    (404, "no_service_id", Outcome.BAD_CREDENTIAL),
    (404, "no_active_hooks", Outcome.BAD_CREDENTIAL),
    (404, "channel_not_found", Outcome.BAD_RECIPIENT),
    (410, "channel_is_archived", Outcome.BAD_RECIPIENT),
    (429, "rate_limited", Outcome.THROTTLED),
    (500, "rollup_error", Outcome.TRANSIENT),
    (503, "<html>", Outcome.TRANSIENT),
    (200, "", Outcome.UNKNOWN),
    (200, "OK", Outcome.UNKNOWN),
    (200, "<html>gateway</html>", Outcome.UNKNOWN),
    (404, "<html>not here</html>", Outcome.BAD_CREDENTIAL),
    (400, "something_new", Outcome.UNKNOWN),
    (302, "", Outcome.UNKNOWN),
]


@pytest.mark.parametrize(("status", "word", "outcome"), HOOKS)
def test_every_error_of_webhooks(status: int, word: str, outcome: Outcome) -> None:
    with pytest.raises(Problem) as caught:
        judge_hook(answer(status, word.encode()))
    assert caught.value.outcome is outcome


@pytest.mark.parametrize(
    ("status", "word", "outcome"),
    [
        (400, "user_not_found", Outcome.BAD_RECIPIENT),
        (404, "user_not_found", Outcome.BAD_RECIPIENT),
        (403, "team_disabled", Outcome.BAD_CREDENTIAL),
        (404, "no_team", Outcome.BAD_CREDENTIAL),
    ],
)
def test_unverified_errors_of_webhooks(status: int, word: str, outcome: Outcome) -> None:
    with pytest.raises(Problem) as caught:
        judge_hook(answer(status, word.encode()))
    assert caught.value.outcome is outcome


def test_success() -> None:
    assert judge(answer(200, b"", {"ok": True, "ts": "1.2"})) == {"ok": True, "ts": "1.2"}
    judge_hook(answer(200, b"ok"))


@pytest.mark.parametrize("json", [None, {}, {"ok": "true"}, {"ok": 1}])
def test_what_can_not_be_read_is_no_success(json: dict[str, Any] | None) -> None:
    with pytest.raises(Problem) as caught:
        judge(answer(200, b"garbage", json))
    assert caught.value.outcome is Outcome.UNKNOWN


def test_a_missing_scope_is_named() -> None:
    with pytest.raises(Problem) as caught:
        judge(answer(200, b"", {"ok": False, "error": "missing_scope", "needed": "chat:write", "provided": "x"}))
    assert caught.value.advice == "Give the app the scope chat:write, and install it again."


def test_what_is_wrong_with_blocks_is_told() -> None:
    messages = {"messages": ["[ERROR] too long [json-pointer:/blocks/0]"]}
    with pytest.raises(Problem) as caught:
        judge(answer(200, b"", {"ok": False, "error": "invalid_blocks", "response_metadata": messages}))
    assert caught.value.reason == "invalid_blocks: [ERROR] too long [json-pointer:/blocks/0]"


def test_the_wait_is_the_one_that_slack_tells() -> None:
    for judged in (judge, judge_hook):
        with pytest.raises(Problem) as caught:
            judged(answer(429, b"rate_limited", None, retry_after="7"))
        assert (caught.value.outcome, caught.value.after) == (Outcome.THROTTLED, 7.0)


@pytest.mark.parametrize("kind", ["app", "hook"])
@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("throttled", Outcome.THROTTLED),
        ("error", Outcome.TRANSIENT),
        ("garbage", Outcome.UNKNOWN),
        ("closed", Outcome.UNKNOWN),
        ("refused", Outcome.BAD_CREDENTIAL),
        ("token_expired", Outcome.BAD_CREDENTIAL),
    ],
)
async def test_faults(
    connector: SlackApp | SlackWebhook,
    fault: Any,
    outcome: Outcome,
    sandbox: Sandbox,
    sending: Sending,
    clock: Clock,
) -> None:
    sandbox.faults.add("slack", fault)
    assert [each.outcome for each in (await sending(connector, Text("x"))).results] == [outcome]
    clock.advance(60)
    assert [each.outcome for each in (await sending(connector, Text("x"))).results] == [Outcome.OK]


async def test_what_tells_nobody_anything_may_be_tried_again(app: SlackApp, sandbox: Sandbox) -> None:
    sandbox.faults.add("slack", "closed")
    [result] = (await app.send(Message(Text("x")), [Target("email", "tom@example.com")], key="k1")).results
    assert result.outcome is Outcome.TRANSIENT


async def test_no_answer_is_unknown(app: SlackApp, sandbox: Sandbox, sending: Sending) -> None:
    app._api._http.call = _quick(app._api._http.call)  # type: ignore[method-assign]
    sandbox.faults.add("slack", "silence")
    assert [each.outcome for each in (await sending(app, Text("x"))).results] == [Outcome.UNKNOWN]


def _quick(call: Callable[..., Any]) -> Callable[..., Any]:
    async def quick(*given: Any, **options: Any) -> Any:
        return await call(*given, **{**options, "timeout": 0.2})

    return quick


async def test_nobody_there_is_transient(make_app: Callable[..., SlackApp], sending: Sending) -> None:
    app = make_app(base_url="http://127.0.0.1:9")
    [result] = (await sending(app, Text("x"))).results
    assert (result.outcome, result.everybody) == (Outcome.TRANSIENT, True)


async def test_a_private_address_is_refused(sending: Sending, around: Around) -> None:
    hook = SlackWebhook(SlackWebhookCredentials(url="http://10.0.0.1/services/T/B/secret"), around())
    [result] = (await sending(hook, Text("x"))).results
    assert result.outcome is Outcome.BAD_CREDENTIAL
    assert "allowed_private" in result.reason
    assert "secret" not in result.reason


async def test_a_bad_token_stops_at_the_first_target(make_app: Callable[..., SlackApp], sending: Sending) -> None:
    app = make_app(bot_token="xoxb-wrong")
    sent = await sending(app, Text("x"), [ALERTS, Target("user", "U0ALICE001")])
    assert [each.outcome for each in sent.results] == [Outcome.BAD_CREDENTIAL] * 2
    assert sent.results[1].code == "invalid_auth"


async def test_the_rate_of_a_channel_is_kept(app: SlackApp, sending: Sending, clock: Clock) -> None:
    results = [(await sending(app, Text("x"))).results[0] for _ in range(7)]
    assert [each.outcome for each in results] == [Outcome.OK] * 5 + [Outcome.THROTTLED] * 2
    assert len(sending.shown) == 5
    assert results[-1].after == 5.5
    other = await sending(app, Text("x"), [Target("group", "C0GENERAL1")])
    assert other.results[0].outcome is Outcome.OK
    clock.advance(6)
    assert (await sending(app, Text("x"))).results[0].outcome is Outcome.OK


async def test_the_rate_of_a_workspace_is_kept(
    app: SlackApp, sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_api, "WORKSPACE", 1)
    people = [Target("user", "U0ALICE001"), Target("user", "U0BOB00001")]
    results = (await sending(app, Text("x"), people)).results
    assert [(each.outcome, each.after) for each in results] == [(Outcome.OK, None), (Outcome.THROTTLED, 60.0)]


async def test_a_channel_that_is_throttled_is_left_alone(
    app: SlackApp, sandbox: Sandbox, sending: Sending, clock: Clock
) -> None:
    sandbox.faults.add("slack", "throttled")
    assert (await sending(app, Text("x"))).results[0].after == 1.0
    clock.advance(0.5)
    paced = (await sending(app, Text("x"))).results[0]
    assert (paced.outcome, paced.after) == (Outcome.THROTTLED, 0.5)
    clock.advance(0.6)
    assert (await sending(app, Text("x"))).results[0].outcome is Outcome.OK


async def test_who_does_not_know_the_token_slows_nobody_down(
    make_app: Callable[..., SlackApp], around: Around, sandbox: Sandbox, sending: Sending
) -> None:
    """Ids of channels are no secret: a channel of another app may name the same one, and a Slack of its own."""
    shared = around()
    sandbox.faults.add("slack", "throttled")
    other = make_app(shared, bot_token="xoxb-made-up")
    assert (await sending(other, Text("x"))).results[0].outcome is Outcome.THROTTLED
    assert (await sending(make_app(shared), Text("x"))).results[0].outcome is Outcome.OK


ROTATION = {
    "client_id": "1000.2000",
    "client_secret": "sandbox-client-secret",
    "refresh_token": "xoxe-1-sandbox-refresh",
}


async def test_an_expired_token_of_many_senders_is_renewed_once(
    make_app: Callable[..., SlackApp], around: Around, slack: Slack, sending: Sending
) -> None:
    kept: list[Mapping[str, str]] = []

    async def keep(fields: Mapping[str, str]) -> None:
        kept.append(fields)

    surroundings: Surroundings = _with(around(), keep)
    app = make_app(surroundings, **ROTATION)
    slack.tokens.expire()
    sent = await asyncio.gather(
        *(
            app.send(Message(Text("x")), [Target("user", "U0ALICE001" if n % 2 else "U0BOB00001")], key=f"k{n}")
            for n in range(10)
        ),
        *(app.look_up(Target("email", f"nobody{n}@sandbox.example")) for n in range(40)),
        return_exceptions=True,
    )
    assert all(isinstance(each, Problem | Sent) for each in sent)
    outcomes = [each.results[0].outcome if isinstance(each, Sent) else getattr(each, "outcome", None) for each in sent]
    assert outcomes == [Outcome.OK] * 10 + [Outcome.BAD_RECIPIENT] * 40
    assert slack.tokens.refreshed == 1
    assert kept == [{"bot_token": "xoxe.xoxb-1-sandbox-1", "refresh_token": "xoxe-1-sandbox-refresh-1"}]


def _with(surroundings: Surroundings, keep: Any) -> Surroundings:
    from dataclasses import replace

    return replace(surroundings, renewed=keep)


async def test_a_token_is_renewed_before_it_ends_with_the_newest_refresh_token(
    make_app: Callable[..., SlackApp], slack: Slack, clock: Clock
) -> None:
    app = make_app(bot_token="", **ROTATION)
    for number in (1, 2):
        await app.check()
        assert slack.tokens.refreshed == number
        clock.advance(43_200 - 200)


async def test_a_second_expiry_is_a_bad_credential(
    make_app: Callable[..., SlackApp], sandbox: Sandbox, slack: Slack, sending: Sending
) -> None:
    app = make_app(**ROTATION)
    sandbox.faults.add("slack", "token_expired", 2, "/api/chat.postMessage")
    [result] = (await sending(app, Text("x"))).results
    assert (result.outcome, result.code) == (Outcome.BAD_CREDENTIAL, "token_expired")
    assert slack.tokens.refreshed == 1


async def test_without_rotation_an_expired_token_is_told(app: SlackApp, slack: Slack, sending: Sending) -> None:
    slack.tokens.expire()
    [result] = (await sending(app, Text("x"))).results
    assert result.outcome is Outcome.BAD_CREDENTIAL
    assert "refresh_token" in result.advice


async def test_a_refresh_that_fails(make_app: Callable[..., SlackApp], slack: Slack, sending: Sending) -> None:
    app = make_app(**{**ROTATION, "refresh_token": "xoxe-old"})
    slack.tokens.expire()
    [result] = (await sending(app, Text("x"))).results
    assert (result.outcome, result.code, result.everybody) == (Outcome.BAD_CREDENTIAL, "invalid_refresh_token", True)


async def test_success_without_an_id_is_unknown(app: SlackApp, sending: Sending) -> None:
    async def call(*given: Any, **options: Any) -> Answer:
        return answer(200, b"", {"ok": True})

    app._api._http.call = call  # type: ignore[method-assign]
    assert (await sending(app, Text("x"))).results[0].outcome is Outcome.UNKNOWN


def test_secrets_are_shown_nowhere(app: SlackApp, hook: SlackWebhook, credentials: dict[str, Any]) -> None:
    given = SlackCredentials(**credentials, **ROTATION)
    for shown in (repr(given), str(given), repr(app), repr(hook), f"{[given]}"):
        assert not any(each in shown for each in ("xox", "8f74", "secret", "/services/"))
    assert APP.secret | {"base_url", "client_id"} == set(SlackCredentials.__struct_fields__)
    assert HOOK.secret | {"base_url"} == set(SlackWebhookCredentials.__struct_fields__)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "bot_token"),
        ({"bot_token": "xoxb-1", "refresh_token": "x"}, "given together"),
        ({"bot_token": "xoxb-1", "colour": "red"}, "unknown field"),
    ],
)
def test_wrong_credentials_are_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(given, SlackCredentials)


def test_an_unknown_word_is_unknown() -> None:
    assert outcome_of("") is Outcome.UNKNOWN
