"""The robot of one group: it only speaks, with texts and cards whose buttons open addresses."""

from collections.abc import Sequence
from typing import Any

from hongyan.hub.connector import Outcome, Problem, Receipt, Result, Sent, Target, Unable, failed
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.feishu import errors
from hongyan.hub.connectors.feishu.credentials import HOOK, RobotCredentials
from hongyan.hub.connectors.feishu.crypto import robot_sign
from hongyan.hub.connectors.feishu.rendering import Body, Renderer
from hongyan.hub.content import Mention, Message
from hongyan.hub.degrade import Degrade
from hongyan.hub.http import Http
from hongyan.hub.rates import Limit
from hongyan.hub.surroundings import Surroundings

#: A little below Feishu's 5 in a second and 100 in a minute.
SECOND, MINUTE = 4, 90
#: What a robot answers to a message of no type: it is there, and nothing is sent.
_THERE = frozenset({"9499", "19002", "19024"})


class RobotConnector(Unable):
    def __init__(self, credentials: RobotCredentials, around: Surroundings) -> None:
        self._credentials = credentials
        self._around = around
        self._http = Http(around.outbound, credentials.base)
        self._key = ("feishu_robot", credentials.hook)
        self._throttled_until = 0.0

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        degrade = Degrade(self._around, key)
        try:
            if message.thread:
                degrade.note("thread_to_title", message.thread)
            renderer = Renderer(degrade, _find, None, self._credentials.keywords)
            for body in await renderer.bodies(message, thread=message.thread):
                self._take()
                await self._post(_request(body))
        except Problem as problem:
            return Sent(tuple(failed(target, problem) for target in to), tuple(degrade.notes))
        return Sent(tuple(Result(target, Outcome.OK) for target in to), tuple(degrade.notes))

    async def check(self) -> str:
        """Sends a message of no type, of which Feishu says what is wrong after it has looked at the robot."""
        try:
            await self._post({"msg_type": "none"})
        except Problem as problem:
            if problem.code not in _THERE:
                raise
        return "robot of a Feishu group"

    def _take(self) -> None:
        limits = Limit(self._key, SECOND, 1.0), Limit(self._key, MINUTE, 60.0)
        self._around.rates.take(*limits, everybody=True)

    async def _post(self, request: dict[str, Any]) -> None:
        """Signed for this try: a signature is good for an hour."""
        secret = self._credentials.secret
        if secret:
            timestamp = str(self._around.wall() // 1000)
            request = {**request, "timestamp": timestamp, "sign": robot_sign(secret, timestamp)}
        answer = await self._http.post(HOOK + self._credentials.hook, request)
        try:
            errors.check(answer, (self._credentials.hook, secret))
        except Problem as problem:
            if problem.outcome is Outcome.THROTTLED:
                problem.after = self._closed(problem.after)
            raise

    def _closed(self, after: float | None) -> float:
        """How long to wait: some seconds, or a minute if that was not enough."""
        now = self._around.steady()
        if after is None or after == errors.ROBOT_AFTER:
            after = errors.ROBOT_LONG if now < self._throttled_until else errors.ROBOT_AFTER
        self._throttled_until = now + after + errors.ROBOT_LONG
        self._around.rates.close(self._key, after)
        return after


def _request(body: Body) -> dict[str, Any]:
    """Robots take cards and posts in other places than applications do."""
    match body.type:
        case "interactive":
            return {"msg_type": body.type, "card": body.content}
        case "post":
            return {"msg_type": body.type, "content": {"post": body.content}}
        case _:
            return {"msg_type": body.type, "content": body.content}


async def _find(mention: Mention) -> str | None:
    """A robot knows users by their ids only."""
    return mention.user or None


KIND = ChannelKind(
    "feishu_robot", "feishu", RobotCredentials, frozenset({"token", "secret"}), frozenset(), RobotConnector
)
