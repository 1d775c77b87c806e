"""The rows of a file, one after another, whatever its form and size.

JSON: objects a line each, one array, `{"results": […]}` or `{"result": […]}`, or any of these one after another.
BSON: the documents of a dump. CSV: `tables.py`.
"""

import codecs
import itertools
import json
import re
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import bson
from bson.codec_options import CodecOptions, DatetimeConversion

from hongyan.importing import tables

#: Bytes read at once, and characters that one row may have; more is no row.
CHUNK, ROW_MAX = 1 << 20, 1 << 25
#: Bytes of a BSON document: MongoDB allows 16 MiB and a little.
_DOCUMENT_MAX = 17 << 20
_WRAPPED = re.compile(r'\{\s*"results?"\s*:\s*\[')
#: An object that may still turn out to be wrapped: what begins like that and has not gone on.
_WRAPPED_HEAD = re.compile(r'\{\s*(?:"(?:r(?:e(?:s(?:u(?:l(?:t(?:s?(?:"(?:\s*(?::\s*)?)?)?)?)?)?)?)?)?)?)?$')
_SPACE = re.compile(r"[\s,\ufeff]*")
_DECODER = json.JSONDecoder()
_CODEC: CodecOptions[Any] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)


class Found(NamedTuple):
    """A row or, if there is none, why; `line` is where it begins: in BSON, the number of the document."""

    line: int
    row: dict[str, Any] | None
    mistake: str = ""


def rows(stream: BinaryIO, name: str = "") -> Iterator[Found]:
    """All rows of a file; `name` is what it is called, without the ending of what was unpacked."""
    if name.lower().endswith(".csv"):
        return itertools.starmap(Found, tables.rows(stream))
    head = stream.peek(5)[:5]  # type: ignore[attr-defined]
    return _bson(stream) if name.endswith(".bson") or _is_bson(head) else _Json(stream).rows()


def _is_bson(head: bytes) -> bool:
    """A document begins with its length, which JSON can't begin with: its fourth byte is zero."""
    return len(head) == 5 and head[3] == 0 and head[4] <= 0x13


def _bson(stream: BinaryIO) -> Iterator[Found]:
    number = 0
    while head := stream.read(4):
        number += 1
        length = struct.unpack("<i", head)[0] if len(head) == 4 else 0
        rest = stream.read(length - 4) if 5 <= length <= _DOCUMENT_MAX else b""
        if len(rest) != length - 4:
            yield Found(number, None, "the file ends within a document, or is damaged")
            return
        try:
            yield Found(number, bson.decode(head + rest, _CODEC))
        except Exception as error:  # the library has many for what is damaged
            yield Found(number, None, f"no BSON document: {error}")


class _Json:
    """Reads on as it needs to. `_text` is what was read and not used up, from `_at` on."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text = ""
        self._at = 0
        self._line = 1
        self._ended = False

    def rows(self) -> Iterator[Found]:
        open_lists = 0
        while self._skip():
            first = self._text[self._at]
            if first == "[":
                self._use(self._at + 1)
                open_lists += 1
            elif first == "]" and open_lists:
                self._use(self._at + 1)
                open_lists -= 1
            elif first == "{" and (start := self._wrapped()):
                line = self._line
                self._use(start)
                yield from self._wrapped_rows(line)
            else:
                yield from self._value()

    def _wrapped_rows(self, line: int) -> Iterator[Found]:
        """The rows of a page, and then the rest of the object around them, which says nothing."""
        while self._skip() and self._text[self._at] != "]":
            yield from self._value()
        if not self._skip():
            yield Found(line, None, "the list that begins here has no end")
            return
        # `]` becomes a value, so that the rest is an object again.
        self._text, self._at = '{"":0' + self._text[self._at + 1 :], 0
        for found in self._value():
            if found.mistake:
                yield found

    def _value(self) -> Iterator[Found]:
        """The next value; where that is none, the line is passed over."""
        line = self._line
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                mistake = "nested too deeply"
            except json.JSONDecodeError as error:
                mistake = f"no JSON: {error.msg}"
                if self._may_go_on(error) and self._read():
                    continue
            else:
                self._use(end)
                yield from _unwrapped(line, value)
                return
            yield Found(line, None, mistake)
            self._use_line()
            return

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether the value is only cut off where reading has stopped so far."""
        left = len(self._text) - self._at
        cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - 16
        return cut and not self._ended and left < ROW_MAX

    def _wrapped(self) -> int | None:
        """Where the list in an object that is only around it begins."""
        while True:
            found = _WRAPPED.match(self._text, self._at)
            if found is not None:
                return found.end()
            head = self._text[self._at : self._at + 64]
            if not (_WRAPPED_HEAD.fullmatch(head) and self._read()):
                return None

    def _skip(self) -> bool:
        """Pass over what stands between values; whether there is one more."""
        while True:
            found = _SPACE.match(self._text, self._at)
            assert found is not None
            self._use(found.end())
            if self._at < len(self._text):
                return True
            if not self._read():
                return False

    def _use(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end

    def _use_line(self) -> None:
        while (end := self._text.find("\n", self._at)) < 0:
            self._use(len(self._text))
            if not self._read():
                return
        self._use(end)

    def _read(self) -> bool:
        """More text; what was used up is dropped. False at the end."""
        if self._ended:
            return False
        more = self._stream.read(max(CHUNK, len(self._text) - self._at))
        self._ended = not more
        self._text = self._text[self._at :] + self._decoder.decode(more, final=self._ended)
        self._at = 0
        return True


def _unwrapped(line: int, value: Any) -> Iterator[Found]:
    if not isinstance(value, dict):
        yield Found(line, None, f"no object but {_kind(value)}")
        return
    for name in ("results", "result"):
        page = value.get(name)
        if isinstance(page, list):
            for each in page:
                yield from _unwrapped(line, each)
            return
    yield Found(line, value)


def _kind(value: Any) -> str:
    return {str: "a text", bool: "a truth value", list: "a list", type(None): "null"}.get(type(value), "a number")
