"""The messages of the bot: posted, changed, deleted, and scheduled."""

import asyncio
from collections.abc import Callable
from typing import Any

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.slack import checks
from hongyan.sandbox.slack.answers import PAGED, Arguments, Refusal
from hongyan.sandbox.slack.rates import Bursts
from hongyan.sandbox.slack.world import APP, BOT, BOT_USER, TEAM, Channel, Workspace

#: How far ahead a message is scheduled (s).
AHEAD = 120 * 86_400
#: Characters of a text that is changed.
UPDATE_MAX = 4000


class Messages:
    """On the board their ids are `slack:CHANNEL:TS`."""

    def __init__(self, board: Board, workspace: Workspace, bursts: Bursts, now: Callable[[], float]) -> None:
        self._board = board
        self._workspace = workspace
        self._bursts = bursts
        self._now = now
        self._scheduled: dict[str, tuple[asyncio.TimerHandle, dict[str, Any]]] = {}

    def post(self, given: Arguments) -> dict[str, Any]:
        channel = self._workspace.writable(given.get("channel"))
        payload = checks.payload(given, self._workspace.numbers)
        self._bursts.count(channel.id)
        shown = self.show(channel, payload, str(given.get("thread_ts") or ""))
        return {"channel": channel.id, "ts": stamp_of(shown), "message": self.message(shown)}

    def post_ephemeral(self, given: Arguments) -> dict[str, Any]:
        channel = self._workspace.writable(given.get("channel"))
        if given.get("user") not in channel.members:
            raise Refusal("user_not_in_channel")
        payload = checks.payload(given, self._workspace.numbers)
        self._bursts.count(channel.id)
        shown = self.show(channel, payload, "", extra={"only": self._workspace.users[given["user"]].real_name})
        return {"message_ts": stamp_of(shown)}

    def update(self, given: Arguments) -> dict[str, Any]:
        shown = self._own(given, "cant_update_message")
        if isinstance(given.get("text"), str) and len(given["text"]) > UPDATE_MAX:
            raise Refusal("msg_too_long")
        new = checks.payload(given, self._workspace.numbers)
        if "files" in shown.payload:
            new["files"] = shown.payload["files"]
        shown.payload = new
        shown.state = "changed"
        self._board.changed(shown)
        channel = given["channel"]
        return {"channel": channel, "ts": stamp_of(shown), "text": new.get("text", ""), "message": self.message(shown)}

    def delete(self, given: Arguments) -> dict[str, Any]:
        shown = self._own(given, "cant_delete_message")
        shown.state = "recalled"
        self._board.changed(shown)
        return {"channel": given["channel"], "ts": stamp_of(shown)}

    def _own(self, given: Arguments, refusal: str) -> Shown:
        """A message of the bot that is still there."""
        if given.get("channel") not in self._workspace.channels:  # a user's id is none here
            raise Refusal("channel_not_found")
        shown = self._board.get(f"slack:{given['channel']}:{given.get('ts')}")
        if shown is None or shown.state == "recalled":
            raise Refusal("message_not_found")
        if shown.address != "app":
            raise Refusal(refusal)
        return shown

    def permalink(self, given: Arguments) -> dict[str, Any]:
        channel = self._workspace.channel(given.get("channel"))
        stamp = str(given.get("message_ts", ""))
        if self._board.get(f"slack:{channel.id}:{stamp}") is None:
            raise Refusal("message_not_found")
        link = f"https://sandbox.slack.com/archives/{channel.id}/p{stamp.replace('.', '')}"
        return {"channel": channel.id, "permalink": link}

    def schedule(self, given: Arguments) -> dict[str, Any]:
        channel = self._workspace.writable(given.get("channel"))
        payload = checks.payload(given, self._workspace.numbers)
        try:
            at = int(given["post_at"])
        except (KeyError, ValueError, TypeError):
            raise Refusal("invalid_time") from None
        wait = at - self._now()
        if wait <= 0:
            raise Refusal("time_in_past")
        if wait > AHEAD:
            raise Refusal("time_too_far")
        number = f"Q{next(self._workspace.numbers):09d}"

        def post() -> None:
            del self._scheduled[number]
            self.show(channel, payload, str(given.get("thread_ts") or ""))

        timer = asyncio.get_running_loop().call_later(wait, post)
        about = {"id": number, "channel_id": channel.id, "post_at": at, "text": payload.get("text", "")}
        self._scheduled[number] = (timer, about)
        message = {"type": "message", "text": payload.get("text", ""), "bot_id": BOT}
        return {"channel": channel.id, "scheduled_message_id": number, "post_at": at, "message": message}

    def list_scheduled(self, given: Arguments) -> dict[str, Any]:
        return {"scheduled_messages": [about for _, about in self._scheduled.values()], **PAGED}

    def unschedule(self, given: Arguments) -> dict[str, Any]:
        found = self._scheduled.pop(str(given.get("scheduled_message_id", "")), None)
        if found is None:
            raise Refusal("invalid_scheduled_message_id")
        found[0].cancel()
        return {}

    def show(
        self, channel: Channel, payload: dict[str, Any], thread: str, *, hook: str = "", extra: Any = None
    ) -> Shown:
        """Put it on the board; `hook` is the path of the webhook by which it came, `thread` the time of its root."""
        stamp = self.stamp()
        to = self._workspace.users[channel.user].real_name if channel.user else f"#{channel.name}"
        kind = next((key for key in ("files", "attachments", "blocks", "markdown_text") if key in payload), "text")
        return self._board.add(
            "slack",
            "robot" if hook else "app",
            str(payload.get("username") or ("incoming-webhook" if hook else "Hongyan")),
            [to],
            kind,
            payload,
            id=f"slack:{channel.id}:{stamp}",
            thread=f"slack:{channel.id}:{thread}" if thread else "",
            extra={
                "names": self._workspace.names,
                "channels": {c.id: c.name for c in self._workspace.channels.values()},
                **(extra or {}),
            },
        )

    def message(self, shown: Shown) -> dict[str, Any]:
        """As the API tells of it."""
        thread = {"thread_ts": shown.thread.rpartition(":")[2]} if shown.thread else {}
        return {
            "type": "message",
            "user": BOT_USER,
            "bot_id": BOT,
            "app_id": APP,
            "ts": stamp_of(shown),
            "text": "",
            "team": TEAM,
            **thread,
            **shown.payload,
        }

    def stamp(self) -> str:
        """A time that no other message has, which is its id in a channel (`ts`)."""
        return f"{int(self._now())}.{next(self._workspace.numbers):06d}"


def stamp_of(shown: Shown) -> str:
    """A message's `ts`."""
    return shown.id.rpartition(":")[2]
