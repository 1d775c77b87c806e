"""The tokens of the bot, and their rotation."""

from collections.abc import Callable
from typing import Any

from aiohttp import BasicAuth, web

from hongyan.sandbox.slack.answers import Arguments, Refusal
from hongyan.sandbox.slack.world import APP, BOT_USER, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, TEAM, TEAM_NAME, TOKEN

#: How long a token lasts that was made by rotation (s).
LASTS = 43_200


class Tokens:
    """`until` is when each ends; `rotate` makes the next one, `refreshed` times so far."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.until: dict[str, float] = {TOKEN: float("inf")}
        self.refresh_token = REFRESH_TOKEN
        self.refreshed = 0

    def expire(self) -> None:
        """All have ended."""
        self.until = dict.fromkeys(self.until, 0.0)

    def check(self, request: web.Request, given: Arguments) -> None:
        """Raises Refusal for a request without a good one."""
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ").strip() if header else str(given.get("token", ""))
        if not token:
            raise Refusal("not_authed")
        if token not in self.until:
            raise Refusal("not_allowed_token_type" if token.startswith("xapp-") else "invalid_auth")
        if self.until[token] <= self._now():
            raise Refusal("token_expired")

    def rotate(self, given: Arguments, request: web.Request) -> dict[str, Any]:
        """A new one for the token by which it is refreshed. Raises Refusal."""
        client, secret = given.get("client_id"), given.get("client_secret")
        if request.headers.get("Authorization", "").startswith("Basic "):
            try:
                client, secret = BasicAuth.decode(request.headers["Authorization"])[:2]
            except ValueError:
                raise Refusal("invalid_client_id") from None
        if client != CLIENT_ID or secret != CLIENT_SECRET:
            raise Refusal("invalid_client_id" if client != CLIENT_ID else "bad_client_secret")
        if given.get("grant_type") != "refresh_token":
            raise Refusal("invalid_code")
        if given.get("refresh_token") != self.refresh_token:
            raise Refusal("invalid_refresh_token")
        self.refreshed += 1
        token = f"xoxe.xoxb-1-sandbox-{self.refreshed}"
        self.refresh_token = f"xoxe-1-sandbox-refresh-{self.refreshed}"
        self.until[token] = self._now() + LASTS
        return {
            "access_token": token,
            "refresh_token": self.refresh_token,
            "expires_in": LASTS,
            "token_type": "bot",
            "scope": "chat:write,files:write,users:read.email",
            "bot_user_id": BOT_USER,
            "app_id": APP,
            "team": {"id": TEAM, "name": TEAM_NAME},
            "authed_user": {},
        }
