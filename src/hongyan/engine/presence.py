"""Who is online: a client is from its first open session in an app to its last.

Not written down: after a restart nobody is, and each login tells it anew.
"""

from collections.abc import Collection, Iterable

from hongyan.engine.clock import Clock
from hongyan.engine.events import ClientOffline, ClientOnline
from hongyan.engine.ports import Bus
from hongyan.engine.values import App, Departure


class Presence:
    """The doors tell of each session; the changes are published. A door must end each session that it began, once."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        # open sessions by client, by app
        self._apps: dict[int, dict[str, int]] = {}

    def session_opened(self, app: App, client: str) -> None:
        clients = self._apps.setdefault(app.key, {})
        sessions = clients.get(client, 0)
        clients[client] = sessions + 1
        if not sessions:
            self._bus.publish(ClientOnline(app.key, client, self._clock.now()))

    def session_ended(self, app: App, client: str, why: Departure) -> None:
        clients = self._apps[app.key]
        clients[client] -= 1
        if not clients[client]:
            del clients[client]
            self._bus.publish(ClientOffline(app.key, client, why, self._clock.now()))

    def all(self, app: App) -> Collection[str]:
        """Everybody who is online; not to be kept."""
        return self._apps.get(app.key, {}).keys()

    def online(self, app: App, asked: Iterable[str]) -> list[str]:
        """Those who are, in the order they are asked for."""
        clients = self._apps.get(app.key, {})
        return [client for client in asked if client in clients]
