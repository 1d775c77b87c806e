"""What templates print of values, and their filters: they do what Jinja's do, but what they make ends within a size."""

import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from jinja2.runtime import Undefined

from hongyan.errors import INVALID_VALUE, Refused
from hongyan.hub.content import TEXT_MAX
from hongyan.hub.fitting import cut

#: Characters of a value that is printed, unless its environment says another number, and of one printed as JSON.
VALUE_MAX, JSON_MAX = 2 * TEXT_MAX, 1_048_576

Json = Any


class Raw(str):
    """A text that goes in as it is."""


def text_of(value: Json) -> str:
    """What is printed of a value. Raises Refused."""
    match value:
        case Undefined():
            return str(value)  # which raises, and says what is missing
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value)) if abs(value) < 1e15 else repr(value)
        case list() | tuple():
            return _join(value)
        case dict():
            raise wrong("an object can't be printed, only what is in it")
        case _:
            return str(value)


def _default(value: Json, instead: Json = "") -> Json:
    return instead if isinstance(value, Undefined) or value is None or value == "" else value


def _join(values: Json, separator: str = ", ") -> str:
    texts, length = [], 0
    for each in values:
        texts.append(text_of(each))
        length += len(texts[-1]) + len(str(separator))
        fits(length)  # before the next one is written
    return str(separator).join(texts)


def _truncate(value: Json, length: int = 100) -> str:
    return cut(text_of(value), int(length))


def _round(value: float, digits: int = 0) -> float | int:
    return round(value, max(-15, min(int(digits), 10))) if digits else round(value)


def _date(value: float, form: str = "%Y-%m-%d %H:%M") -> str:
    """Seconds since 1970, in UTC."""
    if len(form) > 60 or not re.fullmatch(r"(%[YmdHMSjyaAbBp%]|[^%])*", form):
        raise wrong(f"`{form[:60]}` is no form of a date")
    try:
        return time.strftime(form, time.gmtime(float(value)))
    except OSError:
        raise wrong("it is no date: a date is a number of seconds since 1970") from None


def _tojson(value: Json) -> Raw:
    """In pieces, as one value may stand in it many times."""
    length, pieces = 0, []
    for piece in json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=text_of).iterencode(value):
        length += len(piece)
        fits(length, JSON_MAX)
        pieces.append(piece)
    return Raw("".join(pieces))


def fits(length: int, most: int = VALUE_MAX) -> None:
    """Raises Refused for a text of so many characters, if they are too many."""
    if length > most:
        raise wrong("a text of the template would become too long")


#: Their names are Jinja's, and they do what Jinja's do, but bounded; `tojson` is for programs, not for HTML.
FILTERS: dict[str, Callable[..., Json]] = {
    "raw": lambda value: Raw(text_of(value)),
    "default": _default,
    "d": _default,
    "upper": lambda value: text_of(value).upper(),
    "lower": lambda value: text_of(value).lower(),
    "capitalize": lambda value: text_of(value).capitalize(),
    "title": lambda value: text_of(value).title(),
    "trim": lambda value: text_of(value).strip(),
    "truncate": _truncate,
    "length": len,
    "count": len,
    "first": lambda values: next(iter(values), None),
    "last": lambda values: values[-1] if values else None,
    "join": _join,
    "sort": lambda values: sorted(values),
    "reverse": lambda values: list(reversed(values)),
    "unique": lambda values: list({text_of(each): each for each in values}.values()),
    "round": _round,
    "int": lambda value: int(float(value)),
    "float": float,
    "abs": abs,
    "sum": sum,
    "min": min,
    "max": max,
    "date": _date,
    "tojson": _tojson,
    "urlencode": lambda value: Raw(quote(text_of(value), safe="")),
}


def wrong(sentence: str) -> Refused:
    """What is wrong with a template, or with what it is filled in with."""
    return Refused(INVALID_VALUE, sentence)
