"""Feishu's addresses, and what has each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.emulator import Emulator, Inbound, Told
from hongyan.sandbox.faults import Faults, What
from hongyan.sandbox.feishu import people
from hongyan.sandbox.feishu.answers import bearer, json_object, refuse
from hongyan.sandbox.feishu.batches import Batches
from hongyan.sandbox.feishu.checks import ContentChecker
from hongyan.sandbox.feishu.connections import Connections
from hongyan.sandbox.feishu.files import Files
from hongyan.sandbox.feishu.messages import Messages
from hongyan.sandbox.feishu.rates import Rates
from hongyan.sandbox.feishu.robot import Robots, robot_says
from hongyan.sandbox.feishu.telling import Telling
from hongyan.sandbox.feishu.tokens import Tokens
from hongyan.sandbox.feishu.world import (
    APP_ID,
    APP_NAME,
    APP_SECRET,
    DEPARTMENTS,
    GROUPS,
    PEOPLE,
    ROBOTS,
    VERIFICATION_TOKEN,
)


class Feishu(Emulator):
    """Its server interface, its robots, and the long connection."""

    platform = "feishu"
    prefixes = ("/open-apis/", "/callback/ws/")

    def __init__(self, board: Board, faults: Faults, now: Callable[[], float]) -> None:
        super().__init__(board, faults, now)
        rates, files = Rates(now), Files(board)
        content = ContentChecker(files.type_of)
        self.connections = Connections()
        self.tokens = Tokens(now)
        self.messages = Messages(board, files, content, rates, now)
        self.telling = Telling(board, files, self.messages, self.connections, now)
        self._files = files
        self._robots = Robots(board, files, content, rates, now)
        self._batches = Batches(board, files, content, rates)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        api, im, guarded = "/open-apis", "/open-apis/im/v1", self.tokens.guarded
        message = f"{im}/messages/{{id}}"
        return [
            web.post(f"{api}/bot/v2/hook/{{token}}", self._robots.send),
            web.post(f"{api}/bot/v2/hook/{{token}}/", self._robots.send),
            web.post(f"{api}/auth/v3/tenant_access_token/internal", self.tokens.give),
            web.post(f"{api}/auth/v3/app_access_token/internal", self.tokens.give),
            web.get(f"{api}/bot/v3/info", guarded(people.bot_info)),
            web.post(f"{im}/messages", guarded(self.messages.create)),
            web.post(f"{message}/reply", guarded(self.messages.reply)),
            web.get(f"{message}/read_users", guarded(self.messages.read_users)),
            web.get(f"{message}/resources/{{key}}", guarded(self.messages.resource)),
            web.patch(f"{message}/{{urgent:urgent_(app|sms|phone)}}", guarded(self.messages.urgent)),
            web.get(message, guarded(self.messages.get)),
            web.patch(message, guarded(self.messages.patch)),
            web.put(message, guarded(self.messages.put)),
            web.delete(message, guarded(self.messages.delete)),
            web.post(f"{im}/images", guarded(self._files.upload_image)),
            web.get(f"{im}/images/{{key}}", guarded(self._files.download)),
            web.post(f"{im}/files", guarded(self._files.upload_file)),
            web.get(f"{im}/files/{{key}}", guarded(self._files.download)),
            web.post(f"{api}/message/v4/batch_send", guarded(self._batches.send)),
            web.post(f"{api}/message/v4/batch_send/", guarded(self._batches.send)),
            web.get(f"{im}/batch_messages/{{id}}/get_progress", guarded(self._batches.progress)),
            web.get(f"{im}/batch_messages/{{id}}/read_user", guarded(self._batches.read)),
            web.delete(f"{im}/batch_messages/{{id}}", guarded(self._batches.delete)),
            web.post(f"{api}/contact/v3/users/batch_get_id", guarded(people.batch_get_id)),
            web.get(f"{api}/contact/v3/users/{{id}}", guarded(people.user)),
            web.get(f"{im}/chats", guarded(people.chats)),
            web.get(f"{im}/chats/{{id}}", guarded(people.chat)),
            web.post("/callback/ws/endpoint", self._endpoint),
            web.get("/callback/ws/connect", self._connect),
        ]

    def failure(self, what: What, request: web.Request) -> web.Response:
        if "/bot/v2/hook/" in request.path:
            if what == "throttled":
                return robot_says(11232, "frequency limited psm[lark.oapi.app_platform_runtime]")
            return robot_says(19021, "sign match fail or timestamp is not within one hour from current time")
        match what:
            case "throttled":
                limits = {"x-ogw-ratelimit-limit": "100", "x-ogw-ratelimit-reset": "7"}
                return refuse(99991400, "request trigger frequency limit", 429, limits)
            case "token_expired":
                self.tokens.forget(bearer(request))
                return refuse(99991663, "Invalid access token for authorization. Please make a test attempt again.")
            case _:
                return refuse(230027, "Lack of necessary permissions.", 200)

    def world(self) -> Mapping[str, Any]:
        return {
            "app": {
                "app_id": APP_ID,
                "app_secret": APP_SECRET,
                "name": APP_NAME,
                "encrypt_key": self.telling.encrypt_key,
                "verification_token": VERIFICATION_TOKEN,
            },
            "robots": [{"token": token, **asdict(robot)} for token, robot in ROBOTS.items()],
            "people": [
                {**each.ids(), "id": each.open_id, "name": each.name, "email": each.email, "mobile": each.mobile}
                for each in PEOPLE.values()
            ],
            "departments": [{"id": id, "name": name} for id, name in DEPARTMENTS.items()],
            "groups": [{"id": each.id, "title": each.title, "members": each.members} for each in GROUPS.values()],
        }

    async def tell(self, inbound: Inbound, url: str) -> Told:
        """`url` may be empty: then by the long connection that the app holds."""
        return await self.telling.tell(inbound, url)

    async def _endpoint(self, request: web.Request) -> web.Response:
        asked = json_object(await request.read()) or {}
        if (asked.get("AppID"), asked.get("AppSecret")) != (APP_ID, APP_SECRET):
            return web.json_response({"code": 1000040344, "msg": "app_id or app_secret is invalid"})
        ticket = self.connections.ticket()
        origin = self.origin.replace("http", "ws", 1)
        url = f"{origin}/callback/ws/connect?device_id=1&service_id=7&ticket={ticket}"
        return web.json_response({"code": 0, "msg": "", "data": {"URL": url, "ClientConfig": self.connections.config}})

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        return await self.connections.serve(request)
