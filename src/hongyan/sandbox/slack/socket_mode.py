"""Slack's Socket Mode: websockets that an app without an address opens, and by which it is told everything."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMsgType, web

from hongyan.sandbox.emulator import Told, Unheard
from hongyan.sandbox.slack.answers import Refusal
from hongyan.sandbox.slack.world import APP

APP_TOKEN = f"xapp-1-{APP}-sandbox"


class Sockets:
    """`patience` is how long Slack waits for an acknowledgement (s); `enabled`: whether the mode is on."""

    def __init__(self) -> None:
        self.patience = 3.0
        self.enabled = True
        self._tickets: set[str] = set()
        self._sockets: list[web.WebSocketResponse] = []
        self._opened = 0
        self._changed = asyncio.Condition()
        self._acks: dict[str, asyncio.Future[dict[str, Any]]] = {}

    def open(self, request: web.Request, origin: str) -> dict[str, Any]:
        """What apps.connections.open answers. Raises Refusal."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not token:
            raise Refusal("not_authed")
        if token != APP_TOKEN:
            raise Refusal("not_allowed_token_type" if token.startswith("xox") else "invalid_auth")
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        address = origin.replace("http", "ws", 1)
        return {"url": f"{address}/slack/link/?ticket={ticket}&app_id={APP}"}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            raise web.HTTPUnauthorized
        self._tickets.remove(ticket)  # good once
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if not self.enabled:
            await socket.send_str(json.dumps({"type": "disconnect", "reason": "link_disabled", "debug_info": {}}))
            await socket.close()
            return socket
        await socket.send_str(json.dumps(self._hello()))
        async with self._changed:
            self._sockets.append(socket)
            self._opened += 1
            self._changed.notify_all()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._acknowledged(message.data)
        finally:
            async with self._changed:
                self._sockets.remove(socket)
                self._changed.notify_all()
        return socket

    async def connected(self, times: int = 1) -> None:
        """Wait until the app has connected so many times."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._opened >= times)

    async def left(self) -> None:
        """Wait until the app has no connection."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._sockets)

    async def tell_event(self, body: Mapping[str, Any]) -> Told:
        """Told once more if it is not acknowledged."""
        told = await self._tell("events_api", body, retry_attempt=0, retry_reason="")
        if told.status:
            return told
        return await self._tell("events_api", body, retry_attempt=1, retry_reason="timeout")

    async def tell_form(self, form: Mapping[str, str]) -> Told:
        """What is a form where an app has an address."""
        if "payload" in form:
            return await self._tell("interactive", json.loads(form["payload"]))
        return await self._tell("slash_commands", form)

    async def push(self, kind: str, payload: Mapping[str, Any], **more: object) -> asyncio.Future[dict[str, Any]]:
        """The acknowledgement to come. Raises Unheard."""
        if not self._sockets:
            raise Unheard("the app has no connection of Socket Mode open, and no address is given")
        id = secrets.token_hex(16)
        frame = {"envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": kind != "events_api"}
        answer = self._acks[id] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _: self._acks.pop(id, None))
        await self.send(json.dumps({**frame, **more}, ensure_ascii=False))
        return answer

    async def send(self, frame: str | bytes) -> None:
        """A frame as it is, over the newest connection."""
        socket = self._sockets[-1]
        await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))

    def give_up(self) -> None:
        """The time for all that waits to be acknowledged is over."""
        for each in list(self._acks.values()):
            each.set_exception(TimeoutError())

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask the app to connect anew."""
        await self.send(json.dumps({"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}}))

    async def _tell(self, kind: str, payload: Mapping[str, Any], **more: object) -> Told:
        answer = await self.push(kind, payload, **more)
        try:
            found = await asyncio.wait_for(answer, self.patience)
        except TimeoutError:
            return Told(0, f"no acknowledgement within {self.patience:g} s")
        return Told(200, json.dumps(found["payload"]) if found.get("payload") else "")

    def _hello(self) -> dict[str, Any]:
        debug = {"host": "sandbox", "build_number": 1, "approximate_connection_time": 18_060}
        number = len(self._sockets) + 1
        return {"type": "hello", "num_connections": number, "debug_info": debug, "connection_info": {"app_id": APP}}

    def _acknowledged(self, text: str) -> None:
        try:
            found = json.loads(text)
            waiting = self._acks.get(found["envelope_id"])
        except (ValueError, KeyError, TypeError):
            return
        if waiting is not None and not waiting.done():
            waiting.set_result(found)
