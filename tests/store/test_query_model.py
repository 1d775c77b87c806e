"""Any condition and order over any rows: SQL answers as looking at every row does."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from pysqlite3 import dbapi2 as sqlite

from hongyan.engine.query import parse
from hongyan.engine.values import iso_time
from hongyan.store import conversation_query, database, schema, sqlite_json
from tests.store.query_model import in_order, meets
from tests.store.steps import APP, NOON

CALLER = "ann"
CLIENTS = st.sampled_from(["ann", "bob", "c\0m", "名"])
TEXT = st.sampled_from(["", "red", "Red", "re\ndred", "名\0x", "1", "a.\\b"])
NUMBER = st.sampled_from([0, 1, 1.0, 0.1, 2**63 - 1, 1e300])
AT = st.integers(NOON, NOON + 3)
DATE = AT.map(lambda at: {"__type": "Date", "iso": iso_time(at)})
POINTER = st.just({"__type": "Pointer", "className": "_User", "objectId": "7"})
SCALAR = st.none() | st.booleans() | NUMBER | TEXT | DATE
NAME = st.sampled_from(["color", "a", "[0]", "名 \\", "\"\0'; --"])
JSON = st.recursive(
    SCALAR | POINTER,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=2),
    max_leaves=5,
)
OBJECT = st.dictionaries(NAME, JSON, max_size=3)


@st.composite
def a_row(draw: st.DrawFn) -> dict[str, Any]:
    """A conversation as it is stored."""
    return {
        "kind": draw(st.sampled_from([1, 1, 2, 3])),
        "creator": draw(CLIENTS),
        "name": draw(st.none() | TEXT),
        "attr": draw(st.none() | OBJECT),
        "columns": draw(st.none() | OBJECT),
        "unique_id": draw(st.none() | st.just("f" * 32)),
        "created_at": draw(AT),
        "updated_at": draw(AT),
        "last_message_at": draw(st.none() | AT),
        "members": draw(st.lists(CLIENTS, unique=True, max_size=3)),
        "muted": draw(st.booleans()),
    }


def shown(row: dict[str, Any], number: int) -> dict[str, Any]:
    """The row as `results.data` shows it to the caller; who subscribed to a service conversation is never shown."""
    members = row["members"] if row["kind"] != 3 else []
    document = {
        **(row["columns"] or {}),
        "objectId": f"id{number}",
        "c": row["creator"],
        "conv_type": row["kind"],
        "m": members,
        "mu": [CALLER] if CALLER in members and row["muted"] else [],
        "createdAt": iso_time(row["created_at"]),
        "updatedAt": iso_time(row["updated_at"]),
        "tr": row["kind"] == 2,
        "sys": row["kind"] == 3,
        "unique": row["unique_id"] is not None,
        "name": row["name"],
        "attr": row["attr"],
        "uniqueId": row["unique_id"],
        "lm": row["last_message_at"] and {"__type": "Date", "iso": iso_time(row["last_message_at"])},
    }
    return {key: value for key, value in document.items() if value is not None or key in (row["columns"] or {})}


COLUMNS = ["objectId", "c", "name", "uniqueId", "lm", "createdAt", "updatedAt", "conv_type", "tr", "unique"]
SORTABLE = st.sampled_from([*COLUMNS, "color", "a", "a.color", "attr.a", "attr.color.a", "[0]"])
SORT = st.lists(st.tuples(SORTABLE, st.booleans()), min_size=1, max_size=3)


def literal(text: str) -> str:
    return "".join(character if character.isalnum() else f"\\{character}" for character in text)


@st.composite
def a_regex(draw: st.DrawFn, text: str) -> str:
    """A pattern that may well match the text."""
    start = draw(st.integers(0, len(text)))
    part = literal(text[start : draw(st.integers(start, len(text)))])
    forms = ["{}", "^{}", "{}$", "^{}$", ".*{}.*", ".*{}$", "^{}.*", "x|{}", "[^a-z]*{}?", "{}."]
    return draw(st.sampled_from(forms)).format(part)


OPTIONS = st.sampled_from([{}, {"$options": "i"}, {"$options": "m"}, {"$options": "s"}, {"$options": "im"}])
ORDERED = ["$lt", "$lte", "$gt", "$gte"]
LISTS = ["$in", "$nin", "$all"]
OPERATORS = ["$eq", "$ne", *LISTS, *ORDERED, "$size", "$exists", "$regex"]


def values_of(key: str, value: Any) -> st.SearchStrategy[Any]:
    """What a key may well be compared with, when a row has this value there."""
    likely = [value, *(value if isinstance(value, list) else [])]
    if key in ("createdAt", "updatedAt"):  # a text that is no date would be an error
        return DATE | AT.map(iso_time)
    if isinstance(value, dict) and value.get("__type") == "Date":
        return st.sampled_from(likely) | DATE
    if isinstance(value, dict):
        likely += [dict(reversed(value.items())), dict(list(value.items())[1:])]
    if isinstance(value, list):
        likely += [value[1:], value[::-1]]
    return st.sampled_from(likely) | st.sampled_from([None, True, 1, 0.5, "red", [], {}]) | JSON


def has_order(value: Any) -> bool:
    return isinstance(value, bool | int | float | str) or (isinstance(value, dict) and value.get("__type") == "Date")


@st.composite
def a_key(draw: st.DrawFn, document: Any) -> tuple[str, Any]:
    """A key, mostly one of the document, and the value there."""
    parts: list[str] = []
    value = document
    while isinstance(value, dict) and (not parts or draw(st.booleans())):
        if not set(value) - {"__type", "iso"}:
            break
        parts.append(draw(st.sampled_from(sorted(value)) | (NAME if parts else st.nothing())))
        value = value.get(parts[-1])
    return ".".join(parts), value


@st.composite
def a_term(draw: st.DrawFn, documents: list[dict[str, Any]]) -> dict[str, Any]:
    key, value = draw(a_key(draw(st.sampled_from(documents))))
    values = values_of(key, value)
    given = {}
    for name in draw(st.lists(st.sampled_from(OPERATORS), min_size=1, max_size=2, unique=True)):
        if name in ORDERED:
            given[name] = draw(values.filter(has_order))
        elif name in LISTS:
            given[name] = draw(st.lists(values, max_size=3))
        elif name == "$size":
            given[name] = draw(st.integers(0, 3))
        elif name == "$exists":
            given[name] = draw(st.booleans())
        elif name == "$regex":
            texts = [item for item in [value, *(value if isinstance(value, list) else [])] if isinstance(item, str)]
            given |= {name: draw(a_regex(draw(st.sampled_from(texts) if texts else TEXT))), **draw(OPTIONS)}
        else:
            given[name] = draw(values)
    return {key: given["$eq"] if list(given) == ["$eq"] and draw(st.booleans()) else given}


@st.composite
def a_case(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[tuple[dict[str, Any], list[tuple[str, bool]]]]]:
    """Rows, and what is asked of them: conditions with orders."""
    rows = draw(st.lists(a_row(), min_size=2, max_size=4))
    documents = [shown(row, number) for number, row in enumerate(rows)]
    terms = st.recursive(
        a_term(documents),
        lambda inner: st.builds(
            lambda name, terms: {name: terms}, st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3)
        ),
        max_leaves=3,
    )
    return rows, draw(st.lists(st.tuples(terms, SORT), min_size=1, max_size=8))


@pytest.fixture(scope="module")
def bound() -> Iterator[sa.Connection]:
    with contextlib.closing(sqlite.connect(":memory:", isolation_level=None)) as connection:
        sqlite_json.install(connection, lambda: False)
        with database.engine(lambda: connection, sa.pool.StaticPool).connect() as made:
            schema.metadata.create_all(made)
            yield made


def fill(bound: sa.Connection, rows: list[dict[str, Any]]) -> None:
    for table in (schema.conversation, schema.member):
        bound.execute(sa.delete(table))
    for number, row in enumerate(rows):
        stored = {name: value for name, value in row.items() if name not in ("members", "muted")}
        bound.execute(
            sa.insert(schema.conversation).values(
                key=number, app=APP, id=f"id{number}", member_count=len(row["members"]), **stored
            )
        )
        # That others muted must not be seen.
        fixed = {"conversation": number, "app": APP, "joined_at": NOON, "read_seq": 0}
        for client in row["members"]:
            muted = row["muted"] or client != CALLER
            bound.execute(sa.insert(schema.member).values(client=client, muted=muted, **fixed))


SERVICE = {
    "kind": 3,
    "creator": CALLER,
    **dict.fromkeys(["name", "attr", "columns", "unique_id", "last_message_at"]),
    "created_at": NOON,
    "updated_at": NOON,
    "members": ["bob"],
    "muted": False,
}


@pytest.mark.long
@example(([SERVICE], [({"m": term}, [("objectId", False)]) for term in ([], {"$size": 0}, {"$size": 1})]))
@settings(phases=set(Phase) - {Phase.explain})  # which takes minutes
@given(a_case())
def test_sql_answers_as_looking_at_every_row_does(
    bound: sa.Connection, case: tuple[list[dict[str, Any]], list[tuple[dict[str, Any], list[tuple[str, bool]]]]]
) -> None:
    rows, asked = case
    fill(bound, rows)
    documents = [shown(row, number) for number, row in enumerate(rows)]
    for where, sort in asked:
        query = parse(CALLER, json.dumps(where), sort=",".join("-" * down + key for key, down in sort))
        found = [f"id{key}" for key in bound.scalars(conversation_query.keys_of(APP, CALLER, query))]
        expected = in_order([document for document in documents if meets(document, where)], sort)
        assert found == [document["objectId"] for document in expected], where


TEXTS = ["", "red", "Red", "reder\nred", "a.\\b", "名\0x", "b.*$"]


@given(st.sampled_from(TEXTS).flatmap(a_regex), OPTIONS, st.sampled_from(["name", "color", "attr.list"]))
def test_patterns(bound: sa.Connection, regex: str, options: dict[str, str], key: str) -> None:
    for number, text in enumerate(TEXTS):
        stored = {"name": text, "columns": {"color": text}, "attr": {"list": [1, text]}}
        bound.execute(
            sa.insert(schema.conversation).values(
                key=1000 + number, app=APP + 1, id=text, kind=1, creator="ann", created_at=0, updated_at=0, **stored
            )
        )
    where = {key: {"$regex": regex, **options}}
    found = bound.scalars(conversation_query.keys_of(APP + 1, CALLER, parse(CALLER, json.dumps(where)))).all()
    bound.execute(sa.delete(schema.conversation).where(schema.conversation.c.app == APP + 1))
    assert {TEXTS[number - 1000] for number in found} == {
        text for text in TEXTS if meets({"name": text, "color": text, "attr": {"list": [1, text]}}, where)
    }
