"""Huawei Push Kit, version 1 of its REST API.

From Huawei's reference "Downlink Message Sending" (HMSCore-References, https-send-api-0000001050986197), its guide to
OAuth 2.0 (open-platform-oauth-0000001053629189) and its published server demo in Python
(HMS-Core/hms-push-serverdemo-python): addresses, fields and codes. Not sure: that `503` and code 80300026 are all there
is of limits; every other code that is not known here is taken as a refusal.
"""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from hongyan.engine.pushing import Device, InvalidToken, Outcome, Push, Sent
from hongyan.push import content
from hongyan.push.content import Notice
from hongyan.push.http import Answer
from hongyan.push.push_kit import PushKit, PushKitCredentials
from hongyan.push.service import code, failure, said

URL = "https://push-api.cloud.huawei.com"
AUTH_URL = "https://oauth-login.cloud.huawei.com/oauth2/v3/token"

SUCCESS, PARTIAL, INVALID_TOKENS = "80000000", "80100000", "80300007"
#: The OAuth token is not valid, or has expired.
_TOKEN = frozenset({"80200001", "80200003"})
#: OAuth can't be reached, an inner error, too many requests.
_LATER = frozenset({"80600003", "81000001", "80300026"})


class HuaweiCredentials(PushKitCredentials, frozen=True, kw_only=True):
    """`client_id` is the app's id, if nothing else is said; `category` as Huawei granted it, such as `IM`."""

    client_id: str = ""
    category: str = ""
    channel: str = ""


class Huawei(PushKit):
    def __init__(self, credentials: HuaweiCredentials, now: Callable[[], float] = time.time) -> None:
        super().__init__(
            credentials.title,
            f"{credentials.root(URL)}/v1/{credentials.app_id}/messages:send",
            credentials.auth_url or AUTH_URL,
            (credentials.client_id or credentials.app_id, credentials.client_secret),
            now,
        )
        self._credentials = credentials

    def _message(self, push: Push, notice: Notice, title: str, body: str, ttl: str) -> dict[str, Any]:
        android: dict[str, Any] = {"ttl": ttl, "bi_tag": content.identifier(push.id)}
        if self._credentials.category:
            android["category"] = self._credentials.category
        message: dict[str, Any] = {"android": android}
        if notice.data or notice.silent:
            message["data"] = notice.data_json
        if notice.silent:
            return message
        # 3: a tap opens the app
        shown: dict[str, Any] = {"title": title, "body": body, "click_action": {"type": 3}}
        collapse = content.collapse(push)
        if collapse is not None:
            shown["tag"] = collapse
        if self._credentials.channel:
            shown["channel_id"] = self._credentials.channel
        android["notification"] = shown
        return message

    def _request(self, token: str, message: dict[str, Any]) -> dict[str, Any]:
        return {"validate_only": False, "message": {**message, "token": [token]}}

    def _voids(self, answer: Answer) -> bool:
        return answer.status == 401 or code(answer.json().get("code")) in _TOKEN

    def _outcome(self, answer: Answer, device: Device) -> Outcome:
        given = answer.json()
        number, text = code(given.get("code")), said(given.get("msg"))
        if number == SUCCESS:
            return Sent(said(given.get("requestId")))
        if number == INVALID_TOKENS or (number == PARTIAL and _illegal(given.get("msg"), device.token)):
            return InvalidToken(text)
        return failure(answer, number, text, _LATER)


def _illegal(message: Any, token: str) -> bool:
    """Whether the token is among those that a partial success names, in JSON inside the text."""
    try:
        found = msgspec.json.decode(message if isinstance(message, str) else "")
    except (msgspec.DecodeError, RecursionError):
        return False
    named = found.get("illegal_tokens") if isinstance(found, dict) else None
    return isinstance(named, list) and token in named
