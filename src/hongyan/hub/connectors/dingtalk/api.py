"""The interfaces of an app: the older ones and v1.0, each with its token, which all senders share."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from hongyan.hub.connector import Outcome, Problem, nothing_said
from hongyan.hub.connectors.credentials import account
from hongyan.hub.connectors.dingtalk.credentials import AppCredentials
from hongyan.hub.connectors.dingtalk.errors import Expired, legacy_answer, v1_answer
from hongyan.hub.http import Answer, Http, lifetime
from hongyan.hub.rates import Limit
from hongyan.hub.surroundings import Bytes, Surroundings
from hongyan.tokens import Token, Tokens

LEGACY_HOST, V1_HOST = "https://oapi.dingtalk.com", "https://api.dingtalk.com"
#: A token is renewed so long before its end (s).
EARLY = 200.0
#: Calls of one interface in a second: a little below DingTalk's 20.
RATE = 18


class Api:
    """Calls both kinds of DingTalk's interfaces with one token. `account` is by what rates know the app."""

    def __init__(self, credentials: AppCredentials, around: Surroundings) -> None:
        self._credentials = credentials
        self._around = around
        self._legacy = Http(around.outbound, credentials.base_url or LEGACY_HOST)
        self._v1 = Http(around.outbound, credentials.base_url or V1_HOST)
        self._legacy_tokens = Tokens(self._fetch_legacy, around.steady)
        self._v1_tokens = Tokens(self._fetch_v1, around.steady)
        self.account = account(credentials.base_url, credentials.app_key, credentials.app_secret)

    async def legacy(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        self._pace(path)

        async def ask(token: str) -> dict[str, Any]:
            return legacy_answer(await self._legacy.post(path, body, {"access_token": token}))

        return await self._with(self._legacy_tokens, ask)

    async def v1(
        self, method: str, path: str, body: Mapping[str, object] | None = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        self._pace(path)

        async def ask(token: str) -> dict[str, Any]:
            return v1_answer(await self._call_v1(method, path, body, query, token))

        return await self._with(self._v1_tokens, ask)

    async def upload(self, kind: str, file: Bytes) -> str:
        """The media id of a file. `kind` is DingTalk's: image, voice, video or file."""
        self._pace("/media/upload")

        async def ask(token: str) -> dict[str, Any]:
            part = ("media", file.name, file.type or "application/octet-stream", file.content)
            query = {"access_token": token, "type": kind}
            return legacy_answer(await self._legacy.upload("/media/upload", part, {"type": kind}, query))

        with nothing_said():
            answer = await self._with(self._legacy_tokens, ask)
        return _needed(answer, "media_id")

    async def fetch(self, url: str, most: int) -> bytes:
        answer = await self._v1.get(url, answer_max=most)
        if answer.status != 200:
            raise Problem(Outcome.TRANSIENT, f"the file can't be fetched (HTTP {answer.status})")
        return answer.body

    async def check(self) -> None:
        """Whether both tokens are given."""
        await self._v1_tokens.get()
        await self._legacy_tokens.get()

    async def close(self) -> None:
        await self._legacy_tokens.close()
        await self._v1_tokens.close()

    def _pace(self, path: str) -> None:
        self._around.rates.take(Limit(("dingtalk", self.account, path), RATE, 1.0), everybody=True)

    async def _with(self, tokens: Tokens, ask: Callable[[str], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Ask, and once more with a new token if the old one is good no more."""
        token = await tokens.get()
        try:
            return await ask(token)
        except Expired:
            tokens.void(token)
        return await ask(await tokens.get())

    async def _call_v1(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        query: Mapping[str, str] | None,
        token: str,
    ) -> Answer:
        headers = {"x-acs-dingtalk-access-token": token}
        content = b"" if body is None else msgspec.json.encode(body)
        return await self._v1.call(method, path, query, body=content, headers=headers)

    async def _fetch_legacy(self) -> Token:
        query = {"appkey": self._credentials.app_key, "appsecret": self._credentials.app_secret}
        with nothing_said():
            answer = legacy_answer(await self._legacy.get("/gettoken", query))
        return self._token(answer, "access_token", "expires_in")

    async def _fetch_v1(self) -> Token:
        body = {"appKey": self._credentials.app_key, "appSecret": self._credentials.app_secret}
        with nothing_said():
            answer = v1_answer(await self._v1.post("/v1.0/oauth2/accessToken", body))
        return self._token(answer, "accessToken", "expireIn")

    def _token(self, answer: Mapping[str, Any], name: str, life: str) -> Token:
        good = lifetime(answer.get(life), 7200.0)
        return Token(_needed(answer, name), self._around.steady() + max(good - EARLY, 0.0))


def _needed(answer: Mapping[str, Any], name: str) -> str:
    text = answer.get(name)
    if not isinstance(text, str) or not text:
        raise Problem(Outcome.TRANSIENT, f"DingTalk's answer has no {name}", everybody=True)
    return text
