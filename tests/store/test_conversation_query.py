"""`conv/query`: every condition, order and flag that the parser lets through, answered from the file."""

import asyncio
import contextlib
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hongyan import errors
from hongyan.engine.conditions import LIST_MAX, NESTING_MAX, TERMS_MAX
from hongyan.engine.query import of_rows, parse
from hongyan.engine.values import ConversationRow
from hongyan.errors import Refused
from hongyan.store import Store, conversation_query, database, sqlite_json
from hongyan.store.conversation_query import ROWS_ALWAYS
from tests.store.steps import APP, NOON, PATIENCE, Wall, create, load, on_driver, send, start

Where = dict[str, Any]


async def ask(store: Store, where: Where, caller: str = "ann", **fields: Any) -> list[ConversationRow]:
    text = json.dumps(where) if where else ""
    return await store.conversations.query(APP, caller, parse(caller, text, **fields))


@pytest.fixture
async def ids(store: Store, wall: Wall) -> dict[str, str]:
    """Six conversations, a second apart; `talk`, then `duo`, have messages."""
    made: dict[str, str] = {}
    for name, members, unique in (
        ("duo", ("ann", "bob"), True),
        ("talk", ("ann", "bob", "cem"), False),
        ("quiet", ("cem", "bob"), False),
        ("alone", ("dan",), False),
        ("room", ("eve",), False),
        ("desk", ("eve",), False),
    ):
        made[name] = (await create(store, *members, name=name, unique=unique))[0].id
        wall.at += 1000
    for name, text in (("talk", "first"), ("duo", "last")):
        await send(store, await load(store, made[name]), "bob", text)
        wall.at += 1000
    await create(store, "ann", "bob", name="elsewhere", app=APP + 1)
    for name, kind in (("room", 2), ("desk", 3)):
        await on_driver(
            store, lambda d, n=name, k=kind: d.execute("UPDATE conversation SET kind=? WHERE name=?", (k, n))
        )
    return made


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, {"duo", "talk"}),
        ({"m": "bob"}, {"duo", "talk", "quiet"}),
        ({"m": "nobody"}, set()),
        ({"m": {"$in": ["dan", "cem", "cem"]}}, {"talk", "quiet", "alone"}),
        ({"m": {"$in": []}}, set()),
        ({"m": {"$all": ["bob", "ann"]}}, {"duo", "talk"}),
        ({"m": {"$all": ["bob", "bob"]}}, {"duo", "talk", "quiet"}),
        ({"m": {"$all": ["bob", "nobody"]}}, set()),
        ({"m": {"$size": 2}}, {"duo", "quiet"}),
        ({"m": {"$size": 0}}, {"desk"}),
        ({"m": {"$all": ["ann", "bob"], "$size": 2}}, {"duo"}),
        ({"c": "cem"}, {"quiet"}),
        ({"c": "cem", "m": "ann"}, set()),
        ({"name": "talk"}, {"talk"}),
        ({"name": "TALK"}, set()),
        ({"name": "elsewhere"}, set()),
        ({"name": "' OR 1=1 --"}, set()),
        ({"unique": True}, {"duo"}),
        ({"unique": False}, {"talk", "quiet", "alone", "room", "desk"}),
        ({"tr": True}, {"room"}),
        ({"sys": True}, {"desk"}),
        ({"tr": False, "sys": False, "m": {"$size": 1}}, {"alone"}),
        ({"objectId": {"$in": []}}, set()),
        ({"objectId": "absent"}, set()),
    ],
)
async def test_conditions(store: Store, ids: dict[str, str], where: Where, expected: set[str]) -> None:
    assert {row.name for row in await ask(store, where)} == expected


async def test_any_client_may_look_up_by_id(store: Store, ids: dict[str, str]) -> None:
    (row,) = await ask(store, {"objectId": ids["alone"]}, caller="stranger")
    assert (row.name, row.members) == ("alone", ("dan",))
    many = await ask(store, {"objectId": {"$in": [ids["duo"], "absent", ids["talk"], ids["duo"]]}}, caller="stranger")
    assert {row.name for row in many} == {"duo", "talk"}


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", ["duo", "talk", "desk", "room", "alone", "quiet"]),
        ("lm", ["talk", "duo", "desk", "room", "alone", "quiet"]),
        ("-lm,createdAt", ["duo", "talk", "quiet", "alone", "room", "desk"]),
        ("createdAt", ["duo", "talk", "quiet", "alone", "room", "desk"]),
        ("-createdAt", ["desk", "room", "alone", "quiet", "talk", "duo"]),
        ("name", ["alone", "desk", "duo", "quiet", "room", "talk"]),
        ("-updatedAt", ["desk", "room", "alone", "quiet", "talk", "duo"]),
    ],
)
async def test_order(store: Store, ids: dict[str, str], sort: str, expected: list[str]) -> None:
    everything = {"objectId": {"$in": list(ids.values())}}
    assert [row.name for row in await ask(store, everything, sort=sort)] == expected
    pages = [await ask(store, everything, sort=sort, limit=2, skip=skip) for skip in (0, 2, 4, 6)]
    assert [row.name for page in pages for row in page] == expected


async def test_ten_unless_asked_otherwise(store: Store) -> None:
    for _ in range(12):
        await create(store, "ann")
    assert [len(await ask(store, {}, **more)) for more in ({}, {"limit": 11}, {"limit": 0}, {"limit": 5000})] == [
        10,
        11,
        0,
        12,
    ]


async def test_without_members(store: Store, ids: dict[str, str]) -> None:
    assert [row.members for row in await ask(store, {"name": "talk"}, flag=1)] == [()]


async def test_many_conversations_with_too_many_members_are_refused_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few, which SDKs look up at once, are answered however large; so is any number without members."""
    monkeypatch.setattr("hongyan.store.conversation_query.MEMBERS_MAX", 103)
    for _ in range(ROWS_ALWAYS + 1):
        await create(store, "ann", "bob")
    assert len(await ask(store, {}, limit=1000)) == ROWS_ALWAYS + 1
    await create(store, "ann", *(f"client{n}" for n in range(200)))
    with pytest.raises(Refused) as refusal:
        await ask(store, {}, limit=1000)
    assert refusal.value.kind is errors.CONVERSATION_QUERY_FAILED
    assert [len(await ask(store, {}, **more)) for more in ({"limit": 50}, {"limit": 1000, "flag": 1})] == [50, 52]


@pytest.mark.parametrize("large", ["name", "attr", "columns", "message"])
async def test_many_conversations_with_too_much_to_tell_are_refused_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch, large: str
) -> None:
    """Thousand conversations of the greatest size would fill the memory; what is left out of them costs nothing."""
    monkeypatch.setattr("hongyan.store.conversation_query.BYTES_MAX", 30_000)
    text = "x" * 1_000
    fields: dict[str, Any] = {
        "name": {"name": text},
        "attr": {"attr": {"a": text}},
        "columns": {"columns": {"a": text}},
    }
    for _ in range(ROWS_ALWAYS + 1):
        conversation = await start(store, "ann", **fields.get(large, {}))
        await send(store, conversation, "ann", text if large == "message" else "hello")
    with pytest.raises(Refused) as refusal:
        await ask(store, {}, limit=1000, flag=3)
    assert refusal.value.kind is errors.CONVERSATION_QUERY_FAILED
    assert len(await ask(store, {}, limit=ROWS_ALWAYS, flag=3)) == ROWS_ALWAYS
    if large == "message":
        assert len(await ask(store, {}, limit=1000)) == ROWS_ALWAYS + 1


async def test_the_last_message_is_for_members_who_ask(store: Store, ids: dict[str, str], wall: Wall) -> None:
    conversation = await load(store, ids["duo"])
    place = await send(store, conversation, "bob", b"\x00\xff", mentions=("ann", "cem"), mention_all=True)
    where = {"objectId": ids["duo"]}
    assert (await ask(store, where))[0].last_message is None
    assert (await ask(store, where, caller="stranger", flag=2))[0].last_message is None
    (row,) = await ask(store, where, flag=2)
    message = row.last_message
    assert message is not None
    assert (message.id, message.seq, message.timestamp) == (place.id, place.seq, place.timestamp)
    assert (message.sender, message.content, message.mentions) == ("bob", b"\x00\xff", ("ann", "cem"))
    assert (message.mention_all, row.last_message_at) == (True, place.timestamp)
    (quiet,) = await ask(store, {"name": "quiet"}, caller="cem", flag=2)
    assert (quiet.last_message, quiet.last_message_at) == (None, None)


async def test_muted_is_the_callers_own(store: Store, ids: dict[str, str]) -> None:
    duo = "(SELECT key FROM conversation WHERE name = 'duo')"
    mute = f"UPDATE member SET muted = 1 WHERE client = 'ann' AND conversation = {duo}"
    await on_driver(store, lambda driver: driver.execute(mute))
    assert {row.name: row.muted for row in await ask(store, {})} == {"duo": True, "talk": False}
    assert {row.name: row.muted for row in await ask(store, {}, caller="bob")} == {
        "duo": False,
        "talk": False,
        "quiet": False,
    }


async def test_members_stand_in_order_of_joining(store: Store, wall: Wall) -> None:
    conversation = await start(store, "zoe")
    for client in ("dan", "ann", "cem"):
        wall.at += 1
        await store.conversations.add_members(conversation, [client], 500, lambda _: None)
    (row,) = await ask(store, {})
    assert row.members == ("zoe", "dan", "ann", "cem")
    assert (row.created_at, row.updated_at) == (NOON, NOON + 3)


def plan(path: Path, where: Where) -> list[str]:
    """What SQLite looks at, outermost first."""
    return explained(path, conversation_query.keys_of(APP, "ann", parse("ann", json.dumps(where))))


def explained(path: Path, statement: sa.Select[Any]) -> list[str]:
    compiled = statement.compile(dialect=sa.dialects.sqlite.dialect(), compile_kwargs={"render_postcompile": True})
    with contextlib.closing(database.connect(path, read_only=True)) as connection:
        sqlite_json.install(connection, lambda: False)
        values = [compiled.params[name] for name in compiled.positiontup or ()]
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled}", values)]


@pytest.mark.parametrize(
    ("where", "order", "expected"),
    [
        ("", "", "SEARCH conversation USING INDEX conversation_by_app (app=?)"),
        ('{"color":"red"}', "", "SEARCH conversation USING INDEX conversation_by_app (app=?)"),
        (
            '{"objectId":{"$gt":"6"}}',
            "objectId",
            "SEARCH conversation USING INDEX sqlite_autoindex_conversation_1 (app=? AND id>?)",
        ),
    ],
)
def test_pages_of_all_rows_sort_nothing(empty_database: Path, where: str, order: str, expected: str) -> None:
    statement = conversation_query.keys_of(APP, None, of_rows(where, only=None, sort=order, limit=100, skip=9))
    steps = explained(empty_database, statement)
    assert steps[0] == expected
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


BY_KEY = "SEARCH conversation USING INTEGER PRIMARY KEY (rowid=?)"
BY_CLIENT = "SEARCH member USING COVERING INDEX member_by_client (app=? AND client=?)"


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, [BY_KEY, BY_CLIENT]),
        ({"m": {"$all": ["ann", "bob"], "$size": 2}}, [BY_KEY, BY_CLIENT]),
        ({"m": "ann", "color": "red", "attr.count": {"$gt": 5}}, [BY_KEY, BY_CLIENT]),
        ({"$and": [{"name": {"$regex": "a|b"}}, {"m": {"$in": ["ann", "bob"]}}]}, [BY_KEY, BY_CLIENT]),
        ({"objectId": {"$in": ["a", "b"]}}, ["SEARCH conversation USING INDEX", "(app=? AND id=?)"]),
        ({"uniqueId": "f" * 32}, ["SEARCH conversation USING INDEX conversation_by_unique_id (app=? AND unique_id=?)"]),
    ],
)
async def test_indexes_are_used(
    store: Store, ids: dict[str, str], path: Path, where: Where, expected: list[str]
) -> None:
    steps = plan(path, where)
    assert all(any(part in step for step in steps) for part in expected), steps
    assert not any(re.match("SCAN (conversation|member)", step) for step in steps), steps


async def sample(store: Store) -> None:
    """Conversations named after what their column `v` and attribute `v` hold."""
    for name, value in {
        "number": 3,
        "fraction": 2.5,
        "text": "b",
        "upper": "B",
        "object": {"a": 1},
        "array": ["x", 2],
        "bool": True,
        "date": {"__type": "Date", "iso": "2027-01-15T08:00:00.001Z"},
        "later": {"__type": "Date", "iso": "2027-01-15T08:00:00.002Z"},
        "null": None,
    }.items():
        await create(store, "ann", name=name, columns={"v": value}, attr={"deep": {"v": value}})
    await create(store, "ann", name="none")


@pytest.mark.parametrize("key", ["v", "attr.deep.v"])
async def test_custom_keys_order_by_type_then_value(store: Store, key: str) -> None:
    """As in MongoDB; but rows without a value come last, whichever way."""
    await sample(store)
    up = ["fraction", "number", "upper", "text", "object", "array", "bool", "date", "later"]
    for sort, expected in ((key, [*up, "none", "null"]), (f"-{key}", [*up[::-1], "none", "null"])):
        assert [row.name for row in await ask(store, {}, sort=sort, limit=100)] == expected


@pytest.mark.parametrize("key", ["v", "attr.deep.v"])
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (3, {"number"}),
        (3.0, {"number"}),
        ("3", set()),
        (1, set()),
        (True, {"bool"}),
        (None, {"null", "none"}),
        ({"a": 1.0}, {"object"}),
        ({"a": 1, "b": 2}, set()),
        ("x", {"array"}),
        (["x", 2], {"array"}),
        ([2, "x"], set()),
        ({"$ne": "b"}, {"number", "fraction", "upper", "object", "array", "bool", "date", "later", "null", "none"}),
        ({"$gt": 2}, {"number", "fraction"}),
        ({"$gte": 2}, {"number", "fraction", "array"}),
        ({"$lt": "a"}, {"upper"}),
        ({"$in": ["b", 2, None, True, {"a": 1}]}, {"text", "array", "null", "none", "bool", "object"}),
        ({"$nin": ["b", 2, None, True]}, {"number", "fraction", "upper", "object", "date", "later"}),
        ({"$all": ["x", 2]}, {"array"}),
        ({"$all": []}, set()),
        ({"$size": 2}, {"array"}),
        ({"$exists": False}, {"none"}),
        ({"$regex": "B"}, {"upper"}),
        ({"$regex": "^[bx]$", "$options": "i"}, {"text", "upper", "array"}),
        ({"$gt": {"__type": "Date", "iso": "2027-01-15T16:00:00.001+08:00"}}, {"later"}),
        ({"__type": "Date", "iso": "2027-01-15T08:00:00.001Z"}, {"date"}),
    ],
)
async def test_custom_keys(store: Store, key: str, condition: Any, expected: set[str]) -> None:
    await sample(store)
    assert {row.name for row in await ask(store, {key: condition}, limit=100)} == expected


async def test_who_muted_is_told_of_oneself_alone_inferred(store: Store, ids: dict[str, str]) -> None:
    duo = "(SELECT key FROM conversation WHERE name = 'duo')"
    mute = f"UPDATE member SET muted = 1 WHERE client = 'ann' AND conversation = {duo}"
    await on_driver(store, lambda driver: driver.execute(mute))
    for where in ({"mu": "ann"}, {"mu": {"$size": 1}}, {"mu": ["ann"]}, {"mu": {"$regex": "^a"}}, {"mu": {"$gt": ""}}):
        assert [row.name for row in await ask(store, where)] == ["duo"], where
        assert await ask(store, where, caller="bob") == [], where
    assert {row.name for row in await ask(store, {"m": "ann", "mu": {"$ne": "ann"}})} == {"talk"}
    assert {row.name for row in await ask(store, {"m": "ann", "mu": {"$ne": "ann"}}, caller="bob")} == {"duo", "talk"}


async def test_a_pattern_is_given_up_when_time_is_up(
    store: Store, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hongyan.store.reading._PATIENCE", 0.0)
    with pytest.raises(Refused) as refusal:
        await ask(store, {"name": {"$regex": "a|b"}})
    assert refusal.value.kind is errors.CONVERSATION_QUERY_FAILED


@pytest.mark.parametrize("where", [{"name": "talk"}, {"m": "ann", "name": {"$regex": "ta|tb"}}])
async def test_slow_searches_leave_threads_to_others(
    store: Store, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch, where: Where
) -> None:
    release = threading.Event()
    run, mine = conversation_query.run, parse("ann", "")

    def slow(bound: Any, app_key: int, caller: str, query: Any) -> Any:
        assert query == mine or release.wait(PATIENCE)
        return run(bound, app_key, caller, query)

    monkeypatch.setattr(conversation_query, "run", slow)
    searches = [asyncio.ensure_future(ask(store, where)) for _ in range(10)]
    try:
        assert {row.name for row in await ask(store, {})} == {"duo", "talk"}
        assert not any(search.done() for search in searches)
    finally:
        release.set()
    assert [[row.name for row in found] for found in await asyncio.gather(*searches)] == [["talk"]] * 10


def deep(depth: int) -> Where:
    """Conditions in each other, as deep as may be, each with a list in a list."""
    return {"a": [1, [2]]} if depth == 0 else {"$or": [deep(depth - 1)], "b": {"$ne": depth}}


@pytest.mark.parametrize(
    "where",
    [
        {"a": list(range(TERMS_MAX - 2))},
        {"a": {"$in": [[n] for n in range(TERMS_MAX // 3)]}},
        {"a": {"$all": [str(n) for n in range(TERMS_MAX - 1)]}},
        {"a": {str(n): n for n in range(TERMS_MAX - 2)}},
        {f"key{n}": {"$ne": n} for n in range(TERMS_MAX)},
        {"m": {"$all": [str(n) for n in range(LIST_MAX)]}},
        {"a": {"$in": [*range(LIST_MAX // 2), *map(str, range(LIST_MAX // 2))]}},
        {".".join("abcdefghijklmnop"): {"$gt": {"__type": "Date", "iso": "2027-01-15"}}},
        deep(NESTING_MAX),
    ],
    ids=lambda where: str(where)[:40],
)
async def test_the_largest_conditions_are_answered(store: Store, ids: dict[str, str], where: Where) -> None:
    found = await ask(store, where, limit=100)
    assert len(found) == (len(ids) if "key0" in where else 0)


async def test_a_pattern_may_be_large_and_its_text_long(store: Store) -> None:
    await create(store, "ann", name="a" * 60_000)
    (row,) = await ask(store, {"name": {"$regex": "^(a|aa)+$"}})
    assert row.name == "a" * 60_000
    assert await ask(store, {"name": {"$regex": "(a?){100}a{300}b"}}) == []
