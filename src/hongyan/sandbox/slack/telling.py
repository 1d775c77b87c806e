"""Telling the app what people do, signed as Slack does it, or by a connection of Socket Mode."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, ClientTimeout

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.emulator import Inbound, Told
from hongyan.sandbox.slack.interactions import Interactions
from hongyan.sandbox.slack.messages import Messages
from hongyan.sandbox.slack.socket_mode import Sockets
from hongyan.sandbox.slack.world import APP, BOT_NAME, BOT_USER, SIGNING_SECRET, TEAM, Workspace

#: How long Slack waits for an app (s).
PATIENCE = 3.0


class Telling:
    """Events are told as JSON; commands, presses and windows as forms."""

    def __init__(
        self,
        board: Board,
        workspace: Workspace,
        messages: Messages,
        interactions: Interactions,
        sockets: Sockets,
        now: Callable[[], float],
    ) -> None:
        self._board = board
        self._workspace = workspace
        self._messages = messages
        self._interactions = interactions
        self._sockets = sockets
        self._now = now
        #: What people have said, by channel and `ts`.
        self.said: dict[str, dict[str, Any]] = {}

    async def tell(self, inbound: Inbound, url: str) -> Told:
        """Besides what all platforms have: `verify`, the check of the address, `edited` and `reaction`."""
        user = self._workspace.users.get(inbound.user)
        if user is None and inbound.kind != "verify":
            raise ValueError("there is no such person")
        match inbound.kind:
            case "text" if inbound.text.startswith("/"):
                return await self._tell_form(url, self._command(inbound))
            case "text":
                return await self._tell_text(inbound, url)
            case "action":
                return await self._tell_form(url, {"payload": json.dumps(self._interaction(inbound))})
            case "edited":
                return await self._tell_edit(inbound, url)
            case "recalled" if inbound.on in self.said:
                event = self.said.pop(inbound.on)
                deleted = {"subtype": "message_deleted", "deleted_ts": event["ts"], "previous_message": event}
                return await self._tell_event(url, self._of_message(event, deleted))
            case "recalled":
                shown = self._shown(inbound.on)
                channel, stamp = shown.id.split(":")[1:]
                deleted = {"type": "message", "subtype": "message_deleted", "channel": channel, "deleted_ts": stamp}
                return await self._tell_event(
                    url, {**deleted, "ts": self._messages.stamp(), "event_ts": self._messages.stamp()}
                )
            case "added":
                joined = {"type": "member_joined_channel", "user": BOT_USER, "channel": inbound.chat}
                return await self._tell_event(url, {**joined, "team": TEAM, "event_ts": self._messages.stamp()})
            case "reaction":
                channel, stamp = self._shown(inbound.on).id.split(":")[1:]
                item = {"type": "message", "channel": channel, "ts": stamp}
                reaction = {"type": "reaction_added", "user": inbound.user, "reaction": inbound.value or "+1"}
                return await self._tell_event(url, {**reaction, "item": item, "event_ts": self._messages.stamp()})
            case "verify":
                body = {
                    "type": "url_verification",
                    "token": "sandbox",
                    "challenge": f"challenge-{self._board.new_id()}",
                }
                return await self._request(url, json.dumps(body).encode(), "application/json")
            case _:
                raise ValueError(f"Slack tells nobody of this: {inbound.kind}")

    async def _tell_text(self, inbound: Inbound, url: str) -> Told:
        user, channels = self._workspace.users[inbound.user], self._workspace.channels
        channel = channels.get(inbound.chat) if inbound.chat else self._workspace.direct(user)
        if channel is None:
            raise ValueError("there is no such channel")
        mention = re.compile(rf"@(?:{BOT_NAME}|Hongyan)\b", re.IGNORECASE)
        text = mention.sub(f"<@{BOT_USER}>", inbound.text)
        stamp = self._messages.stamp()
        event = {
            "type": "message",
            "channel": channel.id,
            "channel_type": "im" if channel.user else "group" if channel.private else "channel",
            "user": inbound.user,
            "text": text.replace("&", "&amp;"),
            "ts": stamp,
            "event_ts": stamp,
            "team": TEAM,
            "client_msg_id": f"sandbox-{stamp}",
            "blocks": [{"type": "rich_text", "block_id": "r", "elements": [_typed(text)]}],
        }
        if inbound.on:
            event["thread_ts"] = self._shown(inbound.on).id.rpartition(":")[2]
        self.said[f"slack:{channel.id}:{stamp}"] = event
        told = await self._tell_event(url, event)
        if f"<@{BOT_USER}>" in text and not channel.user:
            mentioned = {key: value for key, value in event.items() if key != "channel_type"}
            told = await self._tell_event(url, {**mentioned, "type": "app_mention"})
        return told

    async def _tell_edit(self, inbound: Inbound, url: str) -> Told:
        """Somebody changes what was said `on` this place."""
        before = self.said.get(inbound.on)
        if before is None:
            raise ValueError("nobody has said this")
        edited = {"user": inbound.user, "ts": self._messages.stamp()}
        blocks = [{"type": "rich_text", "block_id": "r", "elements": [_typed(inbound.text)]}]
        message = {**before, "text": inbound.text.replace("&", "&amp;"), "blocks": blocks, "edited": edited}
        self.said[inbound.on] = message
        changed = {"subtype": "message_changed", "message": message, "previous_message": before}
        return await self._tell_event(url, self._of_message(before, changed))

    def _of_message(self, event: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
        """An event about what was said."""
        where = {name: event[name] for name in ("channel", "channel_type")}
        stamps = {"ts": self._messages.stamp(), "event_ts": self._messages.stamp()}
        return {"type": "message", "hidden": True, **where, **more, **stamps}

    async def _tell_event(self, url: str, event: Mapping[str, Any]) -> Told:
        """Told once more if it was not taken, as Slack does at once."""
        body = {
            "type": "event_callback",
            "token": "sandbox",
            "team_id": TEAM,
            "api_app_id": APP,
            "event": event,
            "event_id": f"Ev{next(self._workspace.numbers):09d}",
            "event_time": int(self._now()),
            "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True, "enterprise_id": None}],
        }
        if not url:
            return await self._sockets.tell_event(body)
        content = json.dumps(body).encode()
        told = await self._request(url, content, "application/json")
        if 200 <= told.status < 300:
            return told
        reason = "http_timeout" if not told.status else "http_error"
        again = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": reason}
        return await self._request(url, content, "application/json", again)

    async def _tell_form(self, url: str, form: Mapping[str, str]) -> Told:
        if not url:
            return await self._sockets.tell_form(form)
        return await self._request(url, urlencode(form).encode(), "application/x-www-form-urlencoded")

    async def _request(self, url: str, body: bytes, type_: str, more: Mapping[str, str] | None = None) -> Told:
        stamp = str(int(self._now()))
        base = b"v0:" + stamp.encode() + b":" + body
        headers = {
            "Content-Type": type_,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": "v0=" + hmac.new(SIGNING_SECRET.encode(), base, hashlib.sha256).hexdigest(),
            **(more or {}),
        }
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=PATIENCE)) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return Told(answer.status, await answer.text())
        except (ClientError, TimeoutError) as error:
            return Told(0, f"no answer within {PATIENCE:g} s: {error}")

    def _command(self, inbound: Inbound) -> dict[str, str]:
        command, _, text = inbound.text.partition(" ")
        user = self._workspace.users[inbound.user]
        channel = self._workspace.channels.get(inbound.chat) or self._workspace.direct(user)
        return {
            "token": "sandbox",
            "team_id": TEAM,
            "team_domain": "sandbox",
            "channel_id": channel.id,
            "channel_name": "directmessage" if channel.user else channel.name,
            "user_id": user.id,
            "user_name": user.name,
            "command": command,
            "text": text,
            "api_app_id": APP,
            "is_enterprise_install": "false",
            "response_url": self._interactions.response_url(channel.id),
            "trigger_id": self._interactions.trigger(user.id),
        }

    def _interaction(self, inbound: Inbound) -> dict[str, Any]:
        shown = self._shown(inbound.on)
        user = self._workspace.users[inbound.user]
        common = {
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM},
            "api_app_id": APP,
            "token": "sandbox",
            "team": {"id": TEAM, "domain": "sandbox"},
            "trigger_id": self._interactions.trigger(user.id),
        }
        if shown.kind == "view":
            return {**common, "type": "view_submission", "view": self._sent_view(shown, inbound), "response_urls": []}
        channel, stamp = shown.id.split(":")[1:]
        return {
            **common,
            "type": "block_actions",
            "container": {"type": "message", "message_ts": stamp, "channel_id": channel, "is_ephemeral": False},
            "channel": {"id": channel, "name": self._workspace.channels[channel].name},
            "message": self._messages.message(shown),
            "state": {"values": {}},
            "response_url": self._interactions.response_url(channel, shown.id),
            "actions": [self._action(shown, inbound)],
        }

    def _sent_view(self, shown: Shown, inbound: Inbound) -> dict[str, Any]:
        """A window with what was filled in; it is closed by that."""
        fields = [block for block in shown.payload["blocks"] if block.get("type") == "input"]
        missing = [
            block["label"]["text"]
            for block in fields
            if not block.get("optional") and not inbound.inputs.get(block["element"]["action_id"])
        ]
        if missing:
            raise ValueError(f"please fill in: {', '.join(missing)}")
        shown.state = "recalled"
        self._board.changed(shown)
        number = shown.id.rpartition(":")[2]
        values = {
            block["block_id"]: {block["element"]["action_id"]: _filled(block["element"], inbound.inputs)}
            for block in fields
        }
        return {**shown.payload, "id": number, "hash": number, "state": {"values": values}, "team_id": TEAM}

    def _action(self, shown: Shown, inbound: Inbound) -> dict[str, Any]:
        """What was pressed or chosen in a message."""
        block, element = _pressed(shown.payload, inbound.action)
        action = {
            "action_id": inbound.action,
            "block_id": block.get("block_id", "b"),
            "type": element["type"],
            "action_ts": self._messages.stamp(),
            **_filled(element, {inbound.action: inbound.inputs.get(inbound.action, inbound.value)}),
        }
        if element["type"] == "button":
            action |= {"text": element["text"], **({"value": element["value"]} if "value" in element else {})}
        return action

    def _shown(self, id: str) -> Shown:
        shown = self._board.get(id)
        if shown is None or shown.platform != "slack":
            raise ValueError("there is no such message")
        return shown


def _typed(text: str) -> dict[str, Any]:
    """What somebody types as the rich text that Slack's clients make of it."""
    elements: list[dict[str, Any]] = []
    for piece in re.split(r"(<@[UW][A-Z0-9]+>|<!channel>|https?://\S+)", text):
        if piece.startswith("<@"):
            elements.append({"type": "user", "user_id": piece[2:-1]})
        elif piece == "<!channel>":
            elements.append({"type": "broadcast", "range": "channel"})
        elif piece.startswith("http"):
            elements.append({"type": "link", "url": piece})
        elif piece:
            elements.append({"type": "text", "text": piece})
    return {"type": "rich_text_section", "elements": elements}


def _pressed(payload: Mapping[str, Any], action: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The block and element with this id."""
    blocks = list(payload.get("blocks", ()))
    blocks += [block for each in payload.get("attachments", ()) for block in each.get("blocks", ())]
    for block in blocks:
        for element in [*block.get("elements", ()), *([block["accessory"]] if "accessory" in block else [])]:
            if element.get("action_id") == action:
                return block, element
    raise ValueError("there is no such button")


def _filled(element: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """An element of a window as it is when it is sent."""
    kind, value = element["type"], inputs.get(element.get("action_id", ""))
    options = {option["value"]: option for option in element.get("options", ())}
    match kind:
        case "static_select" | "radio_buttons":
            return {"type": kind, "selected_option": options.get(value)}
        case "multi_static_select" | "checkboxes":
            chosen = value if isinstance(value, list) else [value] if value else []
            return {"type": kind, "selected_options": [options[each] for each in chosen if each in options]}
        case "datepicker":
            return {"type": kind, "selected_date": value or None}
        case "button":
            return {}
        case _:
            return {"type": kind, "value": value or None}
