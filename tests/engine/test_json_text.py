"""JSON from clients: what comes in can go out again, through any parser."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan.engine import json_text

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@given(VALUES)
def test_every_value_comes_through(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert json_text.parse(text) == value


def test_as_deep_as_it_may_be() -> None:
    assert json_text.parse(nested(json_text.NESTING_MAX)) == json.loads(nested(json_text.NESTING_MAX))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nothing",
        "{'a': 1}",
        "[1,]",
        "NaN",
        '{"a": Infinity}',
        "[-Infinity]",
        "1e999",
        '{"a": [-1e999]}',
        '"\\ud800"',
        '{"\\udfff": 1}',
        "1" * 5000,
        nested(json_text.NESTING_MAX + 1),
        nested(30_000),
        '{"a":' * 30_000,
        '{"a":' * 101 + "1" + "}" * 101,
    ],
)
def test_what_cannot_go_out_again_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  what it says is for nobody: each caller has its own words
        json_text.parse(text)


@pytest.mark.parametrize(
    "text",
    ['"\\ud83d\\ude00"', '{"\\u9d3b": "雁"}', json.dumps("[{" * 200), "[" + "[]," * 200 + "[]]", "-1.5e308", "1e-999"],
)
def test_what_only_looks_wrong_is_taken(text: str) -> None:
    assert json_text.parse(text) == json.loads(text)


def test_half_of_a_pair_as_it_is() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        json_text.parse('"\ud800"')
