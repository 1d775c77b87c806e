"""The robot of one group, called at its webhook: it only sends."""

from collections.abc import Sequence

from hongyan.hub.connector import Feature, Outcome, Problem, Receipt, Result, Sent, Target, Unable, failed
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.dingtalk.api import LEGACY_HOST
from hongyan.hub.connectors.dingtalk.credentials import RobotCredentials
from hongyan.hub.connectors.dingtalk.crypto import robot_sign
from hongyan.hub.connectors.dingtalk.errors import robot_answer
from hongyan.hub.connectors.dingtalk.rendering import Body, robot_bodies
from hongyan.hub.content import Message
from hongyan.hub.degrade import Degrade
from hongyan.hub.http import Http
from hongyan.hub.rates import Limit
from hongyan.hub.surroundings import Surroundings

#: Messages in a minute: a little below DingTalk's 20, more than which close the robot for ten minutes.
RATE, MINUTE, BLOCK = 18, 60.0, 600.0


FEATURES = frozenset({Feature.ONCE})


class RobotConnector(Unable):
    """A robot of a group has no receipts: what it has said stays."""

    features = FEATURES

    def __init__(self, credentials: RobotCredentials, around: Surroundings) -> None:
        self._credentials = credentials
        self._around = around
        self._http = Http(around.outbound, credentials.base_url or LEGACY_HOST)
        self._rate = ("dingtalk_robot", credentials.access_token)
        self._throttled_until = 0.0

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        """A long text, and mentions beside a card, are messages of their own. DingTalk takes each of them once."""
        degrade = Degrade(self._around, key)
        try:
            bodies = await robot_bodies(message, degrade, self._credentials.keywords)
            for number, body in enumerate(bodies):
                # those that have gone before the rate was used up are taken once, and come again unseen
                self._around.rates.take(Limit(self._rate, RATE, MINUTE), everybody=True)
                await self._post({**body, "msgUuid": f"{key}-{number}" if number else key})
        except Problem as problem:
            return Sent(tuple(failed(target, problem) for target in to), tuple(degrade.notes))
        return Sent(tuple(Result(target, Outcome.OK) for target in to), tuple(degrade.notes))

    async def check(self) -> str:
        """Asks with nothing to send: a robot that is there says what is missing."""
        try:
            await self._post({})
        except Problem as problem:
            if problem.code != "40035" or problem.outcome is not Outcome.BAD_CONTENT:
                raise
        return "DingTalk robot"

    async def _post(self, body: Body) -> None:
        answer = await self._http.post("/robot/send", body, self._query())
        try:
            robot_answer(answer)
        except Problem as problem:
            if problem.outcome is Outcome.THROTTLED:
                raise self._closed(problem) from None
            raise

    def _query(self) -> dict[str, str]:
        """Signed at each try: a signature is good for an hour."""
        query = {"access_token": self._credentials.access_token}
        if self._credentials.secret:
            stamp = str(self._around.wall())
            query |= {"timestamp": stamp, "sign": robot_sign(self._credentials.secret, stamp)}
        return query

    def _closed(self, problem: Problem) -> Problem:
        """How long to wait: a minute, or if that was not enough, the ten that a robot is closed for."""
        now = self._around.steady()
        wait = problem.after or (BLOCK if now < self._throttled_until else MINUTE)
        self._throttled_until = now + wait + MINUTE
        self._around.rates.close(self._rate, wait)
        return Problem(problem.outcome, problem.reason, code=problem.code, after=wait, everybody=True)


KIND = ChannelKind(
    name="dingtalk_robot",
    platform="dingtalk",
    credentials=RobotCredentials,
    secret=frozenset({"access_token", "secret"}),
    targets=frozenset(),
    open=RobotConnector,
    features=FEATURES,
)
