"""Bridges: a conversation and a group on another platform that hear each other.

What is said on one side waits, in order, to be told on the other: `bridge_out` and `bridge_in` do that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from hongyan import errors
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event as EngineEvent
from hongyan.engine.events import MessagePatched, MessageSent
from hongyan.engine.values import App, ConversationKind, Draft, new_object_id
from hongyan.engine.work import Job, NewJob
from hongyan.errors import Refused
from hongyan.hub import bridge_in, bridge_out
from hongyan.hub.afterwards import Afterwards
from hongyan.hub.bridge_in import BridgeIn, Mirrored
from hongyan.hub.bridge_out import BridgeOut
from hongyan.hub.channels import Channels
from hongyan.hub.connector import Event
from hongyan.hub.media import AppMedia
from hongyan.hub.ports import BridgeStore
from hongyan.hub.records import Bridge, Channel, lane_in, lane_out
from hongyan.hub.sending import Sending
from hongyan.hub.surroundings import Surroundings
from hongyan.hub.targets import target_of
from hongyan.jobs import Hopeless, Kind

BRIDGES_MAX = 500
#: The platform that is the app itself: what is said there would be told again and again.
OWN = "hongyan"
#: After which waits (s) it is tried again.
WAITS = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800)
#: Kinds of conversations that can be mirrored.
KINDS = frozenset({ConversationKind.NORMAL, ConversationKind.CHATROOM, ConversationKind.TEMPORARY})
#: What does a job of a bridge that is there.
Doing = Callable[[Job, App, Bridge, Channel], Awaitable[None]]


class Bridges:
    """Also a follower (`engine.aftermath`) of what happens in conversations."""

    def __init__(
        self,
        store: BridgeStore,
        channels: Channels,
        sending: Sending,
        afterwards: Afterwards,
        engine: Engine,
        media: Callable[[int], AppMedia],
        around: Callable[[int], Surroundings],
    ) -> None:
        self._store = store
        self._channels = channels
        self._engine = engine
        self._out = BridgeOut(sending, afterwards, engine.clock)
        self._in = BridgeIn(store, channels, engine, media, around)
        self._all: dict[str, Bridge] = {}
        # never changed but replaced, as the writer's thread reads it
        self._by_conversation: Mapping[tuple[int, str], tuple[Bridge, ...]] = {}
        self._apps: frozenset[int] = frozenset()
        self._changing = asyncio.Lock()

    @property
    def kinds(self) -> dict[str, Kind]:
        return {
            bridge_out.KIND: self._kind(lane_out, self._out.do),
            bridge_in.SAY: self._kind(lane_in, self._in.say),
            bridge_in.LINK: Kind(self._in.link, WAITS, 1),
            bridge_in.TAKE_BACK: self._kind(lane_in, self._in.take_back),
            bridge_in.CHANGE: self._kind(lane_in, self._in.change),
        }

    def _kind(self, lane: Callable[[str], str], do: Doing) -> Kind:
        return Kind(partial(self._do, lane, do), WAITS, 1)

    async def _do(self, lane: Callable[[str], str], do: Doing, job: Job) -> None:
        """Unless the bridge is gone, or disabled."""
        bridge = self._all.get(job.lane.removeprefix(lane("")))
        channel = self._channels.find(bridge.channel_id) if bridge is not None and bridge.enabled else None
        if bridge is None or channel is None:
            return
        app = self._engine.apps.of_key(bridge.app_key)
        if app is None:
            raise Hopeless("the app is gone")
        await do(job, app, bridge, channel)

    async def load(self) -> None:
        self._all = {bridge.id: bridge for bridge in await self._store.all()}
        self._index()

    # for the application

    def of_app(self, app: App) -> list[Bridge]:
        return [bridge for bridge in self._all.values() if bridge.app_key == app.key]

    def get(self, app: App, bridge_id: str) -> Bridge:
        """Raises Refused(OBJECT_NOT_FOUND), also for one of another app."""
        found = self._all.get(bridge_id)
        if found is None or found.app_key != app.key:
            raise Refused(errors.OBJECT_NOT_FOUND, "no bridge has this id")
        return found

    async def create(self, app: App, conversation_id: str, channel_id: str, to: str, *, enabled: bool) -> Bridge:
        """Raises Refused."""
        channel = self._channels.get(app, channel_id)
        kind = await self._channels.kind(channel.kind)
        if kind.platform == OWN:
            raise Refused(errors.INVALID_VALUE, "a bridge leads to another platform")
        target = target_of(kind, to or "here")
        conversation = await self._engine.app_messages.target(app, conversation_id)
        if conversation.kind not in KINDS:
            raise Refused(errors.INVALID_VALUE, "a service conversation can't be mirrored")
        now = self._engine.clock.now()
        bridge = Bridge(new_object_id(), app.key, conversation.id, channel.id, target, enabled, now, now)
        async with self._changing:
            own = self.of_app(app)
            if len(own) >= BRIDGES_MAX:
                raise Refused(errors.INVALID_VALUE, f"an app has at most {BRIDGES_MAX} bridges")
            if any(each.channel_id == channel.id and each.target == target for each in own):
                raise Refused(errors.INVALID_VALUE, "this group is mirrored already")
            await self._store.insert(bridge)
            self._all[bridge.id] = bridge
            self._index()
        return bridge

    async def enable(self, app: App, bridge_id: str, *, enabled: bool) -> Bridge:
        async with self._changing:
            bridge = replace(self.get(app, bridge_id), enabled=enabled, updated_at=self._engine.clock.now())
            await self._store.update(bridge)
            self._all[bridge.id] = bridge
            self._index()
        return bridge

    async def delete(self, app: App, bridge_id: str) -> None:
        async with self._changing:
            bridge = self.get(app, bridge_id)
            await self._store.delete(bridge.id)
            self._forget([bridge])

    def forget(self, channel: Channel) -> None:
        """The channel is gone, and with it its bridges."""
        self._forget([bridge for bridge in self._all.values() if bridge.channel_id == channel.id])

    def _forget(self, gone: Sequence[Bridge]) -> None:
        for bridge in gone:
            self._all.pop(bridge.id, None)
        self._index()

    def _index(self) -> None:
        found: dict[tuple[int, str], tuple[Bridge, ...]] = {}
        for bridge in self._all.values():
            if bridge.enabled:
                key = bridge.app_key, bridge.conversation_id
                found[key] = (*found.get(key, ()), bridge)
        self._by_conversation = found
        self._apps = frozenset(app_key for app_key, _ in found)

    # what happens on either side

    def wants(self, app_key: int, kind: type[EngineEvent]) -> bool:
        return (kind is MessageSent or kind is MessagePatched) and app_key in self._apps

    def jobs(self, app_key: int, event: EngineEvent, draft: Draft | None) -> Iterable[NewJob]:
        """In the writer's thread."""
        if not isinstance(event, MessageSent | MessagePatched) or event.message.transient or event.conversation.stream:
            return
        for bridge in self._by_conversation.get((app_key, event.conversation.id), ()):
            if not isinstance(draft, Mirrored) or draft.bridge != bridge.id:
                yield bridge_out.job(bridge, event)
            elif isinstance(event, MessageSent):  # one that was changed is linked since it was said
                yield bridge_in.link_job(bridge, draft, event.message)

    def jobs_in(self, channel: Channel, event: Event) -> list[NewJob]:
        """The jobs that follow from what was heard by a channel."""
        found = [bridge for bridge in self._all.values() if bridge.channel_id == channel.id and bridge.enabled]
        return [job for bridge in found for job in bridge_in.jobs(bridge, event)]
