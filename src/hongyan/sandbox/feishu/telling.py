"""Telling the app what people do, at its address or by its long connection."""

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from hongyan.sandbox.board import Board
from hongyan.sandbox.emulator import Inbound, Told
from hongyan.sandbox.feishu.cards import buttons, callback, elements
from hongyan.sandbox.feishu.connections import Connections
from hongyan.sandbox.feishu.crypto import compact, encrypted, signed, signed_card
from hongyan.sandbox.feishu.files import Files
from hongyan.sandbox.feishu.messages import Message, Messages
from hongyan.sandbox.feishu.world import (
    APP_ID,
    APP_NAME,
    BOT_ID,
    ENCRYPT_KEY,
    GROUPS,
    PEOPLE,
    TENANT,
    VERIFICATION_TOKEN,
    Group,
    Person,
    find_person,
)

#: How long the app may take to answer (s).
TELL = 3.0


class Telling:
    """`encrypt_key` may be set to nothing, as an app without one has it."""

    def __init__(
        self, board: Board, files: Files, messages: Messages, connections: Connections, now: Callable[[], float]
    ) -> None:
        self.encrypt_key = ENCRYPT_KEY
        self._board = board
        self._files = files
        self._messages = messages
        self._connections = connections
        self._now = now

    async def tell(self, inbound: Inbound, url: str) -> Told:
        """`url` may be empty: then by the long connection that the app holds.

        Besides the kinds that all have: `image`, a picture whose key is `value`; `action_v1`, a press in the older
        shape; and `check`, the verification of the address.
        """
        if inbound.kind == "check":
            challenge = {"challenge": secrets.token_hex(16), "token": VERIFICATION_TOKEN, "type": "url_verification"}
            return await self._post(url, compact(challenge))
        person = find_person(inbound.user)
        if person is None:
            raise ValueError(f"there is nobody {inbound.user!r}")
        match inbound.kind:
            case "text" | "image":
                return await self._tell("im.message.receive_v1", self._said(inbound, person), url)
            case "action":
                return await self._tell("card.action.trigger", self._action(inbound, person), url)
            case "action_v1":
                return await self._tell_before(self._action(inbound, person), person, url)
            case "read":
                return await self._read(inbound, person, url)
            case "recalled":
                message = self._known(inbound.on)
                message.deleted, message.shown.state = True, "recalled"
                self._board.changed(message.shown)
                at = {"recall_time": self._ms(), "recall_type": "message_owner"}
                event = {"message_id": message.id, "chat_id": message.chat, **at}
                return await self._tell("im.message.recalled_v1", event, url)
            case "added":
                group = _group(inbound.chat)
                added = {"chat_id": group.id, "operator_id": person.ids(), "external": False, "name": group.title}
                return await self._tell("im.chat.member.bot.added_v1", added, url)
            case _:
                raise ValueError(f"Feishu tells an app nothing of {inbound.kind!r}")

    def _said(self, inbound: Inbound, person: Person) -> dict[str, Any]:
        group = _group(inbound.chat) if inbound.chat and inbound.chat != person.chat else None
        content: dict[str, Any]
        mentions: list[dict[str, Any]] = []
        parent = self._messages.find(inbound.on)
        if inbound.kind == "image":
            if self._files.type_of(inbound.value) != "image":
                raise ValueError(f"no picture {inbound.value!r} was uploaded")
            type_, content = "image", {"image_key": inbound.value}
        else:
            text, mentions = _with_numbers(inbound.text)
            type_, content = "text", {"text": text}
        shown = {"text": inbound.text} if type_ == "text" else content
        message = self._messages.add(group.id if group else person.chat, type_, shown, parent, "", sender=person.name)
        message.content = content
        answered = {"root_id": message.root, "parent_id": message.parent} if parent else {}
        return {
            "sender": {"sender_id": person.ids(), "sender_type": "user", "tenant_key": TENANT},
            "message": {
                "message_id": message.id,
                **answered,
                "create_time": self._ms(),
                "update_time": self._ms(),
                "chat_id": message.chat,
                "chat_type": "group" if group else "p2p",
                "message_type": type_,
                "content": json.dumps(content, ensure_ascii=False),
                **({"mentions": mentions} if mentions else {}),
            },
        }

    def _action(self, inbound: Inbound, person: Person) -> dict[str, Any]:
        shown = self._board.get(inbound.on)
        if shown is None or shown.kind != "interactive" or shown.address != "app":
            raise ValueError(f"there is no card {inbound.on!r} of the app")
        button = _pressed(shown.payload, inbound)
        form = {"form_value": _form_values(shown.payload, inbound.inputs)} if button.get("form_action_type") else {}
        action = {"value": callback(button) or {}, "tag": "button", "timezone": "Asia/Shanghai", **form}
        if button.get("name"):
            action["name"] = button["name"]
        chat = str(shown.extra.get("chat") or person.chat)
        return {
            "operator": {"tenant_key": TENANT, **person.ids()},
            "token": f"c-{secrets.token_hex(20)}",
            "action": action,
            "host": "im_message",
            "context": {"open_message_id": shown.id, "open_chat_id": chat},
        }

    async def _read(self, inbound: Inbound, person: Person, url: str) -> Told:
        """Feishu tells this of direct messages; of those in groups the app has to ask."""
        shown = self._board.get(inbound.on)
        if shown is None:
            raise ValueError(f"there is no message {inbound.on!r}")
        if person.open_id not in shown.read_by:
            shown.read_by.append(person.open_id)
            self._board.changed(shown)
        message = self._messages.find(inbound.on)
        if message is not None:
            message.read.setdefault(person.open_id, self._now())
        if not shown.extra.get("direct") or message is None or (not url and not self._connections.any()):
            return Told(200, "Feishu tells the app nothing of this: it asks.")
        reader = {"reader_id": person.ids(), "read_time": self._ms(), "tenant_key": TENANT}
        return await self._tell("im.message.message_read_v1", {"reader": reader, "message_id_list": [shown.id]}, url)

    def _known(self, id: str) -> Message:
        found = self._messages.find(id)
        if found is None:
            raise ValueError(f"there is no message {id!r}")
        return found

    async def _tell(self, name: str, event: Mapping[str, Any], url: str) -> Told:
        at = self._ms() + ("000" if name == "card.action.trigger" else "")  # microseconds
        header = {
            "event_id": secrets.token_hex(16),
            "event_type": name,
            "create_time": at,
            "token": VERIFICATION_TOKEN,
            "app_id": APP_ID,
            "tenant_key": TENANT,
        }
        body = compact({"schema": "2.0", "header": header, "event": event})
        if not url:
            return Told(*await self._connections.tell(body))
        return await self._post(url, body)

    async def _tell_before(self, action: Mapping[str, Any], person: Person, url: str) -> Told:
        """The older callback of cards: not encrypted, and signed with the token."""
        body = compact(
            {
                "open_id": person.open_id,
                "user_id": person.user_id,
                "open_message_id": action["context"]["open_message_id"],
                "open_chat_id": action["context"]["open_chat_id"],
                "tenant_key": TENANT,
                "token": action["token"],
                "action": action["action"],
            }
        )
        timestamp, nonce = str(int(self._now())), secrets.token_hex(8)
        signature = signed_card(timestamp, nonce, VERIFICATION_TOKEN, body)
        refresh = {"X-Refresh-Token": secrets.token_hex(16)}
        return await _called(url, body, {**_headers(timestamp, nonce, signature), **refresh})

    async def _post(self, url: str, plain: bytes) -> Told:
        """Encrypted and signed, if the app has an Encrypt Key."""
        if not self.encrypt_key:
            return await _called(url, plain, {})
        body = compact({"encrypt": encrypted(self.encrypt_key, plain)})
        timestamp, nonce = str(int(self._now())), secrets.token_hex(8)
        return await _called(url, body, _headers(timestamp, nonce, signed(timestamp, nonce, self.encrypt_key, body)))

    def _ms(self) -> str:
        return str(int(self._now() * 1000))


def _group(id: str) -> Group:
    if id not in GROUPS:
        raise ValueError(f"there is no group {id!r}")
    return GROUPS[id]


def _with_numbers(text: str) -> tuple[str, list[dict[str, Any]]]:
    """`@name` as the number of who is mentioned."""
    known = [(APP_NAME, {"open_id": BOT_ID, "user_id": "", "union_id": ""})]
    known += [(each.name, each.ids()) for each in PEOPLE.values()]
    mentions: list[dict[str, Any]] = []
    for name, ids in known:
        if f"@{name}" in text:
            key = f"@_user_{len(mentions) + 1}"
            text = text.replace(f"@{name}", key)
            mentions.append({"key": key, "id": ids, "name": name, "tenant_key": TENANT})
    return text, mentions


def _pressed(card: object, inbound: Inbound) -> dict[str, Any]:
    """The button, by the action that it tells, by its name, or by its text."""
    for button in buttons(card):
        told = callback(button)
        action = told.get("action") if isinstance(told, dict) else told
        text = button.get("text", {}).get("content")
        if inbound.action and inbound.action in (action, button.get("name"), text):
            if told is None and not button.get("form_action_type"):
                raise ValueError(f"the button {inbound.action!r} opens an address and tells the app nothing")
            return button
    raise ValueError(f"the card has no button {inbound.action!r}")


def _form_values(card: object, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """As Feishu sends them: days with the zone. Raises ValueError if something that is required is missing."""
    values: dict[str, Any] = {}
    for each in elements(card):
        name = each.get("name")
        if not name or each["tag"] in ("form", "button"):
            continue
        value = inputs.get(str(name))
        if each.get("required") and value in (None, "", []):
            raise ValueError(f"{name!r} is required")
        if value not in (None, "", []):
            values[str(name)] = f"{value} +0800" if each["tag"] == "date_picker" else value
    return values


def _headers(timestamp: str, nonce: str, signature: str) -> dict[str, str]:
    return {
        "X-Lark-Request-Timestamp": timestamp,
        "X-Lark-Request-Nonce": nonce,
        "X-Lark-Signature": signature,
    }


async def _called(url: str, body: bytes, headers: Mapping[str, str]) -> Told:
    if not url.startswith(("http://", "https://")):
        raise ValueError("the app's address begins with http:// or https://")
    sent = {"Content-Type": "application/json; charset=utf-8", **headers}
    try:
        async with (
            ClientSession(timeout=ClientTimeout(TELL)) as session,
            session.post(url, data=body, headers=sent, allow_redirects=False) as told,
        ):
            return Told(told.status, (await told.content.read(65_536)).decode(errors="replace"))
    except (ClientError, TimeoutError) as error:
        raise ValueError(f"the app does not answer: {type(error).__name__}") from None
