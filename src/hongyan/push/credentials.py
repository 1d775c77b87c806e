"""What an app keeps for a service: checked when it is given, its secrets never shown."""

import re
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

#: What msgspec says, and how it is told to people. Values are left out: they may be secrets.
_WORDS = (
    (re.compile(r"Object missing required field (`\w+`)"), r"the field \1 is missing"),
    (re.compile(r"Object contains unknown field (`.*`)"), r"there is no field \1"),
    (re.compile(r"Expected `str.*`, got `.*` - at `\$\.(\w+)`"), r"`\1` must be a text"),
    (re.compile(r"Invalid enum value .* - at `\$\.(\w+)`", re.DOTALL), r"`\1` is none that can be used here"),
)


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one app at one service. Fields that are not known are refused, except in files that the service makes."""

    base_url: str | None = None
    """Where the service is, if not where its maker has it: for tests, a proxy, or another region."""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises ValueError with one sentence, in which no secret stands."""
        try:
            return msgspec.convert(given, cls)
        except msgspec.ValidationError as error:
            raise ValueError(_in_words(str(error))) from None

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if self.base_url is not None:
            check_url(self.base_url, "base_url")

    def root(self, usual: str) -> str:
        """The address of the service, without a slash at its end."""
        return (self.base_url or usual).rstrip("/")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # msgspec has one of its own, which would show all
        return [("…", None)]


def check_url(url: str, field: str) -> None:
    """Raises ValueError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"`{field}` must be a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not url.isascii():
        raise ValueError(f"`{field}` must be a URL that begins with https:// or http://")


def check_filled(credentials: Credentials, *fields: str) -> None:
    """Each of these must say something that can be sent in a header. Raises ValueError."""
    for name in fields:
        value = getattr(credentials, name)
        if not value or not value.isascii() or not value.isprintable() or value != value.strip():
            raise ValueError(f"`{name}` must be a text of printable ASCII characters")


def check_number(text: str, field: str) -> None:
    """An id that a service makes of digits. Raises ValueError."""
    if not text.isascii() or not text.isdigit() or len(text) > 30:
        raise ValueError(f"`{field}` must be a number, written as a text")


def _in_words(text: str) -> str:
    for pattern, words in _WORDS:
        found = pattern.match(text)
        if found:
            return found.expand(words)
    return text
