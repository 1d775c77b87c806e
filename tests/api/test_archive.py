"""All messages of an app, and all of one client: which they are, their order, and walking through them page by page."""

import asyncio
from typing import Any

import pytest

from hongyan.engine import archive
from hongyan.engine.engine import Engine
from hongyan.engine.values import App, HistoryRange, stream_id
from hongyan.store import Store
from hongyan.store.archive import OF_APP
from tests.api import talk
from tests.support.rest import Rest, passed

ALL = "/1.2/rtm/messages"
OF_ANN = "/1.2/rtm/clients/ann/messages"


@pytest.fixture
async def places(engine: Engine, app: App) -> dict[str, str]:
    """Conversations of all kinds, in which much was said: `a` to `h`, in this order."""
    made = {
        "group": await talk.group(engine, app, "ann", "bob"),
        "pair": await talk.group(engine, app, "bob", "cem"),
        "room": await talk.room(engine, app),
        "news": await talk.service(engine, app, "ann"),
    }
    for text, (where, sender) in zip(
        "abcdefgh",
        [
            *(("group", "ann"), ("pair", "bob"), ("room", "ann"), ("group", "bob")),
            *(("news", "ann"), ("group", "ann"), ("room", "cem"), ("pair", "cem")),
        ],
        strict=True,
    ):
        await passed((await talk.say(engine, app, sender, made[where], text)).timestamp)
    return made


async def walk(api: Rest, path: str, limit: int, **query: Any) -> list[dict[str, Any]]:
    """All pages, each beginning where the last one ended."""
    found: list[dict[str, Any]] = []
    bound: dict[str, Any] = {}
    while page := await api.call("GET", path, {**query, **bound, "limit": limit}):
        found += page
        bound = {"timestamp": page[-1]["timestamp"], "msgid": page[-1]["msg-id"]}
    return found


async def test_the_whole_app(api: Rest, app: App, places: dict[str, str]) -> None:
    found = await api.call("GET", ALL)
    assert "".join(talk.texts(found)) == "hgfedcba"
    assert all(record.keys() == talk.RECORD for record in found)
    told = {record["data"]: record for record in found}
    assert (told["a"]["to"], told["a"]["conv-id"]) == (places["group"], places["group"] + "00000000")
    assert (told["c"]["to"], told["c"]["conv-id"]) == (places["room"], places["room"] + "00000000")
    assert (told["e"]["to"], told["e"]["conv-id"]) == (places["news"], stream_id(places["news"], "ann"))


async def test_what_a_client_has_sent(api: Rest, places: dict[str, str]) -> None:
    """Not to service conversations; also where it is no member any more."""
    assert "".join(talk.texts(await api.call("GET", OF_ANN))) == "fca"
    assert "".join(talk.texts(await api.call("GET", OF_ANN, {"reversed": "true"}))) == "acf"
    assert await api.call("GET", "/1.2/rtm/clients/nobody/messages") == []


async def test_what_a_client_has_sent_where_it_is_no_member(
    api: Rest, engine: Engine, app: App, places: dict[str, str]
) -> None:
    await engine.conversations.remove(app, "ann", places["group"], ["ann"], lambda _: None)
    where = f"/1.2/rtm/conversations/{places['pair']}/messages"
    await passed((await api.call("POST", where, from_client="ann", message="z"))["timestamp"])
    assert "".join(talk.texts(await api.call("GET", OF_ANN))) == "zfca"


@pytest.mark.parametrize("limit", [1, 2, 3, 8, 100])
@pytest.mark.parametrize(("reverse", "expected"), [("false", "hgfedcba"), ("true", "abcdefgh")])
async def test_pages(
    api: Rest,
    places: dict[str, str],
    limit: int,
    reverse: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each message once, also where a page is read in parts."""
    monkeypatch.setattr(archive, "SLICE", 2)
    assert "".join(talk.texts(await walk(api, ALL, limit, reversed=reverse))) == expected
    of_ann = "".join(text for text in expected if text in "acf")
    assert "".join(talk.texts(await walk(api, OF_ANN, limit, reversed=reverse))) == of_ann


@pytest.mark.parametrize("path", [ALL, OF_ANN])
async def test_a_page_with_much_text_ends_early(
    api: Rest, engine: Engine, app: App, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "SLICE", 2)
    monkeypatch.setattr(archive, "LONG_CONTENT_MAX", 10)
    cid = await talk.group(engine, app, "ann")
    for number in range(9):
        await talk.say(engine, app, "ann", cid, str(number) * 4)
    assert len(await api.call("GET", path)) == 4
    assert [text[0] for text in talk.texts(await walk(api, path, 100))] == list("876543210")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "fed"),
        ({"include_start": "true"}, "gfed"),
        ({"include_stop": "true"}, "fedc"),
        ({"include_start": "true", "include_stop": "true"}, "gfedc"),
    ],
)
async def test_bounds(api: Rest, places: dict[str, str], query: dict[str, str], expected: str) -> None:
    at = {record["data"]: record for record in await api.call("GET", ALL)}
    upper, lower = at["g"], at["c"]
    ids = {"msgid": upper["msg-id"], "till_msgid": lower["msg-id"]}
    for anchors in (ids, {}):
        bounds = {"timestamp": upper["timestamp"], "till_timestamp": lower["timestamp"], **anchors}
        assert "".join(talk.texts(await api.call("GET", ALL, {**bounds, **query}))) == expected


async def test_the_same_moment_is_told_apart_by_id(api: Rest, engine: Engine, app: App, store: Store) -> None:
    """Messages of one millisecond in several conversations: none is lost or told twice, whatever the page."""
    cids = [await talk.group(engine, app, "ann", f"peer-{number}") for number in range(20)]
    await asyncio.gather(*(talk.say(engine, app, "ann", cid, cid) for cid in cids))
    await store.writer.call(lambda bound: bound.exec_driver_sql("UPDATE message SET timestamp = 1700000000000"))
    for path in (ALL, OF_ANN):
        for reverse in ("true", "false"):
            found = await walk(api, path, 3, reversed=reverse)
            assert sorted(talk.texts(found)) == sorted(cids)
            ids = [record["msg-id"] for record in found]
            assert ids == sorted(ids, reverse=reverse == "false")


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_a_message_to_some_clients_is_never_parted(api: Rest, engine: Engine, app: App, limit: int) -> None:
    """It is one message to each, with one id and time: a page has all of them or none."""
    news = await talk.service(engine, app)
    for text in ("one", "two"):
        to = [f"client-{number}" for number in range(5)]
        path = f"/1.2/rtm/service-conversations/{news}/messages"
        await passed((await api.call("POST", path, from_client="news", message=text, to_clients=to))["timestamp"])
    found = await walk(api, ALL, limit)
    assert talk.texts(found) == ["two"] * 5 + ["one"] * 5
    assert len({record["conv-id"] for record in found}) == 5


async def test_apps_are_apart(api: Rest, engine: Engine, app: App, places: dict[str, str]) -> None:
    other = await engine.apps.create("other", id="other", key="other-key")
    cid = await talk.group(engine, other, "ann")
    await talk.say(engine, other, "ann", cid, "elsewhere")
    assert "elsewhere" not in talk.texts(await api.call("GET", ALL))
    assert "elsewhere" not in talk.texts(await api.call("GET", OF_ANN))


async def test_deleted_conversations_are_gone(api: Rest, engine: Engine, app: App, places: dict[str, str]) -> None:
    await engine.services.erase(app, places["news"])
    assert "".join(talk.texts(await api.call("GET", ALL))) == "hgfdcba"
    while await engine.sweeps._store.clean():
        pass
    assert "".join(talk.texts(await api.call("GET", ALL))) == "hgfdcba"


async def test_a_page_is_found_by_an_index(store: Store, app: App) -> None:
    """However many messages there are: in the order of the page, from where it begins."""
    statement = f"EXPLAIN QUERY PLAN {OF_APP} AND m.timestamp < ? ORDER BY m.timestamp DESC, m.id DESC LIMIT ?"
    plan = await store._reader.run(lambda driver: driver.execute(statement, (0, app.key, 0, 10)).fetchall())
    steps = [row[3] for row in plan]
    assert steps[0] == "SEARCH m USING INDEX message_by_time (app=? AND timestamp<?)"
    assert not any(step.startswith("SCAN") for step in steps)
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


@pytest.mark.parametrize("path", [ALL, OF_ANN])
@pytest.mark.parametrize(
    "query",
    [{"limit": "x"}, {"limit": "-1"}, {"timestamp": "x"}, {"till_timestamp": ""}, {"reversed": "1"}, {"msgid": "x"}],
)
async def test_wrong_parameters(api: Rest, path: str, query: dict[str, str]) -> None:
    assert await api.refused("GET", path, query) == (400, 1)


async def test_a_client_id_that_is_too_long(api: Rest) -> None:
    assert await api.refused("GET", f"/1.2/rtm/clients/{'x' * 65}/messages") == (400, 1)


async def test_nothing_is_asked_of_the_store_for_no_messages(store: Store, app: App) -> None:
    assert await store.archive.of_app(app.key, HistoryRange(0)) == []
    assert await store.archive.of_author(app.key, "ann", HistoryRange(0)) == []
