"""CSV files, as LeanCloud defines them (REST reference 8.4)."""

import io
from pathlib import Path
from typing import Any

import pytest

from hongyan.importing import tables
from tests.importing.conftest import Home
from tests.importing.exports import NOW, date, object_id


def read(text: str | bytes) -> list[tuple[int, Any, str]]:
    """What is found in a file, without what is put into each row."""
    content = text if isinstance(text, bytes) else text.encode()
    found = []
    for line, row, mistake in tables.rows(io.BytesIO(content)):
        if row is not None:
            row = {name: value for name, value in row.items() if name not in ("objectId", "createdAt", "updatedAt")}
        found.append((line, row, mistake))
    return found


def write(home: Home, name: str, *lines: str) -> Path:
    (home.folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return home.folder / name


VALUES: dict[str, tuple[str, str, Any]] = {
    "int": ("int", "-12", -12),
    "long": ("long", "1760000000000", 1_760_000_000_000),
    "whole number": ("number", "3", 3),
    "number": ("number", "2.5e3", 2500.0),
    "double": ("double", "-0.25", -0.25),
    "string": ("string", " a b ", " a b "),
    "string that looks like a number": ("string", "007", "007"),
    "date": ("date", "2026-01-05T08:00:00.120Z", {"__type": "Date", "iso": "2026-01-05T08:00:00.120Z"}),
    "date of a zone": ("date", "2026-01-05 16:00:00+08:00", {"__type": "Date", "iso": "2026-01-05T08:00:00.000Z"}),
    "true": ("boolean", "true", True),
    "false": ("boolean", "FALSE", False),
    "file": ("file", "abc", {"__type": "File", "id": "abc"}),
    "array": ("array", '"[1, ""a"", null]"', [1, "a", None]),
    "object": ("object", '"{""a"": {""b"": 1}}"', {"a": {"b": 1}}),
    "geopoint": ("geopoint", "121.5 -31.25", {"__type": "GeoPoint", "latitude": -31.25, "longitude": 121.5}),
    "pointer": ("pointer:_User", "u1", {"__type": "Pointer", "className": "_User", "objectId": "u1"}),
    "type in capitals": ("Boolean", "true", True),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_cell_is_what_its_column_says(case: str) -> None:
    type_, cell, value = VALUES[case]
    assert read(f"{type_},string\nx,y\n{cell},z\n") == [(3, {"x": value, "y": "z"}, "")]


def test_an_empty_cell_is_no_value() -> None:
    types = ["int", "number", "string", "date", "boolean", "file", "array", "object", "geopoint", "pointer:A"]
    names = [f"c{number}" for number in range(len(types))]
    empty = "," * len(types)
    text = f"{','.join(types)},string\n{','.join(names)},last\n{empty}x\n"
    assert read(text) == [(3, {"last": "x"}, "")]


BAD = {
    "int": "1.5",
    "long": "9" * 30,
    "number": "1e999",
    "double": "nan",
    "date": "soon",
    "boolean": "yes",
    "array": "{}",
    "object": "[1",
    "geopoint": "200 10",
}


@pytest.mark.parametrize("type_", BAD)
def test_a_row_with_a_bad_cell_is_told_and_the_others_are_read(type_: str) -> None:
    found = read(f"string,{type_}\na,b\none,{BAD[type_]}\ntwo,\n")
    assert found == [(3, None, f"b is {BAD[type_]!r}, which is no {type_}"), (4, {"a": "two"}, "")]


def test_lines_are_counted_over_cells_of_several_lines() -> None:
    found = read('string,int\r\na,b\r\n"x\r\ny",1\r\n\r\nz,no\r\n')
    assert found == [(3, {"a": "x\r\ny", "b": 1}, ""), (6, None, "b is 'no', which is no int")]


def test_a_byte_order_mark_and_what_is_no_utf_8_are_taken() -> None:
    assert read(b"\xef\xbb\xbfstring\nname\n\xff\n") == [(3, {"name": "\udcff"}, "")]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("a,b\nstring,string\n", "the first row has 'a', which is none of the types int, long"),
        ("string\na,b\nx,y\n", "the first row must have the types of all columns"),
        ("string,string\na,a\nx,y\n", "the first row must have the types of all columns"),
        ("string\n", "the first row must have the types of all columns"),
        ('string\n"a"x\n', "no CSV: ',' expected after '\"'"),
    ],
)
def test_a_file_without_its_two_first_rows_is_told(text: str, mistake: str) -> None:
    ((line, row, told),) = read(text)
    assert (line, row) == (1, None)
    assert told.startswith(mistake)


def test_rows_of_other_lengths_and_open_quotes_are_told() -> None:
    found = read('string,string\na,b\nx\ny,"z\n')
    assert found == [(3, None, "there are 1 cells, not 2"), (4, None, "no CSV: unexpected end of data")]


def test_nothing_is_read_of_an_empty_file() -> None:
    assert read("") == []


def test_the_name_of_the_file_or_an_option_says_the_class(home: Home) -> None:
    lines = ["string,array,string", "objectId,m,c", 'a,"[""alice""]",alice']
    assert home.bring_in(write(home, "_Conversation.csv", *lines))["_Conversation"]["new"] == 1
    other = write(home, "some.CSV", *lines[:2], "b,[],bob")
    assert home.bring_in(other, "--class", "_Conversation")["_Conversation"]["new"] == 1
    assert home.bring_in(other) == {}
    assert home.left_out == ["some.CSV"]


def test_bad_rows_stand_in_the_report(home: Home) -> None:
    lines = ["string,array", "objectId,m", "a,[]", "b,alice", "c,[]"]
    assert home.bring_in(write(home, "_Conversation.csv", *lines))["_Conversation"] == {"read": 3, "new": 2, "bad": 1}
    (entry,) = home.reported()
    assert (entry["file"], entry["line"]) == ("_Conversation.csv", 4)
    assert entry["left out"] == "m is 'alice', which is no array"


def test_what_is_missing_is_made_once_and_what_is_there_stays(home: Home) -> None:
    """Ids and dates that are absent are generated; an id that is there is never overwritten."""
    file = write(home, "_Conversation.csv", "array,string", "m,name", '"[""alice""]",one', "[],two")
    assert home.bring_in(file)["_Conversation"] == {"read": 2, "new": 2}
    first = home.export("first")["_Conversation"]
    assert {row["name"] for row in first} == {"one", "two"}
    assert all(row["createdAt"] >= date(NOW) for row in first)
    assert home.bring_in(file)["_Conversation"] == {"read": 2, "same": 2}
    again = write(home, "_Conversation.csv", "string,string", "objectId,name", f"{first[0]['objectId']},other")
    assert home.bring_in(again)["_Conversation"] == {"read": 1, "same": 1}
    assert home.export("second")["_Conversation"] == first


def test_users_installations_and_files_need_no_dates_either(home: Home) -> None:
    known = object_id()
    write(home, "_User.csv", "string,string,string", "objectId,username,bcryptPassword", f"{known},ann,")
    write(home, "_Installation.csv", "string,string,boolean", "deviceType,deviceToken,valid", "ios,abc,true")
    write(home, "_File.csv", "string,string,object", "name,url,metaData", 'a.png,https://x.example/a,"{""size"": 1}"')
    for name in ("_User", "_Installation", "_File"):
        assert home.bring_in(home.folder / f"{name}.csv")[name] == {"read": 1, "new": 1}
        assert home.bring_in(home.folder / f"{name}.csv")[name] == {"read": 1, "same": 1}
    assert all(row["updatedAt"] >= date(NOW) for rows in home.export().values() for row in rows)
