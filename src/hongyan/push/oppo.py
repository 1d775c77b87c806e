"""OPPO Push (HeyTap), version 1 of its API.

From OPPO's "Addresses, common parameters and codes", "Authentication", "Sending to one" and "Notification"
(open.oppomobile.com, documents 11233 to 11238), as copies of them and `modood/pushapi` give them: addresses, the sign,
fields, common codes. Not sure: that 10000 always means the registration id, as public clients take it.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from hongyan.engine.pushing import Device, InvalidToken, Outcome, Push, Refused, Sent
from hongyan.push import content
from hongyan.push.credentials import check_filled
from hongyan.push.failed import Failed
from hongyan.push.http import Answer
from hongyan.push.service import FORM, TokenService, code, failure, said
from hongyan.push.vendor import VendorCredentials
from hongyan.tokens import Token

#: Of devices in China; `base_url` of those elsewhere is https://api-intl.push.oppomobile.com.
URL = "https://api.push.oppomobile.com"
TITLE_MAX, BODY_MAX, LONG_BODY_MAX, DATA_MAX = 50, 50, 128, 4_000
TTL_MAX = 864_000
#: A token is valid for a day (s).
TOKEN_LIFETIME = 86_400
INVALID_ID = "10000"
#: Flow control, not available, too many calls, too many a day, too often.
_LATER = frozenset({"-2", "-1", "13", "33", "55"})
_TOKEN = frozenset({"11", "29"})


class OppoCredentials(VendorCredentials, frozen=True, kw_only=True):
    """`category` and `channel` as OPPO knows them: a message of a person is of the category `IM`."""

    app_key: str
    master_secret: str
    channel: str = ""
    category: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_filled(self, "app_key", "master_secret")


class Oppo(TokenService):
    def __init__(self, credentials: OppoCredentials, now: Callable[[], float] = time.time) -> None:
        super().__init__(now=now)
        self._credentials = credentials
        self._root = credentials.root(URL)

    async def _send(self, push: Push, device: Device) -> Outcome:
        message = content.packed(
            {"target_type": 2, "target_value": device.token, "notification": self._notification(push)}
        ).decode()
        url = f"{self._root}/server/v1/message/notification/unicast"

        async def ask(token: str) -> Answer:
            form = urlencode({"auth_token": token, "message": message}).encode()
            return await self._http.post(url, form, FORM)

        return self._outcome(await self._with_token(ask, lambda answer: code(answer.json().get("code")) in _TOKEN))

    def _notification(self, push: Push) -> dict[str, Any]:
        """Raises Failed."""
        notice = content.visible(push.content, self._credentials.title)
        long = len(notice.body) > BODY_MAX
        shown: dict[str, Any] = {
            "app_message_id": content.identifier(push.id),  # the same is shown once
            "style": 2 if long else 1,
            "title": content.shorten(notice.title, TITLE_MAX),
            "content": content.shorten(notice.body, LONG_BODY_MAX),
            "click_action_type": 0,  # a tap opens the app
            "off_line": True,
            "off_line_ttl": self._ttl(push, 1, TTL_MAX),
        }
        if notice.data:
            shown["action_parameters"] = notice.data_json
            if len(notice.data_json) > DATA_MAX:
                raise Failed(Refused("PayloadTooLarge", f"the data are longer than {DATA_MAX} characters"))
        collapse = content.collapse(push)
        if collapse is not None:
            shown["notify_id"] = content.number(collapse)
        optional = {"channel_id": self._credentials.channel, "category": self._credentials.category}
        return shown | {key: value for key, value in optional.items() if value}

    def _outcome(self, answer: Answer) -> Outcome:
        given = answer.json()
        number, text = code(given.get("code")), said(given.get("message"))
        if number == "0":
            data = given.get("data")
            return Sent(said(data.get("messageId")) if isinstance(data, dict) else "")
        if number == INVALID_ID:
            return InvalidToken(text)
        return failure(answer, number, text, _LATER)

    async def _fetch(self) -> Token:
        key, at = self._credentials.app_key, str(int(self._now() * 1000))
        sign = hashlib.sha256(f"{key}{at}{self._credentials.master_secret}".encode()).hexdigest()
        form = urlencode({"app_key": key, "timestamp": at, "sign": sign}).encode()
        answer = await self._http.post(f"{self._root}/server/v1/auth", form, FORM)
        given = answer.json()
        number = code(given.get("code"))
        if number not in ("", "0"):
            raise Failed(failure(answer, number, said(given.get("message")), _LATER))
        data = given.get("data")
        return self._token(data.get("auth_token") if isinstance(data, dict) else None, TOKEN_LIFETIME, answer)
