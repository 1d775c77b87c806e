"""XML that comes from outside, as nested dicts.

There are no document types, hence no entities that grow or reach elsewhere; depth and number of elements are bounded.
"""

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

#: Bytes of a document, how deep elements may stand in each other, and how many there may be.
BYTES_MAX, DEPTH_MAX, ELEMENTS_MAX = 262_144, 10, 2000

#: The text of an element, or the elements in it by name: a list if a name comes again.
Node = str | dict[str, Any]


def parse(body: bytes) -> dict[str, Any]:
    """The elements of the root. Raises ValueError with one sentence."""
    if len(body) > BYTES_MAX:
        raise ValueError(f"the XML has more than {BYTES_MAX:,} bytes")
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, UnicodeError):
        raise ValueError("it is not XML") from None
    if not isinstance(builder.root, dict):
        raise ValueError("the XML has no elements")
    return builder.root


def _refuse(*_: object) -> None:
    raise ValueError("XML with a document type is refused")


@dataclass(slots=True)
class _Element:
    name: str
    children: dict[str, Any] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)


class _Builder:
    def __init__(self) -> None:
        self.root: Node = ""
        self._open: list[_Element] = []
        self._count = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= DEPTH_MAX or self._count > ELEMENTS_MAX:
            raise ValueError("the XML has too many elements")
        self._open.append(_Element(name))

    def characters(self, text: str) -> None:
        self._open[-1].text.append(text)

    def end(self, _: str) -> None:
        element = self._open.pop()
        value: Node = element.children or "".join(element.text)
        if not self._open:
            self.root = value
            return
        siblings = self._open[-1].children
        if element.name not in siblings:
            siblings[element.name] = value
        elif isinstance(siblings[element.name], list):
            siblings[element.name].append(value)
        else:
            siblings[element.name] = [siblings[element.name], value]
