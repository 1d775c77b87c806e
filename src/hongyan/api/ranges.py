"""Parts of a file: the headers `Range` and `If-Range` (RFC 9110, 13.1.5 and 14)."""

import re

_SPEC = re.compile(r"bytes=\s*(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})\s*", re.IGNORECASE)


class NotSatisfiable(Exception):
    """The part that is asked for begins after the end."""


def wanted(header: str | None, condition: str | None, size: int, etag: str, modified: str) -> tuple[int, int] | None:
    """Where the wanted part begins and before what it ends; None: the whole file.

    Several parts at once, and what can't be read, are answered with the whole. Raises NotSatisfiable.
    """
    found = _SPEC.fullmatch(header or "")
    if found is None or (condition is not None and condition not in (etag, modified)):
        return None
    first, last = found["first"], found["last"]
    if not first and not last:
        return None
    if not first:
        return _suffix(int(last), size)
    start, end = int(first), min(int(last), size - 1) + 1 if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise NotSatisfiable
    return start, end


def _suffix(length: int, size: int) -> tuple[int, int]:
    if not length or not size:
        raise NotSatisfiable
    return max(0, size - length), size
