"""Content as LeanCloud's typed messages, and back: what an app's own clients show (reference 7)."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from hongyan.engine import json_text
from hongyan.engine.file_types import is_type
from hongyan.engine.files import clean_name
from hongyan.hub.content import (
    LINE_MAX,
    SECONDS_MAX,
    URL,
    URL_MAX,
    Audio,
    Content,
    File,
    Image,
    Location,
    Media,
    Text,
    Video,
)

TEXT, IMAGE, AUDIO, VIDEO, LOCATION, FILE = -1, -2, -3, -4, -5, -6
#: Characters of a name that is shown.
NAME_MAX = 60
#: What a message is that carries a file of a type that begins so.
_BY_TYPE = {"image": IMAGE, "audio": AUDIO, "video": VIDEO}
_OF_MEDIA: dict[type, int] = {Image: IMAGE, Audio: AUDIO, Video: VIDEO, File: FILE}


class Attached(NamedTuple):
    """A file as a message names it."""

    url: str
    name: str
    type: str
    size: int | None = None
    seconds: float | None = None
    id: str = ""


def kind_of(type_: str) -> int:
    """What a message with a file of this MIME type is."""
    return _BY_TYPE.get(type_.partition("/")[0], FILE)


def kind_of_content(content: Content) -> int:
    """What a message with this content is, whose media goes with it."""
    return _OF_MEDIA.get(type(content), TEXT)


def encode(
    kind: int,
    text: str,
    attributes: Mapping[str, Any],
    file: Attached | None = None,
    location: Location | None = None,
) -> str:
    value: dict[str, Any] = {"_lctype": kind, "_lctext": text}
    if file is not None:
        known = {
            "name": file.name,
            "format": file.type,
            "mime_type": file.type,
            "size": file.size,
            "duration": file.seconds,
        }
        meta = {name: each for name, each in known.items() if each not in (None, "")}
        value["_lcfile"] = {"url": file.url, **({"objId": file.id} if file.id else {}), "metaData": meta}
    if location is not None:
        value["_lcloc"] = {"latitude": location.latitude, "longitude": location.longitude}
    if attributes:
        value["_lcattrs"] = dict(attributes)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def contents(content: str | bytes, sender: str) -> list[Content]:
    """What a message of a conversation says, with its sender in front, in as many messages as that needs."""
    if isinstance(content, bytes):
        return [Text(f"{sender}: [{len(content):,} bytes]")]
    value = _object(content)
    kind = value.get("_lctype") if value is not None else None
    if value is None or not isinstance(kind, int):
        return [Text(f"{sender}: {content}")]
    name = _named(sender, value.get("_lcattrs"))
    text = value.get("_lctext")
    text = text if isinstance(text, str) else ""
    if kind == LOCATION and (place := _location(value)) is not None:
        return [Text(f"{name}: {text}".rstrip(": ") + ":"), place]
    media = _media(value)
    if media is not None and kind in (IMAGE, AUDIO, VIDEO, FILE):
        attached = {IMAGE: Image, AUDIO: Audio, VIDEO: Video, FILE: File}[kind](media)
        return [Text(f"{name}: {text}" if text else f"{name}:"), attached]
    return [Text(f"{name}: {text}" if text else f"{name}: [{kind}]")]


def _named(sender: str, attributes: object) -> str:
    """A name in the attributes is the sender's own word, and may be somebody else's: the client stands beside it."""
    given = (attributes.get("name") or attributes.get("username")) if isinstance(attributes, dict) else None
    if not isinstance(given, str) or not given.strip() or len(given) > NAME_MAX or not given.isprintable():
        return sender
    return f"{given.strip()} ({sender})"


def _object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        value = json_text.parse(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _media(value: Mapping[str, Any]) -> Media | None:
    """The file of a message by its address: its id is the sender's word, and would be read without a question."""
    file = value.get("_lcfile")
    url = file.get("url") if isinstance(file, dict) else None
    if not isinstance(url, str) or len(url) > URL_MAX or not URL.fullmatch(url):
        return None
    meta = file.get("metaData") if isinstance(file, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    name, type_, seconds = meta.get("name"), meta.get("mime_type") or meta.get("format"), meta.get("duration")
    return Media(
        url=url,
        name=clean_name(name[:LINE_MAX]) if isinstance(name, str) and name else "",
        type=type_ if isinstance(type_, str) and len(type_) <= LINE_MAX and is_type(type_) else "",
        seconds=float(seconds) if isinstance(seconds, int | float) and 0 <= seconds <= SECONDS_MAX else None,
    )


def _location(value: Mapping[str, Any]) -> Location | None:
    place = value.get("_lcloc")
    if not isinstance(place, dict):
        return None
    latitude, longitude = place.get("latitude"), place.get("longitude")
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    return Location(float(latitude), float(longitude))
