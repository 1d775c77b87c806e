"""The rows of a CSV file, as LeanCloud defines it (REST reference 8.4).

Its first row has the types of the columns, its second one their names. A row with a cell that is not of its type is
left out: brought in without it, it would not be replaced once the cell is put right.
"""

import codecs
import csv
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from hongyan.importing.plain import Mistake, date, moment

#: Bytes read at once, and characters that one cell may have.
CHUNK, CELL_MAX = 1 << 20, 1 << 25
_INTEGER, _DIGITS = re.compile(r"[-+]?\d+"), 19
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_BOOLEANS = {"true": True, "false": False}
_POINTER = re.compile(r"(?i:pointer):\s*(\w+)")

Row = dict[str, Any]
Read = Callable[[str], Any]


class Column(NamedTuple):
    """`read` makes a value of a cell that is not empty, or raises ValueError or Mistake; `type` is for people."""

    name: str
    type: str
    read: Read


def rows(stream: BinaryIO) -> Iterator[tuple[int, Row | None, str]]:
    """The line on which each row begins, and the row or why there is none."""
    csv.field_size_limit(CELL_MAX)
    return _rows(csv.reader(_lines(stream), strict=True))


def _lines(stream: BinaryIO) -> Iterator[str]:
    """The lines with their ends; one that is longer than any cell may be comes in pieces."""
    decoder, rest = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape"), ""
    while chunk := stream.read(CHUNK):
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (f"{line}\n" for line in lines)
        if len(rest) > CELL_MAX:
            yield rest
            rest = ""
    yield rest + decoder.decode(b"", final=True)


def _rows(reader: Any) -> Iterator[tuple[int, Row | None, str]]:
    found = _records(reader)
    try:
        columns = _columns(_head(found), _head(found))
    except Mistake as mistake:
        yield 1, None, str(mistake)
        return
    for line, cells, broken in found:
        try:
            yield line, None if broken else _row(columns, cells), broken
        except Mistake as mistake:
            yield line, None, str(mistake)


def _records(reader: Any) -> Iterator[tuple[int, list[str], str]]:
    """The cells of each row, or why they can't be told apart; what is empty is passed over."""
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, [], f"no CSV: {error}"
        else:
            if any(cells):
                yield line, cells, ""


def _head(found: Iterator[tuple[int, list[str], str]]) -> list[str]:
    """One of the first two rows."""
    _, cells, mistake = next(found, (1, [], ""))
    if mistake:
        raise Mistake(mistake)
    return [cell.strip() for cell in cells]


def _columns(types: list[str], names: list[str]) -> list[Column]:
    readers = [_reader(type_) for type_ in types]
    if len(types) != len(names) or len(set(names)) != len(names) or not all(names):
        raise Mistake("the first row must have the types of all columns, the second one their names")
    return [Column(*column) for column in zip(names, types, readers, strict=True)]


def _reader(type_: str) -> Read:
    pointer = _POINTER.fullmatch(type_)
    if pointer is not None:
        return lambda cell: {"__type": "Pointer", "className": pointer[1], "objectId": cell}
    if type_.lower() not in _READERS:
        raise Mistake(f"the first row has {type_!r}, which is none of the types {', '.join(_READERS)}, pointer:Class")
    return _READERS[type_.lower()]


def _row(columns: list[Column], cells: list[str]) -> Row:
    """The values; of an empty cell there is none. What a row must have and does not say is put in."""
    if len(cells) != len(columns):
        raise Mistake(f"there are {len(cells)} cells, not {len(columns)}")
    row = {column.name: _value(column, cell) for column, cell in zip(columns, cells, strict=True) if cell}
    if "objectId" not in row:
        row["objectId"] = _id_of(cells)
    if not {"createdAt", "updatedAt"} & row.keys():
        row["createdAt"] = row["updatedAt"] = date(0)  # that of the import
    return row


def _id_of(cells: list[str]) -> str:
    """An id that is the same when the file is brought in again."""
    content = json.dumps(cells).encode()
    return hashlib.sha256(content).hexdigest()[:24]


def _value(column: Column, cell: str) -> Any:
    try:
        return column.read(cell.strip() if column.type.lower() != "string" else cell)
    except (ValueError, Mistake, RecursionError):
        shown = cell if len(cell) <= 40 else cell[:40] + "…"
        raise Mistake(f"{column.name} is {shown!r}, which is no {column.type}") from None


def _integer(cell: str) -> int:
    if not _INTEGER.fullmatch(cell) or len(cell) > _DIGITS:
        raise ValueError
    return int(cell)


def _number(cell: str) -> int | float:
    if _INTEGER.fullmatch(cell) and len(cell) <= _DIGITS:
        return int(cell)
    if not _NUMBER.fullmatch(cell) or not math.isfinite(float(cell)):
        raise ValueError
    return float(cell)


def _boolean(cell: str) -> bool:
    if cell.lower() not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[cell.lower()]


def _json(kind: type) -> Read:
    def read(cell: str) -> Any:
        value = json.loads(cell)
        if not isinstance(value, kind):
            raise ValueError
        return value

    return read


def _point(cell: str) -> dict[str, Any]:
    longitude, latitude = map(_number, cell.split())
    if abs(longitude) > 180 or abs(latitude) > 90:
        raise ValueError
    return {"__type": "GeoPoint", "latitude": latitude, "longitude": longitude}


_READERS: dict[str, Read] = {
    "int": _integer,
    "long": _integer,
    "number": _number,
    "double": _number,
    "string": str,
    "date": lambda cell: date(moment(cell)),
    "boolean": _boolean,
    "file": lambda cell: {"__type": "File", "id": cell},
    "array": _json(list),
    "object": _json(dict),
    "geopoint": _point,
}
