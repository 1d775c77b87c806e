"""The channels of apps: made, changed, opened, and how they fare.

They are few, and all in memory. Connectors are imported, in a thread, when the first channel of a kind is needed.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.ports import JobStore
from hongyan.engine.values import App, new_object_id
from hongyan.errors import Refused
from hongyan.hub import channel_credentials
from hongyan.hub.connector import Connector, Feature, Outcome, Problem
from hongyan.hub.ports import ChannelStore
from hongyan.hub.records import Channel, lane

if TYPE_CHECKING:
    from hongyan.hub.connectors import ChannelKind
    from hongyan.hub.surroundings import Surroundings

log = logging.getLogger(__name__)

CHANNELS_MAX, NAME_MAX, DESCRIPTION_MAX = 200, 64, 256
#: How often it is kept that a channel works, if nothing else has changed (ms).
KEEP_EVERY = 60_000


@dataclass(slots=True)
class _Open:
    """A connector, and how many use it."""

    connector: Connector
    under_way: int = 0
    retired: bool = False


class Channels:
    """`around` tells what the connector of a channel is given; `resume` has the jobs of a lane be tried at once.

    `changed` is called with the id of a channel that is new, has changed, or is gone.
    """

    def __init__(
        self,
        store: ChannelStore,
        jobs: JobStore,
        clock: Clock,
        around: "Callable[[Channel], Surroundings]",
        resume: Callable[[str], None],
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._clock = clock
        self._around = around
        self._resume = resume
        self._all: dict[str, Channel] = {}
        self._by_token: dict[str, str] = {}
        self._open: dict[str, _Open] = {}
        self._opening = asyncio.Lock()
        self._changing = asyncio.Lock()
        self._kept_at: dict[str, int] = {}
        self._kinds: dict[str, ChannelKind] = {}
        self.changed: Callable[[str], None] = lambda channel_id: None

    async def load(self) -> None:
        self._all = {channel.id: channel for channel in await self._store.all()}
        self._by_token = {channel.token: channel.id for channel in self._all.values()}

    async def close(self) -> None:
        opened, self._open = list(self._open.values()), {}
        for each in opened:
            await each.connector.close()

    # finding

    def find(self, channel_id: str) -> Channel | None:
        return self._all.get(channel_id)

    def of_token(self, token: str) -> Channel | None:
        """The channel of an inbound door."""
        return self._all.get(self._by_token.get(token, ""))

    def get(self, app: App, channel_id: str) -> Channel:
        """Raises Refused(OBJECT_NOT_FOUND), also for one of another app."""
        found = self._all.get(channel_id)
        if found is None or found.app_key != app.key:
            raise Refused(errors.OBJECT_NOT_FOUND, "no channel has this id")
        return found

    def named(self, app: App, name: str) -> Channel:
        """By its name, or its id. Raises Refused(OBJECT_NOT_FOUND)."""
        for channel in self._all.values():
            if channel.app_key == app.key and name in (channel.name, channel.id):
                return channel
        raise Refused(errors.OBJECT_NOT_FOUND, "no channel of the app has this name")

    def of_app(self, app: App) -> list[Channel]:
        """The oldest first."""
        return [channel for channel in self._all.values() if channel.app_key == app.key]

    def all(self) -> list[Channel]:
        """Of all apps."""
        return list(self._all.values())

    def failing(self) -> list[Channel]:
        """Those whose credentials do not work, of all apps."""
        return [channel for channel in self._all.values() if channel.enabled and channel.failing_since is not None]

    # changing

    async def create(
        self,
        app: App,
        name: str,
        kind: str,
        credentials: Mapping[str, Any],
        description: str = "",
        *,
        enabled: bool = True,
    ) -> Channel:
        """Raises Refused: INVALID_VALUE, CHANNELS_FULL."""
        found = await self.kind(kind)
        given = channel_credentials.kept(found, credentials)
        async with self._changing:
            if len(self.of_app(app)) >= CHANNELS_MAX:
                raise Refused(errors.CHANNELS_FULL, f"an app has at most {CHANNELS_MAX} channels")
            now = self._clock.now()
            channel = Channel(
                new_object_id(),
                app.key,
                self._free_name(app, name),
                kind,
                given,
                _description(description),
                enabled,
                secrets.token_urlsafe(32),
                now,
                now,
            )
            await self._try_open(found, channel)
            await self._store.insert(channel)
            self._keep(channel)
        self.changed(channel.id)
        return channel

    async def change(
        self,
        app: App,
        channel_id: str,
        name: str | None = None,
        credentials: Mapping[str, Any] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Channel:
        """What is None stays, and so do credentials that are left out. What waits is tried at once. Raises Refused."""
        before = self.get(app, channel_id)
        found = await self.kind(before.kind)
        async with self._changing:
            before = self.get(app, channel_id)
            given = before.credentials
            if credentials is not None:
                given = channel_credentials.changed(found, before.credentials, credentials)
            after = replace(
                before,
                name=before.name if name is None or name == before.name else self._free_name(app, name),
                credentials=given,
                description=before.description if description is None else _description(description),
                enabled=before.enabled if enabled is None else enabled,
                updated_at=self._clock.now(),
            )
            if credentials is not None or enabled:
                after = replace(after, failing_since=None, failure="", advice="")
            if credentials is not None:
                await self._try_open(found, after)
            await self._store.update(after)
            self._keep(after)
            if credentials is not None:
                await self._retire(after.id)
        self.changed(after.id)
        if after.enabled:
            await self._jobs.hasten(lane(after.id))
            self._resume(lane(after.id))
        return after

    async def delete(self, app: App, channel_id: str) -> Channel:
        """Nothing of it is sent any more; its messages are left for `forget`."""
        async with self._changing:
            channel = self.get(app, channel_id)
            await self._store.delete(channel.id)
            del self._all[channel.id]
            self._by_token.pop(channel.token, None)
            self._kept_at.pop(channel.id, None)
            await self._retire(channel.id)
        self.changed(channel.id)
        await self._jobs.drop(lane(channel.id))
        return channel

    async def forget(self, channel_id: str) -> None:
        """The messages and events of one that is deleted."""
        await self._store.forget(channel_id)

    async def sweep(self) -> None:
        """Forget what is left of deleted channels, such as when the server ended meanwhile."""
        for channel_id in await self._store.orphans():
            await self._store.forget(channel_id)

    async def renew(self, channel_id: str, credentials: Mapping[str, str]) -> None:
        """The platform has replaced these; the connector has them already."""
        async with self._changing:
            kept = self._all.get(channel_id)
            if kept is not None:
                changed = replace(kept, credentials={**kept.credentials, **credentials})
                self._keep(changed)
                await self._store.update(changed)

    # how they fare

    async def worked(self, channel: Channel) -> None:
        now, kept = self._clock.now(), self._all.get(channel.id)
        if kept is None:
            return
        changed = replace(kept, failing_since=None, failure="", advice="", succeeded_at=now)
        if kept.failing_since is not None:
            log.info("the channel %s works again", kept.id)
        elif now - self._kept_at.get(kept.id, 0) < KEEP_EVERY:
            self._keep(changed)
            return
        await self._note(changed)

    async def fails(self, channel: Channel, problem: Problem) -> None:
        """Its credentials do not work."""
        kept = self._all.get(channel.id)
        if kept is None:
            return
        changed = replace(kept, failure=problem.reason, advice=problem.advice)
        if kept.failing_since is None:
            changed = replace(changed, failing_since=self._clock.now())
            log.warning("the channel %s (%s) fails: %s", kept.id, kept.kind, problem.advice or problem.reason)
        if changed != kept:
            await self._note(changed)

    async def check(self, channel: Channel) -> str:
        """Ask the platform whether the credentials work; return what account they are of. Raises Problem."""
        try:
            async with self.opened(channel) as connector:
                account = await connector.check()
        except Problem as problem:
            if problem.outcome is Outcome.BAD_CREDENTIAL:
                await self.fails(channel, problem)
            raise
        except (ValueError, Refused) as mistake:
            raise Problem(Outcome.BAD_CREDENTIAL, str(mistake)) from None
        await self.worked(channel)
        return account

    async def _note(self, changed: Channel) -> None:
        self._kept_at[changed.id] = self._clock.now()
        self._keep(changed)
        with suppress(Refused):  # a full disk passes; it is known all the same
            await self._store.update(changed)

    # opening

    async def kind(self, name: str) -> "ChannelKind":
        """Raises Refused(INVALID_VALUE)."""
        found = self._kinds.get(name) or await asyncio.to_thread(_kind, name)  # to import one takes a while
        if found is None:
            names = ", ".join(await self.kinds())
            raise Refused(errors.INVALID_VALUE, f"there is no kind of channel {name[:64]!r}: there are {names}")
        self._kinds[name] = found
        return found

    async def kinds(self) -> "Mapping[str, ChannelKind]":
        return await asyncio.to_thread(_kinds)

    async def features(self, channel: Channel) -> frozenset[Feature]:
        """What it can do with the credentials it has; none if they open nothing."""
        try:
            async with self.opened(channel) as connector:
                return connector.features
        except (ValueError, Problem, Refused):
            return frozenset()

    @asynccontextmanager
    async def opened(self, channel: Channel) -> AsyncIterator[Connector]:
        """Its connector; one whose credentials were changed meanwhile is closed when nobody uses it any more."""
        found = self._open.get(channel.id)
        if found is None:
            kind = await self.kind(channel.kind)
            async with self._opening:
                found = self._open.get(channel.id)
                if found is None:
                    now = self._all.get(channel.id, channel)
                    found = _Open(kind.open(channel_credentials.typed(kind, now.credentials), self._around(channel)))
                    self._open[channel.id] = found
        found.under_way += 1
        try:
            yield found.connector
        finally:
            found.under_way -= 1
            if found.retired and not found.under_way:
                await found.connector.close()

    async def _try_open(self, kind: "ChannelKind", channel: Channel) -> None:
        """Raises Refused for credentials by which nothing can be opened."""
        try:
            made = kind.open(channel_credentials.typed(kind, channel.credentials), self._around(channel))
        except Problem as problem:
            raise Refused(errors.INVALID_VALUE, f"the credentials: {problem.reason}") from None
        except ValueError as mistake:
            raise Refused(errors.INVALID_VALUE, f"the credentials: {mistake}") from None
        await made.close()

    async def _retire(self, channel_id: str) -> None:
        opened = self._open.pop(channel_id, None)
        if opened is None:
            return
        opened.retired = True
        if not opened.under_way:
            await opened.connector.close()

    def _keep(self, channel: Channel) -> None:
        self._all[channel.id] = channel
        self._by_token[channel.token] = channel.id

    def _free_name(self, app: App, name: str) -> str:
        if not 1 <= len(name) <= NAME_MAX or not name.isprintable() or name != name.strip():
            raise Refused(errors.INVALID_VALUE, f"name has 1 to {NAME_MAX} printable characters")
        if any(channel.name == name for channel in self.of_app(app)):
            raise Refused(errors.INVALID_VALUE, "another channel of the app has this name")
        return name


def require(connector: Connector, feature: Feature, what: str) -> None:
    """Raises Refused(INVALID_VALUE) if a channel of this kind can't do that."""
    if feature not in connector.features:
        raise _wrong(f"this kind of channel can't {what}")


def _kind(name: str) -> "ChannelKind | None":
    from hongyan.hub import connectors

    return connectors.kind(name)


def _kinds() -> "Mapping[str, ChannelKind]":
    from hongyan.hub import connectors

    return connectors.kinds()


def _description(text: str) -> str:
    if len(text) > DESCRIPTION_MAX or not text.isprintable():
        raise Refused(errors.INVALID_VALUE, f"description has at most {DESCRIPTION_MAX} printable characters")
    return text


def _wrong(sentence: str) -> Refused:
    return Refused(errors.INVALID_VALUE, sentence)
