"""Editing and recalling: what was said may be said differently by its author, or taken back (reference 3.21)."""

from collections.abc import AsyncIterator, Callable, Sequence

from hongyan import errors
from hongyan.engine.access import Access, check_member
from hongyan.engine.clock import Clock
from hongyan.engine.congestion import Congestion
from hongyan.engine.events import MessagePatched
from hongyan.engine.filtering import Filtering
from hongyan.engine.messages import check_draft, check_not_barred, no_target
from hongyan.engine.ports import Bus, EditStore
from hongyan.engine.streams import Streams
from hongyan.engine.values import OF_MEMBERS, App, Conversation, ConversationKind, Draft, Edit, Edited, Message
from hongyan.errors import Refused


class Edits:
    def __init__(
        self,
        store: EditStore,
        access: Access,
        streams: Streams,
        bus: Bus,
        clock: Clock,
        filtering: Filtering,
        congestion: Congestion,
    ) -> None:
        self._store = store
        self._access = access
        self._streams = streams
        self._bus = bus
        self._clock = clock
        self._filtering = filtering
        self._congestion = congestion
        # when each edit that is not told yet was handed to the store, in that order
        self._pending: dict[object, int] = {}

    async def apply(
        self, app: App, by: str, edits: Sequence[Edit], reply: Callable[[int], None], origin: object | None = None
    ) -> None:
        """Make all of these edits or none; `reply(time)`, the time of the last one, at the commit before the events."""
        for edit in edits:
            if edit.draft is not None:
                check_draft(app, edit.draft)
        wanted = [(await self._conversation(app, by, edit.conversation_id), edit) for edit in edits]
        _check_allowed(app, edits)
        for conversation, edit in wanted:
            self._filter(app, conversation, edit)

        def committed(results: Sequence[Edited]) -> None:
            reply(max(result.message.patched_at or 0 for result in results))
            for result, edit in zip(results, edits, strict=True):
                if result.changed:
                    self._tell(result, edit.draft, origin)
                    self._tell_author(result, edit.draft)

        await self._write(wanted, by, committed, checked=True)

    async def apply_for_app(self, app: App, targets: Sequence[Conversation], sender: str, edit: Edit) -> None:
        """Make this edit of a message that `sender` sent to each of these, for the application, which always may.

        Each is a service conversation or a stream of the same one. Raises Refused, also for what the filter refuses.
        """
        self._filter(app, targets[0], edit)

        def committed(results: Sequence[Edited]) -> None:
            changed = [result for result in results if result.changed]
            for result in changed:
                self._tell(result, edit.draft, None)
            if changed:
                self._tell_author(changed[-1], edit.draft)  # it is one message: once

        await self._write([(target, edit) for target in targets], sender, committed, checked=False)

    def _filter(self, app: App, conversation: Conversation, edit: Edit) -> None:
        try:
            if edit.draft is not None:
                self._filtering.check(app, conversation, edit.draft)
        except Refused as refusal:
            raise Refused(errors.MESSAGE_UPDATE_REJECTED_BY_APP, refusal.detail) from None

    def _tell(self, result: Edited, draft: Draft | None, origin: object | None) -> None:
        replaced = draft is not None and draft.replaced is not None
        self._bus.publish(MessagePatched(result.conversation, result.message, origin, to_author=not replaced))

    def _tell_author(self, result: Edited, draft: Draft | None) -> None:
        if draft is not None and draft.replaced is not None:
            self._filtering.tell_author(result.conversation, result.message, draft.replaced)

    async def _write(
        self,
        wanted: Sequence[tuple[Conversation, Edit]],
        by: str,
        committed: Callable[[Sequence[Edited]], None],
        *,
        checked: bool,
    ) -> None:
        ticket = object()
        self._pending[ticket] = self._clock.now()

        def told(results: Sequence[Edited]) -> None:
            self._pending.pop(ticket)
            committed(results)

        try:
            await self._store.apply(wanted, by, told, checked=checked)
        finally:
            self._pending.pop(ticket, None)

    def told_until(self) -> int:
        """A time: every edit up to it has been told, and those not told yet will be later than it."""
        now = self._clock.now()
        return min(now, next(iter(self._pending.values()), now)) - 1

    def missed(self, since: int) -> bool:
        """Whether anything was edited after this time; where, `since` tells."""
        return since < self._store.newest

    def since(self, app: App, client: str, since: int) -> AsyncIterator[Sequence[tuple[str, Message]]]:
        """Pages of (conversation id, message): what was edited after this time where the client is a member now.

        In the order of the edits. What is edited after the last page was read is told as an event.
        """
        return self._store.since(app.key, client, since)

    async def _conversation(self, app: App, by: str, conversation_id: str) -> Conversation:
        """Where the message is, for members (4401 for others, inferred).

        Of a service conversation it is their own stream; a chat room has no members, only authors.
        """
        try:
            conversation = await self._access.conversation(app, conversation_id)
        except Refused as refusal:
            if refusal.kind is errors.CONVERSATION_NOT_FOUND:
                raise no_target(conversation_id) from None
            raise
        if conversation.kind in OF_MEMBERS:
            check_member(conversation, by, errors.INVALID_MESSAGING_TARGET)
        check_not_barred(conversation, by, self._clock.now())
        if conversation.kind is ConversationKind.SERVICE:
            (stream,) = await self._streams.of_clients(conversation, [by])
            return stream
        self._congestion.check(conversation)
        return conversation


def _check_allowed(app: App, edits: Sequence[Edit]) -> None:
    """Raises Refused if the app does without what one of these needs."""
    for edit in edits:
        if edit.draft is None and not app.settings.recall:
            raise Refused(errors.MESSAGE_RECALL_DISABLED, "messages of this app can't be recalled")
        if edit.draft is not None and not app.settings.edit:
            raise Refused(errors.MESSAGE_EDIT_DISABLED, "messages of this app can't be edited")
