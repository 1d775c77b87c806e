"""Meizu Push (Flyme).

From Meizu's published description of its HTTP interface (github.com/MEIZUPUSH/PushAPI): all that is used here. It has
no silent pushes any more, and its own example of a sign is a test.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from hongyan.engine.pushing import Device, InvalidToken, Outcome, Push, Refused, RetryLater, Sent
from hongyan.push import content
from hongyan.push.credentials import check_filled, check_number
from hongyan.push.http import Answer
from hongyan.push.service import FORM, Service, code, failure, said
from hongyan.push.vendor import VendorCredentials

URL = "https://server-api-push.meizu.com"
TITLE_MAX, BODY_MAX = 32, 100
#: Hours for which it keeps a push, and of one.
HOURS_MAX, HOUR = 72, 3_600
#: An inner error, busy, too fast, too many a day, too many.
_LATER = frozenset({"500", "1001", "1003", "110010", "110019", "110051"})
#: What is said of single devices: not subscribed, no id, switched off. There `110010` is no limit.
_GONE = frozenset({"110002", "110003", "110010"})
_DEVICE_LATER = frozenset({"501", "513", "518", "519", "520", "110011"})


class MeizuCredentials(VendorCredentials, frozen=True, kw_only=True):
    app_id: str
    app_secret: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.app_id, "app_id")
        check_filled(self, "app_secret")


class Meizu(Service):
    def __init__(self, credentials: MeizuCredentials, now: Callable[[], float] = time.time) -> None:
        super().__init__(now=now)
        self._credentials = credentials
        self._url = f"{credentials.root(URL)}/garcia/api/server/push/varnished/pushByPushId"

    async def _send(self, push: Push, device: Device) -> Outcome:
        form = {
            "appId": self._credentials.app_id,
            "pushIds": device.token,
            "messageJson": content.packed(self._message(push)).decode(),
        }
        form["sign"] = sign(form, self._credentials.app_secret)
        return self._outcome(await self._http.post(self._url, urlencode(form).encode(), FORM), device)

    def _message(self, push: Push) -> dict[str, Any]:
        """Raises Failed."""
        notice = content.visible(push.content, self._credentials.title)
        hours = self._ttl(push, HOUR, HOURS_MAX * HOUR) // HOUR
        message: dict[str, Any] = {
            "noticeBarInfo": {
                "noticeMsgType": 1,  # a message of a person
                "title": content.shorten(notice.title, TITLE_MAX),
                "content": content.shorten(notice.body, BODY_MAX),
            },
            "clickTypeInfo": {"clickType": 0, **({"parameters": notice.data} if notice.data else {})},
            "pushTimeInfo": {"offLine": 1, "validTime": hours},
        }
        collapse = content.collapse(push)
        if collapse is not None:
            message["advanceInfo"] = {"notifyKey": f"{content.number(collapse):x}"}
        return message

    def _outcome(self, answer: Answer, device: Device) -> Outcome:
        given = answer.json()
        number, text = code(given.get("code")), said(given.get("message"))
        if number == "200":
            return _of_device(given.get("value"), device) or Sent(said(given.get("msgId")))
        return failure(answer, number, text, _LATER)


def sign(form: Mapping[str, str], secret: str) -> str:
    """Of all fields in the order of their names, before they are packed for the way."""
    text = "".join(f"{key}={form[key]}" for key in sorted(form)) + secret
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _of_device(value: Any, device: Device) -> Outcome | None:
    """What is wrong with the one device; None if nothing is. A success names only those that get nothing."""
    for number, ids in value.items() if isinstance(value, dict) else ():
        if isinstance(ids, list) and device.token in ids:
            if number in _GONE:
                return InvalidToken(number)
            return RetryLater(None, number) if number in _DEVICE_LATER else Refused(number, "not sent to this device")
    return None
