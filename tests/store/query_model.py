"""Conversation queries answered the simple way: every row is looked at, in Python."""

import functools
import operator
import re
from datetime import datetime
from typing import Any

Row = dict[str, Any]

ABSENT = object()
_COMPARE = {"$lt": operator.lt, "$lte": operator.le, "$gt": operator.gt, "$gte": operator.ge}
_FLAGS = ("tr", "sys", "unique")
_CLIENTS = ("m", "mu")


def meets(row: Row, where: dict[str, Any]) -> bool:
    """Whether the row, as `results.data` shows it to the caller, meets the condition."""
    return all(_meets_key(row, key, value) for key, value in where.items())


def in_order(rows: list[Row], sort: list[tuple[str, bool]]) -> list[Row]:
    """Sorted by the keys, each with whether it descends; then the rows made last come first."""

    def compare(one: Row, other: Row) -> int:
        for key, descending in sort:
            a, b = (_rank(_value(row, key), key) for row in (one, other))
            if a != b:
                if a is None or b is None:
                    return 1 if a is None else -1
                return -1 if (a < b) != descending else 1
        return 0

    return sorted(reversed(rows), key=functools.cmp_to_key(compare))


def _meets_key(row: Row, key: str, given: Any) -> bool:
    if key == "$and":
        return all(meets(row, each) for each in given)
    if key == "$or":
        return any(meets(row, each) for each in given)
    value = _value(row, key)
    if not isinstance(given, dict) or not any(name.startswith("$") for name in given):
        given = {"$eq": given}
    options = given.get("$options", "")
    return all(_holds(key, value, name, operand, options) for name, operand in given.items() if name != "$options")


def _value(row: Row, key: str) -> Any:
    value: Any = row
    for part in key.split("."):
        value = value.get(part, ABSENT) if isinstance(value, dict) else ABSENT
    return False if value is ABSENT and key in _FLAGS else value


def _holds(key: str, value: Any, name: str, operand: Any, options: str) -> bool:
    match name:
        case "$eq":
            return _equals(key, value, operand)
        case "$ne":
            return not _equals(key, value, operand)
        case "$in":
            return any(_equals(key, value, item) for item in operand)
        case "$nin":
            return not any(_equals(key, value, item) for item in operand)
        case "$all":
            return bool(operand) and all(_equals(key, value, item) for item in operand)
        case "$size":
            return isinstance(value, list) and len(value) == operand
        case "$exists":
            return (value is not ABSENT and not (key in _FLAGS and value is False)) == operand
        case "$regex":
            flags = functools.reduce(operator.or_, (getattr(re, letter.upper()) for letter in options), re.NOFLAG)
            if "m" not in options:  # Python's $ would pass over a newline
                operand = re.sub(r"(?<!\\)\$", r"\\Z", operand)
            texts = [text for kind, text in (_plain(item, key) for item in _candidates(value)) if kind == "text"]
            return any(re.search(operand, text, flags) for text in texts)
        case _:
            return any(_compares(_COMPARE[name], key, item, operand) for item in _candidates(value))


def _equals(key: str, value: Any, operand: Any) -> bool:
    if operand is None and (value is ABSENT or (key in _FLAGS and value is False)):
        return True
    if key in _CLIENTS and isinstance(operand, list) and all(isinstance(item, str) for item in operand):
        return sorted(value) == sorted(operand)
    wanted = _plain(operand, key)
    return any(_plain(item, key) == wanted for item in [value, *_candidates(value)] if item is not ABSENT)


def _compares(compare: Any, key: str, item: Any, operand: Any) -> bool:
    a, b = _plain(item, key), _plain(operand, key)
    return a[0] == b[0] and a[0] in ("bool", "number", "text", "date") and bool(compare(a[1], b[1]))


def _candidates(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any, key: str = "") -> tuple[str, Any]:
    """(type, value), of which equal ones are equal."""
    match value:
        case None:
            return "null", None
        case bool():
            return "bool", value
        case int() | float():
            return "number", value
        case str() if key in ("createdAt", "updatedAt"):
            return "date", datetime.fromisoformat(value)
        case str():
            return "text", value
        case list():
            return "array", [_plain(item) for item in value]
        case {"__type": "Date", "iso": str(iso)}:
            return "date", datetime.fromisoformat(iso)
        case dict():
            return "object", {name: _plain(item) for name, item in value.items()}
        case _:
            return "absent", None


def _rank(value: Any, key: str) -> tuple[int, Any] | None:
    kind, plain = _plain(value, key)
    place = ["number", "text", "object", "array", "bool", "date"]
    if kind not in place:
        return None
    return place.index(kind), 0 if kind in ("object", "array") else plain
