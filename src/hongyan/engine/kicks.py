"""Expelling clients: their sessions end, and nothing that was given to them before lets them in again."""

from collections.abc import Callable

from hongyan.engine.clock import Clock
from hongyan.engine.events import ClientKicked
from hongyan.engine.ports import Bus, KickStore
from hongyan.engine.values import App

#: How long a signature may be good after it is refused for having been made before (ms): see `signatures`.
SIGNATURES = 7 * 60 * 60 * 1000


#: Whether a client was expelled since a time, or at it.
Voids = Callable[[App, str, int], bool]


def never(app: App, client: str, made_at: int) -> bool:
    """Nobody was ever expelled."""
    return False


class Kicks:
    """When each client was expelled last, in memory as long as something from before might be tried."""

    def __init__(self, store: KickStore, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._at: dict[tuple[int, str], tuple[int, int]] = {}

    async def load(self) -> None:
        self._at = {(app_key, client): (at, end) for app_key, client, at, end in await self._store.all()}

    async def kick(self, app: App, client: str, reason: str) -> None:
        """All sessions of the client are closed; what it logged in with is void, also after a restart."""
        at = self._clock.now()
        expires_at = at + max(SIGNATURES, (app.settings.session_ttl + 1) * 1000)

        def committed() -> None:
            _, end = self._at.pop((app.key, client), (0, 0))
            self._forget_expired(at)
            self._at[app.key, client] = at, max(expires_at, end)
            self._bus.publish(ClientKicked(app.key, client, reason))

        await self._store.kick(app.key, client, at, expires_at, committed)

    def voids(self, app: App, client: str, made_at: int) -> bool:
        """Whether the client was expelled after this time, or at it."""
        kicked = self._at.get((app.key, client))
        return kicked is not None and made_at <= kicked[0]

    def _forget_expired(self, now: int) -> None:
        """From the front: they stand in the order of kicks, which is nearly that in which they expire."""
        while self._at and next(iter(self._at.values()))[1] < now:
            del self._at[next(iter(self._at))]
