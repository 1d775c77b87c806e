"""What messages say, as text and bytes."""

import json
from dataclasses import dataclass

import pytest
from hongyan_client import (
    Audio,
    Binary,
    Content,
    File,
    Image,
    Location,
    Raw,
    Recalled,
    Text,
    Typed,
    Video,
    message_type,
)
from hongyan_client.content import decode, encode

BODIES = {
    '{"_lctype": -1, "_lctext": "hi", "_lcattrs": {"a": 1}}': Text("hi", {"a": 1}),
    '{"_lctype": -2, "_lcfile": {"url": "u", "metaData": {"width": 1}, "objId": "o"}, "_lctext": "c"}': Image(
        "u", "c", {"width": 1}, "o"
    ),
    '{"_lctype": -3, "_lcfile": {"url": "u", "metaData": {}}, "_lctext": ""}': Audio("u"),
    '{"_lctype": -4, "_lcfile": {"url": "u", "metaData": {}}, "_lctext": ""}': Video("u"),
    '{"_lctype": -5, "_lcloc": {"latitude": 1.5, "longitude": 2.5}, "_lctext": "x"}': Location(1.5, 2.5, "x"),
    '{"_lctype": -6, "_lcfile": {"url": "u", "metaData": {}}, "_lctext": ""}': File("u"),
    '{"_lctype": -127}': Recalled(),
}


@pytest.mark.parametrize(("body", "content"), list(BODIES.items()))
def test_typed_contents(body: str, content: Content) -> None:
    assert json.loads(str(encode(content))) == json.loads(body)
    assert decode(body) == content


@pytest.mark.parametrize(
    "body",
    [
        *("", "hi", "{}", "[]", "5", "null", "{", "[" * 100_000),
        *('{"_lctype": 99999}', '{"_lctype": -5}', '{"_lctype": [-1]}', '{"_lctype": -2, "_lcfile": 5}'),
        '{"_lctype": -5, "_lcloc": {"latitude": "x"}}',
    ],
)
def test_text_of_no_known_type_stays_as_it_is(body: str) -> None:
    assert decode(body) == Raw(body)
    assert encode(Raw(body)) == body


def test_bytes() -> None:
    assert decode(b"\xff") == Binary(b"\xff")
    assert encode(Binary(b"\xff")) == b"\xff"


def test_files_of_other_sdks_may_lack_parts() -> None:
    assert decode('{"_lctype": -6, "_lcfile": {"url": "u"}, "_lctext": null}') == File("u")


def test_own_types_have_numbers_of_their_own() -> None:
    @message_type(501)
    @dataclass(frozen=True)
    class Vote(Typed):
        choice: str
        text: str = ""

    assert json.loads(str(encode(Vote("yes", "!")))) == {"_lctype": 501, "choice": "yes", "_lctext": "!"}
    assert decode('{"_lctype": 501, "choice": "yes", "more": 1}') == Vote("yes")
    assert isinstance(decode('{"_lctype": 501}'), Raw)
    with pytest.raises(ValueError, match=r"501 is .*Vote"):

        @message_type(501)
        @dataclass(frozen=True)
        class Other(Typed):
            pass

    with pytest.raises(ValueError, match="above 0"):
        message_type(-1)


def test_a_type_without_a_number_is_not_sent() -> None:
    @dataclass(frozen=True)
    class Loose(Typed):
        text: str

    with pytest.raises(ValueError, match="no message type"):
        encode(Loose("x"))
