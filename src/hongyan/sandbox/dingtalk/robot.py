"""Robots of groups, which anybody calls who has the address."""

import hmac
import ipaddress
from collections.abc import Callable
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.dingtalk.answers import Refusal, described, json_object, legacy
from hongyan.sandbox.dingtalk.checks import ROBOT_MAX, robot_type, visible
from hongyan.sandbox.dingtalk.crypto import sign
from hongyan.sandbox.dingtalk.rates import Rates
from hongyan.sandbox.dingtalk.world import GROUPS, PEOPLE, ROBOTS
from hongyan.sandbox.emulator import Robot


class Robots:
    """What is said again with the same `msgUuid` is taken, and shown once."""

    def __init__(self, board: Board, rates: Rates, now: Callable[[], float]) -> None:
        self._board = board
        self._rates = rates
        self._now = now
        self._uuids: set[tuple[str, str]] = set()

    async def send(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return legacy(43002, "require POST http method")
        token = request.query.get("access_token", "")
        if not token:
            return legacy(40035, "缺少参数 access_token")
        robot = ROBOTS.get(token)
        if robot is None:
            return legacy(300005, "token is not exist")
        if request.content_type != "application/json":
            return legacy(43004, "无效的HTTP HEADER Content-Type")
        raw = await request.read()
        refused = self._rates.robot_paced(token)
        if refused is not None:
            return refused
        body = json_object(raw)
        if not body:
            return legacy(40035, "缺少参数 json")
        if len(raw) > ROBOT_MAX:
            return legacy(460101, "message too long, exceed 20000 bytes")
        kind = robot_type(body)
        self._check(robot, request, body[kind])
        uuid = body.get("msgUuid")
        if uuid and (token, uuid) in self._uuids:
            return legacy(0, "ok")
        if uuid:
            self._uuids.add((token, str(uuid)))
        self._show(robot, kind, body)
        return legacy(0, "ok")

    def _check(self, robot: Robot, request: web.Request, content: dict[str, Any]) -> None:
        """All the protections that were chosen for the robot. Raises Refusal."""
        if robot.secret:
            stamp = request.query.get("timestamp", "")
            if not hmac.compare_digest(request.query.get("sign", ""), sign(robot.secret, stamp)):
                raise Refusal(described("机器人发送签名不匹配", "请确认签名和生成签名的时间戳必须都放在调用的网址中"))
            if not stamp.isdecimal() or abs(int(stamp) / 1000 - self._now()) > 3600:
                raise Refusal(described("机器人发送签名过期", "签名生成时间和发送时间请保持在3600秒以内"))
        if robot.networks:
            address = ipaddress.ip_address(request.remote or "0.0.0.0")
            if not any(address in ipaddress.ip_network(each) for each in robot.networks):
                raise Refusal(legacy(310000, f"ip {address} not in whitelist"))
        if robot.keywords and not any(word in visible(content) for word in robot.keywords):
            raise Refusal(described("关键词不匹配", "请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词"))

    def _show(self, robot: Robot, kind: str, body: dict[str, Any]) -> None:
        group = GROUPS[robot.group]
        at = body.get("at") or {}
        text = visible(body[kind])
        everyone = bool(at.get("isAtAll"))

        def mentions(name: str, called: list[str]) -> bool:
            """Markdown must have the name in its text, too."""
            return name in called and (kind == "text" or f"@{name}" in text)

        told = [
            PEOPLE[each].name
            for each in group.members
            if kind in ("text", "markdown")
            and (mentions(each, at.get("atUserIds", [])) or mentions(PEOPLE[each].mobile, at.get("atMobiles", [])))
        ]
        extra = {"title": group.title, "mentions": told, "everyone": everyone and kind in ("text", "markdown")}
        self._board.add("dingtalk", "robot", robot.name, [group.id], kind, body, extra=extra)
