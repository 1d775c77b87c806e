"""The content filter's place between what clients send and what is kept, and telling authors what it replaced."""

import dataclasses
from collections.abc import Callable

from hongyan.engine.events import MessageReplaced
from hongyan.engine.ports import Bus, ContentFilter
from hongyan.engine.values import App, Conversation, Draft, Message, Replacement


class Filtering:
    """`told_until` gives a time: all edits up to it have been told."""

    def __init__(self, content_filter: ContentFilter, bus: Bus, told_until: Callable[[], int]) -> None:
        self._filter = content_filter
        self._bus = bus
        self._told_until = told_until

    def check(self, app: App, conversation: Conversation, draft: Draft) -> None:
        """Replace the draft's content if the filter wants that. Raises Refused(MESSAGE_REJECTED_BY_APP)."""
        if app.key in self._filter.apps:
            replaced = self._filter.look(app, conversation, draft.content)
            if replaced is not None:  # what the app's hook has replaced before is told with the reason of the filter
                draft.replaced = replaced
                draft.content = replaced.content

    def tell_author(self, conversation: Conversation, message: Message, replaced: Replacement) -> None:
        """Tell what was kept instead of what its author sent.

        A client takes the time it is told for that of the last edit it knows: if this is none, it is given one that
        leaves no edit untold.
        """
        told = dataclasses.replace(message, patched_at=message.patched_at or self._told_until())
        self._bus.publish(MessageReplaced(conversation, told, replaced))
