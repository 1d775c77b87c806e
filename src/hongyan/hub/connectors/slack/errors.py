"""What Slack's answers mean (connectors reference 5.3)."""

from collections.abc import Mapping
from typing import Any

from hongyan.hub.connector import Outcome, Problem
from hongyan.hub.http import Answer

#: The words of each class; one that ends with `*` is the beginning of several.
_WORDS: Mapping[Outcome, str] = {
    Outcome.THROTTLED: "ratelimited rate_limited message_limit_exceeded",
    Outcome.TRANSIENT: "internal_error fatal_error service_unavailable request_timeout team_added_to_org rollup_error",
    Outcome.BAD_CREDENTIAL: (
        "token_expired invalid_auth not_authed account_inactive token_revoked missing_scope no_permission"
        " not_allowed_token_type org_login_required access_denied ekm_access_denied two_factor_setup_required"
        " accesslimited enterprise_is_restricted invalid_refresh_token bad_client_secret invalid_client_id invalid_code"
        " invalid_token action_prohibited posting_to_general_channel_denied team_disabled no_team no_service"
        " no_service_id no_active_hooks"
    ),
    Outcome.BAD_RECIPIENT: (
        "channel_not_found not_in_channel is_archived channel_is_archived user_not_found users_not_found user_disabled"
        " restricted_action* messages_tab_disabled cannot_reply_to_message team_not_found duplicate_channel_not_found"
        " user_not_in_channel user_not_visible cannot_dm_bot"
    ),
    Outcome.BAD_CONTENT: (
        "no_text msg_too_long msg_blocks_too_long invalid_blocks invalid_blocks_format too_many_attachments"
        " attachment_payload_limit_exceeded markdown_text_conflict invalid_metadata_* metadata_too_large"
        " too_many_contact_cards invalid_arguments invalid_json json_not_object invalid_form_data invalid_payload"
        " message_not_found cant_update_message cant_delete_message edit_window_closed block_mismatch is_inactive"
        " file_not_found cant_delete_file thread_not_found only_one_table_allowed"
    ),
}
_CLASSES = {word: outcome for outcome, words in _WORDS.items() for word in words.split()}
_BEGINNINGS = {word[:-1]: outcome for word, outcome in _CLASSES.items() if word.endswith("*")}

#: What an operator does about it.
_ADVICE = {
    "invalid_auth": "Copy the bot token (xoxb-…) from the app's page again.",
    "not_authed": "Copy the bot token (xoxb-…) from the app's page again.",
    "account_inactive": "Install the app in the workspace again, and use the new token.",
    "token_revoked": "Install the app in the workspace again, and use the new token.",
    "token_expired": "Token rotation is on for the app: give refresh_token, client_id and client_secret, too.",
    "invalid_refresh_token": "Install the app in the workspace again, and use its new tokens.",
    "bad_client_secret": "Copy client_id and client_secret from the app's page again.",
    "invalid_client_id": "Copy client_id and client_secret from the app's page again.",
    "not_allowed_token_type": "Use the bot token (xoxb-…), not that of a user or an app-level token.",
    "accesslimited": "Add the server's address to the allowed IP addresses of the app.",
    "not_in_channel": "Invite the app to the channel, or give it the scope chat:write.public.",
    "channel_not_found": "Use the channel's id (C…), and invite the app if the channel is private.",
    "is_archived": "The channel is archived: choose another one.",
    "channel_is_archived": "The channel is archived: choose another one.",
    "users_not_found": "Nobody in the workspace has this mail address.",
    "messages_tab_disabled": "Switch on the messages tab in the app's settings (App Home).",
    "no_service": "The webhook was removed: make a new one, and use its address.",
    "no_service_id": "The webhook was removed: make a new one, and use its address.",
    "no_active_hooks": "The webhook is switched off: switch it on, or make a new one.",
    "invalid_token": "The address is not that of a webhook: copy it again.",
    "action_prohibited": "An administrator of the workspace has forbidden it: ask them.",
    "posting_to_general_channel_denied": "An administrator lets few people write in #general: choose another channel.",
    "invalid_blocks": "Slack could not show a part of it; pictures must be at an address that Slack can read.",
    "edit_window_closed": "The workspace's settings end the time in which messages can be changed.",
}


def outcome_of(word: str) -> Outcome:
    """The class of an error; unknown, if it is none that we know."""
    known = _CLASSES.get(word)
    if known is None:
        known = next((outcome for start, outcome in _BEGINNINGS.items() if word.startswith(start)), Outcome.UNKNOWN)
    return known


def judge(answer: Answer) -> dict[str, Any]:
    """The answer of a method of the Web API, which is HTTP 200 for errors as well. Raises Problem."""
    _judge_status(answer)
    body = answer.json
    if body is None or not isinstance(body.get("ok"), bool):
        raise Problem(Outcome.UNKNOWN, f"Slack's answer (HTTP {answer.status}) can't be read")
    if body["ok"]:
        return body
    word = str(body.get("error", ""))
    advice = ""
    if body.get("needed"):
        advice = f"Give the app the scope {body['needed']}, and install it again."
    reason = _details(body)
    raise _problem(word, f"{word}: {reason}" if reason else word, answer, advice)


def judge_hook(answer: Answer) -> None:
    """The answer of a webhook: a bare word. Raises Problem."""
    _judge_status(answer)
    word = answer.body.decode("utf-8", "replace").strip()
    if answer.status == 200 and word == "ok":
        return
    if answer.status == 200 or not word.replace("_", "").isalnum() or len(word) > 100:
        outcome = Outcome.BAD_CREDENTIAL if answer.status in (403, 404, 410) else Outcome.UNKNOWN
        raise Problem(
            outcome,
            f"the webhook's answer (HTTP {answer.status}) is not one of Slack",
            code=str(answer.status),
            advice="Check the address of the webhook.",
            everybody=outcome is Outcome.BAD_CREDENTIAL,
        )
    raise _problem(word, word, answer)


def _judge_status(answer: Answer) -> None:
    if answer.status == 429:
        raise Problem(Outcome.THROTTLED, "too many messages for Slack", code="429", after=answer.retry_after)
    if answer.status >= 500:
        word = answer.body.decode("utf-8", "replace").strip()
        code = word if word in _CLASSES else str(answer.status)
        raise Problem(Outcome.TRANSIENT, f"Slack answers HTTP {answer.status}", code=code, after=answer.retry_after)


def _problem(word: str, reason: str, answer: Answer, advice: str = "") -> Problem:
    outcome = outcome_of(word)
    return Problem(
        outcome,
        reason or "Slack gives no reason",
        code=word,
        advice=advice or _ADVICE.get(word, ""),
        after=answer.retry_after if outcome in (Outcome.THROTTLED, Outcome.TRANSIENT) else None,
        everybody=outcome is Outcome.BAD_CREDENTIAL,
    )


def _details(body: Mapping[str, Any]) -> str:
    """What Slack says besides about arguments that are wrong."""
    found = body.get("errors")
    if not isinstance(found, list):
        metadata = body.get("response_metadata")
        found = metadata.get("messages") if isinstance(metadata, dict) else None
    return "; ".join(str(each) for each in found[:3])[:300] if isinstance(found, list) else ""
