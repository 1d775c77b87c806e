"""The running server: builds every part, connects them, starts them in order and stops them in reverse."""

import asyncio
import os
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import structlog
import uvloop

import hongyan
from hongyan import admin, blobs, hooks, listen, log, process, push_jobs, tls
from hongyan.api.application import application
from hongyan.api.caller import WILDCARDS, bracketed
from hongyan.api.server import HttpServer
from hongyan.api.site import Site
from hongyan.bus.local import LocalBus
from hongyan.config import Settings
from hongyan.datadir import DataDir
from hongyan.engine.clock import Clock
from hongyan.engine.engine import Engine
from hongyan.engine.files import Files
from hongyan.engine.values import App
from hongyan.figures import Figures
from hongyan.gateway.server import Gateway
from hongyan.hub.content import Media, Message
from hongyan.hub.desk import Desk
from hongyan.hub.hub import Hub
from hongyan.hub.library import Preview, Rehearsals
from hongyan.hub.media import Addresses
from hongyan.jobs import AnyKind, Jobs
from hongyan.outbound import Outbound
from hongyan.store import Store
from hongyan.webhooks.callback import CALLBACK, Callback
from hongyan.webhooks.delivery import Delivery, count_waiting
from hongyan.webhooks.follower import WEBHOOK, WebhookFollower
from hongyan.welcome import list_command, print_secrets, print_welcome

logger = structlog.get_logger(__name__)

HOME_APP = "home"


def serve(settings: Settings) -> None:
    """Run a server until a signal stops it. Raises StartupError."""
    log.configure(settings.log_level, settings.log_format)
    context = tls.server_context(settings.tls_cert, settings.tls_key)
    data = DataDir(settings.data_dir)
    with data.held(settings.database_path), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, data, context))


async def _serve(settings: Settings, data: DataDir, context: ssl.SSLContext | None) -> None:
    await Server(settings, data, context).run()


async def _rehearse(message: Callable[[str], Message], link: Callable[[Media], Awaitable[str]]) -> list[Preview]:
    from hongyan import rehearsal  # which loads the sandbox, that few servers need

    return await rehearsal.preview(message, link)


class Server:
    """Every part of one server. Made on the running event loop, by the process that holds the data directory."""

    def __init__(self, settings: Settings, data: DataDir, context: ssl.SSLContext | None) -> None:
        self.settings = settings
        self.context = context
        self.started_at = time.time()
        clock, bus, secret = Clock(), LocalBus(), data.secret(settings.database_path)
        self.store = Store.open(settings.database_path, secret, clock)
        self.outbound = Outbound(settings.allowed_private)
        self.hooks = hooks.Engines(self.outbound, clock)
        self.engine = Engine(
            self.store, bus, clock, secret, app_engines=self.hooks, push_services=push_jobs.push_services
        )
        options, place = settings.files, blobs.place(settings)
        self.files = Files(self.store.files, place, clock, secret, options.max_uploads, options.max_pixels)
        self.hub = Hub(
            self.store.hub,
            self.store.jobs,
            self.engine,
            self.files,
            self.outbound,
            secret,
            self._addresses,
            lambda lane: self.jobs.resume(lane),
            settings.channels.keep_days,
        )
        self.jobs = Jobs(self.store.jobs, clock, self._follow())
        self.gateway = Gateway(self.engine, bus, settings.gateway, settings.trusted_proxies)
        figures = Figures(self.gateway, self.store, self.hub)
        self.site = Site(
            settings, self.engine, self.files, stats=figures, hub_=self.hub, rehearse_=Rehearsals(_rehearse)
        )
        self.admin = admin.AdminServer(data.admin_socket, self._perform)

    async def run(self) -> None:
        """Serve until a signal comes."""
        stopping = self._catch_signals()
        async with AsyncExitStack() as parts:
            await self._start(parts)
            await stopping.wait()
            logger.info("stopping")
        logger.info("stopped")

    async def _start(self, parts: AsyncExitStack) -> None:
        """Start every part. What `parts` holds is stopped in reverse order."""
        settings = self.settings
        self.store.on_fatal = process.storage_failed
        self.store.start(asyncio.get_running_loop())
        parts.push_async_callback(self.store.close)
        parts.push_async_callback(self.outbound.close)
        parts.push_async_callback(self.hooks.stop)
        await self.engine.start()
        parts.push_async_callback(self.engine.push_services.close)
        await self.hub.start()
        parts.push_async_callback(self.hub.close)
        listener = listen.bind(settings.host, settings.http_port, "http_port")
        self.port = listener.getsockname()[1]  # jobs tell others of it
        await self.jobs.start()
        parts.push_async_callback(self.jobs.stop, settings.stop_timeout)
        parts.push_async_callback(self.engine.aftermath.flush)
        parts.push_async_callback(self.engine.visitors.flush)
        parts.push_async_callback(self.engine.live_queries.stop)
        parts.callback(self.files.close)

        self.http = HttpServer(application(self.site), listener, self.context, settings.stop_timeout)
        await self.http.start()
        parts.push_async_callback(self.http.stop)

        await self._start_gateway()
        parts.push_async_callback(self.gateway.drain, settings.stop_timeout)
        await self.admin.start()
        parts.push_async_callback(self.admin.stop)

        created = await self._create_first_app()
        for going_on in (
            self.engine.sweeps.run(),
            self.files.run(),
            count_waiting(self.engine.webhooks),
            self.hub.sending.run(),
        ):
            parts.push_async_callback(process.end_task, asyncio.create_task(going_on))
        process.settle()
        self._set_ready(True)
        parts.callback(self._set_ready, False)
        self._announce(created)

    async def _start_gateway(self) -> None:
        settings = self.settings
        try:
            await self.gateway.start(settings.host, settings.gateway_port, self.context)
        except OSError as error:
            raise listen.refusal(settings.host, settings.gateway_port, "gateway_port", error) from None
        self.site.gateway_port = self.gateway.port

    async def _create_first_app(self) -> App | None:
        """The home app, if this is the first start."""
        return None if self.engine.apps.list() else await self.engine.apps.create(HOME_APP)

    def _follow(self) -> dict[str, AnyKind]:
        """Have everybody follow who makes jobs of what happens; by kind of job, who does them."""
        engine = self.engine
        told = hooks.Told(engine.apps, engine.access, engine.presence, self.hooks, engine.clock)
        delivery = Delivery(engine.webhooks, self.outbound, engine.clock)
        callback = Callback(engine.apps, self.outbound, engine.clock)
        engine.webhooks.courier = delivery
        for follower in (told, WebhookFollower(engine.webhooks, engine.clock), callback):
            engine.aftermath.add(follower)
        return {
            hooks.KIND: told.kind,
            WEBHOOK: delivery.kind,
            CALLBACK: callback.kind,
            **push_jobs.kinds(engine),
            **self.hub.kinds(),
        }

    def _set_ready(self, ready: bool) -> None:
        self.site.ready = ready

    def _announce(self, created: App | None) -> None:
        status = self._status()
        if not sys.stderr.isatty():
            logger.info("started", **status)
        if sys.stdout.isatty():
            print_welcome(status["url"], self.engine.apps.list()[0], self.settings)
        if created is None:
            return
        if sys.stdout.isatty():
            print_secrets(created, self.settings)
        else:  # a journal may keep what is printed, and others may read it
            logger.info("made the first app", app=created.id, keys_are_printed_by=list_command(self.settings))

    async def _perform(self, command: admin.Command) -> Any:
        engine, sweeper = self.engine, admin.Sweeper(self.engine.sweeps, running=True)
        desk = hooks.Desk(self.hooks, self.store.jobs)
        return await admin.perform(
            command,
            engine.apps,
            engine.words,
            self._status(),
            sweeper,
            engine.imports,
            engine.push_services,
            desk,
            Desk(self.hub, self.store.jobs, alone=False),
            self.gateway.go_away,
        )

    def _addresses(self) -> Addresses:
        scheme = "https" if self.context else "http"
        host = "127.0.0.1" if self.settings.host in WILDCARDS else self.settings.host
        public = self.settings.public_url
        own = public or f"{scheme}://{bracketed(host)}:{self.port}/"
        return Addresses(public, own, self.settings.files.url)

    def _status(self) -> dict[str, Any]:
        return {
            "version": hongyan.__version__,
            "pid": os.getpid(),
            "url": self._addresses().own,
            "http_port": self.http.port,
            "gateway_port": self.gateway.port,
            "tls": self.context is not None,
            "started_at": round(self.started_at),
        }

    def _catch_signals(self) -> asyncio.Event:
        """An event that the first signal sets; the second one ends the process."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(process.UnhandledLog())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, partial(_stop, stopping, number))
        return stopping


def _stop(stopping: asyncio.Event, number: signal.Signals) -> None:
    if stopping.is_set():
        process.end_at_once(128 + number)
    stopping.set()
