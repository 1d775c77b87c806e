"""Carrying out operators' commands in this process, if no server runs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hongyan import admin, blobs, process
from hongyan.bus.local import LocalBus
from hongyan.config import Settings
from hongyan.datadir import DataDir
from hongyan.engine.access import Access
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.apps import Apps
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.files import Files
from hongyan.engine.hooks import Hooks
from hongyan.engine.imports import Imports
from hongyan.engine.push_services import PushServices
from hongyan.engine.services import Services
from hongyan.engine.sweeps import Sweeps
from hongyan.engine.words import WordFilter
from hongyan.hooks import Desk, Engines
from hongyan.hub.desk import Desk as ChannelDesk
from hongyan.hub.hub import Hub
from hongyan.hub.media import Addresses
from hongyan.outbound import Outbound
from hongyan.push_jobs import push_services
from hongyan.store import Store


async def perform(settings: Settings, data: DataDir, command: admin.Command) -> Any:
    """The command's answer, of whoever holds the data directory. Raises admin.Failed."""
    store, answer = await opened(settings, data)
    try:
        return await answer(command)
    finally:
        await store.close()


async def opened(
    settings: Settings, data: DataDir, *, much: bool = False
) -> tuple[Store, Callable[[admin.Command], Awaitable[Any]]]:
    """The store, and what carries out a command there; `much` is written."""
    clock, database = Clock(), settings.database_path
    store = Store.open(database, data.secret(database), clock)
    store.on_fatal = process.storage_failed
    if much:
        store.write_much()
    store.start(asyncio.get_running_loop())
    apps, access = Apps(store.apps, clock), Access(store.conversations, clock)
    await apps.load()
    sweeper = admin.Sweeper(Sweeps(store.sweep, apps, access, clock, rest=0), running=False)
    words = WordFilter(store.words, clock)
    services = Services(store.services, store.conversations, access, LocalBus(), Aftermath(store.jobs), Hooks(None))
    imports = Imports(store.imports, access, services, alone=True)
    push = PushServices(store.pushes, clock, push_services)
    await push.load()

    async def answer(command: admin.Command) -> Any:
        outbound = Outbound(settings.allowed_private)
        engines = Engines(outbound, clock)
        hub: Hub | None = None
        try:
            desk, channels = Desk(engines, store.jobs), None
            if isinstance(command, admin.OfChannels):
                hub = await _hub(settings, data, store, clock, outbound)
                channels = ChannelDesk(hub, store.jobs, alone=True)
            return await admin.perform(command, apps, words, {}, sweeper, imports, push, desk, channels)
        finally:
            if hub is not None:
                await hub.close()
            await engines.stop()
            await outbound.close()

    return store, answer


async def _hub(settings: Settings, data: DataDir, store: Store, clock: Clock, outbound: Outbound) -> Hub:
    """The hub of a server that does not run: it sends to other platforms, and not to clients."""
    secret = data.secret(settings.database_path)
    engine = Engine(store, LocalBus(), clock, secret, push_services=push_services)
    await engine.start()
    options = settings.files
    files = Files(store.files, blobs.place(settings), clock, secret, options.max_uploads, options.max_pixels)
    address = f"{'https' if settings.tls_cert else 'http'}://{settings.host}:{settings.http_port}/"
    addresses = Addresses(settings.public_url, settings.public_url or address, options.url)
    hub = Hub(store.hub, store.jobs, engine, files, outbound, secret, lambda: addresses, serves=False)
    await hub.start()
    return hub
