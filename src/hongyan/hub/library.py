"""The templates of apps: kept in versions, filled in when a message is sent or looked at before."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from hongyan.engine.clock import Clock
from hongyan.engine.values import App
from hongyan.errors import INVALID_VALUE, OBJECT_NOT_FOUND, SERVER_BUSY, Refused
from hongyan.hub import templates
from hongyan.hub.connector import Note
from hongyan.hub.content import Media, Message
from hongyan.hub.ports import TemplateStore
from hongyan.hub.records import KeptTemplate
from hongyan.hub.templates import Template

#: Templates of an app, and versions of one; the oldest are forgotten.
TEMPLATES_MAX, VERSIONS_MAX = 500, 50
#: Previews that are made at once, and those that may wait for it.
REHEARSED_AT_ONCE, REHEARSALS_WAITING = 2, 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Part(Struct):
    """One message as a platform has taken it: its own word for the type, and what came."""

    type: str
    payload: Any


class Preview(Struct):
    """What becomes of a message on a kind of channel; `to` is the kind of target."""

    channel: str
    to: str
    outcome: str
    reason: str
    notes: tuple[Note, ...]
    messages: list[Part]


#: Shows what becomes of a message on each kind of channel; it is asked for by platform, media by their links.
Rehearse = Callable[[Callable[[str], Message], Callable[[Media], Awaitable[str]]], Awaitable[list[Preview]]]


class Rehearsals:
    """Previews of all apps, a few at once: each has a sandbox of its own, and its connectors. It is a `Rehearse`."""

    def __init__(self, rehearse: Rehearse) -> None:
        self._rehearse = rehearse
        self._turns = asyncio.Semaphore(REHEARSED_AT_ONCE)
        self._asked = 0

    async def __call__(
        self, message: Callable[[str], Message], link: Callable[[Media], Awaitable[str]]
    ) -> list[Preview]:
        """Raises Refused(SERVER_BUSY) if too many wait."""
        if self._asked >= REHEARSED_AT_ONCE + REHEARSALS_WAITING:
            raise Refused(SERVER_BUSY, "too many previews are asked for at once")
        self._asked += 1
        try:
            async with self._turns:
                return await self._rehearse(message, link)
        finally:
            self._asked -= 1


class Library:
    def __init__(self, store: TemplateStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def all(self, app: App) -> list[KeptTemplate]:
        """The newest of each, by name."""
        return await self._store.all(app.key)

    async def versions(self, app: App, name: str) -> list[KeptTemplate]:
        """The newest first. Raises Refused."""
        found = await self._store.versions(app.key, name)
        if not found:
            raise _missing()
        return found

    async def get(self, app: App, name: str, version: int | None = None) -> KeptTemplate:
        """The newest, if no version is said. Raises Refused."""
        found = await self._store.get(app.key, name, version)
        if found is None:
            raise _missing()
        return found

    async def newest(self, app: App, name: str) -> KeptTemplate | None:
        """None if there is none."""
        return await self._store.get(app.key, name, None)

    async def save(self, app: App, name: str, template: Template) -> KeptTemplate:
        """As a new version, unless nothing is different. Raises Refused."""
        if not _NAME.fullmatch(name):
            raise Refused(INVALID_VALUE, "the name of a template has 1 to 64 letters, digits, `_`, `.` and `-`")
        await asyncio.to_thread(templates.check, template)
        body = msgspec.json.encode(template)
        now = await self.newest(app, name)
        if now is not None and now.body == body:
            return now
        at = self._clock.now()
        version = await self._store.add(app.key, name, body, at, VERSIONS_MAX, TEMPLATES_MAX)
        if version is None:
            raise Refused(INVALID_VALUE, f"an app has at most {TEMPLATES_MAX} templates")
        return KeptTemplate(name, version, body, at)

    async def delete(self, app: App, name: str) -> None:
        """With all its versions. Raises Refused."""
        if not await self._store.delete(app.key, name):
            raise _missing()

    async def render(
        self,
        app: App,
        name: str,
        variables: Mapping[str, Any],
        language: str = "",
        platform: str = "",
        version: int | None = None,
    ) -> Message:
        """The message. Raises Refused."""
        template = read(await self.get(app, name, version))
        return await asyncio.to_thread(templates.fill_in, template, variables, language, platform)


def read(kept: KeptTemplate) -> Template:
    return msgspec.json.decode(kept.body, type=Template)


def _missing() -> Refused:
    return Refused(OBJECT_NOT_FOUND, "there is no template of this name and version")
