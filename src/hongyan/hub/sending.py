"""Messages of channels: posted with the job that sends them, found again, and forgotten after a while."""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from hongyan import errors
from hongyan.engine.clock import Clock
from hongyan.engine.values import DAY, App, new_object_id
from hongyan.engine.work import NewJob
from hongyan.errors import Refused
from hongyan.hub import content
from hongyan.hub.channels import Channels
from hongyan.hub.connector import Target
from hongyan.hub.content import Message
from hongyan.hub.ports import PostStore
from hongyan.hub.records import Channel, Delivery, Posted, lane
from hongyan.hub.targets import targets_of
from hongyan.hub.threads import Threads
from hongyan.hub.tries import KIND, Work
from hongyan.hub.watching import Watching

log = logging.getLogger(__name__)

#: Characters of a caller's own key.
REQUEST_KEY_MAX = 64
#: Messages that are swept in one step, and how often it is looked (s).
SWEEP_STEP, SWEEP_EVERY = 200, 3_600.0


class Sending:
    """`keep` is how long messages are kept once nothing of them waits (ms)."""

    def __init__(
        self,
        channels: Channels,
        posts: PostStore,
        threads: Threads,
        clock: Clock,
        watching: Watching,
        keep: int = 30 * DAY,
    ) -> None:
        self._channels = channels
        self._posts = posts
        self._threads = threads
        self._clock = clock
        self._watching = watching
        self._keeping = keep

    async def post(
        self,
        app: App,
        channel: Channel,
        to: Sequence[str],
        message: Message,
        request_key: str | None = None,
        wait: float = 0.0,
    ) -> Posted:
        """Keep a message to be sent, and `wait` so many seconds for what becomes of it. Raises Refused."""
        targets = targets_of(await self._channels.kind(channel.kind), to)
        return await self.post_to(app, channel, targets, message, request_key, wait)

    async def post_to(
        self,
        app: App,
        channel: Channel,
        targets: Sequence[Target],
        message: Message,
        request_key: str | None = None,
        wait: float = 0.0,
    ) -> Posted:
        """The same, for targets that are known to be such of the channel's kind."""
        if not channel.enabled:
            raise Refused(errors.INVALID_VALUE, "the channel is disabled: enable it first")
        if request_key is not None and not 1 <= len(request_key) <= REQUEST_KEY_MAX:
            raise Refused(errors.INVALID_VALUE, f"idempotency_key has 1 to {REQUEST_KEY_MAX} characters")
        if message.thread:
            await self._threads.receipts(channel, message.thread)
        now = self._clock.now()
        deliveries = tuple(Delivery(target, updated_at=now) for target in targets)
        body = content.encode(message)
        posted = Posted(0, new_object_id(), app.key, channel.id, body, request_key, now, now, deliveries)
        work = Work(posted.id, [str(target) for target in targets], message.thread)
        job = NewJob(app.key, lane(channel.id), KIND, msgspec.json.encode(work))
        with self._watching.of(posted.id) as watch:
            kept = await self._posts.insert(posted, job)
            if kept.id == posted.id:
                await watch.ended(wait)
        if kept.id != posted.id:
            if kept.body != body or [each.target for each in kept.deliveries] != list(targets):
                raise Refused(errors.INVALID_VALUE, "this idempotency_key was given with another message")
            await self.ended(kept, wait)
        return (await self._posts.get(channel.id, kept.id) if wait else None) or kept

    async def ended(self, posted: Posted, wait: float) -> None:
        """Return when nothing of it waits, or so many seconds are over."""
        with self._watching.of(posted.id) as watch:
            now = await self._posts.get(posted.channel_id, posted.id)
            if now is not None and now.waits:
                await watch.ended(wait)

    async def get(self, channel: Channel, message_id: str) -> Posted:
        """Raises Refused(OBJECT_NOT_FOUND), also for one of another channel."""
        found = await self._posts.get(channel.id, message_id)
        if found is None:
            raise Refused(errors.OBJECT_NOT_FOUND, "no message has this id")
        return found

    async def find(self, message_id: str) -> Posted | None:
        """Of whatever channel."""
        return await self._posts.find(message_id)

    async def page(self, channel: Channel, before: int, limit: int) -> list[Posted]:
        """The newest first."""
        return await self._posts.page(channel.id, before, limit)

    async def of_request(self, channel: Channel, prefix: str) -> list[Posted]:
        """Those whose caller's own key begins so."""
        return await self._posts.of_request(channel.id, prefix)

    async def run(self) -> None:
        """Forget, again and again until cancelled, messages that are kept no longer."""
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            try:
                await self.sweep()
            except Refused as refusal:  # a full disk passes
                log.warning("old messages of channels could not be deleted: %s", refusal.detail)

    async def sweep(self) -> int:
        """How many are gone, besides those of channels that are deleted."""
        await self._channels.sweep()
        count, before = 0, self._clock.now() - self._keeping
        while gone := await self._posts.sweep(before, SWEEP_STEP):
            count += gone
        return count
