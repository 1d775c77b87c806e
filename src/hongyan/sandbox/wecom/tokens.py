"""The tokens of applications."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from hongyan.sandbox.wecom.answers import Refusal, body_of
from hongyan.sandbox.wecom.rates import Windows
from hongyan.sandbox.wecom.world import AGENTS, CORP, Agent

#: How long a token is good (s), and calls of an interface in a minute.
TOKEN, CALLS = 7200, 10_000


@dataclass(slots=True)
class _Token:
    text: str
    agent: Agent
    until: float


class Tokens:
    """`requests`: how often one was asked for."""

    def __init__(self, windows: Windows, now: Callable[[], float]) -> None:
        self._windows = windows
        self._now = now
        self.requests = 0
        self._tokens: dict[str, _Token] = {}

    def expire(self) -> None:
        """All tokens are good no more."""
        self._tokens.clear()

    def forget(self, text: str) -> None:
        """This one is good no more."""
        self._tokens.pop(text, None)

    async def give(self, request: web.Request) -> dict[str, Any]:
        self.requests += 1
        asked: Mapping[str, Any] = request.query
        if "corpid" not in asked and request.can_read_body:
            asked = await body_of(request)
        if not asked.get("corpid"):
            raise Refusal(41002, "corpid missing")
        if not asked.get("corpsecret"):
            raise Refusal(41004, "corpsecret missing")
        if asked["corpid"] != CORP:
            raise Refusal(40013, "invalid corpid")
        agent = next((each for each in AGENTS if each.secret == asked["corpsecret"]), None)
        if agent is None:
            raise Refusal(40001, "invalid credential")
        self._call_window("gettoken")
        token = next((each for each in self._tokens.values() if each.agent is agent and self._now() < each.until), None)
        if token is None:
            token = _Token(secrets.token_urlsafe(96), agent, self._now() + TOKEN)
            self._tokens[token.text] = token
        return {"access_token": token.text, "expires_in": int(token.until - self._now())}

    def agent(self, request: web.Request) -> Agent:
        """Whose token a request has. Raises Refusal."""
        text = request.query.get("access_token", "")
        if not text:
            raise Refusal(41001, "access_token missing")
        token = self._tokens.get(text)
        if token is None:
            raise Refusal(40014, "invalid access_token")
        if self._now() >= token.until:
            raise Refusal(42001, "access_token expired")
        self._call_window(request.path)
        return token.agent

    def _call_window(self, interface: str) -> None:
        if not self._windows.take(("call", interface), CALLS, 60.0):
            raise Refusal(45009, "api freq out of limit")
