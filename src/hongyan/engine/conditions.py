"""The `where` of a conversation query: parsed, checked and bounded, for a store to answer (reference 6.3)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any

from hongyan import errors
from hongyan.engine import json_text, patterns
from hongyan.errors import Refused

KEY_MAX = 256
KEY_PARTS_MAX = 16
LIST_MAX = 1_000
NESTING_MAX = 16
SIZE_MAX = 1_000_000
#: Comparisons in one condition, each part of a compared object or array among them.
TERMS_MAX = 100
#: Patterns for the regex engine in one condition.
REGEXES_MAX = 8
#: Characters of all patterns of one condition together: taking one apart takes about 2 µs for each.
PATTERNS_LENGTH_MAX = 4_000

#: The parts of a dotted key: `attr.color` is `("attr", "color")`.
Key = tuple[str, ...]


class Type(Enum):
    """What a key holds."""

    TEXT = auto()
    DATE = auto()
    NUMBER = auto()
    FLAG = auto()
    """`false` is as good as absent: rows show only `true`."""
    CLIENTS = auto()
    JSON = auto()


#: Every other key is a custom column.
TYPES = {
    "objectId": Type.TEXT,
    "c": Type.TEXT,
    "name": Type.TEXT,
    "uniqueId": Type.TEXT,
    "lm": Type.DATE,
    "createdAt": Type.DATE,
    "updatedAt": Type.DATE,
    "conv_type": Type.NUMBER,
    "tr": Type.FLAG,
    "sys": Type.FLAG,
    "unique": Type.FLAG,
    "m": Type.CLIENTS,
    "mu": Type.CLIENTS,
    "attr": Type.JSON,
}
#: Rows show these times as text, so text is compared with them as well.
_ISO_TEXTS = frozenset({"createdAt", "updatedAt"})


@dataclass(frozen=True, slots=True)
class Moment:
    """A Date in a condition, in ms since the Unix epoch."""

    at: int


@dataclass(frozen=True, slots=True)
class Predicate:
    """`key operator value`, for instance `m $all ["tom", "jerry"]`. A value's Dates are Moments."""

    key: Key
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Every:
    """All terms hold."""

    terms: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one term holds."""

    terms: tuple["Condition", ...]


Condition = Predicate | Every | Either


def type_of(key: Key) -> Type:
    return TYPES.get(key[0], Type.JSON)


def parse(where: str, *, several: bool = False) -> Condition | None:
    """The condition of a `where`; None for an empty one. Raises Refused(CONVERSATION_QUERY_FAILED).

    `several`: it may be an array of conditions, which all must hold (REST reference 3.13).
    """
    if not where:
        return None
    try:
        given = json_text.parse(where)
    except ValueError:
        raise failed("where is not JSON") from None
    if several and isinstance(given, list):
        given = {"$and": given} if given else {}
    if not isinstance(given, dict):
        raise failed("where is not an object")
    return _Parser().condition(given) if given else None


def parse_key(text: str) -> Key:
    """The parts of a key. Raises Refused(CONVERSATION_QUERY_FAILED)."""
    parts = tuple(text.split("."))
    if len(text) > KEY_MAX or len(parts) > KEY_PARTS_MAX:
        raise failed(f"a key has at most {KEY_MAX} characters in {KEY_PARTS_MAX} parts")
    if not all(parts):
        raise failed(f"the key {text[:64]!r} has an empty part")
    if len(parts) > 1 and type_of(parts) is not Type.JSON:
        raise failed(f"{parts[0]!r} has no parts")
    return parts


def failed(detail: str) -> Refused:
    return Refused(errors.CONVERSATION_QUERY_FAILED, detail)


class _Parser:
    """Counts what one condition asks for."""

    def __init__(self) -> None:
        self._terms_left = TERMS_MAX
        self._regexes_left = REGEXES_MAX
        self._pattern_length_left = PATTERNS_LENGTH_MAX

    def condition(self, given: Mapping[str, Any], depth: int = 0) -> Condition:
        if depth > NESTING_MAX:
            raise failed(f"conditions are nested at most {NESTING_MAX} deep")
        terms: list[Condition] = []
        for key, value in given.items():
            if key in ("$and", "$or"):
                terms.append(self._combined(key, value, depth))
            else:
                terms += self._predicates(key, value)
        return terms[0] if len(terms) == 1 else Every(tuple(terms))

    def _combined(self, operator: str, given: Any, depth: int) -> Condition:
        if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
            raise failed(f"{operator} needs a list of conditions")
        self._count(len(given))
        terms = tuple(self.condition(each, depth + 1) for each in given)
        return Every(terms) if operator == "$and" else Either(terms)

    def _predicates(self, text: str, value: Any) -> list[Predicate]:
        if text.startswith("$"):
            raise failed(f"operator {text[:64]!r} is not supported")
        key = parse_key(text)
        operators = _operators(value)
        if "$regex" in operators:
            operators["$regex"] = (operators["$regex"], operators.pop("$options", ""))
        return [self._predicate(key, operator, operand) for operator, operand in operators.items()]

    def _predicate(self, key: Key, operator: str, operand: Any) -> Predicate:
        read = OPERANDS.get(operator)
        if read is None:
            raise failed(f"operator {operator[:64]!r} is not supported")
        self._count(1)
        return Predicate(key, operator, read(self, key, operator, operand))

    def _count(self, terms: int) -> None:
        self._terms_left -= terms
        if self._terms_left < 0:
            raise failed(f"a condition has at most {TERMS_MAX} terms")

    # operands

    def _compared(self, key: Key, operator: str, operand: Any) -> Any:
        return self._value(key, operand)

    def _ordered(self, key: Key, operator: str, operand: Any) -> Any:
        value = self._value(key, operand)
        if not isinstance(value, str | int | float | Moment):
            raise failed(f"{operator} needs a string, number, boolean or Date")
        return value

    def _list(self, key: Key, operator: str, operand: Any) -> tuple[Any, ...]:
        if not isinstance(operand, list) or len(operand) > LIST_MAX:
            raise failed(f"{operator} needs a list of at most {LIST_MAX} values")
        if operator == "$all" and type_of(key) is not Type.CLIENTS:
            self._count(len(operand))
        return tuple(self._value(key, item) for item in operand)

    def _size(self, key: Key, operator: str, operand: Any) -> int:
        if type(operand) is not int or not 0 <= operand <= SIZE_MAX:
            raise failed(f"{operator} needs a number from 0 to {SIZE_MAX}")
        return operand

    def _bool(self, key: Key, operator: str, operand: Any) -> bool:
        if not isinstance(operand, bool):
            raise failed(f"{operator} needs true or false")
        return operand

    def _pattern(self, key: Key, operator: str, operand: tuple[Any, Any]) -> patterns.Pattern:
        source, options = operand
        if not isinstance(source, str) or not isinstance(options, str):
            raise failed("$regex and $options need strings")
        self._pattern_length_left -= len(source)
        if self._pattern_length_left < 0:
            raise failed(f"the patterns of a condition have at most {PATTERNS_LENGTH_MAX} characters together")
        try:
            pattern = patterns.parse(source, options)
        except ValueError as error:
            raise failed(f"$regex is not supported: {error}") from None
        if pattern.kind is patterns.Kind.REGEX:
            self._regexes_left -= 1
        if self._regexes_left < 0:
            raise failed(f"a condition has at most {REGEXES_MAX} patterns")
        return pattern

    def _value(self, key: Key, given: Any) -> Any:
        if isinstance(given, str) and key[0] in _ISO_TEXTS:
            return _moment(given)
        if isinstance(given, list):
            self._count(1 + len(given))
            return [self._value(key, item) for item in given]
        if isinstance(given, dict):
            return self._object(key, given)
        return _number(given) if type(given) is int else given

    def _object(self, key: Key, given: Mapping[str, Any]) -> Any:
        if any(name.startswith("$") for name in given):
            raise failed("an operator stands inside a value")
        if given.get("__type") == "Date":
            self._count(1)
            return _moment(given.get("iso"))
        self._count(1 + len(given))
        return {name: self._value(key, item) for name, item in given.items()}


OPERANDS = {
    "$eq": _Parser._compared,
    "$ne": _Parser._compared,
    "$lt": _Parser._ordered,
    "$lte": _Parser._ordered,
    "$gt": _Parser._ordered,
    "$gte": _Parser._ordered,
    "$in": _Parser._list,
    "$nin": _Parser._list,
    "$all": _Parser._list,
    "$size": _Parser._size,
    "$exists": _Parser._bool,
    "$regex": _Parser._pattern,
}


def _operators(value: Any) -> dict[str, Any]:
    """The operators of one key; a bare value means `$eq`."""
    if not isinstance(value, dict) or not any(name.startswith("$") for name in value):
        return {"$eq": value}
    if not all(name.startswith("$") for name in value):
        raise failed("operators and other keys stand together")
    return dict(value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def _moment(iso: Any) -> Moment:
    """The moment of an ISO 8601 text, which is in UTC if it says nothing else."""
    try:
        moment = datetime.fromisoformat(iso)
    except (TypeError, ValueError):
        raise failed("a date is not in ISO 8601") from None
    if moment.utcoffset() is None:
        moment = moment.replace(tzinfo=UTC)
    return Moment((moment - _EPOCH) // _MILLISECOND)


def _number(given: int) -> int | float:
    """Whole numbers of more than 64 bits are kept as JSON has them everywhere else: as floating point."""
    if -(2**63) <= given < 2**63:
        return given
    try:
        number = float(given)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise failed("a number is too large")
    return number
