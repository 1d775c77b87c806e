"""`conv/query`: every condition, order and flag that the parser lets through, answered from the file."""

import json
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine.query import parse
from hongyan.engine.values import ConversationRow
from hongyan.errors import Refused
from hongyan.store import Store
from hongyan.store.conversation_query import ROWS_ALWAYS
from tests.store.steps import APP, NOON, Wall, create, load, on_driver, send, start

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
        ({"m": {"$size": 0}}, set()),
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
