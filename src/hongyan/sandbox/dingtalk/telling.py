"""Telling the app what people do, at its address or by the stream that it has opened."""

import json
import secrets
from collections.abc import Callable
from typing import Any

from hongyan.sandbox.board import Board, Shown
from hongyan.sandbox.dingtalk.answers import json_object, post
from hongyan.sandbox.dingtalk.cards import Cards
from hongyan.sandbox.dingtalk.checks import ROBOT_TYPES
from hongyan.sandbox.dingtalk.crypto import Envelope, card_sign, sign
from hongyan.sandbox.dingtalk.messages import SESSION_LIFE, Messages
from hongyan.sandbox.dingtalk.stream import Streams
from hongyan.sandbox.dingtalk.world import (
    AES_KEY,
    APP_KEY,
    APP_SECRET,
    CALLBACK_TOKEN,
    CARD_SECRET,
    CORP_ID,
    GROUPS,
    PEOPLE,
)
from hongyan.sandbox.emulator import Inbound, Told


class Telling:
    """Signs or seals what an app is told, each kind in its own way; the answer to it may change a card."""

    def __init__(
        self,
        board: Board,
        messages: Messages,
        cards: Cards,
        streams: Streams,
        now: Callable[[], float],
        origin: Callable[[], str],
    ) -> None:
        self._board = board
        self._messages = messages
        self._cards = cards
        self._streams = streams
        self._now = now
        self._origin = origin
        self._envelope = Envelope(CALLBACK_TOKEN, AES_KEY, APP_KEY)

    async def tell(self, inbound: Inbound, url: str) -> Told:
        """`url` may be empty: then by the stream that the app has opened. Besides the kinds that all have: `image`, a
        picture whose media id is `value`, and `check`, the first push of events.
        """
        if inbound.kind != "check" and inbound.user not in PEOPLE:
            raise ValueError(f"there is nobody {inbound.user!r}")
        match inbound.kind:
            case "text" | "image":
                return await self._tell_message(inbound, url)
            case "action":
                return await self._tell_action(inbound, url)
            case "read":
                shown = self._shown(inbound.on)
                if inbound.user not in shown.read_by:
                    shown.read_by.append(inbound.user)
                    self._board.changed(shown)
                return Told(200, "DingTalk tells the app nothing of this: it asks.")
            case "added":
                return await self._tell_event(
                    "chat_add_member", {"ChatId": inbound.chat, "UserId": [inbound.user]}, url
                )
            case "check":
                return await self._tell_event("check_url", {}, url)
            case _:
                raise ValueError(f"DingTalk tells an app nothing of {inbound.kind!r}")

    async def _tell_message(self, inbound: Inbound, url: str) -> Told:
        person, group = PEOPLE[inbound.user], GROUPS.get(inbound.chat)
        if inbound.chat and group is None:
            raise ValueError(f"there is no group {inbound.chat!r}")
        chat = group.id if group else person.id
        session = self._messages.session(chat)
        message: dict[str, Any] = {
            "conversationId": group.id if group else f"cidDirect0{person.id}==",
            "conversationType": "2" if group else "1",
            **({"conversationTitle": group.title, "isInAtList": True} if group else {}),
            "atUsers": [{"dingtalkId": "$:LWCP_v1:$robot"}] if group else [],
            "chatbotCorpId": CORP_ID,
            "chatbotUserId": "$:LWCP_v1:$robot",
            "msgId": f"msg{self._board.new_id()}sandbox==",
            "senderNick": person.name,
            "isAdmin": False,
            "senderStaffId": person.id,
            "senderId": f"$:LWCP_v1:${person.id}",
            "senderCorpId": CORP_ID,
            "sessionWebhookExpiredTime": int((self._now() + SESSION_LIFE) * 1000),
            "createAt": int(self._now() * 1000),
            "sessionWebhook": f"{self._origin()}/robot/sendBySession?session={session}",
            "robotCode": APP_KEY,
        }
        if inbound.kind == "image":
            message |= {"msgtype": "picture", "content": {"downloadCode": inbound.value}}
        else:
            message |= {"msgtype": "text", "text": {"content": inbound.text}}
        if not url:
            return Told(*await self._streams.push("CALLBACK", "/v1.0/im/bot/messages/get", message))
        stamp = str(int(self._now() * 1000))
        told = await post(url, message, {"timestamp": stamp, "sign": sign(APP_SECRET, stamp)})
        answer = json_object(told.body.encode())
        if told.status == 200 and answer and answer.get("msgtype") in ROBOT_TYPES:
            self._messages.show_answer(chat, answer)
        return told

    async def _tell_action(self, inbound: Inbound, url: str) -> Told:
        shown = self._shown(inbound.on)
        card = self._cards.get(str(shown.extra.get("card")))
        if card is None:
            raise ValueError("only interactive cards tell the app what is pressed")
        params = {"action": inbound.action, "value": inbound.value, **inbound.inputs}
        content = {"cardPrivateData": {"actionIds": [inbound.action], "params": params}}
        callback = {
            "type": "actionCallback",
            "outTrackId": shown.extra["card"],
            "corpId": CORP_ID,
            "userId": inbound.user,
            "spaceId": shown.to[0],
            "spaceType": "im",
            "extension": "{}",
            "content": json.dumps(content, ensure_ascii=False),
        }
        if card.callback == "STREAM":
            status, body = await self._streams.push("CALLBACK", "/v1.0/card/instances/callback", callback)
            told = Told(status, body)
        else:
            known, secret = self._cards.routes.get(card.route, ("", CARD_SECRET))
            stamp = str(int(self._now() * 1000))
            signed = {"x-ddpaas-signature-timestamp": stamp, "x-ddpaas-signature": card_sign(secret, stamp)}
            told = await post(known or url, callback, signed)
        self._card_answered(str(shown.extra["card"]), json_object(told.body.encode()))
        return told

    def _card_answered(self, card_id: str, answer: dict[str, Any] | None) -> None:
        """The answer to a callback may change the card."""
        data = (answer or {}).get("cardData")
        params = data.get("cardParamMap") if isinstance(data, dict) else None
        if isinstance(params, dict):
            self._cards.changed(card_id, params, whole=False)

    async def _tell_event(self, name: str, data: dict[str, Any], url: str) -> Told:
        now = str(int(self._now() * 1000))
        event = {"EventType": name, "TimeStamp": now, "CorpId": CORP_ID, **data}
        if not url:
            headers = {"eventType": name, "eventId": secrets.token_hex(8), "eventCorpId": CORP_ID, "eventBornTime": now}
            return Told(*await self._streams.push("EVENT", "*", event, headers))
        query, body = self._envelope.wrap(json.dumps(event, ensure_ascii=False), now)
        told = await post(f"{url}{'&' if '?' in url else '?'}{query}", body, {})
        answer = json_object(told.body.encode())
        try:
            return Told(told.status, self._envelope.unwrap(answer or {}))
        except ValueError as error:
            return Told(told.status, f"{error}: {told.body}")

    def _shown(self, on: str) -> Shown:
        shown = self._board.get(on)
        if shown is None or shown.platform != "dingtalk":
            raise ValueError(f"there is no message {on!r}")
        return shown
