"""Changes of a conversation's attributes, as `conv/update` asks for them (reference 3.11).

A change names a dotted path (`attr.color`) and a value or an operator (`{"__op": "Increment", "amount": 1}`). All
changes of a request are made or none. What a client can make the server do here takes time in proportion to the sizes
of the request and of the attributes: this runs in the thread that writes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hongyan import errors
from hongyan.engine import json_text
from hongyan.engine.conversations import RESERVED
from hongyan.engine.values import Attributes
from hongyan.errors import Refused

#: Name, attr and custom columns of a conversation together, as JSON in UTF-8.
SIZE_MAX = 65_536
#: Keys of a dotted path.
PATH_MAX = 32


class _Absent:
    """No value: the key is not there."""


ABSENT = _Absent()
#: The value at a path before a change to the one after it.
Operator = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the value at a path."""

    path: tuple[str, ...]
    operator: Operator


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of one request, and their text as the members are told of it."""

    text: str
    items: tuple[Change, ...]


def parse(text: str) -> Changes:
    """The changes in the JSON of `conv/update`. Raises Refused(CONVERSATION_UPDATE_FAILED)."""
    if not text:
        return Changes("{}", ())
    try:
        given = json_text.parse(text)
    except ValueError:
        raise _failed("attr is not JSON") from None
    if not isinstance(given, dict):
        raise _failed("attr is not an object")
    items = tuple(Change(_path(key), operator(value)) for key, value in given.items())
    _check_apart([change.path for change in items])
    # Not as it came: of a key that stands there twice each parser takes another.
    return Changes(_dump(given), items)


def apply(changes: Changes, attributes: Attributes) -> tuple[Attributes, str]:
    """The new attributes, and as JSON the new values of the top-level keys that were touched and are there.

    Takes `attributes` over: they are of no use afterwards, least of all when this raises
    Refused(CONVERSATION_UPDATE_FAILED).
    """
    values = _together(attributes)
    for change in changes.items:
        _change(values, change)
    changed = _apart(values)
    try:
        json_text.check_nesting(values)
        size = _size(changed)
    except ValueError:
        raise _failed("the attributes would be nested too deeply, or have a number that is too large") from None
    if size > SIZE_MAX:
        raise _failed(f"the attributes of a conversation have at most {SIZE_MAX} bytes")
    kept = _together(changed)
    touched = dict.fromkeys(change.path[0] for change in changes.items)
    return changed, _dump({key: kept[key] for key in touched if key in kept})


def make(values: dict[str, Any], items: Sequence[Change]) -> None:
    """Make changes of other objects than conversations, in place. Raises Refused(CONVERSATION_UPDATE_FAILED)."""
    _check_apart([change.path for change in items])
    for change in items:
        _change(values, change)


def _failed(detail: str) -> Refused:
    return Refused(errors.CONVERSATION_UPDATE_FAILED, detail)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _size(attributes: Attributes) -> int:
    return len(_dump(_together(attributes)).encode("utf-8"))


def _together(attributes: Attributes) -> dict[str, Any]:
    values = dict(attributes.columns)
    if attributes.name is not None:
        values["name"] = attributes.name
    if attributes.attr is not None:
        values["attr"] = attributes.attr
    return values


def _apart(values: Mapping[str, Any]) -> Attributes:
    """The attributes, if name and attr are of their types."""
    name, attr = values.get("name"), values.get("attr")
    if not isinstance(name, str | None):
        raise _failed("name is not a string")
    if not isinstance(attr, dict | None):
        raise _failed("attr is not an object")
    return Attributes(name, attr, {key: value for key, value in values.items() if key not in ("name", "attr")})


# paths


def _path(key: str) -> tuple[str, ...]:
    path = tuple(key.split("."))
    if not all(path):
        raise _failed("a key is empty")
    if len(path) > PATH_MAX:
        raise _failed(f"a path has at most {PATH_MAX} keys")
    if path[0] in RESERVED:
        raise _failed(f"{path[0]} can't be changed")
    # JavaScript SDKs walk the paths that they are told: these two would lead them out of the conversation's own values.
    if "__proto__" in path or "constructor" in path[:-1]:
        raise _failed(f"a path can't lead over {'__proto__' if '__proto__' in path else 'constructor'}")
    return path


def _check_apart(paths: Sequence[tuple[str, ...]]) -> None:
    """Raises Refused if one path leads into another: their order, which JSON does not give, would matter."""
    whole = set(paths)
    for path in paths:
        if any(path[:length] in whole for length in range(1, len(path))):
            raise _failed(f"{'.'.join(path)} and a key above it can't be changed at once")


def _change(values: dict[str, Any], change: Change) -> None:
    """Make one change; objects on the way to a value are made, too."""
    *way, last = change.path
    place: Any = values
    made: list[tuple[dict[str, Any], str]] = []
    for key in way:
        if key not in place:
            place[key] = {}
            made.append((place, key))
        place = place[key]
        if not isinstance(place, dict):
            raise _failed(f"{'.'.join(change.path)} leads through something that is not an object")
    result = change.operator(place.get(last, ABSENT))
    if result is ABSENT:
        place.pop(last, None)
        if made:  # nothing came there: the way is not kept
            made[0][0].pop(made[0][1])
    else:
        place[last] = result


# operators


def operator(value: Any) -> Operator:
    if not isinstance(value, dict) or "__op" not in value:
        return lambda _: value
    name = value["__op"]
    make = _OPERATORS.get(name) if isinstance(name, str) else None
    if make is None:
        raise _failed("unknown __op")
    return make(value)


def _delete(_: Mapping[str, Any]) -> Operator:
    return lambda _: ABSENT


def _add_number(sign: int) -> Callable[[Mapping[str, Any]], Operator]:
    def make(asked: Mapping[str, Any]) -> Operator:
        amount: Any = asked.get("amount")
        if not _is_number(amount):
            raise _failed("amount is not a number")

        def operator(before: Any) -> Any:
            start = 0 if before is ABSENT else before
            if not _is_number(start):
                raise _failed("only a number can be incremented")
            try:
                return start + sign * amount
            except OverflowError:
                raise _failed("the number is too large") from None

        return operator

    return make


def _change_bits(combine: Callable[[int, int], int]) -> Callable[[Mapping[str, Any]], Operator]:
    def make(asked: Mapping[str, Any]) -> Operator:
        value: Any = asked.get("value")
        if type(value) is not int:
            raise _failed("value is not a whole number")

        def operator(before: Any) -> Any:
            start = 0 if before is ABSENT else before
            if type(start) is not int:
                raise _failed("only the bits of a whole number can be changed")
            return combine(start, value)

        return operator

    return make


#: JSON values by what makes them the same (`_identity`).
Items = dict[str, Any]


def _with_objects(combine: Callable[[list[Any], Items], list[Any]]) -> Callable[[Mapping[str, Any]], Operator]:
    def make(asked: Mapping[str, Any]) -> Operator:
        objects = asked.get("objects")
        if not isinstance(objects, list):
            raise _failed("objects is not an array")
        items = {_identity(item): item for item in objects}  # here already, as the operator holds up the writer

        def operator(before: Any) -> Any:
            start = _list(before)
            return _unless_empty(before, combine(start, items))

        return operator

    return make


def _add(asked: Mapping[str, Any]) -> Operator:
    objects = asked.get("objects")
    if not isinstance(objects, list):
        raise _failed("objects is not an array")
    return lambda before: _unless_empty(before, _list(before) + objects)


def _list(before: Any) -> list[Any]:
    start = [] if before is ABSENT else before
    if not isinstance(start, list):
        raise _failed("only an array takes objects")
    return start


def _unless_empty(before: Any, result: list[Any]) -> Any:
    return ABSENT if before is ABSENT and not result else result


def _add_unique(before: list[Any], items: Items) -> list[Any]:
    """With each of the objects that is not there yet, once."""
    there = set(map(_identity, before))
    return before + [item for identity, item in items.items() if identity not in there]


def _remove(before: list[Any], items: Items) -> list[Any]:
    return [item for item in before if _identity(item) not in items]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _identity(value: Any) -> str:
    """A text that equal JSON values share, whatever the order of their keys; 1 and 1.0 are equal.

    Comparing each with each would take the square of the time, and so do sets of numbers that are chosen for it.
    `json.dumps` would take ten times as long.
    """
    if isinstance(value, str):
        return json.encoder.encode_basestring_ascii(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return f"[{','.join(map(_identity, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{_identity(key)}:{_identity(item)}" for key, item in value.items())) + "}"
    return str(value)


_OPERATORS: dict[str, Callable[[Mapping[str, Any]], Operator]] = {
    "Delete": _delete,
    "Increment": _add_number(1),
    "Decrement": _add_number(-1),
    "BitAnd": _change_bits(int.__and__),
    "BitOr": _change_bits(int.__or__),
    "BitXor": _change_bits(int.__xor__),
    "Add": _add,
    "AddUnique": _with_objects(_add_unique),
    "Remove": _with_objects(_remove),
}
