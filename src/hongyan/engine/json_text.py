"""JSON from clients: only what can be given back as JSON and stored as text."""

import json
from collections.abc import Iterable
from typing import Any

#: Other parsers give up far earlier than Python's; whoever reads it back must not.
NESTING_MAX = 100


def parse(text: str) -> Any:
    """The value of a JSON text.

    Raises ValueError for what is not JSON, infinite numbers and NaN, halves of surrogate pairs, and deep nesting.
    """
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    check_nesting(value)
    return value


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
