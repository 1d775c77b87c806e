"""Calling Feishu as an application: the token, which all calls share, and what its answers mean."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from hongyan.hub.connector import Outcome, Problem, nothing_said
from hongyan.hub.connectors.credentials import account
from hongyan.hub.connectors.feishu import errors
from hongyan.hub.connectors.feishu.credentials import CHINA, AppCredentials
from hongyan.hub.http import FILE_TIMEOUT, TIMEOUT, Answer, Http, lifetime
from hongyan.hub.rates import Limit
from hongyan.hub.surroundings import Surroundings
from hongyan.tokens import Token, Tokens

#: How long before its end a token is given up (s): from half an hour before it on Feishu makes a new one.
TOKEN_MARGIN = 600.0
#: Calls of an app that send: a little below Feishu's 50 a second and 1000 a minute; and to one person or group, of 5.
APP_SECOND, APP_MINUTE, ONE_SECOND = 45, 900, 4


class Api:
    """All calls of an application share one token, and one rate."""

    def __init__(self, credentials: AppCredentials, around: Surroundings) -> None:
        self._credentials = credentials
        self._around = around
        self._http = Http(around.outbound, credentials.base_url or CHINA)
        self._tokens = Tokens(self._fetch, around.steady)
        self._account = ("feishu", account(credentials.base_url, credentials.app_id, credentials.app_secret))

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        value: object = None,
        *,
        once: bool = True,
        timeout: float = TIMEOUT,
    ) -> dict[str, Any]:
        """`value` goes as JSON; the whole answer comes back. `once`: what is asked is done once, even if it is asked
        again. Raises Problem.
        """
        body = b"" if value is None else msgspec.json.encode(value)
        answer = await self._asked(
            lambda headers: self._http.call(method, path, query, body=body, headers=headers, timeout=timeout)
        )
        errors.check(answer, self._secrets, once=once)
        return answer.json or {}

    async def upload(self, path: str, file: tuple[str, str, str, bytes], fields: Mapping[str, str]) -> dict[str, Any]:
        with nothing_said():
            answer = await self._asked(lambda headers: self._http.upload(path, file, fields, headers=headers))
            errors.check(answer, self._secrets, once=True)
        return data(answer.json or {})

    async def download(self, path: str, query: Mapping[str, str], most: int) -> bytes:
        answer = await self._asked(
            lambda headers: self._http.call("GET", path, query, headers=headers, timeout=FILE_TIMEOUT, answer_max=most)
        )
        if answer.status >= 400:
            errors.check(answer, self._secrets, once=True)
        return answer.body

    def take(self, to: str = "") -> None:
        """Count a call that sends, to this person or group. Raises Problem if it would be too many."""
        app = self._account
        if to:
            self._around.rates.take(Limit((*app, to), ONE_SECOND, 1.0))
        self._around.rates.take(Limit(app, APP_SECOND, 1.0), Limit(app, APP_MINUTE, 60.0), everybody=True)

    async def close(self) -> None:
        await self._tokens.close()

    @property
    def _secrets(self) -> tuple[str, ...]:
        given = self._credentials
        return given.app_secret, given.encrypt_key, given.verification_token

    async def _asked(self, ask: Callable[[Mapping[str, str]], Awaitable[Answer]]) -> Answer:
        """Once more with a new token if the first one is no good any more."""
        token = await self._tokens.get()
        answer = await ask({"Authorization": f"Bearer {token}"})
        if errors.is_expired(answer):
            self._tokens.void(token)
            answer = await ask({"Authorization": f"Bearer {await self._tokens.get()}"})
        self._slow_down(answer)
        return answer

    def _slow_down(self, answer: Answer) -> None:
        """When the app has asked too often, nothing is sent for as long as Feishu says."""
        try:
            errors.check(answer)
        except Problem as problem:
            if problem.outcome is Outcome.THROTTLED and problem.everybody:
                self._around.rates.close(self._account, problem.after or 1.0)

    async def _fetch(self) -> Token:
        given = self._credentials
        with nothing_said():
            answer = await self._http.post(
                "/open-apis/auth/v3/tenant_access_token/internal",
                {"app_id": given.app_id, "app_secret": given.app_secret},
            )
            errors.check(answer, self._secrets, once=True)
            text, expire = (answer.json or {}).get("tenant_access_token"), (answer.json or {}).get("expire")
            if not isinstance(text, str) or not isinstance(expire, int):
                raise Problem(Outcome.UNKNOWN, "the answer has no token")
        seconds = lifetime(expire, 7200.0)
        return Token(text, self._around.steady() + max(seconds - TOKEN_MARGIN, seconds / 2))


def data(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The member `data` of an answer."""
    found = answer.get("data")
    return found if isinstance(found, dict) else {}
