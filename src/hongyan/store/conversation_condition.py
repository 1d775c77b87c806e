"""The condition of a conversation query in SQL (reference 6.3)."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from hongyan.engine.conditions import TYPES, Condition, Either, Every, Key, Moment, Predicate, Type
from hongyan.engine.patterns import Pattern
from hongyan.engine.values import ConversationKind
from hongyan.store import schema
from hongyan.store.sqlite_json import COMPARE, Expression, JsonValue, Test, text_matches

_conversation, _member = schema.conversation, schema.member

#: Who subscribes to a service conversation is nobody's business: to a condition it is as if there were nobody.
_SHOWS_MEMBERS = _conversation.c.kind != int(ConversationKind.SERVICE)

_COLUMNS: dict[str, sa.Column[Any]] = {
    "objectId": _conversation.c.id,
    "c": _conversation.c.creator,
    "name": _conversation.c.name,
    "uniqueId": _conversation.c.unique_id,
    "lm": _conversation.c.last_message_at,
    "createdAt": _conversation.c.created_at,
    "updatedAt": _conversation.c.updated_at,
    "conv_type": _conversation.c.kind,
}
_FLAGS: dict[str, Test] = {
    "tr": _conversation.c.kind == int(ConversationKind.CHATROOM),
    "sys": _conversation.c.kind == int(ConversationKind.SERVICE),
    "unique": _conversation.c.unique_id.is_not(None),
}


class Source(Protocol):
    """What a key holds, as the operators need it. Tests may be NULL where they don't hold."""

    def equals(self, value: Any) -> Test: ...
    def any_of(self, values: Sequence[Any]) -> Test: ...
    def all_of(self, values: Sequence[Any]) -> Test: ...
    def compares(self, operation: str, value: Any) -> Test: ...
    def matches(self, pattern: Pattern) -> Test: ...
    def has_size(self, size: int) -> Test: ...
    def exists(self) -> Test: ...


def where(condition: Condition, app_key: int, caller: str | None) -> Test:
    """The test of a row of `conversation`, which may be NULL where it doesn't hold.

    Of `mu` the caller sees itself alone, and the application, None, everybody.
    """
    return holds(condition, lambda key: _source(key, app_key, caller))


def holds(condition: Condition, source: Callable[[Key], Source]) -> Test:
    """The test of a row of any table, of whose keys `source` tells."""
    match condition:
        case Every(terms):
            return sa.and_(sa.true(), *(holds(term, source) for term in terms))
        case Either(terms):
            return sa.or_(sa.false(), *(holds(term, source) for term in terms))
        case Predicate(key, operator, value):
            return _test(source(key), operator, value)


def order(key: Key, descending: bool) -> list[Expression]:
    """What to sort by. Rows without the key come last."""
    source = _scalar(key)
    terms: list[Expression] = [term.desc() if descending else term.asc() for term in source.order()]
    if isinstance(source, Column) and source.never_absent:
        return terms  # so that an index gives the order
    return [sa.nulls_last(term) for term in terms]


def _test(source: Source, operator: str, value: Any) -> Test:
    match operator:
        case "$eq":
            return source.equals(value)
        case "$ne":
            return _not(source.equals(value))
        case "$in":
            return source.any_of(value)
        case "$nin":
            return _not(source.any_of(value))
        case "$all":
            return source.all_of(value)
        case "$size":
            return source.has_size(value)
        case "$exists":
            return source.exists() if value else _not(source.exists())
        case "$regex":
            return source.matches(value)
        case _:
            return source.compares(operator, value)


def _not(test: Test) -> Test:
    """NULL is no match, so its opposite is one."""
    return sa.func.coalesce(test, sa.false()) == sa.false()


def _source(key: Key, app_key: int, caller: str | None) -> Source:
    if key == ("m",):
        return _Members(app_key)
    if key == ("mu",):
        return _MutedBy(app_key, caller)
    return _scalar(key)


def _scalar(key: Key) -> "Column | _Flag | JsonValue":
    name = key[0]
    if name in _FLAGS:
        return _Flag(_FLAGS[name])
    if name in _COLUMNS:
        return Column(_COLUMNS[name], TYPES[name])
    if name == "attr":
        return JsonValue(_conversation.c.attr, key[1:])
    return JsonValue(_conversation.c.columns, key)


class Column:
    """A column of the table. What is of another type does not match."""

    def __init__(self, column: sa.Column[Any], kind: Type) -> None:
        self._column = column
        self._kind = kind

    def equals(self, value: Any) -> Test:
        return self.any_of([value])

    def any_of(self, values: Sequence[Any]) -> Test:
        fitting = [self._bound(value) for value in values if self._fits(value)]
        absent = self._column.is_(None) if any(value is None for value in values) else sa.false()
        return sa.or_(absent, self._column.in_(fitting) if fitting else sa.false())

    def all_of(self, values: Sequence[Any]) -> Test:
        return sa.and_(sa.true(), *map(self.equals, values)) if values else sa.false()

    def compares(self, operation: str, value: Any) -> Test:
        return COMPARE[operation](self._column, self._bound(value)) if self._fits(value) else sa.false()

    def matches(self, pattern: Pattern) -> Test:
        if self._kind is not Type.TEXT:
            return sa.false()
        return sa.and_(self._column.is_not(None), text_matches(self._column, pattern))

    def has_size(self, size: int) -> Test:
        return sa.false()

    def exists(self) -> Test:
        return self._column.is_not(None)

    def order(self) -> list[Expression]:
        return [self._column]

    @property
    def never_absent(self) -> bool:
        return not self._column.nullable

    def _fits(self, value: Any) -> bool:
        match self._kind:
            case Type.TEXT:
                return isinstance(value, str)
            case Type.DATE:
                return isinstance(value, Moment)
            case _:
                return isinstance(value, int | float) and not isinstance(value, bool)

    def _bound(self, value: Any) -> Any:
        """As it is: a float for a whole-number column is not to be rounded."""
        return sa.literal(value.at if isinstance(value, Moment) else value, sa.types.NULLTYPE)


class _Flag:
    """True or false, and absent when false."""

    def __init__(self, flag: Test) -> None:
        self._flag = flag

    def equals(self, value: Any) -> Test:
        if value is True:
            return self._flag
        return sa.not_(self._flag) if value is False or value is None else sa.false()

    def any_of(self, values: Sequence[Any]) -> Test:
        return sa.or_(sa.false(), *map(self.equals, values))

    def all_of(self, values: Sequence[Any]) -> Test:
        return sa.and_(sa.true(), *map(self.equals, values)) if values else sa.false()

    def compares(self, operation: str, value: Any) -> Test:
        if not isinstance(value, bool):
            return sa.false()
        return self.any_of([flag for flag in (False, True) if COMPARE[operation](flag, value)])

    def matches(self, pattern: Pattern) -> Test:
        return sa.false()

    def has_size(self, size: int) -> Test:
        return sa.false()

    def exists(self) -> Test:
        return self._flag

    def order(self) -> list[Expression]:
        return [sa.case((self._flag, 1), else_=0)]


class _Members:
    """The members as an array of client ids, in any order."""

    #: Which rows of `member` count.
    _only: tuple[Test, ...] = ()

    def __init__(self, app_key: int) -> None:
        self._app_key = app_key

    def equals(self, value: Any) -> Test:
        if isinstance(value, str):
            return self._of(_member.c.client == value)
        if isinstance(value, list):
            is_possible = all(isinstance(item, str) for item in value) and len(set(value)) == len(value)
            return sa.and_(self.has_size(len(value)), *map(self.equals, value)) if is_possible else sa.false()
        return sa.false()

    def any_of(self, values: Sequence[Any]) -> Test:
        clients = [value for value in values if isinstance(value, str)]
        lists = [self.equals(value) for value in values if isinstance(value, list)]
        return sa.or_(self._of(_member.c.client.in_(clients)) if clients else sa.false(), *lists)

    def all_of(self, values: Sequence[Any]) -> Test:
        clients = list(dict.fromkeys(value for value in values if isinstance(value, str)))
        others = [self.equals(value) for value in values if not isinstance(value, str)]
        if not clients:
            return sa.and_(*others) if others else sa.false()
        found = self._select(_member.c.client.in_(clients))
        if len(clients) > 1:
            found = found.group_by(_member.c.conversation).having(sa.func.count() == len(clients))
        return sa.and_(_SHOWS_MEMBERS, _conversation.c.key.in_(found), *others)

    def compares(self, operation: str, value: Any) -> Test:
        return self._some(COMPARE[operation](_member.c.client, value)) if isinstance(value, str) else sa.false()

    def matches(self, pattern: Pattern) -> Test:
        return self._some(text_matches(_member.c.client, pattern))

    def has_size(self, size: int) -> Test:
        return sa.case((_SHOWS_MEMBERS, _conversation.c.member_count), else_=0) == size

    def exists(self) -> Test:
        return sa.true()

    def _of(self, test: Test) -> Test:
        """Found from the index by clients."""
        return sa.and_(_SHOWS_MEMBERS, _conversation.c.key.in_(self._select(test)))

    def _select(self, test: Test) -> sa.Select[Any]:
        return sa.select(_member.c.conversation).where(_member.c.app == self._app_key, *self._only, test)

    def _some(self, test: Test) -> Test:
        """Found among the members of each conversation."""
        found = sa.select(sa.literal(1)).where(_member.c.conversation == _conversation.c.key, *self._only, test)
        return sa.and_(_SHOWS_MEMBERS, sa.exists(found))


class _MutedBy(_Members):
    """Who muted, of whom nobody is shown but the caller, or to the application all."""

    def __init__(self, app_key: int, caller: str | None) -> None:
        super().__init__(app_key)
        self._only = (_member.c.muted,) if caller is None else (_member.c.client == caller, _member.c.muted)

    def has_size(self, size: int) -> Test:
        muted = sa.select(sa.func.count()).where(_member.c.conversation == _conversation.c.key, *self._only)
        return sa.case((_SHOWS_MEMBERS, muted.scalar_subquery()), else_=0) == size
