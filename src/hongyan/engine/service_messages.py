"""What is said in service conversations by the application, to all subscribers or to some clients.

And what a client has of it: history, read marks, counts, always its own stream and the broadcasts together.
"""

import asyncio
from collections.abc import Sequence

from hongyan import errors
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.clock import Clock
from hongyan.engine.congestion import Congestion
from hongyan.engine.edits import Edits
from hongyan.engine.events import MessageSent, MessageSynced, UnreadChanged
from hongyan.engine.filtering import Filtering
from hongyan.engine.hooks import Hooks
from hongyan.engine.limits import DeliveryBudget
from hongyan.engine.messages import check_deliveries, check_draft, placed
from hongyan.engine.ports import Bus, MessageStore, ServiceStore
from hongyan.engine.questions import Sending
from hongyan.engine.streams import Streams, alone
from hongyan.engine.values import (
    App,
    Conversation,
    Draft,
    Edit,
    HistoryRange,
    Message,
    Stored,
    Unread,
    message_id_time,
    new_message_id,
)
from hongyan.errors import Refused


class ServiceMessages:
    def __init__(
        self,
        store: ServiceStore,
        messages: MessageStore,
        edits: Edits,
        streams: Streams,
        bus: Bus,
        clock: Clock,
        deliveries: DeliveryBudget,
        filtering: Filtering,
        congestion: Congestion,
        aftermath: Aftermath,
        hooks: Hooks,
    ) -> None:
        self._store = store
        self._messages = messages
        self._edits = edits
        self._streams = streams
        self._bus = bus
        self._clock = clock
        self._deliveries = deliveries
        self._filtering = filtering
        self._congestion = congestion
        self._aftermath = aftermath
        self._hooks = hooks

    async def broadcast(self, app: App, service: Conversation, sender: str, draft: Draft) -> Stored:
        """One message to all subscribers, whatever their number. Nothing is asked of the sender (REST reference 3.3).

        Raises Refused.
        """
        await self._check(app, service, sender, draft, ())
        self._congestion.check(service)
        future: asyncio.Future[Stored | Refused] = asyncio.get_running_loop().create_future()

        def done(outcome: Stored | Refused) -> None:
            if isinstance(outcome, Stored):
                self._bus.publish(MessageSent(service, placed(outcome, sender, draft), None))
                self._tell_author(service, outcome, sender, draft)
            if not future.done():
                future.set_result(outcome)

        self._follow(app, sender, draft)
        self._messages.append(service, sender, draft, done, checked=False)
        outcome = await future
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    async def send_alone(
        self, app: App, service: Conversation, sender: str, clients: Sequence[str], draft: Draft, *, sync: bool
    ) -> Stored:
        """One message to each of these clients, subscribers or not, with one id and time; `sync`: also to the sender.

        Raises Refused.
        """
        clients = await self._check(app, service, sender, draft, clients)
        if draft.transient:
            now = self._clock.now()
            place = Stored(new_message_id(now), 0, now)
            streams = [alone(service, client) for client in clients]
            self._tell(streams, [place] * len(streams), service, sender, draft, sync)
            for stream in streams:
                self._aftermath.tell(app.key, MessageSent(stream, placed(place, sender, draft), None), draft)
            return place
        streams = [await self._streams.stream(service, client) for client in clients]

        def committed(places: Sequence[Stored]) -> None:
            self._tell(streams, places, service, sender, draft, sync)

        self._follow(app, sender, draft)
        return (await self._store.send(streams, sender, draft, committed))[0]

    def _follow(self, app: App, sender: str, draft: Draft) -> None:
        self._aftermath.follow(
            app.key, draft, MessageSent, lambda stream, place: MessageSent(stream, placed(place, sender, draft), None)
        )

    def _tell(
        self,
        streams: Sequence[Conversation],
        places: Sequence[Stored],
        service: Conversation,
        sender: str,
        draft: Draft,
        sync: bool,
    ) -> None:
        for stream, place in zip(streams, places, strict=True):
            self._bus.publish(MessageSent(stream, placed(place, sender, draft), None))
        if not sync:
            return
        if all(sender not in stream.members for stream in streams):
            self._bus.publish(MessageSynced(alone(service, sender), placed(places[0], sender, draft)))
        self._tell_author(service, places[0], sender, draft)

    def _tell_author(self, service: Conversation, place: Stored, sender: str, draft: Draft) -> None:
        if draft.replaced is not None:
            self._filtering.tell_author(service, placed(place, sender, draft), draft.replaced)

    async def edit(
        self,
        app: App,
        service: Conversation,
        sender: str,
        edit: Edit,
        clients: Sequence[str] | None,
        source: str = "",
    ) -> None:
        """Edit or recall what `sender` said to all, or to these clients, each of whom must have it.

        Raises Refused(MESSAGE_NOT_FOUND); then nothing is changed.
        """
        if edit.draft is not None:
            check_draft(app, edit.draft)
        targets = [service] if clients is None else await self._streams.of_clients(service, clients)
        await self._edits.apply_for_app(app, targets, sender, edit, source)

    async def page(self, service: Conversation, client: str, wanted: HistoryRange) -> list[Message]:
        """A client's history in ascending order of (time, id): its own stream and all broadcasts."""
        return await self._store.page(service, client, wanted)

    async def delete(self, service: Conversation, client: str, sender: str, message_id: str, timestamp: int) -> None:
        """Take a message out of a client's history; nobody is told. Raises Refused(MESSAGE_NOT_FOUND)."""
        await self._store.delete(service, client, sender, message_id, timestamp)

    async def mark_read(self, service: Conversation, client: str, message_id: str, timestamp: int | None) -> None:
        """Everything up to that message or time is read; tells all the client's sessions.

        Raises Refused(CONVERSATION_MEMBERSHIP_REQUIRED) for who has not subscribed and has no stream.
        """
        times = [time for time in (timestamp, message_id_time(message_id)) if time is not None]

        def committed(unread: Unread, at: int) -> None:
            self._bus.publish(UnreadChanged(service.app_key, client, unread, at))

        stream = self._streams.known(service, client)
        await self._store.mark_read(service, client, max(times, default=None), committed, stream)

    async def _check(
        self, app: App, service: Conversation, sender: str, draft: Draft, clients: Sequence[str]
    ) -> Sequence[str]:
        """Whom a message goes to, of these: the app's engine may want fewer. Raises Refused."""
        check_deliveries(self._deliveries, app)
        check_draft(app, draft)
        if app.settings.hook_rest and self._hooks.concern(app, Sending):
            question = Sending(service, sender, draft, clients, self._clock.now())
            await self._hooks.review(app, question, draft, check_draft)
            if clients and draft.receivers is not None:
                wanted = set(draft.receivers)
                clients = [client for client in clients if client in wanted]
                if not clients:  # nothing would be kept, and the id that is answered would be of no message
                    raise Refused(errors.MESSAGE_REJECTED_BY_APP, "the app's hook wants nobody to receive it")
        self._filtering.check(app, service, draft)
        return clients
