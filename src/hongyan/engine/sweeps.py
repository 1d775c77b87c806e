"""What an app keeps no longer is deleted: messages and conversations as its settings say, and temporary conversations
that have ended (REST reference 9).

Nothing is deleted that nobody expects: when an app keeps less than before, or old content was brought into it, and
something would be deleted at once, the sweep of that app waits until an operator has seen how much and said yes.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hongyan.engine.access import Access
from hongyan.engine.apps import Apps
from hongyan.engine.clock import Clock
from hongyan.engine.ports import SweepStore
from hongyan.engine.values import App, Cutoffs, Expired, Swept
from hongyan.errors import Refused

log = logging.getLogger(__name__)

T = TypeVar("T")

DAY = 86_400_000
#: How often all conversations are looked at, and temporary ones that have ended are deleted (s).
EVERY, ENDED_EVERY = 3_600.0, 60.0
#: Conversations deleted in one step.
CONVERSATIONS = 20
#: Conversations whose messages are handed to one step.
AT_ONCE = 200
#: After a step the writer is left alone for so many times as long as the step took, in seconds at most.
REST, REST_MAX = 8, 1.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a sweep of an app would delete now. `asked` names the question that waits for a yes, if one does."""

    app: App
    swept: Swept
    asked: str | None


class Sweeps:
    """`rest`: for how many times as long as a step took nothing is done after it."""

    def __init__(self, store: SweepStore, apps: Apps, access: Access, clock: Clock, rest: float = REST) -> None:
        self._rest = rest
        self._store = store
        self._apps = apps
        self._access = access
        self._clock = clock
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Sweep again and again, until cancelled."""
        due = time.monotonic() + ENDED_EVERY  # not in the rush after a start
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), ENDED_EVERY)
            try:
                if self._wanted.is_set() or time.monotonic() >= due:
                    self._wanted.clear()
                    due = time.monotonic() + EVERY
                    await self.sweep()
                else:
                    await self.drop_ended()
            except Refused as refusal:  # a full disk passes
                log.warning("the sweep was interrupted: %s", refusal.detail)
            except Exception:
                log.exception("the sweep has failed")

    def wake(self) -> None:
        """Have `run` sweep now."""
        self._wanted.set()

    async def sweep(self) -> Swept:
        """Delete all that may be deleted."""
        await self._ask()
        swept = await self._sweep_expired(self._cutoffs(besides=await self._store.asking()))
        await self.drop_ended()
        while await self._paced(self._store.shrink()):
            pass
        if swept != Swept():
            log.info("swept: %d messages, %d conversations with theirs", *swept)
        return swept

    async def drop_ended(self) -> None:
        """Delete temporary conversations that have ended, and what is left of deleted conversations."""
        while ended := await self._store.ended(CONVERSATIONS):
            await self._delete_conversations(ended)
        while await self._paced(self._store.clean()):
            pass

    async def preview(self) -> list[Waiting]:
        """What would be deleted now, of each app that does not keep all for ever."""
        asking = await self._store.asking()
        cutoffs = self._cutoffs()
        counts = await self._count(cutoffs)
        return [Waiting(app, counts[app.key], asking.get(app.key)) for app in self._apps.list() if app.key in cutoffs]

    async def agree(self, agreed: Mapping[str, str]) -> None:
        """Somebody has said yes to the questions of apps (by id), of `Waiting.asked`."""
        for app_id, asked in agreed.items():
            app = self._apps.get(app_id)
            if app is not None:
                await self._store.agree(app.key, asked)

    async def _ask(self) -> None:
        """An app of which nothing would be deleted at once needs no yes: what is yet to expire is expected."""
        asking = await self._store.asking()
        cutoffs = {key: each for key, each in self._cutoffs().items() if key in asking}
        for app_key, waiting in (await self._count(cutoffs)).items():
            if waiting == Swept():
                await self._store.agree(app_key, asking[app_key])
                continue
            await self._store.wait(app_key, waiting)
            app = next(app for app in self._apps.list() if app.key == app_key)
            log.warning(
                "the app %s has %d messages and %d conversations to delete: `hongyan sweep` asks for a yes",
                app.id,
                *waiting,
            )

    def _cutoffs(self, besides: Mapping[int, str] | None = None) -> dict[int, Cutoffs]:
        now = self._clock.now()

        def before(days: int) -> int | None:
            return now - days * DAY if days else None

        found = {
            app.key: Cutoffs(before(app.settings.message_days), before(app.settings.conversation_days))
            for app in self._apps.list()
            if app.key not in (besides or ())
        }
        return {key: cutoffs for key, cutoffs in found.items() if cutoffs != Cutoffs(None, None)}

    async def _count(self, cutoffs: Mapping[int, Cutoffs]) -> dict[int, Swept]:
        counts = dict.fromkeys(cutoffs, Swept())
        after: int | None = 0 if cutoffs else None
        while after is not None:
            expired, after = await self._store.look(after, cutoffs)
            for each in expired:
                more, so_far = await self._store.count(each), counts[each.app_key]
                counts[each.app_key] = Swept(so_far.messages + more.messages, so_far.conversations + more.conversations)
        return counts

    async def _sweep_expired(self, cutoffs: Mapping[int, Cutoffs]) -> Swept:
        messages = conversations = 0
        after: int | None = 0 if cutoffs else None
        while after is not None:
            expired, after = await self._store.look(after, cutoffs)
            whole = [each for each in expired if each.unused_since is not None]
            for start in range(0, len(whole), CONVERSATIONS):
                conversations += await self._delete_conversations(whole[start : start + CONVERSATIONS])
            messages += await self._delete_messages([each for each in expired if each.messages_before is not None])
        for app_key, each_app in cutoffs.items():
            if each_app.messages is not None:
                messages += await self._paced(self._store.delete_broadcasts(app_key, each_app.messages))
        return Swept(messages, conversations)

    async def _delete_conversations(self, expired: Sequence[Expired]) -> int:
        def committed(deleted: Sequence[tuple[int, str]]) -> None:
            for app_key, conversation_id in deleted:
                self._access.forget(app_key, conversation_id)

        return len(await self._paced(self._store.delete_conversations(expired, committed)))

    async def _delete_messages(self, expired: list[Expired]) -> int:
        messages = 0
        while expired:
            deleted, left = await self._paced(self._store.delete_messages(expired[:AT_ONCE]))
            expired = left + expired[AT_ONCE:]
            messages += deleted
        return messages

    async def _paced(self, step: Awaitable[T]) -> T:
        """The result of a step, after a rest: a busy writer has longer ones."""
        began = time.monotonic()
        result = await step
        await asyncio.sleep(min(self._rest * (time.monotonic() - began), REST_MAX))
        return result
