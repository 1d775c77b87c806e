"""Conversation queries: the JSON condition of the SDKs, parsed into values a store can answer.

Reference sections 6.2 and 6.3.
"""

from dataclasses import dataclass
from typing import Any

from hongyan import errors
from hongyan.engine import json_text
from hongyan.errors import Refused

LIMIT_DEFAULT = 10
LIMIT_MAX = 1000
SIZE_MAX = 1_000_000
SORT_DEFAULT = "-lm,-createdAt"
COMPACT = 0x01
WITH_LAST_MESSAGE = 0x02

#: Operators answered per field; a bare value means `$eq`.
OPERATORS: dict[str, frozenset[str]] = {
    "objectId": frozenset({"$eq", "$in"}),
    "m": frozenset({"$eq", "$in", "$all", "$size"}),
    "c": frozenset({"$eq"}),
    "name": frozenset({"$eq"}),
    "unique": frozenset({"$eq"}),
    "tr": frozenset({"$eq"}),
    "sys": frozenset({"$eq"}),
}
SORTABLE = frozenset({"lm", "createdAt", "updatedAt", "objectId", "name"})


@dataclass(frozen=True, slots=True)
class Predicate:
    """`field operator value`, for instance `m $all ["tom", "jerry"]`."""

    field: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Query:
    """All predicates must hold. `sort` is a list of (field, descending)."""

    predicates: tuple[Predicate, ...]
    sort: tuple[tuple[str, bool], ...]
    limit: int = LIMIT_DEFAULT
    skip: int = 0
    compact: bool = False
    with_last_message: bool = False


def parse(caller: str, where: str, *, sort: str = "", limit: int | None = None, skip: int = 0, flag: int = 0) -> Query:
    """A query from the fields of `conv/query`.

    An empty condition means the caller's own conversations. Raises Refused(CONVERSATION_QUERY_FAILED).
    """
    predicates = _parse_where(where) or (Predicate("m", "$eq", caller),)
    return Query(
        predicates,
        _parse_sort(sort or SORT_DEFAULT),
        limit=LIMIT_DEFAULT if limit is None else max(0, min(limit, LIMIT_MAX)),
        skip=max(0, skip),
        compact=bool(flag & COMPACT),
        with_last_message=bool(flag & WITH_LAST_MESSAGE),
    )


def _parse_where(where: str) -> tuple[Predicate, ...]:
    if not where:
        return ()
    try:
        condition = json_text.parse(where)
    except ValueError:
        raise _failed("where is not JSON") from None
    if not isinstance(condition, dict):
        raise _failed("where is not an object")
    return tuple(predicate for field, value in condition.items() for predicate in _field_predicates(field, value))


def _field_predicates(field: str, value: Any) -> list[Predicate]:
    if field not in OPERATORS:
        raise _failed(f"conditions on {field[:64]!r} are not supported")
    is_operators = isinstance(value, dict) and any(key.startswith("$") for key in value)
    operators = value if is_operators else {"$eq": value}
    return [_predicate(field, operator, operand) for operator, operand in operators.items()]


def _predicate(field: str, operator: str, operand: Any) -> Predicate:
    if operator not in OPERATORS[field]:
        raise _failed(f"operator {operator[:64]!r} on {field!r} is not supported")
    if not _operand_fits(field, operator, operand):
        raise _failed(f"{operator} on {field!r} has a wrong operand")
    return Predicate(field, operator, operand)


def _operand_fits(field: str, operator: str, operand: Any) -> bool:
    if operator in ("$in", "$all"):
        return (
            isinstance(operand, list) and len(operand) <= LIMIT_MAX and all(isinstance(item, str) for item in operand)
        )
    if operator == "$size":
        return type(operand) is int and 0 <= operand <= SIZE_MAX
    if field in ("unique", "tr", "sys"):
        return isinstance(operand, bool)
    return isinstance(operand, str)


def _parse_sort(sort: str) -> tuple[tuple[str, bool], ...]:
    if sort.count(",") >= len(SORTABLE):
        raise _failed(f"at most {len(SORTABLE)} fields to sort by")
    order = []
    for item in sort.split(","):
        field = item.strip().removeprefix("-")
        if field not in SORTABLE:
            raise _failed(f"sorting by {field[:64]!r} is not supported")
        order.append((field, item.strip().startswith("-")))
    return tuple(order)


def _failed(detail: str) -> Refused:
    return Refused(errors.CONVERSATION_QUERY_FAILED, detail)
