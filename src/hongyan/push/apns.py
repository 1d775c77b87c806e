"""Apple Push Notification service: HTTP/2 with tokens.

From Apple's documentation, "Sending notification requests to APNs", "Establishing a token-based connection to APNs",
"Handling notification responses from APNs" and "Generating a remote notification" (developer.apple.com, User
Notifications). All that is used here stands there, but that a token which is not of hexadecimal digits is invalid.
"""

import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from hongyan.engine.push_content import INCREMENT
from hongyan.engine.pushing import Device, InvalidToken, Outcome, Push, Refused, RetryLater, Sent
from hongyan.push import content
from hongyan.push.credentials import Credentials, check_filled
from hongyan.push.failed import Failed
from hongyan.push.http import Answer
from hongyan.push.service import Service, busy, code, retry_after, unreadable

PRODUCTION, DEVELOPMENT = "https://api.push.apple.com", "https://api.sandbox.push.apple.com"
#: Bytes of a payload.
PAYLOAD_MAX = 4096
#: Apple takes a token for an hour, and a new one not within twenty minutes of the last (s).
TOKEN_AGE, TOKEN_AGE_LEAST = 2_400.0, 1_200.0
COLLAPSE_MAX = 64

_INVALID = frozenset({"BadDeviceToken", "Unregistered", "ExpiredToken"})
_TOKEN = re.compile(r"[0-9A-Fa-f]{2,400}")
_TOPIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,254}")
_TYPE = re.compile(r"[a-z]{1,32}")
#: Keys of the reference that are sent as they are.
_PLAIN = ("sound", "category", "thread-id", "content-available", "mutable-content", "url-args", "target-content-id")
_HEADERS = frozenset({"collapse-id", "apns-priority", "apns-push-type"})
_OF_APS = frozenset({"alert", "title", "badge", "silent", "aps", *_PLAIN})
_IDS = uuid.UUID("5f6d9a8e-5c39-4f0e-9b0e-6d1c0f6f2a57")


class ApnsCredentials(Credentials, frozen=True, kw_only=True):
    """`key`: the text of the .p8 file; `topic`: the bundle id of devices that don't say theirs."""

    team_id: str
    key_id: str
    key: str
    topic: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_filled(self, "team_id", "key_id")
        if self.topic and not _TOPIC.fullmatch(self.topic):
            raise ValueError("`topic` must be a bundle id")
        if signing_key(self.key) is None:
            raise ValueError("`key` must be the text of a .p8 file: a private key for ES256")


def signing_key(text: str) -> ECKey | None:
    """A private key on the curve P-256; None if the text holds none."""
    try:
        key = ECKey.import_key(text)
    except (JoseError, ValueError, TypeError):
        return None
    return key if key.is_private and key.curve_name == "P-256" else None


class Apns(Service):
    def __init__(self, credentials: ApnsCredentials, now: Callable[[], float] = time.time) -> None:
        super().__init__(http2=True, now=now)
        self._credentials = credentials
        self._key = signing_key(credentials.key)
        self._token, self._made_at = "", float("-inf")

    async def _send(self, push: Push, device: Device) -> Outcome:
        team = self._credentials.team_id
        if device.team and device.team != team:
            return Refused("WrongTeam", f"the device's app is of the team {device.team}, the key of {team}")
        topic = device.app or self._credentials.topic
        if not _TOPIC.fullmatch(topic):
            return Refused("MissingTopic", "neither the device nor the credentials have a bundle id as topic")
        if not _TOKEN.fullmatch(device.token):
            return InvalidToken("not of hexadecimal digits")
        host = self._credentials.root(DEVELOPMENT if device.environment == "dev" else PRODUCTION)
        headers = {**_headers(push), "apns-topic": topic, "apns-expiration": str(push.expires_at // 1000)}
        body = payload(push, device)
        for _ in range(2):
            token = self._provider_token()
            answer = await self._http.post(
                f"{host}/3/device/{quote(device.token)}", body, {**headers, "authorization": f"bearer {token}"}
            )
            # the clocks may differ: a new token helps once
            if _reason(answer) != "ExpiredProviderToken" or not self._renewable(token):
                break
        return self._outcome(answer)

    def _outcome(self, answer: Answer) -> Outcome:
        if answer.status == 200:
            return Sent(answer.headers.get("apns-id", ""))
        reason = _reason(answer)
        if answer.status == 410 or reason in _INVALID:
            return InvalidToken(reason)
        if reason == "TooManyProviderTokenUpdates":
            return RetryLater(TOKEN_AGE_LEAST, reason)
        if reason == "ExpiredProviderToken":
            return RetryLater(TOKEN_AGE_LEAST, f"{reason}: does the clock of this server run right?")
        if busy(answer):
            return RetryLater(retry_after(answer), reason or f"HTTP {answer.status}")
        return Refused(reason, f"HTTP {answer.status}") if reason else unreadable(answer)

    def _provider_token(self) -> str:
        """One for all pushes of a while: Apple refuses those who make a new one each time."""
        if not 0 <= self._now() - self._made_at < TOKEN_AGE:
            assert self._key is not None, "checked with the credentials"
            self._made_at = self._now()
            header = {"alg": "ES256", "kid": self._credentials.key_id}
            claims = {"iss": self._credentials.team_id, "iat": int(self._made_at)}
            self._token = jwt.encode(header, claims, self._key, ["ES256"])
        return self._token

    def _renewable(self, token: str) -> bool:
        """Forget a token that has expired, unless another sender has done so, or it is too soon for a new one."""
        if token == self._token:
            if self._now() - self._made_at < TOKEN_AGE_LEAST:
                return False
            self._made_at = float("-inf")
        return True


def payload(push: Push, device: Device) -> bytes:
    """Raises Failed if it can't be made to fit."""
    given = push.content
    native = given.get("aps")
    aps = dict(native) if isinstance(native, Mapping) else _aps(given)
    custom_keys = _HEADERS | ({"aps"} if isinstance(native, Mapping) else _OF_APS)
    custom = {key: value for key, value in given.items() if key not in custom_keys}
    shown = content.badge(aps, device)
    if aps.get("badge") == INCREMENT and shown is not None:
        aps["badge"] = shown
    if not aps:
        raise Failed(Refused("NothingToShow", "the push has neither an alert nor anything else for Apple's devices"))
    title, body = _texts(aps.get("alert"))

    def build(title: str, body: str) -> bytes:
        return content.packed({"aps": {**aps, **_alert(aps.get("alert"), title, body)}, **custom})

    return build(*content.fit(build, title, body, PAYLOAD_MAX))


def _aps(given: Mapping[str, Any]) -> dict[str, Any]:
    aps = {key: given[key] for key in ("alert", "badge", *_PLAIN) if key in given}
    title = given.get("title")
    if isinstance(title, str) and title:
        alert = aps.get("alert")
        aps["alert"] = {"title": title, **(alert if isinstance(alert, Mapping) else {"body": alert or ""})}
    return aps


def _texts(alert: Any) -> tuple[str, str]:
    """Title and body, which may be shortened."""
    if isinstance(alert, str):
        return "", alert
    texts = [alert.get(key) if isinstance(alert, Mapping) else "" for key in ("title", "body")]
    title, body = (text if isinstance(text, str) else "" for text in texts)
    return title, body


def _alert(alert: Any, title: str, body: str) -> dict[str, Any]:
    """The alert with other texts, in the form that it had; empty if there is none."""
    if isinstance(alert, str):
        return {"alert": body}
    if not isinstance(alert, Mapping):
        return {}
    texts = {"title": title, "body": body}
    return {"alert": {**alert, **{key: text for key, text in texts.items() if isinstance(alert.get(key), str)}}}


def _headers(push: Push) -> dict[str, str]:
    """Those that the content decides."""
    given = push.content
    kind = given.get("apns-push-type")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        kind = "background" if _is_background(given) else "alert"
    priority = code(given.get("apns-priority"))
    if priority not in ("1", "5", "10"):
        priority = "5" if kind == "background" else "10"
    headers = {
        "content-type": "application/json",
        "apns-id": str(uuid.uuid5(_IDS, push.id)),
        "apns-push-type": kind,
        "apns-priority": priority,
    }
    collapse = content.collapse(push)
    if collapse is not None:
        fits = len(collapse) <= COLLAPSE_MAX and collapse.isascii() and collapse.isprintable()
        headers["apns-collapse-id"] = (
            collapse if fits and collapse == collapse.strip() else str(content.number(collapse))
        )
    return headers


def _is_background(given: Mapping[str, Any]) -> bool:
    """Whether only the app is woken: such pushes must say so, or Apple drops them."""
    aps = given.get("aps")
    aps = aps if isinstance(aps, Mapping) else given
    return aps.get("content-available") == 1 and not any(aps.get(key) for key in ("alert", "badge", "sound", "title"))


def _reason(answer: Answer) -> str:
    return code(answer.json().get("reason")) if answer.status != 200 else ""
