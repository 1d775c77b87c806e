"""Which parts of a message's body people read, and masking words there (reference 7; REST reference 6.1).

Of a typed message, JSON with a number other than 0 as `_lctype`, that is `_lctext`; of anything else the whole body.
Everything around a masked word stays as it is, byte for byte. JSON is read as clients read it: names and texts may have
escapes, and a name that is there twice is masked in both places, since parsers differ in which one counts.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn

from hongyan.engine.folding import Piece, Span, Traced
from hongyan.engine.word_list import MASK, merged


class Part(NamedTuple):
    """A part of a body. `escaped`: it has JSON's escapes. `value`: it is a JSON value, masked as a whole."""

    start: int
    end: int
    escaped: bool = False
    value: bool = False


Find = Callable[[str], list[Span]]


def mask(body: str, find: Find) -> str | None:
    """The body with what `find` finds masked; None if that is nothing."""
    spans: list[Span] = []
    values: list[Piece] = []
    for part in parts(body):
        found = _find(body[part.start : part.end], part.escaped, find)
        if part.value and found:
            values.append((part.start, part.end, f'"{MASK}"'))
        elif not part.value:
            spans += [(part.start + start, part.start + end) for start, end in found]
    pieces = sorted([*values, *((start, end, MASK) for start, end in merged(spans))])
    return Traced(body, pieces).text if pieces else None


def parts(body: str) -> list[Part]:
    """The parts that people read, in order; two may be the same with and without escapes."""
    everything = Part(0, len(body))
    try:
        value = _DECODER.decode(body)
    except RecursionError:  # others may be able to read it
        return [everything, everything._replace(escaped=True)]
    except ValueError:
        return [everything]
    if isinstance(value, dict) and _is_type(value.get("_lctype")):
        return list(_captions(body))
    return [everything._replace(escaped=True)]


def _is_type(value: object) -> bool:
    """0 is reserved: no client takes it for a typed message."""
    return isinstance(value, float) and value != 0


def _captions(body: str) -> Iterator[Part]:
    """The values of `_lctext`; `body` is a JSON object."""
    at = _skip(body, body.index("{") + 1)
    while body[at : at + 1] == '"':
        name, at = _DECODER.raw_decode(body, at)
        at = _skip(body, _skip(body, at) + 1)  # past the colon
        value, end = _DECODER.raw_decode(body, at)
        if name == "_lctext" and isinstance(value, str):
            yield Part(at + 1, end - 1, escaped=True)
        elif name == "_lctext":
            yield Part(at, end, escaped=True, value=True)
        at = _skip(body, _skip(body, end) + 1)  # past the comma, or the end


def _skip(body: str, at: int) -> int:
    """The place after white space."""
    found = _SPACE.match(body, at)
    assert found is not None
    return found.end()


def _find(text: str, escaped: bool, find: Find) -> list[Span]:
    if not escaped or "\\" not in text:
        return find(text)
    read = Traced(text, ((found.start(), found.end(), _unescape(found[0])) for found in _ESCAPE.finditer(text)))
    return [read.origin(span) for span in find(read.text)]


def _unescape(escape: str) -> str:
    if escape[1] != "u":
        return _SHORT.get(escape[1], escape[1])
    first = int(escape[2:6], 16)
    if len(escape) == 6:
        return chr(first)
    return chr(0x10000 + ((first & 0x3FF) << 10) + (int(escape[8:], 16) & 0x3FF))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


#: Numbers of any length are read, as JavaScript does.
_DECODER = json.JSONDecoder(parse_int=float, parse_constant=_refuse)
_SPACE = re.compile(r"[ \t\n\r]*")
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HIGH, _LOW = "u[dD][89abAB][0-9a-fA-F]{2}", "u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf'\\(?:{_HIGH}\\{_LOW}|u[0-9a-fA-F]{{4}}|["\\/bfnrt])')
