"""Objects of the storage service: what a write makes of one, and what is asked for (REST reference 3.13).

Users and installations are such objects. Keys hold JSON; typed values (`{"__type": …}`) are kept as they are.
"""

import json
import re
from collections.abc import Container, Mapping
from typing import Any

from hongyan import errors
from hongyan.engine import attributes, conditions, json_text, patterns, query
from hongyan.engine.conditions import Condition, Either, Every, Predicate
from hongyan.engine.query import LIMIT_MAX, SKIP_MAX, Query
from hongyan.errors import Refused

#: Bytes of one object as JSON. The original takes 16 MB, of which nothing here is meant to make use.
SIZE_MAX = 131_072
LIMIT_DEFAULT = 100
#: What only the server sets. SDKs send some of them along with the rest of an object: these are passed over.
READ_ONLY = frozenset({"objectId", "createdAt", "updatedAt"})
_PASSED_OVER = frozenset({"__type", "className"})
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY_MAX = 128
_ALL = Every(())


def changed(before: dict[str, Any], given: Mapping[str, Any], read_only: Container[str] = ()) -> dict[str, Any]:
    """The values after a write of values and operators (`__op`). Takes `before` over.

    Raises Refused: READ_ONLY_KEY, INVALID_VALUE, OBJECT_TOO_LARGE.
    """
    for key in given:
        top = key.partition(".")[0]
        if top in READ_ONLY or top in read_only:
            raise Refused(errors.READ_ONLY_KEY, f"{top} can't be written")
    given = {key: value for key, value in given.items() if key not in _PASSED_OVER}
    try:
        items = [attributes.Change(_path(key), attributes.operator(value)) for key, value in given.items()]
        attributes.make(before, items)
        json_text.check_nesting(before)
        size = len(json.dumps(before, ensure_ascii=False, allow_nan=False).encode())
    except Refused as refusal:
        raise Refused(errors.INVALID_VALUE, refusal.detail) from None
    except ValueError:
        raise Refused(errors.INVALID_VALUE, "nested too deeply, or a number that is too large") from None
    if size > SIZE_MAX:
        raise Refused(errors.OBJECT_TOO_LARGE, f"an object has at most {SIZE_MAX} bytes")
    return before


def parse_query(where: str, order: str, limit: int | None, skip: int | None) -> Query:
    """What a query asks for: a limit over 1,000 is as good as none, 0 asks for no objects.

    Raises Refused(INVALID_QUERY).
    """
    if skip is not None and skip > SKIP_MAX:
        raise Refused(errors.INVALID_QUERY, f"at most {SKIP_MAX} objects can be skipped")
    try:
        condition = conditions.parse(where) or _ALL
        sort = query.parse("", "", sort=order).sort if order else ((("createdAt",), True),)
    except Refused as refusal:
        raise Refused(errors.INVALID_QUERY, refusal.detail) from None
    size = limit if limit is not None and 0 <= limit <= LIMIT_MAX else LIMIT_DEFAULT
    return Query(condition, sort, limit=size, skip=skip or 0)


def parse_condition(where: str) -> Condition | None:
    """The condition of a write. Raises Refused(INVALID_QUERY)."""
    try:
        condition = conditions.parse(where)
    except Refused as refusal:
        raise Refused(errors.INVALID_QUERY, refusal.detail) from None
    if condition is not None and _has_regex(condition):
        raise Refused(errors.INVALID_QUERY, "a write has no patterns in its condition")
    return condition


def text_of(values: Mapping[str, Any], key: str, most: int) -> str | None:
    """A text that may be absent. Raises Refused(INVALID_VALUE)."""
    given = values.get(key)
    if given is None:
        return None
    if not isinstance(given, str) or not 1 <= len(given) <= most or "\0" in given:
        raise Refused(errors.INVALID_VALUE, f"{key} must be a string of 1 to {most} characters")
    return given


def _path(key: str) -> tuple[str, ...]:
    path = tuple(key.split("."))
    if len(key) > _KEY_MAX or not all(path) or not _KEY.fullmatch(path[0]) or path[0].startswith("__"):
        raise Refused(errors.INVALID_VALUE, f"{key[:64]!r} can't be a key")
    if "__proto__" in path or "constructor" in path[:-1]:
        raise Refused(errors.INVALID_VALUE, f"{key[:64]!r} can't be a key")
    return path


def _has_regex(condition: Condition) -> bool:
    match condition:
        case Every(terms) | Either(terms):
            return any(map(_has_regex, terms))
        case Predicate(_, operator, value):
            return operator == "$regex" and value.kind is patterns.Kind.REGEX
