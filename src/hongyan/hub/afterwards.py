"""What is done with messages that were sent: taken back, said differently, and asked about."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple

from hongyan.engine.clock import Clock
from hongyan.engine.turns import Turns
from hongyan.hub import content
from hongyan.hub.channels import Channels, require
from hongyan.hub.connector import Connector, Feature, Note, Outcome, Problem, Receipt, Status, Target
from hongyan.hub.content import Message
from hongyan.hub.ports import PostStore
from hongyan.hub.records import Channel, Posted, State
from hongyan.hub.sending import Sending
from hongyan.hub.watching import Watching


class Done(NamedTuple):
    """What became of a call about a message that was sent, for one target."""

    target: Target
    problem: Problem | None = None
    status: Status | None = None


class Afterwards:
    """`turns` are those of messages: nothing of one is tried while it is changed."""

    def __init__(
        self,
        channels: Channels,
        sending: Sending,
        posts: PostStore,
        clock: Clock,
        turns: Turns,
        watching: Watching,
    ) -> None:
        self._channels = channels
        self._sending = sending
        self._posts = posts
        self._clock = clock
        self._turns = turns
        self._watching = watching

    async def recall(self, channel: Channel, message_id: str) -> tuple[Posted, list[Done]]:
        """Take a message back: what waits is not sent, what was sent is recalled. Raises Refused."""

        async def recall(connector: Connector, receipt: Receipt) -> None:
            await connector.recall(receipt)

        turn = self._turns.take([message_id])
        try:
            await turn.comes()
            posted = await self._sending.get(channel, message_id)
            now = self._clock.now()
            stopped = [
                (number, replace(each, state=State.RECALLED, updated_at=now))
                for number, each in enumerate(posted.deliveries)
                if each.state is State.WAITING
            ]
            if stopped:
                await self._posts.keep(posted, stopped)
                self._watching.tell(posted.id)
            done: list[Done] = []
            if any(each.state is State.SENT for each in posted.deliveries):
                done = await self._each(channel, posted, Feature.RECALL, "recall messages", recall)
                gone = {each.target for each in done if each.problem is None}
                recalled = [
                    (number, replace(each, state=State.RECALLED, updated_at=now))
                    for number, each in enumerate(posted.deliveries)
                    if each.state is State.SENT and each.target in gone
                ]
                await self._posts.keep(posted, recalled)
            return await self._sending.get(channel, message_id), done
        finally:
            turn.end()

    async def update(self, channel: Channel, message_id: str, message: Message) -> tuple[Posted, list[Done]]:
        """Say it differently: also what waits is then sent so. Raises Refused."""
        notes: list[Note] = []

        async def update(connector: Connector, receipt: Receipt) -> None:
            from hongyan.hub import degrade  # here: the connector has loaded it

            await degrade.prepare(message.content)
            notes.extend(await connector.update(receipt, message))

        turn = self._turns.take([message_id])
        try:
            await turn.comes()
            posted = await self._sending.get(channel, message_id)
            done: list[Done] = []
            if any(each.state is State.SENT for each in posted.deliveries):
                done = await self._each(channel, posted, Feature.UPDATE, "change messages", update)
            if posted.waits or any(each.problem is None for each in done):
                pairs = tuple(dict.fromkeys((each.rule, each.detail) for each in notes))
                # the parts that have arrived are none of what it says now
                anew = [
                    (number, replace(each, parts=())) for number, each in enumerate(posted.deliveries) if each.parts
                ]
                await self._posts.keep(posted, anew, pairs, content.encode(message))
            return await self._sending.get(channel, message_id), done
        finally:
            turn.end()

    async def status(self, channel: Channel, message_id: str) -> list[Done]:
        """What the platform tells of it. Raises Refused."""

        async def status(connector: Connector, receipt: Receipt) -> Status:
            return await connector.status(receipt)

        posted = await self._sending.get(channel, message_id)
        return await self._each(channel, posted, Feature.STATUS, "tell whether messages were read", status)

    async def _each(
        self,
        channel: Channel,
        posted: Posted,
        feature: Feature,
        what: str,
        call: Callable[[Connector, Receipt], Awaitable[Status | None]],
    ) -> list[Done]:
        """Call for each target that has the message. Raises Refused if the kind can't do that."""
        done = []
        async with self._channels.opened(channel) as connector:
            require(connector, feature, what)
            for each in posted.deliveries:
                if each.state is not State.SENT:
                    continue
                if each.receipt is None:
                    problem = Problem(Outcome.BAD_CONTENT, "the platform has given no id by which it finds the message")
                    done.append(Done(each.target, problem))
                    continue
                try:
                    done.append(Done(each.target, None, await call(connector, each.receipt)))
                except Problem as problem:
                    done.append(Done(each.target, problem))
        return done
