"""Messages to all clients of an app, subscribed or not, in the name of a service conversation (REST reference 3.10).

Who is online hears one at once, who is not at its login until it ends; a client that was never here before hears the
newest only. A client is told once, whatever its devices.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from hongyan import errors
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.budgets import Budget, Budgets
from hongyan.engine.clock import Clock
from hongyan.engine.events import BroadcastSent, ConversationDeleted, Event
from hongyan.engine.filtering import Filtering
from hongyan.engine.limits import DeliveryBudget
from hongyan.engine.messages import check_deliveries, check_draft, placed
from hongyan.engine.ports import BroadcastStore, Bus, VisitorStore
from hongyan.engine.presence import Presence
from hongyan.engine.values import (
    DAY,
    App,
    Broadcast,
    Conversation,
    Draft,
    Message,
    Stored,
    day_of,
    message_id_time,
    new_message_id,
)
from hongyan.errors import Refused

log = logging.getLogger(__name__)

#: For how long one is told, at most and unless asked otherwise (ms).
VALIDITY = 30 * DAY
#: The mark of a client that was seen for the first time while there was something to tell: the newest only.
FIRST_TIME = -1


#: An app (key) and its client.
Client = tuple[int, str]


class Broadcasts:
    """Those that are still to be told are in memory: an app makes few of them."""

    def __init__(
        self,
        store: BroadcastStore,
        visitors: VisitorStore,
        presence: Presence,
        budgets: Budgets,
        bus: Bus,
        clock: Clock,
        deliveries: DeliveryBudget,
        filtering: Filtering,
        aftermath: Aftermath,
        note_visitors: Callable[[], Awaitable[None]],
    ) -> None:
        """`note_visitors` writes down who has been here."""
        self._note_visitors = note_visitors
        self._store = store
        self._visitors = visitors
        self._presence = presence
        self._budgets = budgets
        self._bus = bus
        self._clock = clock
        self._deliveries = deliveries
        self._filtering = filtering
        self._aftermath = aftermath
        self._valid: dict[int, list[Broadcast]] = {}
        self._last_key = 0
        # what clients were told, until that is written down; and those that are being told what they missed
        self._telling: dict[Client, int] = {}
        self._missing: Counter[Client] = Counter()
        bus.subscribe(self._on_event)

    async def load(self) -> None:
        found, self._last_key = await self._store.valid()
        for broadcast in found:
            self._valid.setdefault(broadcast.app_key, []).append(broadcast)
        now = self._clock.now()
        self._budgets.begin(Budget.BROADCAST, await self._store.made_since(now - now % DAY))

    def valid(self, app_key: int) -> Sequence[Broadcast]:
        """Those that are still told, in the order in which they were made."""
        found = self._valid.get(app_key)
        if found is None:  # nearly always
            return ()
        now = self._clock.now()
        if any(broadcast.valid_till <= now for broadcast in found):
            found = self._keep(app_key, [broadcast for broadcast in found if broadcast.valid_till > now])
        return found

    def first_mark(self, app_key: int) -> int:
        """What is noted of a client that was never here before."""
        return FIRST_TIME if self.valid(app_key) else self._last_key

    async def send(
        self, app: App, service: Conversation, sender: str, draft: Draft, valid_till: int | None = None
    ) -> Stored:
        """Send; told until `valid_till`, a month at most. A transient one only to those who are online now.

        Raises Refused.
        """
        check_deliveries(self._deliveries, app)
        check_draft(app, draft)
        self._filtering.check(app, service, draft)
        now = self._clock.now()
        if draft.transient:
            place = Stored(new_message_id(now), 0, now)
            self._bus.publish(BroadcastSent(service, placed(place, sender, draft), 0))
            return place
        ends = min(valid_till or now + VALIDITY, now + VALIDITY)
        places: list[Stored] = []
        telling: dict[Client, int] = {}

        def told(made: tuple[int, Stored]) -> list[Event]:
            key, place = made
            return [BroadcastSent(service, placed(place, sender, draft), key)]

        def committed(key: int, place: Stored) -> None:
            places.append(place)
            message = placed(place, sender, draft)
            self._keep(app.key, [*self.valid(app.key), Broadcast(key, app.key, service.id, ends, message)])
            self._last_key = max(key, self._last_key)
            online = ((app.key, client) for client in self._presence.all(app))
            telling.update(dict.fromkeys((client for client in online if client not in self._missing), key))
            self._telling |= telling
            self._bus.publish(BroadcastSent(service, message, key))

        following = self._aftermath.after(app.key, told, BroadcastSent, draft=draft)
        await self._store.insert(service, sender, draft, ends, committed, following)
        try:
            await self._note_told(telling)
        except Refused as refusal:  # it is sent: who hears of a failure would send it again
            log.warning("who was told a broadcast could not be noted, some may be told again: %s", refusal)
        return places[0]

    def begin(self, app: App, client: str) -> None:
        """A session begins to be told what it missed; until `end` it is for it to say what it was told."""
        self._missing[app.key, client] += 1

    async def pending(self, app: App, client: str) -> Sequence[Broadcast]:
        """What a client that logs in has not been told yet."""
        if not self.valid(app.key):
            return ()
        await self._note_visitors()
        told = await self._visitors.told_until(app.key, client)
        known = self._telling.get((app.key, client))
        if known is None and (told is None or told == FIRST_TIME):
            return self.valid(app.key)[-1:]
        mark = max(told or 0, known or 0)
        return [broadcast for broadcast in self.valid(app.key) if broadcast.key > mark]

    async def end(self, app: App, client: str, key: int) -> None:
        """A session has been told all up to this one; 0: none."""
        who = app.key, client
        self._missing[who] -= 1
        if not self._missing[who]:
            del self._missing[who]
        if key:
            self._telling[who] = key = max(key, self._telling.get(who, 0))
            await self._note_told({who: key})

    def find(self, app: App, conversation_id: str, message_id: str) -> Broadcast | None:
        """One that is still told."""
        for broadcast in self.valid(app.key):
            if broadcast.message.id == message_id and broadcast.conversation_id == conversation_id:
                return broadcast
        return None

    async def edit(
        self, app: App, service: Conversation, broadcast: Broadcast, sender: str, timestamp: int, draft: Draft
    ) -> None:
        """Say it differently to those who have not heard it yet; nobody else is told.

        Raises Refused(MESSAGE_NOT_FOUND) unless time and sender are right.
        """
        message = broadcast.message
        if (message.sender, message.timestamp) != (sender, timestamp):
            raise Refused(errors.MESSAGE_NOT_FOUND, "no message of this id, timestamp and sender")
        check_draft(app, draft)
        self._filtering.check(app, service, draft)
        at = max(self._clock.now(), message.timestamp + 1)

        def committed() -> None:
            edited = Message(message.id, 0, message.timestamp, message.sender, draft.content, patched_at=at)
            known = self._valid.get(app.key, [])
            new = Broadcast(broadcast.key, app.key, broadcast.conversation_id, broadcast.valid_till, edited)
            self._keep(app.key, [new if each.key == broadcast.key else each for each in known])

        await self._store.replace(broadcast.key, draft.content, at, committed)

    async def delete(self, app: App, message_id: str) -> None:
        """Nobody hears it any more who has not, and no history has it. Raises Refused(MESSAGE_NOT_FOUND)."""

        def committed(key: int) -> None:
            self._keep(app.key, [each for each in self._valid.get(app.key, []) if each.key != key])

        await self._store.delete(app.key, message_id, message_id_time(message_id) or 0, committed)

    async def _note_told(self, telling: Mapping[Client, int]) -> None:
        """Write down what clients have been told. What comes meanwhile of the same clients is later."""
        today = day_of(self._clock.now())
        try:
            await self._visitors.told([(*client, today, key) for client, key in telling.items()])
        finally:
            for client, key in telling.items():
                if self._telling.get(client) == key:
                    del self._telling[client]

    def _keep(self, app_key: int, broadcasts: list[Broadcast]) -> list[Broadcast]:
        if broadcasts:
            self._valid[app_key] = broadcasts
        else:
            self._valid.pop(app_key, None)
        return broadcasts

    def _on_event(self, event: Event) -> None:
        if type(event) is ConversationDeleted:
            app_key, gone = event.conversation.app_key, event.conversation.id
            left = [each for each in self._valid.get(app_key, []) if each.conversation_id != gone]
            self._keep(app_key, left)
