"""Telling an application what members do."""

import secrets
from collections.abc import Callable
from typing import Any

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.emulator import Inbound, Told
from hongyan.sandbox.wecom import callback
from hongyan.sandbox.wecom.messages import Messages
from hongyan.sandbox.wecom.world import AGENTS, CORP, Agent, Company


class Telling:
    """`origin` is where the sandbox is."""

    def __init__(
        self,
        board: Board,
        company: Company,
        messages: Messages,
        now: Callable[[], float],
        origin: Callable[[], str],
    ) -> None:
        self._board = board
        self._company = company
        self._messages = messages
        self._now = now
        self._origin = origin

    async def tell(self, inbound: Inbound, url: str) -> Told:
        """Besides what all platforms have: `verify` asks the address as WeCom does when it is saved; `image`, `voice`,
        `video` and `file` have a media id as their `value`; any other kind is the name of an event."""
        shown = self._board.get(inbound.on) if inbound.on else None
        agent = self._agent_of(inbound, shown)
        if inbound.kind == "verify":
            return await callback.verify(agent, url, self._now())
        if inbound.kind in ("read", "recalled") or inbound.chat in self._company.chats:
            raise ValueError("WeCom does not tell an application of that")
        member = self._company.member(inbound.user)
        if member is None:
            raise ValueError(f"there is no member {inbound.user}")
        common = {"ToUserName": CORP, "FromUserName": member.id, "CreateTime": int(self._now())}
        if inbound.kind == "action":
            if shown is None or shown.kind != "template_card" or shown.address != "app":
                raise ValueError("only template cards of an application have buttons that tell it")
            fields = self._pressed(inbound, shown, agent)
        else:
            fields = self._said_by(inbound)
        return await callback.tell(agent, url, {**common, **fields, "AgentID": agent.id}, self._now())

    def _agent_of(self, inbound: Inbound, shown: Shown | None) -> Agent:
        named = inbound.chat if inbound.chat not in self._company.chats else ""
        wanted = str(shown.extra.get("agent") if shown is not None else named or AGENTS[0].id)
        agent = next((each for each in AGENTS if str(each.id) == wanted), None)
        if agent is None:
            raise ValueError(f"there is no application {wanted}")
        return agent

    def _said_by(self, inbound: Inbound) -> dict[str, Any]:
        msg_id = secrets.randbelow(2**62)
        match inbound.kind:
            case "text":
                return {"MsgType": "text", "Content": inbound.text, "MsgId": msg_id}
            case "image":
                picture = f"{self._origin()}/sandbox/media/{inbound.value}"
                return {"MsgType": "image", "PicUrl": picture, "MediaId": inbound.value, "MsgId": msg_id}
            case "voice" | "video" | "file":
                return {"MsgType": inbound.kind, "MediaId": inbound.value, "MsgId": msg_id}
            case "location":
                where = {"Location_X": 23.134, "Location_Y": 113.359, "Scale": 20, "Label": inbound.text}
                return {"MsgType": "location", **where, "MsgId": msg_id}
            case "link":
                said = {"Title": inbound.text, "Description": "", "Url": inbound.value, "PicUrl": ""}
                return {"MsgType": "link", **said, "MsgId": msg_id}
            case "added":
                return {"MsgType": "event", "Event": "subscribe", "EventKey": ""}
            case name:
                return {"MsgType": "event", "Event": name, "EventKey": inbound.value}

    def _pressed(self, inbound: Inbound, shown: Shown, agent: Agent) -> dict[str, Any]:
        card = shown.payload
        buttons = [*card.get("button_list", ()), *([card["submit_button"]] if card.get("submit_button") else [])]
        if inbound.action not in [each.get("key") for each in buttons] or card.get("replace_text"):
            raise ValueError("the card has no such button")
        items = [
            {"QuestionKey": key, "OptionIds": {"OptionId": chosen if isinstance(chosen, list) else [chosen]}}
            for key, chosen in inbound.inputs.items()
        ]
        return {
            "MsgType": "event",
            "Event": "template_card_event",
            "EventKey": inbound.action,
            "TaskId": card.get("task_id", ""),
            "CardType": card["card_type"],
            "ResponseCode": self._messages.code(shown, agent),
            **({"SelectedItems": {"SelectedItem": items}} if items else {}),
        }
