"""The HTTP application over real apps in a real store, without a socket: so the caller can be anybody."""

import asyncio
import dataclasses
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import argon2
import httpx
import pytest
from litestar.types import ASGIApp

from hongyan import blobs, rehearsal
from hongyan.api.application import application
from hongyan.api.site import Site
from hongyan.bus.local import LocalBus
from hongyan.config_load import load
from hongyan.engine import passwords
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event
from hongyan.engine.files import Files
from hongyan.engine.values import App
from hongyan.hub.hub import Hub
from hongyan.hub.media import Addresses
from hongyan.outbound import Outbound
from hongyan.store import Store
from tests.support.rest import Rest

GATEWAY_PORT = 8001


@pytest.fixture(autouse=True)
def _light_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash takes a thread, tens of milliseconds and megabytes on purpose (`tests/engine/test_passwords.py`)."""
    light = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", light)


@pytest.fixture
async def store(tmp_path: Path, empty_database: Path) -> AsyncIterator[Store]:
    made = Store(shutil.copy(empty_database, tmp_path / "hongyan.db"), bytes(32))  # whose schema is up to date
    made.start(asyncio.get_running_loop())
    yield made
    await made.close()


@pytest.fixture
def bus() -> LocalBus:
    return LocalBus()


@pytest.fixture
def events(bus: LocalBus) -> list[Event]:
    """What has been published."""
    published: list[Event] = []
    bus.subscribe(published.append)
    return published


@pytest.fixture
async def engine(store: Store, bus: LocalBus) -> Engine:
    """The engine of a server with one app, `home`."""
    made = Engine(store, bus, Clock(), bytes(32))
    await made.start()
    await made.apps.create("home", id="home", key="home-key")
    return made


@pytest.fixture
def app(engine: Engine) -> App:
    """The app of that server."""
    found = engine.apps.get("home")
    assert found is not None
    return found


Served = tuple[Site, ASGIApp]


@pytest.fixture(scope="session")
def served() -> Served:
    """The application, which takes long to build, and the server that it knows, in each test another one."""
    nobody: Any = None
    site = Site(load(environment={}), nobody, nobody)
    return site, application(site)


@pytest.fixture
def files(store: Store, engine: Engine, tmp_path: Path) -> Iterator[Files]:
    """The files of that server, in a directory of the test."""
    made = Files(store.files, blobs.local(tmp_path / "files"), engine.clock, bytes(32), uploads=4, pixels=1_000_000)
    yield made
    made.close()


@pytest.fixture
async def hub(
    store: Store, engine: Engine, files: Files, site_address: list[str | None], certificates: ssl.SSLContext
) -> AsyncIterator[Hub]:
    """The hub of that server, whose jobs nobody does; it is where `site_address` says."""
    outbound = Outbound(("127.0.0.0/8",), context=certificates)
    own = "http://127.0.0.1:8000"
    made = Hub(store.hub, store.jobs, engine, files, outbound, bytes(32), lambda: Addresses(site_address[-1], own))
    await made.start()
    yield made
    await made.close()
    await outbound.close()


@pytest.fixture
def site_address() -> list[str | None]:
    """The public address of the server is the last of these."""
    return ["https://chat.example.com"]


@pytest.fixture
def site(served: Served, engine: Engine, files: Files, hub: Hub) -> Site:
    """A server that is ready."""
    made = Site(
        load(environment={}),
        engine,
        files,
        gateway_port=GATEWAY_PORT,
        ready=True,
        hub_=hub,
        rehearse_=rehearsal.preview,
    )
    for field in dataclasses.fields(Site):
        setattr(served[0], field.name, getattr(made, field.name))
    return served[0]


Calling = Callable[..., httpx.AsyncClient]
Answered = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def calling(served: Served, site: Site) -> Calling:
    """Makes a client that calls from an address to a URL of the server, under given settings."""

    def client(address: str = "127.0.0.1", url: str = "http://127.0.0.1:8000", **options: str) -> httpx.AsyncClient:
        site.settings = load(options=options, environment={})
        transport = httpx.ASGITransport(served[1], raise_app_exceptions=False, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url=url)

    return client


@pytest.fixture
async def http(calling: Calling, app: App) -> AsyncIterator[httpx.AsyncClient]:
    """The application's own server, with its master key."""
    async with calling() as made:
        made.headers.update({"X-LC-Id": app.id, "X-LC-Key": f"{app.master_key},master"})
        yield made


@pytest.fixture
def api(http: httpx.AsyncClient) -> Rest:
    return Rest(http)


@pytest.fixture
def answered(calling: Calling) -> Answered:
    """Makes a call with these headers, and a body of JSON if there is one."""

    async def call(method: str, path: str, headers: dict[str, str], body: Any = None) -> httpx.Response:
        async with calling() as http:
            return await http.request(method, path, headers=headers, json=body)

    return call
