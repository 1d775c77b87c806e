"""Robots of groups, which anybody calls who has the key."""

import base64
import secrets
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.wecom import checks
from hongyan.sandbox.wecom.answers import Refusal, body_of
from hongyan.sandbox.wecom.files import Files
from hongyan.sandbox.wecom.rates import Windows
from hongyan.sandbox.wecom.world import ROBOTS, names

#: Messages in a minute.
ROBOT_RATE = 20


class Robots:
    """Files of a robot are its own."""

    def __init__(self, board: Board, files: Files, windows: Windows) -> None:
        self._board = board
        self._files = files
        self._windows = windows

    async def send(self, request: web.Request) -> dict[str, Any]:
        key = self._key(request)
        if request.method != "POST":
            raise Refusal(43002, "require POST method")
        if not self._windows.take(("robot", key), ROBOT_RATE, 60.0):
            raise Refusal(45009, "api freq out of limit")
        type_, value = checks.message(
            await body_of(request), "robot", lambda kind, id_: self._files.has(kind, id_, key)
        )
        extra: dict[str, Any] = {"names": names(), **self._files.named(value)}
        if type_ == "image":
            extra["media"] = self._keep_picture(value)
        self._board.add("wecom", "robot", f"{ROBOTS[key]}机器人", [ROBOTS[key]], type_, value, extra=extra)
        return {}

    async def upload(self, request: web.Request) -> dict[str, Any]:
        key = self._key(request)
        return await self._files.keep(request, key, ("file", "voice"))

    def _key(self, request: web.Request) -> str:
        key = request.query.get("key", "")
        if key not in ROBOTS:
            raise Refusal(93000, "invalid webhook url")
        return key

    def _keep_picture(self, value: dict[str, Any]) -> str:
        """The page gets the picture by an address, not within each change."""
        content = base64.b64decode(value["base64"])
        media_id = f"wecom-{secrets.token_hex(12)}"
        self._board.keep(media_id, "image", checks.picture_type(content) or "", content)
        value["base64"] = f"({len(content)} bytes)"
        return media_id
