"""Sensitive words: each app's list, and what becomes of messages that contain them (REST reference 6.1)."""

import asyncio
from collections.abc import Sequence

from hongyan import errors
from hongyan.engine import bodies, word_list
from hongyan.engine.clock import Clock
from hongyan.engine.ports import WordStore
from hongyan.engine.values import App, Conversation, ConversationKind, Replacement
from hongyan.engine.word_list import Finder
from hongyan.errors import Refused

#: `patchCode` of what the author is told (reference 3.21).
CENSORED = -4408
REASON = "The message contains words that this app does not allow."

_ALWAYS = (ConversationKind.CHATROOM, ConversationKind.SERVICE)


class WordFilter:
    """The content filter by word lists. `apps` holds the list of each app that has one."""

    def __init__(self, store: WordStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.apps: dict[int, Finder] = {}

    async def load(self) -> None:
        for app_key, words in (await self._store.all()).items():
            self.apps[app_key] = await asyncio.to_thread(Finder, words)

    async def words(self, app: App) -> list[str]:
        """The app's list, in its order."""
        return await self._store.of(app.key)

    async def replace(self, app: App, lines: Sequence[str]) -> int:
        """Make this the app's list, from now on; answers how many words it has. Raises ValueError with a sentence."""
        words = await asyncio.to_thread(word_list.parse, lines)
        finder = await asyncio.to_thread(Finder, words) if words else None
        await self._store.replace(app.key, words, self._clock.now())
        if finder is None:
            self.apps.pop(app.key, None)
        else:
            self.apps[app.key] = finder
        return len(words)

    def look(self, app: App, conversation: Conversation, content: str | bytes) -> Replacement | None:
        """As the port `ContentFilter` promises. Binary content is not looked at."""
        if isinstance(content, bytes) or not _is_filtered(app, conversation):
            return None
        masked = bodies.mask(content, self.apps[app.key].find)
        if masked is None:
            return None
        if app.settings.filter == "refuse":
            raise Refused(errors.MESSAGE_REJECTED_BY_APP, "the message contains words that this app does not allow")
        return Replacement(masked, CENSORED, REASON)


def _is_filtered(app: App, conversation: Conversation) -> bool:
    """Two people are among themselves, unless the app wants it otherwise."""
    return conversation.kind in _ALWAYS or len(conversation.members) > 2 or app.settings.filter_direct
