"""Values as LeanCloud's JSON Lines have them, made of what other exports have: BSON and its renderings as JSON.

Dates of rows are texts, all others `{"__type": "Date", "iso": …}`; ids are texts, references pointers.
"""

import base64
import math
import re
from datetime import UTC, datetime
from typing import Any

from bson import DBRef, Decimal128, ObjectId
from bson.datetime_ms import DatetimeMS

from hongyan.engine.values import iso_time

#: The years 0001 to 9999, which a text can say.
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
#: Integers that are kept exactly are below this, up or down.
_INTEGERS = 1 << 63
_DIGITS = 20
_NUMBER = re.compile(r"-?\d+(\.\d*)?([eE][-+]?\d+)?")


class Mistake(Exception):
    """Why a row, or a part of it, can't be brought in: part of a sentence."""


def plain(value: Any) -> Any:
    """A value that is JSON, with the wrappers of LeanCloud for types."""
    if isinstance(value, dict):
        if value and next(iter(value)).startswith("$"):
            return _of_wrapper(value)
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return value if _is_unicode(value) else value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):  # one of BSON's own types, too
        return int(value) if -_INTEGERS <= value < _INTEGERS else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _of_bson(value)


def _of_bson(value: Any) -> Any:
    match value:
        case ObjectId():
            return str(value)
        case DatetimeMS():
            return date(int(value))
        case Decimal128():
            return float(value.to_decimal())
        case bytes():
            return {"__type": "Bytes", "base64": base64.b64encode(value).decode()}
        case DBRef():
            return {"__type": "Pointer", "className": value.collection, "objectId": str(value.id)}
    return str(value)


def _of_wrapper(value: dict[str, Any]) -> Any:
    """What MongoDB's tools write for types that JSON lacks; an object that is none of these stays as it is."""
    match value:
        case {"$oid": str(text)}:
            return text
        case {"$date": given}:
            return date(_milliseconds(given))
        case {"$numberLong": str(text)} | {"$numberInt": str(text)} if re.fullmatch(r"-?\d+", text):
            return int(text)
        case {"$numberDouble": str(text)} | {"$numberDecimal": str(text)}:
            return float(text) if _NUMBER.fullmatch(text) else None
        case {"$binary": {"base64": str(text)}} | {"$binary": str(text)}:
            return {"__type": "Bytes", "base64": text}
        case {"$ref": str(name), "$id": target}:
            return {"__type": "Pointer", "className": name, "objectId": plain(target)}
    return {key: plain(each) for key, each in value.items()}


def date(milliseconds: int) -> dict[str, str]:
    """A time (ms) as a value; what a text can't say becomes the nearest that it can."""
    return {"__type": "Date", "iso": iso_time(min(max(milliseconds, _FIRST), _LAST))}


def _milliseconds(given: Any) -> int:
    given = plain(given)
    if isinstance(given, int | float):
        return int(given)
    return moment(given)


def moment(given: Any) -> int:
    """The time that a date of any form says (ms). Raises Mistake."""
    given = plain(given)
    if isinstance(given, dict):
        given = given.get("iso")
    at = given if isinstance(given, int | float) and not isinstance(given, bool) else _parsed(given)
    if not _FIRST <= at <= _LAST:
        raise Mistake(f"{given!r} is no date")
    return int(at)


def _parsed(given: Any) -> int:
    try:
        parsed = datetime.fromisoformat(given)
        at = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return round(at.timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        raise Mistake(f"{given!r} is no date") from None


def text(given: Any, what: str, most: int = 64) -> str:
    """An id. Raises Mistake."""
    given = given if isinstance(given, str) else plain(given)
    if not isinstance(given, str) or not 1 <= len(given) <= most:
        raise Mistake(f"{what} is not a text of 1 to {most} characters")
    if not _is_unicode(given):
        raise Mistake(f"{what} is not UTF-8")
    return given


def _is_unicode(given: str) -> bool:
    """Whether there are no bytes in it that are not UTF-8, and no halves of characters."""
    return given.isascii() or not any("\ud800" <= each <= "\udfff" for each in given)


def number(given: Any, what: str) -> int:
    """A whole number, also as a text or with a fraction, which is dropped. Raises Mistake."""
    given = plain(given)
    if isinstance(given, dict):
        return moment(given)
    if isinstance(given, str) and _NUMBER.fullmatch(given):
        given = float(given) if "." in given or "e" in given.lower() else int(given[:_DIGITS])
    if isinstance(given, int | float) and not isinstance(given, bool) and abs(given) < _INTEGERS:
        return int(given)
    raise Mistake(f"{what} is not a number")


def target(given: Any, what: str) -> str:
    """The id that a pointer, or a text, names. Raises Mistake."""
    given = plain(given)
    return text(given.get("objectId") if isinstance(given, dict) else given, what)
