"""JSON from clients: only what can be given back as JSON and stored as text."""

import json
import math
from collections.abc import Iterable
from typing import Any

#: Other parsers give up far earlier than Python's; whoever reads it back must not.
NESTING_MAX = 100


def parse(text: str) -> Any:
    """The value of a JSON text.

    Raises ValueError for what is not JSON, infinite numbers and NaN, halves of surrogate pairs, and deep nesting.
    """
    try:
        value = _DECODER.decode(text)
        # only what is written `\u…` can become half of a pair where the text has none
        (json.dumps(value, ensure_ascii=False) if "\\u" in text else text).encode("utf-8")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count("[") + text.count("{") > NESTING_MAX:  # with fewer nothing can be nested deeper
        check_nesting(value)
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("too large a number")
    return number


def _constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_constant)


def check_nesting(value: Any) -> None:
    """Raises ValueError."""
    level = [value]
    for _ in range(NESTING_MAX):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise ValueError("nested too deeply")


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
