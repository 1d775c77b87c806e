"""The app's own clients and conversations, as typed messages that LeanCloud's SDKs show."""

from collections.abc import Sequence
from typing import Any

import msgspec

from hongyan.hub import typed
from hongyan.hub.connector import (
    Feature,
    Note,
    Outcome,
    Problem,
    Receipt,
    Result,
    Sent,
    Target,
    Unable,
    failed,
)
from hongyan.hub.connectors import ChannelKind
from hongyan.hub.content import Audio, Content, File, Image, Location, Message, Text, Video
from hongyan.hub.degrade import Degrade, name_of
from hongyan.hub.fitting import utf8
from hongyan.hub.surroundings import Home, Mentions, Surroundings

#: Bytes of a message as apps take it unless they are told otherwise.
MESSAGE_MAX = 5_120
FEATURES = frozenset({Feature.RECALL, Feature.UPDATE, Feature.ONCE})
Attributes = dict[str, Any]


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sender` is the client id in whose name it speaks."""

    sender: str = "system"


class Own(Unable):
    features = FEATURES

    def __init__(self, credentials: Credentials, around: Surroundings) -> None:
        if not 1 <= len(credentials.sender) <= 64:
            raise ValueError("sender is a client id of 1 to 64 characters")
        self._sender = credentials.sender
        self._around = around

    async def send(self, message: Message, to: Sequence[Target], *, key: str, thread: Receipt | None = None) -> Sent:
        home, degrade = self._home(), Degrade(self._around, key)
        mentions, names = self._mentions(message, degrade)
        content = await self._content(home, message, degrade, thread, names)
        results = []
        for target in to:
            try:
                receipt = await home.send(self._sender, target, content, key, mentions)
                results.append(Result(target, Outcome.OK, receipt))
            except Problem as problem:
                results.append(failed(target, problem))
        return Sent(tuple(results), tuple(degrade.notes))

    async def recall(self, receipt: Receipt) -> None:
        await self._home().edit(receipt, None)

    async def update(self, receipt: Receipt, message: Message) -> Sequence[Note]:
        degrade = Degrade(self._around, "")
        await self._home().edit(receipt, await self._content(self._home(), message, degrade, None))
        return degrade.notes

    async def check(self) -> str:
        self._home()
        return f"the client {self._sender} of this app"

    def _home(self) -> Home:
        home = self._around.home
        if home is None:
            raise Problem(Outcome.TRANSIENT, "it is sent when the server runs", after=60.0, everybody=True)
        return home

    async def _content(
        self, home: Home, message: Message, degrade: Degrade, thread: Receipt | None, names: str = ""
    ) -> str:
        """The text of a typed message; what has no type of its own is text, and stands whole in the attributes.

        `names` of who can't be told stand before the text.
        """
        content = message.content
        attributes: Attributes = {"thread": thread["message"]} if thread is not None and "message" in thread else {}
        file = await self._file(home, content)
        if isinstance(content, Video) and content.cover is not None:
            degrade.note("cover_dropped")
        if file is not None:
            caption = "\n".join(filter(None, (names, _caption(content))))
            return typed.encode(typed.kind_of_content(content), caption, attributes, file)
        if isinstance(content, Location):
            text = "\n".join(filter(None, (names, content.name, content.address)))
            return typed.encode(typed.LOCATION, text, attributes, location=content)
        text = await degrade.text(content)
        text = f"{names} {text}" if names else text
        if isinstance(content, Text):
            return self._fitting(text, attributes, degrade)
        whole = {**attributes, "hongyan": msgspec.to_builtins(message)}
        made = typed.encode(typed.TEXT, text, whole)
        if utf8(made) <= MESSAGE_MAX:
            return made
        degrade.note("marks_dropped", "the whole message is too long for the attributes")
        return self._fitting(text, attributes, degrade)

    def _fitting(self, text: str, attributes: Attributes, degrade: Degrade) -> str:
        def size(part: str) -> int:
            return utf8(typed.encode(typed.TEXT, part, attributes))

        return typed.encode(typed.TEXT, degrade.cut(text, MESSAGE_MAX, size=size), attributes)

    async def _file(self, home: Home, content: Content) -> typed.Attached | None:
        if not isinstance(content, Image | File | Audio | Video):
            return None
        media = content.media
        url = await home.link(media)
        return typed.Attached(url, media.name, media.type, None, media.seconds, media.file)

    def _mentions(self, message: Message, degrade: Degrade) -> tuple[Mentions, str]:
        """Who is told, and the names of the others."""
        clients = tuple(each.user for each in message.mentions if each.user)
        others = [name_of(each) for each in message.mentions if not each.user and not each.everyone]
        for name in others:
            degrade.note("mention_unresolved", name)
        return Mentions(clients, any(each.everyone for each in message.mentions)), " ".join(others)


def _caption(content: Content) -> str:
    match content:
        case Image():
            return content.text
        case Video():
            return "\n".join(filter(None, (content.title, content.text)))
        case _:
            return ""


def _open(credentials: Credentials, around: Surroundings) -> Own:
    return Own(credentials, around)


KIND = ChannelKind(
    "hongyan", "hongyan", Credentials, frozenset(), frozenset[Any]({"user", "group"}), _open, features=FEATURES
)
