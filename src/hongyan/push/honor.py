"""Honor Push Kit.

From Honor's reference "Downlink messages" (developer.honor.com/cn/docs/11002/reference/downlink-message), as far as
public clients written after it agree: addresses, the header `timestamp` in milliseconds, fields, and the answer with
`expireTokens` and `failTokens`. Not sure: which codes there are beside 200. A code that is none of success is read as
an HTTP status where it is one, and is a refusal otherwise. That the limit is 4096 bytes is taken from Huawei's.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from hongyan.engine.pushing import Device, InvalidToken, Outcome, Push, Sent
from hongyan.push import content
from hongyan.push.content import Notice
from hongyan.push.credentials import check_filled
from hongyan.push.http import Answer
from hongyan.push.push_kit import PushKit, PushKitCredentials
from hongyan.push.service import code, failure, said

URL = "https://push-api.cloud.honor.com"
AUTH_URL = "https://iam.developer.honor.com/auth/token"

_SUCCESS = frozenset({"200", "80000000"})
_LATER = frozenset({"429", "500", "502", "503", "504"})


class HonorCredentials(PushKitCredentials, frozen=True, kw_only=True):
    client_id: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_filled(self, "client_id")


class Honor(PushKit):
    def __init__(self, credentials: HonorCredentials, now: Callable[[], float] = time.time) -> None:
        super().__init__(
            credentials.title,
            f"{credentials.root(URL)}/api/v1/{credentials.app_id}/sendMessage",
            credentials.auth_url or AUTH_URL,
            (credentials.client_id, credentials.client_secret),
            now,
        )

    def _message(self, push: Push, notice: Notice, title: str, body: str, ttl: str) -> dict[str, Any]:
        android: dict[str, Any] = {"ttl": ttl, "biTag": content.identifier(push.id)}
        message: dict[str, Any] = {"android": android}
        if notice.data or notice.silent:
            message["data"] = notice.data_json
        if notice.silent:
            return message
        # 3: a tap opens the app; NORMAL: a message of a person, not an advertisement
        shown: dict[str, Any] = {"title": title, "body": body, "clickAction": {"type": 3}, "importance": "NORMAL"}
        collapse = content.collapse(push)
        if collapse is not None:
            shown["tag"] = collapse
        android["notification"] = shown
        return message

    def _request(self, token: str, message: dict[str, Any]) -> dict[str, Any]:
        return {**message, "token": [token]}

    def _extra(self) -> Mapping[str, str]:
        return {"timestamp": str(int(self._now() * 1000))}

    def _voids(self, answer: Answer) -> bool:
        return "401" in (str(answer.status), code(answer.json().get("code")))

    def _outcome(self, answer: Answer, device: Device) -> Outcome:
        given = answer.json()
        number, text = code(given.get("code")), said(given.get("message"))
        data = given.get("data")
        data = data if isinstance(data, dict) else {}
        expired = data.get("expireTokens")
        if isinstance(expired, list) and device.token in expired:
            return InvalidToken("expired")
        failed = data.get("failTokens")
        if number in _SUCCESS and data.get("sendResult") is not False and not failed:
            return Sent(said(data.get("requestId")))
        return failure(answer, number, text, _LATER)
