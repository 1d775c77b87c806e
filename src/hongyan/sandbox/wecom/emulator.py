"""The calls of WeCom, and what has each."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.emulator import Emulator, Inbound, Told
from hongyan.sandbox.faults import Faults, What
from hongyan.sandbox.wecom.answers import answering, error
from hongyan.sandbox.wecom.files import Files
from hongyan.sandbox.wecom.groups import Groups
from hongyan.sandbox.wecom.messages import Messages
from hongyan.sandbox.wecom.people import People
from hongyan.sandbox.wecom.rates import Windows
from hongyan.sandbox.wecom.robot import Robots
from hongyan.sandbox.wecom.telling import Telling
from hongyan.sandbox.wecom.tokens import Tokens
from hongyan.sandbox.wecom.world import AGENTS, CORP, DEPARTMENTS, MEMBERS, ROBOTS, TAGS, Company


class WeCom(Emulator):
    """Robots of groups, and the server interface of two applications; tests use `tokens` and `files`."""

    platform = "wecom"
    prefixes = ("/cgi-bin/",)

    def __init__(self, board: Board, faults: Faults, now: Callable[[], float]) -> None:
        super().__init__(board, faults, now)
        self.company = company = Company()
        windows = Windows(now)
        self.tokens = tokens = Tokens(windows, now)
        self.files = files = Files(board, tokens, now, lambda: self.origin)
        self._robots = Robots(board, files, windows)
        self._messages = Messages(board, company, tokens, files, windows, now)
        self._groups = Groups(board, company, tokens, files, windows)
        self._people = People(company, tokens)
        self._telling = Telling(board, company, self._messages, now, lambda: self.origin)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        calls: dict[str, tuple[str, Callable[[web.Request], Awaitable[Any]]]] = {
            "gettoken": ("*", self.tokens.give),
            "webhook/send": ("*", self._robots.send),
            "webhook/upload_media": ("POST", self._robots.upload),
            "message/send": ("POST", self._messages.send),
            "message/recall": ("POST", self._messages.recall),
            "message/update_template_card": ("POST", self._messages.update_card),
            "message/get_statistics": ("POST", self._messages.statistics),
            "appchat/create": ("POST", self._groups.create),
            "appchat/update": ("POST", self._groups.update),
            "appchat/get": ("GET", self._groups.get),
            "appchat/send": ("POST", self._groups.send),
            "media/upload": ("POST", self.files.upload),
            "media/uploadimg": ("POST", self.files.upload_image),
            "media/get": ("GET", self.files.get),
            "user/get": ("GET", self._people.get),
            "user/getuserid": ("POST", self._people.by_mobile),
            "user/get_userid_by_email": ("POST", self._people.by_email),
            "agent/get": ("GET", self._people.agent),
        }
        return [web.route(method, f"/cgi-bin/{path}", answering(call)) for path, (method, call) in calls.items()]

    def failure(self, what: What, request: web.Request) -> web.Response:
        match what:
            case "throttled":
                return error(request, 45009, "api freq out of limit")
            case "token_expired":
                self.tokens.forget(request.query.get("access_token", ""))
                return error(request, 42001, "access_token expired")
            case _:
                return error(request, 40058, "invalid Request Parameter")

    def world(self) -> Mapping[str, Any]:
        return {
            "corp_id": CORP,
            "agents": [
                {
                    "agent_id": each.id,
                    "name": each.name,
                    "secret": each.secret,
                    "token": each.token,
                    "aes_key": each.aes_key,
                }
                for each in AGENTS
            ],
            "robots": [
                {"key": key, "name": name, "url": f"{self.origin}/cgi-bin/webhook/send?key={key}"}
                for key, name in ROBOTS.items()
            ],
            "users": [
                {
                    "id": each.id,
                    "name": each.name,
                    "mobile": each.mobile,
                    "email": each.email,
                    "department": each.department,
                    "licensed": each.licensed,
                    "visible": each.visible,
                }
                for each in MEMBERS
            ],
            "departments": [{"id": number, "name": name} for number, name in DEPARTMENTS.items()],
            "tags": [{"id": number, "name": name, "users": users} for number, (name, users) in TAGS.items()],
            "groups": [
                {"id": each.id, "name": each.name, "members": each.members, "agent": each.agent}
                for each in self.company.chats.values()
            ],
        }

    async def tell(self, inbound: Inbound, url: str) -> Told:
        return await self._telling.tell(inbound, url)
