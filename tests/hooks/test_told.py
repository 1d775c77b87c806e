"""What the engine of an app is told afterwards (REST reference 5.2)."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hongyan import errors
from hongyan.engine.engine import Engine
from hongyan.engine.values import App, Departure, Draft, Edit, Stored
from hongyan.hooks import KIND, Engines, Told
from hongyan.hooks.told import lane
from hongyan.jobs import Failed, Jobs
from hongyan.outbound import Outbound
from hongyan.store import Store
from tests.engine.test_aftermath import Device, ignore
from tests.engine.test_conversations import start
from tests.engine.test_messages import send
from tests.support.app_engine import AppEngine, Raw, app_engine

NAMES = (
    "messageSent",
    "conversationStarted",
    "conversationAdded",
    "conversationRemoved",
    "clientOnline",
    "clientOffline",
)


@pytest.fixture
async def peer() -> AsyncIterator[AppEngine]:
    """An engine with all hooks that are told."""
    async with app_engine(**dict.fromkeys(NAMES, lambda params: None)) as made:
        yield made


@pytest.fixture
async def told(
    engine: Engine, app: App, store: Store, peer: AppEngine, certificates: ssl.SSLContext
) -> AsyncIterator[Told]:
    await engine.apps.change(app.id, {"hook_url": peer.url})
    outbound = Outbound(("127.0.0.0/8",), context=certificates)
    engines = Engines(outbound, engine.clock)
    made = Told(engine.apps, engine.access, engine.presence, engines, engine.clock)
    engine.aftermath.add(made)
    jobs = Jobs(store.jobs, engine.clock, {KIND: made.kind})
    await jobs.start()
    yield made
    await jobs.stop(0)
    await engines.stop()
    await outbound.close()


async def test_messages(engine: Engine, app: App, peer: AppEngine, told: Told) -> None:
    talk = (await start(engine, app, "ann", "bob", "cem")).id
    engine.presence.session_opened(app, "cem")
    outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    draft = Draft("hi", receipt=True, source="1.2.3.4")
    engine.messages.send(app, "ann", talk, draft, outcome.set_result, "origin")
    place = await outcome
    (params,) = await peer.expect("messageSent")
    assert params == {
        "fromPeer": "ann",
        "convId": talk,
        "msgId": place.id,
        "onlinePeers": ["cem"],
        "offlinePeers": ["bob"],
        "transient": False,
        "system": None,
        "bin": False,
        "content": "hi",
        "receipt": True,
        "timestamp": place.timestamp,
        "sourceIP": "1.2.3.4",
    }
    transient = await send(engine, app, "ann", talk, b"\x00", transient=True)
    assert isinstance(transient, Stored)
    _, params = await peer.expect("messageSent", 2)
    assert (params["transient"], params["bin"], params["content"], params["msgId"]) == (
        True,
        True,
        "AA==",
        transient.id,
    )


async def test_messages_of_service_conversations(engine: Engine, app: App, peer: AppEngine, told: Told) -> None:
    row = await engine.services.create(app, {"name": "news"})
    news = await engine.services.find(app, row.id)
    await send(engine, app, "ann", news.id, "to news")
    (params,) = await peer.expect("messageSent")
    assert (params["system"], params["onlinePeers"], params["offlinePeers"]) == (True, [], [])
    await engine.service_messages.send_alone(app, news, "news", ["ann", "bob"], Draft("to two"), sync=False)
    found = await peer.expect("messageSent", 3)
    assert sorted(params["offlinePeers"] for params in found[1:]) == [["ann"], ["bob"]]
    await engine.service_messages.broadcast(app, news, "news", Draft("to all"))
    assert (await peer.expect("messageSent", 4))[3]["offlinePeers"] == []


async def test_conversations(engine: Engine, app: App, peer: AppEngine, told: Told) -> None:
    talk = (await start(engine, app, "ann", "bob")).id
    assert await peer.expect("conversationStarted") == [{"convId": talk}]
    await peer.expect("conversationAdded")
    await engine.conversations.add(app, "ann", talk, ["cem"], ignore)
    added = await peer.expect("conversationAdded", 2)
    assert added[1] == {"initBy": "ann", "convId": talk, "members": ["cem"]}
    await engine.conversations.remove(app, "cem", talk, ["cem"], ignore)
    assert await peer.expect("conversationRemoved") == [{"initBy": "cem", "convId": talk, "members": ["cem"]}]


@pytest.mark.parametrize(
    ("why", "error", "expected"),
    [
        (Departure.LOGGED_OUT, None, {"closeCode": 1, "sourceIP": "1.2.3.4"}),
        (Departure.LOST, None, {"closeCode": 2}),
        (Departure.STOPPED, None, {"closeCode": 2, "sourceIP": "1.2.3.4"}),
        (Departure.REPLACED, None, {"closeCode": 3, "sourceIP": "1.2.3.4"}),
        (Departure.EXPELLED, None, {"closeCode": 4, "sourceIP": "1.2.3.4"}),
        (Departure.LOST, errors.FRAME_TOO_LONG, {"closeCode": 2, "errorCode": 4109, "errorMsg": "FRAME_TOO_LONG"}),
        (Departure.LOST, errors.APP_NOT_AVAILABLE, {"closeCode": 2}),
    ],
)
async def test_clients(
    engine: Engine, app: App, peer: AppEngine, told: Told, why: Departure, error: errors.Kind, expected: dict[str, Any]
) -> None:
    """Each device is told of."""
    device = Device(app)
    engine.presence.session_opened(app, "ann", device, returned=True)
    engine.presence.session_ended(app, "ann", why, device, error)
    (online,) = await peer.expect("clientOnline")
    assert online == {"peerId": "ann", "sourceIP": "1.2.3.4", "tag": "mobile", "reconnect": 1}
    (offline,) = await peer.expect("clientOffline")
    assert isinstance(offline.pop("closeMsg"), str)
    assert offline == {"peerId": "ann", "tag": "mobile", **expected}


async def test_what_comes_by_rest_is_left_out_if_the_app_wants_that(
    engine: Engine, app: App, peer: AppEngine, told: Told
) -> None:
    await engine.apps.change(app.id, {"hook_rest": "off"})
    talk = (await start(engine, app, "ann", "bob")).id
    conversation = await engine.app_messages.target(app, talk)
    await engine.app_messages.send(app, conversation, "robot", Draft("beep"), sync=False)
    await engine.conversations.add(app, None, talk, ["cem"], ignore)
    await engine.conversations.remove(app, None, talk, ["cem"], ignore)
    await engine.services.create(app, {"name": "news"})
    await send(engine, app, "ann", talk, "of ann")
    (params,) = await peer.expect("messageSent")
    assert params["content"] == "of ann"
    for name in ("conversationStarted", "conversationAdded"):
        await peer.expect(name)
    assert [len(peer.of(name)) for name in NAMES] == [1, 1, 1, 0, 0, 0]


async def test_an_engine_without_hooks_is_told_nothing(
    engine: Engine, app: App, store: Store, peer: AppEngine, told: Told
) -> None:
    peer.hooks.clear()
    peer.names = []
    talk = (await start(engine, app, "ann", "bob")).id
    await engine_is_known(told, app)
    await done(store, app)  # it may have been told of the start before its functions were known
    calls = len(peer.calls)
    await send(engine, app, "ann", talk)
    assert await store.jobs.next(lane(app.key), 10) == []
    assert len(peer.calls) == calls


async def engine_is_known(told: Told, app: App) -> None:
    """Return when the names of its functions have come."""
    async with asyncio.timeout(30):
        while app.key not in told._engines._engines or told._engines._engines[app.key].names is None:
            await asyncio.sleep(0)


async def done(store: Store, app: App) -> None:
    """Return when no job waits any more."""
    async with asyncio.timeout(30):
        while await store.jobs.next(lane(app.key), 1):
            await asyncio.sleep(0.001)


async def test_what_the_engine_answers_counts_for_nothing(
    engine: Engine, app: App, store: Store, peer: AppEngine, told: Told
) -> None:
    peer.hooks["_messageSent"] = lambda params: Raw(500, b'{"code": 141, "error": "broken"}')
    talk = (await start(engine, app, "ann", "bob")).id
    await send(engine, app, "ann", talk)
    await done(store, app)
    assert len(peer.of("messageSent")) == 1
    assert await store.jobs.dead(app.key, 0, 10) == []


@pytest.mark.parametrize(("raw", "everybody"), [(Raw(503), True), (Raw(504), True)])
async def test_an_engine_that_is_away_is_told_later(
    engine: Engine, app: App, store: Store, peer: AppEngine, told: Told, raw: Raw, everybody: bool
) -> None:
    """With the same id, and meanwhile nothing else is tried."""
    peer.hooks["_messageSent"] = lambda params: raw
    talk = (await start(engine, app, "ann", "bob")).id
    await done(store, app)
    await send(engine, app, "ann", talk)
    await peer.expect("messageSent")
    (job,) = await store.jobs.next(lane(app.key), 1)
    with pytest.raises(Failed) as failed:
        await told.do(job)
    assert failed.value.everybody is everybody
    first, second = (call.headers["x-request-id"] for call in peer.calls if call.name == "_messageSent")
    assert first == second == job.id
    peer.hooks["_messageSent"] = lambda params: None
    await told.do(job)


async def test_members_who_are_gone_are_not_named(
    engine: Engine, app: App, store: Store, peer: AppEngine, told: Told
) -> None:
    """Whom a message concerned is looked up when it is told."""
    go_on = asyncio.Event()
    peer.hooks["_conversationStarted"] = lambda params: go_on.wait()
    talk = (await start(engine, app, "ann", "bob", "cem")).id
    await engine.conversations.remove(app, None, talk, ["cem"], ignore)
    await send(engine, app, "ann", talk)
    (params,) = await peer.expect("messageSent")
    assert params["offlinePeers"] == ["bob"]
    go_on.set()


async def test_edits_are_no_hook(engine: Engine, app: App, store: Store, peer: AppEngine, told: Told) -> None:
    talk = (await start(engine, app, "ann", "bob")).id
    place = await send(engine, app, "ann", talk)
    assert isinstance(place, Stored)
    await engine.edits.apply(app, "ann", [Edit(talk, place.id, place.timestamp, None)], ignore)
    await done(store, app)
    assert len(peer.of("messageSent")) == 1
