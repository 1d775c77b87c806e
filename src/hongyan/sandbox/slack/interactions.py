"""What follows from what people do: answers to presses and commands, and the windows that an app opens."""

import hashlib
from collections.abc import Callable
from typing import Any

from aiohttp import web

from hongyan.sandbox.board import Board
from hongyan.sandbox.slack import blocks, checks
from hongyan.sandbox.slack.answers import Arguments, Refusal, hook_body
from hongyan.sandbox.slack.messages import Messages
from hongyan.sandbox.slack.world import TEAM, Workspace

#: How long a window may be asked for (s), where answers may go for how long (s), and how often.
TRIGGER_TIME, RESPONSE_TIME, RESPONSE_USES = 3.0, 1800.0, 5


class Interactions:
    """`trigger` and `response_url` are what the app is told; by them it opens windows, and answers."""

    def __init__(
        self,
        board: Board,
        workspace: Workspace,
        messages: Messages,
        now: Callable[[], float],
        origin: Callable[[], str],
    ) -> None:
        self._board = board
        self._workspace = workspace
        self._messages = messages
        self._now = now
        self._origin = origin
        self._triggers: dict[str, tuple[float, str]] = {}
        self._responses: dict[str, tuple[float, int, str, str]] = {}

    def trigger(self, user: str) -> str:
        name = f"{next(self._workspace.numbers)}.{TEAM}.{hashlib.sha256(user.encode()).hexdigest()[:16]}"
        self._triggers[name] = (self._now() + TRIGGER_TIME, user)
        return name

    def open_view(self, given: Arguments) -> dict[str, Any]:
        until, user = self._triggers.pop(str(given.get("trigger_id", "")), (None, ""))
        if until is None:
            raise Refusal("exchanged_trigger_id" if given.get("trigger_id") else "invalid_arguments")
        if until < self._now():
            raise Refusal("trigger_expired")
        view = given.get("view")
        wrong = blocks.of_view(view)
        if wrong or not isinstance(view, dict):
            raise Refusal("invalid_arguments", response_metadata={"messages": [f"[ERROR] {each}" for each in wrong]})
        number = f"V{next(self._workspace.numbers):09d}"
        to = [self._workspace.users[user].real_name]
        self._board.add(
            "slack", "app", "Hongyan", to, "view", view, id=f"slack:{number}", extra={"names": self._workspace.names}
        )
        return {"view": {"id": number, "hash": f"{int(self._now())}.x", **view}}

    def response_url(self, channel: str, on: str = "") -> str:
        name = f"R{next(self._workspace.numbers):09d}"
        self._responses[name] = (self._now() + RESPONSE_TIME, RESPONSE_USES, channel, on)
        return f"{self._origin()}/slack/actions/{name}"

    async def respond(self, request: web.Request) -> web.Response:
        """What an app answers to a press or a command, at the address that it was told."""
        name = request.match_info["id"]
        until, uses, channel_id, on = self._responses.get(name, (0.0, 0, "", ""))
        if uses <= 0 or until <= self._now():
            return web.json_response({"ok": False, "error": "used_url" if channel_id else "expired_url"}, status=404)
        given = await hook_body(request)
        if given is None:
            return web.json_response({"ok": False, "error": "invalid_payload"}, status=400)
        self._responses[name] = (until, uses - 1, channel_id, on)
        shown = self._board.get(on)
        if given.get("delete_original") and shown is not None:
            shown.state = "recalled"
            self._board.changed(shown)
            return web.Response(text="ok")
        try:
            payload = checks.payload(given, self._workspace.numbers)
        except Refusal as error:
            return web.json_response({"ok": False, "error": error.word}, status=400)
        if given.get("replace_original") and shown is not None:
            shown.payload, shown.state = payload, "changed"
            self._board.changed(shown)
        else:
            only = {} if given.get("response_type") == "in_channel" else {"only": "you"}
            self._messages.show(
                self._workspace.channels[channel_id], payload, str(given.get("thread_ts") or ""), extra=only
            )
        return web.Response(text="ok")
