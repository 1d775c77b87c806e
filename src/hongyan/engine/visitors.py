"""Which clients have been here, and on which day last: noted once a day, soon after the first login."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

from hongyan.engine.clock import Clock
from hongyan.engine.events import ClientOnline, Event
from hongyan.engine.ports import Bus, VisitorStore
from hongyan.engine.values import App, day_of
from hongyan.errors import Refused

log = logging.getLogger(__name__)

#: Clients known to be noted, some 150 bytes each; and how long others gather (s).
KNOWN_MAX, GATHER = 200_000, 1.0

Client = tuple[int, str]


class Visitors:
    """`first_mark(app key)`: what is noted as told to clients that were never here before.

    A crash forgets who came in the last second; the next login of each notes it.
    """

    def __init__(self, store: VisitorStore, bus: Bus, clock: Clock, first_mark: Callable[[int], int]) -> None:
        self._store = store
        self._clock = clock
        self._first_mark = first_mark
        self._known: OrderedDict[Client, int] = OrderedDict()
        self._new: dict[Client, tuple[int, int]] = {}
        self._writing: asyncio.Task[None] | None = None
        self._saving = asyncio.Lock()
        bus.subscribe(self._on_event)

    def _on_event(self, event: Event) -> None:
        if type(event) is ClientOnline:
            self._came((event.app_key, event.client), day_of(event.at))

    def _came(self, client: Client, day: int) -> None:
        if self._known.get(client) == day:
            return
        self._known[client] = day
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        self._new[client] = day, self._first_mark(client[0])
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        await asyncio.sleep(GATHER)
        self._writing = None
        try:
            await self._save()
        except Refused as refusal:
            log.warning("clients that came today are not counted: %s", refusal)

    async def _save(self) -> None:
        async with self._saving:
            new, self._new = self._new, {}
            try:
                if new:
                    await self._store.saw([(*client, *noted) for client, noted in new.items()])
            except Refused:  # a full disk passes: with the next that come
                if len(new) < KNOWN_MAX:
                    self._new = new | self._new
                raise

    async def flush(self) -> None:
        """Note at once who has come."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.cancel()
        await self._save()

    async def today(self, app: App) -> int:
        """How many different clients have been here today (UTC)."""
        await self.flush()
        return await self._store.count(app.key, day_of(self._clock.now()))
