"""What a push says, read from the keys of the reference (6.2), and made to fit what a service takes.

Too long a text is shortened, the alert first and then the title, by whole characters, and ends with `…`. Data that an
app has put into a push are never cut: where they alone are too much, the push is refused.
"""

import hashlib
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hongyan.engine.push_content import INCREMENT
from hongyan.engine.pushing import Device, Push, Refused
from hongyan.push.failed import Failed

ELLIPSIS = "…"
#: Keys that are for a service or a device's system; all others are the app's own.
_KNOWN = frozenset(
    {
        *("alert", "title", "badge", "sound", "silent", "aps", "category", "thread-id"),
        *("content-available", "mutable-content", "collapse-id", "apns-priority", "apns-push-type"),
        *("url-args", "target-content-id"),
    }
)
_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_INTEGER_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Notice:
    """What people see, and what only the app does."""

    title: str
    body: str
    data: Mapping[str, Any]
    silent: bool
    """Nothing is shown: the app alone is told."""

    @property
    def data_json(self) -> str:
        return packed(self.data).decode()


def notice(content: Mapping[str, Any], title: str = "") -> Notice:
    """Of any service but Apple's. `title` stands where the content has none, since most of them ask for one."""
    alert = content.get("alert", "")
    if not isinstance(alert, Mapping):
        alert = {"body": alert}
    body = _text(alert.get("body"))
    shown = _text(content.get("title")) or _text(alert.get("title"))
    data = {key: value for key, value in content.items() if key not in _KNOWN}
    silent = content.get("silent") is True or not (body or shown)
    return Notice(shown or title, body or shown, data, silent)


def visible(content: Mapping[str, Any], title: str) -> Notice:
    """For services that only show things. Raises Failed."""
    found = notice(content, title)
    if found.silent:
        raise Failed(Refused("NothingToShow", "this service shows notifications and brings no silent pushes"))
    return found


def badge(content: Mapping[str, Any], device: Device) -> int | None:
    """The number to show, if there is to be one."""
    given = content.get("badge")
    if given == INCREMENT:
        return device.badge if device.badge is not None else 1
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= 0 else None


def collapse(push: Push) -> str | None:
    """What the push shares with those that it takes the place of."""
    given = push.collapse if push.collapse is not None else push.content.get("collapse-id")
    return given if isinstance(given, str) and given else None


def number(text: str) -> int:
    """For services that tell notifications apart by a number: from 1 to 2,147,483,647."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % _INTEGER_MAX + 1


def identifier(text: str) -> str:
    """For services that tell repeats apart by a short text: 20 letters and digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def packed(value: Any) -> bytes:
    """JSON without spaces, of any numbers that an app may have given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def shorten(text: str, limit: int) -> str:
    """At most so many characters (code points)."""
    return text if len(text) <= limit else _cut(text, limit - 1)


def fit(build: Callable[[str, str], bytes], title: str, body: str, limit: int) -> tuple[str, str]:
    """The texts of which `build` makes at most so many bytes. Raises Failed if the rest alone is longer."""
    if len(build(title, body)) <= limit:
        return title, body
    shorter = _longest(body, lambda text: len(build(title, text)) <= limit)
    if shorter is not None:
        return title, shorter
    shorter = _longest(title, lambda text: len(build(text, ELLIPSIS)) <= limit)
    if shorter is not None:
        return shorter, ELLIPSIS
    raise Failed(Refused("PayloadTooLarge", f"without its texts the push is still longer than {limit} bytes"))


def _longest(text: str, fits: Callable[[str], bool]) -> str | None:
    """As much of the beginning as fits, by halving."""
    low, high = 0, len(text)
    if not fits(ELLIPSIS):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if fits(text[:middle] + ELLIPSIS):
            low = middle
        else:
            high = middle
    return _cut(text, low)


def _cut(text: str, end: int) -> str:
    """So many characters, or somewhat fewer: what people see as one is not parted."""
    while 0 < end < len(text) and (_joins(text[end]) or text[end - 1] == _JOINER):
        end -= 1
    return text[:end] + ELLIPSIS


def _joins(character: str) -> bool:
    """Whether it belongs to the character before it."""
    return unicodedata.combining(character) != 0 or (
        character == _JOINER or unicodedata.category(character) in ("Mn", "Me") or ord(character) in _SKIN_TONES
    )


def _text(given: Any) -> str:
    """What can be sent: halves of surrogate pairs can not."""
    return given.encode(errors="replace").decode() if isinstance(given, str) else ""
