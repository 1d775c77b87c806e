"""Rates as DingTalk counts them: calls of an API are refused, and robots are blocked for a while."""

from collections import deque
from collections.abc import Callable

from aiohttp import web

from hongyan.sandbox.dingtalk.answers import legacy

#: Messages of a robot in a minute, and how long it is blocked for more (s).
ROBOT_RATE, ROBOT_BLOCK = 20, 600.0


class Rates:
    """`qps`: calls of each API of v1.0 in a second."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.qps = 20
        self._calls: dict[str, deque[float]] = {}
        self._robot_calls: dict[str, deque[float]] = {}
        self._blocked: dict[str, float] = {}

    def may_call(self, api: str) -> bool:
        """Whether there is room for one more, which then is taken."""
        calls = self._calls.setdefault(api, deque())
        now = self._now()
        while calls and calls[0] <= now - 1:
            calls.popleft()
        if len(calls) >= self.qps:
            return False
        calls.append(now)
        return True

    def robot_paced(self, token: str) -> web.Response | None:
        """Count a call; the answer, if it was one too many."""
        now = self._now()
        if now < self._blocked.get(token, 0.0):
            return legacy(410100, "发送速度太快而限流")
        calls = self._robot_calls.setdefault(token, deque())
        while calls and calls[0] <= now - 60:
            calls.popleft()
        calls.append(now)
        if len(calls) > ROBOT_RATE:
            self._blocked[token] = now + ROBOT_BLOCK
            calls.clear()
            return legacy(130101, "send too fast, exceed 20 times per minute")
        return None
