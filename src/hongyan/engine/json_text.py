"""JSON from clients: only what can be given back as JSON and stored as text."""

import json
from typing import Any


def parse(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for what is not JSON, NaN, and halves of surrogate pairs."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
