"""What DingTalk tells an app: what is said to its robot, what is pressed on its cards, and events (reference 2.7)."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hongyan.hub.connector import (
    Acted,
    Chat,
    Event,
    Forged,
    Happened,
    Incoming,
    Outcome,
    Person,
    Problem,
    Reception,
    Reply,
    Said,
    Target,
)
from hongyan.hub.connectors.dingtalk.credentials import AppCredentials
from hongyan.hub.connectors.dingtalk.crypto import card_sign, robot_sign
from hongyan.hub.connectors.sealed_callback import SealedCallback
from hongyan.hub.content import SECONDS_MAX, Audio, Content, File, Image, Markdown, Media, Message, Text, Video
from hongyan.hub.degrade import escape
from hongyan.hub.http import json_object

#: How far the time of a signature may be from ours (ms).
SKEW = 3_600_000
#: What is answered to what the robot was told: nothing to say.
NOTHING = b'{"msgtype":"empty"}'
CHECKS = {"check_url", "check_create_suite_url", "check_update_suite_url"}


class Inbound:
    """`wall` is the time of day (ms)."""

    def __init__(self, credentials: AppCredentials, wall: Callable[[], int]) -> None:
        self._credentials = credentials
        self._wall = wall
        self._crypto = (
            SealedCallback(
                credentials.callback_token,
                credentials.callback_aes_key,
                tuple(filter(None, (credentials.app_key, credentials.corp_id))),
            )
            if credentials.callback_token
            else None
        )

    def receive(self, request: Incoming) -> Reception:
        """Raises Forged, or Problem for what is no request of DingTalk."""
        if request.method != "POST":
            raise _dialect("DingTalk sends POST requests")
        if "signature" in request.query or "msg_signature" in request.query:
            return self._pushed(request)
        if "x-ddpaas-signature" in request.headers:
            return self._pressed(request)
        if "sign" in request.headers:
            return self._said(request)
        raise Forged("the request is not signed as DingTalk's are")

    # what is said

    def _said(self, request: Incoming) -> Reception:
        stamp = request.headers.get("timestamp", "")
        self._verify(stamp, request.headers["sign"], robot_sign(self._credentials.app_secret, stamp))
        return Reception(Reply(body=NOTHING), (self.said(_object(request.body)),))

    def said(self, body: Mapping[str, Any]) -> Event:
        """What was said to the robot."""
        message_id, sender = body.get("msgId"), body.get("senderStaffId") or body.get("senderId")
        if not isinstance(message_id, str) or not isinstance(sender, str) or not message_id or not sender:
            raise _dialect("the body is none of DingTalk's robot: it has no msgId and sender")
        direct = str(body.get("conversationType")) == "1"
        group = str(body.get("conversationId") or "")
        if not direct and not group:
            raise _dialect("the body is none of DingTalk's robot: it has no conversationId")
        content, media = _content(body)
        return Said(
            id=message_id,
            chat=Chat(
                Target("user", sender) if direct else Target("group", group),
                "" if direct else str(body.get("conversationTitle") or ""),
                direct,
            ),
            sender=Person(sender, str(body.get("senderNick") or "")),
            message=Message(content),
            at=_time(body.get("createAt"), self._wall()),
            receipt={"via": "said", "message": message_id, "chat": group},
            mentioned=direct or bool(body.get("isInAtList")),
            media=media,
        )

    # what is pressed

    def _pressed(self, request: Incoming) -> Reception:
        if not self._credentials.card_secret:
            raise Forged("the channel has no `card_secret`, by which callbacks of cards are verified")
        stamp = request.headers.get("x-ddpaas-signature-timestamp", "")
        expected = card_sign(self._credentials.card_secret, stamp)
        self._verify(stamp, request.headers["x-ddpaas-signature"], expected)
        # DingTalk gives these no id: the same request at the same time is the same press
        event_id = hashlib.sha256(stamp.encode() + request.body).hexdigest()[:32]
        return Reception(Reply(body=b"{}"), (self.acted(_object(request.body), event_id, _time(stamp, self._wall())),))

    def acted(self, body: Mapping[str, Any], event_id: str, at: int) -> Event:
        """What was pressed on an interactive card."""
        card, user = body.get("outTrackId"), body.get("userId")
        content = _json(body.get("content"))
        private = content.get("cardPrivateData") if content else None
        if not isinstance(card, str) or not isinstance(user, str) or not isinstance(private, dict):
            raise _dialect("the body is no callback of a card: it has no outTrackId, userId and content")
        params = private.get("params")
        given = {str(key): value for key, value in params.items()} if isinstance(params, dict) else {}
        ids = private.get("actionIds")
        first = str(ids[0]) if isinstance(ids, list) and ids else ""
        action, value = str(given.pop("action", "") or first), str(given.pop("value", "") or "")
        return Acted(
            id=event_id,
            sender=Person(user),
            action=action,
            at=at,
            value=value,
            inputs={key: _input(each) for key, each in given.items()},
            chat=_space(str(body.get("spaceId") or "")),
            receipt={"via": "card", "card": card},
        )

    # events

    def _pushed(self, request: Incoming) -> Reception:
        if self._crypto is None:
            raise Forged("the channel has no `callback_token`, by which events are verified")
        query = request.query
        stamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        encrypted = _sealed(request.body)
        given = query.get("msg_signature") or query.get("signature", "")
        self._crypto.check(given, stamp, nonce, encrypted)
        self._in_time(stamp)
        plain, owner = self._crypto.unseal(encrypted)
        body = _object(plain)
        reply = Reply(body=msgspec.json.encode(_taken(self._crypto, owner, str(self._wall()))))
        name = body.get("EventType")
        if not isinstance(name, str):
            raise _dialect("the event has no EventType")
        if name in CHECKS:
            return Reception(reply)
        event_id = body.get("eventId") or hashlib.sha256(plain).hexdigest()[:32]
        return Reception(reply, (self.happened(name, body, str(event_id)),))

    def happened(self, name: str, body: Mapping[str, Any], event_id: str) -> Event:
        return Happened(event_id, name, _time(body.get("TimeStamp"), self._wall()), dict(body))

    def _verify(self, stamp: str, given: str, expected: str) -> None:
        if not hmac.compare_digest(given.encode(errors="replace"), expected.encode()):
            raise Forged("the signature is wrong")
        self._in_time(stamp)

    def _in_time(self, stamp: str) -> None:
        if not stamp.isdecimal() or not stamp.isascii() or abs(int(stamp) - self._wall()) > SKEW:
            raise Forged("the request is more than an hour old, or the clock of this server is wrong")


class _Sealed(msgspec.Struct):
    encrypt: str


def _sealed(body: bytes) -> str:
    """What is encrypted; nothing else is read, as it is not known yet who sends it."""
    try:
        return msgspec.json.decode(body, type=_Sealed).encrypt
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _dialect("the body is no event of DingTalk: it has no `encrypt`") from None


def _taken(crypto: SealedCallback, owner: str, timestamp: str) -> dict[str, str]:
    """That an event has arrived."""
    nonce = secrets.token_hex(8)
    encrypted = crypto.seal(b"success", owner, secrets.token_bytes(16))
    return {
        "msg_signature": crypto.sign(timestamp, nonce, encrypted),
        "timeStamp": timestamp,
        "nonce": nonce,
        "encrypt": encrypted,
    }


def _content(body: Mapping[str, Any]) -> tuple[Content, tuple[dict[str, str], ...]]:
    """What was said, and what to fetch for it."""
    kind = body.get("msgtype")
    content = body.get("content") if isinstance(body.get("content"), dict) else _json(body.get("content")) or {}
    assert isinstance(content, dict)
    code = content.get("downloadCode")
    media = ({"code": code},) if isinstance(code, str) else ()
    match kind:
        case "text":
            text = body.get("text")
            return Text(str(text.get("content", "")).strip() if isinstance(text, dict) else ""), ()
        case "picture":
            return Image(Media()), media
        case "audio":
            duration = content.get("duration")
            seconds = duration / 1000 if isinstance(duration, int | float) and duration <= 1000 * SECONDS_MAX else None
            return Audio(Media(seconds=seconds, type="audio/amr")), media
        case "video":
            return Video(Media(type="video/mp4")), media
        case "file":
            return File(Media(name=str(content.get("fileName") or ""))), media
        case "richText":
            return _rich(content.get("richText"))
        case _:
            return Text(f"[{kind}]"), media


def _rich(parts: object) -> tuple[Content, tuple[dict[str, str], ...]]:
    """Texts and pictures in turn: the texts become one, the pictures follow."""
    known = [each for each in parts if isinstance(each, dict)] if isinstance(parts, list) else []
    text = "".join(str(each["text"]) for each in known if "text" in each)
    media = tuple({"code": str(each["downloadCode"])} for each in known if "downloadCode" in each)
    return (Markdown(escape(text)) if text.strip() else Image(Media())), media


def _space(space: str) -> Chat | None:
    """Where a card is; `spaceId` is as it was delivered, or the id alone."""
    chat = space.rpartition("//")[2].removeprefix("IM_GROUP.").removeprefix("IM_ROBOT.")
    if not chat:
        return None
    direct = not chat.startswith("cid")
    return Chat(Target("user" if direct else "group", chat), "", direct)


def _input(value: object) -> str | list[str]:
    if isinstance(value, list):
        return [str(each) for each in value]
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _object(body: bytes) -> dict[str, Any]:
    value = json_object(body)
    if value is None:
        raise _dialect("the body is no JSON object")
    return value


def _json(text: object) -> dict[str, Any] | None:
    """JSON in a text."""
    return json_object(text) if isinstance(text, str) else None


def _time(value: object, otherwise: int) -> int:
    """Milliseconds, as number or text."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else otherwise


def _dialect(reason: str) -> Problem:
    return Problem(Outcome.BAD_CONTENT, reason)
