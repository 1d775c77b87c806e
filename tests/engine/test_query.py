"""The conditions of the SDKs, parsed; what can't be answered is refused with one clear error."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan import errors
from hongyan.engine.conditions import (
    LIST_MAX,
    NESTING_MAX,
    PATTERNS_LENGTH_MAX,
    REGEXES_MAX,
    TERMS_MAX,
    Either,
    Every,
    Moment,
    Predicate,
)
from hongyan.engine.patterns import Kind, Pattern
from hongyan.engine.query import SKIP_MAX, Query, parse
from hongyan.errors import Refused

MINE = Predicate(("m",), "$eq", "ann")
DEFAULT_SORT = ((("lm",), True), (("createdAt",), True))
NOON = 1_800_000_000_000
DATE = {"__type": "Date", "iso": "2027-01-15T08:00:00.000Z"}


@pytest.mark.parametrize("where", ["", "{}", " { } "])
def test_no_condition_means_ones_own_conversations(where: str) -> None:
    assert parse("ann", where) == Query(MINE, DEFAULT_SORT)


def condition(where: dict[str, Any]) -> Any:
    return parse("ann", json.dumps(where)).condition


@pytest.mark.parametrize(
    ("where", "key", "operator", "value"),
    [
        ({"objectId": "a"}, "objectId", "$eq", "a"),
        ({"m": {"$in": []}}, "m", "$in", ()),
        ({"m": {"$all": ["ann", "bob"]}}, "m", "$all", ("ann", "bob")),
        ({"m": {"$size": 0}}, "m", "$size", 0),
        ({"m": 5}, "m", "$eq", 5),
        ({"name": {"$eq": "名"}}, "name", "$eq", "名"),
        ({"name": None}, "name", "$eq", None),
        ({"name": {}}, "name", "$eq", {}),
        ({"sys": {"$exists": False}}, "sys", "$exists", False),
        ({"color": {"$nin": ["red", 1, None]}}, "color", "$nin", ("red", 1, None)),
        ({"color": {"name": ["red", {"a": True}]}}, "color", "$eq", {"name": ["red", {"a": True}]}),
        ({"attr.color.name": {"$ne": 1.5}}, "attr.color.name", "$ne", 1.5),
        ({"since": DATE}, "since", "$eq", Moment(NOON)),
        ({"since": [DATE, {"a": DATE}]}, "since", "$eq", [Moment(NOON), {"a": Moment(NOON)}]),
        ({"lm": {"$lt": DATE}}, "lm", "$lt", Moment(NOON)),
        ({"lm": {"$lt": DATE["iso"]}}, "lm", "$lt", DATE["iso"]),
        ({"createdAt": {"$gte": DATE}}, "createdAt", "$gte", Moment(NOON)),
        ({"createdAt": {"$gte": DATE["iso"]}}, "createdAt", "$gte", Moment(NOON)),
        ({"updatedAt": "2027-01-15T16:00:00.0019+08:00"}, "updatedAt", "$eq", Moment(NOON + 1)),
        ({"createdAt": {"$in": ["2027-01-15", DATE]}}, "createdAt", "$in", (Moment(NOON - 28_800_000), Moment(NOON))),
        ({"count": 2**70}, "count", "$eq", 2.0**70),
        ({"count": -(2**63)}, "count", "$eq", -(2**63)),
        ({"$and": [{"name": "a"}]}, "", "", Every((Predicate(("name",), "$eq", "a"),))),
        ({"name": {"$regex": r"^\Qa.b\E", "$options": "i"}}, "name", "$regex", Pattern(Kind.PREFIX, "a.b", fold=True)),
    ],
)
def test_conditions(where: dict[str, Any], key: str, operator: str, value: Any) -> None:
    expected = Predicate(tuple(key.split(".")), operator, value) if key else value
    assert condition(where) == expected


def test_several_keys_and_operators_must_all_hold() -> None:
    a, b, c = Predicate(("a",), "$gt", 1), Predicate(("a",), "$lt", 5), Predicate(("b",), "$eq", 2)
    assert condition({"a": {"$gt": 1, "$lt": 5}, "b": 2}) == Every((a, b, c))
    assert condition({"a": {"$gt": 1}, "$or": [{"b": 2}, {"a": {"$lt": 5}, "b": 2}, {}]}) == Every(
        (a, Either((c, Every((b, c)), Every(()))))
    )


def nested(depth: int) -> dict[str, Any]:
    where: dict[str, Any] = {"a": 1}
    for _ in range(depth):
        where = {"$or": [where]}
    return where


@pytest.mark.parametrize(
    "where",
    [
        nested(NESTING_MAX),
        {f"key{n}": n for n in range(TERMS_MAX)},
        {"a": {"$in": [str(n) for n in range(LIST_MAX)]}},
        {"m": {"$all": [str(n) for n in range(LIST_MAX)]}},
        {"a": {"$all": list(range(TERMS_MAX - 1))}},
        {"a": list(range(TERMS_MAX - 2))},
        {f"key{n}": {"$regex": "a|b"} for n in range(REGEXES_MAX)},
        {f"key{n}": {"$regex": "a"} for n in range(TERMS_MAX)},
        {f"key{n}": {"$regex": "x" * (PATTERNS_LENGTH_MAX // 4)} for n in range(4)},
        {"x" * 256: 1},
        {".".join("x" * 16): 1},
    ],
    ids=lambda where: str(where)[:40],
)
def test_as_much_as_this_may_be_asked(where: dict[str, Any]) -> None:
    assert condition(where)


@pytest.mark.parametrize(
    "where",
    [
        "{",
        "[]",
        "null",
        '"m"',
        "1",
        "[" * 100_000,
        {"": 1},
        {"a.": 1},
        {"a..b": 1},
        {"m.0": "ann"},
        {"name.first": "x"},
        {"x" * 257: 1},
        {".".join("x" * 17): 1},
        {"$where": "1"},
        {"$nor": [{"a": 1}]},
        {"$or": []},
        {"$or": {"a": 1}},
        {"$and": [1]},
        {"$and": [[{"a": 1}]]},
        nested(NESTING_MAX + 1),
        {f"key{n}": n for n in range(TERMS_MAX + 1)},
        {"$or": [{}] * (TERMS_MAX + 1)},
        {"a": list(range(TERMS_MAX))},
        {"a": {str(n): n for n in range(TERMS_MAX)}},
        {"a": {"$all": list(range(TERMS_MAX))}},
        {"a": {"$in": [[1]] * TERMS_MAX}},
        {"m": {"$all": "ann"}},
        {"m": {"$all": ["ann"], "more": 1}},
        {"m": {"$in": ["x"] * (LIST_MAX + 1)}},
        {"m": {"$size": "2"}},
        {"m": {"$size": True}},
        {"m": {"$size": 2.0}},
        {"m": {"$size": -1}},
        {"m": {"$size": 10**30}},
        {"m": {"$" + "x" * 1000: 1}},
        {"a": {"$exists": 1}},
        {"a": {"$lt": None}},
        {"a": {"$gte": [1]}},
        {"a": {"$gt": {"b": 1}}},
        {"a": {"$in": [{"$regex": "x"}]}},
        {"a": {"b": {"$ne": 1}}},
        {"a": {"$not": {"$eq": 1}}},
        {"a": {"$options": "i"}},
        {"a": {"$regex": 1}},
        {"a": {"$regex": "x", "$options": 1}},
        {"a": {"$regex": "x", "$options": "g"}},
        {"a": {"$regex": "("}},
        {"a": {"$regex": "(?=x)"}},
        {"a": {"$regex": r"(x)\1"}},
        {"a": {"$regex": "x" * 1001}},
        {f"key{n}": {"$regex": "a|b"} for n in range(REGEXES_MAX + 1)},
        {"$or": [{"a": {"$regex": "x" * (PATTERNS_LENGTH_MAX // 4)}}] * 4 + [{"a": {"$regex": "x"}}]},
        {"a": {"$nearSphere": {"__type": "GeoPoint", "latitude": 0, "longitude": 0}}},
        {"a": {"$within": {"$box": []}}},
        {"a": {"$inQuery": {}}},
        {"a": {"$notInQuery": {}}},
        {"a": {"$select": {}}},
        {"a": {"__type": "Date"}},
        {"a": {"__type": "Date", "iso": 5}},
        {"a": {"__type": "Date", "iso": "yesterday"}},
        {"createdAt": "yesterday"},
        {"updatedAt": {"$in": ["now"]}},
        {"a": 10**400},
        '{"name": "\\ud800"}',
    ],
    ids=lambda where: str(where)[:40],
)
def test_what_cannot_be_answered_is_refused(where: Any) -> None:
    with pytest.raises(Refused) as refusal:
        parse("ann", where if isinstance(where, str) else json.dumps(where))
    assert refusal.value.kind is errors.CONVERSATION_QUERY_FAILED
    assert 0 < len(refusal.value.detail) < 200


@pytest.mark.parametrize("operator", ["$nearSphere", "$within", "$inQuery", "$notInQuery", "$select", "$text"])
def test_an_operator_that_is_not_answered_is_named(operator: str) -> None:
    with pytest.raises(Refused) as refusal:
        condition({"place": {operator: {}}})
    assert operator in refusal.value.detail


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", DEFAULT_SORT),
        ("lm", ((("lm",), False),)),
        ("-name, createdAt", ((("name",), True), (("createdAt",), False))),
        ("-updatedAt,-objectId", ((("updatedAt",), True), (("objectId",), True))),
        ("-attr.color,优先级", ((("attr", "color"), True), (("优先级",), False))),
    ],
)
def test_orders(sort: str, expected: tuple[tuple[str, bool], ...]) -> None:
    assert parse("ann", "", sort=sort).sort == expected


@pytest.mark.parametrize(
    "sort", ["attr", "lm,", "--lm", "m", "mu", "m.0", "name.x", "-", ",", "$natural", "x" * 1000, ",".join("abcdefghi")]
)
def test_other_orders_are_refused(sort: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse("ann", "", sort=sort)
    assert refusal.value.kind is errors.CONVERSATION_QUERY_FAILED


@pytest.mark.parametrize(
    ("where", "narrow"),
    [
        ({}, True),
        ({"objectId": "a"}, True),
        ({"m": {"$all": ["ann"], "$size": 2}}, True),
        ({"color": "red", "m": "ann"}, True),
        ({"$and": [{"color": "red"}, {"objectId": {"$in": ["a"]}}]}, True),
        ({"uniqueId": None}, False),
        ({"m": {"$ne": "ann"}}, False),
        ({"color": "red"}, False),
        ({"$or": [{"m": "ann"}, {"color": "red"}]}, False),
    ],
)
def test_conditions_that_need_no_look_at_every_conversation(where: dict[str, Any], narrow: bool) -> None:
    assert parse("ann", json.dumps(where)).narrow == narrow


@pytest.mark.parametrize(
    ("where", "sort", "quick"),
    [
        ({}, "", True),
        ({"objectId": {"$in": ["a"]}, "m": {"$all": ["ann"], "$size": 2}, "lm": {"$lt": DATE}}, "-updatedAt", True),
        ({"m": "ann"}, "color", False),
        ({"m": "ann", "color": "red"}, "", False),
        ({"m": "ann", "attr.color": {"$exists": True}}, "", False),
        ({"m": "ann", "$or": [{"name": {"$regex": "a|b"}}]}, "", False),
        ({"m": {"$gt": "ann"}, "objectId": "a"}, "", False),
        ({"m": "ann", "$or": [{"name": str(n)} for n in range(20)]}, "", False),
    ],
)
def test_conditions_that_cost_little_for_each_conversation(where: dict[str, Any], sort: str, quick: bool) -> None:
    assert parse("ann", json.dumps(where), sort=sort).quick == quick


@pytest.mark.parametrize(("given_limit", "limit"), [(None, 10), (0, 0), (1, 1), (999, 999), (1001, 1000), (-5, 0)])
def test_limits(given_limit: int | None, limit: int) -> None:
    assert parse("ann", "", limit=given_limit).limit == limit


def test_skips_and_flags() -> None:
    assert [parse("ann", "", skip=skip).skip for skip in (0, 7, -7)] == [0, 7, 0]
    parsed = [parse("ann", "", flag=flag) for flag in range(5)]
    assert [query.compact for query in parsed] == [False, True, False, True, False]
    assert [query.with_last_message for query in parsed] == [False, False, True, True, False]


def test_too_long_a_skip_is_refused() -> None:
    assert parse("ann", "", skip=SKIP_MAX).skip == SKIP_MAX
    with pytest.raises(Refused) as refusal:
        parse("ann", "", skip=SKIP_MAX + 1)
    assert refusal.value.kind is errors.CONVERSATION_QUERY_FAILED


OPERATORS = ["$all", "$in", "$size", "$regex", "$options", "$or", "$and", "$ne", "$lt", "$exists", "__type", "iso"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["Date", "[", "i"]),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["m", "createdAt", "a.b", *OPERATORS]), inner)
    ),
)


@given(st.text() | JSON.map(json.dumps), st.text(), st.integers(), st.integers())
def test_anything_is_parsed_or_refused(where: str, sort: str, limit: int, skip: int) -> None:
    with contextlib.suppress(Refused):
        query = parse("ann", where, sort=sort, limit=limit, skip=skip)
        assert query.condition
        assert query.sort
