"""DingTalk's addresses, and what has each."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.dingtalk import people
from hongyan.sandbox.dingtalk.answers import answering, fields, legacy, reply, v1_error
from hongyan.sandbox.dingtalk.cards import Cards
from hongyan.sandbox.dingtalk.files import Files
from hongyan.sandbox.dingtalk.messages import Messages
from hongyan.sandbox.dingtalk.rates import Rates
from hongyan.sandbox.dingtalk.robot import Robots
from hongyan.sandbox.dingtalk.stream import Streams
from hongyan.sandbox.dingtalk.telling import Telling
from hongyan.sandbox.dingtalk.tokens import Tokens
from hongyan.sandbox.dingtalk.work import Work
from hongyan.sandbox.dingtalk.world import (
    AES_KEY,
    AGENT_ID,
    APP_KEY,
    APP_SECRET,
    CALLBACK_TOKEN,
    CARD_SECRET,
    CORP_ID,
    DEPARTMENTS,
    GROUPS,
    PEOPLE,
    ROBOTS,
    ROUTE_KEY,
)
from hongyan.sandbox.emulator import Emulator, Inbound, Told
from hongyan.sandbox.faults import Faults, What


class DingTalk(Emulator):
    """Its older interfaces and those of v1.0; tests use `tokens`, `rates` and `streams`."""

    platform = "dingtalk"
    prefixes = (
        "/robot/",
        "/gettoken",
        "/topapi/",
        "/media/upload",
        "/v1.0/",
        "/dingtalk/",
    )

    def __init__(self, board: Board, faults: Faults, now: Callable[[], float]) -> None:
        super().__init__(board, faults, now)
        self.streams = Streams()
        self.rates = Rates(now)
        self.tokens = Tokens(self.rates, now)
        self._robots = Robots(board, self.rates, now)
        self._messages = Messages(board, now)
        self._work = Work(board, now)
        self._cards = Cards(board, self._messages.show)
        self._files = Files(board, now, lambda: self.origin)
        self._telling = Telling(board, self._messages, self._cards, self.streams, now, lambda: self.origin)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        older: dict[str, Any] = {
            "/topapi/message/corpconversation/asyncsend_v2": self._work.send,
            "/topapi/message/corpconversation/getsendprogress": self._work.progress,
            "/topapi/message/corpconversation/getsendresult": self._work.result,
            "/topapi/message/corpconversation/recall": self._work.recall,
            "/topapi/message/corpconversation/status_bar/update": self._work.update,
            "/topapi/v2/user/getbymobile": people.by_mobile,
            "/media/upload": self._files.upload,
        }
        v1: list[tuple[str, str, Any]] = [
            ("POST", "/v1.0/robot/oToMessages/batchSend", self._messages.send_users),
            ("POST", "/v1.0/robot/groupMessages/send", self._messages.send_group),
            ("GET", "/v1.0/robot/oToMessages/readStatus", self._messages.read_users),
            ("POST", "/v1.0/robot/groupMessages/query", self._messages.read_group),
            ("POST", "/v1.0/robot/otoMessages/batchRecall", self._messages.recall),
            ("POST", "/v1.0/robot/groupMessages/recall", self._messages.recall),
            ("POST", "/v1.0/robot/messageFiles/download", self._files.download),
            ("POST", "/v1.0/card/instances", self._cards.create),
            ("POST", "/v1.0/card/instances/deliver", self._cards.deliver),
            ("POST", "/v1.0/card/instances/createAndDeliver", self._cards.create_and_deliver),
            ("PUT", "/v1.0/card/instances", self._cards.update),
            ("PUT", "/v1.0/card/streaming", self._cards.streaming),
            ("POST", "/v1.0/card/callbacks/register", self._cards.register),
        ]
        return [
            web.route("*", "/robot/send", answering(self._robots.send)),
            web.post("/robot/sendBySession", answering(self._messages.send_session)),
            web.get("/gettoken", answering(self.tokens.give_legacy)),
            web.post("/gettoken", answering(self.tokens.give_legacy)),
            web.post("/v1.0/oauth2/accessToken", answering(self.tokens.give)),
            *(web.post(path, answering(self.tokens.guarded(handler, v1=False))) for path, handler in older.items()),
            *(web.route(way, path, answering(self.tokens.guarded(handler, v1=True))) for way, path, handler in v1),
            web.post("/v1.0/gateway/connections/open", answering(self._stream_open)),
            web.get("/dingtalk/stream", self.streams.serve),
        ]

    def failure(self, what: What, request: web.Request) -> web.Response:
        v1 = request.path.startswith("/v1.0/")
        match what:
            case "throttled" if request.path == "/robot/send":  # the page of the gateway, which has no errcode
                return reply(
                    {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": secrets.token_hex(8)}
                )
            case "throttled":
                if v1:
                    return v1_error(403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "qps limit")
                return legacy(90002, "您的服务器调用钉钉开放平台所有接口的请求都被暂时禁用了")
            case "token_expired":
                if request.path == "/robot/send":
                    return legacy(300005, "token is not exist")
                if v1:
                    return v1_error(401, "InvalidAuthentication", "不合法的access_token")
                return legacy(42001, "access_token超时")
            case _:
                if request.path == "/robot/send":
                    return legacy(430104, "内容不合适")
                if v1:
                    return v1_error(400, "invalidParameter.msgParam.invalid", "msgParam is invalid")
                return legacy(40035, "不合法的参数")

    def world(self) -> Mapping[str, Any]:
        return {
            "app": {
                "app_key": APP_KEY,
                "app_secret": APP_SECRET,
                "robot_code": APP_KEY,
                "agent_id": AGENT_ID,
                "corp_id": CORP_ID,
                "callback_token": CALLBACK_TOKEN,
                "callback_aes_key": AES_KEY,
                "card_template_id": "sandbox-card.schema",
                "card_route_key": ROUTE_KEY,
                "card_secret": CARD_SECRET,
            },
            "robots": [{"access_token": token, **asdict(robot)} for token, robot in ROBOTS.items()],
            "people": [{"id": each.id, "name": each.name, "mobile": each.mobile} for each in PEOPLE.values()],
            "departments": [{"id": str(number), "name": name} for number, name in DEPARTMENTS.items()],
            "groups": [{"id": each.id, "title": each.title, "members": each.members} for each in GROUPS.values()],
        }

    async def tell(self, inbound: Inbound, url: str) -> Told:
        """`url` may be empty: then by the stream that the app has opened."""
        return await self._telling.tell(inbound, url)

    async def _stream_open(self, request: web.Request) -> web.Response:
        body = await fields(request)
        if (body.get("clientId"), body.get("clientSecret")) != (APP_KEY, APP_SECRET):
            return v1_error(401, "authFailed", "clientId或clientSecret无效")
        subscriptions = body.get("subscriptions")
        if not isinstance(subscriptions, list) or not subscriptions:
            return v1_error(400, "param.error", "subscriptions不能为空")
        ticket = self.streams.ticket({(each.get("type"), each.get("topic")) for each in subscriptions})
        return reply({"endpoint": f"{self.origin.replace('http', 'ws', 1)}/dingtalk/stream", "ticket": ticket})
