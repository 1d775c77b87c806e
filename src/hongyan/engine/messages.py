"""Sending: access, limits, filter, write; and after the commit the acknowledgement, then the event."""

import asyncio
import logging
from collections.abc import Callable

from hongyan import errors
from hongyan.engine.access import Access, Found
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.clock import Clock
from hongyan.engine.congestion import Congestion, congested
from hongyan.engine.conversations import check_client_ids
from hongyan.engine.events import MessageSent, UpstreamReceived
from hongyan.engine.filtering import Filtering
from hongyan.engine.hooks import Hooks, narrowed, receivers
from hongyan.engine.limits import DeliveryBudget
from hongyan.engine.ports import Bus, MessageStore
from hongyan.engine.questions import Sending
from hongyan.engine.streams import Streams
from hongyan.engine.turns import Turn, Turns
from hongyan.engine.values import (
    NO_STANDING,
    OF_MEMBERS,
    TEMPORARY_PREFIX,
    App,
    Conversation,
    ConversationKind,
    Draft,
    Message,
    Stored,
    new_message_id,
)
from hongyan.errors import Refused

log = logging.getLogger(__name__)

#: What a mention costs on the wire beside its id.
_MENTION_BYTES = 2

Acknowledge = Callable[[Stored | Refused], None]
#: What tells of a message, made of its conversation, itself and where it came from.
Telling = type[MessageSent] | type[UpstreamReceived]

_SERVICE = ConversationKind.SERVICE


class Messages:
    def __init__(
        self,
        store: MessageStore,
        access: Access,
        streams: Streams,
        bus: Bus,
        clock: Clock,
        deliveries: DeliveryBudget,
        filtering: Filtering,
        congestion: Congestion,
        aftermath: Aftermath,
        hooks: Hooks,
        turns: Turns,
    ) -> None:
        self._store = store
        self._access = access
        self._streams = streams
        self._bus = bus
        self._clock = clock
        self._deliveries = deliveries
        self._filtering = filtering
        self._congestion = congestion
        self._aftermath = aftermath
        self._hooks = hooks
        self._turns = turns
        self._tasks: set[asyncio.Task[None]] = set()
        # messages on their way to the disk, or waiting for those, by conversation and sender
        self._pending: dict[tuple[int, str], int] = {}

    def send(
        self,
        app: App,
        sender: str,
        conversation_id: str,
        draft: Draft,
        acknowledge: Acknowledge,
        origin: object | None = None,
    ) -> None:
        """Send a message; `acknowledge` is called once, after the commit and before anybody receives it.

        Messages of one sender to one conversation are written in the order of the calls.
        """
        try:
            check_deliveries(self._deliveries, app)
            check_draft(app, draft)
        except Refused as refusal:
            acknowledge(refusal)
            return

        def use(found: Found) -> None:
            conversation = target(found, conversation_id, sender, self._clock)
            if isinstance(conversation, Refused):
                acknowledge(conversation)
            elif self._turns.any((conversation.key, sender)) or self._hooks.concern(app, Sending):
                self._ask(app, conversation, sender, draft, acknowledge, origin)
            else:
                self._accept(app, conversation, sender, draft, acknowledge, origin)

        self._access.with_conversation(app, conversation_id, use)

    def _ask(
        self,
        app: App,
        conversation: Conversation,
        sender: str,
        draft: Draft,
        acknowledge: Acknowledge,
        origin: object | None,
    ) -> None:
        """Accept it when the app's engine has been asked, and after all that its sender said here before."""
        if self._congestion.bars(conversation):
            acknowledge(congested())
            return
        turn = self._turns.take([(conversation.key, sender)])
        asked = self._accept_if_wanted(app, conversation, sender, draft, acknowledge, origin, turn)
        task = asyncio.get_running_loop().create_task(asked)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept_if_wanted(
        self,
        app: App,
        conversation: Conversation,
        sender: str,
        draft: Draft,
        acknowledge: Acknowledge,
        origin: object | None,
        turn: Turn,
    ) -> None:
        refusal: Refused | None = None
        try:
            question = Sending(conversation, sender, draft, receivers(conversation, sender), self._clock.now())
            await self._hooks.review(app, question, draft, check_draft)
        except Refused as refused:
            refusal = refused
        except Exception:
            log.exception("a hook could not be asked")
            refusal = Refused(errors.INTERNAL_ERROR, "the server failed")
        await turn.comes()

        def use(found: Found) -> None:
            """What was so before the question may be so no more."""
            turn.end()
            again = target(found, conversation.id, sender, self._clock)
            if refusal is not None or isinstance(again, Refused):
                acknowledge(refusal or again)  # type: ignore[arg-type]
            else:
                self._accept(app, again, sender, draft, acknowledge, origin)

        self._access.with_conversation(app, conversation.id, use)

    def _accept(
        self,
        app: App,
        conversation: Conversation,
        sender: str,
        draft: Draft,
        acknowledge: Acknowledge,
        origin: object | None,
    ) -> None:
        try:
            self._filtering.check(app, conversation, draft)
        except Refused as refusal:
            acknowledge(refusal)
            return
        if conversation.kind is _SERVICE:
            self._send_upstream(conversation, sender, draft, acknowledge, origin)
        elif self._congestion.bars(conversation):
            acknowledge(congested())
        elif draft.transient:
            self._pass_on(conversation, conversation, sender, draft, acknowledge, origin)
        else:
            self._write(conversation, sender, draft, acknowledge, origin)

    def _send_upstream(
        self, service: Conversation, sender: str, draft: Draft, acknowledge: Acknowledge, origin: object | None
    ) -> None:
        """To the application, and into the client's own stream: no other client hears it (reference 3.16)."""

        def use(stream: Conversation | Refused) -> None:
            if isinstance(stream, Refused):
                acknowledge(stream)
            elif draft.transient:
                self._pass_on(service, stream, sender, draft, acknowledge, origin, UpstreamReceived)
            else:
                self._write(stream, sender, draft, acknowledge, origin, UpstreamReceived)

        self._streams.with_stream(service, sender, use)

    def _write(
        self,
        conversation: Conversation,
        sender: str,
        draft: Draft,
        acknowledge: Acknowledge,
        origin: object | None,
        telling: Telling = MessageSent,
    ) -> None:
        who = (conversation.key, sender)
        self._wait(who)

        def told(_: Conversation, place: Stored) -> MessageSent | UpstreamReceived:
            return telling(narrowed(conversation, sender, draft), placed(place, sender, draft), origin)

        def done(outcome: Stored | Refused) -> None:
            self._told(who)
            acknowledge(outcome)
            if isinstance(outcome, Stored):
                event = told(conversation, outcome)
                if not outcome.repeated:
                    self._bus.publish(event)
                if draft.replaced is not None:
                    self._filtering.tell_author(conversation, event.message, draft.replaced)

        self._aftermath.follow(conversation.app_key, draft, telling, told)
        self._store.append(conversation, sender, draft, done)

    def _pass_on(
        self,
        whole: Conversation,
        conversation: Conversation,
        sender: str,
        draft: Draft,
        acknowledge: Acknowledge,
        origin: object | None,
        telling: Telling = MessageSent,
    ) -> None:
        """A transient message is delivered to those online and kept nowhere.

        It waits for what its sender sent before, also for those that wait themselves, and is then checked again.
        `whole`: the conversation as it is asked about, of which `conversation` may be a stream.
        """
        who = (conversation.key, sender)

        def pass_on() -> None:
            now = self._clock.now()
            checked = no_target(whole.id) if whole.has_ended(now) else target(whole, whole.id, sender, self._clock)
            if isinstance(checked, Refused):
                acknowledge(checked)
                return
            place = Stored(new_message_id(now), 0, now)
            acknowledge(place)
            message = placed(place, sender, draft)
            event = telling(narrowed(conversation, sender, draft), message, origin)
            self._bus.publish(event)
            self._aftermath.tell(conversation.app_key, event, draft)
            if draft.replaced is not None:
                self._filtering.tell_author(conversation, message, draft.replaced)

        def pass_on_later() -> None:
            self._told(who)
            pass_on()

        if who in self._pending:
            self._wait(who)
            self._store.after_appends(pass_on_later)
        else:
            pass_on()

    def _wait(self, who: tuple[int, str]) -> None:
        self._pending[who] = self._pending.get(who, 0) + 1

    def _told(self, who: tuple[int, str]) -> None:
        self._pending[who] -= 1
        if not self._pending[who]:
            del self._pending[who]


def target(found: Found, conversation_id: str, sender: str, clock: Clock) -> Conversation | Refused:
    """The conversation if the sender may send to it, else why not."""
    if isinstance(found, Refused):
        return found
    if found is None or (found.kind in OF_MEMBERS and sender not in found.members):
        return no_target(conversation_id)
    if found.standings:
        standing = found.standings.get(sender)
        barred = standing and standing.bars(clock.now())
        if barred:
            return Refused(barred, "the sender may not write here")
    return found


def check_not_barred(conversation: Conversation, client: str, now: int) -> None:
    """Raises Refused for who is silenced or blocked."""
    barred = conversation.standings.get(client, NO_STANDING).bars(now)
    if barred:
        raise Refused(barred, "the client may not write here")


def no_target(conversation_id: str) -> Refused:
    """SDKs take the second error for a temporary conversation that has ended (reference 3.16)."""
    if conversation_id.startswith(TEMPORARY_PREFIX):
        return Refused(errors.CONVERSATION_NOT_FOUND, "unknown or ended temporary conversation, or not a member")
    return Refused(errors.INVALID_MESSAGING_TARGET, "unknown conversation or not a member")


def placed(place: Stored, sender: str, draft: Draft) -> Message:
    """The message that a draft became."""
    return Message(
        place.id,
        place.seq,
        place.timestamp,
        sender,
        draft.content,
        draft.receipt,
        draft.transient,
        draft.mention_all,
        draft.mentions,
        priority=draft.priority,
    )


def check_deliveries(deliveries: DeliveryBudget, app: App) -> None:
    """Raises Refused if the app has delivered all it may for now."""
    if not deliveries.allow(app):
        raise Refused(
            errors.MESSAGE_SENT_QUOTA_EXCEEDED,
            f"the app delivers at most {app.settings.delivery_rate} messages per second",
        )


def check_draft(app: App, draft: Draft) -> int:
    """The bytes it has. Raises Refused if the message is too long or mentions what can't be clients."""
    size = _bytes(draft.content) + _bytes(draft.token)
    if draft.push_data:
        size += _bytes(draft.push_data)
    if draft.mentions:
        size += sum(_bytes(client) + _MENTION_BYTES for client in draft.mentions)
        draft.mentions = check_client_ids(draft.mentions)
    limit = app.settings.message_max
    if size > limit or len(draft.mentions) > app.settings.members_max:
        raise Refused(errors.FRAME_TOO_LONG, f"a message has at most {limit} bytes")
    return size


def _bytes(content: str | bytes) -> int:
    if isinstance(content, bytes) or content.isascii():
        return len(content)
    return len(content.encode("utf-8", "replace"))
