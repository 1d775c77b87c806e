"""Conversation queries: what `conv/query` asks, parsed into values a store can answer.

Reference sections 6.2 and 6.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hongyan.engine import conditions
from hongyan.engine.conditions import Condition, Either, Every, Key, Predicate, Type, failed

LIMIT_DEFAULT = 10
LIMIT_MAX = 1000
SKIP_MAX = 100_000
SORT_DEFAULT = "-lm,-createdAt"
#: Rows of the class as a table, unless asked otherwise (REST reference 3.13).
ROWS_DEFAULT = 100
SORT_MAX = 8
COMPACT = 0x01
WITH_LAST_MESSAGE = 0x02


_QUICK_OF_CLIENTS = frozenset({"$eq", "$ne", "$in", "$nin", "$all", "$size"})
_QUICK_TERMS = 8


@dataclass(frozen=True, slots=True)
class Query:
    """`sort` is a list of (key, descending); rows without the key come last.

    Without one they come as they were made.
    """

    condition: Condition
    sort: tuple[tuple[Key, bool], ...]
    limit: int = LIMIT_DEFAULT
    skip: int = 0
    compact: bool = False
    with_last_message: bool = False

    @property
    def narrow(self) -> bool:
        """Whether the condition names conversations or members, so that not all conversations need a look."""
        return self.names("objectId", "uniqueId", "m", "mu")

    @property
    def quick(self) -> bool:
        """Whether each row that is looked at costs little: nothing in JSON, no pattern, no order among members."""
        in_json = any(conditions.type_of(key) is Type.JSON for key, _ in self.sort)
        return not in_json and _is_quick(self.condition)

    def names(self, *keys: str) -> bool:
        """Whether the condition says which texts one of the keys must hold."""
        return _names(self.condition, keys)


@dataclass(frozen=True, slots=True)
class TemporaryQuery:
    """Temporary conversations are found by their ids alone."""

    ids: tuple[str, ...]
    compact: bool = False
    with_last_message: bool = False


def by_ids(ids: Sequence[str], *, flag: int = 0) -> TemporaryQuery:
    """A query for temporary conversations. Raises Refused(CONVERSATION_QUERY_FAILED)."""
    if len(ids) > LIMIT_MAX:
        raise failed(f"at most {LIMIT_MAX} temporary conversations at once")
    return TemporaryQuery(tuple(dict.fromkeys(ids)), bool(flag & COMPACT), bool(flag & WITH_LAST_MESSAGE))


def parse(caller: str, where: str, *, sort: str = "", limit: int | None = None, skip: int = 0, flag: int = 0) -> Query:
    """A query from the fields of `conv/query`.

    An empty condition means the caller's own conversations. Raises Refused(CONVERSATION_QUERY_FAILED).
    """
    if skip > SKIP_MAX:
        raise failed(f"at most {SKIP_MAX} conversations can be skipped")
    return Query(
        conditions.parse(where) or Predicate(("m",), "$eq", caller),
        _parse_sort(sort or SORT_DEFAULT),
        limit=LIMIT_DEFAULT if limit is None else max(0, min(limit, LIMIT_MAX)),
        skip=max(0, skip),
        compact=bool(flag & COMPACT),
        with_last_message=bool(flag & WITH_LAST_MESSAGE),
    )


def of_rows(
    where: str, *, only: Condition | None, sort: str, limit: int | None, skip: int, compact: bool = False
) -> Query:
    """A query of the class as a table: a limit that is none falls back to the default.

    An array as `where` means all of its conditions; `only` is a condition besides. Raises
    Refused(CONVERSATION_QUERY_FAILED).
    """
    if skip > SKIP_MAX:
        raise failed(f"at most {SKIP_MAX} conversations can be skipped")
    terms = tuple(term for term in (conditions.parse(where, several=True), only) if term is not None)
    size = limit if limit is not None and 1 <= limit <= LIMIT_MAX else ROWS_DEFAULT
    return Query(terms[0] if len(terms) == 1 else Every(terms), _parse_sort(sort) if sort else (), size, skip, compact)


def _parse_sort(sort: str) -> tuple[tuple[Key, bool], ...]:
    if sort.count(",") >= SORT_MAX:
        raise failed(f"at most {SORT_MAX} keys to sort by")
    return tuple(_parse_order(item.strip()) for item in sort.split(","))


def _parse_order(item: str) -> tuple[Key, bool]:
    text = item.removeprefix("-")
    if text.startswith(("-", "$")):
        raise failed(f"{text[:64]!r} is no key to sort by")
    key = conditions.parse_key(text)
    if conditions.type_of(key) is Type.CLIENTS or key == ("attr",):
        raise failed(f"{text!r} has no order")
    return key, item.startswith("-")


def _names(condition: Condition, keys: tuple[str, ...]) -> bool:
    match condition:
        case Predicate(key, operator, value):
            values = value if operator in ("$in", "$all") else [value] if operator == "$eq" else [None]
            return key[0] in keys and all(isinstance(each, str) for each in values)
        case Every(terms):
            return any(_names(term, keys) for term in terms)
        case Either():
            return False


def _is_quick(condition: Condition) -> bool:
    match condition:
        case Predicate(key, operator, _):
            kind = conditions.type_of(key)
            if kind is Type.CLIENTS:
                return operator in _QUICK_OF_CLIENTS
            return kind is not Type.JSON and operator != "$regex"
        case Every(terms) | Either(terms):
            return len(terms) <= _QUICK_TERMS and all(map(_is_quick, terms))
