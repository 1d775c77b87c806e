"""The tokens of the app."""

import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from hongyan.sandbox.feishu.answers import Refusal, bearer, json_object, refuse
from hongyan.sandbox.feishu.world import APP_ID, APP_SECRET

#: A token's life, and how much of it is left when a new one is made (s).
TOKEN_LIFE, TOKEN_RENEW = 7200, 1800
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Tokens:
    """`requests`: how often one was asked for."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.requests = 0
        self._tokens: dict[str, float] = {}

    def expire(self) -> None:
        """All that were given are good no more."""
        self._tokens.clear()

    def forget(self, token: str) -> None:
        """This one is good no more."""
        self._tokens.pop(token, None)

    async def give(self, request: web.Request) -> web.Response:
        """The same one is given again while it has half an hour left."""
        self.requests += 1
        asked = json_object(await request.read())
        if asked is None or not isinstance(asked.get("app_id"), str) or not isinstance(asked.get("app_secret"), str):
            return refuse(10003, "invalid param")
        if asked["app_id"] != APP_ID:
            return refuse(10014, "app not found or app secret invalid", 200)
        if asked["app_secret"] != APP_SECRET:
            return refuse(10015, "app secret invalid", 200)
        now = self._now()
        good = [token for token, until in self._tokens.items() if until - now >= TOKEN_RENEW]
        token = good[-1] if good else f"t-{secrets.token_hex(20)}"
        until = self._tokens.setdefault(token, now + TOKEN_LIFE)
        body = {"code": 0, "msg": "ok", "expire": int(until - now)}
        return web.json_response({**body, "tenant_access_token": token, "app_access_token": token})

    def guarded(self, handler: Handler) -> Handler:
        """With a token that is good."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            token = bearer(request)
            if not token:
                return refuse(99991661, "Missing access token for authorization. Please make a test attempt again.")
            until = self._tokens.get(token)
            if until is None:
                return refuse(99991663, "Invalid access token for authorization. Please make a test attempt again.")
            if self._now() >= until:
                return refuse(99991677, "Authentication token expired. Please generate a new one.", 401)
            try:
                return await handler(request)
            except Refusal as refusal:
                return refusal.response

        return guarded
