"""Groups that an application has made, and its messages to them."""

import re
import secrets
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.wecom import checks
from hongyan.sandbox.wecom.answers import Refusal, body_of
from hongyan.sandbox.wecom.files import Files
from hongyan.sandbox.wecom.rates import Windows
from hongyan.sandbox.wecom.tokens import Tokens
from hongyan.sandbox.wecom.world import CORP, Agent, Chat, Company, names

#: Messages of groups to a member in a minute and a day.
CHAT_MINUTE, CHAT_DAY, DAY = 200, 10_000, 86_400.0
_CHAT_ID = re.compile(r"[0-9A-Za-z]{1,32}")


class Groups:
    """An application sees its own; what is above the rate of a member is dropped for that member."""

    def __init__(self, board: Board, company: Company, tokens: Tokens, files: Files, windows: Windows) -> None:
        self._board = board
        self._company = company
        self._tokens = tokens
        self._files = files
        self._windows = windows

    async def create(self, request: web.Request) -> dict[str, Any]:
        agent = self._tokens.agent(request)
        body = await body_of(request)
        members = self._members(body.get("userlist"))
        if not 2 <= len(members) <= 2000:
            raise Refusal(86006, "invalid chat member list size")
        id_ = str(body.get("chatid") or secrets.token_hex(16))
        if not _CHAT_ID.fullmatch(id_):
            raise Refusal(86001, "invalid chat id")
        if id_ in self._company.chats:
            raise Refusal(86216, "chatid already exists")
        owner = str(body.get("owner") or members[0])
        self._company.chats[id_] = Chat(id_, str(body.get("name") or "")[:50], owner, members, agent.id)
        return {"chatid": id_}

    async def update(self, request: web.Request) -> dict[str, Any]:
        agent = self._tokens.agent(request)
        body = await body_of(request)
        chat = self._chat(agent, body.get("chatid"))
        added = self._members(body.get("add_user_list", []))
        left = [each.lower() for each in body.get("del_user_list", [])]
        chat.members = list(dict.fromkeys([each for each in chat.members if each.lower() not in left] + added))
        chat.name = str(body.get("name") or chat.name)[:50]
        chat.owner = str(body.get("owner") or chat.owner)
        return {}

    async def get(self, request: web.Request) -> dict[str, Any]:
        chat = self._chat(self._tokens.agent(request), request.query.get("chatid"))
        return {"chat_info": {"chatid": chat.id, "name": chat.name, "owner": chat.owner, "userlist": chat.members}}

    async def send(self, request: web.Request) -> dict[str, Any]:
        agent = self._tokens.agent(request)
        body = await body_of(request)
        chat = self._chat(agent, body.get("chatid"))
        type_, value = checks.message(body, "chat", lambda kind, id_: self._files.has(kind, id_, CORP))
        dropped = [each for each in chat.members if not self._passes(each)]
        extra = {
            "names": names(),
            **self._files.named(value),
            "agent": agent.id,
            "group": chat.name,
            "dropped": dropped,
        }
        self._board.add("wecom", "app", agent.name, [chat.id], type_, value, extra=extra)
        return {}

    def _passes(self, member: str) -> bool:
        """What is above the rates of a member, in all groups together, is dropped without a word."""
        return self._windows.take(("chat", member), CHAT_MINUTE, 60.0) and self._windows.take(
            ("chat", member), CHAT_DAY, DAY
        )

    def _chat(self, agent: Agent, chat_id: Any) -> Chat:
        chat = self._company.chats.get(str(chat_id))
        if chat is None:
            raise Refusal(86001, "invalid chat id")
        if chat.agent != agent.id:
            raise Refusal(86003, "chat is not created by this agent")
        return chat

    def _members(self, ids: Any) -> list[str]:
        found = [self._company.member(str(each)) for each in ids or []]
        if any(each is None or not each.visible for each in found):
            raise Refusal(40031, "invalid userid list")
        return list(dict.fromkeys(each.id for each in found if each is not None))
