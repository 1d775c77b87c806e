"""Sending: access, limits, write; and after the commit the acknowledgement, then the event."""

from collections.abc import Callable

from hongyan import errors
from hongyan.engine.access import Access, Found
from hongyan.engine.clock import Clock
from hongyan.engine.events import MessageSent
from hongyan.engine.ports import Bus, MessageStore
from hongyan.engine.values import App, Conversation, Draft, Message, Stored, new_message_id
from hongyan.errors import Refused

Acknowledge = Callable[[Stored | Refused], None]


class Messages:
    def __init__(self, store: MessageStore, access: Access, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._bus = bus
        self._clock = clock

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
        if _size(draft) > app.settings.message_max:
            limit = app.settings.message_max
            acknowledge(Refused(errors.FRAME_TOO_LONG, f"a message has at most {limit} bytes"))
            return

        def use(conversation: Found) -> None:
            if isinstance(conversation, Refused):
                acknowledge(conversation)
            elif conversation is None or sender not in conversation.members:
                acknowledge(Refused(errors.INVALID_MESSAGING_TARGET, "unknown conversation or not a member"))
            elif draft.transient:
                self._pass_on(conversation, sender, draft, acknowledge, origin)
            else:
                self._write(conversation, sender, draft, acknowledge, origin)

        self._access.with_conversation(app, conversation_id, use)

    def _write(
        self,
        conversation: Conversation,
        sender: str,
        draft: Draft,
        acknowledge: Acknowledge,
        origin: object | None,
    ) -> None:
        def done(outcome: Stored | Refused) -> None:
            acknowledge(outcome)
            if isinstance(outcome, Stored) and not outcome.repeated:
                message = _message(outcome, sender, draft)
                self._bus.publish(MessageSent(conversation, message, origin))

        self._store.append(conversation, sender, draft, done)

    def _pass_on(
        self,
        conversation: Conversation,
        sender: str,
        draft: Draft,
        acknowledge: Acknowledge,
        origin: object | None,
    ) -> None:
        """A transient message is delivered to those online and kept nowhere."""
        now = self._clock.now()
        place = Stored(new_message_id(now), 0, now)
        acknowledge(place)
        self._bus.publish(MessageSent(conversation, _message(place, sender, draft), origin))


def _message(place: Stored, sender: str, draft: Draft) -> Message:
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
    )


def _size(draft: Draft) -> int:
    """Bytes of content, token and mentions; text is counted without encoding it when it can't be too long."""
    content = draft.content
    size = len(content) if isinstance(content, bytes) or content.isascii() else len(content.encode("utf-8", "replace"))
    return size + len(draft.token) + sum(len(client) for client in draft.mentions)
