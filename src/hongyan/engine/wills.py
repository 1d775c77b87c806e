"""Will messages: said by the server for a client that vanishes (reference 3.16).

A will is kept in memory only, one per client, and no longer than a session of that client is open. It is acknowledged
at once with the id and the time it will have; when it is delivered it is transient: nothing is stored or counted.
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass

from hongyan import errors
from hongyan.engine.access import Access, Found
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.clock import Clock
from hongyan.engine.congestion import Congestion
from hongyan.engine.events import MessageSent, UpstreamReceived
from hongyan.engine.filtering import Filtering
from hongyan.engine.hooks import Hooks, narrowed, receivers
from hongyan.engine.limits import DeliveryBudget
from hongyan.engine.messages import Acknowledge, check_deliveries, check_draft, placed, target
from hongyan.engine.ports import Bus
from hongyan.engine.questions import Sending
from hongyan.engine.streams import alone
from hongyan.engine.values import App, ConversationKind, Draft, Message, Stored, new_message_id
from hongyan.errors import Refused

#: Bytes of all wills together.
BYTES_MAX = 64 << 20
#: What a will takes beside its content and mentions.
_OVERHEAD = 1_024

Client = tuple[int, str]


@dataclass(slots=True, eq=False)
class _Will:
    """`origin` is the session that set it, None when that one was lost; `number` its place among all wills set."""

    app: App
    conversation_id: str
    message: Message
    draft: Draft
    origin: object | None
    number: int
    size: int


class Wills:
    def __init__(
        self,
        access: Access,
        bus: Bus,
        clock: Clock,
        deliveries: DeliveryBudget,
        filtering: Filtering,
        congestion: Congestion,
        aftermath: Aftermath,
        hooks: Hooks,
    ) -> None:
        self._access = access
        self._bus = bus
        self._clock = clock
        self._deliveries = deliveries
        self._filtering = filtering
        self._congestion = congestion
        self._aftermath = aftermath
        self._hooks = hooks
        self._tasks: set[asyncio.Task[None]] = set()
        self._wills: dict[Client, _Will] = {}
        self._bytes = 0
        self._number = 0

    def set(
        self,
        app: App,
        sender: str,
        conversation_id: str,
        draft: Draft,
        acknowledge: Acknowledge,
        origin: object,
        is_open: Callable[[], bool],
    ) -> None:
        """Keep a will for the session `origin` in place of the client's former one; `acknowledge` is called once.

        It is checked as a message is. `is_open` tells whether the session still is: the conversation may take a
        moment to be read.
        """
        self._number += 1
        number = self._number
        try:
            check_deliveries(self._deliveries, app)
            check_draft(app, draft)
        except Refused as refusal:
            acknowledge(refusal)
            return
        draft.transient = True

        def use(found: Found) -> None:
            conversation = target(found, conversation_id, sender, self._clock)
            if isinstance(conversation, Refused):
                acknowledge(conversation)
                return
            try:
                self._filtering.check(app, conversation, draft)
            except Refused as refusal:
                acknowledge(refusal)
                return
            size = _OVERHEAD + sum(map(sys.getsizeof, (draft.content, *draft.mentions)))
            former = self._wills.get((app.key, sender))
            if self._bytes + size - (former.size if former else 0) > BYTES_MAX:
                acknowledge(Refused(errors.MESSAGE_SENT_QUOTA_EXCEEDED, "the server keeps no more will messages"))
                return
            now = self._clock.now()
            place = Stored(new_message_id(now), 0, now)
            overtaken = former is not None and former.number > number
            message = placed(place, sender, draft)
            if is_open() and not overtaken:
                self._keep((app.key, sender), _Will(app, conversation_id, message, draft, origin, number, size))
            acknowledge(place)
            if draft.replaced is not None:
                self._filtering.tell_author(conversation, message, draft.replaced)

        self._access.with_conversation(app, conversation_id, use)

    def session_ended(self, app: App, client: str, origin: object, *, clean: bool, last: bool) -> None:
        """A session of the client is over; `last`: no other is open.

        `clean`: it logged out, or the server ended it. Then its will is dropped. If it was lost, the will is kept for
        as long as the client has another session, and delivered when it has none.
        """
        who = (app.key, client)
        will = self._wills.get(who)
        if will is None:
            return
        if clean:
            if last or will.origin is None or will.origin is origin:
                self._drop(who)
        elif last:
            self._drop(who)
            self._deliver(will)
        elif will.origin is origin:
            will.origin = None

    def _deliver(self, will: _Will) -> None:
        """The app's engine looks at it now: until now it was not sent."""
        if not self._hooks.concern(will.app, Sending):
            self._tell(will)
            return
        task = asyncio.get_running_loop().create_task(self._deliver_if_wanted(will))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_if_wanted(self, will: _Will) -> None:
        app, sender, draft = will.app, will.message.sender, will.draft
        try:
            conversation = await self._access.conversation(app, will.conversation_id)
            question = Sending(conversation, sender, draft, receivers(conversation, sender), self._clock.now())
            await self._hooks.review(app, question, draft, check_draft)
            self._filtering.check(app, conversation, draft)
        except Refused:  # nobody is there any more to be told
            return
        will.message.content = draft.content
        self._tell(will)

    def _tell(self, will: _Will) -> None:
        def use(found: Found) -> None:
            conversation = target(found, will.conversation_id, will.message.sender, self._clock)
            if not isinstance(conversation, Refused) and not self._congestion.bars(conversation):
                whom = narrowed(conversation, will.message.sender, will.draft)
                event: MessageSent | UpstreamReceived = MessageSent(whom, will.message, None)
                if conversation.kind is ConversationKind.SERVICE:
                    event = UpstreamReceived(alone(conversation, will.message.sender), will.message, None)
                self._bus.publish(event)
                self._aftermath.tell(will.app.key, event, will.draft)

        self._access.with_conversation(will.app, will.conversation_id, use)

    def _keep(self, who: Client, will: _Will) -> None:
        self._drop(who)
        self._wills[who] = will
        self._bytes += will.size

    def _drop(self, who: Client) -> None:
        dropped = self._wills.pop(who, None)
        self._bytes -= dropped.size if dropped else 0
