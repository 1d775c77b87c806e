"""The hub of a running server: its parts, connected."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from hongyan.engine.engine import Engine
from hongyan.engine.files import Files
from hongyan.engine.ports import JobStore
from hongyan.engine.turns import Turns
from hongyan.engine.values import DAY, App
from hongyan.hub.acts import Acts
from hongyan.hub.afterwards import Afterwards
from hongyan.hub.bridges import Bridges
from hongyan.hub.channels import Channels
from hongyan.hub.home import AppHome
from hongyan.hub.inbound import Inbound
from hongyan.hub.library import Library
from hongyan.hub.listening import Listeners
from hongyan.hub.media import Addresses, AppMedia
from hongyan.hub.ports import HubStore
from hongyan.hub.rates import Rates
from hongyan.hub.records import Channel
from hongyan.hub.sending import Sending
from hongyan.hub.surroundings import Surroundings
from hongyan.hub.threads import Threads
from hongyan.hub.tries import KIND, Tries
from hongyan.hub.watching import Watching
from hongyan.jobs import Kind
from hongyan.outbound import Outbound


class Hub:
    """`addresses` tells where the server is; `resume` has the jobs of a lane be tried at once."""

    def __init__(
        self,
        store: HubStore,
        jobs: JobStore,
        engine: Engine,
        files: Files,
        outbound: Outbound,
        secret: bytes,
        addresses: Callable[[], Addresses],
        resume: Callable[[str], None] = lambda lane: None,
        keep_days: int = 30,
        *,
        serves: bool = True,
    ) -> None:
        self._engine = engine
        self._files = files
        self._outbound = outbound
        self._addresses = addresses
        self._serves = serves
        self._rates = Rates(time.monotonic)
        self._media: dict[int, AppMedia] = {}
        clock = engine.clock
        self.channels = Channels(store.channels, jobs, clock, self._around_channel, resume)
        posts, threads, turns, watching = store.posts, Threads(store.posts, store.heard), Turns(), Watching()
        self.tries = Tries(self.channels, posts, jobs, threads, clock, turns, watching)
        self.sending = Sending(self.channels, posts, threads, clock, watching, keep_days * DAY)
        self.afterwards = Afterwards(self.channels, self.sending, posts, clock, turns, watching)
        self.bridges = Bridges(
            store.bridges, self.channels, self.sending, self.afterwards, engine, self.media, self.around
        )
        self.inbound = Inbound(self.channels, store.heard, engine.aftermath, self._rates, clock, self.bridges.jobs_in)
        self.acts = Acts(secret, self.channels, self.sending, self.inbound, clock, lambda: addresses().public)
        self.listeners = Listeners(self.channels, self.inbound)
        self.library = Library(store.templates, clock)
        engine.aftermath.add(self.bridges)

    async def start(self) -> None:
        await self.channels.load()
        await self.bridges.load()
        if self._serves:
            self.channels.changed = self.listeners.look
            for channel in self.channels.all():
                self.listeners.look(channel.id)

    async def close(self) -> None:
        await self.listeners.close()
        await self.channels.close()

    def kinds(self) -> Mapping[str, Kind]:
        """The kinds of jobs, and how they are done."""
        return {KIND: self.tries.kind, **self.bridges.kinds}

    async def delete_channel(self, app: App, channel_id: str) -> Channel:
        """With its bridges and all its messages."""
        channel = await self.channels.delete(app, channel_id)
        self.bridges.forget(channel)
        await self.channels.forget(channel.id)
        return channel

    def inbound_url(self, channel: Channel) -> str:
        """Where the platform tells a channel what happens."""
        found = self._addresses()
        return f"{(found.public or found.own).rstrip('/')}/api/v1/channels/inbound/{channel.token}"

    def media(self, app_key: int) -> AppMedia:
        made = self._media.get(app_key)
        if made is None:
            of_key = self._engine.apps.of_key
            made = self._media[app_key] = AppMedia(self._files, self._outbound, of_key, app_key, self._addresses)
        return made

    def around(self, app_key: int) -> Surroundings:
        """What the connectors of an app are given."""
        media = self.media(app_key)
        home = AppHome(self._engine, app_key, media) if self._serves else None
        now, progress = self._engine.clock.now, self.tries.progress
        return Surroundings(
            self._outbound, media, self._rates, now, time.monotonic, self._act_url, home=home, progress=progress
        )

    def _around_channel(self, channel: Channel) -> Surroundings:
        return replace(self.around(channel.app_key), renewed=partial(self.channels.renew, channel.id))

    def _act_url(self, key: str, action: str) -> str | None:
        return self.acts.url(key, action)
