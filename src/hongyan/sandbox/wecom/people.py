"""What an application is told of members, and of itself."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from hongyan.sandbox.wecom.answers import Refusal, body_of
from hongyan.sandbox.wecom.tokens import Tokens
from hongyan.sandbox.wecom.world import MEMBERS, Company, Member


class People:
    """Only who is in the visible range is found by mobile number or mail address."""

    def __init__(self, company: Company, tokens: Tokens) -> None:
        self._company = company
        self._tokens = tokens

    async def get(self, request: web.Request) -> dict[str, Any]:
        self._tokens.agent(request)
        member = self._company.member(request.query.get("userid", ""))
        if member is None:
            raise Refusal(60111, "userid not found")
        return {
            "userid": member.id,
            "name": member.name,
            "mobile": member.mobile,
            "email": member.email,
            "department": [member.department],
        }

    async def by_mobile(self, request: web.Request) -> dict[str, Any]:
        self._tokens.agent(request)
        mobile = (await body_of(request)).get("mobile")
        return {"userid": _only(each for each in MEMBERS if each.mobile == mobile and each.visible)}

    async def by_email(self, request: web.Request) -> dict[str, Any]:
        self._tokens.agent(request)
        body = await body_of(request)
        if body.get("email_type", 1) != 1:
            raise Refusal(46004, "user not exist")
        email = str(body.get("email", "")).lower()
        return {"userid": _only(each for each in MEMBERS if each.email == email and each.visible)}

    async def agent(self, request: web.Request) -> dict[str, Any]:
        agent = self._tokens.agent(request)
        if request.query.get("agentid") != str(agent.id):
            raise Refusal(301002, "not allow operate another agent with this accesstoken")
        return {"agentid": agent.id, "name": agent.name, "description": "", "close": 0}


def _only(members: Iterable[Member]) -> str:
    for each in members:
        return each.id
    raise Refusal(46004, "user not exist")
