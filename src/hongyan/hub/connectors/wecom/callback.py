"""What WeCom tells an application: sealed XML, answered at once with nothing in it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

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
from hongyan.hub.connectors.sealed_callback import SealedCallback
from hongyan.hub.connectors.wecom.cards import pressed
from hongyan.hub.connectors.wecom.credentials import AppCredentials
from hongyan.hub.connectors.wecom.xml import Node, parse
from hongyan.hub.content import Audio, Content, Image, Link, Location, Media, Message, Text, Video

#: How old a request may be, and how far ahead of our clock (s). WeCom states no window (inferred).
WINDOW = 600.0
#: Common fields, which are no data of an event.
_COMMON = {"ToUserName", "FromUserName", "CreateTime", "MsgType", "Event"}
#: What ends an application, and what to do about it.
_ALARMS = {
    "inactive_alert": (
        "WeCom will switch the application off, as nobody uses it",
        "Send something with it, or open it in the WeCom administration and keep it.",
    ),
    "close_inactive_agent": (
        "WeCom has switched the application off, as nobody used it",
        "Switch it on again in the WeCom administration.",
    ),
}


class Callback:
    """Of one application. `wall` is the time of day in ms."""

    def __init__(self, credentials: AppCredentials, wall: Callable[[], int]) -> None:
        self._crypto = SealedCallback(credentials.token, credentials.aes_key, (credentials.corp_id,))
        self._wall = wall

    def receive(self, request: Incoming) -> Reception:
        """Raises Forged or Problem."""
        if request.method == "GET":
            return Reception(Reply(200, self._open(request, request.query.get("echostr", "")), "text/plain"))
        sealed = _parse(request.body).get("Encrypt")
        if not isinstance(sealed, str) or not sealed:
            raise _foreign("there is no element Encrypt: is the callback in another mode, or another platform's?")
        event = _event(_parse(self._open(request, sealed)))
        return Reception(Reply(200, b"", "text/plain"), (event,))

    def _open(self, request: Incoming, sealed: str) -> bytes:
        """What is sealed, if it is WeCom's and of now."""
        query = request.query
        timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        self._crypto.check(query.get("msg_signature", ""), timestamp, nonce, sealed)
        if not timestamp.isdecimal() or len(timestamp) > 12 or abs(self._wall() / 1000 - int(timestamp)) > WINDOW:
            raise Forged("the time of the request is too far from ours: it was kept back, or a clock is wrong")
        return self._crypto.unseal(sealed)[0]


def _parse(body: bytes) -> dict[str, Any]:
    try:
        return parse(body)
    except ValueError as error:
        raise _foreign(str(error)) from None


def _event(xml: Mapping[str, Any]) -> Event:
    kind, sender, created = _text(xml, "MsgType"), _text(xml, "FromUserName"), _text(xml, "CreateTime")
    if not kind or not created.isdecimal() or len(created) > 12:
        raise _foreign("it has no MsgType or no CreateTime")
    at = int(created) * 1000
    if kind != "event":
        return _said(xml, kind, sender, at)
    name = _text(xml, "Event")
    # two cards may be pressed in one second, which FromUserName and CreateTime do not tell apart
    id_ = ":".join((sender, created, name, _text(xml, "TaskId"), _text(xml, "EventKey")))
    if name == "template_card_event":
        return _acted(xml, id_, sender, at)
    data = {"user": sender, **{key: each for key, each in xml.items() if key not in _COMMON}}
    return Happened(id_, name, at, data, alarm=_ALARMS.get(name))


def _said(xml: Mapping[str, Any], kind: str, sender: str, at: int) -> Event:
    content = _content(xml, kind)
    id_ = _text(xml, "MsgId")
    if content is None or not id_:
        name = f"message_{kind}"
        return Happened(id_ or f"{sender}:{at}:{name}", name, at, {"user": sender, **dict(xml)})
    media: dict[str, str] = {}
    if isinstance(content, Image | Audio | Video) and _text(xml, "MediaId"):
        named = {"name": content.media.name, "type": content.media.type}
        media = {"media_id": _text(xml, "MediaId"), **{name: each for name, each in named.items() if each}}
    return Said(id_, _chat(sender), Person(sender), Message(content), at, media=(media,) if media else ())


def _content(xml: Mapping[str, Any], kind: str) -> Content | None:
    """None for what there is no type for. Bytes are fetched by the media id."""
    match kind:
        case "text":
            return Text(_text(xml, "Content"))
        case "image":
            return Image(Media(url=_text(xml, "PicUrl")))
        case "voice":
            name = f"voice.{_text(xml, 'Format') or 'amr'}"
            return Audio(Media(name=name, type="audio/amr"))
        case "video":
            return Video(Media(name="video.mp4", type="video/mp4"))
        case "location":
            return _location(xml)
        case "link":
            picture = _text(xml, "PicUrl")
            return Link(
                _text(xml, "Title"),
                _text(xml, "Url"),
                _text(xml, "Description"),
                Media(url=picture) if picture else None,
            )
        case _:
            return None


def _location(xml: Mapping[str, Any]) -> Location:
    try:
        latitude, longitude = float(_text(xml, "Location_X")), float(_text(xml, "Location_Y"))
    except ValueError:
        latitude = longitude = math.nan
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise _foreign("the location has no coordinates")
    return Location(latitude, longitude, address=_text(xml, "Label"))


def _acted(xml: Mapping[str, Any], id_: str, sender: str, at: int) -> Acted:
    action, value = pressed(_text(xml, "EventKey"))
    receipt = {"response_code": _text(xml, "ResponseCode"), "task_id": _text(xml, "TaskId")}
    return Acted(
        id_,
        Person(sender),
        action,
        at,
        value,
        dict(_inputs(xml)),
        _chat(sender),
        {name: each for name, each in receipt.items() if each},
    )


def _inputs(xml: Mapping[str, Any]) -> list[tuple[str, str | list[str]]]:
    """What was chosen by the keys of questions; of boxes to tick always a list."""
    many = _text(xml, "CardType") == "vote_interaction"
    chosen = []
    for item in _list(_inside(xml, "SelectedItems"), "SelectedItem"):
        if isinstance(item, dict):
            options = [each for each in _list(_inside(item, "OptionIds"), "OptionId") if isinstance(each, str)]
            chosen.append((_text(item, "QuestionKey"), options if many else ",".join(options)))
    return chosen


def _inside(xml: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = xml.get(name)
    return found if isinstance(found, dict) else {}


def _list(xml: Mapping[str, Any], name: str) -> list[Node]:
    found = xml.get(name, [])
    return found if isinstance(found, list) else [found]


def _text(xml: Mapping[str, Any], name: str) -> str:
    found = xml.get(name, "")
    return found if isinstance(found, str) else ""


def _chat(user: str) -> Chat:
    return Chat(Target("user", user), direct=True)


def _foreign(sentence: str) -> Problem:
    return Problem(Outcome.BAD_CONTENT, f"this is no callback of WeCom: {sentence}")
