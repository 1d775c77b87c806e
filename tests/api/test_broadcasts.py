"""Broadcasts to all clients of an app over HTTP: making, listing, editing and deleting them; where they are found."""

from typing import Any

import pytest

from hongyan.engine.broadcasts import VALIDITY
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.events import BroadcastSent, Event, MessagePatched
from hongyan.engine.values import App, Departure, HistoryRange
from hongyan.errors import INTERNAL_ERROR, Refused
from hongyan.store import Store
from tests.api import talk
from tests.support.rest import Rest

NEW = "/1.2/rtm/broadcasts"
OLD = [f"{version}/rtm/{name}" for version in ("/1.1", "/1") for name in ("broadcast", "broadcasts")]
ALL = [NEW, *OLD]


@pytest.fixture
async def news(engine: Engine, app: App) -> str:
    return await talk.service(engine, app)


async def test_making_one(api: Rest, news: str, events: list[Event]) -> None:
    for path, name, push in ((NEW, "from_client", "push"), *((old, "from_peer", "push_data") for old in OLD)):
        body = {name: "app", "conv_id": news, "message": "hello", push: {"alert": "!"}}
        answer = await api.call("POST", path, **body)
        assert answer == {**answer["result"], "result": {"msg-id": answer["msg-id"], "timestamp": answer["timestamp"]}}
    found = [event for event in events if isinstance(event, BroadcastSent)]
    assert [(event.message.sender, event.message.content) for event in found] == [("app", "hello")] * 5
    assert [event.key for event in found] == sorted({event.key for event in found})


@pytest.mark.parametrize("path", ALL)
async def test_those_that_are_told(path: str, api: Rest, engine: Engine, app: App, news: str) -> None:
    """Of one service conversation, the newest first; each with its end."""
    other = await talk.service(engine, app)
    made = [
        await api.call("POST", NEW, from_client="app", conv_id=where, message=text)
        for where, text in ((news, "one"), (other, "other"), (news, "two"), (news, "three"))
    ]
    found = await api.call("GET", path, {"conv_id": news})
    assert talk.texts(found) == ["three", "two", "one"]
    assert all(record.keys() == talk.RECORD | {"valid_till"} for record in found)
    assert (found[-1]["msg-id"], found[-1]["to"], found[-1]["from"]) == (made[0]["msg-id"], news, "app")
    assert found[-1]["valid_till"] - found[-1]["timestamp"] <= VALIDITY
    assert talk.texts(await api.call("GET", path, {"conv_id": news, "limit": 1, "skip": 1})) == ["two"]
    assert talk.texts(await api.call("GET", path, {"conv_id": news, "skip": 5})) == []


async def test_until_when_it_is_told_inferred(api: Rest, engine: Engine, app: App, news: str) -> None:
    """A month at most; more is taken for that."""
    now = engine.clock.now()
    for valid_till in (now + 60_000, str(now + 60_000), now + 10 * VALIDITY):
        await api.call("POST", NEW, from_client="app", conv_id=news, message="x", valid_till=valid_till)
    long, *short = [record["valid_till"] for record in await api.call("GET", NEW, {"conv_id": news})]
    assert short == [now + 60_000] * 2
    assert now + VALIDITY <= long <= engine.clock.now() + VALIDITY


async def test_what_is_over_is_told_no_more(
    api: Rest, engine: Engine, app: App, news: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays in the history."""
    end = engine.clock.now() + 60_000
    await api.call("POST", NEW, from_client="app", conv_id=news, message="x", valid_till=end)
    assert await engine.broadcasts.pending(app, "ann")
    monkeypatch.setattr(engine.clock, "now", lambda: end)
    assert await engine.broadcasts.pending(app, "ann") == ()
    assert await api.call("GET", NEW, {"conv_id": news}) == []
    service = await engine.services.find(app, news)
    assert [each.content for each in await engine.service_messages.page(service, "ann", HistoryRange(10))] == ["x"]


async def test_where_it_is_found(api: Rest, engine: Engine, app: App, news: str) -> None:
    """In each client's history of the service conversation, in order; not in that of the app. It counts as unread
    nowhere.
    """
    await engine.services.subscribe(app, await engine.services.find(app, news), "ann", "", lambda _: None)
    where = f"/1.2/rtm/service-conversations/{news}"
    await api.call("POST", f"{where}/broadcasts", from_client="app", message="to subscribers")
    await api.call("POST", NEW, from_client="app", conv_id=news, message="to all")
    await api.call("POST", f"{where}/messages", from_client="app", message="to ann", to_clients=["ann"])
    found = talk.texts(await api.call("GET", f"{where}/subscribers/ann/messages"))
    assert sorted(found) == ["to all", "to ann", "to subscribers"]
    _, mine = await engine.history.page(app, "bob", news, HistoryRange(10))
    assert sorted(message.content for message in mine) == ["to all", "to subscribers"]  # type: ignore[type-var]
    assert sorted(talk.texts(await api.call("GET", "/1.2/rtm/messages"))) == ["to ann", "to subscribers"]
    assert await api.call("GET", "/1.2/rtm/clients/app/messages") == []
    assert await api.call("GET", "/1.2/rtm/clients/ann/unread-count") == {"count": 2}


async def test_editing_one(api: Rest, engine: Engine, app: App, news: str, events: list[Event]) -> None:
    """Who has not heard it hears it so; nobody is told of a change."""
    made = await api.call("POST", NEW, from_client="app", conv_id=news, message="one")
    one = f"/1.2/rtm/service-conversations/{news}/messages/{made['msg-id']}"
    right = {"from_client": "app", "timestamp": made["timestamp"], "message": "two"}
    events.clear()
    assert await api.call("PUT", one, **right) == {"result": {}}
    assert events == []
    assert [each.message.content for each in await engine.broadcasts.pending(app, "ann")] == ["two"]
    assert talk.texts(await api.call("GET", NEW, {"conv_id": news})) == ["two"]
    patch = {"from_peer": "app", "conv_id": news, "msg_id": made["msg-id"], "timestamp": made["timestamp"]}
    assert await api.call("POST", "/1.1/rtm/patch/message", **patch, message="three") == {"result": {}}
    for wrong in ({"from_client": "eve"}, {"timestamp": 1}):
        assert await api.refused("PUT", one, **{**right, **wrong}) == (400, 4404)
    assert await api.refused("PUT", f"{one}/recall", **right) == (400, 4404)
    assert await api.refused("PUT", one, **right, to_clients=["ann"]) == (400, 4404)
    assert talk.texts(await api.call("GET", NEW, {"conv_id": news})) == ["three"]
    assert not [event for event in events if isinstance(event, MessagePatched)]


@pytest.mark.parametrize(
    "path", [f"{NEW}/{{id}}", *(f"{old}/{{id}}" for old in OLD), *(f"{old}?mid={{id}}" for old in OLD)]
)
async def test_deleting_one(path: str, api: Rest, engine: Engine, app: App, news: str) -> None:
    """Nobody hears it any more, and no history has it."""
    made = await api.call("POST", NEW, from_client="app", conv_id=news, message="x")
    gone = path.format(id=made["msg-id"])
    assert await api.call("DELETE", gone) == {}
    assert await engine.broadcasts.pending(app, "ann") == ()
    assert await api.call("GET", f"/1.2/rtm/service-conversations/{news}/subscribers/ann/messages") == []
    assert await api.refused("DELETE", gone) == (400, 4404)


async def test_deleting_by_a_body(api: Rest, news: str) -> None:
    made = await api.call("POST", NEW, from_client="app", conv_id=news, message="x")
    assert await api.call("DELETE", "/1.1/rtm/broadcast", mid=made["msg-id"]) == {}


async def test_one_cannot_be_deleted_from_a_single_history(api: Rest, news: str) -> None:
    made = await api.call("POST", NEW, from_client="app", conv_id=news, message="x")
    one = f"/1.2/rtm/service-conversations/{news}/subscribers/ann/messages/{made['msg-id']}"
    assert await api.refused("DELETE", one, from_client="app", timestamp=made["timestamp"]) == (400, 4404)


async def test_a_deleted_service_conversation_broadcasts_nothing(
    api: Rest, engine: Engine, app: App, news: str, store: Store
) -> None:
    await api.call("POST", NEW, from_client="app", conv_id=news, message="x")
    await engine.services.erase(app, news)
    assert await engine.broadcasts.pending(app, "ann") == ()
    while await store.sweep.clean():
        pass
    assert await store._reader.run(lambda driver: driver.execute("SELECT count(*) FROM broadcast").fetchone()) == (0,)


async def test_a_transient_one_is_kept_nowhere(api: Rest, engine: Engine, app: App, news: str) -> None:
    await api.call("POST", NEW, from_client="app", conv_id=news, message="x", transient=True)
    assert await engine.broadcasts.pending(app, "ann") == ()
    assert await api.call("GET", f"/1.2/rtm/service-conversations/{news}/subscribers/ann/messages") == []


async def test_who_is_told_what_at_a_login(api: Rest, engine: Engine, app: App, news: str, store: Store) -> None:
    """Who was never here: the newest; who was away: all since; who was online, or was told: nothing. Also after a
    restart.
    """
    for client in ("ann", "bob"):
        engine.presence.session_opened(app, client)
    engine.presence.session_ended(app, "bob", Departure.LOST)
    await engine.visitors.flush()
    for text in ("one", "two"):
        await api.call("POST", NEW, from_client="app", conv_id=news, message=text)
    engine.presence.session_opened(app, "new")
    await engine.visitors.flush()
    again = Engine(store, engine.kicks._bus, Clock(), bytes(32))
    await again.start()
    for each in (engine, again):
        told = {
            client: [broadcast.message.content for broadcast in await each.broadcasts.pending(app, client)]
            for client in ("ann", "bob", "new", "nobody")
        }
        assert told == {"ann": [], "bob": ["one", "two"], "new": ["two"], "nobody": ["two"]}
    last = again.broadcasts.valid(app.key)[-1].key
    again.broadcasts.begin(app, "new")
    await again.broadcasts.end(app, "new", last)
    assert await again.broadcasts.pending(app, "new") == []


async def test_thirty_a_day(api: Rest, engine: Engine, app: App, news: str, store: Store) -> None:
    """Also after a restart; transient ones and edits count too."""
    body = {"from_client": "app", "conv_id": news, "message": "x"}
    for number in range(29):
        made = await api.call("POST", NEW, **body, transient=number == 0)
    one = f"/1.2/rtm/service-conversations/{news}/messages/{made['msg-id']}"
    await api.call("PUT", one, **body, timestamp=made["timestamp"])
    for path in (NEW, OLD[0]):
        assert await api.refused("POST", path, **body) == (429, 429)
    assert await api.refused("PUT", one, **body, timestamp=made["timestamp"]) == (429, 429)
    again = Engine(store, engine.kicks._bus, Clock(), bytes(32))
    await again.start()
    assert sum(count for _, count in again.budgets._made.values()) == 28


async def test_they_are_swept_with_messages(
    api: Rest, engine: Engine, app: App, news: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not while they are told."""
    end = engine.clock.now() + 60_000
    await api.call("POST", NEW, from_client="app", conv_id=news, message="short", valid_till=end)
    await api.call("POST", NEW, from_client="app", conv_id=news, message="long")
    monkeypatch.setattr(engine.clock, "now", lambda: end + 1)
    monkeypatch.setattr(store._clock, "now", lambda: end + 1)
    assert await store.sweep.delete_broadcasts(app.key, end) == 1
    service = await engine.services.find(app, news)
    assert [each.content for each in await engine.service_messages.page(service, "ann", HistoryRange(10))] == ["long"]


TEXTS = [None, 1, True, [], ""]
RIGHT = {"from_client": "app", "message": "x"}


@pytest.mark.parametrize("path", [NEW, OLD[0]])
async def test_wrong_parameters(path: str, api: Rest, engine: Engine, app: App, news: str, events: list[Event]) -> None:
    wrong: list[dict[str, Any]] = [
        *({"from_client": value} for value in [*TEXTS, "x" * 65]),
        *({"conv_id": value} for value in TEXTS),
        *({"message": value} for value in [None, 1, True, []]),
        *({"valid_till": value} for value in ["x", -1, 1, 1.5, True, [], engine.clock.now()]),
        *({"transient": value} for value in [1, "x", []]),
        *({"push": value} for value in [1, True, []]),
    ]
    events.clear()
    for values in wrong:
        assert await api.refused("POST", path, **{**RIGHT, "conv_id": news, **values}) == (400, 1), values
    assert await api.refused("POST", path, **RIGHT, conv_id="0" * 24) == (400, 4401)
    assert await api.refused("POST", path, **RIGHT, conv_id=await talk.group(engine, app, "ann")) == (400, 4313)
    long = {**RIGHT, "message": "x" * 5_121}
    assert await api.refused("POST", path, **long, conv_id=news) == (400, 4109)
    assert not [event for event in events if isinstance(event, BroadcastSent)]
    for query in ({}, {"conv_id": ""}, {"conv_id": news, "limit": "x"}, {"conv_id": news, "skip": "-1"}):
        assert await api.refused("GET", path, query) == (400, 1)
    assert await api.refused("GET", path, {"conv_id": "0" * 24}) == (400, 4303)
    assert await api.refused("DELETE", f"{path}/unknown") == (400, 4404)
    assert await api.refused("DELETE", OLD[0]) == (400, 1)


async def test_one_that_is_sent_is_acknowledged_though_who_heard_it_can_not_be_noted(
    api: Rest, engine: Engine, app: App, store: Store, news: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is told of a failure sends it again, and all hear it twice."""

    async def fails(_visits: Any) -> None:
        raise Refused(INTERNAL_ERROR, "the disk is full")

    monkeypatch.setattr(store.visitors, "told", fails)
    made = await api.call("POST", NEW, from_client="app", conv_id=news, message="hello")
    assert [each.message.id for each in engine.broadcasts.valid(app.key)] == [made["msg-id"]]
