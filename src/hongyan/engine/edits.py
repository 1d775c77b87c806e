"""Editing and recalling: what was said may be said differently by its author, or taken back (reference 3.21)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from hongyan import errors
from hongyan.engine.access import Access, check_member
from hongyan.engine.aftermath import Aftermath
from hongyan.engine.clock import Clock
from hongyan.engine.congestion import Congestion
from hongyan.engine.events import MessagePatched
from hongyan.engine.filtering import Filtering
from hongyan.engine.hooks import Hooks, narrowed, receivers
from hongyan.engine.messages import check_draft, check_not_barred, no_target
from hongyan.engine.ports import Bus, EditStore
from hongyan.engine.questions import Editing
from hongyan.engine.streams import Streams
from hongyan.engine.turns import Turns
from hongyan.engine.values import OF_MEMBERS, App, Conversation, ConversationKind, Draft, Edit, Edited, Message
from hongyan.engine.work import NewJob
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
        aftermath: Aftermath,
        hooks: Hooks,
        turns: Turns,
    ) -> None:
        self._store = store
        self._access = access
        self._streams = streams
        self._bus = bus
        self._clock = clock
        self._filtering = filtering
        self._congestion = congestion
        self._aftermath = aftermath
        self._hooks = hooks
        self._turns = turns
        # when each edit that is not told yet was handed to the store, in that order
        self._pending: dict[object, int] = {}

    async def apply(
        self,
        app: App,
        by: str,
        edits: Sequence[Edit],
        reply: Callable[[int], None],
        origin: object | None = None,
        source: str = "",
    ) -> None:
        """Make all of these edits or none; `reply(time)`, the time of the last one, at the commit before the events.

        `source` is the address that they come from.
        """
        for edit in edits:
            if edit.draft is not None:
                check_draft(app, edit.draft)
        wanted = await self._wanted(app, by, edits)
        _check_allowed(app, edits)
        lines = {(conversation.key, by) for conversation, _ in wanted}
        if not any(map(self._turns.any, lines)) and not self._hooks.concern(app, Editing):
            await self._make(app, by, wanted, reply, origin)
            return
        turn = self._turns.take(lines)
        try:
            await self._review(app, by, wanted, source)
            await turn.comes()
            wanted = await self._wanted(app, by, edits)  # what was so before may be so no more
            _check_allowed(app, edits)
            await self._make(app, by, wanted, reply, origin)
        finally:
            turn.end()

    async def _wanted(self, app: App, by: str, edits: Sequence[Edit]) -> list[tuple[Conversation, Edit]]:
        return [(await self._conversation(app, by, edit.conversation_id), edit) for edit in edits]

    async def _review(self, app: App, by: str, wanted: Sequence[tuple[Conversation, Edit]], source: str) -> None:
        """Have the app's engine look at all of them. Raises Refused if it does not want one."""
        now = self._clock.now()
        asked = [
            self._hooks.review(
                app,
                Editing(conversation, by, edit, receivers(conversation, by), now, source),
                edit.draft,
                check_draft,
            )
            for conversation, edit in wanted
        ]
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _make(
        self,
        app: App,
        by: str,
        wanted: Sequence[tuple[Conversation, Edit]],
        reply: Callable[[int], None],
        origin: object | None,
    ) -> None:
        for conversation, edit in wanted:
            self._filter(app, conversation, edit)

        def committed(results: Sequence[Edited]) -> None:
            reply(max(result.message.patched_at or 0 for result in results))
            for result, (_, edit) in zip(results, wanted, strict=True):
                if result.changed:
                    self._tell(result, by, edit.draft, origin)
                    self._tell_author(result, edit.draft)

        await self._write(app, wanted, by, committed, origin)

    async def apply_for_app(
        self, app: App, targets: Sequence[Conversation], sender: str, edit: Edit, source: str = ""
    ) -> None:
        """Make this edit of a message that `sender` sent to each of these, for the application, which always may.

        Each is a service conversation or a stream of the same one. Raises Refused, also for what the filter refuses.
        """
        if app.settings.hook_rest and self._hooks.concern(app, Editing):
            await self._review(app, sender, [(targets[0], edit)], source)
        self._filter(app, targets[0], edit)

        def committed(results: Sequence[Edited]) -> None:
            changed = [result for result in results if result.changed]
            for result in changed:
                self._tell(result, sender, edit.draft, None)
            if changed:
                self._tell_author(changed[-1], edit.draft)  # it is one message: once

        await self._write(app, [(target, edit) for target in targets], sender, committed, None, checked=False)

    def _filter(self, app: App, conversation: Conversation, edit: Edit) -> None:
        try:
            if edit.draft is not None:
                self._filtering.check(app, conversation, edit.draft)
        except Refused as refusal:
            raise Refused(errors.MESSAGE_UPDATE_REJECTED_BY_APP, refusal.detail) from None

    def _tell(self, result: Edited, by: str, draft: Draft | None, origin: object | None) -> None:
        self._bus.publish(_patched(result, by, draft, origin))

    def _tell_author(self, result: Edited, draft: Draft | None) -> None:
        if draft is not None and draft.replaced is not None:
            self._filtering.tell_author(result.conversation, result.message, draft.replaced)

    async def _write(
        self,
        app: App,
        wanted: Sequence[tuple[Conversation, Edit]],
        by: str,
        committed: Callable[[Sequence[Edited]], None],
        origin: object | None,
        *,
        checked: bool = True,
    ) -> None:
        ticket = object()
        self._pending[ticket] = self._clock.now()

        def told(results: Sequence[Edited]) -> None:
            self._pending.pop(ticket)
            committed(results)

        def following(results: Sequence[Edited]) -> list[NewJob]:
            jobs: list[NewJob] = []
            for result, (_, edit) in zip(results, wanted, strict=True):
                if result.changed:
                    jobs += self._aftermath.jobs(app.key, _patched(result, by, edit.draft, origin), edit.draft)
            return jobs

        followed = following if self._aftermath.wants(app.key, MessagePatched) else None

        try:
            await self._store.apply(wanted, by, told, checked=checked, following=followed)
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


def _patched(result: Edited, by: str, draft: Draft | None, origin: object | None) -> MessagePatched:
    replaced = draft is not None and draft.replaced is not None
    whom = narrowed(result.conversation, by, draft)
    return MessagePatched(whom, result.message, origin, to_author=not replaced)


def _check_allowed(app: App, edits: Sequence[Edit]) -> None:
    """Raises Refused if the app does without what one of these needs."""
    for edit in edits:
        if edit.draft is None and not app.settings.recall:
            raise Refused(errors.MESSAGE_RECALL_DISABLED, "messages of this app can't be recalled")
        if edit.draft is not None and not app.settings.edit:
            raise Refused(errors.MESSAGE_EDIT_DISABLED, "messages of this app can't be edited")
