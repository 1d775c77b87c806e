"""The robot of a group: its key is all there is; no ids come back, so that nothing can be recalled or changed."""

from collections.abc import Sequence
from typing import Any

from hongyan.hub.connector import HERE, Outcome, Problem, Receipt, Result, Sent, Target, Unable, failed, nothing_said
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.connectors.wecom.cards import RobotCards
from hongyan.hub.connectors.wecom.credentials import BASE, RobotCredentials
from hongyan.hub.connectors.wecom.errors import judge
from hongyan.hub.connectors.wecom.mentions import told
from hongyan.hub.connectors.wecom.uploads import Uploads
from hongyan.hub.content import Message
from hongyan.hub.degrade import Degrade
from hongyan.hub.http import Answer, Http
from hongyan.hub.rates import Limit
from hongyan.hub.surroundings import Bytes, Surroundings

#: Messages a minute, a tenth below WeCom's 20.
RATE = 18


class Robot(Unable):
    def __init__(self, credentials: RobotCredentials, around: Surroundings) -> None:
        self._around = around
        self._key = credentials.key
        self._http = Http(around.outbound, credentials.base_url or BASE)
        self._limit = Limit(("wecom_robot", credentials.base_url, credentials.key), RATE, 60.0)
        self._uploads = Uploads(self._upload, around.steady)

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        degrade = Degrade(self._around, key)
        parts = await RobotCards(degrade, self._uploads.get, told(message.mentions, mobiles=True)).parts(message)
        for type_, value in parts[self._around.progress.count(key, HERE) :]:
            self._around.rates.take(self._limit, everybody=True)
            await self._post({"msgtype": type_, type_: value})
            self._around.progress.add(key, HERE, {})
        self._around.progress.done(key, HERE)
        return Sent(tuple(_result(target) for target in to), tuple(degrade.notes))

    async def check(self) -> str:
        """A message of no type is refused by a robot that is there (inferred), and shown to nobody."""
        try:
            await self._post({"msgtype": ""})
        except Problem as problem:
            if problem.outcome is not Outcome.BAD_CONTENT:
                raise
        return "a robot of a WeCom group"

    async def _post(self, value: dict[str, Any]) -> None:
        self._judge(await self._http.post("/cgi-bin/webhook/send", value, {"key": self._key}))

    async def _upload(self, type_: str, file: Bytes) -> str:
        """Only this robot can use what it has uploaded."""
        sent = ("media", file.name or type_, file.type or "application/octet-stream", file.content)
        with nothing_said():
            query = {"key": self._key, "type": type_}
            answer = await self._http.upload("/cgi-bin/webhook/upload_media", sent, query=query)
            media_id = self._judge(answer).get("media_id")
            if not isinstance(media_id, str):
                raise Problem(Outcome.UNKNOWN, "WeCom's answer has no media_id")
            return media_id

    def _judge(self, answer: Answer) -> dict[str, Any]:
        try:
            return judge(answer, (self._key,))
        except Problem as problem:
            if problem.outcome is Outcome.THROTTLED and problem.after is not None:
                self._around.rates.close(self._limit.key, problem.after)
            raise


def _result(target: Target) -> Result:
    if target == HERE:
        return Result(target, Outcome.OK)
    return failed(target, Problem(Outcome.BAD_RECIPIENT, "a robot sends to its own group only"))


KIND = ChannelKind(
    name="wecom_robot",
    platform="wecom",
    credentials=RobotCredentials,
    secret=frozenset({"key"}),
    targets=frozenset(),
    open=Robot,
)
