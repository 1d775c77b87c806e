"""The tokens of the app, as the older interfaces and those of v1.0 give and take them."""

import secrets
from collections.abc import Callable
from typing import Any

from aiohttp import web

from hongyan.sandbox.dingtalk.answers import fields, legacy, reply, v1_error
from hongyan.sandbox.dingtalk.rates import Rates
from hongyan.sandbox.dingtalk.world import APP_KEY, APP_SECRET

#: How long a token is good (s).
TOKEN_LIFE = 7200


class Tokens:
    """`requests`: how often one was asked for."""

    def __init__(self, rates: Rates, now: Callable[[], float]) -> None:
        self._rates = rates
        self._now = now
        self.requests = 0
        self._tokens: dict[str, float] = {}

    def expire(self) -> None:
        """All that were given are good no more."""
        self._tokens.clear()

    def _token(self, key: object, secret: object) -> str | None:
        """The one that is good is given again, and lives longer by that."""
        self.requests += 1
        if (key, secret) != (APP_KEY, APP_SECRET):
            return None
        now = self._now()
        token = next((each for each, until in self._tokens.items() if now < until), None) or secrets.token_hex(16)
        self._tokens[token] = now + TOKEN_LIFE
        return token

    async def give_legacy(self, request: web.Request) -> web.Response:
        given = {**request.query, **(await fields(request) if request.method == "POST" else {})}
        token = self._token(given.get("appkey"), given.get("appsecret"))
        if token is None:
            return legacy(40089, "不合法的appkey或appsecret")
        return legacy(0, "ok", access_token=token, expires_in=TOKEN_LIFE)

    async def give(self, request: web.Request) -> web.Response:
        given = await fields(request)
        token = self._token(given.get("appKey"), given.get("appSecret"))
        if token is None:
            return v1_error(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret")
        return reply({"accessToken": token, "expireIn": TOKEN_LIFE})

    def guarded(self, handler: Any, *, v1: bool) -> Any:
        """With a token that is good, and for the APIs of v1.0 within their rate."""

        async def checked(request: web.Request) -> web.Response:
            token = request.headers.get("x-acs-dingtalk-access-token") if v1 else request.query.get("access_token")
            until = self._tokens.get(token or "")
            if until is None or self._now() >= until:
                if v1:
                    return v1_error(401, "InvalidAuthentication", "不合法的access_token")
                return legacy(40014, "不合法的access_token") if until is None else legacy(42001, "access_token超时")
            if v1 and not self._rates.may_call(f"{request.method} {request.path}"):
                return v1_error(403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "应用对接口的调用超过了QPS限制")
            answer: web.Response = await handler(request)
            return answer

        return checked
