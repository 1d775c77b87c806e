"""The conditions of the SDKs, parsed; what can't be answered is refused with one clear error."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan import errors
from hongyan.engine.query import SORTABLE, Predicate, Query, parse
from hongyan.errors import Refused

MINE = (Predicate("m", "$eq", "ann"),)
DEFAULT_SORT = (("lm", True), ("createdAt", True))


@pytest.mark.parametrize("where", ["", "{}", " { } "])
def test_no_condition_means_ones_own_conversations(where: str) -> None:
    assert parse("ann", where) == Query(MINE, DEFAULT_SORT)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"objectId": "a"}, [("objectId", "$eq", "a")]),
        ({"objectId": {"$in": ["a", "b"]}}, [("objectId", "$in", ["a", "b"])]),
        ({"m": "ann"}, [("m", "$eq", "ann")]),
        ({"m": {"$in": []}}, [("m", "$in", [])]),
        ({"m": {"$all": ["ann", "bob"], "$size": 2}}, [("m", "$all", ["ann", "bob"]), ("m", "$size", 2)]),
        ({"m": {"$size": 0}}, [("m", "$size", 0)]),
        ({"c": "ann", "name": ""}, [("c", "$eq", "ann"), ("name", "$eq", "")]),
        ({"name": {"$eq": "名"}}, [("name", "$eq", "名")]),
        (
            {"unique": True, "tr": False, "sys": {"$eq": False}},
            [
                ("unique", "$eq", True),
                ("tr", "$eq", False),
                ("sys", "$eq", False),
            ],
        ),
    ],
)
def test_conditions(where: dict[str, Any], expected: list[tuple[str, str, Any]]) -> None:
    assert parse("ann", json.dumps(where)).predicates == tuple(Predicate(*each) for each in expected)


@pytest.mark.parametrize(
    "where",
    [
        "{",
        "[]",
        "null",
        '"m"',
        "1",
        "[" * 100_000,
        {"attr.colour": "red"},
        {"mu": "ann"},
        {"createdAt": "2026-01-01"},
        {"$or": [{"m": "ann"}]},
        {"": 1},
        {"m": {"$ne": "ann"}},
        {"m": {"$nin": ["ann"]}},
        {"m": {}},
        {"m": None},
        {"m": ["ann"]},
        {"m": 1},
        {"m": {"$all": "ann"}},
        {"m": {"$all": ["ann", 1]}},
        {"m": {"$all": ["ann"], "more": 1}},
        {"m": {"$in": ["x"] * 1001}},
        {"m": {"$size": "2"}},
        {"m": {"$size": True}},
        {"m": {"$size": 2.0}},
        {"m": {"$size": -1}},
        {"m": {"$size": 10**30}},
        {"objectId": {"$all": ["a"]}},
        {"objectId": {"__type": "Pointer"}},
        {"objectId": 7},
        {"c": {"$in": ["ann"]}},
        {"name": {"$regex": ".*"}},
        {"name": None},
        {"unique": 1},
        {"unique": "true"},
        {"tr": None},
        '{"name": "\\ud800"}',
        {"x" * 1000: 1},
        {"m": {"$" + "x" * 1000: 1}},
    ],
)
def test_what_cannot_be_answered_is_refused(where: Any) -> None:
    with pytest.raises(Refused) as refusal:
        parse("ann", where if isinstance(where, str) else json.dumps(where))
    assert refusal.value.kind is errors.CONVERSATION_QUERY_FAILED
    assert 0 < len(refusal.value.detail) < 200


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", DEFAULT_SORT),
        ("lm", (("lm", False),)),
        ("-name, createdAt", (("name", True), ("createdAt", False))),
        ("-updatedAt,-objectId", (("updatedAt", True), ("objectId", True))),
    ],
)
def test_orders(sort: str, expected: tuple[tuple[str, bool], ...]) -> None:
    assert parse("ann", "", sort=sort).sort == expected


@pytest.mark.parametrize("sort", ["attr", "lm,", "--lm", "lm;name", "m", "-", ",", "lm desc", "x" * 1000])
def test_other_orders_are_refused(sort: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse("ann", "", sort=sort)
    assert refusal.value.kind is errors.CONVERSATION_QUERY_FAILED


@pytest.mark.parametrize(("given_limit", "limit"), [(None, 10), (0, 0), (1, 1), (999, 999), (1001, 1000), (-5, 0)])
def test_limits(given_limit: int | None, limit: int) -> None:
    assert parse("ann", "", limit=given_limit).limit == limit


def test_skips_and_flags() -> None:
    assert [parse("ann", "", skip=skip).skip for skip in (0, 7, -7)] == [0, 7, 0]
    parsed = [parse("ann", "", flag=flag) for flag in range(5)]
    assert [query.compact for query in parsed] == [False, True, False, True, False]
    assert [query.with_last_message for query in parsed] == [False, False, True, True, False]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["m", "$all", "$in", "$size"]), inner),
)


@given(st.text() | JSON.map(json.dumps), st.text() | st.sampled_from(sorted(SORTABLE)), st.integers(), st.integers())
def test_anything_is_parsed_or_refused(where: str, sort: str, limit: int, skip: int) -> None:
    with contextlib.suppress(Refused):
        query = parse("ann", where, sort=sort, limit=limit, skip=skip)
        assert query.predicates
        assert query.sort
