"""`$regex` of the SDKs: a plain test of a substring where it is one, else a pattern in RE2's language.

RE2 takes time linear in the text, whatever the pattern; backtracking engines can be kept busy for years by one.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import re2

SOURCE_MAX = 1_000
#: Memory of one compiled pattern, its caches included.
_MEMORY_MAX = 256 * 1024
#: Steps per character, at worst: 0.8 s for a text as long as a frame, without holding up other threads.
_PROGRAM_MAX = 1_000
_OPTIONS = frozenset("imsx")
_SYNTAX = frozenset(".^$*+?()|{}[]\\")
_SYNTAX_IN_CLASS = _SYNTAX | {"-"}


class Kind(StrEnum):
    """How a pattern is to be found in a text."""

    EQUAL = "equal"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    CONTAINS = "contains"
    REGEX = "regex"


@dataclass(frozen=True, slots=True)
class Pattern:
    """`text` is RE2's language for a regex, plain text otherwise. `fold`: ASCII letters match in either case."""

    kind: Kind
    text: str
    fold: bool = False


@dataclass(frozen=True, slots=True)
class _Token:
    """A part of the source: a character that stands for itself, or syntax."""

    text: str
    literal: bool = False


#: Escapes of PCRE that RE2 has not.
_TRANSLATED = {r"\Z": r"(?:\n?\z)"}
#: Characters of the reason for which a pattern is refused.
_REASON_MAX = 100
_START, _END = _Token("^"), _Token("$")
_ANYTHING = [_Token("."), _Token("*")]


def parse(source: str, options: str = "") -> Pattern:
    r"""The pattern of a `$regex`, `\Q…\E` included, and its `$options`. Raises ValueError with the reason."""
    if len(source) > SOURCE_MAX:
        raise ValueError(f"a pattern has at most {SOURCE_MAX} characters")
    if not _OPTIONS.issuperset(options):
        raise ValueError("the options of a pattern are i, m, s and x")
    tokens = _Scanner(source, extended="x" in options).tokens()
    found = None if "m" in options else _plain(tokens)
    if found is not None and "i" not in options:
        return found
    if found is not None and found.text.isascii():
        return Pattern(found.kind, found.text, fold=True)
    flags = "".join(sorted({*options} - {"x"}))
    text = (f"(?{flags})" if flags else "") + "".join(_escape(token) for token in tokens)
    searcher(text)
    return Pattern(Kind.REGEX, text)


@functools.lru_cache(maxsize=64)
def searcher(text: str) -> Callable[[bytes], bool]:
    """Whether a UTF-8 text has a match of this `REGEX`. Raises ValueError if RE2 can't take it."""
    options = re2.Options()
    options.max_mem = _MEMORY_MAX
    options.log_errors = False
    options.never_capture = True
    try:
        compiled = re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(text[:_REASON_MAX]) from None  # RE2 repeats the pattern
    if compiled.programsize > _PROGRAM_MAX:
        raise ValueError("pattern too large")
    return lambda searched: compiled.search(searched) is not None


def _plain(tokens: list[_Token]) -> Pattern | None:
    """The pattern without syntax but an anchor or `.*` at its ends, as SDKs make them."""
    starts, ends = tokens[:1] == [_START], tokens[-1:] == [_END]
    body = tokens[starts : len(tokens) - ends]
    while not starts and body[:2] == _ANYTHING:
        body = body[2:]
    while not ends and body[-2:] == _ANYTHING:
        body = body[:-2]
    if not all(token.literal for token in body):
        return None
    kinds = {
        (True, True): Kind.EQUAL,
        (True, False): Kind.PREFIX,
        (False, True): Kind.SUFFIX,
        (False, False): Kind.CONTAINS,
    }
    return Pattern(kinds[starts, ends], "".join(token.text for token in body))


def _escape(token: _Token, special: frozenset[str] = _SYNTAX) -> str:
    return f"\\x{{{ord(token.text):x}}}" if token.literal and token.text in special else token.text


class _Scanner:
    """Takes a pattern in the language of PCRE or JavaScript apart."""

    def __init__(self, source: str, *, extended: bool) -> None:
        self._source = source
        self._extended = extended
        self._at = 0
        self._found: list[_Token] = []

    def tokens(self) -> list[_Token]:
        readers = (self._quotation, self._escaped, self._class, self._comment, self._character)
        while self._at < len(self._source):
            if not self._extended and self._source[self._at] not in "\\[":
                self._character()  # nearly always
            else:
                next(filter(None, (read() for read in readers)))
        return self._found

    def _take(self, expression: str) -> str | None:
        """What stands here, if it is this."""
        found = re.compile(expression, re.DOTALL).match(self._source, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _quotation(self) -> bool:
        r"""`\Q…\E`, whose end may be missing. An `\E` alone means nothing."""
        quoted = self._take(r"\\Q.*?(?:\\E|\Z)")
        if quoted is None:
            return self._take(r"\\E") is not None
        self._found += [_Token(character, literal=True) for character in quoted[2:].removesuffix(r"\E")]
        return True

    def _escaped(self) -> bool:
        r"""`\d`, `\.`, and JavaScript's `\u4e00`. What is no letter or digit stands for itself."""
        escape = self._take(r"\\u[0-9A-Fa-f]{4}|\\.")
        if escape is None:
            return False
        self._found.append(_character_of(escape) or _Token(_TRANSLATED.get(escape, escape)))
        return True

    def _class(self) -> bool:
        """`[…]` as a whole."""
        if self._source[self._at] != "[":
            return False
        text = self._take(r"\[\^?\]?(?>\[:\^?[a-z]+:\]|\\Q.*?\\E|\\.|[^\]\\])*+\]")
        if text is None:
            raise ValueError("missing ]")
        escapes = re.compile(r"\\Q(.*?)\\E|\\u[0-9A-Fa-f]{4}|\\.", re.DOTALL)
        self._found.append(_Token(escapes.sub(_in_class, text)))
        return True

    def _comment(self) -> bool:
        """What the option `x` ignores."""
        return self._extended and self._take(r"\s+|#[^\n]*") is not None

    def _character(self) -> bool:
        character = self._source[self._at]
        self._at += 1
        self._found.append(_Token(character, literal=character not in _SYNTAX))
        return True


def _character_of(escape: str) -> _Token | None:
    r"""The one character that an escape stands for; None for classes like `\d`."""
    if escape.startswith(r"\u") and len(escape) == 6:
        code = int(escape[2:], 16)
        return None if 0xD800 <= code < 0xE000 else _Token(chr(code), literal=True)
    character = escape[1]
    return None if character.isascii() and character.isalnum() else _Token(character, literal=True)


def _in_class(escape: re.Match[str]) -> str:
    if escape[1] is not None:
        return "".join(_escape(_Token(character, literal=True), _SYNTAX_IN_CLASS) for character in escape[1])
    character = _character_of(escape[0])
    return _escape(character, _SYNTAX_IN_CLASS) if character else escape[0]
