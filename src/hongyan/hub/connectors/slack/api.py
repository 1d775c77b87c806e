"""Calling Slack as an app: the token, which is renewed if it is rotated, and what Slack's answers mean."""

import asyncio
import math
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlencode, urlsplit

from hongyan.hub.connector import Outcome, Problem, nothing_said
from hongyan.hub.connectors.credentials import account
from hongyan.hub.connectors.slack.credentials import BASE, SlackCredentials
from hongyan.hub.connectors.slack.errors import judge
from hongyan.hub.connectors.slack.webhook import BURST, BURST_TIME, REST
from hongyan.hub.http import FILE_TIMEOUT, TIMEOUT, Answer, Http, lifetime
from hongyan.hub.rates import Limit
from hongyan.hub.surroundings import Surroundings
from hongyan.tokens import Token, Tokens

#: A token is renewed so long before its end (s).
EARLY = 300.0
#: Messages of an app to a workspace in a minute: "several hundred".
WORKSPACE = 200
#: Methods that take JSON; the others take forms only.
_JSON = frozenset(
    {
        "auth.test",
        "chat.delete",
        "chat.postMessage",
        "chat.update",
        "conversations.open",
        "files.completeUploadExternal",
        "files.delete",
        "views.open",
    }
)
#: Methods by which somebody is told something.
_SAYS = frozenset({"chat.postMessage", "files.completeUploadExternal"})


class Api:
    """All calls of an app share one token."""

    def __init__(self, credentials: SlackCredentials, around: Surroundings) -> None:
        self._credentials = credentials
        self._around = around
        self._http = Http(around.outbound, credentials.base_url or BASE)
        self._tokens = Tokens(self._token, around.steady)
        self._given: str | None = credentials.bot_token or None
        self._refresh_token = credentials.refresh_token
        self._account = account(self._http.base, credentials.bot_token or credentials.client_secret)

    async def call(self, method: str, arguments: Mapping[str, object], timeout: float = TIMEOUT) -> dict[str, Any]:
        """The whole answer of a method. Raises Problem."""
        with nullcontext() if method in _SAYS else nothing_said():
            return await self._answered(method, arguments, timeout)

    async def post(self, channel: str, body: Mapping[str, object]) -> dict[str, Any]:
        """A message; when the channel has got too many, nothing more is posted there for a while. Raises Problem."""
        try:
            return await self.call("chat.postMessage", body)
        except Problem as problem:
            if problem.outcome is Outcome.THROTTLED:
                self._around.rates.close(("slack", self._account, channel), problem.after or REST)
            raise

    def pace(self, channel: str, count: int = 1) -> None:
        """Count messages to a channel. Raises Problem if they would be too many."""
        limits = [
            Limit(("slack", self._account, channel), BURST, BURST_TIME),
            Limit(("slack app", self._account), WORKSPACE, 60.0),
        ]
        self._around.rates.take(*limits * count)

    async def upload(self, url: str, content: bytes) -> None:
        """To the address that Slack has given for it. Raises Problem."""
        with nothing_said():
            answer = await self._http.call(
                "POST", url, body=content, type_="application/octet-stream", timeout=FILE_TIMEOUT
            )
        if answer.status != 200:
            reason = f"the upload is answered with HTTP {answer.status}"
            raise Problem(Outcome.TRANSIENT, reason, code=str(answer.status))

    async def download(self, address: str, most: int) -> bytes:
        """A file at Slack, of at most so many bytes. Raises Problem."""
        parts, base = urlsplit(address), urlsplit(self._http.base)
        ours = (parts.scheme, parts.netloc) == (base.scheme, base.netloc)
        slacks = parts.scheme == "https" and (parts.hostname or "").endswith(".slack.com")
        if not ours and not slacks:  # the token goes with it
            raise Problem(Outcome.BAD_CONTENT, "the file is not at Slack")
        token = await self._tokens.get()
        answer = await self._http.call(
            "GET",
            address,
            headers={"Authorization": f"Bearer {token}"},
            timeout=FILE_TIMEOUT,
            answer_max=most,
        )
        if answer.status in (302, 401, 403):
            advice = "Give the app the scope files:read, and install it again."
            raise Problem(Outcome.BAD_CREDENTIAL, "Slack does not let the app read the file", advice=advice)
        if answer.status != 200:
            outcome = Outcome.TRANSIENT if answer.status >= 500 or answer.status == 429 else Outcome.BAD_CONTENT
            raise Problem(outcome, f"Slack answers HTTP {answer.status} for the file", after=answer.retry_after)
        return answer.body

    async def close(self) -> None:
        await self._tokens.close()

    async def _answered(self, method: str, arguments: Mapping[str, object], timeout: float) -> dict[str, Any]:
        token = await self._tokens.get()
        try:
            return judge(await self._ask(method, arguments, token, timeout))
        except Problem as problem:
            if problem.code != "token_expired" or not self._refresh_token:
                raise
        self._tokens.void(token)
        return judge(await self._ask(method, arguments, await self._tokens.get(), timeout))

    async def _ask(self, method: str, arguments: Mapping[str, object], token: str, timeout: float) -> Answer:
        headers = {"Authorization": f"Bearer {token}"}
        path = f"/api/{method}"
        if method in _JSON:
            return await self._http.post(path, arguments, headers=headers, timeout=timeout)
        body = urlencode({name: str(value) for name, value in arguments.items()}).encode()
        type_ = "application/x-www-form-urlencoded"
        return await self._http.call("POST", path, body=body, type_=type_, headers=headers, timeout=timeout)

    async def _token(self) -> Token:
        """The one that was given, and later those that take its place."""
        if self._given is not None:
            given, self._given = self._given, None
            return Token(given, math.inf)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._refresh_token,
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        type_ = "application/x-www-form-urlencoded"
        with nothing_said():
            answer = judge(
                await self._http.call("POST", "/api/oauth.v2.access", body=urlencode(form).encode(), type_=type_)
            )
        text, again = answer.get("access_token"), answer.get("refresh_token")
        if not isinstance(text, str) or not isinstance(again, str):
            raise Problem(Outcome.UNKNOWN, "Slack's answer has no token", everybody=True)
        self._refresh_token = again
        if self._around.renewed is not None:
            # the old one is good no more: whoever waits for the token may go, this must be kept
            await asyncio.shield(self._around.renewed({"bot_token": text, "refresh_token": again}))
        seconds = lifetime(answer.get("expires_in"), 43_200.0)
        return Token(text, self._around.steady() + max(seconds - EARLY, seconds / 2))


def told(answer: Any, *path: str) -> str:
    """A text of Slack's answer. Raises Problem if it is not there."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(answer, str):
        raise Problem(Outcome.UNKNOWN, f"Slack's answer has no {'.'.join(path)}")
    return answer
