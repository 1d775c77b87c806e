"""Channels that hear by a connection of their own, where the platform can reach no address of ours."""

import asyncio
import logging
from contextlib import suppress

from hongyan.errors import Refused
from hongyan.hub.channels import Channels
from hongyan.hub.connector import Event, Outcome, Problem
from hongyan.hub.inbound import Inbound
from hongyan.hub.records import Channel

log = logging.getLogger(__name__)

#: How long it is left alone after it could not listen (s).
REST = 300.0


class Listeners:
    def __init__(self, channels: Channels, inbound: Inbound) -> None:
        self._channels = channels
        self._inbound = inbound
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def look(self, channel_id: str) -> None:
        """A channel is new, has changed, or is gone."""
        task = self._tasks.pop(channel_id, None)
        if task is not None:
            task.cancel()
        channel = self._channels.find(channel_id)
        if channel is not None and channel.enabled:
            self._tasks[channel_id] = asyncio.create_task(self._listen(channel))

    async def close(self) -> None:
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, channel: Channel) -> None:
        """Until it is cancelled; at once over for a kind that does not."""

        async def tell(event: Event) -> None:
            await self._inbound.hear(channel, [event])
            await self._channels.worked(channel)  # one that only hears is told of by nothing else

        while True:
            try:
                async with self._channels.opened(channel) as connector:
                    listen = getattr(connector, "listen", None)
                    if listen is None:
                        return
                    await listen(tell)
            except Problem as problem:
                if problem.outcome is Outcome.BAD_CREDENTIAL:
                    with suppress(Refused):
                        await self._channels.fails(channel, problem)
            except (ValueError, Refused) as mistake:
                log.warning("the channel %s can't listen: %s", channel.id, mistake)
            except Exception:
                log.exception("the channel %s can't listen", channel.id)
            await asyncio.sleep(REST)
