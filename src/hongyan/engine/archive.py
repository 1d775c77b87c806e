"""All that was said in an app, or by one client: for the application only, which exports it (REST reference 3.4)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from hongyan.engine.history import LONG_CONTENT_MAX, SLICE
from hongyan.engine.ports import ArchiveStore
from hongyan.engine.url_rewrites import rewritten_archive
from hongyan.engine.values import App, Archived, HistoryRange

Read = Callable[[HistoryRange], Awaitable[list[Archived]]]


class Archive:
    """Pages may end early, but are empty only where nothing is left."""

    def __init__(self, store: ArchiveStore) -> None:
        self._store = store

    async def of_app(self, app: App, wanted: HistoryRange) -> list[Archived]:
        """Of all conversations, but for broadcasts to all clients (REST reference 3.4, inferred)."""
        found = await _walk(lambda slice_: self._store.of_app(app.key, slice_), wanted)
        return await rewritten_archive(app, found)

    async def of_author(self, app: App, client: str, wanted: HistoryRange) -> list[Archived]:
        """What a client has sent to conversations and chat rooms."""
        found = await _walk(lambda slice_: self._store.of_author(app.key, client, slice_), wanted)
        return await rewritten_archive(app, found)

    async def stream_of(self, app: App, own_id: str, client: str | None = None) -> tuple[str, str] | None:
        """The service conversation, and the client, whose part of it is called so (REST reference 2.5).

        Asked by a client, not all subscribers of the app get a look, of whom there may be millions.
        """
        return await self._store.stream_of(app.key, own_id, client)


async def _walk(read: Read, wanted: HistoryRange) -> list[Archived]:
    found: list[Archived] = []
    content = 0
    while len(found) < wanted.limit and content < LONG_CONTENT_MAX:
        page = await read(replace(wanted, limit=min(SLICE, wanted.limit - len(found))))
        if not page:
            break
        found += page
        content += sum(len(archived.message.content) for archived in page)
        last = page[-1].message
        wanted = replace(wanted, start=last.timestamp, start_id=last.id, start_included=False)
    return found
