"""Variables: what may be given is said by a schema, and one sentence says what is wrong."""

import json
from typing import Any

import msgspec
import pytest

from hongyan.errors import Refused
from hongyan.hub.variables import Schema, check_schema, example, fill


def schema(**properties: Any) -> Schema:
    return msgspec.json.decode(json.dumps({"type": "object", "properties": properties, "required": [
        name for name, each in properties.items() if not each.pop("optional", False)
    ]}), type=Schema)  # fmt: skip


ALL = schema(
    name={"type": "string", "minLength": 2, "maxLength": 4},
    level={"type": "string", "enum": ["low", "high"]},
    count={"type": "integer", "minimum": 1, "maximum": 10},
    share={"type": "number", "optional": True, "default": 0.5},
    on={"type": "boolean", "optional": True},
    hosts={
        "type": "array",
        "maxItems": 2,
        "items": {"type": "object", "properties": {"ip": {"type": "string"}}, "required": ["ip"]},
        "optional": True,
    },
)
GOOD: dict[str, Any] = {"name": "Tom", "level": "low", "count": 3}


def test_what_is_not_given_is_the_default_or_null() -> None:
    check_schema(ALL)
    assert fill(ALL, GOOD) == {**GOOD, "share": 0.5, "on": None, "hosts": None}
    given = {**GOOD, "share": 1, "on": True, "hosts": [{"ip": "10.0.0.1"}]}
    assert fill(ALL, given) == given


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"name": None}, "`name` is a string, not null"),
        ({"name": 5}, "`name` is a string, not number"),
        ({"name": "T"}, "`name` has 2 to 4 characters"),
        ({"name": "Thomas"}, "`name` has 2 to 4 characters"),
        ({"level": "middle"}, "`level` is one of 'low', 'high'"),
        ({"count": 0}, "`count` is at least 1 and at most 10"),
        ({"count": 1.5}, "`count` is an integer, not number"),
        ({"count": True}, "`count` is an integer, not boolean"),
        ({"on": 1}, "`on` is a boolean, not number"),
        ({"hosts": {}}, "`hosts` is an array, not object"),
        ({"hosts": [{"ip": "a"}] * 3}, "`hosts` has 0 to 2 elements"),
        ({"hosts": [{"ip": "a"}, {}]}, "the variable `hosts[1].ip` is missing"),
        ({"hosts": [{"ip": "a", "port": 1}]}, "there is no variable `hosts[0].port`"),
        ({"hst": 1}, "there is no variable `hst`"),
    ],
)
def test_what_is_wrong(given: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused) as refused:
        fill(ALL, {**GOOD, **given})
    assert refused.value.detail == why


def test_what_is_missing() -> None:
    with pytest.raises(Refused, match="the variable `name` is missing"):
        fill(ALL, {})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"type": "string"}, "the schema of variables has the type object"),
        ({"type": "object", "required": ["a"]}, "`a` is required, but is no property"),
        ({"type": "object", "properties": {"_a": {"type": "string"}}}, "can't be the name of a variable"),
        ({"type": "object", "properties": {"a-b": {"type": "string"}}}, "can't be the name of a variable"),
        ({"type": "object", "properties": {"a": {"type": "string", "maxLength": 10**9}}}, "maxLength is at most"),
        ({"type": "object", "properties": {"a": {"type": "string", "default": 5}}}, "the default of a. is a string"),
        ({"type": "object", "properties": {f"a{n}": {"type": "string"} for n in range(101)}}, "at most 100 properties"),
    ],
)
def test_what_is_no_schema(given: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why):
        check_schema(msgspec.convert(given, Schema))


def test_a_deep_schema() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(5):
        deep = {"type": "object", "properties": {"a": deep}}
    with pytest.raises(Refused, match="at most 4 levels deep"):
        check_schema(msgspec.convert(deep, Schema))


def test_arrays_in_arrays_that_nobody_could_fill() -> None:
    """Their example would have a thousand million elements."""
    deep: dict[str, Any] = {"type": "array", "minItems": 1000}
    for _ in range(2):
        deep = {"type": "array", "minItems": 1000, "items": deep}
    with pytest.raises(Refused, match="has at most 20,000 values"):
        check_schema(msgspec.convert({"type": "object", "properties": {"a": deep}}, Schema))


def test_an_example_satisfies() -> None:
    made = example(ALL)
    assert fill(ALL, made) == made
    assert made == {"name": "text", "level": "low", "count": 1, "share": 0.5, "on": True, "hosts": [{"ip": "text"}]}
    assert example(schema(a={"type": "string", "examples": ["db-1"]})) == {"a": "db-1"}
