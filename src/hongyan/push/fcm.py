"""Firebase Cloud Messaging, HTTP v1, for Android.

From Google's documentation: "Send a message using FCM HTTP v1 API", the reference of `projects.messages` and of
`ErrorCode` (firebase.google.com/docs/reference/fcm/rest/v1), "Using OAuth 2.0 for server to server applications"
(developers.google.com/identity/protocols/oauth2/service-account). That 429 without Retry-After means a minute stands
in "Scale FCM". Not sure: whether the limit of 4096 bytes counts as JSON does; it is taken so, which errs on the short
side.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from hongyan.engine.pushing import Device, InvalidToken, Outcome, Push, Refused, RetryLater, Sent
from hongyan.push import content
from hongyan.push.credentials import Credentials, check_filled, check_url
from hongyan.push.http import Answer
from hongyan.push.service import (
    FORM,
    JSON,
    TokenService,
    code,
    retry_after,
    said,
    unreadable,
    unsuccessful,
)
from hongyan.tokens import Token

URL = "https://fcm.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PAYLOAD_MAX = 4096
TTL_MAX = 2_419_200
#: Seconds that an assertion is valid.
ASSERTION = 3_600
#: Seconds to wait when a quota is used up and Google does not say for how long.
QUOTA_WAIT = 60.0
#: Names of data that Google keeps for itself; an app finds such data with an underscore before their names.
_RESERVED = re.compile(r"from|message_type|(google|gcm).*")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9:.-]{0,99}")


class FcmCredentials(Credentials, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The file of a service account as Google's console gives it; `channel` is Android's notification channel."""

    type: Literal["service_account"]
    project_id: str
    private_key_id: str
    private_key: str
    client_email: str
    token_uri: str = "https://oauth2.googleapis.com/token"
    channel: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_filled(self, "private_key_id", "client_email")
        check_url(self.token_uri, "token_uri")
        if not _PROJECT.fullmatch(self.project_id):
            raise ValueError("`project_id` must be the id of a project")
        if signing_key(self.private_key) is None:
            raise ValueError("`private_key` must be a private RSA key as text (PEM)")


def signing_key(text: str) -> RSAKey | None:
    try:
        key = RSAKey.import_key(text)
    except (JoseError, ValueError, TypeError):
        return None
    return key if key.is_private else None


class Fcm(TokenService):
    def __init__(self, credentials: FcmCredentials, now: Callable[[], float] = time.time) -> None:
        super().__init__(now=now)
        self._credentials = credentials
        self._key = signing_key(credentials.private_key)
        self._url = f"{credentials.root(URL)}/v1/projects/{credentials.project_id}/messages:send"

    async def _send(self, push: Push, device: Device) -> Outcome:
        message = self._message(push)
        body = content.packed({"message": {"token": device.token, **message}})

        async def ask(token: str) -> Answer:
            return await self._http.post(self._url, body, {**JSON, "Authorization": f"Bearer {token}"})

        return self._outcome(await self._with_token(ask, lambda answer: answer.status == 401 and not _codes(answer)))

    def _message(self, push: Push) -> dict[str, Any]:
        """Without the address. Raises Failed if it can't be made to fit."""
        notice = content.notice(push.content)
        android: dict[str, Any] = {"ttl": f"{self._ttl(push, 0, TTL_MAX)}s", "priority": "HIGH"}
        data = {"data": strings(notice.data)} if notice.data else {}
        collapse = content.collapse(push)
        shown = {"tag": collapse} if collapse is not None else {}
        if self._credentials.channel:
            shown["channel_id"] = self._credentials.channel

        def made(title: str, body: str) -> dict[str, Any]:
            if notice.silent:
                return {"android": android, **data}
            texts = {key: text for key, text in (("title", title), ("body", body)) if text}
            return {"notification": texts, "android": {**android, "notification": shown}, **data}

        texts = content.fit(lambda *texts: content.packed(made(*texts)), notice.title, notice.body, PAYLOAD_MAX)
        return made(*texts)

    def _outcome(self, answer: Answer) -> Outcome:
        if answer.status == 200:
            name = answer.json().get("name")
            return Sent(name) if isinstance(name, str) else unreadable(answer)
        error = answer.json().get("error")
        text = said(error.get("message")) if isinstance(error, Mapping) else ""
        codes = _codes(answer)
        if "UNREGISTERED" in codes or ("INVALID_ARGUMENT" in codes and _blames_token(error)):
            return InvalidToken(text)
        if answer.status == 429:
            wait = retry_after(answer)
            return RetryLater(QUOTA_WAIT if wait is None else wait, text or "QUOTA_EXCEEDED")
        if codes and answer.status < 500:
            return Refused(codes[0], text)
        return unsuccessful(answer) or unreadable(answer)

    async def _fetch(self) -> Token:
        """Google gives a token for what the service account has signed."""
        now = int(self._now())
        address = self._credentials.token_uri
        claims = {
            "iss": self._credentials.client_email,
            "scope": SCOPE,
            "aud": address,
            "iat": now,
            "exp": now + ASSERTION,
        }
        assert self._key is not None, "checked with the credentials"
        signed = jwt.encode({"alg": "RS256", "kid": self._credentials.private_key_id}, claims, self._key, ["RS256"])
        form = urlencode({"grant_type": GRANT, "assertion": signed}).encode()
        answer = await self._http.post(address, form, FORM)
        given = answer.json()
        return self._token(given.get("access_token"), given.get("expires_in"), answer)


def strings(data: Mapping[str, Any]) -> dict[str, str]:
    """Google takes texts only: what is none becomes JSON."""
    return {
        f"_{key}" if _RESERVED.fullmatch(key) else key: value
        if isinstance(value, str)
        else content.packed(value).decode()
        for key, value in data.items()
    }


def _details(error: Any) -> list[Mapping[str, Any]]:
    details = error.get("details") if isinstance(error, Mapping) else None
    return [each for each in details if isinstance(each, Mapping)] if isinstance(details, list) else []


def _codes(answer: Answer) -> list[str]:
    """FCM's own code comes first, then Google's of all its services."""
    error = answer.json().get("error")
    found = [code(each.get("errorCode")) for each in _details(error)]
    if any(found) and isinstance(error, Mapping):
        found.append(code(error.get("status")))
    return [each for each in found if each]


def _blames_token(error: Any) -> bool:
    """An argument that is wrong may be the address or anything else; only of the address the device is to blame."""
    found = [detail.get("fieldViolations") for detail in _details(error)]
    violations = [each for several in found if isinstance(several, list) for each in several]
    return any(isinstance(each, Mapping) and each.get("field") == "message.token" for each in violations)
