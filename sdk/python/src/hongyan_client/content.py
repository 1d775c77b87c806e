"""What messages say: text, pictures, places, and types of an application's own.

Typed contents are the JSON objects of the LeanCloud SDKs, told apart by `_lctype`. Everything else is `Raw`
text or `Binary`.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar


@dataclass(frozen=True, kw_only=True)
class Content:
    """The base of everything that a message can say."""


@dataclass(frozen=True)
class Raw(Content):
    """Text without a type, as it went over the wire."""

    text: str


@dataclass(frozen=True)
class Binary(Content):
    """Bytes."""

    data: bytes


@dataclass(frozen=True)
class Typed(Content):
    """A content with a type number. Own types are dataclasses with the decorator `message_type`."""

    lctype: ClassVar[int] = 0

    def to_json(self) -> dict[str, Any]:
        """The JSON object of this content, without `_lctype`: its fields, at the top level."""
        return _with_caption({field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Typed":
        """The content of a JSON object. Raises KeyError, TypeError or ValueError if it is not one of this type."""
        given = {**body, "text": body.get("_lctext", ""), "attributes": body.get("_lcattrs", {})}
        wanted = {item.name: given[item.name] for item in dataclasses.fields(cls) if item.name in given}
        return cls(**wanted)


@dataclass(frozen=True)
class Text(Typed):
    """Text."""

    text: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class File(Typed):
    """A file somewhere on the web. `text` is its caption; `metadata` holds `name`, `format`, `size` …"""

    url: str
    text: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    object_id: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        place: dict[str, Any] = {"url": self.url, "metaData": dict(self.metadata)}
        if self.object_id is not None:
            place["objId"] = self.object_id
        return _with_caption({"_lcfile": place, "text": self.text, "attributes": self.attributes})

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "File":
        place = body["_lcfile"]
        return cls(
            url=_of(str, place["url"]),
            text=body.get("_lctext") or "",
            metadata=place.get("metaData") or {},
            object_id=place.get("objId"),
            attributes=body.get("_lcattrs") or {},
        )


@dataclass(frozen=True)
class Image(File):
    """A picture; `metadata` also holds `width` and `height`."""


@dataclass(frozen=True)
class Audio(File):
    """Sound; `metadata` also holds `duration`, in seconds."""


@dataclass(frozen=True)
class Video(File):
    """A film; `metadata` also holds `duration`, in seconds."""


@dataclass(frozen=True)
class Location(Typed):
    """A place on earth, in degrees."""

    latitude: float
    longitude: float
    text: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        place = {"latitude": self.latitude, "longitude": self.longitude}
        return _with_caption({"_lcloc": place, "text": self.text, "attributes": self.attributes})

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Location":
        place = body["_lcloc"]
        return cls(
            latitude=float(place["latitude"]),
            longitude=float(place["longitude"]),
            text=body.get("_lctext") or "",
            attributes=body.get("_lcattrs") or {},
        )


@dataclass(frozen=True)
class Recalled(Typed):
    """What is left of a message that its sender took back."""


_Type = TypeVar("_Type", bound=type[Typed])
_types: dict[int, type[Typed]] = {}


def message_type(number: int) -> Callable[[_Type], _Type]:
    """Registers a dataclass that inherits from `Typed` for messages with this `_lctype`, which is above 0.

    Its fields are keys of the message; `text` and `attributes` are written as `_lctext` and `_lcattrs`.

        @message_type(1)
        @dataclass(frozen=True)
        class Poll(Typed):
            question: str
            answers: list[str]
    """
    if number < 1:
        raise ValueError("a message type of an application is a number above 0")

    def register(kind: _Type) -> _Type:
        other = _types.get(number)
        if other is not None and (other.__module__, other.__qualname__) != (kind.__module__, kind.__qualname__):
            raise ValueError(f"message type {number} is {other.__qualname__}")
        return _register(number, kind)

    return register


def encode(content: Content) -> str | bytes:
    """A content as it goes over the wire. Raises ValueError if it cannot."""
    if isinstance(content, Raw):
        return content.text
    if isinstance(content, Binary):
        return content.data
    if not isinstance(content, Typed) or not content.lctype:
        raise ValueError(f"{type(content).__qualname__} has no message type: register it with `message_type`")
    try:
        return json.dumps({"_lctype": content.lctype, **content.to_json()}, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the message cannot be written as JSON: {error}") from None


def decode(body: str | bytes) -> Content:
    """The content of what came over the wire; text that is none of the known types is `Raw`."""
    if isinstance(body, bytes):
        return Binary(body)
    try:
        parsed = json.loads(body)
        kind = _types[parsed["_lctype"]]
        return kind.from_json(parsed)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return Raw(body)


def _register(number: int, kind: _Type) -> _Type:
    kind.lctype = number
    _types[number] = kind
    return kind


for _number, _kind in enumerate((Text, Image, Audio, Video, Location, File), start=1):
    _register(-_number, _kind)
_register(-127, Recalled)


def _with_caption(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, with `text` and `attributes` under the names that the SDKs give them, unless empty."""
    body = {name: value for name, value in fields.items() if name not in ("text", "attributes")}
    if "text" in fields:
        body["_lctext"] = fields["text"]
    if fields.get("attributes"):
        body["_lcattrs"] = dict(fields["attributes"])
    return body


def _of(kind: type[str], value: object) -> str:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return value
