"""Walking all rows of a class, page by page in the order of one key (REST reference 3.13)."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hongyan.api.errors import HttpError
from hongyan.api.leancloud import parameters
from hongyan.engine import conditions, json_text
from hongyan.engine.conditions import Condition

#: How long a scan may be gone on with (ms).
CURSOR_LIFETIME = 10 * 60 * 1000
SCAN_KEY = "objectId"


class Place(NamedTuple):
    """Where a scan goes on: after this value of its key, None at the beginning."""

    key: str
    descending: bool
    after: Any = None

    @property
    def order(self) -> str:
        return f"-{self.key}" if self.descending else self.key

    @property
    def beyond(self) -> Condition:
        """What the rows of the next page meet. Raises Refused(CONVERSATION_QUERY_FAILED)."""
        bound = {"$exists": True} if self.after is None else {"$lt" if self.descending else "$gt": self.after}
        condition = conditions.parse(json.dumps({self.key: bound}))
        assert condition is not None
        return condition

    def cursor(self, last: Any, now: int) -> str:
        """What the caller gives to go on after this value."""
        text = json.dumps([self.order, now + CURSOR_LIFETIME, last], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def place(asked: Mapping[str, Any], now: int, is_key: Callable[[str], bool]) -> Place:
    """Where the caller goes on, by a key that is one.

    Raises HttpError, and Refused(CONVERSATION_QUERY_FAILED) for what is no key at all.
    """
    order = asked.get("scan_key", SCAN_KEY)
    found = Place(order.removeprefix("-"), order.startswith("-"))
    if len(conditions.parse_key(found.key)) > 1 or found.key.startswith("$") or not is_key(found.key):
        raise parameters.wrong("scan_key", "a column of texts, numbers or times")
    if _names(_where(asked), found.key):
        raise parameters.wrong("scan_key", "a key that `where` does not name")
    given = asked.get("cursor")
    return found._replace(after=_read_cursor(given, order, now)) if given else found


def _where(asked: Mapping[str, Any]) -> Any:
    try:
        return json_text.parse(asked.get("where") or "{}")
    except ValueError:
        return {}  # refused where it is read as a condition


def _names(where: Any, key: str) -> bool:
    """Whether a condition says something of a column."""
    if isinstance(where, list):
        return any(_names(each, key) for each in where)
    if not isinstance(where, dict):
        return False
    return any(
        name.partition(".")[0] == key or (name in ("$and", "$or") and _names(where[name], key)) for name in where
    )


def _read_cursor(given: str, order: str, now: int) -> Any:
    """The value after which a scan goes on. Raises HttpError."""
    try:
        key, until, last = json_text.parse(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)).decode())
        fits = key == order and isinstance(until, int)
    except (ValueError, binascii.Error, TypeError):
        fits = False
    if not fits:
        raise parameters.wrong("cursor", "one that a scan by the same key has answered")
    if until < now:
        raise HttpError(400, "The cursor is over: scan from the beginning.", parameters.WRONG)
    return last
