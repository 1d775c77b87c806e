"""Xiaomi Push (Mi Push), version 3 of its API.

From Xiaomi's "Server API address and parameters" (dev.mi.com, pId 1559 and 1696), as `modood/pushapi` documents each of
its fields, and its list of error codes. Not sure: that 20301 is said of an id that is not valid any more (Xiaomi's text
for it is "message not sent"), so the text must name the id too; and which of 200001 to 200004 is which of its limits.
"""

import re
import time
from collections.abc import Callable
from urllib.parse import urlencode

from hongyan.engine.pushing import Device, InvalidToken, Outcome, Push, Refused, Sent
from hongyan.push import content
from hongyan.push.credentials import check_filled
from hongyan.push.failed import Failed
from hongyan.push.http import Answer
from hongyan.push.service import FORM, Service, code, failure, said
from hongyan.push.vendor import VendorCredentials

URL = "https://api.xmpush.xiaomi.com"
TITLE_MAX, BODY_MAX, PAYLOAD_MAX = 49, 127, 4_096
TTL_MAX = 1_209_600
NOT_SENT = "20301"
#: An inner error, out of service, a remote one, busy; too many calls of an address, a user, a call, an app; its limits.
_LATER = frozenset(
    {
        *("10001", "10002", "10003", "10009", "10022", "10023", "10024", "10027"),
        *("200001", "200002", "200003", "200004"),
    }
)
_BAD_ID = re.compile(r"reg\w*[ _]?id", re.IGNORECASE)


class XiaomiCredentials(VendorCredentials, frozen=True, kw_only=True):
    """`package`: of devices that don't say theirs; `channel`: the id that Xiaomi gave to a kind of notifications."""

    app_secret: str
    package: str = ""
    channel: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_filled(self, "app_secret")


class Xiaomi(Service):
    def __init__(self, credentials: XiaomiCredentials, now: Callable[[], float] = time.time) -> None:
        super().__init__(now=now)
        self._credentials = credentials
        self._url = f"{credentials.root(URL)}/v3/message/regid"

    async def _send(self, push: Push, device: Device) -> Outcome:
        form = urlencode(self._form(push, device)).encode()
        headers = {**FORM, "Authorization": f"key={self._credentials.app_secret}"}
        return self._outcome(await self._http.post(self._url, form, headers))

    def _form(self, push: Push, device: Device) -> dict[str, str | int]:
        """Raises Failed."""
        notice = content.notice(push.content, self._credentials.title)
        data = notice.data_json
        if len(data.encode()) > PAYLOAD_MAX:
            raise Failed(Refused("PayloadTooLarge", f"the data are longer than {PAYLOAD_MAX} bytes"))
        # devices show the last notification of each number only
        number = content.number(content.collapse(push) or push.id)
        form: dict[str, str | int] = {
            "registration_id": device.token,
            "payload": data,
            "pass_through": 1 if notice.silent else 0,
            "time_to_live": self._ttl(push, 1, TTL_MAX) * 1000,
            "notify_id": number,
            "extra.jobkey": content.identifier(push.id),
        }
        package = device.app or self._credentials.package
        if package:
            form["restricted_package_name"] = package
        if notice.silent:
            return form
        form["title"] = content.shorten(notice.title, TITLE_MAX)
        form["description"] = content.shorten(notice.body, BODY_MAX)
        form["notify_type"] = -1  # sound, vibration and light as the device has it
        form["extra.notify_effect"] = "1"  # a tap opens the app
        if self._credentials.channel:
            form["extra.channel_id"] = self._credentials.channel
        return form

    def _outcome(self, answer: Answer) -> Outcome:
        given = answer.json()
        number = code(given.get("code"))
        text = said(given.get("reason")) or said(given.get("description"))
        if number == "0" and given.get("result") == "ok":
            data = given.get("data")
            return Sent(said(data.get("id")) if isinstance(data, dict) else "")
        if number == NOT_SENT and _BAD_ID.search(text):
            return InvalidToken(text)
        return failure(answer, number, text, _LATER)
