"""Making texts fit: by characters, bytes, or whatever else a platform counts."""

import unicodedata
from collections.abc import Callable

_JOINER = "\u200d"
#: Two of them are a flag.
_FLAGS = "".join(chr(code) for code in range(0x1F1E6, 0x1F200))


def cut(text: str, most: int, *, size: Callable[[str], int] = len) -> str:
    """As much of the text as fits, at a line's end if one is near; an ellipsis counts."""
    if size(text) <= most:
        return text
    room = most - size("…")
    if room < 0:
        return ""
    kept = text[: _fitting(text, room, size)]
    line = kept.rfind("\n")
    if line > len(kept) * 3 // 4:
        kept = kept[:line]
    return kept.rstrip() + "…"


def split(text: str, most: int, *, size: Callable[[str], int] = len) -> list[str]:
    """In pieces that fit, at lines' ends if they are near; nothing is lost but white space between pieces."""
    pieces = []
    while size(text) > most:
        piece = text[: max(1, _fitting(text, most, size))]
        line = piece.rfind("\n")
        if line > len(piece) // 2:
            piece = piece[:line]
        pieces.append(piece.rstrip())
        text = text[len(piece) :].lstrip("\n")
    return [piece for piece in (*pieces, text) if piece.strip()]


def _fitting(text: str, most: int, size: Callable[[str], int]) -> int:
    """How many characters from the start fit, without parting what is seen as one."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(text[:middle]) <= most else (low, middle - 1)
    end = low
    while 0 < end < len(text) and _one(text, end):
        end -= 1
    return end or low


def _one(text: str, end: int) -> bool:
    """Whether the characters before and after are seen as one: an accent, an emoji of several, a flag."""
    before, after = text[end - 1], text[end]
    if after == _JOINER or before == _JOINER or unicodedata.combining(after):
        return True
    if "\ufe00" <= after <= "\ufe0f" or "\U0001f3fb" <= after <= "\U0001f3ff" or after == "\u20e3":
        return True
    flags = len(text[:end]) - len(text[:end].rstrip(_FLAGS)) if after in _FLAGS else 0
    return flags % 2 == 1


def utf8(text: str) -> int:
    """The bytes of a text."""
    return len(text.encode())
