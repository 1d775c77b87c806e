"""Editing and recalling: what was said may be said differently by its author, or taken back (reference 3.21)."""

from collections.abc import AsyncIterator, Callable, Sequence

from hongyan import errors
from hongyan.engine.access import Access
from hongyan.engine.clock import Clock
from hongyan.engine.events import MessagePatched
from hongyan.engine.messages import check_draft, no_target
from hongyan.engine.ports import Bus, EditStore
from hongyan.engine.values import App, Conversation, Edit, Edited, Message
from hongyan.errors import Refused


class Edits:
    def __init__(self, store: EditStore, access: Access, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._bus = bus
        self._clock = clock
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

        def committed(results: Sequence[Edited]) -> None:
            reply(max(result.message.patched_at or 0 for result in results))
            for result in results:
                if result.changed:
                    self._bus.publish(MessagePatched(result.conversation, result.message, origin))

        await self._write(wanted, by, committed)

    async def _write(
        self, wanted: Sequence[tuple[Conversation, Edit]], by: str, committed: Callable[[Sequence[Edited]], None]
    ) -> None:
        ticket = object()
        self._pending[ticket] = self._clock.now()

        def told(results: Sequence[Edited]) -> None:
            self._pending.pop(ticket)
            committed(results)

        try:
            await self._store.apply(wanted, by, told)
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
        """Where the message is, for members (4401 for others, inferred)."""
        try:
            return await self._access.as_member(app, conversation_id, by, errors.INVALID_MESSAGING_TARGET)
        except Refused as refusal:
            if refusal.kind is errors.CONVERSATION_NOT_FOUND:
                raise no_target(conversation_id) from None
            raise


def _check_allowed(app: App, edits: Sequence[Edit]) -> None:
    """Raises Refused if the app does without what one of these needs."""
    for edit in edits:
        if edit.draft is None and not app.settings.recall:
            raise Refused(errors.MESSAGE_RECALL_DISABLED, "messages of this app can't be recalled")
        if edit.draft is not None and not app.settings.edit:
            raise Refused(errors.MESSAGE_EDIT_DISABLED, "messages of this app can't be edited")
