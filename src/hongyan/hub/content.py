"""What a message says, the same for every platform.

A message has one content, of one of the types below. What a platform cannot show is rewritten by the rules of
`hub.degrade`; nothing is left out silently.
"""

import re
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from hongyan.errors import INVALID_VALUE, Refused

#: Bytes of a message as JSON, and characters of one text of it.
BYTES_MAX, TEXT_MAX = 131_072, 40_000
#: Characters of what is one line: titles, names, labels, identifiers; and of an address.
LINE_MAX, URL_MAX = 300, 3000
ARTICLES_MAX, COLUMNS_MAX, ROWS_MAX, FIELDS_MAX, BUTTONS_MAX, INPUTS_MAX, OPTIONS_MAX, MENTIONS_MAX = (
    10,
    12,
    100,
    50,
    25,
    10,
    100,
    100,
)
#: Length of a sound or video (s).
SECONDS_MAX = 86_400
#: An address of the web.
URL = re.compile(r"https?://[^\s\x00-\x20\x7f]+")

#: How serious it is: platforms show it as a colour, or as a word before the title.
Level = Literal["info", "success", "warning", "error"]
T = TypeVar("T")


class Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a message."""


class Media(Part, frozen=True):
    """The bytes of a file: at an address that anybody may read (`url`), or uploaded here (`file`, its id).

    `type` is a MIME type, `seconds` the length of what is played.
    """

    url: str = ""
    file: str = ""
    name: str = ""
    type: str = ""
    seconds: float | None = None


class Text(Part, frozen=True, tag="text"):
    """Plain text: no character of it is a mark."""

    text: str


class Markdown(Part, frozen=True, tag="markdown"):
    """Rich text in the Markdown subset of `hub.markdown`."""

    text: str
    title: str = ""
    level: Level = "info"


class Image(Part, frozen=True, tag="image"):
    """`text` says what the picture shows, for who does not see it."""

    media: Media
    text: str = ""


class File(Part, frozen=True, tag="file"):
    media: Media


class Audio(Part, frozen=True, tag="audio"):
    media: Media


class Video(Part, frozen=True, tag="video"):
    media: Media
    title: str = ""
    text: str = ""
    cover: Media | None = None


class Link(Part, frozen=True, tag="link"):
    title: str
    url: str
    text: str = ""
    image: Media | None = None


class Location(Part, frozen=True, tag="location"):
    """In degrees (WGS 84)."""

    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


class Article(Part, frozen=True):
    title: str
    url: str
    text: str = ""
    image: Media | None = None


class Articles(Part, frozen=True, tag="articles"):
    items: tuple[Article, ...]


class Table(Part, frozen=True, tag="table"):
    """Cells are plain text; a row that is too short is filled up with empty ones."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


class Field(Part, frozen=True):
    """A name and a value; `short` ones may stand beside each other."""

    name: str
    value: str
    short: bool = False


class Button(Part, frozen=True):
    """Opens `url`; or, with an `id` instead, tells the app who has pressed it, with `value`.

    `confirm` is asked before.
    """

    text: str
    url: str = ""
    id: str = ""
    value: str = ""
    style: Literal["default", "primary", "danger"] = "default"
    confirm: str = ""


class Option(Part, frozen=True):
    value: str
    text: str


class Input(Part, frozen=True):
    """A field of a form. The app is told its value by `id`."""

    id: str
    label: str
    kind: Literal["text", "lines", "select", "checks", "date"] = "text"
    options: tuple[Option, ...] = ()
    value: str = ""
    hint: str = ""
    required: bool = False


class Form(Part, frozen=True):
    """Inputs, and the button that sends them, which the app is told by `id`."""

    id: str
    inputs: tuple[Input, ...]
    submit: str = "OK"


class Card(Part, frozen=True, tag="card"):
    """`text` is Markdown; `url` is where a click on the card leads."""

    title: str
    text: str = ""
    level: Level = "info"
    image: Media | None = None
    fields: tuple[Field, ...] = ()
    buttons: tuple[Button, ...] = ()
    form: Form | None = None
    url: str = ""
    footer: str = ""


Content = Text | Markdown | Image | File | Audio | Video | Link | Location | Articles | Table | Card
#: The types by their tag.
TYPES: dict[str, type[Part]] = {
    str(each.__struct_config__.tag): each
    for each in (Text, Markdown, Image, File, Audio, Video, Link, Location, Articles, Table, Card)
}


class Mention(Part, frozen=True):
    """Who is told besides: by an id of the platform (`user`), a mobile number, a mail address, or everyone.

    `name` is shown where the platform does not find out.
    """

    user: str = ""
    mobile: str = ""
    email: str = ""
    everyone: bool = False
    name: str = ""


class Message(Part, frozen=True):
    """`thread` is the id of a message of this channel to which it belongs; `mentions` are in no text."""

    content: Content
    mentions: tuple[Mention, ...] = ()
    thread: str = ""


def parse(body: bytes) -> Message:
    """A message of its JSON. Raises Refused with one sentence."""
    message = decoded(body, Message, BYTES_MAX, "message")
    check(message)
    return message


def decoded(body: bytes, type_: type[T], most: int, what: str) -> T:
    """A value of its JSON, of at most so many bytes. Raises Refused with one sentence that names `what` it is."""
    if len(body) > most:
        raise _wrong(f"a {what} has at most {most:,} bytes")
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as error:
        raise _wrong(f"the {what}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _wrong(f"the {what} is not JSON") from None


def encode(message: Message) -> bytes:
    """As it is kept, and as `parse` reads it."""
    return msgspec.json.encode(message)


def check(message: Message) -> None:
    """Raises Refused with one sentence, for what is too long, too many, or contradicts itself."""
    _at_most(len(message.mentions), MENTIONS_MAX, "mentions")
    for mention in message.mentions:
        _one_of(mention, ("user", "mobile", "email", "everyone"), "a mention")
    _check_parts(message)
    content = message.content
    match content:
        case Text() | Markdown():
            _needed(content.text, "text")
        case Articles():
            _at_most(len(content.items), ARTICLES_MAX, "articles", least=1)
        case Location():
            if not (-90 <= content.latitude <= 90 and -180 <= content.longitude <= 180):
                raise _wrong("latitude is between -90 and 90, longitude between -180 and 180")
        case Table():
            _check_table(content)
        case Card():
            _check_card(content)
        case _:
            pass


def _check_table(table: Table) -> None:
    _at_most(len(table.columns), COLUMNS_MAX, "columns", least=1)
    _at_most(len(table.rows), ROWS_MAX, "rows")
    if any(len(row) > len(table.columns) for row in table.rows):
        raise _wrong("a row has no more cells than there are columns")


def _check_card(card: Card) -> None:
    _at_most(len(card.fields), FIELDS_MAX, "fields")
    _at_most(len(card.buttons), BUTTONS_MAX, "buttons")
    for button in card.buttons:
        _needed(button.text, "the text of a button")
        _one_of(button, ("url", "id"), "a button")
    ids = [button.id for button in card.buttons if button.id]
    if card.form is not None:
        _needed(card.form.id, "the id of a form")
        _at_most(len(card.form.inputs), INPUTS_MAX, "inputs", least=1)
        for each in card.form.inputs:
            _needed(each.id, "the id of an input")
            _at_most(len(each.options), OPTIONS_MAX, "options", least=int(each.kind in ("select", "checks")))
        ids += [card.form.id, *(each.id for each in card.form.inputs)]
    if len(ids) != len(set(ids)):
        raise _wrong("the ids of buttons and inputs differ from each other")


#: Texts that may have several lines, but for labels; every other text is one line.
_LONG = {"text", "value", "hint", "address", "confirm"}


def _check_parts(part: Part) -> None:
    """Lengths and addresses of everything within."""
    for name in part.__struct_fields__:
        value: Any = getattr(part, name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Part):
                _check_parts(each)
            elif isinstance(each, tuple):  # a row of a table
                for cell in each:
                    _check_text("text", cell, LINE_MAX, lines=True)
            elif name == "url":
                _check_url(each)
            elif isinstance(each, str):
                lines = name in _LONG and not (name == "text" and isinstance(part, Button | Option))
                _check_text(name, each, TEXT_MAX if lines else LINE_MAX, lines)
    if isinstance(part, Media):
        _one_of(part, ("url", "file"), "what is shown or attached")
        if part.seconds is not None and not 0 <= part.seconds <= SECONDS_MAX:
            raise _wrong("seconds is 0 or more, and less than a day")
    if isinstance(part, Link | Article):
        _needed(part.title, "title")
        _needed(part.url, "url")
    if isinstance(part, Card):
        _needed(part.title, "title")


def _check_text(name: str, text: str, most: int, lines: bool) -> None:
    if len(text) > most:
        raise _wrong(f"{name} has at most {most:,} characters")
    if not lines and text and text.splitlines() != [text]:
        raise _wrong(f"{name} is one line")


def _check_url(url: str) -> None:
    if len(url) > URL_MAX or (url and not URL.fullmatch(url)):
        raise _wrong(
            f"an address begins with http:// or https://, has no white space and at most {URL_MAX:,} characters"
        )


def _at_most(count: int, most: int, what: str, least: int = 0) -> None:
    if not least <= count <= most:
        raise _wrong(f"there are {f'{least} to ' if least else 'at most '}{most} {what}, not {count}")


def _one_of(part: Part, names: tuple[str, ...], what: str) -> None:
    if sum(bool(getattr(part, name)) for name in names) != 1:
        raise _wrong(f"{what} has one of {', '.join(names)}")


def _needed(text: str, what: str) -> None:
    if not text.strip():
        raise _wrong(f"{what} is missing")


def _wrong(sentence: str) -> Refused:
    return Refused(INVALID_VALUE, sentence)
