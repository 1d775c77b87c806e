"""Out of a conversation: what is said there is told in the groups that are mirrored with it."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from hongyan.engine.clock import Clock
from hongyan.engine.events import MessagePatched, MessageSent
from hongyan.engine.values import DAY, App
from hongyan.engine.work import Job, NewJob
from hongyan.errors import Refused
from hongyan.hub import typed
from hongyan.hub.afterwards import Afterwards, Done
from hongyan.hub.connector import AGAIN
from hongyan.hub.content import Content, Message, Text
from hongyan.hub.judging import MENDING
from hongyan.hub.records import BRIDGED, Bridge, Channel, Posted, lane_out
from hongyan.hub.sending import Sending
from hongyan.jobs import Failed, Hopeless, NotYet

KIND = "bridge.out"


class _Out(Struct, frozen=True):
    """A message of the conversation; one that was recalled or edited says so."""

    message: str
    sender: str
    content: str
    change: str = ""


def job(bridge: Bridge, event: MessageSent | MessagePatched) -> NewJob:
    """What tells it in the group."""
    message = event.message
    content = message.content if isinstance(message.content, str) else f"[{len(message.content):,} bytes]"
    change = "" if isinstance(event, MessageSent) else "recalled" if message.recalled else "edited"
    said = _Out(message.id, message.sender, "" if change == "recalled" else content, change)
    return NewJob(bridge.app_key, lane_out(bridge.id), KIND, msgspec.json.encode(said))


class BridgeOut:
    def __init__(self, sending: Sending, afterwards: Afterwards, clock: Clock) -> None:
        self._sending = sending
        self._afterwards = afterwards
        self._clock = clock

    async def do(self, job: Job, app: App, bridge: Bridge, channel: Channel) -> None:
        try:
            await self._tell(app, bridge, channel, msgspec.json.decode(job.body, type=_Out))
        except Refused as refusal:
            if refusal.kind.retry:  # such as a full disk, which passes
                raise Failed(str(refusal)) from None
            if self._clock.now() - job.created_at >= DAY or channel.enabled:
                raise Hopeless(str(refusal)) from None
            raise NotYet(str(refusal), MENDING, everybody=True) from None

    async def _tell(self, app: App, bridge: Bridge, channel: Channel, said: _Out) -> None:
        request = f"{BRIDGED}{bridge.id}:{said.message}:"
        contents = typed.contents(said.content, said.sender)
        if not said.change:
            for number, content in enumerate(contents):
                await self._sending.post_to(app, channel, [bridge.target], Message(content), f"{request}{number}")
            return
        for number, posted in enumerate(await self._sending.of_request(channel, request)):
            now = contents[number] if said.change == "edited" and number < len(contents) else None
            if said.change == "edited" and not isinstance(now, Text):
                continue
            try:
                done = await self._change(channel, posted, now)
            except Refused as refusal:
                if refusal.kind.retry:
                    raise
                return  # the platform can't, which is no failure
            for each in done:
                if each.problem is not None and each.problem.outcome in AGAIN:
                    raise Failed(each.problem.reason, each.problem.after)

    async def _change(self, channel: Channel, posted: Posted, now: Content | None) -> Sequence[Done]:
        """Take a message back, or have it say something else."""
        if now is None:
            _, done = await self._afterwards.recall(channel, posted.id)
        else:
            _, done = await self._afterwards.update(channel, posted.id, Message(now))
        return done
