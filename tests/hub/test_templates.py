"""Templates: what they write, and that they can do nothing else."""

import json
import time
from typing import Any

import msgspec
import pytest

from hongyan.errors import INVALID_VALUE, Refused
from hongyan.hub.content import Card, Field, Link, Location, Markdown, Media, Table, Text
from hongyan.hub.template_filters import FILTERS
from hongyan.hub.templates import Template, choose, fill_in, parse

STRING = {"type": "string"}
ANYTHING = {"type": "array"}


def make(content: dict[str, Any], variables: dict[str, Any] | None = None, **more: Any) -> Template:
    """A template in one language; all its variables have to be given."""
    properties = variables or {}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return parse(json.dumps({"languages": {"default": {"content": content}}, "variables": schema, **more}).encode())


def text(source: str, **given: Any) -> str:
    """What this text becomes as plain text, with these variables."""
    kinds = {str: STRING, bool: {"type": "boolean"}, int: {"type": "number"}, float: {"type": "number"}, list: ANYTHING}
    message = fill_in(make({"type": "text", "text": source}, {n: kinds[type(v)] for n, v in given.items()}), given)
    assert isinstance(message.content, Text)
    return message.content.text


def refusal(source: str, **given: Any) -> str:
    with pytest.raises(Refused) as refused:
        text(source, **given)
    assert refused.value.kind is INVALID_VALUE
    assert "\n" not in refused.value.detail
    return refused.value.detail


@pytest.mark.parametrize(
    ("source", "given", "becomes"),
    [
        ("no {variables}", {}, "no {variables}"),
        ("{{ a }}, {{a}}!", {"a": "x*y"}, "x*y, x*y!"),
        ("{{ a }}", {"a": 5}, "5"),
        ("{{ a }}", {"a": 5.0}, "5"),
        ("{{ a / 2 }}", {"a": 5}, "2.5"),
        ("{{ 7 // 2 * 3 - 1 + 7 % 4 }}", {}, "11"),
        ("{{ a + '!' }}", {"a": "x"}, "x!"),
        ("{{ a }}", {"a": True}, "true"),
        ("{% if a > 90 %}high{% elif a > 50 %}middle{% else %}low{% endif %}", {"a": 60}, "middle"),
        ("{{ 'x' if a and not b else 'y' }}", {"a": True, "b": False}, "x"),
        ("{% for x in a %}{{ loop.index }}={{x}}{{ '' if loop.last else ',' }}{% endfor %}", {"a": [3, 4]}, "1=3,2=4"),
        ("{% for x in a if x.on %}{{ x.name }}{% else %}none{% endfor %}", {"a": [{"on": False, "name": "n"}]}, "none"),
        ("{{ a[0].items }}", {"a": [{"items": "i"}]}, "i"),
        ("{{ a[1]['b'] }}", {"a": [0, {"b": "c"}]}, "c"),
        ("{{ a }} {{ a|join('/') }} {{ a|length }}", {"a": [1, "b"]}, "1, b 1/b 2"),
        ("{{ a|upper }} {{ a|trim|capitalize }} {{ a|truncate(4) }}", {"a": "abc def"}, "ABC DEF Abc def abc…"),
        ("{{ a|default('none') }}", {"a": ""}, "none"),
        ("{{ a[0].no|default('none') }}", {"a": [{"b": 1}]}, "none"),
        ("{{ a|tojson }} {{ a[1]|tojson }}", {"a": ["\"é", {"b": None}]}, '["\\"é", {"b": null}] {"b": null}'),
        ("{{ a|round(1) }} {{ a|int }} {{ a|round }}", {"a": 2.55}, "2.5 2 3"),
        ("{{ a|sort|reverse|first }} {{ a|sum }} {{ a|max }}", {"a": [1, 3, 2]}, "3 6 3"),
        ("{{ a|date('%Y-%m-%d') }}", {"a": 1_700_000_000}, "2023-11-14"),
        ("{{ a|round(-2) }} {{ a|round(-999999999) }}", {"a": 1250}, "1200 0"),  # a number with as many digits
        ("{{ 3 is odd }} {{ 3 in [1, 3] }}", {}, "true true"),
        ("{# not seen #}a{% raw %}{{ b }}{% endraw %}", {}, "a{{ b }}"),
        ("line\n", {}, "line\n"),
    ],
)  # fmt: skip
def test_what_texts_become(source: str, given: dict[str, Any], becomes: str) -> None:
    assert text(source, **given) == becomes


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ a.__class__ }}", "there is nothing called `__class__`"),
        ("{{ ''.__class__.__mro__ }}", "there is nothing called"),
        ("{{ a|attr('__class__') }}", "there is no filter `attr`"),
        ("{{ self }}", "there is nothing called `self`"),
        ("{{ cycler }}{{ lipsum }}", "there is no variable"),
        ("{{ range(10**9) }}", "calls nothing"),
        ("{{ a.upper() }}", "calls nothing"),
        ("{{ 'a' * 10**9 }}", "has no pow"),
        ("{{ 'a' ~ 'b' }}", "has no concat"),
        ("{{ '%1000000000d'|format(1) }}", "there is no filter `format`"),
        ("{{ a|center(1000000000) }}", "there is no filter `center`"),
        ("{{ a|map('upper') }}", "there is no filter `map`"),
        ("{% macro f() %}{{ f() }}{% endmacro %}", "has no macros"),
        ("{% set x = 1 %}", "sets nothing"),
        ("{% set ns.x = 1 %}", "sets nothing"),
        ("{% include 'x' %}", "includes nothing"),
        ("{% import 'x' as y %}", "imports nothing"),
        ("{% extends 'x' %}", "extends nothing"),
        ("{% block x %}{% endblock %}", "has no block"),
        ("{% filter upper %}a{% endfilter %}", "has no filterblock"),
        ("{% for x in a recursive %}{% endfor %}", "no recursive loops"),
        ("{{ a|join(*a) }}", "no `*` before arguments"),
        ("{{ a is divisibleby(2) }}", "there is no test `divisibleby`"),
        ("{{ b }}", "there is no variable `b`"),
        ("{{ a", "it can't be read"),
        ("{% if a %}", "it can't be read"),
        ("{% nothing %}", "it can't be read"),
        ("{{ " + "(" * 5000 + "a", "nested too deep"),
        ("{{ " + "[" * 100 + "a" + "]" * 100 + "}}", "nested too deep"),
        ("{% for x in a %}" * 30 + "{% endfor %}" * 30, "nested too deep"),
        ("{{ 1e400 }}", "a number in it is too large"),
        ("a" * 40_001, "at most 40,000 characters"),
        ("{{ [" + "a|upper," * 4000 + "]|length }}", "more than 200 elements"),
    ],
)
def test_what_no_template_may_have(source: str, why: str) -> None:
    """It is refused when it is kept, not when it is used."""
    with pytest.raises(Refused) as refused:
        make({"type": "text", "text": source}, {"a": STRING})
    assert why in refused.value.detail
    assert refused.value.detail.startswith("default, content.text: ")


@pytest.mark.parametrize(
    ("source", "given", "why"),
    [
        ("{{ a.b.c }}", {"a": ["x"]}, "has no attribute 'b'"),
        ("{{ a['__class__'] }}", {"a": "x"}, "has no attribute '__class__'"),
        ("{{ a * b }}", {"a": "x", "b": 10**9}, "`*` is for numbers"),
        ("{{ a * a * a }}", {"a": 10**9}, "`*` is for numbers up to 10^15"),
        ("{{ a % b }}", {"a": "%1000000000d", "b": 1}, "`%` is for numbers"),
        ("{{ a + a }}", {"a": [1]}, "`+` is for numbers"),
        ("{% for x in a %}{% endfor %}", {"a": "text"}, "a loop goes through an array"),
        ("x{{ a[0] }}", {"a": [{"b": 1}]}, "an object can't be printed"),
        ("{{ a|sort }}", {"a": [1, "b"]}, "can't be worked out"),
        ("{{ a // b }}", {"a": 1, "b": 0}, "can't be worked out"),
        ("{{ a|date('%c') }}", {"a": 1}, "no form of a date"),
        ("{{ a|int }}", {"a": "many"}, "can't be worked out"),
        ("{{ 'inf'|float|int }}", {}, "can't be worked out"),
        ("{{ 'nan'|float|tojson }}", {}, "can't be worked out"),
        ("{{ a[0].no|tojson }}", {"a": [{}]}, "has no attribute 'no'"),
        ("{{ '\\ud800' }}", {}, "half of a character is in it"),
        ("{{ a|date }}", {"a": 10**17}, "it is no date"),
        (" {{ a }} ", {"a": " "}, "text is missing"),
    ],
)
def test_what_fails_with_some_variables(source: str, given: dict[str, Any], why: str) -> None:
    assert why in refusal(source, **given)


LOOP = "{% for x in a %}"
MANY = list(range(1000))


@pytest.mark.parametrize(
    ("source", "given", "why"),
    [
        (LOOP * 3 + "{% endfor %}" * 3, {"a": MANY}, "more than 20,000 turns"),
        (LOOP * 19 + "{% endfor %}" * 19, {"a": [1] * 100}, "more than 20,000 turns"),
        (LOOP + "{{ b }}{% endfor %}", {"a": MANY, "b": "x" * 20_000}, "would become too long"),
        ("{{ " + "+".join("b" * 50) + " }}", {"b": "x" * 20_000}, "would become too long"),
        ("{{ b|join(c) }}", {"b": MANY, "c": "x" * 20_000}, "would become too long"),
        ("{{ [" + "b," * 190 + "] }}", {"b": "x" * 20_000}, "would become too long"),
        ("{{ [" + "b," * 190 + "]|tojson|length }}", {"b": "x" * 20_000}, "would become too long"),
        (
            "{{ [" + "[" + "b," * 4 + "]," * 1 + "[" + "b," * 150 + "]] }}",
            {"b": "x" * 20_000},
            "would become too long",
        ),
    ],
)
def test_bombs(source: str, given: dict[str, Any], why: str) -> None:
    assert why in refusal(source, **given)


def test_one_that_takes_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    assert "takes more than 1 s" in refusal(LOOP + "{% if b == c %}{% endif %}{% endfor %}", a=MANY, b="x", c="y")


@pytest.mark.parametrize(
    "source", ["{{ a|length == a|length == 1 }}", "{{ b == b == c }}", "{{ (b is string) and (c is string) }}"]
)
def test_what_is_slow_for_large_values_looks_at_the_time(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One expression may have thousands of them."""
    now = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    assert "takes more than 1 s" in refusal(source, a=MANY, b="x", c="y")


def test_variables_in_markdown_are_no_marks() -> None:
    variables = {"a": STRING, "b": STRING}
    template = make({"type": "markdown", "text": "**{{ a }}** {{ b|raw }}", "title": "{{ a }}"}, variables)
    message = fill_in(template, {"a": "x*y_[z]", "b": "*b*"})
    assert message.content == Markdown("**x\\*y\\_\\[z\\]** *b*", "x*y_[z]")
    card = make({"type": "card", "title": "{{ a }}", "text": "{{ a }}", "footer": "{{ a }}"}, {"a": STRING})
    assert fill_in(card, {"a": "*"}).content == Card("*", "\\*", footer="*")


def test_variables_in_addresses() -> None:
    variables = {"a": STRING, "b": STRING}
    parts = {"type": "link", "title": "t", "url": "https://x.example/{{ a }}?b={{ b|raw }}"}
    assert fill_in(make(parts, variables), {"a": "1/2?", "b": "c&d=e"}).content == Link(
        "t", "https://x.example/1%2F2%3F?b=c&d=e"
    )
    whole = make({"type": "link", "title": "t", "url": "{{ a }}"}, {"a": STRING})
    assert fill_in(whole, {"a": "https://x.example/?q=1"}).content == Link("t", "https://x.example/?q=1")
    with pytest.raises(Refused, match="an address begins with"):
        fill_in(whole, {"a": "javascript:alert(1)"})


def test_what_is_one_variable_may_be_more_than_text() -> None:
    table = make({"type": "table", "columns": ["a", "b"], "rows": "{{ rows }}"}, {"rows": ANYTHING})
    assert fill_in(table, {"rows": [["1", "2"]]}).content == Table(("a", "b"), (("1", "2"),))
    place = make(
        {"type": "location", "latitude": "{{ at.lat }}", "longitude": "{{ at.lon }}"},
        {"at": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}}},
    )
    assert fill_in(place, {"at": {"lat": 1.5, "lon": -2}}).content == Location(1.5, -2)
    with pytest.raises(Refused, match="with these variables the message is wrong"):
        fill_in(table, {"rows": [{"a": "1"}]})


def test_what_is_null_is_left_out() -> None:
    picture = {"type": "object", "properties": {"url": STRING}}
    template = parse(
        json.dumps(
            {
                "languages": {
                    "default": {
                        "content": {
                            "type": "card",
                            "title": "t",
                            "image": "{{ image }}",
                            "fields": [{"name": "a", "value": "b"}, "{{ field }}"],
                        }
                    }
                },
                "variables": {
                    "type": "object",
                    "properties": {
                        "image": picture,
                        "field": {"type": "object", "properties": {"name": STRING, "value": STRING}},
                    },
                },
            }
        ).encode()
    )
    assert fill_in(template, {}).content == Card("t", fields=(Field("a", "b"),))
    filled = fill_in(template, {"image": {"url": "https://x.example/p"}, "field": {"name": "c", "value": "d"}})
    assert filled.content == Card("t", image=Media("https://x.example/p"), fields=(Field("a", "b"), Field("c", "d")))


def say(word: str) -> dict[str, Any]:
    return {"content": {"type": "text", "text": word}}


def test_languages_and_platforms() -> None:
    template = parse(
        json.dumps(
            {
                "languages": {"default": say("hello"), "zh": say("你好"), "zh-Hant": say("您好"), "pt-BR": say("oi")},
                "platforms": {"wecom": {"zh-CN": say("企业")}, "slack": {"default": say("hi"), "fr": say("salut")}},
            }
        ).encode()
    )

    def said(language: str = "", platform: str = "") -> str:
        return str(choose(template, language, platform)["content"]["text"])

    assert said() == said("de") == said("pt") == "hello"
    assert said("zh") == said("ZH-cn") == said("zh-Hans-CN") == "你好"
    assert said("zh-Hant-TW") == "您好"
    assert said("pt-br") == "oi"
    assert said("zh-CN", "wecom") == "企业"
    assert said("zh-TW", "wecom") == "你好"
    assert said("de", "wecom") == "hello"
    assert said("zh", "slack") == "hi"  # what a platform has of its own goes before the language
    assert said("fr-CA", "slack") == "salut"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "the template is not JSON"),
        (b"[" * 100_000, "the template:"),
        (b"{}", "missing required field `languages`"),
        (b'{"languages":{}}', "has the language `default`"),
        (b'{"languages":{"zh":{"content":{"type":"text","text":"a"}}}}', "has the language `default`"),
        (b'{"languages":{"default":{}}}', "the content of a message has a type"),
        (b'{"languages":{"default":{"content":{"type":"{{ a }}"}}}}', "the content of a message has a type"),
        (b'{"languages":{"default":{"content":{"type":"text","txt":"a"}}}}', "there is no field `txt` here"),
        (b'{"languages":{"default":{"content":{"type":"text","text":"a"},"to":"b"}}}', "there is no field `to` here"),
        (b'{"languages":{"default":{"content":{"type":"text","text":' + b"[" * 50 + b"]" * 50 + b"}}}}", "levels deep"),
        (b'{"languages":{"default":{"content":{"type":"text","text":"a"}},"x y":{}}}', "`x y` is no language"),
        (b'{"languages":{"default":{"content":{"type":"text","text":"a"}}},"name":"b"}', "unknown field `name`"),
        (b'{"languages":{"default":{"content":{"type":"text","text":"' + b"a" * 262_144 + b'"}}}}', "262,144 bytes"),
    ],
)
def test_what_is_no_template(body: bytes, why: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(body)
    assert why in refused.value.detail
    assert "\n" not in refused.value.detail


def test_too_many_texts() -> None:
    with pytest.raises(Refused, match="at most 2,000 texts"):
        make({"type": "table", "columns": ["a"], "rows": [["b"]] * 2000})


def test_a_message_made_too_long() -> None:
    template = make({"type": "table", "columns": ["a"] * 12, "rows": "{{ rows }}"}, {"rows": ANYTHING})
    with pytest.raises(Refused, match="more than 131,072 bytes"):
        fill_in(template, {"rows": [["x" * 290] * 12] * 100})


def test_templates_come_through_unchanged() -> None:
    template = make({"type": "text", "text": "{{ a }}"}, {"a": {"type": "string", "maxLength": 5}})
    assert parse(msgspec.json.encode(template)) == template


def test_filters_are_known_by_name() -> None:
    """Those of Jinja that do more than a text needs are not there."""
    assert not {"attr", "map", "format", "center", "indent", "replace", "xmlattr", "random"} & FILTERS.keys()
