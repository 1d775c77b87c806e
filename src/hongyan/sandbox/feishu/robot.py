"""Robots of groups, which anybody calls who has the address."""

import base64
import hashlib
import hmac
import ipaddress
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.emulator import Robot
from hongyan.sandbox.feishu.answers import Refusal, json_object
from hongyan.sandbox.feishu.checks import ContentChecker
from hongyan.sandbox.feishu.files import Files
from hongyan.sandbox.feishu.rates import Rates
from hongyan.sandbox.feishu.world import GROUPS, ROBOTS

#: Bytes of a request, and how old a signature may be (s).
ROBOT_BYTES, SIGNATURE_AGE = 20 * 1024, 3600


class Robots:
    """Each has the protections that were chosen for it: a signature, keywords, networks."""

    def __init__(
        self, board: Board, files: Files, content: ContentChecker, rates: Rates, now: Callable[[], float]
    ) -> None:
        self._board = board
        self._files = files
        self._content = content
        self._rates = rates
        self._now = now

    async def send(self, request: web.Request) -> web.Response:
        token = request.match_info["token"]
        robot = ROBOTS.get(token)
        if robot is None:
            return robot_says(19001, "param invalid: incoming webhook access token invalid", 400)
        if not self._rates.within(f"robot {token}", 5, 1):
            return robot_says(9499, "too many request", 400)
        if not self._rates.within(f"robot {token}", 100, 60):
            return robot_says(11232, "frequency limited psm[lark.oapi.app_platform_runtime]")
        raw = await request.read()
        asked = json_object(raw)
        if asked is None or len(raw) > ROBOT_BYTES:
            return robot_says(9499, "Bad Request", 400)
        if robot.networks and not _within_networks(request.remote or "", robot.networks):
            return robot_says(19022, "Ip Not Allowed")
        if robot.secret and not self._is_signed(asked, robot.secret):
            return robot_says(19021, "sign match fail or timestamp is not within one hour from current time")
        return self._show(robot, asked)

    def _show(self, robot: Robot, asked: Mapping[str, Any]) -> web.Response:
        type_ = asked.get("msg_type")
        if type_ not in ("text", "post", "image", "share_chat", "interactive"):
            return robot_says(19002, "params error, msg_type need")
        content = asked.get("card") if type_ == "interactive" else asked.get("content")
        if type_ == "post" and isinstance(content, dict):
            content = content.get("post")
        if not isinstance(content, dict):
            return robot_says(9499, "Bad Request", 400)
        if robot.keywords and not any(word in text for word in robot.keywords for text in _visible(content)):
            return robot_says(19024, "Key Words Not Found")
        try:
            self._content.check(type_, content)
        except Refusal as refusal:
            refused = json.loads(refusal.response.text or "")
            return robot_says(9499 if refused["code"] == 230001 else 11246, refused["msg"], 400)
        group = GROUPS[robot.group]
        self._board.add("feishu", "robot", robot.name, [group.title], type_, content, extra=self._files.extra(content))
        return web.json_response({"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"})

    def _is_signed(self, asked: Mapping[str, Any], secret: str) -> bool:
        timestamp, sign = str(asked.get("timestamp", "")), str(asked.get("sign", ""))
        if not timestamp.isdecimal() or abs(self._now() - int(timestamp)) > SIGNATURE_AGE:
            return False
        digest = hmac.new(f"{timestamp}\n{secret}".encode(), digestmod=hashlib.sha256).digest()
        return hmac.compare_digest(base64.b64encode(digest).decode(), sign)


def robot_says(code: int, message: str, status: int = 200) -> web.Response:
    """Refuse as robots do."""
    return web.json_response({"code": code, "data": {}, "msg": message}, status=status)


def _within_networks(remote: str, networks: Sequence[str]) -> bool:
    """An address, a network such as 10.0.0.1/24, or one with stars."""
    for network in networks:
        if "*" in network:
            if remote.startswith(network.partition("*")[0]):
                return True
        elif remote and ipaddress.ip_address(remote) in ipaddress.ip_network(network, strict=False):
            return True
    return False


def _visible(value: object) -> list[str]:
    """The texts in which keywords are looked for."""
    if isinstance(value, dict):
        own = [each for name, each in value.items() if name in ("text", "title", "content") and isinstance(each, str)]
        return own + [text for each in value.values() for text in _visible(each)]
    return [text for each in value for text in _visible(each)] if isinstance(value, list) else []
