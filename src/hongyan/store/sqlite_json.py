"""What only SQLite says this way: values inside JSON columns, and tests of texts. Another database has its own file.

Paths and values are bound parameters, so nothing a client sends becomes SQL.
"""

import json
import operator
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from hongyan.engine import patterns
from hongyan.engine.conditions import Key, Moment
from hongyan.engine.patterns import Kind, Pattern

Expression = sa.ColumnElement[Any]
Test = sa.ColumnElement[bool]

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "$lt": operator.lt,
    "$lte": operator.le,
    "$gt": operator.gt,
    "$gte": operator.ge,
}
_NUMBER, _BOOL = ("integer", "real"), ("true", "false")
#: A text in JSON may be long; so many of its characters decide an order.
_SORT_PREFIX = 256
#: As in MongoDB; rows without a value come last.
_RANKS = {"text": 2, "object": 3, "array": 4}


def install(connection: Any, is_over: Callable[[], bool]) -> None:
    """Give a reading connection the regex engine. `is_over`: time is up; checked here too, since a call may be long."""

    def search(pattern: bytes, text: bytes) -> bool:
        if is_over():
            connection.interrupt()
            return False
        return patterns.searcher(pattern.decode())(text)

    connection.create_function("hongyan_search", 2, search, deterministic=True)


def text_matches(text: Expression, pattern: Pattern) -> Test:
    """Whether a text, which must be one, has a match."""
    if pattern.kind is Kind.REGEX:
        # As bytes: the driver ends a text at its first NUL.
        return sa.func.hongyan_search(pattern.text.encode(), sa.cast(text, sa.LargeBinary)) == sa.true()
    wanted = pattern.text.lower() if pattern.fold else pattern.text
    searched = sa.func.lower(text) if pattern.fold else text
    if pattern.kind is Kind.EQUAL:
        return searched == wanted
    if not wanted:
        return searched.is_not(None)
    if pattern.kind is Kind.SUFFIX:
        end = wanted.encode()  # counted in bytes: a NUL ends what SQLite counts as characters
        return sa.func.substr(sa.cast(searched, sa.LargeBinary), -len(end)) == end
    place = sa.func.instr(searched, wanted)
    return place == 1 if pattern.kind is Kind.PREFIX else place > 0


class JsonValue:
    """The value at a key of a JSON column. An array also matches by each of its elements, as in MongoDB."""

    def __init__(self, document: Expression, key: Key) -> None:
        self._root = _Node(document, "$" + "".join(_step(part) for part in key))

    def equals(self, value: Any) -> Test:
        if value is None:
            return sa.or_(self._root.type.is_(None), self._any(lambda node: node.equals(None)))
        if isinstance(value, list):
            return sa.or_(self._root.equals(value), self._any(lambda node: node.equals(value)))
        return self._any(lambda node: node.equals(value))

    def any_of(self, values: Sequence[Any]) -> Test:
        texts = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        tests = [self.equals(value) for value in values if isinstance(value, dict | list | bool | Moment | None)]
        if texts:
            tests.append(self._any(lambda node: sa.and_(node.type == "text", node.value.in_(texts))))
        if numbers:
            tests.append(self._any(lambda node: sa.and_(node.type.in_(_NUMBER), node.value.in_(numbers))))
        return sa.or_(sa.false(), *tests)

    def all_of(self, values: Sequence[Any]) -> Test:
        return sa.and_(sa.true(), *map(self.equals, values)) if values else sa.false()

    def compares(self, operation: str, value: Any) -> Test:
        return self._any(lambda node: node.compares(COMPARE[operation], value))

    def matches(self, pattern: Pattern) -> Test:
        return self._any(lambda node: _only_if(node.type == "text", text_matches(node.value, pattern)))

    def has_size(self, size: int) -> Test:
        return sa.and_(self._root.type == "array", self._root.length() == size)

    def exists(self) -> Test:
        return self._root.type.is_not(None)

    def order(self) -> list[Expression]:
        node = self._root
        is_date = sa.and_(node.type == "object", node.instant().is_not(None))
        rank = sa.case(
            (node.type.in_(_NUMBER), 1),
            (is_date, 6),
            (node.type.in_(_BOOL), 5),
            *((node.type == name, number) for name, number in _RANKS.items()),
        )
        value = sa.case(
            (node.type.in_((*_NUMBER, *_BOOL)), node.value),
            (node.type == "text", sa.func.substr(node.value, 1, _SORT_PREFIX)),
            (node.type == "object", node.instant()),
        )
        return [rank, value]

    def _any(self, test: Callable[["_Node"], Test]) -> Test:
        """The test of the value or, in an array, of any element."""
        each = self._root.elements()
        element = _Node(each.c.value, "$", type_=each.c.type, value=each.c.value)
        some = sa.exists(sa.select(sa.literal(1)).select_from(each).where(test(element)))
        return sa.case((self._root.type == "array", some), else_=test(self._root))


class _Node:
    """One value: SQLite's name of its type, NULL where there is none, and its SQL value."""

    def __init__(
        self, document: Expression, path: str, type_: Expression | None = None, value: Expression | None = None
    ) -> None:
        self._document = document
        self._path = path
        self.type = sa.func.json_type(document, path) if type_ is None else type_
        self.value = sa.func.json_extract(document, path) if value is None else value

    def equals(self, value: Any) -> Test:
        """Exactly this value; numbers by value, objects whatever the order of their keys."""
        match value:
            case None:
                return self.type == "null"
            case bool():
                return self.type == ("true" if value else "false")
            case int() | float():
                return sa.and_(self.type.in_(_NUMBER), self.value == value)
            case str():
                return sa.and_(self.type == "text", self.value == value)
            case Moment():
                return self._is_date(lambda instant: instant == value.at)
            case dict():
                parts = [self._child(_step(name)).equals(part) for name, part in value.items()]
                return _only_if(self.type == "object", sa.and_(self._count() == len(value), *parts))
            case _:
                parts = [self._child(f"[{place}]").equals(part) for place, part in enumerate(value)]
                return _only_if(self.type == "array", sa.and_(self.length() == len(value), *parts))

    def compares(self, compare: Callable[[Any, Any], Any], value: Any) -> Test:
        if isinstance(value, Moment):
            return self._is_date(lambda instant: compare(instant, value.at))
        types = _BOOL if isinstance(value, bool) else _NUMBER if isinstance(value, int | float) else ("text",)
        return sa.and_(self.type.in_(types), compare(self.value, int(value) if isinstance(value, bool) else value))

    def instant(self) -> Expression:
        """The time of a Date in ms, NULL for what is none."""
        iso = self._child(_step("iso"))
        is_date = sa.and_(
            self._child(_step("__type")).value == "Date",
            iso.type == "text",
            iso.value.op("GLOB")("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"),
        )
        return sa.case((is_date, sa.cast(sa.func.round(sa.func.unixepoch(iso.value, "subsec") * 1000), sa.BigInteger)))

    def length(self) -> Expression:
        return sa.func.json_array_length(self._document, self._path)

    def elements(self) -> sa.TableValuedAlias:
        return sa.func.json_each(self._document, self._path).table_valued("type", "value")

    def _is_date(self, test: Callable[[Expression], Test]) -> Test:
        return _only_if(self.type == "object", test(self.instant()))

    def _count(self) -> Expression:
        return sa.select(sa.func.count()).select_from(self.elements()).scalar_subquery()

    def _child(self, step: str) -> "_Node":
        return _Node(self._document, self._path + step)


def _step(name: str) -> str:
    """A step of a path: a label in JSON's quotes is taken literally, whatever stands in it."""
    return f".{json.dumps(name)}"


def _only_if(condition: Test, test: Test) -> Test:
    """The test where the condition holds, else false. Unlike AND it never evaluates the test of something else."""
    return sa.case((condition, test), else_=sa.false())
