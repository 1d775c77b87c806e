"""LiveQuery: what a change of a conversation means to each subscription (reference 10.4)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hongyan import errors
from hongyan.bus.local import LocalBus
from hongyan.engine import conditions, live_queries, live_subscriptions
from hongyan.engine.engine import Engine
from hongyan.engine.events import LiveQueriesMatched, Match
from hongyan.engine.live_queries import LiveQueries
from hongyan.engine.live_subscriptions import Authority, Reader, Wish
from hongyan.engine.values import App
from hongyan.errors import Refused
from hongyan.store import Store
from tests.engine.test_chatrooms import Phone, make

MASTER, KEY = Reader(Authority.MASTER), Reader(Authority.KEY)


class Listener:
    """Hears what is told to live queries, as (op, conversation) for each query."""

    def __init__(self, bus: LocalBus) -> None:
        self.heard: asyncio.Queue[tuple[LiveQueriesMatched, Match]] = asyncio.Queue()
        bus.subscribe(self._on_event)

    def _on_event(self, event: object) -> None:
        if isinstance(event, LiveQueriesMatched):
            for match in event.matches:
                self.heard.put_nowait((event, match))

    async def next(self) -> tuple[str, str, str]:
        event, match = await self.heard.get()
        return match.query_id, match.op, event.conversation_id


@pytest.fixture
def listener(bus: LocalBus) -> Listener:
    return Listener(bus)


def wish(where: str = "{}", *keys: str) -> Wish:
    return Wish(where, conditions.parse(where), keys)


def client(engine: Engine, name: str) -> Reader:
    return Reader(Authority.CLIENT, engine.sessions.new_ticket(name, "", "", 0))


async def subscribe(engine: Engine, app: App, reader: Reader, where: str = "{}", id: str = "i" * 32) -> str:
    """The id of the query."""
    return (await engine.live_queries.subscribe(app, reader, id, wish(where)))[1]


async def start(engine: Engine, app: App, *members: str, attr: str = "") -> str:
    made: list[Any] = []
    await engine.conversations.start(
        app, members[0], members, attr, unique=False, reply=lambda *reply: made.append(reply[0])
    )
    cid: str = made[0].id
    return cid


async def change(engine: Engine, app: App, by: str, cid: str, text: str) -> None:
    await engine.info.update(app, by, cid, text, None, lambda _: None)


class Held:
    """A read of the store that waits until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: Store, name: str) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self._read: Callable[..., Any] = getattr(store.live_queries, name)
        monkeypatch.setattr(store.live_queries, name, self._wait)

    async def _wait(self, *arguments: object) -> Any:
        result = await self._read(*arguments)
        self.asked.set()
        await self.go.wait()
        return result


async def test_what_happens_meanwhile_is_told_at_once(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many changes come while the last one is looked at."""
    cid = await start(engine, app, "tom")
    query = await subscribe(engine, app, MASTER)
    named = await subscribe(engine, app, MASTER, '{"name": "end"}')
    look = Held(monkeypatch, store, "look")
    await change(engine, app, "tom", cid, '{"name": "begin"}')
    await look.asked.wait()
    for number in range(5):
        await change(engine, app, "tom", cid, f'{{"k{number}": {number}}}')
    await change(engine, app, "tom", cid, '{"name": "end"}')
    other = await start(engine, app, "tom")
    look.go.set()
    told = {await listener.next() for _ in range(3)}
    assert told == {(query, "update", cid), (named, "enter", cid), (query, "create", other)}
    assert listener.heard.empty()


async def test_what_happened_before_a_subscription_is_not_told_to_it(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late it is looked at."""
    cid = await start(engine, app, "tom")
    first = await subscribe(engine, app, MASTER)
    look = Held(monkeypatch, store, "look")
    await change(engine, app, "tom", cid, '{"name": "a"}')
    await look.asked.wait()
    await change(engine, app, "tom", cid, '{"name": "b"}')
    second = await subscribe(engine, app, MASTER, id="j" * 32)
    look.go.set()
    assert [await listener.next() for _ in range(2)] == [(first, "update", cid)] * 2
    await change(engine, app, "tom", cid, '{"name": "c"}')
    assert {await listener.next() for _ in range(2)} == {(first, "update", cid), (second, "update", cid)}
    assert listener.heard.empty()


async def test_what_is_told_fits_together(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that meets the condition which it is told to meet, though it changes all the time."""
    cid = await start(engine, app, "tom", attr='{"rank": 0}')
    query = await subscribe(engine, app, MASTER, '{"rank": 2}')
    look = store.live_queries.look
    ranks = iter([2, 1, 2])

    async def look_and_change(*arguments: Any) -> Any:
        seen = await look(*arguments)
        for rank in ranks:
            await change(engine, app, "tom", cid, f'{{"rank": {rank}}}')
            break
        return seen

    monkeypatch.setattr(store.live_queries, "look", look_and_change)
    await change(engine, app, "tom", cid, '{"name": "begin"}')
    event, match = await listener.heard.get()
    assert (match.query_id, match.op) == (query, "enter")
    assert event.row is not None
    assert event.row.columns == {"rank": 2}


async def test_a_conversation_that_changes_all_the_time_is_told_all_the_same(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    cid = await start(engine, app, "tom", attr='{"rank": 1}')
    query = await subscribe(engine, app, MASTER, '{"rank": 1}')
    look = store.live_queries.look

    async def look_and_change(*arguments: Any) -> Any:
        seen = await look(*arguments)
        await change(engine, app, "tom", cid, '{"count": {"__op": "Increment", "amount": 1}}')
        return seen

    monkeypatch.setattr(store.live_queries, "look", look_and_change)
    await change(engine, app, "tom", cid, '{"name": "begin"}')
    assert await listener.next() == (query, "update", cid)
    await engine.live_queries.stop()


async def test_who_comes_and_goes_meanwhile_is_told_of_the_whole(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    cid = await start(engine, app, "tom", "spike")
    jerry = await subscribe(engine, app, client(engine, "jerry"))
    spike = await subscribe(engine, app, client(engine, "spike"))
    look = Held(monkeypatch, store, "look")
    await change(engine, app, "tom", cid, '{"name": "begin"}')
    await look.asked.wait()
    for clients in (["jerry"], ["spike"]):
        await engine.conversations.add(app, "tom", cid, clients, lambda _: None)
        await engine.conversations.remove(app, "tom", cid, clients, lambda _: None)
    await engine.conversations.add(app, "tom", cid, ["jerry"], lambda _: None)
    look.go.set()
    assert await listener.next() == (spike, "update", cid)
    assert {await listener.next(), await listener.next()} == {(jerry, "enter", cid), (spike, "leave", cid)}
    assert listener.heard.empty()


async def test_changes_while_a_subscription_is_made_are_told_to_it_alone(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    cid = await start(engine, app, "tom", attr='{"rank": 1}')
    everything = await subscribe(engine, app, MASTER)
    matching = Held(monkeypatch, store, "matching")
    subscribing = asyncio.create_task(subscribe(engine, app, MASTER, '{"rank": 1}'))
    await matching.asked.wait()
    await change(engine, app, "tom", cid, '{"rank": 2}')
    assert await listener.next() == (everything, "update", cid)
    matching.go.set()
    assert await listener.next() == (await subscribing, "leave", cid)
    await change(engine, app, "tom", cid, '{"rank": 1}')
    assert {await listener.next(), await listener.next()} == {
        (everything, "update", cid),
        (await subscribing, "enter", cid),
    }


async def test_a_conversation_that_is_gone_is_told_as_deleted(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    cid = await start(engine, app, "tom", attr='{"rank": 1}')
    matched = await subscribe(engine, app, client(engine, "tom"), '{"rank": 1}')
    await subscribe(engine, app, MASTER, '{"rank": 2}')

    async def gone(*_: object) -> None:
        return None

    monkeypatch.setattr(store.live_queries, "look", gone)
    await change(engine, app, "tom", cid, '{"name": "last"}')
    event, match = await listener.heard.get()
    assert (match.query_id, match.op, match.hidden, event.row) == (matched, "delete", True, None)
    assert listener.heard.empty()


async def test_who_opened_conversations_may_close_them(
    engine: Engine, app: App, store: Store, listener: Listener
) -> None:
    await engine.apps.change(app.id, {"conversation_read": "on"})
    opened = await subscribe(engine, app, KEY)
    master = await subscribe(engine, app, MASTER)
    cid = await start(engine, app, "tom")
    assert {await listener.next(), await listener.next()} == {(opened, "create", cid), (master, "create", cid)}
    await engine.apps.change(app.id, {"conversation_read": "off"})
    await change(engine, app, "tom", cid, '{"name": "closed"}')
    assert await listener.next() == (master, "update", cid)
    assert (listener.heard.empty(), engine.live_queries.count(app)) == (True, 1)


async def test_a_condition_that_takes_too_long_ends_its_subscription_alone(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [await subscribe(engine, app, MASTER, f'{{"rank": 1, "k{number}": null}}') for number in range(6)]
    await subscribe(engine, app, MASTER, '{"rank": 1, "slow": null}')
    slow = next(each for each in engine.live_queries._apps[app.key].by_everybody if '"slow"' in each.wish.where)
    matches = store.live_queries.matches

    async def limited(conversation: int, updated_at: int | None, prepared: Any) -> list[bool] | None:
        if slow.prepared in prepared:
            raise Refused(errors.CONVERSATION_QUERY_FAILED, "the answer took too long")
        return await matches(conversation, updated_at, prepared)

    monkeypatch.setattr(store.live_queries, "matches", limited)
    cid = await start(engine, app, "tom", attr='{"rank": 1}')
    assert {await listener.next() for _ in good} == {(query, "create", cid) for query in good}
    assert engine.live_queries.count(app) == 6


async def test_a_read_that_fails_loses_one_change_and_no_more(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = await subscribe(engine, app, MASTER)
    look, failures = store.live_queries.look, iter([RuntimeError("broken"), Refused(errors.STORAGE_FULL)])
    failed = asyncio.Event()

    async def fail(*arguments: Any) -> Any:
        failure = next(failures, None)
        if failure is None:
            failed.set()
            return await look(*arguments)
        raise failure

    monkeypatch.setattr(store.live_queries, "look", fail)
    for _ in range(2):
        await start(engine, app, "tom")
    cid = await start(engine, app, "tom")
    assert await listener.next() == (query, "create", cid)
    assert failed.is_set()


async def test_what_is_remembered_is_bounded(
    engine: Engine, app: App, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_subscriptions, "MATCHED_MAX", 3)
    monkeypatch.setattr(live_subscriptions, "MATCHED_OF_APP_MAX", 5)
    for _ in range(3):
        await start(engine, app, "tom", "jerry", attr='{"rank": 1}')
    await start(engine, app, "tom", attr='{"rank": 2}')
    with pytest.raises(Refused) as refused:
        await subscribe(engine, app, MASTER, '{"rank": {"$gt": 0}}')
    assert refused.value.kind is errors.CONVERSATION_API_QUOTA_EXCEEDED
    await subscribe(engine, app, MASTER, '{"rank": 1}')
    with pytest.raises(Refused) as refused:
        await subscribe(engine, app, MASTER, '{"m": "jerry"}')
    assert refused.value.kind is errors.CONVERSATION_API_QUOTA_EXCEEDED
    assert engine.live_queries.count(app) == 1
    engine.live_queries.ended(app, "i" * 32)
    query = await subscribe(engine, app, client(engine, "jerry"), '{"rank": 1}')
    cid = await start(engine, app, "jerry", attr='{"rank": 1}')
    assert await listener.next() == (query, "create", cid)


async def test_an_app_has_so_many_subscriptions(engine: Engine, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_subscriptions, "OF_APP_MAX", 3)
    for name in ("a", "b", "c"):
        await subscribe(engine, app, client(engine, name))
    with pytest.raises(Refused) as refused:
        await subscribe(engine, app, client(engine, "d"))
    assert refused.value.kind is errors.CONVERSATION_API_QUOTA_EXCEEDED
    other = await engine.apps.create("other", id="other")
    await subscribe(engine, other, client(engine, "d"))


async def test_conversations_that_wait_are_bounded(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_subscriptions, "MARKED_MAX", 2)
    query = await subscribe(engine, app, MASTER)
    look = Held(monkeypatch, store, "look")
    first = await start(engine, app, "tom")
    await look.asked.wait()
    waiting = [await start(engine, app, "tom") for _ in range(4)]
    look.go.set()
    told = [await listener.next() for _ in range(3)]
    assert told == [(query, "create", cid) for cid in (first, *waiting[:2])]
    assert await start(engine, app, "tom") == (await listener.next())[2]


async def test_subscriptions_live_five_minutes_without_a_connection_inferred(
    engine: Engine, app: App, store: Store, bus: LocalBus
) -> None:
    assert live_queries.PATIENCE == 300
    hasty = LiveQueries(store.live_queries, engine.sessions, bus, patience=0)
    loop = asyncio.get_running_loop()

    async def timers() -> None:
        """All that were to go off have."""
        passed = loop.create_future()
        loop.call_later(0.01, passed.set_result, None)
        await passed

    hasty.connected(app, "i" * 32)
    for name in ("a", "b"):
        await hasty.subscribe(app, MASTER, "i" * 32, wish("{}", name))
    await timers()
    assert hasty.count(app) == 2
    hasty.lost(app, "i" * 32)
    hasty.connected(app, "i" * 32)
    await timers()
    assert hasty.count(app) == 2
    hasty.lost(app, "i" * 32)
    await timers()
    assert hasty.count(app) == 0
    await hasty.subscribe(app, MASTER, "j" * 32, wish())  # nobody logs in with this id
    await timers()
    assert hasty.count(app) == 0


async def test_nothing_is_left_of_what_has_ended(engine: Engine, app: App) -> None:
    tom = client(engine, "tom")
    for reader in (tom, MASTER):
        for where in ("{}", '{"rank": 1}'):
            query = await subscribe(engine, app, reader, where)
            engine.live_queries.unsubscribe(app, reader, "i" * 32, query)
    await subscribe(engine, app, tom)
    await subscribe(engine, app, client(engine, "jerry"))
    assert tom.ticket
    await engine.sessions.revoke(tom.ticket)
    assert engine.live_queries.count(app) == 1
    engine.live_queries.ended(app, "i" * 32)
    kept = engine.live_queries._apps[app.key]
    assert (kept.by_id, kept.by_client, kept.by_everybody, kept.leaving) == ({}, {}, [], {})
    assert (kept.count, kept.matched, kept.marks) == (0, 0, {})


async def test_a_new_session_of_the_client_carries_the_subscription_on(engine: Engine, app: App) -> None:
    """A logout of the session before it does not end it."""
    before, after = client(engine, "tom"), client(engine, "tom")
    assert before.ticket
    query = await subscribe(engine, app, before)
    assert await subscribe(engine, app, after) == query
    await engine.sessions.revoke(before.ticket)
    assert engine.live_queries.count(app) == 1


async def test_nobody_is_looked_up_for_conversations_of_others(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    look = store.live_queries.look

    async def count(*arguments: Any) -> Any:
        looked.append(arguments)
        return await look(*arguments)

    monkeypatch.setattr(store.live_queries, "look", count)
    query = await subscribe(engine, app, client(engine, "jerry"))
    for _ in range(5):
        cid = await start(engine, app, "tom", "spike")
        await change(engine, app, "tom", cid, '{"name": "x"}')
        await engine.info.mute(app, "tom", cid, True, lambda *_: None)
    cid = await start(engine, app, "tom", "jerry")
    assert await listener.next() == (query, "create", cid)
    assert len(looked) == 1


async def test_a_stop_ends_the_work(
    engine: Engine, app: App, store: Store, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await subscribe(engine, app, MASTER)
    look = Held(monkeypatch, store, "look")
    await start(engine, app, "tom")
    await look.asked.wait()
    await engine.live_queries.stop()
    look.go.set()
    assert listener.heard.empty()


async def test_subscribers_of_a_service_conversation_hear_of_it_inferred(
    engine: Engine, app: App, listener: Listener
) -> None:
    """Whoever else looks at the app's conversations; who has not subscribed hears nothing."""
    row = await engine.services.create(app, {"name": "news"})
    service = await engine.access.conversation(app, row.id)
    tom = await subscribe(engine, app, client(engine, "tom"))
    named = await subscribe(engine, app, client(engine, "tom"), '{"name": "olds"}', id="n" * 32)
    await subscribe(engine, app, client(engine, "jerry"), id="j" * 32)
    await engine.services.subscribe(app, service, "tom", "tom", lambda _: None)
    assert await listener.next() == (tom, "enter", row.id)
    await engine.info.update(app, None, row.id, '{"name": "olds"}', None, lambda _: None)
    told = [await listener.heard.get() for _ in range(2)]
    assert {(match.query_id, match.op) for _, match in told} == {(tom, "update"), (named, "enter")}
    assert {event.keys for event, _ in told} == {("name",)}
    await engine.services.unsubscribe(service, "tom", "tom", lambda _: None)
    assert {await listener.next() for _ in range(2)} == {(tom, "leave", row.id), (named, "leave", row.id)}
    assert listener.heard.empty()


async def test_service_conversations_are_told_as_made_and_as_deleted(
    engine: Engine, app: App, listener: Listener
) -> None:
    query = await subscribe(engine, app, MASTER)
    row = await engine.services.create(app, {"name": "news"})
    assert await listener.next() == (query, "create", row.id)
    await engine.services.erase(app, row.id)
    assert await listener.next() == (query, "delete", row.id)
    assert listener.heard.empty()


async def test_chat_rooms_are_told_as_made(engine: Engine, app: App, store: Store, listener: Listener) -> None:
    query = await subscribe(engine, app, MASTER)
    room = await make(engine, store, Phone(app, "tom", "phone"))
    assert await listener.next() == (query, "create", room.id)
    assert listener.heard.empty()
