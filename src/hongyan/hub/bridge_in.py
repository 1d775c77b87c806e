"""Into a conversation: what is said in a group that is mirrored with it, exactly once."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from hongyan.engine import file_types
from hongyan.engine.engine import Engine
from hongyan.engine.values import CLIENT_ID_MAX, App, Draft, Edit, Message
from hongyan.engine.work import Job, NewJob
from hongyan.errors import Refused
from hongyan.hub import typed
from hongyan.hub.channels import Channels
from hongyan.hub.connector import AGAIN, HERE, Event, Happened, Problem, Said
from hongyan.hub.content import Audio, File, Image, Location, Markdown, Text, Video
from hongyan.hub.fitting import cut
from hongyan.hub.media import AppMedia
from hongyan.hub.ports import BridgeStore
from hongyan.hub.records import Bridge, Channel, Linked, canonical, lane_in
from hongyan.hub.surroundings import Surroundings
from hongyan.jobs import Failed, Hopeless, NotYet

SAY, LINK, TAKE_BACK, CHANGE = "bridge.in", "bridge.link", "bridge.recall", "bridge.edit"
_HAS_MEDIA = Image | File | Audio | Video
#: How often it is looked again for the message that was recalled, which may come into the conversation later.
LATE_MAX = 4
#: The same of an edit (ms): after which time it is looked again, and until when. Edits keep their order meanwhile.
LATE_STEP, LATE_TIME = 10_000, 180_000
#: What is kept of the size of a message for other things than its text, and characters of an id among them.
_ROOM, _ID_MAX = 1_024, 128
#: The line of a kept receipt that says which file of the message this is; a text has none.
FILE_PART = "file-part"


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


def jobs(bridge: Bridge, event: Event) -> list[NewJob]:
    """What follows from what was heard by the channel of a bridge."""
    if isinstance(event, Happened) and event.recalled:
        return [_job(bridge, TAKE_BACK, _Back(canonical(event.recalled)))]
    if isinstance(event, Happened) and event.edited is not None and _comes(bridge, event.edited):
        return [_job(bridge, CHANGE, _Change(event.edited))]
    if isinstance(event, Said) and _comes(bridge, event):
        return [_job(bridge, SAY, _In(event, part)) for part in _parts(event)]
    return []


def link_job(bridge: Bridge, draft: Mirrored, message: Message) -> NewJob:
    """What notes which message of the conversation it has become."""
    now = bridge.conversation_id, message.sender, message.id, message.timestamp
    return _job(bridge, LINK, Linked(bridge.id, bridge.channel_id, draft.receipt_text, *now))


class BridgeIn:
    def __init__(
        self,
        store: BridgeStore,
        channels: Channels,
        engine: Engine,
        media: Callable[[int], AppMedia],
        around: Callable[[int], Surroundings],
    ) -> None:
        self._store = store
        self._channels = channels
        self._engine = engine
        self._media = media
        self._around = around

    async def link(self, job: Job) -> None:
        await self._store.link(msgspec.json.decode(job.body, type=Linked))

    async def say(self, job: Job, app: App, bridge: Bridge, channel: Channel) -> None:
        work = msgspec.json.decode(job.body, type=_In)
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

    async def take_back(self, job: Job, app: App, bridge: Bridge, channel: Channel) -> None:
        found = await self._linked(bridge, channel, msgspec.json.decode(job.body, type=_Back).receipt)
        if not found and job.attempts < LATE_MAX:  # the message itself may still be on its way
            raise Failed("nothing was said here that could be taken back")
        for linked in found:
            await self._edit(app, linked, None)

    async def change(self, job: Job, app: App, bridge: Bridge, channel: Channel) -> None:
        said = msgspec.json.decode(job.body, type=_Change).said
        linked = await self._linked(bridge, channel, canonical(said.receipt))
        texts = [each for each in linked if not _is_file(each)]
        now = self._engine.clock.now()
        if not texts and now - job.created_at < LATE_TIME:  # the message itself may still be on its way
            raise NotYet("nothing was said here that could be edited", at=now + LATE_STEP)
        for each in texts[:1]:
            await self._edit(app, each, Mirrored(await self._typed(app, channel, _In(said, -1)), bridge=bridge.id))

    async def _linked(self, bridge: Bridge, channel: Channel, receipt: str) -> list[Linked]:
        return [each for each in await self._store.linked(channel.id, receipt) if each.bridge_id == bridge.id]

    async def _edit(self, app: App, linked: Linked, draft: Mirrored | None) -> None:
        """Have a message say something else, or take it back."""
        edit = Edit(linked.conversation_id, linked.message_id, linked.timestamp, draft)
        try:
            conversation = await self._engine.app_messages.target(app, linked.conversation_id)
            await self._engine.app_messages.edit(app, conversation, linked.client, edit)
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
            if problem.outcome in AGAIN:
                raise Failed(problem.reason, problem.after) from None
            return typed.encode(typed.TEXT, f"[{name}: {problem.reason}]", attributes)
        except Refused as refusal:
            return typed.encode(typed.TEXT, f"[{name}: {refusal.detail}]", attributes)
        attached = typed.Attached(url, file.name, file.mime_type, file.size, id=file.id)
        return typed.encode(typed.kind_of(file.mime_type), "", attributes, attached)


def _job(bridge: Bridge, kind: str, work: Struct | Linked) -> NewJob:
    return NewJob(bridge.app_key, lane_in(bridge.id), kind, msgspec.json.encode(work))


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
