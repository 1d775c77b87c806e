"""Pushes for the tests."""

import time
import uuid
from typing import Any

from hongyan.engine.pushing import Push

CONTENT = {"title": "Ada", "alert": "Lunch at noon?", "order": {"id": 7}}
HOUR = 3_600


def push(content: dict[str, Any] | None = None, *, seconds: float = HOUR, collapse: str | None = None) -> Push:
    """A new one, valid for so many seconds."""
    given = CONTENT if content is None else content
    return Push(str(uuid.uuid4()), given, int((time.time() + seconds) * 1000), collapse)
