"""Pushes to a server of the app's own, signed as Standard Webhooks 1.0.0 has it (standardwebhooks.com)."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hongyan.engine.pushing import Device, Outcome, Push, Refused, Sent
from hongyan.push import content
from hongyan.push.credentials import Credentials, check_url
from hongyan.push.http import Answer
from hongyan.push.service import JSON, Service, unsuccessful

#: Bytes of a body: the specification asks for less than 20 KB.
BODY_MAX = 20_000
PREFIX = "whsec_"
SECRET_MIN, SECRET_MAX = 24, 64
TYPE = "push.requested"


class WebhookCredentials(Credentials, frozen=True, kw_only=True):
    """`url` is asked for each push; `old_secret` signs as well, while the receiver changes over to `secret`."""

    url: str
    secret: str
    old_secret: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_url(self.url, "url")
        for name, text in (("secret", self.secret), ("old_secret", self.old_secret)):
            if text is not None:
                try:
                    key(text)
                except ValueError:
                    raise ValueError(f"`{name}` must be {PREFIX} and 24 to 64 bytes in base64") from None


def key(secret: str) -> bytes:
    """Raises ValueError."""
    found = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    if not secret.startswith(PREFIX) or not SECRET_MIN <= len(found) <= SECRET_MAX:
        raise ValueError("no secret")
    return found


class Webhook(Service):
    def __init__(self, credentials: WebhookCredentials, now: Callable[[], float] = time.time) -> None:
        super().__init__(now=now)
        self._url = credentials.url
        secrets = [credentials.secret, *([credentials.old_secret] if credentials.old_secret else [])]
        self._keys = [key(secret) for secret in secrets]

    async def _send(self, push: Push, device: Device) -> Outcome:
        body, at = self._body(push, device), str(int(self._now()))
        headers = {
            **JSON,
            "webhook-id": content.identifier(push.id) if not _plain(push.id) else push.id,
            "webhook-timestamp": at,
        }
        headers["webhook-signature"] = signatures(self._keys, headers["webhook-id"], at, body)
        return self._outcome(await self._http.post(self._url, body, headers))

    def _body(self, push: Push, device: Device) -> bytes:
        """Raises Failed."""
        alert = push.content.get("alert")
        at = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

        def build(_title: str, body: str) -> bytes:
            given = {**push.content, "alert": body} if isinstance(alert, str) else push.content
            data: dict[str, Any] = {"push": push.id, "expires_at": push.expires_at, "collapse": content.collapse(push)}
            data |= {"token": device.token, "app": device.app, "environment": device.environment, "content": given}
            return content.packed({"type": TYPE, "timestamp": at, "data": data})

        return build(*content.fit(build, "", alert if isinstance(alert, str) else "", BODY_MAX))

    def _outcome(self, answer: Answer) -> Outcome:
        if answer.status == 410:
            return Refused("410", "the receiver wants no more of this")
        return unsuccessful(answer) or Sent()


def signatures(keys: list[bytes], id: str, at: str, body: bytes) -> str:
    """One for each key, of the same text."""
    signed = f"{id}.{at}.".encode() + body
    return " ".join(f"v1,{base64.b64encode(hmac.digest(each, signed, hashlib.sha256)).decode()}" for each in keys)


def _plain(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and "." not in text and " " not in text
