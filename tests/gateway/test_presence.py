"""What the gateway tells of clients that come and go. A gateway in the test's own process: events are heard there."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hongyan.bus.local import LocalBus
from hongyan.config import GatewayOptions
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.events import ClientOffline, ClientOnline, Event
from hongyan.engine.values import Departure
from hongyan.gateway.server import Gateway
from hongyan.store import Store
from tests.gateway.apps import Door
from tests.support.client import connect, named
from tests.support.server import HOST, App

APP = App("home", "home-key", "home-master-key")
ONLINE = ("tom", None)


@dataclass
class Heard:
    """(client, None) for each that came, (client, why) for each that went."""

    items: list[tuple[str, Departure | None]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def on_event(self, event: Event) -> None:
        if isinstance(event, ClientOnline | ClientOffline):
            self.items.append((event.client, event.why if isinstance(event, ClientOffline) else None))
            self.news.set()

    async def until(self, *items: tuple[str, Departure | None]) -> None:
        """Wait until just this was heard."""
        async with asyncio.timeout(30):
            while len(self.items) < len(items):
                self.news.clear()
                await self.news.wait()
        assert self.items == list(items)


@dataclass
class Running:
    """A gateway, the way into it, and what it told of clients."""

    gateway: Gateway
    door: Door
    heard: Heard


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    store, bus, heard = Store.open(tmp_path / "hongyan.db", bytes(32)), LocalBus(), Heard()
    store.start(asyncio.get_running_loop())
    engine = Engine(store, bus, Clock(), bytes(32))
    await engine.start()
    await engine.apps.create(APP.id, id=APP.id, key=APP.key, master_key=APP.master_key, settings={"limits": "off"})
    bus.subscribe(heard.on_event)
    gateway = Gateway(engine, bus, GatewayOptions())
    await gateway.start(HOST, 0)
    yield Running(gateway, Door(f"ws://{HOST}:{gateway.port}", APP), heard)
    await gateway.drain(5)
    await store.close()


async def test_a_login_and_a_logout(running: Running) -> None:
    async with connect(running.door) as connection:
        tom = await connection.open("tom")
        assert running.heard.items == [ONLINE]
        await connection.open("tom")
        assert running.heard.items == [ONLINE], "renewed, on the same connection"
        await tom.close()
        assert running.heard.items == [ONLINE, ("tom", Departure.LOGGED_OUT)]
    async with connect(running.door) as connection:
        await connection.open("tom")
        assert running.heard.items[2:] == [ONLINE]


@pytest.mark.parametrize("way", ["abort", "close"])
async def test_a_connection_that_is_lost(running: Running, way: str) -> None:
    """Each of its clients goes."""
    async with connect(running.door) as connection:
        for peer in ("tom", "jerry"):
            await connection.open(peer)
        connection.abort() if way == "abort" else await connection.close()
        lost = [(peer, Departure.LOST) for peer in ("tom", "jerry")]
        await running.heard.until(ONLINE, ("jerry", None), *lost)


async def test_several_sessions_of_a_client(running: Running) -> None:
    """The last one counts, whichever was first; who logs out on one device is online on the other."""
    async with connect(running.door) as first, connect(running.door) as second:
        phone, web = await first.open("tom"), await second.open("tom")
        await phone.close()
        assert (await web.request("session", "query", sessionPeerIds=["tom"])).sessionMessage.onlineSessionPeerIds
        assert running.heard.items == [ONLINE]
        second.abort()
        await running.heard.until(ONLINE, ("tom", Departure.LOST))


async def test_a_reconnect_before_the_loss_is_noticed_is_none(running: Running) -> None:
    async with connect(running.door) as first, connect(running.door) as second, connect(running.door) as other:
        tom = await first.open("tom")
        again = await second.open("tom", r=True, st=tom.token)
        first.abort()
        jerry = await other.open("jerry")
        await asked_until_alone(running.gateway)
        assert running.heard.items == [ONLINE, ("jerry", None)]
        await again.close()
        await jerry.close()
        gone = [(peer, Departure.LOGGED_OUT) for peer in ("tom", "jerry")]
        assert running.heard.items[2:] == gone


async def asked_until_alone(gateway: Gateway) -> None:
    """Wait until the gateway has noticed that one of three connections is lost."""
    async with asyncio.timeout(30):
        while len(gateway.connections) > 2:
            await asyncio.sleep(0.01)


async def test_a_client_that_another_device_logs_out_stays_online(running: Running) -> None:
    async with connect(running.door) as first, connect(running.door) as second:
        await first.open("tom", tag="phone", deviceId="d-1")
        new = await second.open("tom", tag="phone", deviceId="d-2")
        await first.expect("session/closed")
        assert running.heard.items == [ONLINE]
        await new.close()
        assert running.heard.items == [ONLINE, ("tom", Departure.LOGGED_OUT)]


async def test_a_refused_login_is_none(running: Running) -> None:
    async with connect(running.door) as connection:
        with pytest.raises(Exception, match="4112"):
            await connection.open("tom", st="bad")
        await connection.echo()
        assert running.heard.items == []


async def test_a_stop_is_told_as_such(running: Running) -> None:
    async with connect(running.door) as connection:
        await connection.open("tom")
        await running.gateway.drain(5)
        assert (await connection.closed()).code == 1001
        await running.heard.until(ONLINE, ("tom", Departure.STOPPED))


async def test_events_that_the_gateway_tells_nobody_of_harm_nothing(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(running.door) as connection:
        tom = await connection.open("tom")
        await tom.close()
        assert {named(push) for push in connection.pushes} <= {"unread"}
    assert caplog.records == []
