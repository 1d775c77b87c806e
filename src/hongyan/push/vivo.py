"""vivo Push (UPS).

From vivo's "PUSH-UPS API" (dev.vivo.com.cn, document 362), as `modood/pushapi` documents each of its fields and copies
give its text: addresses, the sign, fields, 10070 (and that it lasts to the end of the day), 10302, `invalidUser`. Not
sure: the other codes of limits (10040, 10071 to 10073, 10250).
"""

import hashlib
import time
from collections.abc import Callable
from typing import Any

from hongyan.engine.pushing import Device, InvalidToken, Outcome, Push, Refused, RetryLater, Sent
from hongyan.push import content
from hongyan.push.credentials import check_filled, check_number
from hongyan.push.failed import Failed
from hongyan.push.http import Answer
from hongyan.push.service import JSON, TokenService, code, failure, said
from hongyan.push.vendor import VendorCredentials
from hongyan.tokens import Token

URL = "https://api-push.vivo.com.cn"
TITLE_MAX, BODY_MAX, DATA_MAX = 40, 100, 1_024
TTL_MIN, TTL_MAX = 60, 86_400
#: A token is valid for a day, but vivo asks to fetch a new one after one or two hours (s).
TOKEN_LIFETIME = 7_200
INVALID_ID = "10302"
#: The day's number of messages is used up: vivo asks not to try again on that day, and this is a step towards it (s).
_USED_UP, USED_UP_WAIT = frozenset({"10070", "10073"}), 3_600.0
#: Busy, a time at which nothing may be sent, too fast, an inner error, too many authentications.
_LATER = frozenset({"10040", "10071", "10072", "10102", "10250"})
_TOKEN = frozenset({"10000"})
#: Of an invalid user: there is no such id for this app; the app was removed or has unsubscribed.
_GONE = (1, 2)


class VivoCredentials(VendorCredentials, frozen=True, kw_only=True):
    """`category`: of vivo's second level, such as `IM`."""

    app_id: str
    app_key: str
    app_secret: str
    category: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.app_id, "app_id")
        check_filled(self, "app_key", "app_secret")


class Vivo(TokenService):
    def __init__(self, credentials: VivoCredentials, now: Callable[[], float] = time.time) -> None:
        super().__init__(now=now)
        self._credentials = credentials
        self._root = credentials.root(URL)

    async def _send(self, push: Push, device: Device) -> Outcome:
        body = content.packed({"regId": device.token, **self._message(push)})

        async def ask(token: str) -> Answer:
            return await self._http.post(f"{self._root}/message/send", body, {**JSON, "authToken": token})

        return self._outcome(await self._with_token(ask, lambda answer: code(answer.json().get("result")) in _TOKEN))

    def _message(self, push: Push) -> dict[str, Any]:
        """Raises Failed."""
        notice = content.visible(push.content, self._credentials.title)
        message: dict[str, Any] = {
            "appId": int(self._credentials.app_id),
            "notifyType": 4,  # sound and vibration
            "title": content.shorten(notice.title, TITLE_MAX),
            "content": content.shorten(notice.body, BODY_MAX),
            "timeToLive": self._ttl(push, TTL_MIN, TTL_MAX),
            "skipType": 1,  # a tap opens the app
            "classification": 1,  # a message of a person, not an advertisement
            "requestId": content.identifier(push.id),
        }
        data = {
            key: value if isinstance(value, str) else content.packed(value).decode()
            for key, value in notice.data.items()
        }
        if data:
            message["clientCustomMap"] = data
            if sum(len(key) + len(value) for key, value in data.items()) > DATA_MAX:
                raise Failed(Refused("PayloadTooLarge", f"the data are longer than {DATA_MAX} characters"))
        collapse = content.collapse(push)
        if collapse is not None:
            message["notifyId"] = content.number(collapse)
        if self._credentials.category:
            message["category"] = self._credentials.category
        return message

    def _outcome(self, answer: Answer) -> Outcome:
        given = answer.json()
        number, text = code(given.get("result")), said(given.get("desc"))
        user = given.get("invalidUser")
        if number == INVALID_ID or (isinstance(user, dict) and user.get("status") in _GONE):
            return InvalidToken(text)
        if number == "0":
            return Sent(said(given.get("taskId")))
        if number in _USED_UP:
            return RetryLater(USED_UP_WAIT, f"{number} {text}")
        return failure(answer, number, text, _LATER)

    async def _fetch(self) -> Token:
        kept, at = self._credentials, int(self._now() * 1000)
        signed = f"{kept.app_id}{kept.app_key}{at}{kept.app_secret}".encode()
        sign = hashlib.md5(signed, usedforsecurity=False).hexdigest()
        body = content.packed({"appId": int(kept.app_id), "appKey": kept.app_key, "timestamp": at, "sign": sign})
        answer = await self._http.post(f"{self._root}/message/auth", body, JSON)
        given = answer.json()
        number = code(given.get("result"))
        if number not in ("", "0"):
            raise Failed(failure(answer, number, said(given.get("desc")), _LATER))
        return self._token(given.get("authToken"), TOKEN_LIFETIME, answer)
