"""An emulator of a platform that there is not, for what all have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from hongyan.sandbox.emulator import Emulator, Inbound, Told, Unheard
from hongyan.sandbox.faults import What


class Plain(Emulator):
    platform = "plain"
    prefixes = ("/plain/",)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        return [web.post("/plain/send", self._send)]

    def failure(self, what: What, request: web.Request) -> web.Response:
        return web.json_response({"code": what})

    def world(self) -> Mapping[str, Any]:
        return {"credentials": {"key": "demo"}, "users": ["u1"]}

    async def tell(self, inbound: Inbound, url: str) -> Told:
        if inbound.user != "u1":
            raise ValueError("There is no such user.")
        if not url:
            raise Unheard("There is no connection.")
        return Told(200, f"{url} {inbound.text}")

    async def _send(self, request: web.Request) -> web.Response:
        shown = self.board.add("plain", "robot", "robot", ["everybody"], "text", await request.json())
        return web.json_response({"code": 0, "id": shown.id})
