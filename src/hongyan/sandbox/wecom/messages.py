"""The messages of applications: sent, recalled, changed, and counted."""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.wecom import checks
from hongyan.sandbox.wecom.answers import Refusal, body_of
from hongyan.sandbox.wecom.files import Files
from hongyan.sandbox.wecom.rates import Windows
from hongyan.sandbox.wecom.tokens import Tokens
from hongyan.sandbox.wecom.world import AGENTS, CORP, DEPARTMENTS, TAGS, Agent, Company, Member, names

#: How long codes of cards and recalls are good (s).
CODE, RECALL = 72 * 3600, 24 * 3600
#: Messages to a member in a minute and in an hour.
MEMBER_MINUTE, MEMBER_HOUR = 30, 1000


@dataclass(slots=True)
class _Code:
    """By which a card is changed, once."""

    shown: str
    agent: int
    until: float
    used: bool = False


@dataclass(slots=True)
class _Message:
    agent: int
    at: float
    shown: str


class Messages:
    """A card that can be changed has a code, which is good once."""

    def __init__(
        self,
        board: Board,
        company: Company,
        tokens: Tokens,
        files: Files,
        windows: Windows,
        now: Callable[[], float],
    ) -> None:
        self._board = board
        self._company = company
        self._tokens = tokens
        self._files = files
        self._windows = windows
        self._now = now
        self._codes: dict[str, _Code] = {}
        self._messages: dict[str, _Message] = {}
        self._tasks: set[tuple[int, str]] = set()
        self._said: dict[str, tuple[float, dict[str, Any]]] = {}
        self._counts: dict[tuple[int, int], int] = {}

    async def send(self, request: web.Request) -> dict[str, Any]:
        agent = self._tokens.agent(request)
        body = await body_of(request)
        _same_agent(body, agent)
        type_, value = checks.message(body, "app", lambda kind, id_: self._files.has(kind, id_, CORP))
        reached, missed = self._recipients(body)
        before = self._said_before(agent, body)
        if before is not None:
            return before
        if type_ == "template_card":
            self._task(agent, value)
        got = [each for each in reached if self._passes(agent, each)]
        extra = {
            "names": names(),
            **self._files.named(value),
            "agent": agent.id,
            "safe": str(body.get("safe") or 0),
            "dropped": [each.id for each in reached if each not in got],
        }
        shown = self._board.add("wecom", "app", agent.name, [each.id for each in got], type_, value, extra=extra)
        msgid = secrets.token_urlsafe(40)
        self._messages[msgid] = _Message(agent.id, self._now(), shown.id)
        self._count(agent)
        answer = {**missed, "msgid": msgid}
        if type_ == "template_card" and checks.updatable(value):
            answer["response_code"] = self.code(shown, agent)
        self._said[self._digest(agent, body)] = (self._now(), answer)
        return answer

    def _recipients(self, body: Mapping[str, Any]) -> tuple[list[Member], dict[str, str]]:
        """Whom it reaches, and the fields of the answer that name the others. Raises Refusal."""
        if str(body.get("touser") or "") == "@all":
            return [each for each in self._company.visible() if each.licensed], {"invaliduser": ""}
        users, parties, tags = (_ids(body.get(name)) for name in ("touser", "toparty", "totag"))
        if not (users or parties or tags):
            raise Refusal(82001, "touser, toparty and totag are all empty")
        if len(users) > 1000:
            raise Refusal(40032, "invalid userlist size")
        if len(parties) > 100 or len(tags) > 100:
            raise Refusal(40066 if len(parties) > 100 else 40068, "invalid party or tag list")
        found: list[Member] = []
        missed: dict[str, list[str]] = {"invaliduser": [], "invalidparty": [], "invalidtag": [], "unlicenseduser": []}
        for each in users:
            member = self._company.member(each)
            if member is None or not member.visible:
                missed["invaliduser"].append(each.lower())
            elif not member.licensed:
                missed["unlicenseduser"].append(each.lower())
            else:
                found.append(member)
        for each in parties:
            if not each.isdecimal() or int(each) not in DEPARTMENTS:
                missed["invalidparty"].append(each)
            else:
                found += self._company.of_department(int(each))
        for each in tags:
            if not each.isdecimal() or int(each) not in TAGS:
                missed["invalidtag"].append(each)
            else:
                found += [member for id_ in TAGS[int(each)][1] if (member := self._company.member(id_)) is not None]
        fields = {name: "|".join(ids) for name, ids in missed.items()}
        if not found:
            raise Refusal(81013, "user & party & tag all invalid", **fields)
        return list(dict.fromkeys(each for each in found if each.licensed)), fields

    def _passes(self, agent: Agent, member: Member) -> bool:
        """What is above a member's rate is dropped without a word."""
        return self._windows.take((agent.id, member.id), MEMBER_MINUTE, 60.0) and self._windows.take(
            (agent.id, member.id), MEMBER_HOUR, 3600.0
        )

    def _digest(self, agent: Agent, body: Mapping[str, Any]) -> str:
        type_ = body.get("msgtype")
        said = [agent.id, *(body.get(name) for name in ("touser", "toparty", "totag")), type_, body.get(str(type_))]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def _said_before(self, agent: Agent, body: Mapping[str, Any]) -> dict[str, Any] | None:
        if str(body.get("enable_duplicate_check") or 0) != "1":
            return None
        interval = min(int(body.get("duplicate_check_interval") or 1800), 14_400)
        at, answer = self._said.get(self._digest(agent, body), (float("-inf"), {}))
        return answer if self._now() - at < interval else None

    def _task(self, agent: Agent, card: Mapping[str, Any]) -> None:
        task = card.get("task_id")
        if task and (agent.id, task) in self._tasks:
            raise Refusal(40058, "invalid Request Parameter, template_card.task_id already exists")
        if task:
            self._tasks.add((agent.id, task))

    def code(self, shown: Shown, agent: Agent) -> str:
        """A new one by which a card is changed, once."""
        code = secrets.token_urlsafe(48)
        self._codes[code] = _Code(shown.id, agent.id, self._now() + CODE)
        return code

    async def recall(self, request: web.Request) -> dict[str, Any]:
        agent = self._tokens.agent(request)
        message = self._messages.get(str((await body_of(request)).get("msgid", "")))
        if message is None or message.agent != agent.id:
            raise Refusal(40058, "invalid Request Parameter, msgid is not of this agent")
        if self._now() - message.at > RECALL:
            raise Refusal(40058, "invalid Request Parameter, msgid exceeds 24 hours")
        shown = self._board.get(message.shown)
        if shown is not None:
            shown.state = "recalled"
            self._board.changed(shown)
        return {}

    async def update_card(self, request: web.Request) -> dict[str, Any]:
        agent = self._tokens.agent(request)
        body = await body_of(request)
        _same_agent(body, agent)
        code = self._codes.get(str(body.get("response_code", "")))
        if code is None or self._now() >= code.until:
            raise Refusal(42014, "response_code is invalid or expired")
        if code.agent != agent.id:
            raise Refusal(42015, "response_code is not of this agent")
        if code.used:
            raise Refusal(42017, "response_code has been used")
        if not (body.get("atall") or body.get("userids") or body.get("partyids") or body.get("tagids")):
            raise Refusal(40058, "invalid Request Parameter, no receiver")
        card: Any = body.get("template_card")
        button: Any = body.get("button")
        if isinstance(card, dict):
            checks.template_card(card, "app", changed=True)
        elif not isinstance(button, dict) or not button.get("replace_name"):
            raise Refusal(40058, "invalid Request Parameter, button or template_card")
        code.used = True
        shown = self._board.get(code.shown)
        if shown is not None:
            if isinstance(card, dict):
                shown.payload = {"task_id": shown.payload.get("task_id"), **card}
            else:
                shown.payload = {**shown.payload, "replace_text": button["replace_name"]}
            shown.state = "changed"
            self._board.changed(shown)
        return {"invaliduser": ""}

    def _count(self, agent: Agent) -> None:
        day = int((self._now() + 8 * 3600) // 86_400)
        self._counts[agent.id, day] = self._counts.get((agent.id, day), 0) + 1

    async def statistics(self, request: web.Request) -> dict[str, Any]:
        self._tokens.agent(request)
        day = int((self._now() + 8 * 3600) // 86_400) - int((await body_of(request)).get("time_type") or 0)
        return {
            "statistics": [
                {"agentid": each.id, "app_name": each.name, "count": self._counts[each.id, day]}
                for each in AGENTS
                if (each.id, day) in self._counts
            ]
        }


def _same_agent(body: Mapping[str, Any], agent: Agent) -> None:
    """Some senders write the number as a text."""
    if "agentid" not in body:
        raise Refusal(41011, "missing agentid")
    if str(body["agentid"]) != str(agent.id):
        raise Refusal(301002, "not allow operate another agent with this accesstoken")


def _ids(text: Any) -> list[str]:
    return [each.strip() for each in str(text or "").split("|") if each.strip()]
