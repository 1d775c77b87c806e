"""Messages as they come: what is wrong gets one sentence, what is right comes through unchanged."""

import json
from typing import Any

import msgspec
import pytest

from hongyan.errors import INVALID_VALUE, Refused
from hongyan.hub import content
from hongyan.hub.content import Card, Media, Message, Text

MEDIA = {"url": "https://pictures.example/a.png"}
#: The least that each type needs.
LEAST: dict[str, dict[str, Any]] = {
    "text": {"text": "hello"},
    "markdown": {"text": "**hello**"},
    "image": {"media": MEDIA},
    "file": {"media": {"file": "f1", "name": "report.pdf"}},
    "audio": {"media": {**MEDIA, "seconds": 2.5}},
    "video": {"media": MEDIA, "cover": MEDIA},
    "link": {"title": "News", "url": "https://news.example/1?a=1&b=(2)"},
    "location": {"latitude": 39.9, "longitude": 116.4},
    "articles": {"items": [{"title": "News", "url": "https://news.example/1"}]},
    "table": {"columns": ["name", "value"], "rows": [["cpu", "90 %"], ["disk\nsda"]]},
    "card": {
        "title": "Approve?",
        "buttons": [{"text": "Yes", "id": "yes"}, {"text": "More", "url": "http://x.example"}],
    },
}


def body(type_: str, **more: Any) -> bytes:
    """The message of this type with these fields besides, or instead."""
    return json.dumps({"content": {"type": type_, **LEAST[type_], **more}}).encode()


def refusal(given: bytes) -> str:
    with pytest.raises(Refused) as refused:
        content.parse(given)
    assert refused.value.kind is INVALID_VALUE
    text = refused.value.detail
    assert "\n" not in text
    assert len(text) < 300
    return text


def test_every_type_has_an_example_here() -> None:
    assert LEAST.keys() == content.TYPES.keys()


@pytest.mark.parametrize("type_", LEAST)
def test_each_type_comes_through(type_: str) -> None:
    message = content.parse(body(type_))
    assert isinstance(message.content, content.TYPES[type_])
    assert content.parse(content.encode(message)) == message


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (b"", "the message is not JSON"),
        (b"{", "the message is not JSON"),
        (b"\xff\xfe{}", "the message is not JSON"),
        (b'{"content":{"type":"text","text":"\\ud800"}}', "the message is not JSON"),
        (b'{"content":{"type":"text","text":NaN}}', "the message is not JSON"),
        (b"[" * 100_000, "the message:"),
        (b'{"content":' + b'{"type":"card","title":' * 5_000, "the message:"),
        (b"[]", "the message: Expected `object`, got `array`"),
        (b"{}", "missing required field `content`"),
        (b'{"content":{"text":"a"}}', "missing required field `type`"),
        (b'{"content":{"type":"sticker"}}', "Invalid value 'sticker'"),
        (b'{"content":{"type":"text","text":"a","bold":true}}', "unknown field `bold`"),
        (b'{"content":{"type":"text","text":"a"},"to":"x"}', "unknown field `to`"),
        (b'{"content":{"type":"text","text":1}}', "Expected `str`, got `int`"),
        (b'{"content":{"type":"text","text":"' + b"a" * 131_072 + b'"}}', "at most 131,072 bytes"),
    ],
)
def test_what_is_no_message(given: bytes, why: str) -> None:
    assert why in refusal(given)


def test_a_body_nested_deeper_than_any_type_is() -> None:
    given = b'{"content":{"type":"table","columns":["a"],"rows":' + b"[" * 60_000 + b"]" * 60_000 + b"}}"
    assert "the message: Expected `str`, got `array`" in refusal(given)


@pytest.mark.parametrize(
    ("type_", "fields", "why"),
    [
        ("text", {"text": " \n"}, "text is missing"),
        ("text", {"text": "a" * 40_001}, "text has at most 40,000 characters"),
        ("markdown", {"text": ""}, "text is missing"),
        ("markdown", {"title": "a" * 301}, "title has at most 300 characters"),
        ("markdown", {"title": "a\nb"}, "title is one line"),
        ("markdown", {"level": "fatal"}, "Invalid enum value 'fatal'"),
        ("image", {"media": {}}, "what is shown or attached has one of url, file"),
        ("image", {"media": {"url": "http://x.example", "file": "f"}}, "has one of url, file"),
        ("image", {"media": {"url": "file:///etc/passwd"}}, "an address begins with http:// or https://"),
        ("image", {"media": {"url": "https://"}}, "an address begins with"),
        ("image", {"media": {**MEDIA, "type": "a/b\r\nX: y"}}, "type is one line"),
        ("audio", {"media": {**MEDIA, "seconds": -1}}, "seconds is 0 or more"),
        ("audio", {"media": {**MEDIA, "seconds": 90_000}}, "seconds is 0 or more"),
        ("link", {"url": "javascript:alert(1)"}, "an address begins with"),
        ("link", {"url": ""}, "url is missing"),
        ("link", {"title": " "}, "title is missing"),
        ("link", {"url": "https://x.example/a b"}, "has no white space"),
        ("link", {"url": "https://x.example/" + "a" * 3000}, "at most 3,000 characters"),
        ("location", {"latitude": 90.1}, "latitude is between"),
        ("location", {"longitude": -181}, "latitude is between"),
        ("location", {"latitude": 1e308}, "latitude is between"),
        ("articles", {"items": []}, "there are 1 to 10 articles, not 0"),
        ("articles", {"items": LEAST["articles"]["items"] * 11}, "there are 1 to 10 articles, not 11"),
        ("articles", {"items": [{"title": "", "url": "https://x.example"}]}, "title is missing"),
        ("table", {"columns": []}, "there are 1 to 12 columns, not 0"),
        ("table", {"columns": ["a"] * 13, "rows": []}, "there are 1 to 12 columns, not 13"),
        ("table", {"rows": [["a"]] * 101}, "there are at most 100 rows, not 101"),
        ("table", {"rows": [["a", "b", "c"]]}, "no more cells than there are columns"),
        ("table", {"rows": [["a" * 301]]}, "text has at most 300 characters"),
        ("table", {"columns": ["a\nb", "c"]}, "columns is one line"),
        ("card", {"title": ""}, "title is missing"),
        ("card", {"fields": [{"name": "a", "value": "b"}] * 51}, "there are at most 50 fields, not 51"),
        ("card", {"buttons": [{"text": str(n), "id": str(n)} for n in range(26)]}, "at most 25 buttons, not 26"),
        ("card", {"buttons": [{"text": "a"}]}, "a button has one of url, id"),
        ("card", {"buttons": [{"text": "a", "id": "1", "url": "http://x.example"}]}, "a button has one of url, id"),
        ("card", {"buttons": [{"text": "", "id": "1"}]}, "the text of a button is missing"),
        ("card", {"buttons": [{"text": "a\nb", "id": "1"}]}, "text is one line"),
        ("card", {"buttons": [{"text": "a", "id": "1"}, {"text": "b", "id": "1"}]}, "differ from each other"),
        ("card", {"form": {"id": "f", "inputs": []}}, "there are 1 to 10 inputs, not 0"),
        ("card", {"form": {"id": "", "inputs": [{"id": "a", "label": "A"}]}}, "the id of a form is missing"),
        ("card", {"form": {"id": "f", "inputs": [{"id": "", "label": "A"}]}}, "the id of an input is missing"),
        ("card", {"form": {"id": "yes", "inputs": [{"id": "a", "label": "A"}]}}, "differ from each other"),
        ("card", {"form": {"id": "f", "inputs": [{"id": "a", "label": "A", "kind": "select"}]}}, "1 to 100 options"),
    ],
)
def test_what_is_wrong_within(type_: str, fields: dict[str, Any], why: str) -> None:
    assert why in refusal(body(type_, **fields))


@pytest.mark.parametrize(
    ("mention", "why"),
    [
        ({}, "a mention has one of user, mobile, email, everyone"),
        ({"user": "u", "everyone": True}, "a mention has one of"),
        ({"name": "Tom"}, "a mention has one of"),
        ({"user": "u\n"}, "user is one line"),
        ({"user": "a\nb"}, "user is one line"),
    ],
)
def test_mentions(mention: dict[str, Any], why: str) -> None:
    given = json.dumps({"content": {"type": "text", "text": "a"}, "mentions": [mention]}).encode()
    assert why in refusal(given)


def test_too_many_mentions() -> None:
    given = json.dumps({"content": {"type": "text", "text": "a"}, "mentions": [{"user": "u"}] * 101}).encode()
    assert refusal(given) == "there are at most 100 mentions, not 101"


def test_messages_made_by_the_server_are_checked_as_well() -> None:
    with pytest.raises(Refused):
        content.check(Message(Card("title", image=Media())))
    content.check(Message(Text("a" * 40_000)))


def test_what_is_default_is_not_written() -> None:
    assert msgspec.json.decode(content.encode(Message(Text("a")))) == {"content": {"type": "text", "text": "a"}}
