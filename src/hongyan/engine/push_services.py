"""The services by which each app pushes, and its credentials there: kept sealed, never shown, changed at once."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hongyan.engine import pushing
from hongyan.engine.clock import Clock
from hongyan.engine.ports import PushStore
from hongyan.engine.pushing import Device, Outcome, Push, Pusher
from hongyan.engine.values import App, KeptService

log = logging.getLogger(__name__)

#: The platform of the service that takes whatever has no service of its own.
ANY = "webhook"


class PushService(Protocol):
    """A service that brings pushes to the devices of one platform."""

    @property
    def platform(self) -> str: ...

    def open(self, given: Mapping[str, Any]) -> Pusher:
        """With credentials as they were given. Raises ValueError with one sentence, in which no secret stands."""

    def public_key(self, given: Mapping[str, Any]) -> str | None:
        """What those need that subscribe to pushes of these credentials, if anything."""


class _Open:
    """A pusher, and how many pushes it has under way."""

    def __init__(self, pusher: Pusher) -> None:
        self.pusher = pusher
        self.under_way = 0
        self.retired = False


class PushServices:
    """`known` tells the services by name. It is asked once, when the first app has one: to load them takes a while.

    That is done in a thread, and so are services opened, since some credentials take long to read.
    """

    def __init__(self, store: PushStore, clock: Clock, known: Callable[[], Mapping[str, PushService]]) -> None:
        self._store = store
        self._clock = clock
        self._load_known = known
        self._known: Mapping[str, PushService] = {}
        self._kept: dict[int, dict[str, KeptService]] = {}
        self._open: dict[tuple[int, str], _Open] = {}
        self._opening = asyncio.Lock()

    async def load(self) -> None:
        for kept in await self._store.services():
            self._kept.setdefault(kept.app_key, {})[kept.service] = kept

    async def make_ready(self) -> None:
        """Load the services if an app pushes: nobody is to wait for that who sends a message."""
        if self._kept:
            await self._services()

    def any(self, app_key: int) -> bool:
        """Whether an app has any. May be asked in any thread."""
        return bool(self._kept.get(app_key))

    def list(self, app: App) -> "list[KeptService]":
        kept = self._kept.get(app.key, {})
        return [kept[name] for name in sorted(kept)]

    async def set(self, app: App, service: str, credentials: Mapping[str, Any]) -> None:
        """Push by this service, with these credentials from now on. Raises ValueError with a sentence."""
        known = await self._services()
        found = known.get(service)
        if found is None:
            raise ValueError(f"There is no service {service!r}; the services are {', '.join(known)}.")
        try:
            checked = await asyncio.to_thread(found.open, credentials)
        except ValueError as mistake:
            raise ValueError(f"These are no credentials for {service}: {str(mistake).rstrip('.')}.") from None
        await checked.close()
        kept = KeptService(app.key, service, credentials, self._clock.now())
        await self._store.keep_service(app, kept)
        self._kept.setdefault(app.key, {})[service] = kept
        await self._retire((app.key, service))

    async def remove(self, app: App, service: str) -> None:
        """Raises ValueError with a sentence."""
        if service not in self._kept.get(app.key, {}):
            raise ValueError(f"The app does not push by {service!r}.")
        await self._store.drop_service(app.key, service)
        del self._kept[app.key][service]
        await self._retire((app.key, service))

    def route(self, app_key: int, platform: str) -> str | None:
        """The service that reaches devices of a platform; None if the app has none."""
        kept = self._kept.get(app_key)
        if not kept:
            return None
        by_platform = {known.platform: name for name, known in self._known.items() if name in kept}
        return by_platform.get(platform) or by_platform.get(ANY)

    def public_key(self, app: App, platform: str) -> str | None:
        """What those need that subscribe to the app's pushes on a platform, if anything."""
        for name, kept in self._kept.get(app.key, {}).items():
            known = self._known.get(name)
            if known is not None and known.platform == platform:
                return known.public_key(kept.credentials)
        return None

    async def send(self, app_key: int, service: str, push: Push, device: Device) -> Outcome:
        """Try once."""
        try:
            opened = await self._opened(app_key, service)
        except ValueError as mistake:
            return pushing.Refused("Credentials", str(mistake))
        if opened is None:
            return pushing.Refused("NoCredentials", "the app does not push by this service any more")
        opened.under_way += 1
        try:
            return await opened.pusher.send(push, device)
        finally:
            opened.under_way -= 1
            if opened.retired and not opened.under_way:
                await opened.pusher.close()

    async def close(self) -> None:
        """Give up what is under way."""
        for opened in self._open.values():
            await opened.pusher.close()
        self._open.clear()

    async def _services(self) -> Mapping[str, PushService]:
        if not self._known:
            self._known = await asyncio.to_thread(self._load_known)
        return self._known

    async def _opened(self, app_key: int, service: str) -> _Open | None:
        """Raises ValueError for credentials that are none any more."""
        which = (app_key, service)
        if which in self._open:
            return self._open[which]
        async with self._opening:
            known = self._known.get(service)
            while known is not None and which not in self._open and (kept := self._keeps(app_key, service)):
                pusher = await asyncio.to_thread(known.open, kept.credentials)
                if self._keeps(app_key, service) is kept:
                    self._open[which] = _Open(pusher)
                else:  # there are others meanwhile
                    await pusher.close()
        return self._open.get(which)

    def _keeps(self, app_key: int, service: str) -> KeptService | None:
        return self._kept.get(app_key, {}).get(service)

    async def _retire(self, which: tuple[int, str]) -> None:
        """The next push opens it anew; those under way end with what they began with."""
        opened = self._open.pop(which, None)
        if opened is None:
            return
        opened.retired = True
        if not opened.under_way:
            await opened.pusher.close()
