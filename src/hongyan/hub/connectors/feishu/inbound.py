"""What Feishu tells us: events and presses of buttons, in its newer and older shapes, and messages of each type."""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

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
from hongyan.hub.connectors.feishu import crypto
from hongyan.hub.connectors.feishu.credentials import AppCredentials
from hongyan.hub.connectors.feishu.posts import markdown
from hongyan.hub.content import (
    SECONDS_MAX,
    Audio,
    Content,
    File,
    Image,
    Location,
    Markdown,
    Media,
    Mention,
    Message,
    Text,
    Video,
)

#: What is older is refused (ms): Feishu tries again for seven and a half hours.
WINDOW = 8 * 3600 * 1000
HEARD = b'{"msg":"success"}'
#: The event of a button that is pressed.
PRESSED = "card.action.trigger"
Json = Mapping[str, Any]


class Names(Protocol):
    """What people, groups and the bot are called, as far as Feishu says."""

    async def person(self, open_id: str) -> str: ...

    async def chat(self, chat_id: str) -> str: ...

    async def bot(self) -> str:
        """The bot's open id."""


class _Told(NamedTuple):
    """What is the same of each event, whatever its shape."""

    id: str
    name: str
    at: int
    event: Json


class _Header(msgspec.Struct):
    token: str = ""


class _Outside(msgspec.Struct):
    """What vouches for a body. No more of it is read before that is looked at, as much of it takes long."""

    encrypt: msgspec.Raw = msgspec.Raw()
    token: str = ""
    header: _Header | None = None
    open_message_id: msgspec.Raw = msgspec.Raw()
    action: msgspec.Raw = msgspec.Raw()


class Inbound:
    def __init__(self, credentials: AppCredentials, names: Names, wall: Any) -> None:
        self._credentials = credentials
        self._names = names
        self._wall = wall

    async def receive(self, request: Incoming) -> Reception:
        """Raises Forged, or Problem with BAD_CONTENT."""
        outside = _outside(request.body)
        if len(outside.encrypt):
            body = self._opened(outside.encrypt)
        else:
            self._check_outside(request, outside)
            body = _object(request.body)
        if body.get("type") == "url_verification":
            self._check_token(body.get("token"))
            return Reception(Reply(body=msgspec.json.encode({"challenge": _text(body, "challenge")})))
        if _is_older_card(body):
            self._check_card(request)
            signature = request.headers.get("x-lark-signature", "")
            return Reception(Reply(body=b"{}"), (_acted_before(body, signature, self._wall()),))
        told = _told(body)
        self._check(request, body, told)
        reply = b"{}" if told.name == PRESSED else HEARD
        return Reception(Reply(body=reply), await self._events(told))

    async def heard(self, payload: bytes, message_id: str) -> tuple[Event, ...]:
        """What came by a connection of our own, over which nobody but Feishu speaks. Raises Problem."""
        body = _object(payload)
        if _is_older_card(body):
            return (_acted_before(body, message_id, self._wall()),)
        return await self._events(_told(body))

    # whether it is from Feishu

    def _check_outside(self, request: Incoming, found: _Outside) -> None:
        """Of what is not encrypted, which nobody else could do. Raises Forged for what nothing vouches for."""
        given = self._credentials
        if len(found.open_message_id) and len(found.action):
            self._check_card(request)
        elif given.encrypt_key:
            raise Forged("it is not encrypted, though the channel has an encrypt_key")
        elif given.verification_token and found.header is None and not found.token:
            raise _wrong("it is no event of Feishu")
        else:
            self._check_token(found.header.token if found.header is not None else found.token)

    def _opened(self, packed: msgspec.Raw) -> Json:
        if not self._credentials.encrypt_key:
            raise Forged("it is encrypted, and the channel has no encrypt_key")
        try:
            text = msgspec.json.decode(packed, type=str)
            return _object(crypto.decrypt(self._credentials.encrypt_key, text))
        except (ValueError, Problem):  # one answer, whatever is wrong with it: it is not known yet who asks
            raise Forged("it can't be decrypted with this encrypt_key") from None

    def _check(self, request: Incoming, body: Json, told: _Told) -> None:
        """By the signature if there is an Encrypt Key, else by the token, which is weaker."""
        given = self._credentials
        if given.encrypt_key:
            timestamp = request.headers.get("x-lark-request-timestamp", "")
            nonce = request.headers.get("x-lark-request-nonce", "")
            wanted = crypto.event_signature(timestamp, nonce, given.encrypt_key, request.body)
            _same(request.headers.get("x-lark-signature", ""), wanted, "the signature does not fit")
            self._check_age(int(timestamp) * 1000 if timestamp.isdecimal() else 0)
        else:
            self._check_age(told.at)
        header = body.get("header")
        self._check_token(header.get("token") if isinstance(header, dict) else body.get("token"))

    def _check_token(self, token: object) -> None:
        wanted = self._credentials.verification_token
        if wanted:
            _same(token if isinstance(token, str) else "", wanted, "the verification token does not fit")
        elif not self._credentials.encrypt_key:
            raise Forged("the channel has neither encrypt_key nor verification_token, so nothing can be checked")

    def _check_card(self, request: Incoming) -> None:
        """The older callback of cards is signed with the token."""
        token = self._credentials.verification_token
        if not token:
            raise Forged("the older callback of cards is checked by the verification_token, which the channel lacks")
        timestamp = request.headers.get("x-lark-request-timestamp", "")
        nonce = request.headers.get("x-lark-request-nonce", "")
        wanted = crypto.card_signature(timestamp, nonce, token, request.body)
        _same(request.headers.get("x-lark-signature", ""), wanted, "the signature does not fit")
        self._check_age(int(timestamp) * 1000 if timestamp.isdecimal() else 0)

    def _check_age(self, at: int) -> None:
        if abs(self._wall() - at) > WINDOW:
            raise Forged("it is too old, or the clocks differ")

    # what it says

    async def _events(self, told: _Told) -> tuple[Event, ...]:
        if told.name == PRESSED:
            return (_acted(told),)
        if told.name == "im.message.receive_v1":
            said = await self._said(told)
            return (said,) if said is not None else ()
        if told.name == "message" and "open_message_id" in told.event:
            return (_said_before(told),)
        gone = str(told.event.get("message_id", "")) if told.name == "im.message.recalled_v1" else ""
        recalled = {"message_id": gone} if gone else {}
        return (Happened(told.id, told.name, told.at, dict(told.event), recalled),)

    async def _said(self, told: _Told) -> Said | None:
        """None for what bots say."""
        message, sender = _dict(told.event, "message"), _dict(told.event, "sender")
        if sender.get("sender_type", "user") != "user":
            return None
        message_id, chat_id = _text(message, "message_id"), _text(message, "chat_id")
        sender_id = _id(_dict(sender, "sender_id"))
        if not message_id or not chat_id or not sender_id:
            raise _wrong("a message has ids of itself, its chat and its sender")
        direct = message.get("chat_type") == "p2p"
        called = [each for each in message.get("mentions") or () if isinstance(each, dict)]
        bot, chat, name = await asyncio.gather(  # Feishu waits for one second, or three: its documents differ
            self._names.bot() if called else _nothing(),
            self._names.chat(chat_id) if not direct else _nothing(),
            self._names.person(sender_id),
        )
        content, media = _content(
            _text(message, "message_type"), _object(_text(message, "content").encode()), called, bot
        )
        mentions = [_mention(each) for each in called if not _is_bot(each, bot)]
        thread = _text(message, "root_id")
        return Said(
            message_id,  # Feishu says that one message may come as several events
            Chat(Target("group", chat_id), chat, direct),
            Person(sender_id, name),
            Message(content, tuple(each for each in mentions if each is not None), thread),
            _ms(_text(message, "create_time")) or told.at,
            {"message_id": message_id, "chat_id": chat_id},
            direct or any(_is_bot(each, bot) for each in called),
            tuple({"message_id": message_id, **each} for each in media),
        )


async def _nothing() -> str:
    return ""


def _outside(body: bytes) -> _Outside:
    try:
        return msgspec.json.decode(body, type=_Outside)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _wrong("it is no event of Feishu") from None


def _told(body: Json) -> _Told:
    header, event = body.get("header"), body.get("event")
    if not isinstance(event, dict):
        raise _wrong("it is no event of Feishu")
    if isinstance(header, dict):
        told = _Told(_text(header, "event_id"), _text(header, "event_type"), _ms(_text(header, "create_time")), event)
    else:
        told = _Told(_text(body, "uuid"), _text(event, "type"), _ms_of_seconds(body.get("ts")), event)
    if not told.id or not told.name:
        raise _wrong("it is no event of Feishu")
    return told


# buttons


def _acted(told: _Told) -> Acted:
    context, action = _dict(told.event, "context"), _dict(told.event, "action")
    chat_id = _text(context, "open_chat_id")
    return _made(
        told.id, told.at, _id(_dict(told.event, "operator")), action, _text(context, "open_message_id"), chat_id
    )


def _is_older_card(body: Json) -> bool:
    return "open_message_id" in body and "action" in body


def _acted_before(body: Json, otherwise: str, now: int) -> Acted:
    """The older callback has no id of its own; its token is another one for each press. `otherwise` is what else tells
    one from another: at an address the signature, as other headers are not signed.
    """
    id = _text(body, "token") or otherwise
    chat_id = _text(body, "open_chat_id")
    return _made(id, now, _id(body), _dict(body, "action"), _text(body, "open_message_id"), chat_id)


def _made(id: str, at: int, person: str, action: Json, message_id: str, chat_id: str) -> Acted:
    value = action.get("value")
    if not person:
        raise _wrong("an action has somebody who acts")
    given = value if isinstance(value, dict) else {}
    named = given.get("action") or action.get("name") or action.get("tag") or ""
    inputs = action.get("form_value")
    receipt = {"message_id": message_id, "chat_id": chat_id, "msg_type": "interactive"}
    return Acted(
        id,
        Person(person),
        str(named),
        at,
        str(given.get("value", "")) if isinstance(value, dict) else str(value or action.get("option") or ""),
        {name: _input(each) for name, each in inputs.items()} if isinstance(inputs, dict) else {},
        Chat(Target("group", chat_id)) if chat_id else None,
        {name: each for name, each in receipt.items() if each} if message_id else {},
    )


def _input(value: object) -> str | list[str]:
    """Of dates only the day: Feishu adds the zone, such as `2024-04-01 +0800`."""
    if isinstance(value, list):
        return [str(each) for each in value]
    text = "" if value is None else str(value)
    day, _, zone = text.partition(" ")
    dated = len(day) == 10 and day.count("-") == 2 and len(zone) == 5 and zone[0] in "+-" and zone[1:].isdecimal()
    return day if dated else text


# messages


def _said_before(told: _Told) -> Said:
    """A message as the first version of events has it."""
    event = told.event
    message_id, chat_id, sender = (_text(event, name) for name in ("open_message_id", "open_chat_id", "open_id"))
    if not chat_id or not sender:
        raise _wrong("a message has ids of its chat and its sender")
    direct = event.get("chat_type") == "private"
    text = _text(event, "text_without_at_bot").strip() or _text(event, "text") or f"[{_text(event, 'msg_type')}]"
    return Said(
        message_id,
        Chat(Target("group", chat_id), direct=direct),
        Person(sender),
        Message(Text(text), (), _text(event, "root_id")),
        told.at,
        {"message_id": message_id, "chat_id": chat_id},
        direct or event.get("is_mention") is True,
    )


def _content(type_: str, content: Json, called: Sequence[Json], bot: str) -> tuple[Content, list[dict[str, str]]]:
    """The content, and which bytes belong to it."""
    match type_:
        case "text":
            return Text(_named(_text(content, "text"), called, bot) or "@"), []
        case "post":
            text, images = markdown(content, lambda key: _named(key, called, bot))
            return Markdown(text or "…", _text(content, "title")), [{"key": key, "type": "image"} for key in images]
        case "image":
            return Image(Media(name="image", type="image/*")), [{"key": _text(content, "image_key"), "type": "image"}]
        case "file" | "audio" | "media":
            return _file(type_, content), [{"key": _text(content, "file_key"), "type": "file"}]
        case "location":
            place = _place(content)
            return (place, []) if place is not None else (Text(_text(content, "name") or "[location]"), [])
        case "interactive":
            text, _ = markdown({"content": content.get("elements")}, lambda key: _named(key, called, bot))
            return Markdown(text or "[card]", _text(content, "title")), []
        case _:
            said = _text(content, "text") or _text(content, "summary") or _text(content, "file_name")
            return Text(f"[{type_ or 'message'}] {said}".strip()), []


def _file(type_: str, content: Json) -> Content:
    ms = content.get("duration")
    seconds = ms / 1000 if isinstance(ms, int | float) and 0 < ms <= 1000 * SECONDS_MAX else None
    name = _text(content, "file_name")
    if type_ == "audio":
        return Audio(Media(name=name or "audio.opus", type="audio/opus", seconds=seconds))
    if type_ == "media":
        return Video(Media(name=name or "video.mp4", type="video/mp4", seconds=seconds))
    return File(Media(name=name or "file"))


def _place(content: Json) -> Location | None:
    try:
        latitude, longitude = float(content["latitude"]), float(content["longitude"])
    except (KeyError, TypeError, ValueError):
        return None
    good = -90 <= latitude <= 90 and -180 <= longitude <= 180
    return Location(latitude, longitude, _text(content, "name")) if good else None


def _named(text: str, called: Sequence[Json], bot: str) -> str:
    """With the names of those who are mentioned instead of their numbers; that of the bot is left out."""
    for each in sorted(called, key=lambda each: -len(_text(each, "key"))):  # @_user_1 begins @_user_10
        key = _text(each, "key")
        if key:
            text = text.replace(key, "" if _is_bot(each, bot) else f"@{_text(each, 'name')}")
    return text.replace("@_all", "@all").strip()


def _mention(each: Json) -> Mention | None:
    person = _id(_dict(each, "id"))
    if _text(each, "key") == "@_all":
        return Mention(everyone=True)
    return Mention(user=person, name=_text(each, "name")) if person else None


def _is_bot(each: Json, bot: str) -> bool:
    return bool(bot) and _dict(each, "id").get("open_id") == bot


# JSON


def _object(body: bytes) -> Json:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _wrong("it is not JSON") from None
    if not isinstance(found, dict):
        raise _wrong("it is no JSON object")
    return found


def _text(found: Json, name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _dict(found: Json, name: str) -> Json:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _id(ids: Json) -> str:
    return _text(ids, "open_id") or _text(ids, "user_id") or _text(ids, "union_id")


def _ms(text: str) -> int:
    """Presses of buttons have microseconds."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 16 else 0
    return number // 1000 if number > 10**14 else number


def _ms_of_seconds(value: object) -> int:
    """The first version has seconds with a fraction."""
    try:
        return round(float(value) * 1000) if isinstance(value, str | int | float) else 0
    except (ValueError, OverflowError):
        return 0


def _same(given: str, wanted: str, otherwise: str) -> None:
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Forged(otherwise)


def _wrong(sentence: str) -> Problem:
    return Problem(Outcome.BAD_CONTENT, sentence)
