"""Who is online: a client is from its first open session in an app to its last.

Not written down: after a restart nobody is, and each login tells it anew.
"""

from collections.abc import Collection, Iterable
from typing import Protocol

from hongyan.engine.aftermath import Aftermath
from hongyan.engine.clock import Clock
from hongyan.engine.events import ClientOffline, ClientOnline, SessionEnded, SessionOpened
from hongyan.engine.ports import Bus
from hongyan.engine.values import App, Departure
from hongyan.errors import Kind


class Device(Protocol):
    """Where a session is, as its door knows it: `source` is the address, empty if it is unknown."""

    @property
    def source(self) -> str: ...
    @property
    def tag(self) -> str: ...


class Presence:
    """The doors tell of each session; the changes are published. A door must end each session that it began, once."""

    def __init__(self, bus: Bus, clock: Clock, aftermath: Aftermath) -> None:
        self._bus = bus
        self._clock = clock
        self._aftermath = aftermath
        # open sessions by client, by app
        self._apps: dict[int, dict[str, int]] = {}

    def session_opened(self, app: App, client: str, device: Device | None = None, *, returned: bool = False) -> None:
        """`returned`: its connection was lost, and it came back by itself."""
        clients = self._apps.setdefault(app.key, {})
        sessions = clients.get(client, 0)
        clients[client] = sessions + 1
        if not sessions:
            event = ClientOnline(app.key, client, self._clock.now())
            self._bus.publish(event)
            self._aftermath.tell(app.key, event)
        if device is not None and self._aftermath.wants(app.key, SessionOpened):
            now = self._clock.now()
            opened = SessionOpened(app.key, client, now, device.source, device.tag, returned)
            self._aftermath.tell(app.key, opened)

    def session_ended(
        self, app: App, client: str, why: Departure, device: Device | None = None, error: Kind | None = None
    ) -> None:
        """`error`: what its peer did wrong, if that is why."""
        clients = self._apps[app.key]
        clients[client] -= 1
        if device is not None and self._aftermath.wants(app.key, SessionEnded):
            now = self._clock.now()
            ended = SessionEnded(app.key, client, now, why, device.source, device.tag, error)
            self._aftermath.tell(app.key, ended)
        if not clients[client]:
            del clients[client]
            event = ClientOffline(app.key, client, why, self._clock.now())
            self._bus.publish(event)
            self._aftermath.tell(app.key, event)

    def all(self, app: App) -> Collection[str]:
        """Everybody who is online; not to be kept."""
        return self._apps.get(app.key, {}).keys()

    def online(self, app: App, asked: Iterable[str]) -> list[str]:
        """Those who are, in the order they are asked for."""
        clients = self._apps.get(app.key, {})
        return [client for client in asked if client in clients]
