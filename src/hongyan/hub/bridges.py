"""Bridges: a conversation and a group on another platform that hear each other.

What is said on one side waits, in order, to be told on the other; into the conversation it comes exactly once.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import Struct

from hongyan import errors
from hongyan.engine import file_types
from hongyan.engine.engine import Engine
from hongyan.engine.events import Event as EngineEvent
from hongyan.engine.events import MessagePatched, MessageSent
from hongyan.engine.values import (
    CLIENT_ID_MAX,
    DAY,
    App,
    ConversationKind,
    Draft,
    Edit,
    new_object_id,
)
from hongyan.engine.work import Job, NewJob
from hongyan.errors import Refused
from hongyan.hub import typed
from hongyan.hub.afterwards import Afterwards
from hongyan.hub.channels import Channels
from hongyan.hub.connector import HERE, Event, Happened, Outcome, Problem, Said
from hongyan.hub.content import Audio, File, Image, Location, Markdown, Message, Text, Video
from hongyan.hub.fitting import cut
from hongyan.hub.judging import MENDING
from hongyan.hub.media import AppMedia
from hongyan.hub.ports import BridgeStore
from hongyan.hub.records import BRIDGED, Bridge, Channel, Linked, canonical, lane_in, lane_out
from hongyan.hub.sending import Sending
from hongyan.hub.surroundings import Surroundings
from hongyan.hub.targets import target_of
from hongyan.jobs import Failed, Hopeless, Kind, NotYet

log = logging.getLogger(__name__)

OUT, IN, LINK, TAKE_BACK, CHANGE = "bridge.out", "bridge.in", "bridge.link", "bridge.recall", "bridge.edit"
BRIDGES_MAX = 500
#: The platform that is the app itself: what is said there would be told again and again.
OWN = "hongyan"
#: After which waits (s) it is tried again.
WAITS = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800)
#: Kinds of conversations that can be mirrored.
KINDS = frozenset({ConversationKind.NORMAL, ConversationKind.CHATROOM, ConversationKind.TEMPORARY})
_HAS_MEDIA = Image | File | Audio | Video
#: How often it is looked again for the message that was recalled, which may come into the conversation later.
LATE_MAX = 4
#: The same of an edit (ms): after which time it is looked again, and until when. Edits keep their order meanwhile.
LATE_STEP, LATE_TIME = 10_000, 180_000
#: What is kept of the size of a message for other things than its text, and characters of an id among them.
_ROOM, _ID_MAX = 1_024, 128
#: The line of a kept receipt that says which file of the message this is; a text has none.
FILE_PART = "file-part"


class _Out(Struct, frozen=True):
    """A message of the conversation; one that was recalled or edited says so."""

    message: str
    sender: str
    content: str
    change: str = ""


class _In(Struct, frozen=True):
    """A part of what was said elsewhere: `part` is the place of a file, or -1 for the text."""

    said: Said
    part: int


class _Back(Struct, frozen=True):
    receipt: str


class _Change(Struct, frozen=True):
    """What was said elsewhere, as it is since somebody has edited it there."""

    said: Said


@dataclass(slots=True, eq=False)
class Mirrored(Draft):
    """A message that came over a bridge: it does not go back."""

    bridge: str = ""
    receipt_text: str = ""


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
        self._sending = sending
        self._afterwards = afterwards
        self._engine = engine
        self._media = media
        self._around = around
        self._all: dict[str, Bridge] = {}
        # never changed but replaced, as the writer's thread reads it
        self._by_conversation: Mapping[tuple[int, str], tuple[Bridge, ...]] = {}
        self._apps: frozenset[int] = frozenset()
        self._changing = asyncio.Lock()

    @property
    def kinds(self) -> dict[str, Kind]:
        return {
            OUT: Kind(self.do_out, WAITS, 1),
            IN: Kind(self.do_in, WAITS, 1),
            LINK: Kind(self.do_link, WAITS, 1),
            TAKE_BACK: Kind(self.do_take_back, WAITS, 1),
            CHANGE: Kind(self.do_change, WAITS, 1),
        }

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

    # out of the conversation

    def wants(self, app_key: int, kind: type[EngineEvent]) -> bool:
        return (kind is MessageSent or kind is MessagePatched) and app_key in self._apps

    def jobs(self, app_key: int, event: EngineEvent, draft: Draft | None) -> Iterable[NewJob]:
        """In the writer's thread."""
        if not isinstance(event, MessageSent | MessagePatched) or event.message.transient or event.conversation.stream:
            return []
        message, found = event.message, list[NewJob]()
        content = message.content if isinstance(message.content, str) else f"[{len(message.content):,} bytes]"
        change = "" if isinstance(event, MessageSent) else "recalled" if message.recalled else "edited"
        out = msgspec.json.encode(_Out(message.id, message.sender, "" if change == "recalled" else content, change))
        for bridge in self._by_conversation.get((app_key, event.conversation.id), ()):
            if isinstance(draft, Mirrored) and draft.bridge == bridge.id:
                if change:  # it is linked since it was said
                    continue
                linked = Linked(
                    bridge.id,
                    bridge.channel_id,
                    draft.receipt_text,
                    bridge.conversation_id,
                    message.sender,
                    message.id,
                    message.timestamp,
                )
                found.append(NewJob(app_key, lane_in(bridge.id), LINK, msgspec.json.encode(linked)))
            else:
                found.append(NewJob(app_key, lane_out(bridge.id), OUT, out))
        return found

    async def do_out(self, job: Job) -> None:
        bridge = self._all.get(job.lane.removeprefix(lane_out("")))
        channel = self._channels.find(bridge.channel_id) if bridge is not None else None
        if bridge is None or channel is None or not bridge.enabled:
            return
        said = msgspec.json.decode(job.body, type=_Out)
        try:
            await self._tell(self._app(bridge), bridge, channel, said)
        except Refused as refusal:
            if refusal.kind.retry:  # such as a full disk, which passes
                raise Failed(str(refusal)) from None
            if self._engine.clock.now() - job.created_at >= DAY or channel.enabled:
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
            try:
                if said.change == "recalled":
                    _, done = await self._afterwards.recall(channel, posted.id)
                elif number < len(contents) and isinstance(contents[number], Text):
                    _, done = await self._afterwards.update(channel, posted.id, Message(contents[number]))
                else:
                    continue
            except Refused as refusal:
                if refusal.kind.retry:
                    raise
                return  # the platform can't, which is no failure
            for each in done:
                _again(each.problem)

    # into the conversation

    def jobs_in(self, channel: Channel, event: Event) -> list[NewJob]:
        """The jobs that follow from what was heard by a channel."""
        found = []
        for bridge in self._all.values():
            if bridge.channel_id != channel.id or not bridge.enabled:
                continue
            if isinstance(event, Happened) and event.recalled:
                back = msgspec.json.encode(_Back(canonical(event.recalled)))
                found.append(NewJob(bridge.app_key, lane_in(bridge.id), TAKE_BACK, back))
            elif isinstance(event, Happened) and event.edited is not None:
                if _comes(bridge, event.edited):
                    body = msgspec.json.encode(_Change(event.edited))
                    found.append(NewJob(bridge.app_key, lane_in(bridge.id), CHANGE, body))
            elif isinstance(event, Said) and _comes(bridge, event):
                for part in _parts(event):
                    body = msgspec.json.encode(_In(event, part))
                    found.append(NewJob(bridge.app_key, lane_in(bridge.id), IN, body))
        return found

    async def do_in(self, job: Job) -> None:
        bridge, channel = self._of_lane(job)
        if bridge is None or channel is None:
            return
        work, app = msgspec.json.decode(job.body, type=_In), self._app(bridge)
        try:
            platform = (await self._channels.kind(channel.kind)).platform
            content = await self._typed(app, channel, work)
            receipt = canonical(work.said.receipt | ({FILE_PART: str(work.part)} if work.part >= 0 else {}))
            draft = Mirrored(content, job=job.key, bridge=bridge.id, receipt_text=receipt)
            conversation = await self._engine.app_messages.target(app, bridge.conversation_id)
            sender = client_of(platform, work.said.sender.id)
            await self._engine.app_messages.send(app, conversation, sender, draft, sync=True)
        except Problem as problem:
            raise Failed(problem.reason, problem.after) from None
        except Refused as refusal:
            if refusal.kind.retry:
                raise Failed(str(refusal)) from None
            raise Hopeless(str(refusal)) from None

    async def do_link(self, job: Job) -> None:
        await self._store.link(msgspec.json.decode(job.body, type=Linked))

    async def do_take_back(self, job: Job) -> None:
        bridge, channel = self._of_lane(job)
        if bridge is None or channel is None:
            return
        back, app = msgspec.json.decode(job.body, type=_Back), self._app(bridge)
        found = [each for each in await self._store.linked(channel.id, back.receipt) if each.bridge_id == bridge.id]
        if not found and job.attempts < LATE_MAX:  # the message itself may still be on its way
            raise Failed("nothing was said here that could be taken back")
        for linked in found:
            edit = Edit(linked.conversation_id, linked.message_id, linked.timestamp, None)
            try:
                conversation = await self._engine.app_messages.target(app, linked.conversation_id)
                await self._engine.app_messages.edit(app, conversation, linked.client, edit)
            except Refused as refusal:
                if refusal.kind.retry:
                    raise Failed(str(refusal)) from None

    async def do_change(self, job: Job) -> None:
        bridge, channel = self._of_lane(job)
        if bridge is None or channel is None:
            return
        said, app = msgspec.json.decode(job.body, type=_Change).said, self._app(bridge)
        linked = await self._store.linked(channel.id, canonical(said.receipt))
        texts = [each for each in linked if each.bridge_id == bridge.id and not _is_file(each)]
        now = self._engine.clock.now()
        if not texts and now - job.created_at < LATE_TIME:  # the message itself may still be on its way
            raise NotYet("nothing was said here that could be edited", at=now + LATE_STEP)
        for each in texts[:1]:
            draft = Mirrored(await self._typed(app, channel, _In(said, -1)), bridge=bridge.id)
            edit = Edit(each.conversation_id, each.message_id, each.timestamp, draft)
            try:
                conversation = await self._engine.app_messages.target(app, each.conversation_id)
                await self._engine.app_messages.edit(app, conversation, each.client, edit)
            except Refused as refusal:  # such as one that was recalled since
                if refusal.kind.retry:
                    raise Failed(str(refusal)) from None

    async def _typed(self, app: App, channel: Channel, work: _In) -> str:
        """The part as a typed message. Raises Problem if it is worth another try."""
        said = work.said
        name = said.sender.name[: typed.NAME_MAX]  # people choose their names, which leave room for what they say
        sender = {"id": said.sender.id[:_ID_MAX], "name": name, "channel": channel.name}
        attributes = {"from": sender}
        content = said.message.content
        if work.part >= 0:
            return await self._file(app, channel, said.media[work.part], attributes)

        def fitting(text: str) -> str:
            return cut(text, app.settings.message_max - _ROOM, size=_size)

        if isinstance(content, Location):
            text = "\n".join(filter(None, (content.name, content.address)))
            return typed.encode(typed.LOCATION, fitting(text), attributes, location=content)
        if isinstance(content, _HAS_MEDIA):
            media = content.media
            file = typed.Attached(media.url, media.name, media.type, None, media.seconds)
            return typed.encode(typed.kind_of_content(content), "", attributes, file)
        if isinstance(content, Text | Markdown):
            text = content.text
        else:
            from hongyan.hub import degrade  # here: connectors have loaded it, and nobody else needs it

            text = await degrade.Degrade(self._around(app.key), "").text(content)
        return typed.encode(typed.TEXT, fitting(text), attributes)

    async def _file(self, app: App, channel: Channel, media: Mapping[str, str], attributes: Mapping[str, Any]) -> str:
        name = media.get("name") or "file"
        try:
            async with self._channels.opened(channel) as connector:
                content = await connector.fetch(media)
            head = content[: file_types.HEAD]
            type_ = media.get("type") or await asyncio.to_thread(file_types.of_bytes, head) or file_types.of_name(name)
            file, url = await self._media(app.key).keep(name, type_, content)
        except Problem as problem:
            _again(problem)
            return typed.encode(typed.TEXT, f"[{name}: {problem.reason}]", attributes)
        except Refused as refusal:
            return typed.encode(typed.TEXT, f"[{name}: {refusal.detail}]", attributes)
        attached = typed.Attached(url, file.name, file.mime_type, file.size, id=file.id)
        return typed.encode(typed.kind_of(file.mime_type), "", attributes, attached)

    def _of_lane(self, job: Job) -> tuple[Bridge | None, Channel | None]:
        bridge = self._all.get(job.lane.removeprefix(lane_in("")))
        if bridge is None or not bridge.enabled:
            return None, None
        return bridge, self._channels.find(bridge.channel_id)

    def _app(self, bridge: Bridge) -> App:
        app = self._engine.apps.of_key(bridge.app_key)
        if app is None:
            raise Hopeless("the app is gone")
        return app


def client_of(platform: str, user: str) -> str:
    """The client in whose name somebody of another platform speaks."""
    client = f"{platform}:{user}"
    if len(client) <= CLIENT_ID_MAX:
        return client
    return f"{platform}:{hashlib.sha256(user.encode()).hexdigest()[:32]}"


def _comes(bridge: Bridge, said: Said) -> bool:
    """Whether it comes over this bridge. Programs do not: two would hear each other without end."""
    return not said.automatic and not said.chat.direct and bridge.target in (said.chat.target, HERE)


def _is_file(linked: Linked) -> bool:
    return any(line.startswith(f"{FILE_PART}=") for line in linked.receipt.split("\n"))


def _parts(said: Said) -> list[int]:
    """-1 stands for what was said, others for files: what says nothing but its file is that file alone."""
    content = said.message.content
    is_file = isinstance(content, _HAS_MEDIA) and bool(said.media)
    is_empty = isinstance(content, Text) and not content.text.strip() and bool(said.media)
    return [*([] if is_file or is_empty else [-1]), *range(len(said.media))]


def _size(text: str) -> int:
    """Bytes of a text in JSON."""
    return len(msgspec.json.encode(text))


def _again(problem: Problem | None) -> None:
    """Raises Failed for what may work next time."""
    if problem is not None and problem.outcome in (Outcome.THROTTLED, Outcome.TRANSIENT, Outcome.UNKNOWN):
        raise Failed(problem.reason, problem.after)
