"""What each change makes of the attributes, which changes are refused, and that no text is too much."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hongyan import errors
from hongyan.engine import attributes
from hongyan.engine.attributes import PATH_MAX, SIZE_MAX
from hongyan.engine.conversations import RESERVED
from hongyan.engine.json_text import NESTING_MAX
from hongyan.engine.values import Attributes
from hongyan.errors import Kind, Refused

BEFORE = Attributes("party", {"color": "red", "n": 1, "list": [1, 2, 2], "deep": {"x": 1}}, {"mood": "good", "k": 0})
DATE = {"__type": "Date", "iso": "2026-01-31T08:00:00.000Z"}


def op(name: str, **fields: Any) -> dict[str, Any]:
    return {"__op": name, **fields}


def change(asked: object, before: Attributes = BEFORE) -> tuple[Attributes, dict[str, Any]]:
    """The attributes after the changes, and the touched values."""
    after, modified = attributes.apply(attributes.parse(json.dumps(asked)), copy.deepcopy(before))
    return after, json.loads(modified)


def refusal(asked: object, before: Attributes = BEFORE) -> Refused:
    with pytest.raises(Refused) as refused:
        change(asked, before)
    assert refused.value.kind is errors.CONVERSATION_UPDATE_FAILED
    return refused.value


def attr(**changed: Any) -> dict[str, Any]:
    """`attr` with some keys set; those that are None are absent."""
    values = {**(BEFORE.attr or {}), **changed}
    return {key: value for key, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("asked", "modified"),
    [
        ({"name": "feast"}, {"name": "feast"}),
        ({"mood": ["any", {"value": None}]}, {"mood": ["any", {"value": None}]}),
        ({"new": None}, {"new": None}),
        ({"attr": {"only": 1}}, {"attr": {"only": 1}}),
        ({"attr.color": "blue"}, {"attr": attr(color="blue")}),
        ({"attr.deep.y.z": True}, {"attr": attr(deep={"x": 1, "y": {"z": True}})}),
        ({"place.city": "北京"}, {"place": {"city": "北京"}}),
        ({"when": DATE, "attr.when": DATE}, {"when": DATE, "attr": attr(when=DATE)}),
        ({"attr.color": op("Delete")}, {"attr": attr(color=None)}),
        ({"mood": op("Delete"), "absent": op("Delete"), "absent2.deep.x": op("Delete")}, {}),
        ({"attr.absent.x": op("Delete")}, {"attr": attr()}),
        ({"attr": op("Delete")}, {}),
        ({"name": op("Delete")}, {}),
        ({"attr": None, "name": None}, {}),
        ({"k": op("Increment", amount=2)}, {"k": 2}),
        ({"k": op("Decrement", amount=0.5)}, {"k": -0.5}),
        ({"attr.n": op("Increment", amount=-3), "fresh": op("Decrement", amount=1)}, {"attr": attr(n=-2), "fresh": -1}),
        ({"attr.list": op("Add", objects=[2, "x"])}, {"attr": attr(list=[1, 2, 2, 2, "x"])}),
        ({"attr.list": op("AddUnique", objects=[2.0, 3, 3, True])}, {"attr": attr(list=[1, 2, 2, 3, True])}),
        ({"attr.list": op("Remove", objects=[2, "absent"])}, {"attr": attr(list=[1])}),
        (
            {"fresh": op("Add", objects=[1]), "fresh2": op("AddUnique", objects=[[1], [1]])},
            {"fresh": [1], "fresh2": [[1]]},
        ),
        ({"fresh": op("Remove", objects=[1]), "fresh2": op("Add", objects=[])}, {}),
        ({"x": {"inside": op("Unknown")}}, {"x": {"inside": op("Unknown")}}),
        ({"constructor": "Goose & Sons"}, {"constructor": "Goose & Sons"}),
        ({}, {}),
    ],
)
def test_changes(asked: dict[str, Any], modified: dict[str, Any]) -> None:
    after, told = change(asked)
    assert told == modified
    expected = {"name": BEFORE.name, "attr": BEFORE.attr, **BEFORE.columns}
    for key in {path.split(".")[0] for path in asked}:
        expected.pop(key, None)
    expected |= modified
    assert after == Attributes(expected.pop("name", None), expected.pop("attr", None), expected)


def test_equal_objects_are_one_whatever_the_order_of_their_keys() -> None:
    before = Attributes(None, None, {"list": [{"a": 1, "b": [2]}, {"a": 1}]})
    same = {"b": [2.0], "a": 1}
    assert change({"list": op("AddUnique", objects=[same])}, before)[1] == {"list": before.columns["list"]}
    assert change({"list": op("Remove", objects=[same])}, before)[1] == {"list": [{"a": 1}]}


def test_objects_that_look_alike_are_several() -> None:
    alike = [
        1,
        "1",
        [1],
        ["1"],
        ["a", "b"],
        ["a,b"],
        ['a","b'],
        {"a": "b"},
        {"a:b": None},
        {"a": {"b": 1}},
        [["a"], "b"],
    ]
    alike += [True, "True", "true", None, "None", "null", 1.5, "1.5", [], {}, "", "[]", "{}", ["a", ["b"]]]
    nothing = Attributes(None, None, {})
    assert change({"list": op("AddUnique", objects=alike)}, nothing)[1] == {"list": alike}
    for item in alike:
        others = [other for other in alike if other is not item]
        assert change({"list": op("Remove", objects=[item])}, Attributes(None, None, {"list": alike}))[1] == {
            "list": others
        }


def test_objects_are_told_apart_without_a_dump_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that writes waits for it."""
    changes = attributes.parse(json.dumps({"list": op("AddUnique", objects=list(range(1_000)))}))
    dumps: list[object] = []
    dump = json.dumps
    monkeypatch.setattr(json, "dumps", lambda *values, **options: dumps.append(values) or dump(*values, **options))
    attributes.apply(changes, Attributes(None, None, {"list": list(range(500, 1_500))}))
    assert len(dumps) < 10


@pytest.mark.parametrize(
    "asked",
    [
        [],
        "name",
        7,
        {"name": 1},
        {"name": ["x"]},
        {"name.x": 1},
        {"attr": "text"},
        {"attr": []},
        {"attr.color.shade": "dark"},
        {"attr.list.0": 1},
        {"mood.x": op("Delete")},
        {"": 1},
        {".": 1},
        {"a..b": 1},
        {"attr.": 1},
        {".attr": 1},
        {"attr": {}, "attr.x": 1},
        {"a.b.c": 1, "a.b": 1},
        {"k": op("Increment")},
        {"k": op("Increment", amount="1")},
        {"k": op("Increment", amount=True)},
        {"k": op("Increment", amount=1e308 * 1.7), "attr.n": op("Decrement", amount=None)},
        {"mood": op("Increment", amount=1)},
        {"mood": op("Add", objects=[1])},
        {"attr": op("Add", objects=[1])},
        {"name": op("Increment", amount=1)},
        {"attr.list": op("Add")},
        {"attr.list": op("Add", objects="x")},
        {"attr.list": op("Add", objects={"0": 1})},
        {"attr.color": op("Remove", objects=["red"])},
        {"k": op("Nothing")},
        {"k": {"__op": None}},
        {"k": {"__op": ["Delete"]}},
        {"k": {"__op": {}}},
        {".".join(["a"] * (PATH_MAX + 1)): 1},
        {"x" * SIZE_MAX: 1},
        {"attr.x": "鸿" * (SIZE_MAX // 3)},
    ],
)
def test_what_is_refused(asked: object) -> None:
    refusal(asked)


@pytest.mark.parametrize("text", ["{", "null,", "{'a':1}", '{"a":NaN}', '{"a":1e999}', '{"a":"\\ud800"}', "[" * 10_000])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        attributes.parse(text)
    assert refused.value.kind is errors.CONVERSATION_UPDATE_FAILED


def test_no_text_is_no_change() -> None:
    assert attributes.parse("") == attributes.parse("{}")


@pytest.mark.parametrize("key", sorted(RESERVED))
def test_what_the_server_owns_is_refused_inferred(key: str) -> None:
    refusal({key: 1})
    refusal({f"{key}.x": 1})
    assert change({f"x.{key}": 1})[1] == {"x": {key: 1}}


@pytest.mark.parametrize(
    "key", ["__proto__", "__proto__.x", "attr.__proto__.x", "constructor.prototype.x", "a.constructor.x"]
)
def test_a_path_leads_no_member_into_what_all_its_objects_share(key: str) -> None:
    """JavaScript SDKs walk the path on their own objects."""
    refusal({key: "polluted"})


def test_numbers_that_json_cannot_carry_are_refused() -> None:
    huge = Attributes(None, None, {"i": 10**4299 * 9, "f": 1.7e308})
    refusal({"i": op("Increment", amount=10**4299 * 9)}, huge)
    refusal({"f": op("Increment", amount=1.7e308)}, huge)
    refusal({"i": op("Increment", amount=0.5)}, huge)


def test_the_whole_is_bounded_not_only_what_is_added() -> None:
    before = Attributes(None, None, {"big": "x" * (SIZE_MAX - 100)})
    assert change({"small": "x" * 50}, before)[1]
    refusal({"small": "x" * 100}, before)
    assert change({"big": op("Delete"), "small": "x" * 100}, before)[1] == {"small": "x" * 100}


def test_paths_and_values_together_are_nested_no_deeper_than_text_may_be() -> None:
    deep: Any = 1
    for _ in range(NESTING_MAX - 5):
        deep = [deep]
    assert change({"x": deep})[1] == {"x": deep}
    refusal({".".join(["x"] * 10): deep})


def test_of_a_key_that_stands_there_twice_all_are_told_the_same() -> None:
    changes = attributes.parse('{"a": 1, "a": 2}')
    _, modified = attributes.apply(changes, Attributes(None, None, {}))
    assert (changes.text, modified) == ('{"a":2}', '{"a":2}')


def test_the_same_changes_can_be_made_again() -> None:
    """A batch that fails is written again in parts."""
    changes = attributes.parse(
        '{"list": {"__op": "Add", "objects": [[1]]}, "attr": {"n": {}}, "k.x": {"__op": "Increment", "amount": 1}}'
    )
    first = attributes.apply(changes, Attributes(None, None, {"list": []}))
    assert attributes.apply(changes, Attributes(None, None, {"list": []})) == first


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OPERATORS = (
    st.just(op("Delete"))
    | st.builds(lambda name, amount: op(name, amount=amount), st.sampled_from(["Increment", "Decrement"]), VALUES)
    | st.builds(
        lambda name, objects: op(name, objects=objects), st.sampled_from(["Add", "AddUnique", "Remove"]), VALUES
    )
)
PATHS = st.lists(st.sampled_from(["name", "attr", "a", "b", "c"]), min_size=1, max_size=3).map(".".join)
SOME = st.builds(
    Attributes,
    st.none() | st.text(max_size=5),
    st.none() | st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3),
    st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3),
)


def changed_or_refused(text: str, before: Attributes) -> tuple[Attributes, dict[str, Any]] | None:
    """What `change` returns, or None where it was refused, which no other exception may stand for."""
    outcome: tuple[Attributes, dict[str, Any]] | None = None
    refusal: Kind = errors.CONVERSATION_UPDATE_FAILED
    try:
        after, modified = attributes.apply(attributes.parse(text), copy.deepcopy(before))
        outcome = after, json.loads(modified)
    except Refused as refused:
        refusal = refused.kind
    assert refusal is errors.CONVERSATION_UPDATE_FAILED
    return outcome


@given(before=SOME, asked=st.dictionaries(PATHS, VALUES | OPERATORS, max_size=5))
def test_any_change_is_made_whole_or_refused(before: Attributes, asked: dict[str, Any]) -> None:
    """What was not touched stays; what was touched is told as it is then; nothing but one kind of refusal is raised."""
    outcome = changed_or_refused(json.dumps(asked), before)
    if outcome is None:
        return
    after, modified = outcome
    touched = {path.split(".")[0] for path in asked}
    old, new = flat(before), flat(after)
    assert modified == {key: value for key, value in new.items() if key in touched}
    assert list(modified) == [key for key in dict.fromkeys(path.split(".")[0] for path in asked) if key in new]
    assert {key: value for key, value in new.items() if key not in touched} == {
        key: value for key, value in old.items() if key not in touched
    }


@given(before=SOME, path=PATHS, value=VALUES)
def test_a_value_is_found_where_it_was_put(before: Attributes, path: str, value: Any) -> None:
    if isinstance(value, dict):
        value = {f"k{key}": item for key, item in value.items()}
    outcome = changed_or_refused(json.dumps({path: value}), before)
    if outcome is None:
        return
    after, _ = outcome
    found: Any = flat(after)
    for key in path.split("."):
        found = found.get(key)
    assert found == value


def flat(some: Attributes) -> dict[str, Any]:
    values = {"name": some.name, "attr": some.attr, **some.columns}
    return {key: value for key, value in values.items() if value is not None or key not in ("name", "attr")}


@given(text=st.text(max_size=40) | VALUES.map(json.dumps))
def test_any_text_is_changes_or_refused(text: str) -> None:
    before = copy.deepcopy(BEFORE)
    outcome = changed_or_refused(text, before)
    assert outcome is None or set(outcome[1]) <= set(json.loads(text or "{}"))
