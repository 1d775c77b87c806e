"""What operators do with channels on the command line."""

import base64
import binascii
from typing import Any

import msgspec

from hongyan.engine import file_types
from hongyan.engine.ports import JobStore
from hongyan.engine.values import App, iso_time
from hongyan.errors import INVALID_VALUE, Refused
from hongyan.hub import content
from hongyan.hub.channel_credentials import shown
from hongyan.hub.connector import Feature, Problem
from hongyan.hub.content import File, Image, Markdown, Media, Message, Text
from hongyan.hub.hub import Hub
from hongyan.hub.records import Channel, Posted

#: How long a command waits for what becomes of its messages together (s).
WAIT = 24.0


class Desk:
    """`alone`: no server runs, so what is to be sent is sent here."""

    def __init__(self, hub: Hub, jobs: JobStore, *, alone: bool) -> None:
        self._hub = hub
        self._jobs = jobs
        self._alone = alone

    async def of_app(self, app: App) -> list[dict[str, Any]]:
        return [await self._told(channel) for channel in self._hub.channels.of_app(app)]

    async def create(self, app: App, name: str, kind: str, credentials: dict[str, Any], description: str) -> Any:
        made = await self._hub.channels.create(app, name, kind, credentials, description)
        return await self._told(made)

    async def delete(self, app: App, name: str) -> dict[str, Any]:
        gone = await self._hub.delete_channel(app, self._hub.channels.named(app, name).id)
        return {"deleted": gone.id}

    async def check(self, app: App, name: str) -> dict[str, Any]:
        try:
            return {"ok": True, "account": await self._hub.channels.check(self._hub.channels.named(app, name))}
        except Problem as problem:
            told = {"outcome": problem.outcome.value, "reason": problem.reason, "advice": problem.advice or None}
            return {"ok": False, **told}

    async def notify(
        self,
        app: App,
        name: str,
        to: list[str],
        text: str,
        title: str,
        markdown: bool,
        message: dict[str, Any] | None,
        file: dict[str, str] | None,
    ) -> list[dict[str, Any]]:
        """Send, and wait for a while; what became of each message. Raises Refused."""
        channel = self._hub.channels.named(app, name)
        messages = [_message(message)] if message is not None else []
        if text or title:
            messages.append(Message(_content(text, title, markdown)))
        if file is not None:
            messages.append(Message(await self._file(app, file)))
        if not messages:
            raise Refused(INVALID_VALUE, "there is nothing to send")
        for each in messages:
            content.check(each)
        wait = WAIT / len(messages)
        posted = [
            await self._hub.sending.post(app, channel, to, each, None, 0.0 if self._alone else wait)
            for each in messages
        ]
        if self._alone:
            for sent in posted:
                await self._hub.tries.by_hand(sent, self._jobs, wait)
        return [_became(await self._hub.sending.get(channel, each.id)) for each in posted]

    async def _file(self, app: App, file: dict[str, str]) -> Image | File:
        try:
            body = base64.b64decode(file["content"], validate=True)
        except (KeyError, binascii.Error):
            raise Refused(INVALID_VALUE, "the file is not in base64") from None
        type_ = file_types.of_name(file["name"])
        kept, _ = await self._hub.media(app.key).keep(file["name"], type_, body)
        media = Media(file=kept.id, name=kept.name, type=kept.mime_type)
        return Image(media) if kept.mime_type.startswith("image/") else File(media)

    async def _told(self, channel: Channel) -> dict[str, Any]:
        kind = await self._hub.channels.kind(channel.kind)
        told = {
            "id": channel.id,
            "name": channel.name,
            "kind": channel.kind,
            "enabled": channel.enabled,
            "description": channel.description,
            "credentials": shown(kind, channel.credentials),
            "failing_since": None if channel.failing_since is None else iso_time(channel.failing_since),
            "failure": channel.failure or None,
            "advice": channel.advice or None,
        }
        if Feature.RECEIVE in await self._hub.channels.features(channel):
            told["inbound_url"] = self._hub.inbound_url(channel)
        return told


def _message(given: dict[str, Any]) -> Message:
    try:
        return msgspec.convert(given, Message)
    except msgspec.ValidationError as error:
        raise Refused(INVALID_VALUE, f"the message: {error}") from None


def _content(text: str, title: str, markdown: bool) -> Text | Markdown:
    if markdown:
        return Markdown(text, title)
    if not title:
        return Text(text)
    from hongyan.hub.degrade import escape  # here: most commands need no Markdown

    return Markdown(escape(text), title)


def _became(posted: Posted) -> dict[str, Any]:
    targets = [
        {
            "to": str(each.target),
            "state": each.state.value,
            "reason": each.reason or None,
            "advice": each.advice or None,
        }
        for each in posted.deliveries
    ]
    notes = [{"rule": rule, "detail": detail} for rule, detail in posted.notes]
    return {"id": posted.id, "targets": targets, "notes": notes}
